"""Jobs that Batch does not return are shown as UNKNOWN after Batch's retention of seven days, and
reported by an alarm before."""

from typing import Any

import pytest

from tests.support.builders import (
    NOON,
    a_body,
    a_detail,
    a_job_id,
    a_service_body,
    a_service_detail,
    an_ended_detail,
    queue_arn,
)
from tests.support.simulation.dropped_events import ended_workload, record_some_events
from tests.support.sweep_harness import DAY, HOUR, SweepHarness


def a_training_detail() -> dict[str, Any]:
    return a_service_detail(status="RUNNING", createdAt=NOON - 3 * HOUR)


def test_a_job_that_batch_has_deleted_is_unknown_until_a_later_transition_is_recorded(
    harness: SweepHarness,
) -> None:
    job_id, known = a_job_id(), a_detail(createdAt=NOON - 2 * HOUR, status="RUNNING")
    running = a_body(jobId=job_id, status="RUNNING", at=NOON - 8 * DAY)
    harness.recorder.record([running, a_body(**known, at=NOON - 2 * HOUR)])
    harness.batch.put([known])

    tally = harness.reconcile()

    assert (tally.lost, tally.unknown_to_batch) == (1, [])
    assert harness.recorder.job(job_id).status == "UNKNOWN"
    harness.recorder.record([running])
    assert harness.recorder.job(job_id).status == "UNKNOWN"
    harness.recorder.record([a_body(jobId=job_id, status="FAILED", at=NOON - 7 * DAY)])
    assert harness.recorder.job(job_id).status == "FAILED"


def test_a_job_that_batch_should_return_keeps_its_status_and_is_counted_for_the_alarm(
    harness: SweepHarness,
) -> None:
    job_id = a_job_id()
    harness.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON - 6 * DAY)])

    tally = harness.reconcile()

    assert (tally.lost, tally.unknown_to_batch) == (0, [job_id])
    assert harness.recorder.job(job_id).status == "RUNNING"


def test_no_job_becomes_unknown_in_the_wrong_region(harness: SweepHarness) -> None:
    record_some_events(harness, ended_workload(300), 0.5)
    old = a_job_id()
    harness.recorder.record([a_body(jobId=old, status="RUNNING", at=NOON - 9 * DAY)])
    harness.batch.is_wrong_region = True

    tallies = [harness.reconcile() for _ in range(3)]

    jobs = [item for item in harness.recorder.items() if "jobId" in item]
    assert "UNKNOWN" not in {job["status"]["S"] for job in jobs}
    assert [bool(tally.unknown_to_batch) for tally in tallies] == [True, False, False]


@pytest.mark.parametrize("is_wrong_region", [True, False])
def test_a_job_becomes_unknown_only_if_batch_returns_a_recently_ended_job(
    harness: SweepHarness, is_wrong_region: bool
) -> None:
    old, ended = a_job_id(), a_detail(status="FAILED", createdAt=NOON - DAY, stoppedAt=NOON - HOUR)
    running = a_body(jobId=old, status="RUNNING", at=NOON - 9 * DAY)
    harness.recorder.record([running, a_body(**ended, at=NOON - HOUR)])
    harness.batch.put([ended])
    harness.batch.is_wrong_region = is_wrong_region

    tally = harness.reconcile()

    assert tally.unknown_to_batch == ([ended["jobId"]] if is_wrong_region else [])
    assert harness.recorder.job(old).status == ("RUNNING" if is_wrong_region else "UNKNOWN")


def test_the_recently_ended_job_may_be_in_any_queue(harness: SweepHarness) -> None:
    old, ended = a_job_id(), an_ended_detail(jobQueue=queue_arn("other"))
    running = a_body(jobId=old, status="RUNNING", at=NOON - 9 * DAY)
    harness.recorder.record([running, a_body(**ended, at=NOON - 2 * HOUR)])
    harness.batch.is_wrong_region = True

    tally = harness.reconcile()

    assert harness.recorder.job(old).status == "RUNNING"
    assert tally.unknown_to_batch == [ended["jobId"]]


def test_service_jobs_that_batch_does_not_return_are_treated_alike(harness: SweepHarness) -> None:
    known, old, young = a_training_detail(), a_training_detail(), a_training_detail()
    events = {NOON - 2 * HOUR: known, NOON - 8 * DAY: old, NOON - 6 * DAY: young}
    harness.recorder.record([a_service_body(**detail, at=at) for at, detail in events.items()])
    harness.batch.put([known])

    tally = harness.reconcile()

    assert (tally.lost, tally.unknown_to_batch) == (1, [young["jobId"]])
    assert harness.recorder.job(old["jobId"]).status == "UNKNOWN"
    assert harness.recorder.job(young["jobId"]).status == "RUNNING"
