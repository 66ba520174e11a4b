"""Jobs that have not ended and had no event for REPAIR_AFTER are described, oldest first."""

from typing import Any

from chalicelib.jobs.job import Source
from tests.support.builders import (
    NOON,
    a_body,
    a_detail,
    a_job_id,
    a_service_body,
    a_service_detail,
    a_training,
    queue_arn,
)
from tests.support.sweep_harness import DAY, HOUR, SweepHarness


def a_training_detail(**fields: Any) -> dict[str, Any]:
    return a_service_detail(createdAt=NOON - 3 * HOUR, **fields)


def test_an_unchanged_job_is_described_once_per_pass_and_is_not_written(
    harness: SweepHarness,
) -> None:
    detail = a_detail(status="RUNNING", startedAt=NOON - 2 * HOUR, createdAt=NOON - 3 * HOUR)
    harness.recorder.record([a_body(**detail, at=NOON - 2 * HOUR)])
    harness.batch.put([detail])
    before = harness.recorder.records()

    described = [harness.reconcile().described for _ in range(3)]
    harness.now += HOUR
    described.append(harness.reconcile().described)

    assert described == [1, 0, 0, 1]
    assert harness.recorder.records() == before


def test_a_job_with_a_recent_event_is_not_described(harness: SweepHarness) -> None:
    harness.recorder.record([a_body(status="RUNNING", at=NOON - HOUR // 2)])

    assert harness.reconcile().described == 0


def test_a_repaired_transition_has_the_time_of_batch_and_the_source_repair(
    harness: SweepHarness,
) -> None:
    job_id = a_job_id()
    harness.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON - 3 * HOUR)])
    harness.batch.put([a_detail(jobId=job_id, status="FAILED", stoppedAt=NOON - HOUR)])

    harness.reconcile()

    last = harness.recorder.job(job_id).history[-1]
    assert (last.status, last.at, last.source) == ("FAILED", NOON - HOUR, Source.REPAIR)


def test_a_backlog_is_processed_by_several_runs_beginning_with_the_oldest_jobs(
    harness: SweepHarness,
) -> None:
    job_ids = [a_job_id() for _ in range(350)]
    times = {job_id: NOON - 2 * HOUR - n * 1000 for n, job_id in enumerate(job_ids)}
    running = [a_body(jobId=job_id, status="RUNNING", at=at) for job_id, at in times.items()]
    harness.recorder.record(running)
    ended = {"status": "SUCCEEDED", "stoppedAt": NOON - HOUR, "createdAt": NOON - 30 * DAY}
    harness.batch.put(a_detail(jobId=job_id, **ended) for job_id in job_ids)

    first = harness.reconcile(calls=4)
    still_running = {
        job_id for job_id in job_ids if harness.recorder.job(job_id).status == "RUNNING"
    }
    second = harness.reconcile(calls=4)

    assert (first.repaired, first.left) == (200, True)
    assert still_running == set(job_ids[:150])
    assert (second.repaired, second.left) == (150, False)


def test_a_restart_that_runs_out_of_calls_does_not_wait_for_events_in_later_runs_either(
    harness: SweepHarness,
) -> None:
    jobs = [(a_job_id(), queue_arn(queue)) for queue in ("a", "b") for _ in range(250)]
    harness.recorder.record(
        [
            a_body(jobId=job_id, jobQueue=queue, status="RUNNING", at=NOON - 60_000)
            for job_id, queue in jobs
        ]
    )
    ended = {"status": "SUCCEEDED", "createdAt": NOON - 30 * DAY, "stoppedAt": NOON - 1000}
    harness.batch.put(a_detail(jobId=job_id, jobQueue=queue, **ended) for job_id, queue in jobs)

    harness.reconcile(since=NOON - HOUR, calls=4)
    harness.reconcile_until_done(calls=4)

    assert sum(tally.repaired for tally in harness.tallies) == 500


def test_a_silent_service_job_is_repaired_with_a_call_of_its_own(harness: SweepHarness) -> None:
    detail = a_training_detail(status="RUNNING")
    harness.recorder.record([a_service_body(**detail, at=NOON - 2 * HOUR)])
    preempted = {"preemptedAttemptCount": 2, "recentPreemptedAttempts": []}
    ended = {"status": "SUCCEEDED", "stoppedAt": NOON - HOUR, "attempts": [a_training(1)]}
    harness.batch.put([detail | ended | {"preemptionSummary": preempted}])

    tally = harness.reconcile()

    job = harness.recorder.job(detail["jobId"])
    assert (job.status, job.details.generation, job.is_service) == ("SUCCEEDED", 3, True)
    assert (tally.repaired, tally.lost, tally.unknown_to_batch) == (1, 0, [])
    assert harness.batch.calls == {
        "DescribeJobQueues": 1,
        "DescribeServiceJob": 1,
        "ListServiceJobs": 1,
    }


def test_an_unchanged_service_job_is_not_written(harness: SweepHarness) -> None:
    detail = a_training_detail(status="RUNNING", latestAttempt={})
    harness.recorder.record([a_service_body(**detail, at=NOON - 2 * HOUR)])
    harness.batch.put([detail | {"tags": {"team": "x"}, "serviceRequestPayload": "{}"}])
    before = harness.recorder.records()

    tally = harness.reconcile()

    assert (tally.described, tally.known_to_batch, tally.repaired) == (1, 1, 0)
    assert harness.recorder.records() == before


def test_more_silent_service_jobs_than_calls_are_repaired_by_several_runs(
    harness: SweepHarness,
) -> None:
    details = [a_training_detail(status="RUNNING") for _ in range(60)]
    harness.recorder.record([a_service_body(**detail, at=NOON - 2 * HOUR) for detail in details])
    ended = {"status": "SUCCEEDED", "stoppedAt": NOON - HOUR}
    harness.batch.put(detail | ended for detail in details)

    tallies = [harness.reconcile(calls=30) for _ in range(3)]

    assert [tally.repaired for tally in tallies] == [20, 20, 20]
    assert [tally.left for tally in tallies] == [True, True, False]
    assert all(tally.calls <= 30 for tally in tallies)
