"""Stuck jobs by status and cause, the rooms that they concern, and when an incident is news."""

from typing import Any

import pytest

from chalicelib.jobs.pending_reason import explain
from chalicelib.queues.stuck.bulk_incident import (
    BulkIncident,
    NamedJob,
    groups_of,
    renamed,
    shares_of,
    totals_of,
)
from tests.support.builders import NOON
from tests.unit.queues.stuck.test_overdue import NO_CAPACITY, a_job

TOO_LARGE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x"
CAPACITY, LARGE = (explain("RUNNABLE", reason).cause or "" for reason in (NO_CAPACITY, TOO_LARGE))


def an_incident(**fields: Any) -> BulkIncident:
    values: dict[str, Any] = {
        "status": "RUNNABLE",
        "since": NOON,
        "jobs": 60,
        "longest": NamedJob("j", "n"),
        "longest_since": NOON,
        "reported_at": NOON,
        "reported_jobs": 60,
    }
    return BulkIncident(**{**values, **fields})


def test_jobs_without_a_reason_have_the_most_frequent_known_cause_of_their_status() -> None:
    head, other = a_job("head", status_reason=NO_CAPACITY), a_job("x", status_reason=TOO_LARGE)
    second = a_job("second", status_reason=NO_CAPACITY)
    waiting = [a_job(f"j-{number}") for number in range(60)]
    starting = a_job("s", "STARTING")

    groups = groups_of([head, second, other, *waiting, starting], [], "")

    sizes = {key: len(group.jobs) for key, group in groups.items()}
    assert sizes == {("RUNNABLE", CAPACITY): 62, ("RUNNABLE", LARGE): 1, ("STARTING", ""): 1}
    assert groups["RUNNABLE", CAPACITY].reason == NO_CAPACITY


@pytest.mark.parametrize(
    ("status", "incidents", "blocked_cause", "cause"),
    [
        ("RUNNABLE", [], "", ""),
        ("RUNNABLE", [], "of the block", "of the block"),
        ("STARTING", [], "of the block", ""),
        ("RUNNABLE", [an_incident(cause="of it")], "of the block", "of it"),
        ("STARTING", [an_incident(cause="of it")], "", ""),
    ],
)
def test_without_any_reason_the_cause_is_that_of_the_incident_or_the_block(
    status: str, incidents: list[BulkIncident], blocked_cause: str, cause: str
) -> None:
    groups = groups_of([a_job(status=status)], incidents, blocked_cause)

    assert list(groups) == [(status, cause)]


def test_jobs_that_were_not_read_are_attributed_to_the_largest_group_of_the_status() -> None:
    jobs = [a_job(f"j-{n}", status_reason=NO_CAPACITY if n else TOO_LARGE) for n in range(4)]
    groups = groups_of([*jobs, a_job("s", "STARTING")], [], "")

    totals = totals_of(groups, {"RUNNABLE": 1_000, "PENDING": 5})

    assert totals == {("RUNNABLE", CAPACITY): 999, ("RUNNABLE", LARGE): 1, ("STARTING", ""): 1}


@pytest.mark.parametrize(
    ("cause", "jobs", "is_news"),
    [
        ("", 60, False),
        ("", 599, False),
        ("", 600, True),
        ("known", 60, False),
        ("new", 60, True),
        ("", 4, False),
        ("", 3, True),
    ],
)
def test_an_incident_is_news_with_a_new_cause_tenfold_jobs_or_when_few_are_left(
    cause: str, jobs: int, is_news: bool
) -> None:
    incident = an_incident(reported_causes=("known",))

    assert incident.is_news(cause, jobs) == is_news


def test_few_jobs_are_news_once_and_a_consequence_of_a_block_never_is() -> None:
    assert not an_incident(is_few_reported=True).is_news("", 2)
    assert not an_incident(thread=NOON).is_news("new", 6_000)


def test_each_room_gets_the_count_and_the_names_that_its_rules_match() -> None:
    jobs = [(a_job(f"j-{n}"), ("all", "some") if n < 5 else ("all",)) for n in range(10)]

    exact, sample = (
        {share.room: share for share in shares_of(jobs, total)} for total in (10, 1_000)
    )

    assert {room: (each.jobs, each.is_at_least) for room, each in exact.items()} == {
        "all": (10, False),
        "some": (5, False),
    }
    assert {room: (each.jobs, each.is_at_least) for room, each in sample.items()} == {
        "all": (1_000, False),
        "some": (5, True),
    }
    assert [name.job_id for name in sample["some"].names] == ["j-0", "j-1", "j-2"]


def test_when_few_jobs_are_left_the_shares_name_those_of_the_room() -> None:
    jobs = [(a_job(f"j-{n}"), ("all", "some") if n < 5 else ("all",)) for n in range(10)]
    (group,) = groups_of([a_job("j-1"), a_job("j-9")], [], "").values()

    shares = renamed(shares_of(jobs, 10), group, 2, 10)

    names = {share.room: [name.job_id for name in share.names] for share in shares}
    assert names == {"all": ["j-1", "j-9"], "some": ["j-1"]}
    assert [share.jobs for share in shares] == [2, 1]
