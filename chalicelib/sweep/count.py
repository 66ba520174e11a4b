"""The sweep's step that counts the jobs of each queue and summarizes those that ended, by hour.

    each run      the current counts, and the rollups of the current hour and the two before it
    each hour     rollups of the hours back to a day ago
    each day      rollups of the hours back to 15 days ago
    once          rollups of all hours before that, newest first; again after a backfill

Older hours are recomputed because events and repairs may arrive late: a queue keeps an event for 14
days, and Batch remembers a job for 7. This module decides what is due in which order; how rollups
are computed is in `hourly_rollups`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from chalicelib.aws.lambda_event import without_reserve
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import ACTIVE
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, total
from chalicelib.queues.stats_table import (
    HourCursor,
    QueueStats,
    QueueStatsTable,
    StatsConflict,
)
from chalicelib.runtime import Runtime
from chalicelib.sweep.hourly_rollups import HourlyRollups, ReadBudget
from chalicelib.telemetry import LogEvent, Tally, count

MAX_COUNTED = 10_000
"""Maximum count of one queue and status; a larger one is reported as "at least" this."""
_COUNTED_PER_MINUTE = 1_000
"""A COUNT query reads the record of each job, about a kilobyte. So a queue is only counted again
after a minute for each thousand jobs in it; one of fewer than 5,000 is counted in each run."""
_MAX_JOBS_READ = 250_000
"""Ended jobs that a run reads before it stops; it completes the hour that it has begun."""
_RESERVE_SECONDS = 10.0
_MAX_RESTART_ATTEMPTS = 10


class HourWindow(NamedTuple):
    """Hours by age that are recomputed once in each `interval_ms`. Ages are in hours before the
    current one. `oldest` None: back to the first job; `interval_ms` None: recompute only once."""

    youngest: int
    oldest: int | None
    interval_ms: int | None

    def is_due(self, cursor: HourCursor, now: int) -> bool:
        if cursor.at is not None:
            return False
        if self.interval_ms is None:
            return cursor.started_at == 0
        return now // self.interval_ms > cursor.started_at // self.interval_ms

    def start(self, cursor: HourCursor, now: int) -> HourCursor:
        """Return the cursor of a new pass. Without an `oldest`, the floor stays as it is."""
        hour = _hour_of(now)
        floor = cursor.floor if self.oldest is None else hour - self.oldest * HOUR_MS
        return HourCursor(started_at=now, at=hour - self.youngest * HOUR_MS, floor=floor)


_RECENT_HOURS = 2
"""Hours before the current one that each run recomputes."""
WINDOWS = {
    "day": HourWindow(_RECENT_HOURS, 23, HOUR_MS),
    "fortnight": HourWindow(23, 15 * 24, DAY_MS),
    "rest": HourWindow(15 * 24, None, None),
}


@dataclass(kw_only=True)
class CountTally(Tally):
    """`counted` are active jobs, `read` ended jobs, `written` hours and days that differed from
    what was stored. `left`: another run should follow at once, because the budget is spent."""

    EVENT = LogEvent.QUEUES_COUNTED

    queues: int = count("QueuesCounted")
    counted: int = count("WaitingJobsCounted")
    read: int = count("EndedJobsRead")
    written: int = count("HoursWritten")
    left: bool = False


class QueueCounter:
    """`report` receives the tally of each run, also of one that
    raises."""

    def __init__(
        self,
        jobs: JobIndex,
        registry: QueueRegistry,
        table: QueueStatsTable,
        report: Callable[[CountTally], None],
        *,
        retention_days: int = 0,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._table = table
        self._report = report
        self._retention_ms = retention_days * DAY_MS
        self._runtime = runtime

    def run(self, time_left: Callable[[], float], since: int | None = None) -> CountTally:
        """Count and summarize as much as the time allows, first the queue whose counts are the
        oldest. With `since` (epoch milliseconds), recompute all hours from then on.

        Raise TableUnavailable.
        """
        tally = CountTally()
        budget = ReadBudget(without_reserve(time_left, _RESERVE_SECONDS), _MAX_JOBS_READ)
        try:
            self._run(tally, budget, since)
        finally:
            tally.read = budget.jobs_read
            self._report(tally)
        return tally

    def _run(self, tally: CountTally, budget: ReadBudget, since: int | None) -> None:
        queues = self._registry.names()
        if since is not None:
            for queue in queues:
                self._restart(queue, since)
        run = self._new_run(tally, budget)
        passes = sorted((_QueuePass(run, queue) for queue in queues), key=lambda each: each.as_of)
        for stage in (_QueuePass.count, _QueuePass.recompute_older_hours):
            passes = [each for each in passes if each.completes(stage)]
        tally.left |= any(each.is_unfinished for each in passes)

    def _new_run(self, tally: CountTally, budget: ReadBudget) -> "_Run":
        now = self._runtime.now_ms()
        oldest = now - self._retention_ms + HOUR_MS if self._retention_ms else 0
        return _Run(self._jobs, self._table, tally, budget, now, -(-oldest // HOUR_MS) * HOUR_MS)

    def _restart(self, queue: str, since: int) -> None:
        """Make all hours from `since` on due. Hours that no pass has reached yet stay due."""
        for _ in range(_MAX_RESTART_ATTEMPTS):
            stats, version = self._table.load(queue)
            rest = stats.cursors.get("rest", HourCursor())
            floor = since if rest.is_complete else min(rest.floor, since)
            try:
                cursors = {"rest": HourCursor(floor=floor)}
                self._table.save(queue, replace(stats, cursors=cursors), version)
            except StatsConflict:
                continue
            return
        raise TableUnavailable(
            f"could not restart the rollups of queue {queue}: other runs keep saving its statistics"
        )


@dataclass(frozen=True)
class _Run:
    """What the passes of one run share. `oldest` is the first hour whose jobs have not expired."""

    jobs: JobIndex
    table: QueueStatsTable
    tally: CountTally
    budget: ReadBudget
    now: int
    oldest: int


class _QueuePass:
    """One queue in one run. `is_unfinished`: the budget was spent before all that is due."""

    def __init__(self, run: _Run, queue: str) -> None:
        self.is_unfinished = False
        self._run = run
        self._queue = queue
        self._stored = run.table.load(queue)
        self._rollups = HourlyRollups(run.jobs, run.table, queue, run.budget)

    @property
    def as_of(self) -> int:
        return self._stats.as_of or 0

    @property
    def _stats(self) -> QueueStats:
        return self._stored.stats

    def completes(self, stage: "Callable[[_QueuePass], None]") -> bool:
        """Run a stage of the pass. Return False if another run works on the same queue, which is
        then left to it."""
        if self._run.budget.is_spent:
            self.is_unfinished = True
            return True
        try:
            stage(self)
        except StatsConflict:
            return False
        return True

    def count(self) -> None:
        """Update what users see first: the counts and the last day."""
        hour, now = _hour_of(self._run.now), self._run.now
        stats = self._counted() if _is_count_due(self._stats, now) else self._stats
        self._stored = self._stored._replace(stats=stats)
        recent = TimeRange(hour - _RECENT_HOURS * HOUR_MS, hour + HOUR_MS)
        for _ in self._recompute(recent):
            pass
        self._recompute_window("day")
        hours = self._run.table.hours(self._queue, hour - 23 * HOUR_MS, hour + HOUR_MS)
        self._save(replace(self._stats, last_day=total(hours.values())))
        self._run.tally.queues += 1

    def recompute_older_hours(self) -> None:
        for window in WINDOWS:
            self._recompute_window(window)

    def _counted(self) -> QueueStats:
        partitions = [StatusPartition(self._queue, status) for status in ACTIVE]
        found = self._run.jobs.count(partitions, at_most=MAX_COUNTED)
        counts = {partition.status: count.jobs for partition, count in found.items()}
        self._run.tally.counted += sum(counts.values())
        return replace(
            self._stats,
            as_of=self._run.now,
            counts=counts,
            counts_are_at_least=not all(count.is_exact for count in found.values()),
        )

    def _recompute_window(self, name: str) -> None:
        """Start a pass through the window if it is due, and advance a pass as far as possible."""
        cursor = self._stats.cursors.get(name, HourCursor())
        if WINDOWS[name].is_due(cursor, self._run.now):
            cursor = WINDOWS[name].start(cursor, self._run.now)
        if cursor.at is None:
            return
        hours = TimeRange(_hour_of(max(cursor.floor, self._run.oldest)), cursor.at)
        if hours.until <= hours.since:
            self._save_cursor(name, replace(cursor, at=None))
            return
        for since in self._recompute(hours):
            cursor = replace(cursor, at=since if since > hours.since else None)
            self._save_cursor(name, cursor)
        self.is_unfinished |= cursor.at is not None

    def _recompute(self, hours: TimeRange) -> Iterator[int]:
        for since, written in self._rollups.recompute(hours):
            self._run.tally.written += written
            yield since

    def _save_cursor(self, name: str, cursor: HourCursor) -> None:
        self._save(replace(self._stats, cursors={**self._stats.cursors, name: cursor}))

    def _save(self, stats: QueueStats) -> None:
        self._stored = self._run.table.save(self._queue, stats, self._stored.version)


def _is_count_due(stats: QueueStats, now: int) -> bool:
    if stats.as_of is None:
        return True
    return now - stats.as_of >= sum(stats.counts.values()) * 60_000 // _COUNTED_PER_MINUTE


def _hour_of(moment: int) -> int:
    return moment // HOUR_MS * HOUR_MS
