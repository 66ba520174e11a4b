"""The recorder on a local AWS: the CPU time of this process, and the requests that it makes.

The local AWS runs in another process, so its CPU time is not included.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import cast

from botocore.awsrequest import AWSPreparedRequest

from bench.report import Row, formatted_ratio, microseconds
from bench.timing import cpu_seconds, measure_in_rounds
from bench.workload import bodies, by_job, event_reader, merged, messages, observations
from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import Item, chunks
from chalicelib.bootstrap import Container
from chalicelib.jobs.job import Job
from chalicelib.jobs.job_table import Change, StoredJob, job_attributes, job_key
from chalicelib.notices.rules import Rules
from chalicelib.recording.recorder import RecordingTally
from chalicelib.settings import Settings
from chalicelib.telemetry import Tally
from local.aws import LocalAws

_TIME_LEFT_SECONDS = 100.0


class RecordingStack:
    """The recorder of the app, without notice rules, on an empty local AWS. `requests` counts its
    requests by operation."""

    def __init__(self, aws: LocalAws) -> None:
        aws.reset()
        self.resources = aws.create_resources()
        self.settings = Settings.from_environment(self.resources.environment)
        clients = Clients()
        self.dynamodb = clients.dynamodb
        self.requests: Counter[str] = Counter()
        for client in (clients.dynamodb, clients.sqs):
            client.meta.events.register("before-send", self._count)
        container = Container(self.settings, clients)
        container.rules = Rules(())
        container.event_reader = event_reader()
        container.report = self._check
        self.job_table = container.job_table
        self._recorder = container.recorder

    def record(self, bodies: Sequence[str], batch: int) -> None:
        """Record messages in batches of this size."""
        for chunk in chunks(messages(bodies), batch):
            self._recorder.record(chunk, lambda: _TIME_LEFT_SECONDS)

    def items(self) -> list[Item]:
        """Return all items of the table."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.resources.jobs_table)
        return [item for page in pages for item in page["Items"]]

    def _check(self, tally: Tally) -> None:
        assert isinstance(tally, RecordingTally)
        assert tally.recorded + tally.unchanged == tally.received, tally

    def _count(self, request: AWSPreparedRequest, **_: object) -> None:
        target = cast(bytes, request.headers["X-Amz-Target"]).decode()
        self.requests[target.rpartition(".")[2]] += 1


def save_rows(aws: LocalAws, records: int, rounds: int) -> Iterator[Row]:
    """Compare saving records as the recorder does with one UpdateItem for each record."""
    stack = RecordingStack(aws)
    jobs = list(merged(observations(bodies(records))).values())
    stack.job_table.save([Change(job, None, None) for job in jobs])
    versions = dict.fromkeys((job.job_id for job in jobs), 1)

    def save() -> None:
        stored = [StoredJob(job, versions[job.job_id]) for job in jobs]
        outcomes = stack.job_table.save([Change(before.job, before, None) for before in stored])
        assert set(outcomes.values()) == {"saved"}

    def update() -> None:
        for job in jobs:
            _update_item(stack, job, versions[job.job_id])

    def measure(work: Callable[[], None]) -> float:
        seconds = cpu_seconds(work)
        versions.update({job_id: version + 1 for job_id, version in versions.items()})
        return seconds / records

    measured = measure_in_rounds(
        rounds, {"save": partial(measure, save), "update": partial(measure, update)}
    )
    yield Row(
        "CPU time to save a record, 25 per request",
        microseconds(measured.seconds("save")),
        f"{microseconds(measured.seconds('update'))} with UpdateItem",
        formatted_ratio(measured.ratio("save", "update")),
    )


def batch_rows(aws: LocalAws, jobs: int, rounds: int) -> Iterator[Row]:
    """Compare recording all events of jobs in large batches and in small ones."""
    events = bodies(jobs)

    def measure(batch: int) -> float:
        stack = RecordingStack(aws)
        return cpu_seconds(lambda: stack.record(events, batch)) / len(events)

    measured = measure_in_rounds(
        rounds, {str(batch): partial(measure, batch) for batch in (500, 10)}
    )
    yield Row(
        "events recorded per second of CPU time, in batches of 500",
        f"{1 / measured.seconds('500'):,.0f}",
        f"{1 / measured.seconds('10'):,.0f} in batches of 10",
        formatted_ratio(measured.ratio("10", "500")),
    )


def request_rows(aws: LocalAws, jobs: int) -> Iterator[Row]:
    """Compare the requests for messages in one batch with those in batches of one."""
    with_several = [events for events in by_job(bodies(5 * jobs)).values() if len(events) > 1]
    selected = with_several[:jobs]
    deliveries = {
        "new jobs": [first for first, *_ in selected],
        "second events of jobs": [second for _, second, *_ in selected],
        "duplicates": [second for _, second, *_ in selected],
    }
    batched = _requests(RecordingStack(aws), deliveries, batch=jobs)
    single = _requests(RecordingStack(aws), deliveries, batch=1)
    for name, requests in batched.items():
        operations = ", ".join(f"{count} {name}" for name, count in sorted(requests.items()))
        yield Row(
            f"requests for {len(selected)} {name}",
            f"{requests.total()} ({operations})",
            f"{single[name].total()} in batches of one",
            formatted_ratio(requests.total() / single[name].total()),
        )


def _update_item(stack: RecordingStack, job: Job, version: int) -> None:
    attributes = {**job_attributes(job), "version": {"N": str(version + 1)}}
    stack.dynamodb.update_item(
        TableName=stack.resources.jobs_table,
        Key=job_key(job.job_id),
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
        ConditionExpression="#version = :stored",
        ExpressionAttributeNames={f"#{name}": name for name in attributes},
        ExpressionAttributeValues={
            **{f":{name}": value for name, value in attributes.items()},
            ":stored": {"N": str(version)},
        },
    )


def _requests(
    stack: RecordingStack, deliveries: Mapping[str, Sequence[str]], batch: int
) -> dict[str, Counter[str]]:
    """Return the requests for each delivery, by operation."""
    requests: dict[str, Counter[str]] = {}
    for name, delivered in deliveries.items():
        stack.requests.clear()
        stack.record(delivered, batch)
        requests[name] = stack.requests.copy()
    return requests
