"""Dates that AWS Batch can't mean reach no duration, usage, percentile or cost."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.durations import Durations, durations
from chalicelib.jobs.job import Job, Observation, Source
from chalicelib.jobs.job_detail.dates import EARLIEST
from chalicelib.jobs.usage import Usage, job_usage
from chalicelib.queues.rollup import Rollup
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import (
    ACCOUNT,
    HOUR,
    NOON,
    SOURCE,
    a_preemption,
    an_attempt,
    an_event,
    job_of_case,
    observed_case,
)

DAY = 24 * HOUR
CONTAINER = {"image": "busybox", "vcpus": 4, "memory": 1024}

reader = EventReader((SOURCE,), ACCOUNT, Redaction())


def read(**fields: Any) -> Observation:
    observation = reader.read(json.dumps(an_event(container=CONTAINER, **fields)))
    assert isinstance(observation, Observation)
    return observation


@pytest.mark.parametrize("source", Source)
def test_a_start_of_zero_is_not_a_start(source: Source) -> None:
    job = Job.from_observation(observed_case("runnable-start-zero", source))

    times, usage = durations(job, NOON * 2), job_usage(job, NOON * 2)

    assert job.details.started_at is None
    assert (times.queued_seconds, times.running_seconds) == (None, None)
    assert usage == (Usage(), Usage())


def test_an_array_that_started_at_zero_has_no_run_time() -> None:
    job = job_of_case("array-failed-start-zero")

    assert job.details.started_at is None
    assert durations(job, job.since).running_seconds is None


def test_zero_is_not_a_date_in_any_field() -> None:
    zeros = {"createdAt": 0, "startedAt": 0, "stoppedAt": 0}
    attempt = an_attempt(startedAt=0, stoppedAt=0)

    observation = read(status="FAILED", attempts=[attempt], eksAttempts=[attempt], **zeros)

    details = observation.details
    assert (details.created_at, details.started_at, details.stopped_at) == (None, None, None)
    assert [(a.started_at, a.stopped_at) for a in details.attempts] == [(None, None)] * 2
    assert details.generation == 0
    assert observation.invalid_fields == (), "AWS sends 0 for a date that it doesn't know"


def test_a_preempted_attempt_that_stopped_at_zero_has_no_end() -> None:
    attempt = {"startedAt": 0, "stoppedAt": 0}
    summary = {"preemptedAttemptCount": 1, "recentPreemptedAttempts": [attempt]}

    preemption = reader.read(a_preemption("Completed", "j", preemptionSummary=summary))

    assert getattr(preemption, "stopped_at", 0) is None


@pytest.mark.parametrize("date", [1, NOON // 1000, EARLIEST - 1, NOON + DAY + 1])
@pytest.mark.parametrize("field", ["createdAt", "startedAt", "stoppedAt"])
def test_an_impossible_date_of_a_job_is_left_out_and_named(field: str, date: int) -> None:
    observation = read(**{"status": "FAILED", field: date})

    details = observation.details
    left = {
        "createdAt": details.created_at,
        "startedAt": details.started_at,
        "stoppedAt": details.stopped_at,
    }
    assert left[field] is None
    assert observation.invalid_fields == (field,)


def test_an_ended_job_that_stopped_before_it_started_has_neither_date() -> None:
    observation = read(status="FAILED", startedAt=NOON, stoppedAt=NOON - 1)

    details = observation.details
    assert (details.started_at, details.stopped_at) == (None, None)
    assert observation.invalid_fields == ("startedAt", "stoppedAt")


def test_a_running_job_keeps_its_start_beside_the_end_of_an_earlier_attempt() -> None:
    details = read(status="RUNNING", startedAt=NOON, stoppedAt=NOON - 1).details

    assert (details.started_at, details.stopped_at) == (NOON, None)


def test_an_attempt_that_stopped_before_it_started_has_ended_and_has_no_run_time() -> None:
    attempt = an_attempt(startedAt=NOON, stoppedAt=NOON - HOUR)

    observation = read(status="RUNNABLE", attempts=[attempt])

    job = Job.from_observation(observation)
    assert job.details.generation == 1
    assert job.details.attempts[0].stopped_at == NOON - HOUR
    assert durations(job, NOON + DAY).running_seconds is None
    assert observation.invalid_fields == ("attempts.startedAt",)


@pytest.mark.parametrize("stopped_at", [1, NOON // 1000, NOON + 2 * DAY])
def test_an_attempt_with_an_impossible_end_has_ended_and_has_no_run_time(stopped_at: int) -> None:
    attempt = an_attempt(startedAt=NOON - HOUR, stoppedAt=stopped_at)

    job = Job.from_observation(read(status="FAILED", attempts=[attempt]))

    assert job.details.generation == 1
    assert durations(job, NOON + DAY).running_seconds is None


DATES = st.none() | st.integers(0, 2 * NOON) | st.integers(NOON - 10 * DAY, NOON + 10 * DAY)


@given(
    status=st.sampled_from(["RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED"]),
    dates=st.tuples(DATES, DATES, DATES),
    attempts=st.lists(st.tuples(DATES, DATES), max_size=3),
)
def test_no_dates_cost_more_than_the_time_since_the_earliest_possible_one(
    status: str, dates: tuple[int | None, ...], attempts: list[tuple[int | None, int | None]]
) -> None:
    observation = read(
        status=status,
        **dict(zip(("createdAt", "startedAt", "stoppedAt"), dates, strict=True)),
        attempts=[an_attempt(startedAt=start, stoppedAt=stop) for start, stop in attempts],
    )
    job = Job.from_observation(observation)

    times = durations(job, NOON)

    kept = [a.started_at for a in job.details.attempts] + [job.details.started_at]
    assert all(at is None or EARLIEST <= at <= NOON + DAY for at in kept)
    assert all(
        seconds is None or seconds * 1000 <= (NOON - EARLIEST + DAY) * (len(attempts) + 1)
        for seconds in (times.queued_seconds, times.running_seconds, times.total_seconds)
    )


def test_a_job_without_dates_leaves_the_costs_and_percentiles_of_its_queue_unchanged() -> None:
    known = Job.from_observation(
        read(
            status="SUCCEEDED",
            createdAt=NOON - HOUR,
            attempts=[an_attempt(startedAt=NOON - HOUR // 2, stoppedAt=NOON)],
        )
    )
    zeros = {"createdAt": 0, "startedAt": 0, "stoppedAt": 0}
    attempt = an_attempt(startedAt=0, stoppedAt=0)
    other = Job.from_observation(read(status="SUCCEEDED", attempts=[attempt], **zeros))

    alone, both = Rollup.of([known]), Rollup.of([known, other])

    assert (both.usage, both.wasted, both.run, both.wait) == (
        alone.usage,
        alone.wasted,
        alone.run,
        alone.wait,
    )


def test_the_durations_of_possible_dates_are_unchanged() -> None:
    job = Job.from_observation(
        read(
            status="SUCCEEDED",
            createdAt=NOON - 60_000,
            startedAt=NOON - 40_000,
            stoppedAt=NOON,
            attempts=[an_attempt(startedAt=NOON - 40_000, stoppedAt=NOON)],
        )
    )

    assert durations(job, NOON) == Durations(None, 20, None, 40, 60)
