"""The parameters of queries: what is accepted, what is refused with which message, and how they are
described."""

from typing import Any

import pytest

from chalicelib.api.errors import BadParameter
from chalicelib.api.parameters import arns
from chalicelib.api.parameters.parameter import Query, describe, parse
from chalicelib.api.parameters.queries import (
    ChildrenQuery,
    JobQuery,
    JobsQuery,
    LogQuery,
    NoParameters,
    Time,
    identity,
)
from chalicelib.jobs.job import Details, Job, Transition
from chalicelib.jobs.job_index import ANY_TIME, TimeRange
from tests.support.builders import NOON

DAY = 86_400_000
STATUSES = (
    "SUBMITTED, PENDING, RUNNABLE, SCHEDULED, STARTING, RUNNING, SUCCEEDED, FAILED, UNKNOWN, OTHER"
)
NAMES = "queue, status, name, since, until, limit, nextToken"
QUEUE_NAME = "a job queue name (1 to 128 letters, digits, dots, dashes and underscores) or its ARN"
QUEUE_ARN = "arn:aws:batch:us-east-1:000000000000:job-queue/gpu"
A_TIME = "a time such as 2026-11-24T03:55:00Z, 2026-11-24 or -24h"


def a_job(status: str, since: int = NOON) -> Job:
    details = Details(status=status, generation=0, time=since, job_name="align", job_queue="q")
    return Job("job", details, (Transition(status, 0, since),))


# Accepted


def test_a_query_without_parameters_has_the_defaults() -> None:
    assert parse(JobsQuery, {}) == JobsQuery(limit=25)
    assert parse(ChildrenQuery, {}) == ChildrenQuery(limit=25)
    assert parse(JobQuery, {}) == JobQuery(wait=None)
    assert parse(LogQuery, {}) == LogQuery(attempt=None, lines=100)
    assert parse(NoParameters, {}) == NoParameters()


def test_every_parameter_is_read_into_its_field() -> None:
    query = parse(
        JobsQuery,
        {
            "queue": ["gpu"],
            "status": ["failed,RUNNING", "FAILED"],
            "name": [" align "],
            "since": ["-24h"],
            "until": ["2026-05-28"],
            "limit": ["100"],
            "nextToken": ["abc"],
        },
    )

    assert query == JobsQuery(
        queue="gpu",
        status=("FAILED", "RUNNING"),
        name="align",
        since=Time(-DAY, is_relative=True),
        until=Time(1_779_926_400_000),
        limit=100,
        next_token="abc",
    )


@pytest.mark.parametrize("limit", ["100", "101", "100000", "0" * 10 + "101", "9" * 2_000])
def test_a_limit_above_100_is_100(limit: str) -> None:
    assert parse(JobsQuery, {"limit": [limit]}).limit == 100
    assert parse(ChildrenQuery, {"limit": [limit]}).limit == 100


def test_the_arn_of_a_queue_is_its_name() -> None:
    by_arn = parse(JobsQuery, {"queue": [QUEUE_ARN]})

    assert by_arn == parse(JobsQuery, {"queue": ["gpu"]})


@pytest.mark.parametrize(
    ("text", "job_id"),
    [
        ("arn:aws:batch:us-east-1:000000000000:job/4c75:12", "4c75:12"),
        ("arn:aws-cn:batch:cn-north-1:000000000000:service-job/4c75", "4c75"),
        ("4c75#1", "4c75#1"),
        (QUEUE_ARN, QUEUE_ARN),
    ],
)
def test_the_arn_of_a_job_is_its_id(text: str, job_id: str) -> None:
    assert arns.job_id(text) == job_id


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("2026-05-28T20:26:40Z", NOON),
        ("2026-05-28t20:26:40z", NOON),
        ("2026-05-28T20:26:40.5Z", NOON + 500),
        ("2026-05-28T22:26:40+02:00", NOON),
        ("2026-05-28T22:26:40 02:00", NOON),
        ("1969-01-01", 0),
        ("-30s", NOON - 30_000),
        ("-15m", NOON - 900_000),
        ("-1h", NOON - 3_600_000),
        ("-2d", NOON - 2 * DAY),
        ("-1w", NOON - 7 * DAY),
        ("-999999w", 0),
    ],
)
def test_a_time_is_absolute_or_relative_to_the_request(text: str, milliseconds: int) -> None:
    assert Time.parse(text).at(NOON) == milliseconds


def test_since_is_inclusive_and_until_exclusive() -> None:
    window = parse(JobsQuery, {"since": ["-1d"], "until": ["-1h"]}).window(NOON)

    assert window == TimeRange(NOON - DAY, NOON - 3_600_000)
    assert parse(JobsQuery, {}).window(NOON) == ANY_TIME


def test_a_filter_keeps_jobs_of_the_status_and_time() -> None:
    keeps = JobsQuery(status=("FAILED", "OTHER"), since=Time(NOON)).filter(NOON)

    assert keeps is not None
    assert keeps(a_job("FAILED"))
    assert keeps(a_job("HIBERNATING"))
    assert not keeps(a_job("RUNNING"))
    assert not keeps(a_job("FAILED", NOON - 1))


def test_a_query_by_name_alone_needs_no_filter() -> None:
    assert JobsQuery(queue="gpu", name="align").filter(NOON) is None


def test_a_page_token_is_bound_to_the_query_but_not_to_the_limit_or_the_time_of_the_request() -> (
    None
):
    query = parse(JobsQuery, {"status": ["FAILED,RUNNING"], "since": ["-24h"]})
    same = parse(
        JobsQuery,
        {"status": ["RUNNING", "failed"], "since": ["-24h"], "limit": ["1"], "nextToken": ["x"]},
    )

    assert identity(query) == identity(same)
    assert identity(query) != identity(parse(JobsQuery, {"status": ["FAILED"], "since": ["-24h"]}))
    assert identity(JobsQuery(status=("FAILED",))) != identity(ChildrenQuery(status=("FAILED",)))


# Refused


@pytest.mark.parametrize(
    ("query", "given", "message"),
    [
        (JobsQuery, {"limit": ["0"]}, "limit: '0' is not a number from 1 to 100"),
        (JobsQuery, {"limit": ["1e2"]}, "limit: '1e2' is not a number from 1 to 100"),
        (JobsQuery, {"limit": ["ten"]}, "limit: 'ten' is not a number from 1 to 100"),
        (JobsQuery, {"limit": [""]}, "limit: '' is not a number from 1 to 100"),
        (JobsQuery, {"limit": ["\u0661"]}, "limit: '\u0661' is not a number from 1 to 100"),
        (ChildrenQuery, {"limit": ["-1"]}, "limit: '-1' is not a number from 1 to 100"),
        (JobsQuery, {"limit": ["1", "2"]}, "limit: 2 values given ('1', '2'), expected one"),
        (JobsQuery, {"name": ["a", "b"]}, "name: 2 values given ('a', 'b'), expected one"),
        (JobsQuery, {"queue": ["CHILDREN#gpu"]}, f"queue: 'CHILDREN#gpu' is not {QUEUE_NAME}"),
        (JobsQuery, {"queue": [""]}, f"queue: '' is not {QUEUE_NAME}"),
        (JobsQuery, {"queue": ["x" * 129]}, f"queue: '{'x' * 50}' is not {QUEUE_NAME}"),
        (JobsQuery, {"queue": ["x" * 3000]}, "queue: 3000 characters given, expected at most 2000"),
        (JobsQuery, {"status": ["DONE"]}, f"status: 'DONE' is not one of {STATUSES}"),
        (JobsQuery, {"status": [""]}, f"status: '' is not one of {STATUSES}"),
        (JobsQuery, {"status": ["FAILED,"]}, f"status: '' is not one of {STATUSES}"),
        (JobsQuery, {"stauts": ["FAILED"]}, f"stauts: unknown parameter; expected {NAMES}"),
        (JobsQuery, {"since": ["yesterday"]}, f"since: 'yesterday' is not {A_TIME}"),
        (JobsQuery, {"since": ["2026-13-01"]}, f"since: '2026-13-01' is not {A_TIME}"),
        (
            JobsQuery,
            {"since": ["2026-13-01T00:00:00Z"]},
            f"since: '2026-13-01T00:00:00Z' is not {A_TIME}",
        ),
        (JobsQuery, {"until": [""]}, f"until: '' is not {A_TIME}"),
        (JobsQuery, {"until": ["24h"]}, "until: '24h' has no sign; for 24h ago, use -24h"),
        (JobsQuery, {"until": ["+24h"]}, f"until: '+24h' is not {A_TIME}"),
        (
            JobsQuery,
            {"since": ["2026-11-24T03:55:00"]},
            "since: '2026-11-24T03:55:00' has no time zone; use 2026-11-24T03:55:00Z for UTC, or"
            " append an offset",
        ),
        (
            JobsQuery,
            {"since": ["2026-13-24T03:55:00"]},
            f"since: '2026-13-24T03:55:00' is not {A_TIME}",
        ),
        (
            JobsQuery,
            {"queue": [QUEUE_ARN.replace("job-queue", "job")]},
            f"queue: '{QUEUE_ARN.replace('job-queue', 'job')[:50]}' is not {QUEUE_NAME}",
        ),
        (
            JobsQuery,
            {"name": [" "]},
            "name: ' ' is not the beginning of a job name (1 to 200 characters)",
        ),
        (
            JobsQuery,
            {"name": ["x" * 201]},
            f"name: '{'x' * 50}' is not the beginning of a job name (1 to 200 characters)",
        ),
        (
            JobsQuery,
            {"nextToken": [""]},
            "nextToken: '' is not a nextToken (1 to 2000 characters)",
        ),
        (
            ChildrenQuery,
            {"queue": ["x"]},
            "queue: unknown parameter; expected status, limit, nextToken",
        ),
        (JobQuery, {"wait": ["0"]}, "wait: '0' is not a number from 1 to 25"),
        (JobQuery, {"wait": ["26"]}, "wait: '26' is not a number from 1 to 25"),
        (JobQuery, {"wait": ["x"]}, "wait: 'x' is not a number from 1 to 25"),
        (JobQuery, {"wait": [""]}, "wait: '' is not a number from 1 to 25"),
        (LogQuery, {"lines": ["1001"]}, "lines: '1001' is not a number from 1 to 1000"),
        (LogQuery, {"attempt": ["0"]}, "attempt: '0' is not a number from 1 to 1000"),
        (LogQuery, {"line": ["1"]}, "line: unknown parameter; expected attempt, container, lines"),
        (NoParameters, {"a": ["b"]}, "a: unknown parameter; this route has no parameters"),
    ],
)
def test_a_bad_parameter_is_refused_with_its_name_its_value_and_what_is_expected(
    query: type[Query], given: dict[str, list[str]], message: str
) -> None:
    with pytest.raises(BadParameter) as error:
        parse(query, given)

    assert str(error.value) == message
    assert error.value.parameter == message.partition(":")[0]


# Described


def described(query: type[Query]) -> dict[str, Any]:
    return {parameter["name"]: parameter["schema"] for parameter in describe(query)}


def test_the_description_has_the_limits_and_defaults_of_the_parser() -> None:
    assert described(LogQuery) == {
        "attempt": {"type": "integer", "minimum": 1, "maximum": 1000},
        "container": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"\S"},
        "lines": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
    }
    assert described(JobQuery) == {"wait": {"type": "integer", "minimum": 1, "maximum": 25}}
    assert ", ".join(described(JobsQuery)) == NAMES
    assert described(JobsQuery)["status"]["items"] == {"enum": STATUSES.split(", ")}
    assert described(JobsQuery)["name"]["maxLength"] == 200


@pytest.mark.parametrize("query", [JobsQuery, ChildrenQuery, JobQuery, LogQuery])
def test_every_parameter_is_described(query: type[Query]) -> None:
    for parameter in describe(query):
        assert parameter["in"] == "query"
        assert parameter["description"]


def test_the_examples_of_a_time_are_accepted() -> None:
    for example in described(JobsQuery)["since"]["examples"]:
        assert parse(JobsQuery, {"since": [example]}).since == Time.parse(example)
