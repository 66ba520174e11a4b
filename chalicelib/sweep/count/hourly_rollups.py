"""Recomputation of a queue's hourly and daily rollups from the jobs that ended in them.

An hour is always computed from all of its jobs in the index by status and replaced as a whole, if
it differs from what is stored. So a run may be interrupted anywhere, or run twice at once: the next
one computes the same rollups from the same jobs.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from chalicelib.jobs.job import Job
from chalicelib.jobs.job_index import JobIndex, TimeRange
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, Rollup, total
from chalicelib.queues.stats_table import QueueStatsTable, Rollups


class ReadBudget:
    """Limits of a run: its time (`time_left` returns seconds), and how many ended jobs it reads."""

    def __init__(self, time_left: Callable[[], float], max_jobs: int) -> None:
        self.jobs_read = 0
        self._time_left = time_left
        self._max_jobs = max_jobs

    @property
    def is_out_of_time(self) -> bool:
        return self._time_left() <= 0

    @property
    def is_spent(self) -> bool:
        return self.is_out_of_time or self.jobs_read >= self._max_jobs

    def read(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """Yield jobs until the time is up."""
        for job in jobs:
            if self.is_out_of_time:
                return
            self.jobs_read += 1
            yield job


class Recomputed(NamedTuple):
    """Progress: hours from `since` on are stored, and `written` hours and days of them differed."""

    since: int
    written: int


class HourlyRollups:
    """The rollups of one queue."""

    def __init__(
        self, jobs: JobIndex, table: QueueStatsTable, queue: str, budget: ReadBudget
    ) -> None:
        self._jobs = jobs
        self._table = table
        self._queue = queue
        self._budget = budget

    def recompute(self, hours: TimeRange) -> Iterator[Recomputed]:
        """Recompute these hours from the newest to the oldest, and yield each time that a day is
        stored. The last part reaches `hours.since` unless the budget is spent before."""
        until = hours.until
        for day, computed in groupby(self._computed(hours), key=lambda hour: _day_of(hour[0])):
            rollups = dict(computed)
            since = min(rollups) if self._budget.is_spent else max(day, hours.since)
            yield Recomputed(since, self._store(rollups, TimeRange(since, until)))
            until = since
        if until > hours.since and not self._budget.is_spent:
            yield Recomputed(hours.since, self._store({}, TimeRange(hours.since, until)))

    def _computed(self, hours: TimeRange) -> Iterator[tuple[int, Rollup]]:
        """Yield each hour in which jobs ended, the newest first. An hour is complete: when the job
        limit is reached, it is still read to its end."""
        ended = self._budget.read(self._jobs.ended(self._queue, hours))
        for hour, jobs in groupby(ended, key=lambda job: job.since // HOUR_MS * HOUR_MS):
            rollup = Rollup.of(jobs)
            if self._budget.is_out_of_time:
                return
            yield hour, rollup
            if self._budget.is_spent:
                return

    def _store(self, computed: Rollups, hours: TimeRange) -> int:
        """Replace the stored hours in this range, hours without jobs by empty ones, and the sums
        of their days. Return the number of rollups that differed and were written."""
        first, last = _day_of(hours.since), -(-hours.until // DAY_MS) * DAY_MS
        stored = self._table.hours(self._queue, first, last)
        within = {hour for hour in computed.keys() | stored if hours.since <= hour < hours.until}
        fresh = {hour: computed.get(hour, Rollup()) for hour in within}
        changed = _changed(fresh, stored)
        stored_days = self._table.days(self._queue, first, last)
        changed_days = _changed(_days(stored | fresh), stored_days)
        if changed or changed_days:
            self._table.put(self._queue, changed, changed_days)
        return len(changed) + len(changed_days)


def _changed(fresh: Rollups, stored: Rollups) -> dict[int, Rollup]:
    return {at: rollup for at, rollup in fresh.items() if rollup != stored.get(at)}


def _days(hours: Mapping[int, Rollup]) -> dict[int, Rollup]:
    by_day = groupby(sorted(hours.items(), key=lambda hour: hour[0]), lambda hour: _day_of(hour[0]))
    return {day: total(rollup for _, rollup in hours) for day, hours in by_day}


def _day_of(moment: int) -> int:
    return moment // DAY_MS * DAY_MS
