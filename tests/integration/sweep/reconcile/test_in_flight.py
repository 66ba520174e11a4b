"""Jobs in flight of a crashed run are processed again by the next runs."""

from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable, InFlight
from tests.support.builders import NOON, a_service_body, a_service_detail
from tests.support.sweep_harness import DAY, HOUR, SweepHarness


def test_more_jobs_in_flight_than_calls_are_processed_by_several_runs(
    harness: SweepHarness,
) -> None:
    jobs = [a_service_detail(status="RUNNING", createdAt=NOON - DAY) for _ in range(9)]
    harness.recorder.record([a_service_body(**job, at=NOON) for job in jobs])
    harness.batch.put(jobs)
    checkpoints = CheckpointTable(harness.recorder.dynamodb, harness.recorder.resources.jobs_table)
    crashed = InFlight(started_at=NOON - HOUR, job_ids=[job["jobId"] for job in jobs])
    checkpoints.put_in_flight("crashed", crashed)

    harness.reconcile_until_done(calls=5)

    assert sum(tally.known_to_batch for tally in harness.tallies) == 9
    assert checkpoints.in_flight() == {}
