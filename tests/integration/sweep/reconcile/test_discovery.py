"""Jobs that Batch lists and the table does not contain are discovered, however few calls a run has
and wherever it stops."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.notices.rules import Rules
from chalicelib.sweep.batch_api import BatchRefused
from local.aws import LocalAws, Resources
from local.batch import BatchServer
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
from tests.support.faulty_aws import FaultyAws, on, partial_failure
from tests.support.sweep_harness import DAY, HOUR, SweepHarness

QUEUE = "high-priority"

Edit = Callable[[str, Any], None]
"""Changes the response of an operation; an item `status` becomes the HTTP status."""


class EditedBatch(BatchServer):
    def __init__(self, edit: Edit) -> None:
        super().__init__(clock=lambda: NOON / 1000)
        self._edit = edit

    def respond(self, path: str, request: Any) -> tuple[int, Any]:
        status, response = super().respond(path, request)
        self._edit(path.removeprefix("/v1/"), response)
        return response.pop("status", status), response


def test_a_restart_does_not_wait_for_events(harness: SweepHarness) -> None:
    recorded, unrecorded = a_job_id(), a_job_id()
    harness.recorder.record([a_body(jobId=recorded, status="RUNNING", at=NOON - 1000)])
    ended = {"status": "FAILED", "createdAt": NOON - 2000, "stoppedAt": NOON - 1}
    harness.batch.put(a_detail(jobId=job_id, **ended) for job_id in (recorded, unrecorded))

    tally = harness.reconcile(since=NOON - HOUR)

    assert (tally.repaired, tally.discovered) == (1, 1)


def test_a_notice_about_a_discovered_job_has_the_time_of_the_transition(
    aws: LocalAws, resources: Resources, batch: BatchServer
) -> None:
    rules = Rules.parse('[[rule]]\non = ["RUNNING"]', "room")
    harness = SweepHarness(aws, resources, batch, rules)
    batch.put([a_detail(status="RUNNING", createdAt=NOON - 3 * DAY, startedAt=NOON - 2 * DAY)])

    harness.reconcile(queues=[QUEUE])

    assert [json.loads(notice)["at"] for notice in harness.notices()] == [NOON - 2 * DAY]


# Cursors


def test_a_cursor_that_passed_many_recorded_jobs_is_resumed_by_the_next_run(
    harness: SweepHarness,
) -> None:
    recorded = [an_ended_detail(createdAt=NOON - 3 * HOUR - number) for number in range(600)]
    oldest = an_ended_detail(createdAt=NOON - 5 * HOUR)
    for start in range(0, len(recorded), 300):
        details = recorded[start : start + 300]
        harness.recorder.record([a_body(**detail, at=NOON - 2 * HOUR) for detail in details])
    harness.batch.put([*recorded, oldest])

    harness.reconcile_until_done(calls=3)

    assert harness.unrecorded([oldest]) == []


def test_a_cursor_that_throttling_stopped_is_resumed_by_the_next_run(
    harness: SweepHarness,
) -> None:
    recorded = [an_ended_detail(createdAt=NOON - 3 * HOUR - number) for number in range(300)]
    harness.recorder.record([a_body(**detail, at=NOON - 2 * HOUR) for detail in recorded])
    harness.batch.put(recorded)

    def throttle_after_two() -> None:
        harness.batch.throttle(math.inf if harness.batch.calls["ListJobs"] == 2 else 0)

    throttled = harness.reconcile(on_request=throttle_after_two)
    harness.batch.throttle(0)
    harness.batch.calls.clear()
    harness.reconcile()

    assert throttled.left
    assert harness.batch.calls == {"DescribeJobQueues": 1, "ListJobs": 2}


def test_an_empty_page_that_is_not_the_last_does_not_complete_the_cursor(
    aws: LocalAws, resources: Resources
) -> None:
    jobs = [an_ended_detail(createdAt=NOON - 3 * HOUR - number) for number in range(101)]
    pages = 0

    def empty_the_first_page(operation: str, response: Any) -> None:
        nonlocal pages
        if operation == "listjobs":
            pages += 1
            if pages == 1:
                response["jobSummaryList"] = []

    with EditedBatch(empty_the_first_page) as batch:
        harness = SweepHarness(aws, resources, batch)
        batch.put(jobs)
        harness.reconcile(queues=[QUEUE])

    assert harness.unrecorded(jobs[100:]) == []


def test_a_listed_job_without_a_creation_time_is_discovered_and_does_not_complete_the_cursor(
    aws: LocalAws, resources: Resources
) -> None:
    jobs = [an_ended_detail(createdAt=NOON - 3 * HOUR - number) for number in range(3)]

    def remove_the_first_time(operation: str, response: Any) -> None:
        for summary in response.get("jobSummaryList", []):
            if summary["jobId"] == jobs[0]["jobId"]:
                del summary["createdAt"]

    with EditedBatch(remove_the_first_time) as batch:
        harness = SweepHarness(aws, resources, batch)
        batch.put(jobs)
        harness.reconcile(queues=[QUEUE])

    assert harness.unrecorded(jobs) == []


def test_a_throttled_read_does_not_count_as_a_record(harness: SweepHarness) -> None:
    jobs = [an_ended_detail(), an_ended_detail()]
    harness.batch.put(jobs)

    with FaultyAws(harness.recorder.aws.endpoint) as faulty:
        faulty.follow(on("BatchGetItem", partial_failure(), nth=1))
        tally = harness.reconcile(queues=[QUEUE], endpoint=faulty.endpoint)
    harness.reconcile(queues=[QUEUE])

    assert tally.left
    assert harness.unrecorded(jobs) == []


def test_a_job_that_batch_lists_late_is_discovered_by_the_next_cursor(
    harness: SweepHarness,
) -> None:
    late = a_detail(status="RUNNING", createdAt=NOON - 1000)

    harness.reconcile(since=NOON - DAY, queues=[QUEUE])
    harness.batch.put([late])
    harness.now += HOUR
    harness.reconcile(queues=[QUEUE])

    assert harness.unrecorded([late]) == []


def test_a_run_that_started_before_a_restart_does_not_overwrite_its_cursor(
    harness: SweepHarness,
) -> None:
    harness.reconcile(queues=[QUEUE])
    old = [an_ended_detail(createdAt=NOON - 6 * DAY - number) for number in range(300)]
    harness.batch.put(old)
    harness.batch.calls.clear()
    harness.now += HOUR

    def restart_after_the_first_page() -> None:
        if harness.batch.calls == {"DescribeJobQueues": 1, "ListJobs": 1}:
            harness.reconcile(since=NOON - 7 * DAY, queues=[QUEUE], calls=4)

    harness.reconcile(queues=[QUEUE], on_request=restart_after_the_first_page)
    harness.reconcile_until_done(queues=[QUEUE], calls=4)

    assert harness.unrecorded(old) == []


# Fairness


def test_all_queues_are_listed_in_turn_if_there_are_more_queues_than_calls(
    harness: SweepHarness,
) -> None:
    queues = [f"queue-{number}" for number in range(8)]
    jobs = [an_ended_detail(jobQueue=queue_arn(queue)) for queue in queues]
    harness.batch.put(jobs)

    harness.reconcile_until_done(calls=3, queues=queues)

    assert harness.unrecorded(jobs) == []


def test_a_queue_with_many_jobs_does_not_starve_another(harness: SweepHarness) -> None:
    many = [
        an_ended_detail(jobQueue=queue_arn("a"), createdAt=NOON - HOUR - number)
        for number in range(2_000)
    ]
    single = an_ended_detail(jobQueue=queue_arn("b"))
    harness.batch.put([*many, single])

    tally = harness.reconcile(calls=12, queues=["a", "b"])

    assert tally.left
    assert harness.unrecorded([single]) == []


def test_discovery_leaves_enough_calls_to_describe_the_silent_jobs(harness: SweepHarness) -> None:
    silent = [a_service_detail(status="RUNNING", createdAt=NOON - DAY) for _ in range(6)]
    harness.recorder.record([a_service_body(**job, at=NOON - 2 * HOUR) for job in silent])
    harness.batch.put(job | {"status": "FAILED", "stoppedAt": NOON - HOUR} for job in silent)
    queues = [f"queue-{number}" for number in range(8)]
    jobs = [an_ended_detail(jobQueue=queue_arn(queue)) for queue in queues]
    harness.batch.put(jobs)

    harness.reconcile_until_done(calls=5, queues=queues)

    assert sum(tally.repaired for tally in harness.tallies) == 6
    assert harness.unrecorded(jobs) == []


# Service jobs


def test_service_jobs_are_discovered_in_a_queue_of_service_jobs(harness: SweepHarness) -> None:
    created = {"status": "RUNNABLE", "createdAt": NOON - 3 * HOUR}
    recorded, *unrecorded = [a_service_detail(**created) for _ in range(130)]
    harness.recorder.record([a_service_body(**recorded, at=NOON)])
    harness.batch.put([recorded, *unrecorded])

    tally = harness.reconcile(calls=200)

    assert tally.discovered == 129
    assert harness.batch.calls == {
        "DescribeJobQueues": 1,
        "ListServiceJobs": 2,
        "DescribeServiceJob": 129,
    }


def test_a_queue_without_recorded_jobs_is_listed_for_both_kinds_of_jobs(
    harness: SweepHarness,
) -> None:
    service_job = a_service_detail(status="RUNNABLE", createdAt=NOON - 3 * HOUR)
    job = a_detail(createdAt=NOON - 3 * HOUR)
    harness.batch.put([service_job, job])

    tally = harness.reconcile(queues=["training", QUEUE, "empty"])

    assert tally.discovered == 2
    assert harness.batch.calls["ListJobs"] == 3
    assert harness.batch.calls["ListServiceJobs"] == 2, "not for the queue with a listed job"


def test_queues_that_the_stage_does_not_record_are_neither_listed_nor_watched(
    aws: LocalAws, resources: Resources, batch: BatchServer
) -> None:
    before = SweepHarness(aws, resources, batch)
    before.recorder.record([a_body(status="RUNNABLE", at=NOON - 9 * HOUR)])
    batch.put([a_detail(createdAt=NOON - 3 * HOUR)])
    batch.put_queue(QUEUE)

    harness = SweepHarness(aws, resources, batch, job_queues=("genomics-*", "gpu"))
    harness.reconcile()
    watched = harness.watch_queues()

    assert batch.calls == {"DescribeJobQueues": 1}
    assert (watched.queues, harness.notices()) == (0, [])


def test_when_the_queues_can_not_be_listed_those_of_recorded_jobs_are_reconciled(
    harness: SweepHarness,
) -> None:
    harness.recorder.record([a_body(at=NOON - 3 * HOUR)])
    missed = an_ended_detail()
    harness.batch.put([missed])
    harness.batch.refused.add("DescribeJobQueues")

    harness.reconcile()

    assert harness.unrecorded([missed]) == []


def test_more_service_jobs_on_a_page_than_calls_are_discovered_by_several_runs(
    harness: SweepHarness,
) -> None:
    jobs = [a_service_detail(status="RUNNING", createdAt=NOON - DAY) for _ in range(9)]
    harness.batch.put(jobs)

    harness.reconcile_until_done(calls=5, queues=["training"])

    assert harness.unrecorded(jobs) == []


# Errors of Batch


def test_a_missing_permission_to_list_fails_the_run_after_silent_jobs_are_repaired(
    aws: LocalAws, resources: Resources
) -> None:
    job_id = a_job_id()

    def deny_lists(operation: str, response: Any) -> None:
        if operation == "listjobs":
            response.update(status=403, __type="AccessDeniedException")

    with EditedBatch(deny_lists) as batch:
        harness = SweepHarness(aws, resources, batch)
        harness.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON - 3 * HOUR)])
        batch.put([an_ended_detail(jobId=job_id)])
        with pytest.raises(BatchRefused, match="rejected ListJobs: AccessDeniedException"):
            harness.reconcile()

    assert harness.recorder.job(job_id).status == "SUCCEEDED"


def test_a_queue_that_does_not_exist_does_not_fail_the_run(
    aws: LocalAws, resources: Resources
) -> None:
    def reject_lists(operation: str, response: Any) -> None:
        if operation in {"listjobs", "listservicejobs"}:
            response.update(status=400, __type="ClientException")

    with EditedBatch(reject_lists) as batch:
        tally = SweepHarness(aws, resources, batch).reconcile(queues=["deleted"])

    assert (tally.calls, tally.left) == (2, False)


def test_a_server_error_without_a_code_is_retried(aws: LocalAws, resources: Resources) -> None:
    job = an_ended_detail()
    operations: list[str] = []

    def fail_the_first(operation: str, response: Any) -> None:
        operations.append(operation)
        if len(operations) == 1:
            response.update(status=502)

    with EditedBatch(fail_the_first) as batch:
        harness = SweepHarness(aws, resources, batch)
        batch.put([job])
        harness.reconcile(queues=[QUEUE])

    assert operations == [
        *("describejobqueues", "describejobqueues"),
        *("listjobs", "describejobs"),
    ]
    assert harness.unrecorded([job]) == []
