"""Response times of the API with few and with many jobs in the table and with few and many queues,
without the time of DynamoDB, and the number of its requests to DynamoDB."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from bench.filling import QUEUE, fill, job_id, queue_name
from bench.recording import RecordingStack
from bench.replay import replay
from bench.report import Row, formatted_ratio, milliseconds
from bench.timing import Measure, measure_in_rounds, wall_seconds
from bench.write_units import create_empty_copy
from chalicelib.api.access import Access, Scope
from chalicelib.api.formats import media
from chalicelib.api.job_lists import JobLists
from chalicelib.api.parameters.queries import JobQuery, JobsQuery, QueuesQuery
from chalicelib.api.queues import Queues
from chalicelib.aws.clients import Clients
from chalicelib.bootstrap import Container
from chalicelib.settings import Settings
from local.aws import LocalAws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_CONFIG = Config(read_timeout=120, retries={"total_max_attempts": 1, "mode": "standard"})
"""The first query of a large table takes the local AWS many seconds."""
_REQUESTS_PER_ROUND = 5
_FAILED_JOBS = JobsQuery(queue=QUEUE, status=("FAILED",))
_ALL = Scope(("*",))

Request = Callable[[], object]
"""Handles one request of the API, up to the JSON of its body."""


def rows(aws: LocalAws, few: int, many: int, queues: Sequence[int], rounds: int) -> Iterator[Row]:
    """Compare `few` with `many` jobs, and the first of `queues` with the others."""
    yield from _rows_by_jobs(aws, few, many, rounds)
    yield from _rows_by_queues(aws, many, queues, rounds)


def _rows_by_jobs(aws: LocalAws, few: int, many: int, rounds: int) -> Iterator[Row]:
    stack = RecordingStack(aws)
    tables = {few: stack.resources.jobs_table, many: create_empty_copy(stack)}
    requests: dict[tuple[str, int], Request] = {}
    with replay(aws.endpoint) as endpoint:
        dynamodb = boto3.client("dynamodb", endpoint_url=endpoint, config=_CONFIG)
        for jobs, table in tables.items():
            fill(aws.dynamodb, table, range(jobs))
            container = _container(dynamodb, replace(stack.settings, jobs_table=table))
            for path, request in _requests(container, jobs).items():
                requests[path, jobs] = request
        calls = {key: _count_calls(dynamodb, request) for key, request in requests.items()}
        measured = measure_in_rounds(
            rounds, {str(key): _measure(request) for key, request in requests.items()}
        )
    for path in dict.fromkeys(path for path, _ in requests):
        small, large = (path, few), (path, many)
        yield Row(
            f"response time of GET {path}, {many:,} jobs",
            milliseconds(measured.seconds(str(large)), 1),
            f"{milliseconds(measured.seconds(str(small)), 1)} with {few:,}",
            formatted_ratio(measured.ratio(str(large), str(small))),
        )
        yield Row(
            "… requests to DynamoDB",
            str(calls[large]),
            f"{calls[small]} with {few:,}",
            formatted_ratio(calls[large] / calls[small]),
        )


def _rows_by_queues(aws: LocalAws, jobs: int, numbers: Sequence[int], rounds: int) -> Iterator[Row]:
    """Compare the lists of tokens that cover few and many queues of one table."""
    stack = RecordingStack(aws)
    fill(aws.dynamodb, stack.resources.jobs_table, range(jobs), queues=numbers[-1])
    queries = {
        "/jobs": JobsQuery(),
        "/jobs?status=FAILED": JobsQuery(status=("FAILED",)),
        "/jobs?status=RUNNING": JobsQuery(status=("RUNNING",)),
        "/jobs?name=align-1": JobsQuery(name="align-1"),
    }
    with replay(aws.endpoint) as endpoint:
        dynamodb = boto3.client("dynamodb", endpoint_url=endpoint, config=_CONFIG)
        container = _container(dynamodb, stack.settings)
        routes: dict[str, Callable[[Scope], Request]] = {
            path: partial(_list, container.job_lists, query) for path, query in queries.items()
        }
        routes["/queues"] = partial(_queues, container.queues)
        for path, request_of in routes.items():
            requests = {
                queues: request_of(Scope(tuple(map(queue_name, range(queues)))))
                for queues in numbers
            }
            calls = {queues: _count_calls(dynamodb, each) for queues, each in requests.items()}
            measured = measure_in_rounds(
                rounds, {str(queues): _measure(each) for queues, each in requests.items()}
            )
            for queues in numbers[1:]:
                yield Row(
                    f"response time of GET {path}, {queues} queues, {jobs:,} jobs",
                    f"{milliseconds(measured.seconds(str(queues)))}, {calls[queues]} requests",
                    f"{milliseconds(measured.seconds('1'))}, {calls[1]} with 1 queue",
                    formatted_ratio(measured.ratio(str(queues), "1")),
                )


def _list(lists: JobLists, query: JobsQuery, scope: Scope) -> Request:
    return lambda: media.encode(lists.page(query, scope), media.JSON)


def _queues(queues: Queues, scope: Scope) -> Request:
    return lambda: media.encode(queues.page(QueuesQuery(), scope), media.JSON)


def _container(dynamodb: "DynamoDBClient", settings: Settings) -> Container:
    clients = Clients()
    clients.dynamodb = dynamodb
    container = Container(settings, clients)
    container.access = Access(
        lambda: '{"pageKey": "key"}', now=container.runtime.now, reject=_reject
    )
    return container


def _reject(name: str, problem: str) -> None:
    raise ValueError(f"{name}: {problem}")


def _requests(container: Container, jobs: int) -> dict[str, Request]:
    """Return the measured requests by path."""
    api, lists = container.jobs, container.job_lists

    def get_job() -> object:
        job = api.find(job_id(jobs // 2), _ALL)
        return media.encode(api.get(job, JobQuery()).body, media.JSON)

    def get_queue() -> object:
        return media.encode(container.queues.get(QUEUE, _ALL), media.JSON)

    failed = _list(lists, _FAILED_JOBS, _ALL)
    return {
        "/jobs/{jobId}": get_job,
        "/jobs?queue=…&status=FAILED": failed,
        "/queues/{queue}": get_queue,
    }


def _measure(request: Request) -> Measure:
    """Return a measure of the seconds of one request."""

    def repeat() -> None:
        for _ in range(_REQUESTS_PER_ROUND):
            request()

    return lambda: wall_seconds(repeat) / _REQUESTS_PER_ROUND


def _count_calls(dynamodb: "DynamoDBClient", request: Request) -> int:
    calls = 0

    def count(**_: object) -> None:
        nonlocal calls
        calls += 1

    events = dynamodb.meta.events
    events.register("before-send.dynamodb", count)
    request()
    events.unregister("before-send.dynamodb", count)
    return calls
