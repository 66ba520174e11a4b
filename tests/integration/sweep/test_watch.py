"""The watch over job queues reports stuck jobs, blocked queues and missing events once each: with a
real table, a real notices queue and an HTTP server in place of Batch."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.jobs.job import Job
from chalicelib.jobs.waiting.queue_environment import ConsumableResource
from chalicelib.notices.rules import Rules
from chalicelib.queues.state import QueueState
from local.aws import LocalAws, Resources
from local.batch import BatchServer, an_environment
from tests.support.builders import (
    NOON,
    a_body,
    a_detail,
    a_job_id,
    a_service_body,
    a_service_detail,
    an_attempt,
    an_event,
)
from tests.support.crash_injection import crash_at
from tests.support.sweep_harness import HOUR, MINUTE, SweepHarness

QUEUE = "high-priority"
ALL_KINDS = Rules.parse(
    """
    [[rule]]
    on = ["STUCK", "RECOVERED", "QUEUE_BLOCKED", "EVENTS_MISSING"]
    """,
    "room",
)
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"


@pytest.fixture
def harness(aws: LocalAws, resources: Resources, batch: BatchServer) -> SweepHarness:
    return watched(SweepHarness(aws, resources, batch, ALL_KINDS))


@pytest.fixture
def new_harness(aws: LocalAws, resources: Resources, batch: BatchServer) -> SweepHarness:
    """A harness that was never swept."""
    return SweepHarness(aws, resources, batch, ALL_KINDS)


def watched(harness: SweepHarness) -> SweepHarness:
    """Return the harness of a queue that has been watched for a month."""
    state = QueueState(watched_since=NOON - 30 * 24 * HOUR)
    harness.recorder.queues.save(QUEUE, state, 0)
    return harness


def put_job(
    harness: SweepHarness, status: str = "RUNNABLE", *, minutes: int = 90, **fields: Any
) -> str:
    """Put a job that entered its status `minutes` ago into Batch and the table; return its id."""
    detail = a_detail(status=status, **fields)
    harness.batch.put([detail])
    harness.recorder.record([a_body(**detail, at=harness.now - minutes * MINUTE)])
    return str(detail["jobId"])


def change_status(
    harness: SweepHarness, job_id: str, status: str = "STARTING", **fields: Any
) -> None:
    put_job(harness, status, minutes=0, jobId=job_id, **fields)


def send_blocked_event(harness: SweepHarness, job_id: str | None = None) -> None:
    """Record that the queue is blocked by this job, by default one without a record."""
    event = an_event(at=harness.now, jobId=job_id or a_job_id(), statusReason=NO_CAPACITY)
    harness.recorder.record([json.dumps(event | {"detail-type": "Batch Job Queue Blocked"})])


def put_jobs_without_events(harness: SweepHarness, count: int) -> list[str]:
    """Put jobs that started and ended an hour ago into Batch only; return their ids."""
    created_at = harness.now - HOUR
    details = [
        a_detail(
            status="SUCCEEDED",
            createdAt=created_at,
            startedAt=created_at + 1,
            stoppedAt=created_at + MINUTE,
        )
        for _ in range(count)
    ]
    harness.batch.put(details)
    return [detail["jobId"] for detail in details]


def record_successful_jobs(harness: SweepHarness, count: int, minutes: int) -> None:
    """Record jobs of one name that ran for `minutes` yesterday."""
    start = harness.now - 24 * HOUR
    times = {"startedAt": start, "stoppedAt": start + minutes * MINUTE}
    for _ in range(count):
        ended = {**times, "attempts": [an_attempt(**times)], "createdAt": start}
        harness.recorder.record([a_body(status="SUCCEEDED", at=times["stoppedAt"], **ended)])


def job(harness: SweepHarness, job_id: str) -> Job:
    return harness.recorder.job(job_id)


def state(harness: SweepHarness) -> QueueState:
    return harness.recorder.queues.states([QUEUE])[QUEUE]


def received_notices(harness: SweepHarness) -> list[Any]:
    return [json.loads(body) for body in harness.notices()]


def received_kinds(harness: SweepHarness) -> list[str]:
    """Return the kinds of all received notices, counting repeated ones once like the notifier."""
    unique = {
        (notice.get("jobId", notice["queue"]), notice["kind"], notice["generation"]): notice
        for notice in received_notices(harness)
    }
    return sorted(notice["kind"] for notice in unique.values())


# Stuck jobs


@pytest.mark.parametrize(
    ("status", "minutes", "is_stuck"),
    [
        ("RUNNABLE", 61, True),
        ("RUNNABLE", 59, False),
        ("STARTING", 31, True),
        ("SCHEDULED", 31, True),
        ("SUBMITTED", 16, True),
        ("PENDING", 25 * 60, True),
        ("PENDING", 23 * 60, False),
        ("RUNNING", 99 * 60, False),
    ],
)
def test_a_job_is_stuck_when_it_stays_in_a_status_for_too_long(
    harness: SweepHarness, status: str, minutes: int, is_stuck: bool
) -> None:
    put_job(harness, status, minutes=minutes)

    harness.watch_queues()

    assert received_kinds(harness) == ["STUCK"] * is_stuck


def test_over_many_sweeps_a_stuck_job_is_reported_once_and_its_recovery_once(
    harness: SweepHarness,
) -> None:
    job_id = put_job(harness)
    for sweep in range(20):
        if sweep == 10:
            change_status(harness, job_id)
        harness.now += MINUTE // 10
        harness.watch_queues()

    notices = received_notices(harness)

    assert [notice["kind"] for notice in notices] == ["STUCK", "RECOVERED"]


def test_two_sweeps_at_once_report_a_stuck_job_and_its_recovery_once(
    harness: SweepHarness,
) -> None:
    def watch_five_times_in_two_threads() -> None:
        for _ in range(5):
            with ThreadPoolExecutor(2) as threads:
                list(threads.map(lambda _: harness.watch_queues(), range(2)))

    job_id = put_job(harness)
    watch_five_times_in_two_threads()
    stuck = received_kinds(harness)
    change_status(harness, job_id)
    watch_five_times_in_two_threads()

    assert (stuck, received_kinds(harness)) == (["STUCK"], ["RECOVERED"])


def test_a_sweep_that_crashes_at_any_request_reports_nothing_twice_and_loses_no_notice(
    harness: SweepHarness,
) -> None:
    def watch_crashing_at(nth: int) -> int:
        return crash_at(nth, lambda on_request: harness.watch_queues(on_request=on_request))

    def replace_stuck_job(job_id: str) -> str:
        change_status(harness, job_id, "FAILED")
        return put_job(harness)

    stuck = put_job(harness)
    harness.watch_queues()
    stuck = replace_stuck_job(stuck)
    requests = watch_crashing_at(-1)
    harness.notices()
    # The snapshot only reads. At most six requests follow, and each is counted twice.
    for nth in range(requests - 14, requests + 1):
        stuck = replace_stuck_job(stuck)
        watch_crashing_at(nth)
        harness.watch_queues()
        assert received_kinds(harness) == ["RECOVERED", "STUCK"], nth


def test_a_job_whose_record_is_outdated_is_not_reported(harness: SweepHarness) -> None:
    job_id = put_job(harness)
    harness.batch.put([a_detail(jobId=job_id, status="RUNNING", startedAt=NOON)])

    harness.watch_queues()

    assert received_kinds(harness) == []


def test_a_job_that_is_unknown_to_batch_is_not_reported(harness: SweepHarness) -> None:
    put_job(harness)
    harness.batch.is_wrong_region = True

    harness.watch_queues()

    assert received_kinds(harness) == []


def test_the_record_of_a_stuck_job_gets_the_current_status_reason(harness: SweepHarness) -> None:
    job_id = put_job(harness)
    harness.batch.put([a_detail(jobId=job_id, statusReason=NO_CAPACITY)])

    harness.watch_queues()

    assert job(harness, job_id).details.status_reason == NO_CAPACITY


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        ('on = ["STUCK", "RECOVERED"]', ["RECOVERED"]),
        ('on = ["STUCK", "RECOVERED", "FAILED"]', ["FAILED"]),
        ('on = ["STUCK"]', []),
    ],
)
def test_the_failure_of_a_stuck_job_is_reported_once_as_failed_or_as_recovered(
    aws: LocalAws, resources: Resources, batch: BatchServer, rule: str, kinds: list[str]
) -> None:
    harness = watched(SweepHarness(aws, resources, batch, Rules.parse(f"[[rule]]\n{rule}", "room")))
    job_id = put_job(harness)
    harness.watch_queues()
    harness.notices()

    change_status(harness, job_id, "FAILED")
    harness.watch_queues()

    assert received_kinds(harness) == kinds


def test_an_array_is_reported_once_for_all_its_children_and_is_not_stuck_while_pending(
    harness: SweepHarness,
) -> None:
    root = put_job(harness, "PENDING", minutes=30 * 60, arrayProperties={"size": 9})
    harness.watch_queues()
    while_pending = received_kinds(harness)
    children = [
        put_job(harness, jobId=f"{root}:{index}", arrayProperties={"index": index})
        for index in range(9)
    ]
    harness.watch_queues()
    notices = received_notices(harness)
    for child in children:
        change_status(harness, child, arrayProperties={"index": 0})
    harness.watch_queues()

    (notice,) = notices
    assert while_pending == []
    assert (notice["kind"], notice["jobId"]) == ("STUCK", root)
    assert received_kinds(harness) == ["RECOVERED"]


def test_a_job_that_depends_on_a_running_job_for_25_hours_is_not_stuck(
    harness: SweepHarness,
) -> None:
    running = put_job(harness, "RUNNING", minutes=10)
    depends_on = [{"jobId": running}]
    waiting = put_job(harness, "PENDING", minutes=25 * 60, dependsOn=depends_on)
    forgotten = put_job(harness, "PENDING", minutes=25 * 60)

    harness.watch_queues()
    [first] = received_notices(harness)
    change_status(harness, running, "SUCCEEDED")
    harness.watch_queues()
    [second] = received_notices(harness)

    assert (first["jobId"], second["jobId"]) == (forgotten, waiting)
    assert first["kind"] == second["kind"] == "STUCK"


def test_hundreds_of_stuck_jobs_are_one_incident(harness: SweepHarness) -> None:
    details = [a_detail(status="RUNNABLE", jobName=f"align-{n}") for n in range(500)]
    harness.batch.put(details)
    harness.recorder.record([a_body(**detail, at=NOON - 2 * HOUR) for detail in details])

    for _ in range(5):
        harness.watch_queues()
        harness.now += 5 * MINUTE
    (incident,) = state(harness).bulk_incidents
    opened = received_kinds(harness)
    running = [{**detail, "status": "RUNNING"} for detail in details]
    harness.recorder.record([a_body(**detail, at=harness.now) for detail in running])
    for _ in range(3):
        harness.watch_queues()

    assert (opened, received_kinds(harness)) == (["BULK_STUCK"], ["BULK_STUCK_RESOLVED"])
    assert (incident.jobs, len(incident.shares)) == (500, 1)


def test_a_bulk_incident_replaces_jobs_that_were_reported_individually(
    harness: SweepHarness,
) -> None:
    few = [put_job(harness) for _ in range(3)]
    harness.watch_queues()
    individually = received_kinds(harness)
    more = [put_job(harness) for _ in range(2)]
    harness.watch_queues()
    together = received_kinds(harness)
    for job_id in (*few, *more):
        change_status(harness, job_id)
    harness.watch_queues()

    assert individually == ["STUCK"] * 3
    assert (together, received_kinds(harness)) == (["BULK_STUCK"], ["BULK_STUCK_RESOLVED"])


def test_a_bulk_incident_is_reported_to_the_rooms_of_its_jobs(
    aws: LocalAws, resources: Resources, batch: BatchServer
) -> None:
    rules = Rules.parse(
        """
        [[rule]]
        on = ["STUCK", "RECOVERED"]
        tags = {project = "atlas"}
        room = "atlas"
        [[rule]]
        on = ["STUCK", "RECOVERED"]
        tags = {project = "other"}
        room = "other"
        """,
        None,
    )
    harness = watched(SweepHarness(aws, resources, batch, rules))
    job_ids = [put_job(harness, tags={"project": "atlas"}) for _ in range(5)]
    harness.watch_queues()
    for job_id in job_ids:
        change_status(harness, job_id)
    harness.watch_queues()

    notices = received_notices(harness)

    assert [(notice["kind"], notice["room"]) for notice in notices] == [
        ("BULK_STUCK", "atlas"),
        ("BULK_STUCK_RESOLVED", "atlas"),
    ]


@pytest.mark.parametrize(
    ("successes", "run_minutes", "minutes", "is_stuck"),
    [
        (5, 30, 91, True),
        (5, 30, 89, False),
        (4, 30, 900, False),
        (5, 1, 61, True),
        (5, 1, 59, False),
    ],
)
def test_a_running_job_is_stuck_when_it_runs_much_longer_than_others_of_its_name(
    harness: SweepHarness, successes: int, run_minutes: int, minutes: int, is_stuck: bool
) -> None:
    record_successful_jobs(harness, successes, run_minutes)
    put_job(harness, "RUNNING", minutes=minutes)

    harness.watch_queues()

    assert received_kinds(harness) == ["STUCK"] * is_stuck


def start_a_job(harness: SweepHarness, minutes: int) -> None:
    """Record that a job of the queue left RUNNABLE some minutes ago."""
    put_job(harness, "STARTING", minutes=minutes)


def test_a_moving_backlog_is_not_stuck_and_a_halted_one_is_one_incident(
    harness: SweepHarness,
) -> None:
    for _ in range(30):
        put_job(harness, minutes=180)
    start_a_job(harness, minutes=20)
    for _ in range(3):
        harness.watch_queues()
        harness.now += 5 * MINUTE
    moving = received_kinds(harness)
    harness.now += HOUR
    harness.watch_queues()

    assert moving == []
    assert "BULK_STUCK" in received_kinds(harness)


@pytest.mark.parametrize(
    ("vcpus", "running_for", "kinds"),
    [
        (256, 300, []),
        (255, 300, ["STUCK"]),
        (256, 25 * 60, ["STUCK"]),
        (256, None, ["STUCK"]),
    ],
)
def test_a_queue_at_its_limit_is_stuck_only_if_no_job_runs_that_started_within_a_day(
    harness: SweepHarness, vcpus: int, running_for: int | None, kinds: list[str]
) -> None:
    put_job(harness, minutes=90)
    if running_for:
        put_job(harness, "RUNNING", minutes=running_for)
    harness.batch.put_queue(QUEUE, an_environment("spot-a", desired=vcpus))

    harness.watch_queues()

    assert received_kinds(harness) == kinds


@pytest.mark.parametrize(("most", "kinds"), [(16, []), (20, ["STUCK"])])
def test_a_queue_on_fargate_is_at_its_limit_if_the_next_job_has_no_room(
    harness: SweepHarness, most: int, kinds: list[str]
) -> None:
    four = {"resourceRequirements": [{"type": "VCPU", "value": "4"}]}
    for _ in range(4):
        put_job(harness, "RUNNING", minutes=300, container=four)
    put_job(harness, minutes=90, container=four)
    harness.batch.put_queue(QUEUE, an_environment("fargate", most=most, kind="FARGATE_SPOT"))

    harness.watch_queues()

    assert received_kinds(harness) == kinds


def test_a_job_with_a_reason_is_stuck_in_a_moving_queue(harness: SweepHarness) -> None:
    job_id = put_job(harness, minutes=180)
    put_job(harness, minutes=170)
    start_a_job(harness, minutes=20)
    harness.batch.put([a_detail(jobId=job_id, statusReason=NO_CAPACITY)])

    harness.watch_queues()

    assert [notice["jobId"] for notice in received_notices(harness)] == [job_id]


def test_a_runaway_job_is_found_behind_newer_jobs_of_its_name_and_long_ones(
    harness: SweepHarness,
) -> None:
    record_successful_jobs(harness, 5, 2)
    ran = {"startedAt": NOON - 30 * HOUR, "stoppedAt": NOON - 25 * HOUR}
    for _ in range(5):
        body = a_body(
            status="SUCCEEDED",
            jobName="long",
            at=ran["stoppedAt"],
            attempts=[an_attempt(**ran)],
            **ran,
        )
        harness.recorder.record([body])
    long = [a_detail(status="RUNNING", jobName="long") for _ in range(110)]
    harness.recorder.record([a_body(**detail, at=NOON - 4 * HOUR) for detail in long])
    harness.recorder.record([a_body(createdAt=NOON, at=NOON) for _ in range(120)])
    runaway = put_job(harness, "RUNNING", minutes=120)

    harness.watch_queues()

    (notice,) = received_notices(harness)
    assert (notice["jobId"], notice["status"]) == (runaway, "RUNNING")
    assert notice["usualMs"] == 2 * MINUTE


def test_the_first_sweep_reports_nothing_from_before_the_installation(
    new_harness: SweepHarness,
) -> None:
    put_job(new_harness, minutes=180)
    later = put_job(new_harness, "STARTING", minutes=20)

    new_harness.watch_queues()
    first = received_kinds(new_harness)
    new_harness.now += 15 * MINUTE
    new_harness.watch_queues()

    assert first == []
    assert [notice["jobId"] for notice in received_notices(new_harness)] == [later]


# Blocked queues


def test_a_block_of_30_seconds_is_not_reported(harness: SweepHarness) -> None:
    job_id = put_job(harness, minutes=1)
    send_blocked_event(harness, job_id)
    harness.watch_queues()
    harness.now += MINUTE // 2
    change_status(harness, job_id, "RUNNING")
    for _ in range(10):
        harness.now += 5 * MINUTE
        harness.watch_queues()

    assert received_kinds(harness) == []
    assert state(harness).blocked is None


@pytest.mark.parametrize("events", [1, 4])
def test_a_block_of_20_minutes_is_reported_once_and_its_end_once(
    harness: SweepHarness, events: int
) -> None:
    job_id = put_job(harness, minutes=1)
    for number in range(8):
        if number % 2 == 0 and number // 2 < events:
            send_blocked_event(harness, job_id)
        harness.watch_queues()
        harness.now += 5 * MINUTE // 2
    blocked = state(harness).blocked
    change_status(harness, job_id)
    for _ in range(5):
        harness.now += 5 * MINUTE
        harness.watch_queues()

    notices = received_notices(harness)

    assert blocked is not None
    assert (blocked.since, blocked.job_id) == (NOON, job_id)
    assert blocked.reason == NO_CAPACITY
    assert [(notice["kind"], notice["generation"]) for notice in notices] == [
        ("QUEUE_BLOCKED", NOON),
        ("QUEUE_BLOCKED_RESOLVED", NOON),
    ]


def test_a_queue_whose_blocking_job_has_ended_is_free_unless_another_blocks_it(
    harness: SweepHarness,
) -> None:
    job_id = put_job(harness, minutes=1)
    send_blocked_event(harness, job_id)
    harness.now += 11 * MINUTE
    harness.watch_queues()
    change_status(harness, job_id, "FAILED")
    send_blocked_event(harness)
    harness.watch_queues()
    still_blocked = received_kinds(harness)
    cancelled = put_job(harness, "FAILED", minutes=0)
    send_blocked_event(harness, cancelled)
    harness.now += 11 * MINUTE
    harness.watch_queues()

    assert still_blocked == ["QUEUE_BLOCKED"]
    assert received_kinds(harness) == ["QUEUE_BLOCKED_RESOLVED"]


def test_a_second_block_is_a_second_incident(harness: SweepHarness) -> None:
    for _ in range(2):
        job_id = put_job(harness, minutes=0)
        send_blocked_event(harness, job_id)
        harness.now += 15 * MINUTE
        harness.watch_queues()
        change_status(harness, job_id)
        harness.now += MINUTE
        harness.watch_queues()

    assert received_kinds(harness) == ["QUEUE_BLOCKED"] * 2 + ["QUEUE_BLOCKED_RESOLVED"] * 2


# Queues and environments


INVALID = {"status": "INVALID", "statusReason": "the role was deleted"}


def sweep_for(harness: SweepHarness, minutes: int) -> None:
    """Watch the queues every five minutes."""
    for _ in range(0, minutes, 5):
        harness.watch_queues()
        harness.now += 5 * MINUTE


def test_an_invalid_environment_is_one_notice_and_one_when_it_is_valid_again(
    harness: SweepHarness,
) -> None:
    for _ in range(20):
        put_job(harness, minutes=30)
    harness.batch.put_queue(QUEUE, an_environment("spot-a", **INVALID))
    sweep_for(harness, 60)
    invalid = state(harness).blocked
    opened = received_kinds(harness)
    harness.batch.put_queue(QUEUE, an_environment("spot-a"))
    harness.watch_queues()

    assert invalid is not None
    assert invalid.cause == "compute environment spot-a is INVALID"
    assert invalid.reason == "the role was deleted"
    assert opened == ["QUEUE_BLOCKED"]
    assert received_kinds(harness) == ["QUEUE_BLOCKED_RESOLVED"]


def test_a_disabled_queue_is_reported_once_if_jobs_wait_in_it_and_none_starts(
    harness: SweepHarness,
) -> None:
    harness.batch.put_queue(QUEUE, an_environment("spot-a"), state="DISABLED")
    sweep_for(harness, 30)
    without_jobs = received_kinds(harness)
    put_job(harness, minutes=10)
    put_job(harness, "STARTING", minutes=0)
    sweep_for(harness, 10)
    while_jobs_start = received_kinds(harness)
    sweep_for(harness, 60)

    assert (without_jobs, while_jobs_start) == ([], [])
    assert received_kinds(harness).count("QUEUE_BLOCKED") == 1


def test_what_batch_reports_of_queues_is_stored_within_three_calls(harness: SweepHarness) -> None:
    job_id = put_job(harness, minutes=30)
    harness.batch.put_queue(QUEUE, an_environment("spot-a", desired=64, most=64))
    harness.batch.calls.clear()

    harness.watch_queues()

    stored = harness.recorder.container.environment_table.load([QUEUE, "other"])
    environment, head = stored[QUEUE]
    assert environment is not None
    assert head is not None
    assert (environment.as_of, environment.environments[0].is_at_limit) == (harness.now, True)
    assert head.position(job_id) == 1
    assert stored["other"] == (None, None)
    assert harness.batch.calls == {
        "DescribeJobQueues": 1,
        "DescribeComputeEnvironments": 1,
        "GetJobQueueSnapshot": 1,
    }


def test_a_consumable_resource_that_waiting_jobs_need_is_described(harness: SweepHarness) -> None:
    resources = [
        {"consumableResource": f"arn:aws:batch:us-east-1:1:consumable-resource/{name}"}
        for name in ("licence", "deleted")
    ]
    needs = {"consumableResourceList": [{**each, "quantity": 2} for each in resources]}
    for _ in range(3):
        put_job(harness, minutes=30, consumableResourceProperties=needs)
    harness.batch.put_queue(QUEUE, an_environment("spot-a"))
    harness.batch.put_consumable_resource("licence", total=10, in_use=9)
    harness.batch.calls.clear()

    harness.watch_queues()

    environment, _ = harness.recorder.container.environment_table.load([QUEUE])[QUEUE]
    assert environment is not None
    assert environment.consumables == (ConsumableResource("licence", 1, 10, needed=2),)
    assert harness.batch.calls["DescribeConsumableResource"] == 2
    assert "ListQuotaShares" not in harness.batch.calls


def test_the_quota_shares_of_waiting_service_jobs_are_described(harness: SweepHarness) -> None:
    detail = a_service_detail(status="RUNNABLE", quotaShareName="team-a")
    harness.recorder.record([a_service_body(**detail, at=harness.now - 30 * MINUTE)])
    harness.batch.put_queue("training", jobQueueType="SAGEMAKER_TRAINING")
    borrowing = {"strategy": "LEND_AND_BORROW", "borrowLimit": 50}
    harness.batch.put_quota_share("training", "team-a", limit=4, in_use=4)
    harness.batch.put_quota_share(
        "training", "team-b", limit=4, in_use=5, resourceSharingConfiguration=borrowing
    )

    harness.watch_queues()

    environment, _ = harness.recorder.container.environment_table.load(["training"])["training"]
    assert environment is not None
    assert [(share.name, share.in_use, share.most) for share in environment.shares] == [
        ("team-a", 4, 4),
        ("team-b", 5, 6),
    ]


@pytest.mark.parametrize("operation", ["DescribeConsumableResource", "GetJobQueueSnapshot"])
def test_if_a_call_about_waiting_jobs_is_refused_the_other_facts_are_stored(
    harness: SweepHarness, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    needs = {"consumableResourceList": [{"consumableResource": "licence", "quantity": 2}]}
    put_job(harness, minutes=30, consumableResourceProperties=needs)
    harness.batch.put_queue(QUEUE, an_environment("spot-a"))
    harness.batch.refused.add(operation)

    harness.watch_queues()

    environment, _ = harness.recorder.container.environment_table.load([QUEUE])[QUEUE]
    assert environment is not None
    assert environment.environments
    [warning] = caplog.records
    assert vars(warning)["error"] == (
        f"AWS Batch rejected {operation}: AccessDeniedException; "
        f"permission batch:{operation} is missing"
    )


def test_without_the_permission_the_watch_continues(harness: SweepHarness) -> None:
    put_job(harness)
    harness.batch.refused.add("DescribeJobQueues")

    harness.watch_queues()

    assert received_kinds(harness) == ["STUCK"]


# Missing events


def test_when_events_are_missing_every_job_is_found_and_the_incident_reported_once(
    new_harness: SweepHarness,
) -> None:
    harness = new_harness
    harness.reconcile(queues=[QUEUE])
    harness.watch_queues()
    job_ids: list[str] = []
    for _ in range(5):
        harness.now += 2 * HOUR
        job_ids += put_jobs_without_events(harness, 20)
        harness.reconcile(queues=[QUEUE])
        harness.watch_queues()
    opened = received_kinds(harness)
    harness.recorder.record([a_body()])
    for _ in range(3):
        harness.now += 5 * MINUTE
        harness.watch_queues()

    assert {job(harness, job_id).status for job_id in job_ids} == {"SUCCEEDED"}
    assert (opened, received_kinds(harness)) == (["EVENTS_MISSING"], ["EVENTS_MISSING_RESOLVED"])


def test_no_events_are_missing_from_a_queue_in_which_nothing_happens(
    harness: SweepHarness,
) -> None:
    put_job(harness, "RUNNING", minutes=1, startedAt=NOON - MINUTE)
    for _ in range(5):
        harness.now += 6 * HOUR
        harness.reconcile()
        harness.watch_queues()

    assert received_kinds(harness) == []


def test_a_single_lost_event_is_not_reported(harness: SweepHarness) -> None:
    job_id = put_job(harness, "RUNNING", minutes=1, startedAt=NOON - MINUTE)
    harness.watch_queues()
    harness.now += 3 * HOUR
    ended = {"startedAt": NOON - MINUTE, "stoppedAt": harness.now - HOUR}
    harness.batch.put([a_detail(jobId=job_id, status="SUCCEEDED", **ended)])
    harness.reconcile()
    harness.watch_queues()

    assert job(harness, job_id).status == "SUCCEEDED"
    assert received_kinds(harness) == []


def test_jobs_that_ended_before_the_queue_was_watched_are_not_reported(
    new_harness: SweepHarness,
) -> None:
    harness = new_harness
    put_jobs_without_events(harness, 20)
    harness.reconcile(queues=[QUEUE])
    for _ in range(3):
        harness.watch_queues()
        harness.now += HOUR

    assert received_kinds(harness) == []


# Cost


def test_the_number_of_requests_is_bounded_whatever_the_number_of_jobs(
    harness: SweepHarness,
) -> None:
    harness.recorder.record([a_body(at=NOON) for _ in range(10)])
    harness.watch_queues()
    harness.watch_queues()
    few_jobs = dict(harness.requests)
    for hours in range(4):
        harness.recorder.record(
            [a_body(status="RUNNING", at=NOON - hours * HOUR) for _ in range(250)]
        )
    harness.watch_queues()

    successes, pages_of_name, pages_of_running = 1, 10, 9
    assert few_jobs == {"Query": 18, "BatchGetItem": 1}
    most = few_jobs["Query"] + successes + pages_of_name + pages_of_running
    assert harness.requests["Query"] <= most
    assert harness.requests["BatchGetItem"] <= 1 + 2 + pages_of_name + pages_of_running
