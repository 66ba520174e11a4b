"""Counts and rollups match the jobs: with late events, repairs, crashes and two runs at once."""

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
from chalicelib.sweep.count.queue_counter import CountLimits, CountTally, QueueCounter
from local.aws import LocalAws, Resources
from local.workload import QUEUES, Workload, workload
from tests.support.builders import NOON, a_body, a_job_id, bodies_of, queue_arn
from tests.support.crash_injection import crash_at
from tests.support.recorder_harness import RecorderHarness

QUEUE = "high-priority"


class CountHarness:
    """A recorder, and runs of the counter with a clock of their own (`now`, epoch milliseconds)."""

    def __init__(self, aws: LocalAws, resources: Resources) -> None:
        self.now = NOON
        self.recorder = RecorderHarness(aws, resources)
        self.stats = QueueStatsTable(self.recorder.dynamodb, resources.jobs_table)
        self._aws, self._resources = aws, resources

    def record(self, bodies: Sequence[str]) -> None:
        for start in range(0, len(bodies), 500):
            self.recorder.record(bodies[start : start + 500])

    def run(
        self,
        *,
        since: int | None = None,
        time_left: Callable[[], float] = lambda: 100,
        limits: CountLimits | None = None,
        on_write: Callable[[], None] | None = None,
    ) -> CountTally:
        """Run the counter once, with clients of its own. `on_write` is called before each of its
        writes, and after each response."""
        own = RecorderHarness(self._aws, self._resources)
        if on_write:
            for operation in ("BatchWriteItem", "BatchExecuteStatement"):
                for moment in ("before-send", "after-call"):
                    own.dynamodb.meta.events.register(
                        f"{moment}.dynamodb.{operation}", lambda **_: on_write()
                    )
        stats = QueueStatsTable(own.dynamodb, self._resources.jobs_table)
        runtime = Runtime(now=lambda: self.now / 1000)
        counter = QueueCounter(
            own.index,
            own.registry,
            stats,
            lambda tally: None,
            limits=limits or CountLimits(),
            runtime=runtime,
        )
        return counter.run(time_left, since)

    def run_until_done(self, limits: CountLimits) -> list[CountTally]:
        """Run the counter until nothing is left to do, at most a hundred times."""
        tallies = [self.run(limits=limits)]
        while tallies[-1].left and len(tallies) < 100:
            tallies.append(self.run(limits=limits))
        return tallies

    def stored(self) -> dict[str, dict[int, Rollup]]:
        """Return the stored hours and days of each queue, without empty ones."""
        return {
            f"{name} {queue}": {
                at: rollup
                for at, rollup in read(queue, 0, NOON + DAY_MS).items()
                if rollup != Rollup()
            }
            for queue in self.recorder.registry.names()
            for name, read in (("hours", self.stats.hours), ("days", self.stats.days))
        }

    def expected(self) -> dict[str, dict[int, Rollup]]:
        """Return what the hours and days of each queue must be, from all jobs that are stored."""
        jobs = [self.recorder.job(job_id) for job_id in self.recorder.records()]
        rollups: dict[str, dict[int, Rollup]] = {}
        for queue in self.recorder.registry.names():
            ended = [job for job in jobs if job.queue == queue and job.is_over]
            rollups[f"hours {queue}"] = rollups_by_period(ended, HOUR_MS)
            rollups[f"days {queue}"] = rollups_by_period(ended, DAY_MS)
        return rollups

    def counts(self) -> tuple[dict[str, int], bool]:
        """Return the counts of QUEUE without zeros, and whether there may be more."""
        stats = self.stats.load(QUEUE).stats
        counts = {status: number for status, number in stats.counts.items() if number}
        return counts, stats.counts_are_at_least


def rollups_by_period(jobs: Sequence[Job], length: int) -> dict[int, Rollup]:
    starts = {job.since // length * length for job in jobs}
    rollups = {
        start: Rollup.of(job for job in jobs if job.since // length * length == start)
        for start in starts
    }
    # A period in which only a child ended that never ran has an empty rollup.
    return {start: rollup for start, rollup in rollups.items() if rollup != Rollup()}


@pytest.fixture
def harness(aws: LocalAws, resources: Resources) -> CountHarness:
    return CountHarness(aws, resources)


def lifecycles(jobs: int, queues: Sequence[str] = QUEUES, seed: int = 5) -> Workload:
    """Return jobs of which the last one ends at noon."""
    length = workload(seed, jobs, 0, queues).events[-1].at
    return workload(seed, jobs, NOON - length, queues)


def shuffled(work: Workload, seed: int = 1) -> list[str]:
    bodies = bodies_of(work) * 2
    random.Random(seed).shuffle(bodies)
    return bodies


def succeeded(at: int, **fields: Any) -> str:
    fields = {"jobId": a_job_id(), "status": "SUCCEEDED", "stoppedAt": at, **fields}
    return a_body(at=at, **fields)


# Rollups of jobs that ended


def test_rollups_match_the_jobs_while_events_arrive_in_any_order(harness: CountHarness) -> None:
    bodies = shuffled(lifecycles(250))
    third = len(bodies) // 3

    for chunk in (bodies[:third], bodies[third : 2 * third], bodies[2 * third :]):
        harness.record(chunk)
        harness.run()
        harness.now += HOUR_MS
    harness.run()

    assert harness.stored() == harness.expected()
    assert sum(hour.failed for hour in harness.stored()["hours gpu"].values()) > 0


def test_a_second_run_writes_no_rollup(harness: CountHarness) -> None:
    harness.record(bodies_of(lifecycles(100)))

    first, second = harness.run(), harness.run()

    assert first.written > 0
    assert second.written == 0


def test_a_job_whose_end_is_corrected_leaves_its_hour(harness: CountHarness) -> None:
    """A repair dated the end late, and then the event arrived."""
    job_id = a_job_id()
    harness.record([succeeded(NOON, jobId=job_id)])
    harness.run()

    harness.record([succeeded(NOON - 3 * HOUR_MS, jobId=job_id)])
    harness.now += HOUR_MS
    harness.run()

    assert harness.stored() == harness.expected()


@pytest.mark.parametrize(
    ("age", "interval"), [(20 * HOUR_MS, HOUR_MS), (9 * DAY_MS, DAY_MS)], ids=["day", "fortnight"]
)
def test_a_late_event_is_counted_when_its_hour_is_recomputed(
    harness: CountHarness, age: int, interval: int
) -> None:
    harness.record([succeeded(NOON - age)])
    harness.run()
    harness.record([succeeded(NOON - age + 1)])

    harness.run()
    before = harness.stored()
    harness.now += interval
    harness.run()

    assert before != harness.expected()
    assert harness.stored() == harness.expected()


def test_an_event_that_is_even_later_is_counted_after_a_backfill(harness: CountHarness) -> None:
    harness.record([succeeded(NOON - 40 * DAY_MS)])
    harness.run()
    harness.record([succeeded(NOON - 40 * DAY_MS + 1), succeeded(NOON - 80 * DAY_MS)])
    harness.now += 2 * DAY_MS

    harness.run()
    before = harness.stored()
    harness.run(since=NOON - 41 * DAY_MS)
    partly = harness.stored()["hours high-priority"]
    harness.run(since=0)

    assert len(before["hours high-priority"]) == 1
    assert [hour.succeeded for hour in partly.values()] == [2]
    assert harness.stored() == harness.expected()


def test_a_run_without_time_left_is_continued_by_the_next_one(harness: CountHarness) -> None:
    harness.record([succeeded(NOON - hours * HOUR_MS) for hours in range(0, 400, 13)])
    runs = 0
    left = True

    while left and runs < 500:
        seconds = iter([100.0] * (12 + runs % 5))
        left = harness.run(time_left=lambda left=seconds: next(left, 0.0)).left
        runs += 1

    assert runs > 3
    assert harness.stored() == harness.expected()


def test_a_run_reads_a_limited_number_of_jobs(harness: CountHarness) -> None:
    limits = CountLimits(max_jobs_read=20)
    harness.record([succeeded(NOON - hours * HOUR_MS) for hours in range(50)])

    tallies = harness.run_until_done(limits)

    assert max(tally.read for tally in tallies) <= 20
    assert 3 < len(tallies) < 12
    assert harness.stored() == harness.expected()


def test_hours_with_more_jobs_than_a_run_reads_are_counted_in_parts(harness: CountHarness) -> None:
    """Whether the hour is the current one, one of the last day or an older one."""
    hours = [NOON - hours * HOUR_MS for hours in (0, 1, 7, 100, 101, 1000)]
    at_once = [succeeded(NOON - HOUR_MS + 5000) for _ in range(15)]
    harness.record([succeeded(hour + n // 2 * 1000) for hour in hours for n in range(45)] + at_once)

    tallies = harness.run_until_done(CountLimits(max_jobs_read=40))

    assert len(tallies) > 285 / 40
    assert max(tally.read for tally in tallies) <= 40 + 15
    assert harness.stored() == harness.expected()


def test_a_large_hour_of_a_queue_delays_no_other_queue(harness: CountHarness) -> None:
    harness.record(
        [succeeded(NOON + n // 9 * 1000, jobQueue=queue_arn("large")) for n in range(300)]
    )
    harness.record([succeeded(NOON - hours * HOUR_MS) for hours in (0, 5, 50)])

    tally = harness.run(limits=CountLimits(max_jobs_read=120))

    assert tally.left
    assert harness.stored()[f"hours {QUEUE}"] == harness.expected()[f"hours {QUEUE}"]


def test_parts_of_an_hour_survive_a_crash_and_a_second_run(harness: CountHarness) -> None:
    harness.record([succeeded(NOON + n * 1000) for n in range(60)])
    limits = CountLimits(max_jobs_read=40)

    for nth in range(1, 9):
        crash_at(nth, lambda on_write: harness.run(limits=limits, on_write=on_write))
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda _: harness.run(limits=limits), range(2)))
    harness.run_until_done(limits)

    assert harness.stored() == harness.expected()


def test_a_run_that_crashes_at_any_write_is_completed_by_the_next_one(
    running_aws: LocalAws,
) -> None:
    bodies = bodies_of(lifecycles(60, QUEUES[:1]))

    def crashed_at(nth: int) -> tuple[CountHarness, int]:
        running_aws.reset()
        harness = CountHarness(running_aws, running_aws.create_resources())
        harness.record(bodies)
        return harness, crash_at(nth, lambda on_write: harness.run(on_write=on_write))

    uninterrupted, writes = crashed_at(-1)

    assert writes >= 6
    assert uninterrupted.stored() == uninterrupted.expected()
    for nth in range(1, writes + 1):
        harness, _ = crashed_at(nth)
        harness.run()
        assert harness.stored() == uninterrupted.stored(), nth


def test_two_runs_at_once_store_the_same_rollups(harness: CountHarness) -> None:
    harness.record(bodies_of(lifecycles(300)))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: harness.run(), range(2)))
    harness.run()

    assert harness.stored() == harness.expected()


def test_the_last_day_is_the_current_hour_and_the_23_before_it(harness: CountHarness) -> None:
    hour = NOON // HOUR_MS * HOUR_MS
    first = hour - 23 * HOUR_MS
    harness.record([succeeded(first), succeeded(first - 1), succeeded(NOON)])

    harness.run()

    last_day = harness.stats.load(QUEUE).stats.last_day
    assert last_day.succeeded == 2
    assert last_day == total(harness.stats.hours(QUEUE, first, hour + HOUR_MS).values())


def test_rollups_expire_like_jobs_and_an_hour_of_which_jobs_have_expired_is_not_recomputed(
    harness: CountHarness,
) -> None:
    expiring_hour = NOON - 30 * DAY_MS
    harness.record([succeeded(at) for at in (expiring_hour + 1, expiring_hour + HOUR_MS, NOON)])
    client, table = harness.recorder.dynamodb, harness.recorder.resources.jobs_table

    runtime = Runtime(now=lambda: NOON / 1000)
    jobs = JobTable(client, table, retention_days=30, runtime=runtime)
    counter = QueueCounter(
        JobIndex(client, table, jobs),
        QueueRegistry(client, table),
        QueueStatsTable(client, table, retention_days=30),
        lambda tally: None,
        retention_days=30,
        runtime=runtime,
    )
    counter.run(lambda: 100)

    last_hour = NOON // HOUR_MS * HOUR_MS
    assert set(harness.stats.hours(QUEUE, 0, NOON + DAY_MS)) == {last_hour}
    expiries = {
        item["sk"]["S"]: int(item["expiresAt"]["N"])
        for item in harness.recorder.items()
        if "expiresAt" in item and item["sk"]["S"].startswith("HOUR#")
    }
    assert expiries == {"HOUR#2026-05-28T20": (last_hour + HOUR_MS + 30 * DAY_MS) // 1000}


# Counts of active jobs


def test_active_jobs_are_counted_by_status_and_an_array_as_one(harness: CountHarness) -> None:
    root = a_job_id()
    harness.record(
        [
            a_body(jobId=root, status="PENDING", arrayProperties={"size": 2}),
            *(a_body(jobId=f"{root}:{index}", status="RUNNING") for index in range(2)),
            *(a_body(status="RUNNABLE") for _ in range(3)),
            succeeded(NOON),
        ]
    )

    tally = harness.run()

    assert harness.counts() == ({"PENDING": 1, "RUNNABLE": 3}, False)
    assert tally.counted == 4


def test_a_count_stops_at_a_limit_and_then_states_that_there_may_be_more(
    harness: CountHarness,
) -> None:
    harness.record([a_body(status="RUNNABLE") for _ in range(200)])

    harness.run(limits=CountLimits(max_counted=16))

    assert harness.counts() == ({"RUNNABLE": 16}, True)


def test_a_large_queue_is_counted_less_often(harness: CountHarness) -> None:
    harness.record([a_body(status="RUNNABLE") for _ in range(500)])

    counted = []
    for _ in range(3):
        counted.append(harness.run().counted)
        harness.now += 20_000

    assert counted == [500, 0, 500]
