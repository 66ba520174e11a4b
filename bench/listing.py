"""What the API does for an answer, with few jobs in the table and with very many.

CPU of this process, and requests: DynamoDB finds a page in any table as fast as in a small one, but
the local AWS walks the whole table for each query of an index, so its time tells nothing.
"""

from collections.abc import Callable, Iterator, Mapping

from bench.filling import QUEUE, fill, job_id
from bench.recording import Stand, twin_of
from bench.report import Row, times
from bench.timing import cpu_seconds, in_turn
from chalicelib.api import formats
from chalicelib.api.access import Scope
from chalicelib.api.jobs import Jobs
from chalicelib.array_table import ArrayTable
from chalicelib.job_log import JobLog
from chalicelib.job_table import JobTable
from chalicelib.prices import Prices
from chalicelib.redaction import Redaction
from chalicelib.wait_places import WaitPlaces
from local.aws import LocalAws

_MOST_ROUNDS = 2
"""Each takes the local AWS many seconds in a large table."""
_LIST: Mapping[str, list[str]] = {"queue": [QUEUE], "status": ["FAILED"]}


def rows(aws: LocalAws, few: int, many: int, rounds: int) -> Iterator[Row]:
    stand = Stand(aws)
    tables = {few: stand.resources.jobs_table, many: twin_of(stand)}
    answers: dict[str, Callable[[], object]] = {}
    for jobs, table in tables.items():
        fill(aws.dynamodb, table, range(jobs))
        api = _api(aws, table)
        answers |= {f"{path} {jobs}": answer for path, answer in _answers(api, jobs).items()}
    requests = {name: _requests(aws, answer) for name, answer in answers.items()}
    measured = in_turn(
        min(rounds, _MOST_ROUNDS),
        {name: _measure(answer) for name, answer in answers.items()},
    )
    for path in _answers(_api(aws, stand.resources.jobs_table), few):
        small, large = f"{path} {few}", f"{path} {many}"
        yield Row(
            f"CPU to answer {path}, {many:,} jobs",
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


def _api(aws: LocalAws, table: str) -> Jobs:
    """Without the app's client, which would not wait long enough for the local AWS."""
    return Jobs(
        JobTable(aws.dynamodb, table),
        ArrayTable(aws.dynamodb, table),
        JobLog(aws.client("logs"), (), Redaction()),
        WaitPlaces(aws.dynamodb, table),
        Prices(),
        lambda: b"key",
    )


def _answers(api: Jobs, jobs: int) -> dict[str, Callable[[], object]]:
    scope = Scope(("*",))

    def one() -> object:
        return formats.written(api.one(job_id(jobs // 2), {}, scope).body, formats.JSON)

    def listed() -> object:
        return formats.written(api.page(_LIST, scope), formats.JSON)

    return {"/jobs/{jobId}": one, "/jobs?queue=…&status=FAILED": listed}


def _measure(answer: Callable[[], object]) -> Callable[[], float]:
    return lambda: cpu_seconds(answer)


def _requests(aws: LocalAws, answer: Callable[[], object]) -> int:
    made: list[object] = []

    def note(request: object, **_: object) -> None:
        made.append(request)

    events = aws.dynamodb.meta.events
    events.register("before-send.dynamodb", note)
    answer()
    events.unregister("before-send.dynamodb", note)
    return len(made)
