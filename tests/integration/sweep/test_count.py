"""Counts and hours are what the jobs say: in any order, after repairs, cut off, twice at once."""

import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.jobs.job import Job
from chalicelib.jobs.job_index import JobIndex
from chalicelib.jobs.job_table import JobTable
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, Rollup, total
from chalicelib.queues.stats_table import QueueStatsTable
from chalicelib.runtime import Runtime
from chalicelib.sweep import count as counting
from chalicelib.sweep.count import CountTally, QueueCounter
from local.aws import LocalAws, Resources
from local.lifecycles import QUEUES, Workload, workload
from tests.support.builders import NOON, a_body, a_job_id, bodies_of
from tests.support.crash_injection import crash_at
from tests.support.recorder_harness import RecorderHarness

QUEUE = "high-priority"


class Count:
    """The recorder, and runs of counting by a clock of its own (`now`, epoch milliseconds)."""

    def __init__(self, aws: LocalAws, resources: Resources) -> None:
        self.now = NOON
        self.stand = RecorderHarness(aws, resources)
        self.queues = QueueStatsTable(self.stand.dynamodb, resources.jobs_table)
        self._aws, self._resources = aws, resources

    def record(self, bodies: Sequence[str]) -> None:
        for start in range(0, len(bodies), 500):
            self.stand.record(bodies[start : start + 500])

    def run(
        self,
        *,
        since: int | None = None,
        time_left: Callable[[], float] = lambda: 100,
        on_write: Callable[[], None] | None = None,
    ) -> CountTally:
        """A run of its own. `on_write` is called before each of its writes, and after."""
        stand = RecorderHarness(self._aws, self._resources)
        if on_write:
            for operation in ("BatchWriteItem", "BatchExecuteStatement"):
                for moment in ("before-send", "after-call"):
                    stand.dynamodb.meta.events.register(
                        f"{moment}.dynamodb.{operation}", lambda **_: on_write()
                    )
        queues = QueueStatsTable(stand.dynamodb, self._resources.jobs_table)
        now = Runtime(now=lambda: self.now / 1000)
        run = QueueCounter(stand.index, stand.registry, queues, lambda tally: None, runtime=now)
        return run.run(time_left, since)

    def stored(self) -> dict[str, dict[int, Rollup]]:
        """All hours and days of each queue in which anything ended."""
        return {
            f"{kind} {queue}": {
                at: of for at, of in read(queue, 0, NOON + DAY_MS).items() if of != Rollup()
            }
            for queue in self.stand.registry.names()
            for kind, read in (("hours", self.queues.hours), ("days", self.queues.days))
        }

    def truth(self) -> dict[str, dict[int, Rollup]]:
        """What they must be, from every job that there is."""
        jobs = [self.stand.job(job_id) for job_id in self.stand.records()]
        found: dict[str, dict[int, Rollup]] = {}
        for queue in self.stand.registry.names():
            ended = [job for job in jobs if job.queue == queue and job.is_over]
            for kind, length in (("hours", HOUR_MS), ("days", DAY_MS)):
                found[f"{kind} {queue}"] = by_time(ended, length)
        return found


def by_time(jobs: Sequence[Job], length: int) -> dict[int, Rollup]:
    begins = {job.since // length * length for job in jobs}
    found = {
        at: Rollup.of(job for job in jobs if job.since // length * length == at) for at in begins
    }
    # Of a child that never ran there is nothing to tell.
    return {at: rollup for at, rollup in found.items() if rollup != Rollup()}


@pytest.fixture
def count(aws: LocalAws, resources: Resources) -> Count:
    return Count(aws, resources)


def lives(jobs: int, queues: Sequence[str] = QUEUES, seed: int = 5) -> Workload:
    """Lives that end at noon."""
    length = workload(seed, jobs, 0, queues).events[-1].at
    return workload(seed, jobs, NOON - length, queues)


def shuffled(work: Workload, seed: int = 1) -> list[str]:
    bodies = bodies_of(work) * 2
    random.Random(seed).shuffle(bodies)
    return bodies


def ended(at: int, **fields: Any) -> str:
    fields = {"jobId": a_job_id(), "status": "SUCCEEDED", "stoppedAt": at, **fields}
    return a_body(at=at, **fields)


def test_the_hours_are_what_the_jobs_say_while_events_come_in_any_order(count: Count) -> None:
    bodies = shuffled(lives(400))
    third = len(bodies) // 3

    for some in (bodies[:third], bodies[third : 2 * third], bodies[2 * third :]):
        count.record(some)
        count.run()
        count.now += HOUR_MS
    count.run()

    assert count.stored() == count.truth()
    assert sum(hour.failed for hour in count.stored()["hours gpu"].values()) > 0


def test_a_second_run_writes_no_hour(count: Count) -> None:
    count.record(bodies_of(lives(100)))

    first, second = count.run(), count.run()

    assert first.written > 0
    assert second.written == 0


def test_a_job_that_turns_out_to_have_ended_earlier_leaves_its_hour(count: Count) -> None:
    """A repair dated its end late, and then the event came."""
    job_id = a_job_id()
    count.record([ended(NOON, jobId=job_id)])
    count.run()

    count.record([ended(NOON - 3 * HOUR_MS, jobId=job_id)])
    count.now += HOUR_MS
    count.run()

    assert count.stored() == count.truth()


@pytest.mark.parametrize(("age", "later"), [(20 * HOUR_MS, HOUR_MS), (9 * DAY_MS, DAY_MS)])
def test_what_is_heard_of_late_is_counted_late(count: Count, age: int, later: int) -> None:
    count.record([ended(NOON - age)])
    count.run()
    count.record([ended(NOON - age + 1)])

    count.run()
    before = count.stored()
    count.now += later
    count.run()

    assert before != count.truth()
    assert count.stored() == count.truth()


def test_what_is_older_is_counted_when_the_sweep_begins_anew(count: Count) -> None:
    count.record([ended(NOON - 40 * DAY_MS)])
    count.run()
    count.record([ended(NOON - 40 * DAY_MS + 1), ended(NOON - 80 * DAY_MS)])
    count.now += 2 * DAY_MS

    count.run()
    before = count.stored()
    count.run(since=NOON - 41 * DAY_MS)
    later = count.stored()["hours high-priority"]
    count.run(since=0)

    assert len(before["hours high-priority"]) == 1
    assert [hour.succeeded for hour in later.values()] == [2]
    assert count.stored() == count.truth()


def test_a_run_that_has_no_time_goes_on_the_next_time(count: Count) -> None:
    count.record([ended(NOON - hours * HOUR_MS) for hours in range(0, 400, 7)])
    runs = 0
    left = True

    while left and runs < 500:
        seconds = iter([100.0] * (12 + runs % 5))
        left = count.run(time_left=lambda left=seconds: next(left, 0.0)).left
        runs += 1

    assert runs > 3
    assert count.stored() == count.truth()


def test_a_run_reads_only_so_many_jobs(count: Count, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "_MAX_JOBS_READ", 10)
    count.record([ended(NOON - hours * HOUR_MS) for hours in range(50)])

    tallies = [count.run() for _ in range(9)]

    assert max(tally.read for tally in tallies) <= 10
    assert [tally.left for tally in tallies][::8] == [True, False]
    assert count.stored() == count.truth()


def test_a_run_that_dies_at_any_of_its_writes_changes_nothing_but_who_does_the_work(
    running_aws: LocalAws,
) -> None:
    bodies = bodies_of(lives(60, QUEUES[:1]))

    def dying_at(nth: int) -> tuple[Count, int]:
        running_aws.reset()
        count = Count(running_aws, running_aws.create_resources())
        count.record(bodies)
        return count, crash_at(nth, lambda on_write: count.run(on_write=on_write))

    whole, length = dying_at(-1)

    assert length >= 6
    assert whole.stored() == whole.truth()
    for nth in range(1, length + 1):
        count, _ = dying_at(nth)
        count.run()
        assert count.stored() == whole.stored(), nth


def test_two_runs_at_once_do_no_harm(count: Count) -> None:
    count.record(bodies_of(lives(300)))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: count.run(), range(2)))
    count.run()

    assert count.stored() == count.truth()


# What is in a queue now


def counts(count: Count) -> tuple[dict[str, int], bool]:
    stored = count.queues.load(QUEUE).stats
    return {status: n for status, n in stored.counts.items() if n}, stored.counts_are_at_least


def test_jobs_that_have_not_ended_are_counted_an_array_as_one(count: Count) -> None:
    root = a_job_id()
    count.record(
        [
            a_body(jobId=root, status="PENDING", arrayProperties={"size": 2}),
            *(a_body(jobId=f"{root}:{n}", status="RUNNING") for n in range(2)),
            *(a_body(status="RUNNABLE") for _ in range(3)),
            ended(NOON),
        ]
    )

    tally = count.run()

    assert counts(count) == ({"PENDING": 1, "RUNNABLE": 3}, False)
    assert tally.counted == 4


def test_of_very_many_it_is_said_that_there_are_at_least_so_many(
    count: Count, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "MAX_COUNTED", 16)
    count.record([a_body(status="RUNNABLE") for _ in range(200)])

    count.run()

    assert counts(count) == ({"RUNNABLE": 16}, True)


def test_a_big_queue_is_counted_less_often(count: Count) -> None:
    count.record([a_body(status="RUNNABLE") for _ in range(500)])

    tallies = []
    for _ in range(3):
        tallies.append(count.run().counted)
        count.now += 20_000

    assert tallies == [500, 0, 500]


def test_the_last_day_is_the_current_hour_and_the_23_before_it(count: Count) -> None:
    hour = NOON // HOUR_MS * HOUR_MS
    count.record([ended(hour - 23 * HOUR_MS), ended(hour - 23 * HOUR_MS - 1), ended(NOON)])

    count.run()

    last_day = count.queues.load(QUEUE).stats.last_day
    assert last_day.succeeded == 2
    assert last_day == total(
        count.queues.hours(QUEUE, hour - 23 * HOUR_MS, hour + HOUR_MS).values()
    )


def test_hours_expire_like_jobs_and_are_not_made_of_what_is_left_of_them(count: Count) -> None:
    """At the edge of the retention some jobs of an hour are gone, and others not yet."""
    edge = NOON - 30 * DAY_MS
    count.record([ended(edge + 1), ended(edge + HOUR_MS), ended(NOON)])
    client, name = count.stand.dynamodb, count.stand.resources.jobs_table

    noon = Runtime(now=lambda: NOON / 1000)
    jobs = JobTable(client, name, retention_days=30, runtime=noon)
    run = QueueCounter(
        JobIndex(client, name, jobs),
        QueueRegistry(client, name),
        QueueStatsTable(client, name, retention_days=30),
        lambda tally: None,
        retention_days=30,
        runtime=noon,
    )
    run.run(lambda: 100)

    last = NOON // HOUR_MS * HOUR_MS
    assert set(count.queues.hours(QUEUE, 0, NOON + DAY_MS)) == {last}
    expiries = {
        item["sk"]["S"]: int(item["expiresAt"]["N"])
        for item in count.stand.items()
        if "expiresAt" in item and item["sk"]["S"].startswith("HOUR#")
    }
    assert expiries == {"HOUR#2026-05-28T20": (last + HOUR_MS + 30 * DAY_MS) // 1000}
