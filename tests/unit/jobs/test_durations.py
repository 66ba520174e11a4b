"""Durations of a job, from the times of AWS Batch where they are known."""

from typing import Any

import pytest

from chalicelib.jobs.durations import Durations, durations
from chalicelib.jobs.job import ArrayFacts, Attempt, Details, Job, Source, Transition
from tests.support.builders import NOON


def a_job(history: list[tuple[str, int, int]], **details: Any) -> Job:
    """Return a job with a history of (status, generation, seconds after noon)."""
    status, generation, at = history[-1]
    fields = {"job_name": "align", "job_queue": "q", "created_at": NOON} | details
    return Job(
        "job",
        Details(status=status, generation=generation, time=NOON + at * 1000, **fields),
        tuple(
            Transition(status, generation, NOON + at * 1000) for status, generation, at in history
        ),
    )


def at(seconds: float) -> int:
    return NOON + round(seconds * 1000)


def durations_at(job: Job, now: float) -> Durations:
    return durations(job, at(now))


def test_a_waiting_job_has_only_a_total() -> None:
    job = a_job([("RUNNABLE", 0, 1)])

    assert durations_at(job, 100) == Durations(None, None, None, None, 100)


def test_a_running_job_runs_until_now() -> None:
    job = a_job([("STARTING", 0, 40), ("RUNNING", 0, 60)], started_at=at(59.5))

    assert durations_at(job, 100) == Durations(None, 59.5, 19.5, 40.5, 100)


def test_an_ended_job_has_the_times_of_batch() -> None:
    first, second = Attempt(at(10), at(20)), Attempt(at(50.25), at(80))
    job = a_job(
        [("RUNNING", 0, 10), ("STARTING", 1, 45), ("RUNNING", 1, 50), ("SUCCEEDED", 2, 81)],
        attempts=(first, second),
        started_at=at(50.25),
        stopped_at=at(80),
    )

    assert durations_at(job, 999) == Durations(None, 10, 5.25, 39.75, 80)


def test_a_job_that_waits_for_a_retry_has_run_before() -> None:
    job = a_job([("RUNNABLE", 1, 30)], attempts=(Attempt(at(10), at(20)),), started_at=at(10))

    assert durations_at(job, 100).running_seconds == 10


@pytest.mark.parametrize("listed", [True, False])
def test_the_running_attempt_counts_whether_it_is_listed_or_not(listed: bool) -> None:
    attempts = (Attempt(at(10), at(20)), *([Attempt(at(50))] if listed else []))
    job = a_job([("RUNNING", 1, 50)], attempts=attempts, started_at=at(50))

    assert durations_at(job, 60).running_seconds == 20


def test_an_attempt_that_never_started_ran_for_no_time() -> None:
    job = a_job([("FAILED", 1, 30)], attempts=(Attempt(None, at(30)),), stopped_at=at(30))

    assert durations_at(job, 100) == Durations(None, None, None, None, 30)


def test_no_duration_is_negative_though_event_times_are_truncated_to_seconds() -> None:
    job = a_job([("STARTING", 0, 5), ("RUNNING", 0, 4)], created_at=at(6), started_at=at(4.9))

    assert durations_at(job, 3) == Durations(None, 0, 0, 0, 0)


def test_an_unknown_duration_is_none() -> None:
    job = a_job([("RUNNABLE", 0, 0)], created_at=None)

    assert durations_at(job, 9) == Durations(None, None, None, None, None)


WAITED = [("SUBMITTED", 0, 0), ("PENDING", 0, 2), ("RUNNABLE", 0, 3602), ("RUNNING", 0, 3700)]


def test_the_time_spent_on_dependencies_is_not_queue_time() -> None:
    times = durations_at(a_job(WAITED, started_at=at(3699.5)), 4000)

    assert (times.pending_seconds, times.queued_seconds) == (3600, 97.5)


def test_a_pending_job_waits_for_its_dependencies_until_now() -> None:
    assert durations_at(a_job(WAITED[:2]), 100).pending_seconds == 98


def test_a_job_cancelled_while_pending_waited_until_then() -> None:
    job = a_job([*WAITED[:2], ("FAILED", 0, 50)], stopped_at=at(49))

    assert durations_at(job, 100).pending_seconds == 48


def test_an_array_does_not_wait_while_its_children_run() -> None:
    assert durations_at(a_job(WAITED[:2], array=ArrayFacts(size=9)), 100).pending_seconds is None


def test_the_queue_time_of_a_retried_job_ends_with_its_first_start() -> None:
    history = [*WAITED, ("RUNNABLE", 1, 4000), ("RUNNING", 1, 5000)]
    attempts = (Attempt(at(3700), at(3990)), Attempt(at(5000)))

    assert durations_at(a_job(history, attempts=attempts), 5000).queued_seconds == 98


def test_a_repair_does_not_date_the_queue_time() -> None:
    runnable = Transition("RUNNABLE", 0, at(60), Source.REPAIR)
    job = a_job([("RUNNING", 0, 100)], started_at=at(100))
    repaired = Job(job.job_id, job.details, (runnable, *job.history))

    times = durations_at(repaired, 100)

    assert (times.pending_seconds, times.queued_seconds) == (None, 100)
