"""The watch over queues finds what is stuck, blocked or silent, and tells each of it once: through
a real table and a real notices queue, with a real HTTP server as Batch."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.notices.rules import Rules
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.builders import NOON, a_body, a_detail, a_job_id, an_attempt, an_event
from tests.support.crash_injection import crash_at
from tests.support.sweep_harness import HOUR, MINUTE, SweepHarness

QUEUE = "high-priority"
ALL = Rules.parse(
    """
    [[rule]]
    on = ["STUCK", "RECOVERED", "QUEUE_BLOCKED", "EVENTS_MISSING"]
    """,
    "room",
)
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"


@pytest.fixture
def watch(aws: LocalAws, resources: Resources, batch: BatchServer) -> SweepHarness:
    return SweepHarness(aws, resources, batch, ALL)


def waits(
    watch: SweepHarness, status: str = "RUNNABLE", *, minutes: int = 90, **fields: Any
) -> str:
    """A job that entered its status so long ago, by an event and by Batch."""
    detail = a_detail(status=status, **fields)
    watch.batch.put([detail])
    watch.stand.record([a_body(**detail, at=watch.now - minutes * MINUTE)])
    return str(detail["jobId"])


def moves(watch: SweepHarness, job_id: str, status: str = "STARTING", **fields: Any) -> None:
    detail = a_detail(jobId=job_id, status=status, **fields)
    watch.batch.put([detail])
    watch.stand.record([a_body(**detail, at=watch.now)])


def blocks(watch: SweepHarness, *, jobId: str | None = None) -> None:  # noqa: N803 -- Batch's name
    event = an_event(at=watch.now, jobId=jobId or a_job_id(), statusReason=NO_CAPACITY)
    watch.stand.record([json.dumps(event | {"detail-type": "Batch Job Queue Blocked"})])


def told(watch: SweepHarness) -> list[str]:
    """The kinds of all notices, each counted once, as the notifier does."""
    notices = [json.loads(body) for body in watch.notices()]
    unique = {(n.get("jobId", n["queue"]), n["kind"], n["generation"]): n for n in notices}
    return sorted(notice["kind"] for notice in unique.values())


# Stuck


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
def test_a_job_is_stuck_when_its_status_lasts_too_long(
    watch: SweepHarness, status: str, minutes: int, is_stuck: bool
) -> None:
    waits(watch, status, minutes=minutes)

    watch.look()

    assert told(watch) == ["STUCK"] * is_stuck


def test_over_a_hundred_sweeps_a_stuck_job_is_told_once_and_its_recovery_once(
    watch: SweepHarness,
) -> None:
    job_id = waits(watch)
    for sweep in range(100):
        if sweep == 50:
            moves(watch, job_id)
        watch.now += MINUTE // 10
        watch.look()

    bodies = watch.notices()

    assert [json.loads(body)["kind"] for body in bodies] == ["STUCK", "RECOVERED"]


def test_two_sweeps_at_once_tell_no_more(watch: SweepHarness) -> None:
    job_id = waits(watch)

    for _ in range(5):
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _: watch.look(), range(2)))
    stuck = told(watch)
    moves(watch, job_id)
    for _ in range(5):
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _: watch.look(), range(2)))

    assert (stuck, told(watch)) == (["STUCK"], ["RECOVERED"])


def test_cut_off_at_any_request_it_tells_nothing_twice_and_forgets_nothing(
    watch: SweepHarness,
) -> None:
    def look_dying_at(nth: int) -> int:
        return crash_at(nth, lambda on_request: watch.look(on_request=on_request))

    job_id = waits(watch)
    length = look_dying_at(-1)
    moves(watch, job_id)
    watch.look()
    watch.notices()
    after_the_gathering = range(length - 30, length + 1)
    for nth in after_the_gathering:
        job_id = waits(watch)
        look_dying_at(nth)
        watch.look()
        stuck = told(watch)
        moves(watch, job_id)
        look_dying_at(nth)
        watch.look()
        assert (stuck, told(watch)) == (["STUCK"], ["RECOVERED"]), nth


def test_a_record_that_is_merely_stale_is_not_told(watch: SweepHarness) -> None:
    job_id = waits(watch)
    watch.batch.put([a_detail(jobId=job_id, status="RUNNING", startedAt=NOON)])

    watch.look()

    assert told(watch) == []


def test_nothing_is_told_that_batch_does_not_confirm(watch: SweepHarness) -> None:
    waits(watch)
    watch.batch.is_wrong_region = True

    watch.look()

    assert told(watch) == []


def test_the_record_gets_the_reason_that_batch_gives_now(watch: SweepHarness) -> None:
    job_id = waits(watch)
    watch.batch.put([a_detail(jobId=job_id, statusReason=NO_CAPACITY)])

    watch.look()

    assert watch.stand.job(job_id).details.status_reason == NO_CAPACITY


@pytest.mark.parametrize(
    ("rules", "kinds"),
    [
        ('on = ["STUCK", "RECOVERED"]', ["RECOVERED"]),
        ('on = ["STUCK", "RECOVERED", "FAILED"]', ["FAILED"]),
        ('on = ["STUCK"]', []),
    ],
)
def test_the_end_of_a_stuck_job_is_told_once_by_the_rules_of_its_end_or_as_its_recovery(
    aws: LocalAws, resources: Resources, batch: BatchServer, rules: str, kinds: list[str]
) -> None:
    watch = SweepHarness(aws, resources, batch, Rules.parse(f"[[rule]]\n{rules}", "room"))
    job_id = waits(watch)
    watch.look()
    watch.notices()

    moves(watch, job_id, "FAILED")
    watch.look()

    assert told(watch) == kinds


def test_an_array_is_told_once_through_its_parent_and_its_pending_is_not_stuck(
    watch: SweepHarness,
) -> None:
    root = waits(watch, "PENDING", minutes=30 * 60, arrayProperties={"size": 9})
    watch.look()
    quiet = told(watch)
    children = [waits(watch, jobId=f"{root}:{n}", arrayProperties={"index": n}) for n in range(9)]
    watch.look()
    bodies = watch.notices()
    for child in children:
        moves(watch, child, arrayProperties={"index": 0})
    watch.look()

    (notice,) = [json.loads(body) for body in bodies]
    assert quiet == []
    assert (notice["kind"], notice["jobId"]) == ("STUCK", root)
    assert told(watch) == ["RECOVERED"]


def test_thousands_stuck_in_a_queue_are_two_messages(watch: SweepHarness) -> None:
    details = [a_detail(status="RUNNABLE", jobName=f"align-{n}") for n in range(2_000)]
    watch.batch.put(details)
    for start in range(0, 2_000, 500):
        some = details[start : start + 500]
        watch.stand.record([a_body(**one, at=NOON - 2 * HOUR) for one in some])

    for _ in range(12):
        watch.look()
        watch.now += 5 * MINUTE
    state = watch.stand.queues.states([QUEUE])[QUEUE]
    begun = told(watch)
    for start in range(0, 2_000, 500):
        some = details[start : start + 500]
        watch.stand.record([a_body(**{**one, "status": "RUNNING"}, at=watch.now) for one in some])
    for _ in range(3):
        watch.look()

    assert (begun, told(watch)) == (["BULK_STUCK"], ["BULK_STUCK_RESOLVED"])
    assert state.bulk_incident is not None
    assert (state.bulk_incident.jobs, state.bulk_incident.sample_size) == (2_000, 100)


def test_a_few_that_become_a_crowd_are_told_as_one(watch: SweepHarness) -> None:
    few = [waits(watch) for _ in range(3)]
    watch.look()
    one_by_one = told(watch)
    more = [waits(watch) for _ in range(2)]
    watch.look()
    crowd = told(watch)
    for job_id in (*few, *more):
        moves(watch, job_id)
    watch.look()

    assert one_by_one == ["STUCK"] * 3
    assert (crowd, told(watch)) == (["BULK_STUCK"], ["BULK_STUCK_RESOLVED"])


def test_a_crowd_is_told_where_one_of_its_jobs_would_be(
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
    watch = SweepHarness(aws, resources, batch, rules)
    jobs = [waits(watch, tags={"project": "atlas"}) for _ in range(5)]
    watch.look()
    for job_id in jobs:
        moves(watch, job_id)
    watch.look()

    notices = [json.loads(body) for body in watch.notices()]

    assert [(n["kind"], n["room"]) for n in notices] == [
        ("BULK_STUCK", "atlas"),
        ("BULK_STUCK_RESOLVED", "atlas"),
    ]


# Running for too long


def runs(watch: SweepHarness, count: int, minutes: int) -> None:
    """Jobs of one name that succeeded yesterday."""
    start = watch.now - 24 * HOUR
    stop = start + minutes * MINUTE
    for _ in range(count):
        attempt = an_attempt(startedAt=start, stoppedAt=stop)
        ended = {"startedAt": start, "stoppedAt": stop, "attempts": [attempt]}
        watch.stand.record([a_body(status="SUCCEEDED", createdAt=start, at=stop, **ended)])


@pytest.mark.parametrize(
    ("ended", "usual", "running", "is_stuck"),
    [
        (5, 30, 91, True),
        (5, 30, 89, False),
        (4, 30, 900, False),
        (5, 1, 61, True),
        (5, 1, 59, False),
    ],
)
def test_a_job_is_stuck_in_running_by_how_long_such_jobs_run(
    watch: SweepHarness, ended: int, usual: int, running: int, is_stuck: bool
) -> None:
    runs(watch, ended, usual)
    waits(watch, "RUNNING", minutes=running)

    watch.look()

    assert told(watch) == ["STUCK"] * is_stuck


# Blocked


def test_a_block_of_30_seconds_is_not_told(watch: SweepHarness) -> None:
    job_id = waits(watch, minutes=1)
    blocks(watch, jobId=job_id)
    watch.look()
    watch.now += MINUTE // 2
    moves(watch, job_id, "RUNNING")
    for _ in range(10):
        watch.now += 5 * MINUTE
        watch.look()

    assert told(watch) == []
    assert watch.stand.queues.states([QUEUE])[QUEUE].blocked is None


@pytest.mark.parametrize("blocked_events", [1, 4])
def test_a_block_of_20_minutes_is_told_once_and_so_is_its_end(
    watch: SweepHarness, blocked_events: int
) -> None:
    job_id = waits(watch, minutes=1)
    for minute in range(20):
        if minute % 5 == 0 and minute // 5 < blocked_events:
            blocks(watch, jobId=job_id)
        watch.look()
        watch.now += MINUTE
    state = watch.stand.queues.states([QUEUE])[QUEUE]
    moves(watch, job_id)
    for _ in range(5):
        watch.now += 5 * MINUTE
        watch.look()

    notices = [json.loads(body) for body in watch.notices()]

    assert state.blocked is not None
    assert (state.blocked.since, state.blocked.job_id) == (NOON, job_id)
    assert state.blocked.reason == NO_CAPACITY
    assert [(n["kind"], n["generation"]) for n in notices] == [
        ("QUEUE_BLOCKED", NOON),
        ("QUEUE_BLOCKED_RESOLVED", NOON),
    ]


def test_a_queue_whose_head_was_cancelled_is_free_unless_another_is_seen_there(
    watch: SweepHarness,
) -> None:
    job_id = waits(watch, minutes=1)
    blocks(watch, jobId=job_id)
    watch.now += 11 * MINUTE
    watch.look()
    moves(watch, job_id, "FAILED")
    blocks(watch)
    watch.look()
    goes_on = told(watch)
    cancelled = waits(watch, "FAILED", minutes=0)
    blocks(watch, jobId=cancelled)
    watch.now += 11 * MINUTE
    watch.look()

    assert (goes_on, told(watch)) == (["QUEUE_BLOCKED"], ["QUEUE_BLOCKED_RESOLVED"])


def test_a_second_block_is_a_second_episode(watch: SweepHarness) -> None:
    for _ in range(2):
        job_id = waits(watch, minutes=0)
        blocks(watch, jobId=job_id)
        watch.now += 15 * MINUTE
        watch.look()
        moves(watch, job_id)
        watch.now += MINUTE
        watch.look()

    assert told(watch) == ["QUEUE_BLOCKED"] * 2 + ["QUEUE_BLOCKED_RESOLVED"] * 2


# Silent


def lives_unheard(watch: SweepHarness, jobs: int) -> list[str]:
    """Jobs that came and went an hour ago, which Batch knows and no event told."""
    born = watch.now - HOUR
    details = [
        a_detail(status="SUCCEEDED", createdAt=born, startedAt=born + 1, stoppedAt=born + MINUTE)
        for _ in range(jobs)
    ]
    watch.batch.put(details)
    return [detail["jobId"] for detail in details]


def test_of_a_queue_whose_events_are_lost_every_job_is_found_and_the_silence_told_once(
    watch: SweepHarness,
) -> None:
    watch.sweep(queues=[QUEUE])
    watch.look(queues=[QUEUE])
    found: list[str] = []
    for _ in range(5):
        watch.now += 2 * HOUR
        found += lives_unheard(watch, 20)
        watch.sweep(queues=[QUEUE])
        watch.look(queues=[QUEUE])
    silent = told(watch)
    watch.stand.record([a_body()])
    for _ in range(3):
        watch.now += 5 * MINUTE
        watch.look()

    assert {watch.stand.job(job_id).status for job_id in found} == {"SUCCEEDED"}
    assert (silent, told(watch)) == (["EVENTS_MISSING"], ["EVENTS_MISSING_RESOLVED"])


def test_a_queue_in_which_nothing_happens_is_not_silent(watch: SweepHarness) -> None:
    waits(watch, "RUNNING", minutes=1, startedAt=NOON - MINUTE)
    for _ in range(5):
        watch.now += 6 * HOUR
        watch.sweep()
        watch.look()

    assert told(watch) == []


def test_one_event_that_was_lost_is_no_silence(watch: SweepHarness) -> None:
    job_id = waits(watch, "RUNNING", minutes=1, startedAt=NOON - MINUTE)
    watch.look()
    watch.now += 3 * HOUR
    ended = {"startedAt": NOON - MINUTE, "stoppedAt": watch.now - HOUR}
    watch.batch.put([a_detail(jobId=job_id, status="SUCCEEDED", **ended)])
    watch.sweep()
    watch.look()

    assert watch.stand.job(job_id).status == "SUCCEEDED"
    assert told(watch) == []


def test_what_happened_before_a_queue_was_watched_is_no_silence(watch: SweepHarness) -> None:
    lives_unheard(watch, 20)
    watch.sweep(queues=[QUEUE])
    for _ in range(3):
        watch.look(queues=[QUEUE])
        watch.now += HOUR

    assert told(watch) == []


# What it costs


def test_a_run_makes_a_bounded_number_of_requests_however_many_jobs_there_are(
    watch: SweepHarness,
) -> None:
    watch.stand.record([a_body(at=NOON) for _ in range(10)])
    watch.look()
    watch.look()
    quiet = dict(watch.requests)
    for start in range(4):
        watch.stand.record([a_body(status="RUNNING", at=NOON - start * HOUR) for _ in range(250)])
    watch.look()

    assert quiet == {"Query": 1 + 88 + 1, "BatchGetItem": 1}
    assert watch.requests["Query"] == quiet["Query"] + 8, "one name's usual time"
    assert sum(watch.requests.values()) <= sum(quiet.values()) + 8 + 1
