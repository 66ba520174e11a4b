"""Which overdue jobs are stuck, and which of them Batch must confirm."""

from typing import Any

import pytest

from chalicelib.jobs.job import ArrayFacts, Details, Job, Transition
from chalicelib.queues.stuck.overdue import OverdueJobs, StuckJob, StuckKey, UsualRunTime
from tests.support.builders import NOON

HOUR = 3_600_000
LIMITS = {"RUNNABLE": HOUR, "PENDING": 24 * HOUR, "STARTING": HOUR // 2}
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"
NOW = NOON + 2 * HOUR


def a_job(
    job_id: str = "j-1", status: str = "RUNNABLE", *, since: int = NOON, **fields: Any
) -> Job:
    details = Details(
        status=status, generation=0, time=since, job_name="n", job_queue="q", **fields
    )
    return Job(job_id, details, (Transition(status, 0, since),))


def overdue(*jobs: Job, **fields: Any) -> OverdueJobs:
    return OverdueJobs.among(jobs, now=NOW, limits=LIMITS, **fields)


def stuck(jobs: OverdueJobs) -> list[str]:
    return [job.job_id for job in jobs.stuck()]


@pytest.mark.parametrize(
    ("run_times", "limit"),
    [
        ([HOUR] * 9 + [10 * HOUR], 3 * HOUR),
        ([HOUR] * 8 + [10 * HOUR] * 2, 3 * 10 * HOUR),
        ([HOUR / 60] * 5, HOUR),
        ([HOUR] * 4, None),
    ],
)
def test_the_limit_of_running_is_three_times_the_90th_percentile_but_at_least_an_hour(
    run_times: list[float], limit: float | None
) -> None:
    usual = UsualRunTime.of(run_times)

    assert (usual and usual.limit_ms) == limit


@pytest.mark.parametrize(
    ("last_start", "reason", "is_stuck"),
    [
        (0, None, True),
        (NOW - HOUR, None, True),
        (NOW - HOUR + 1, None, False),
        (NOW, None, False),
        (NOW, NO_CAPACITY, True),
        (NOW, "something else", False),
    ],
)
def test_a_runnable_job_is_stuck_if_batch_gives_a_reason_or_its_queue_does_not_move(
    last_start: int, reason: str | None, is_stuck: bool
) -> None:
    jobs = overdue(a_job(status_reason=reason), last_start=last_start)

    assert stuck(jobs) == ["j-1"] * is_stuck


@pytest.mark.parametrize(("reason", "is_stuck"), [(None, False), (NO_CAPACITY, True)])
def test_a_runnable_job_of_an_occupied_queue_is_stuck_only_if_batch_gives_a_reason(
    reason: str | None, is_stuck: bool
) -> None:
    jobs = overdue(a_job(status_reason=reason), is_occupied=True)

    assert stuck(jobs) == ["j-1"] * is_stuck


@pytest.mark.parametrize("status", ["RUNNABLE", "PENDING", "STARTING"])
@pytest.mark.parametrize("flag", ["is_cancelled", "is_terminated"])
def test_a_job_that_a_person_ended_and_that_still_waits_is_not_stuck(
    status: str, flag: str
) -> None:
    assert stuck(overdue(a_job(status=status, **{flag: True}))) == []


def test_a_terminated_job_that_still_runs_can_be_stuck() -> None:
    assert stuck(overdue(a_job(status="RUNNING", is_terminated=True))) == ["j-1"]


def test_a_job_in_another_status_is_stuck_even_if_its_queue_moves() -> None:
    assert stuck(overdue(a_job(status="STARTING"), last_start=NOW)) == ["j-1"]


def test_a_pending_job_is_not_stuck_while_a_job_that_it_depends_on_is_active() -> None:
    waiting, forgotten = (a_job(job_id, "PENDING") for job_id in ("waiting", "forgotten"))

    jobs = overdue(waiting, forgotten, dependent={"waiting"})

    assert stuck(jobs) == ["forgotten"]
    assert [job.job_id for job in jobs.to_confirm([], 10)] == ["forgotten"]


def test_an_array_is_one_job_in_each_status_with_the_number_of_its_children() -> None:
    children = [a_job(f"array:{index}", since=NOON - index) for index in range(3)]
    starting = a_job("array:9", "STARTING")

    jobs = overdue(*children, starting)

    runnable = StuckKey("array", "RUNNABLE")
    assert jobs.jobs == {runnable: children[2], StuckKey("array", "STARTING"): starting}
    assert (jobs.children[runnable], jobs.counts()) == (3, {"RUNNABLE": 1, "STARTING": 1})
    assert StuckJob.of(children[2]).child == 2


def test_the_number_of_children_is_unknown_if_not_all_were_read() -> None:
    jobs = overdue(a_job("array:1"), truncated=["RUNNABLE"])

    assert jobs.children == {StuckKey("array", "RUNNABLE"): None}


def test_neither_a_node_nor_an_array_that_waits_for_its_children_is_stuck() -> None:
    waiting = a_job("array", "PENDING", array=ArrayFacts(size=3))
    child = a_job("other:0", "PENDING", array=ArrayFacts(index=0))

    assert stuck(overdue(a_job("multi#1"), waiting, child)) == ["other:0"]


def test_a_job_that_was_stuck_before_its_queue_was_watched_is_left_out() -> None:
    before, after = a_job("before"), a_job("after", since=NOON + 1)

    assert stuck(overdue(before, after, watched_since=NOON + HOUR + 1)) == ["after"]


def test_jobs_that_were_not_reported_are_confirmed_and_a_few_that_wait_their_turn() -> None:
    reported = {StuckKey("j-1", "RUNNABLE")}
    few = [a_job(f"j-{number}", since=NOON + number) for number in range(3)]
    many = [a_job(f"j-{number}", since=NOON + number) for number in range(50)]

    def ids(jobs: OverdueJobs, limit: int) -> list[str]:
        return [job.job_id for job in jobs.to_confirm(reported, limit)]

    assert ids(overdue(*few), 100) == ["j-0", "j-2"]
    assert ids(overdue(*few), 1) == ["j-0"]
    assert len(ids(overdue(*many, last_start=NOW), 100)) == 10


def test_a_reported_job_is_resolved_when_it_leaves_its_status() -> None:
    reported = StuckJob.of(a_job())

    assert not reported.is_resolved(a_job(), overdue())
    assert reported.is_resolved(a_job(status="STARTING"), overdue(a_job()))
    assert reported.is_resolved(a_job(status="FAILED"), overdue(a_job()))


def test_a_reported_array_or_unknown_job_is_resolved_when_it_is_no_longer_overdue() -> None:
    reported = StuckJob.of(a_job("array:7"))
    root = a_job("array", "PENDING", array=ArrayFacts(size=9))

    assert not reported.is_resolved(root, overdue(a_job("array:8")))
    assert reported.is_resolved(root, overdue(a_job("array:8", "STARTING")))
    assert reported.is_resolved(None, overdue())
