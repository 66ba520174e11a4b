"""The work on one queue in a run of the counter: update its counts, then recompute the hours that
are due.

Progress is saved after each day of hours, on the condition that no other run has saved the queue's
statistics in between.
"""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from chalicelib.jobs.job import ACTIVE, JobStatus
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, Rollup, total
from chalicelib.queues.stats import EndedCount, HourCursor, QueueStats
from chalicelib.queues.stats_table import QueueStatsTable, StatsConflict
from chalicelib.sweep.count.hourly_rollups import HourlyRollups
from chalicelib.sweep.count.read_budget import ReadBudget
from chalicelib.sweep.count.windows import (
    DAY,
    FORTNIGHT,
    RECENT,
    REST,
    WINDOWS,
    hour_of,
    last_day,
)

_COUNTED_PER_MINUTE = 1_000
"""A count reads the keys of all active jobs once for each status. So a queue is counted again only
after a minute for each thousand jobs in it; with fewer than 5,000, in each run."""


@dataclass(frozen=True, kw_only=True)
class CountRun:
    """A run of the counter, at `now`. `oldest` is the first hour whose jobs have not expired (both
    in epoch milliseconds), `max_counted` the maximum count of one queue and status."""

    index: JobIndex
    table: QueueStatsTable
    budget: ReadBudget
    now: int
    oldest: int
    max_counted: int


class QueuePass:
    """Work on one queue and its results: `counted` is the number of active jobs, `written` the
    number of rollups that differed from what was stored. `is_counted`: counts and last day are
    saved. `is_unfinished`: more is due, but the budget is spent."""

    def __init__(self, run: CountRun, queue: str) -> None:
        self.is_counted = False
        self.is_unfinished = False
        self.counted = 0
        self.written = 0
        self._run = run
        self._queue = queue
        self._saved = run.table.load(queue)
        self._stats = self._saved.stats
        self._rollups = HourlyRollups(run.index, run.table, queue, run.budget)

    @property
    def as_of(self) -> int:
        return self._stats.as_of or 0

    def run_stage(self, stage: "Callable[[QueuePass], None]") -> bool:
        """Run a stage of the pass. Return False if another run works on the same queue: leave it to
        that run."""
        if self._run.budget.is_exhausted:
            self.is_unfinished = True
            return True
        try:
            stage(self)
        except StatsConflict:
            return False
        return True

    def update_counts(self) -> None:
        """Update what users see first: the counts of active jobs and the last day."""
        if _is_count_due(self._stats, self._run.now):
            self._stats = self._count()
        self._recompute_window(RECENT)
        self._recompute_window(DAY)
        since, until = last_day(self._run.now)
        hours = self._run.table.hours(self._queue, since - DAY_MS, until)
        self._stats = replace(
            self._stats,
            last_day=total(hour for at, hour in hours.items() if at >= since),
            hours=tuple(_ended(hours.get(at)) for at in range(since, until, HOUR_MS)),
            hours_begin=since,
            day_before=_ended(total(hour for at, hour in hours.items() if at < since)),
        )
        self._save()
        self.is_counted = True

    def recompute_older_hours(self) -> None:
        for window in (FORTNIGHT, REST):
            self._recompute_window(window)
        self._save()

    def _count(self) -> QueueStats:
        partitions = [StatusPartition(self._queue, status) for status in ACTIVE]
        counted = self._run.index.count(partitions, at_most=self._run.max_counted)
        counts = {partition.status: count.jobs for partition, count in counted.items()}
        self.counted = sum(counts.values())
        return replace(
            self._stats,
            as_of=self._run.now,
            counts=counts,
            oldest_waiting=self._oldest_waiting() if counts[JobStatus.RUNNABLE] else None,
            counts_are_at_least=not all(count.is_exact for count in counted.values()),
        )

    def _oldest_waiting(self) -> int | None:
        runnable = StatusPartition(self._queue, JobStatus.RUNNABLE)
        found = self._run.index.oldest_in_status(runnable, before=self._run.now, after="", limit=1)
        return found.rows[0].job.since if found.rows else None

    def _recompute_window(self, name: str) -> None:
        """Start a pass through the window if it is due, and advance a pass as far as possible."""
        self._run.budget.begin_pass()
        cursor = self._stats.cursors.get(name, HourCursor())
        if WINDOWS[name].is_due(cursor, self._run.now):
            cursor = WINDOWS[name].start(cursor, self._run.now)
        if cursor.at is None:
            return
        times = TimeRange(hour_of(max(cursor.floor, self._run.oldest)), cursor.at)
        if times.until <= times.since:
            self._set_cursor(name, replace(cursor, at=None, part=Rollup()))
            return
        for since, part, written in self._rollups.recompute(times, cursor.part):
            self.written += written
            cursor = replace(cursor, at=since if since > times.since else None, part=part)
            self._set_cursor(name, cursor)
            if cursor.at is not None:
                self._save()
        self.is_unfinished |= cursor.at is not None

    def _set_cursor(self, name: str, cursor: HourCursor) -> None:
        self._stats = replace(self._stats, cursors={**self._stats.cursors, name: cursor})

    def _save(self) -> None:
        if self._stats != self._saved.stats:
            self._saved = self._run.table.save(self._queue, self._stats, self._saved.version)


def _is_count_due(stats: QueueStats, now: int) -> bool:
    if stats.as_of is None:
        return True
    return now - stats.as_of >= sum(stats.counts.values()) * 60_000 // _COUNTED_PER_MINUTE


def _ended(rollup: Rollup | None) -> EndedCount:
    return EndedCount(rollup.succeeded, rollup.failed) if rollup else EndedCount()
