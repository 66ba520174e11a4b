"""The requests of a sweep over few and many queues, and over a queue with many waiting jobs."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import boto3
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

from bench.filling import STATUSES, fill, queue_name
from bench.recording import RecordingStack
from bench.report import Row, formatted_ratio
from bench.workload import START
from chalicelib.aws.clients import Clients
from chalicelib.bootstrap import Container
from chalicelib.runtime import Runtime
from local.aws import LocalAws
from local.batch import BatchServer

_JOBS_PER_QUEUE = 10 * len(STATUSES)
_TIME_LEFT_SECONDS = 100.0


class _Calls(NamedTuple):
    """The requests of one step to DynamoDB, and those of all steps to the Batch API."""

    of_watch: int
    of_count: int
    of_batch: int

    def __str__(self) -> str:
        return f"{self.of_watch} watch, {self.of_count} count, {self.of_batch} calls of Batch"


def rows(aws: LocalAws, numbers: Sequence[int], waiting: int) -> Iterator[Row]:
    """Compare the requests of a sweep that follows another one: the first number of queues with the
    others, and a queue with `waiting` RUNNABLE jobs with one that has a thousandth of them."""
    by_queues = {
        queues: _calls(aws, queues, _JOBS_PER_QUEUE * queues, STATUSES) for queues in numbers
    }
    one = by_queues[numbers[0]]
    for queues in numbers[1:]:
        many = by_queues[queues]
        yield Row(
            f"requests of a sweep over {queues} queues",
            str(many),
            f"{one} with 1 queue",
            formatted_ratio(sum(many) / sum(one)),
        )
    few, many = (_calls(aws, 1, jobs, ("RUNNABLE",)) for jobs in (waiting // 1_000, waiting))
    yield Row(
        f"requests of a sweep with {waiting:,} RUNNABLE jobs",
        str(many),
        f"{few} with {waiting // 1_000}",
        formatted_ratio(sum(many) / sum(few)),
    )


def _calls(aws: LocalAws, queues: int, jobs: int, statuses: tuple[str, ...]) -> _Calls:
    """Return the requests of the second sweep. No job is stuck in the first one."""
    stack = RecordingStack(aws)
    fill(aws.dynamodb, stack.resources.jobs_table, range(jobs), queues, statuses)
    now = START + 1_000 * jobs
    with BatchServer(clock=lambda: now / 1_000) as batch:
        for queue in range(queues):
            batch.put_queue(queue_name(queue))
        requests: Counter[str] = Counter()
        container = _container(stack, batch, lambda: now / 1_000, requests)
        for step in (container.queue_watch.run, container.queue_counter.run):
            step(lambda: _TIME_LEFT_SECONDS)
        now += 300_000
        batch.calls.clear()
        requests.clear()
        container.queue_watch.run(lambda: _TIME_LEFT_SECONDS)
        of_watch = requests.total()
        container.queue_counter.run(lambda: _TIME_LEFT_SECONDS)
        return _Calls(of_watch, requests.total() - of_watch, batch.calls.total())


def _container(
    stack: RecordingStack, batch: BatchServer, now: Callable[[], float], requests: Counter[str]
) -> Container:
    """Return the sweep's parts. They count their requests to DynamoDB by operation."""
    # The local AWS reads a whole partition to count it, and a retry would be another request.
    clients = Clients(config=Config(read_timeout=120))
    clients.batch = boto3.client("batch", endpoint_url=batch.url)

    def count(request: AWSPreparedRequest, **_: object) -> None:
        requests[str(request.headers["X-Amz-Target"])] += 1

    clients.dynamodb.meta.events.register("before-send", count)
    container = Container(stack.settings, clients, Runtime(now=now))
    container.report = lambda tally: None
    return container
