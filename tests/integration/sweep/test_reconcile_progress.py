"""However little a run of the sweep may do, the next goes on where it stopped and skips nothing."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from chalicelib.sweep.batch_api import BatchRefused
from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable, InFlight
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.builders import (
    NOON,
    QUEUE_ARN,
    a_body,
    a_detail,
    a_job_id,
    a_service_body,
    a_service_detail,
)
from tests.support.faulty_aws import FaultyAws, on, partial_failure
from tests.support.sweep_harness import HOUR, SweepHarness

DAY = 24 * HOUR
QUEUE = "high-priority"


Edit = Callable[[str, Any], None]
"""Gets the operation and its answer, to change it; a `status` in it is that of HTTP."""


class EditedBatch(BatchServer):
    def __init__(self, edit: Edit) -> None:
        super().__init__(clock=lambda: NOON / 1000)
        self._edit = edit

    def respond(self, path: str, request: Any) -> tuple[int, Any]:
        status, answer = super().respond(path, request)
        self._edit(path.removeprefix("/v1/"), answer)
        return answer.pop("status", status), answer


def ended(**fields: Any) -> dict[str, Any]:
    times = {"createdAt": NOON - 3 * HOUR, "stoppedAt": NOON - 2 * HOUR}
    return a_detail(**{"status": "SUCCEEDED", **times, **fields})


def arn(queue: str) -> str:
    return QUEUE_ARN.replace(QUEUE, queue)


def sweep_until_done(watch: SweepHarness, **options: Any) -> int:
    """How many runs it took."""
    for run in range(1, 31):
        if not watch.sweep(**options).left:
            return run
    raise AssertionError("there is still something left after 30 runs")


def missing(watch: SweepHarness, details: list[dict[str, Any]]) -> list[str]:
    return [one["jobId"] for one in details if watch.recorder.table.get(one["jobId"]) is None]


def test_a_walk_past_many_known_jobs_goes_on_where_the_last_run_stopped(
    watch: SweepHarness,
) -> None:
    known = [ended(createdAt=NOON - 3 * HOUR - number) for number in range(600)]
    oldest = ended(createdAt=NOON - 5 * HOUR)
    for start in range(0, len(known), 300):
        some = known[start : start + 300]
        watch.recorder.record([a_body(**detail, at=NOON - 2 * HOUR) for detail in some])
    watch.batch.put([*known, oldest])

    sweep_until_done(watch, calls=3)

    assert missing(watch, [oldest]) == []


def test_a_walk_that_throttling_cuts_short_goes_on_where_it_stopped(watch: SweepHarness) -> None:
    known = [ended(createdAt=NOON - 3 * HOUR - number) for number in range(300)]
    watch.recorder.record([a_body(**detail, at=NOON - 2 * HOUR) for detail in known])
    watch.batch.put(known)

    def throttle_after_two() -> None:
        watch.batch.throttle(math.inf if watch.batch.calls["ListJobs"] == 2 else 0)

    throttled = watch.sweep(on_request=throttle_after_two)
    watch.batch.throttle(0)
    watch.batch.calls.clear()
    watch.sweep()

    assert throttled.left
    assert watch.batch.calls == {"ListJobs": 2}


def test_more_queues_than_calls_all_have_their_turn(watch: SweepHarness) -> None:
    queues = [f"queue-{number}" for number in range(8)]
    jobs = [ended(jobQueue=arn(queue)) for queue in queues]
    watch.batch.put(jobs)

    sweep_until_done(watch, calls=3, queues=queues)

    assert missing(watch, jobs) == []


def test_a_long_walk_starves_no_other_queue(watch: SweepHarness) -> None:
    long = [ended(jobQueue=arn("a"), createdAt=NOON - HOUR - number) for number in range(2_000)]
    short = ended(jobQueue=arn("b"))
    watch.batch.put([*long, short])

    tally = watch.sweep(calls=12, queues=["a", "b"])

    assert tally.left
    assert missing(watch, [short]) == []


def test_an_empty_page_that_is_not_the_last_ends_no_walk(
    aws: LocalAws, resources: Resources
) -> None:
    jobs = [ended(createdAt=NOON - 3 * HOUR - number) for number in range(101)]
    pages = 0

    def without_the_first_jobs(operation: str, answer: Any) -> None:
        nonlocal pages
        if operation == "listjobs":
            pages += 1
            if pages == 1:
                answer["jobSummaryList"] = []

    with EditedBatch(without_the_first_jobs) as batch:
        watch = SweepHarness(aws, resources, batch)
        batch.put(jobs)
        watch.sweep(queues=[QUEUE])

    assert missing(watch, jobs[100:]) == []


def test_a_listed_job_without_a_date_is_found_and_ends_no_walk(
    aws: LocalAws, resources: Resources
) -> None:
    jobs = [ended(createdAt=NOON - 3 * HOUR - number) for number in range(3)]

    def undate_the_first(operation: str, answer: Any) -> None:
        for summary in answer.get("jobSummaryList", []):
            if summary["jobId"] == jobs[0]["jobId"]:
                del summary["createdAt"]

    with EditedBatch(undate_the_first) as batch:
        watch = SweepHarness(aws, resources, batch)
        batch.put(jobs)
        watch.sweep(queues=[QUEUE])

    assert missing(watch, jobs) == []


def test_a_job_that_the_table_does_not_tell_of_now_is_not_taken_for_known(
    watch: SweepHarness,
) -> None:
    jobs = [ended(), ended()]
    watch.batch.put(jobs)

    with FaultyAws(watch.recorder.aws.endpoint) as faulty:
        faulty.follow(on("BatchGetItem", partial_failure(), nth=1))
        tally = watch.sweep(queues=[QUEUE], endpoint=faulty.endpoint)
    watch.sweep(queues=[QUEUE])

    assert tally.left
    assert missing(watch, jobs) == []


def test_a_job_that_batch_lists_late_is_found_though_a_walk_began_at_this_moment(
    watch: SweepHarness,
) -> None:
    late = a_detail(status="RUNNING", createdAt=NOON - 1000)

    watch.sweep(since=NOON - DAY, queues=[QUEUE])
    watch.batch.put([late])
    watch.now += HOUR
    watch.sweep(queues=[QUEUE])

    assert missing(watch, [late]) == []


def test_a_run_that_begins_anew_and_is_cut_short_waits_for_no_event_later_either(
    watch: SweepHarness,
) -> None:
    places = [(a_job_id(), arn(queue)) for queue in ("a", "b") for _ in range(250)]
    times = {"createdAt": NOON - 30 * DAY, "stoppedAt": NOON - 1000}
    watch.recorder.record(
        [
            a_body(jobId=one, jobQueue=queue, status="RUNNING", at=NOON - 60_000)
            for one, queue in places
        ]
    )
    watch.batch.put(ended(jobId=one, jobQueue=queue, **times) for one, queue in places)

    watch.sweep(since=NOON - HOUR, calls=4)
    sweep_until_done(watch, calls=4)

    assert sum(tally.repaired for tally in watch.tallies) == 500


def test_a_sweep_that_is_cut_off_near_its_end_leaves_no_lost_job_to_the_next_round(
    running_aws: LocalAws, batch: BatchServer
) -> None:
    lost, known = a_job_id(), a_detail(status="RUNNING", createdAt=NOON - 2 * HOUR)
    batch.put([known])

    def fresh() -> SweepHarness:
        running_aws.reset()
        watch = SweepHarness(running_aws, running_aws.create_resources(), batch)
        running = a_body(jobId=lost, status="RUNNING", at=NOON - 9 * DAY)
        watch.recorder.record([running, a_body(**known, at=NOON - 2 * HOUR)])
        return watch

    length = fresh().sweep_dying_at(-1)

    for nth in range(length - 8, length, 2):
        watch = fresh()
        watch.sweep_dying_at(nth)
        watch.sweep()
        assert watch.recorder.job(lost).status == "UNKNOWN", nth - length


def test_jobs_that_ended_lately_in_any_queue_show_that_batch_is_the_wrong_one(
    watch: SweepHarness,
) -> None:
    old, witness = a_job_id(), ended(jobQueue=arn("other"))
    running = a_body(jobId=old, status="RUNNING", at=NOON - 9 * DAY)
    watch.recorder.record([running, a_body(**witness, at=NOON - 2 * HOUR)])
    watch.batch.is_wrong_region = True

    tally = watch.sweep()

    assert watch.recorder.job(old).status == "RUNNING"
    assert tally.unknown_to_batch == [witness["jobId"]]


def test_a_sweep_that_was_under_way_takes_nothing_from_one_that_begins_anew(
    watch: SweepHarness,
) -> None:
    watch.sweep(queues=[QUEUE])
    old = [ended(createdAt=NOON - 6 * DAY - number) for number in range(300)]
    watch.batch.put(old)
    watch.batch.calls.clear()
    watch.now += HOUR

    def backfill_once_it_is_under_way() -> None:
        if watch.batch.calls == {"ListJobs": 1}:
            watch.sweep(since=NOON - 7 * DAY, queues=[QUEUE], calls=4)

    watch.sweep(queues=[QUEUE], on_request=backfill_once_it_is_under_way)
    sweep_until_done(watch, queues=[QUEUE], calls=4)

    assert missing(watch, old) == []


def test_children_that_batch_forgot_do_not_hold_up_those_behind_them(watch: SweepHarness) -> None:
    parent = ended(arrayProperties={"size": 700, "statusSummary": {}})
    last = ended(jobId=f"{parent['jobId']}:699", arrayProperties={"index": 699})
    watch.batch.put([parent, last])
    watch.sweep(queues=[QUEUE])

    sweep_until_done(watch, queues=[QUEUE], calls=4)

    assert missing(watch, [last]) == []


def test_discovery_that_is_not_permitted_fails_the_sweep_when_repair_is_done(
    aws: LocalAws, resources: Resources
) -> None:
    job_id = a_job_id()

    def forbid_lists(operation: str, answer: Any) -> None:
        if operation == "listjobs":
            answer.update(status=403, __type="AccessDeniedException")

    with EditedBatch(forbid_lists) as batch:
        watch = SweepHarness(aws, resources, batch)
        watch.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON - 3 * HOUR)])
        batch.put([ended(jobId=job_id)])
        with pytest.raises(BatchRefused, match="AccessDenied"):
            watch.sweep()

    assert watch.recorder.job(job_id).status == "SUCCEEDED"


def test_a_queue_that_is_gone_fails_no_sweep(aws: LocalAws, resources: Resources) -> None:
    def forget_the_queue(operation: str, answer: Any) -> None:
        if operation in {"listjobs", "listservicejobs"}:
            answer.update(status=400, __type="ClientException")

    with EditedBatch(forget_the_queue) as batch:
        tally = SweepHarness(aws, resources, batch).sweep(queues=["gone"])

    assert (tally.calls, tally.left) == (2, False)


def test_a_server_error_without_a_name_passes(aws: LocalAws, resources: Resources) -> None:
    job = ended()
    answers: list[str] = []

    def fail_the_first(operation: str, answer: Any) -> None:
        answers.append(operation)
        if len(answers) == 1:
            answer.update(status=502)

    with EditedBatch(fail_the_first) as batch:
        watch = SweepHarness(aws, resources, batch)
        batch.put([job])
        watch.sweep(queues=[QUEUE])

    assert answers == ["listjobs", "listjobs", "describejobs"]
    assert missing(watch, [job]) == []


def test_discovery_leaves_enough_calls_to_describe_the_jobs_found_before(
    watch: SweepHarness,
) -> None:
    service_jobs = [a_service_detail(status="RUNNING", createdAt=NOON - DAY) for _ in range(6)]
    watch.recorder.record([a_service_body(**job, at=NOON - 2 * HOUR) for job in service_jobs])
    watch.batch.put(job | {"status": "FAILED", "stoppedAt": NOON - HOUR} for job in service_jobs)
    queues = [f"queue-{number}" for number in range(8)]
    jobs = [ended(jobQueue=arn(queue)) for queue in queues]
    watch.batch.put(jobs)

    sweep_until_done(watch, calls=5, queues=queues)

    assert sum(tally.repaired for tally in watch.tallies) == 6
    assert missing(watch, jobs) == []


def test_more_service_jobs_on_a_page_than_calls_are_discovered_run_by_run(
    watch: SweepHarness,
) -> None:
    jobs = [a_service_detail(status="RUNNING", createdAt=NOON - DAY) for _ in range(9)]
    watch.batch.put(jobs)

    sweep_until_done(watch, calls=5, queues=["training"])

    assert missing(watch, jobs) == []


def test_more_jobs_in_flight_of_a_crashed_run_than_calls_are_processed_run_by_run(
    watch: SweepHarness,
) -> None:
    jobs = [a_service_detail(status="RUNNING", createdAt=NOON - DAY) for _ in range(9)]
    watch.recorder.record([a_service_body(**job, at=NOON) for job in jobs])
    watch.batch.put(jobs)
    checkpoints = CheckpointTable(watch.recorder.dynamodb, watch.recorder.resources.jobs_table)
    crashed = InFlight(started_at=NOON - HOUR, job_ids=[job["jobId"] for job in jobs])
    checkpoints.put_in_flight("crashed", crashed)

    sweep_until_done(watch, calls=5)

    assert sum(tally.known_to_batch for tally in watch.tallies) == 9
    assert checkpoints.in_flight() == {}
