"""How long the API takes for an answer, with few jobs in the table and with very many, DynamoDB's
own time left out; and the requests that it makes.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from bench.filling import QUEUE, fill, job_id
from bench.recording import RecorderHarness, twin_of
from bench.replay import replay
from bench.report import Row, times
from bench.timing import in_turn, seconds
from chalicelib.api.access import Access, Scope
from chalicelib.api.formats import media
from chalicelib.api.parameters.queries import JobQuery, JobsQuery
from chalicelib.aws.clients import Clients
from chalicelib.bootstrap import Container
from chalicelib.settings import Settings
from local.aws import LocalAws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PATIENT = Config(read_timeout=120, retries={"total_max_attempts": 1, "mode": "standard"})
"""A query of a large table takes the local AWS many seconds, once."""
_ANSWERS_A_ROUND = 5
_LIST = JobsQuery(queue=QUEUE, status=("FAILED",))


def rows(aws: LocalAws, few: int, many: int, rounds: int) -> Iterator[Row]:
    harness = RecorderHarness(aws)
    settings = harness.container.settings
    tables = {few: harness.resources.jobs_table, many: twin_of(harness)}
    with replay(aws.endpoint) as endpoint:
        dynamodb = boto3.client("dynamodb", endpoint_url=endpoint, config=_PATIENT)
        answers: dict[str, Callable[[], object]] = {}
        for jobs, table in tables.items():
            fill(aws.dynamodb, table, range(jobs))
            of_table = _answers(_container(dynamodb, replace(settings, jobs_table=table)), jobs)
            answers |= {f"{path} {jobs}": answer for path, answer in of_table.items()}
        requests = {name: _requests(dynamodb, answer) for name, answer in answers.items()}
        measured = in_turn(rounds, {name: _measure(answer) for name, answer in answers.items()})
    for path in of_table:
        small, large = f"{path} {few}", f"{path} {many}"
        yield Row(
            f"time to answer {path}, {many:,} jobs",
            f"{measured.seconds(large) * 1e3:.1f} ms",
            f"{measured.seconds(small) * 1e3:.1f} ms with {few:,}",
            times(measured.ratio(large, small)),
        )
        yield Row(
            "… requests to DynamoDB",
            str(requests[large]),
            f"{requests[small]} with {few:,}",
            times(requests[large] / requests[small]),
        )


def _container(dynamodb: "DynamoDBClient", settings: Settings) -> Container:
    clients = Clients()
    clients.dynamodb = dynamodb
    container = Container(settings, clients)
    container.access = Access(lambda: '{"pageKey": "key"}')
    return container


def _answers(container: Container, jobs: int) -> dict[str, Callable[[], object]]:
    scope = Scope(("*",))
    api, lists = container.jobs, container.job_lists

    def one() -> object:
        return media.encode(
            api.get(api.find(job_id(jobs // 2), scope), JobQuery()).body, media.JSON
        )

    def listed() -> object:
        return media.encode(lists.page(_LIST, scope), media.JSON)

    return {"/jobs/{jobId}": one, "/jobs?queue=…&status=FAILED": listed}


def _measure(answer: Callable[[], object]) -> Callable[[], float]:
    """Seconds of one answer."""

    def several() -> None:
        for _ in range(_ANSWERS_A_ROUND):
            answer()

    return lambda: seconds(several) / _ANSWERS_A_ROUND


def _requests(dynamodb: "DynamoDBClient", answer: Callable[[], object]) -> int:
    made: list[object] = []

    def note(request: object, **_: object) -> None:
        made.append(request)

    events = dynamodb.meta.events
    events.register("before-send.dynamodb", note)
    answer()
    events.unregister("before-send.dynamodb", note)
    return len(made)
