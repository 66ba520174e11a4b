"""Records and notices are the same wherever a run crashes: another run completes its work."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from chalicelib.notices.rules import Rules
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.builders import NOON, a_body, a_detail, a_job_id
from tests.support.simulation.dropped_events import ended_workload, record_some_events
from tests.support.sweep_harness import DAY, HOUR, SweepHarness

NOTIFY_ENDS = Rules.parse('[[rule]]\non = ["SUCCEEDED", "FAILED"]', "room")
NEVER = -1


def queued_notices(harness: SweepHarness) -> set[tuple[str, str]]:
    """Return job id and kind of the notices on the queue, and remove them."""
    notices = [json.loads(body) for body in harness.notices()]
    return {(notice["jobId"], notice["kind"]) for notice in notices}


@dataclass
class Countdown:
    """Calls a function when it is itself called the nth time."""

    left: int
    then: Callable[[], object]

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.then()


def test_records_and_notices_do_not_depend_on_where_a_run_crashes(
    running_aws: LocalAws, batch: BatchServer
) -> None:
    work = ended_workload(25, seed=3)

    def new_harness() -> SweepHarness:
        running_aws.reset()
        harness = SweepHarness(running_aws, running_aws.create_resources(), batch, NOTIFY_ENDS)
        record_some_events(harness, work, 0.6)
        harness.notices()
        return harness

    undisturbed = new_harness()
    length = undisturbed.reconcile_crashing_at(NEVER)
    undisturbed.reconcile()
    expected = undisturbed.recorder.records(), queued_notices(undisturbed)

    for nth in range(5, length, max(1, length // 8)):
        harness = new_harness()
        harness.reconcile_crashing_at(nth)
        harness.reconcile()
        harness.reconcile()
        assert (harness.recorder.records(), queued_notices(harness)) == expected, nth


def test_a_run_that_crashes_during_another_run_loses_no_notice(
    aws: LocalAws, resources: Resources, batch: BatchServer
) -> None:
    harness = SweepHarness(aws, resources, batch, NOTIFY_ENDS)

    def put_job_that_ended_without_event() -> str:
        job_id = a_job_id()
        harness.now += 2 * HOUR
        running = a_body(jobId=job_id, status="RUNNING", at=harness.now - 2 * HOUR)
        harness.recorder.record([running])
        ended = {"status": "FAILED", "stoppedAt": harness.now - HOUR}
        batch.put([a_detail(jobId=job_id, createdAt=NOON - HOUR, **ended)])
        return job_id

    put_job_that_ended_without_event()
    length = harness.reconcile_crashing_at(NEVER)
    for nth in range(length - 24, length, 3):
        job_id = put_job_that_ended_without_event()
        crash_meanwhile = Countdown(length - 40, partial(harness.reconcile_crashing_at, nth))
        harness.reconcile(on_request=crash_meanwhile)
        harness.reconcile()
        assert (job_id, "FAILED") in queued_notices(harness), nth


def test_a_run_that_crashes_near_its_end_does_not_leave_a_lost_job_to_the_next_pass(
    running_aws: LocalAws, batch: BatchServer
) -> None:
    lost, known = a_job_id(), a_detail(status="RUNNING", createdAt=NOON - 2 * HOUR)
    batch.put([known])

    def new_harness() -> SweepHarness:
        running_aws.reset()
        harness = SweepHarness(running_aws, running_aws.create_resources(), batch)
        running = a_body(jobId=lost, status="RUNNING", at=NOON - 9 * DAY)
        harness.recorder.record([running, a_body(**known, at=NOON - 2 * HOUR)])
        return harness

    length = new_harness().reconcile_crashing_at(NEVER)

    for nth in range(length - 8, length, 2):
        harness = new_harness()
        harness.reconcile_crashing_at(nth)
        harness.reconcile()
        assert harness.recorder.job(lost).status == "UNKNOWN", nth - length
