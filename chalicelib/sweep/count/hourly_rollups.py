"""Recomputation of a queue's hourly and daily rollups from the jobs that ended in them.

An hour is always computed from all of its jobs in the index by status and replaced as a whole, if
it differs from what is stored. So a run may be interrupted anywhere, or run twice at once: the next
one computes the same rollups from the same jobs. An hour with more jobs than a run may read is
computed in parts: the caller keeps the sum of its newest jobs until the next run.
"""

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import NamedTuple

from chalicelib.jobs.job import Job
from chalicelib.jobs.job_index import JobIndex, TimeRange
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, Rollup, total
from chalicelib.queues.stats_table import QueueStatsTable, Rollups
from chalicelib.sweep.count.read_budget import ReadBudget
from chalicelib.sweep.count.windows import first_hour_from, hour_of

_JOBS_PER_PART = 1_000
"""Jobs that are in memory at once."""


class Recomputed(NamedTuple):
    """Progress: jobs that ended from `since` on are counted, and `written` hours and days differed
    from what was stored. `part` counts the jobs from `since` to the end of that hour, which is not
    stored yet; an hour's beginning has no part."""

    since: int
    part: Rollup
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

    def recompute(self, times: TimeRange, part: Rollup) -> Iterator[Recomputed]:
        """Recompute the hours of this range from the newest to the oldest, and yield each time that
        a day is stored. The last result reaches `times.since`, which is the beginning of an hour,
        unless the budget is spent before. `part` counts the jobs from `times.until` to the end of
        that hour."""
        complete: dict[int, Rollup] = {}
        since = reported = times.until
        for jobs, reached in self._parts(times):
            hour = hour_of(since - 1)
            part += Rollup.of(jobs)
            since = reached
            if since > hour:
                continue
            complete[hour] = part
            part = Rollup()
            if _day_of(since - 1) < _day_of(hour):
                yield Recomputed(since, part, self._store(complete, TimeRange(since, reported)))
                complete, reported = {}, since
        if since < reported:
            yield Recomputed(since, part, self._store(complete, TimeRange(since, reported)))

    def _parts(self, times: TimeRange) -> Iterator[tuple[list[Job], int]]:
        """Yield the jobs that ended in this range, the last one first, in parts of one hour. With
        each part, all jobs that ended from a time on are complete; yield this time with it."""
        part: list[Job] = []
        last = times.until - 1
        for job in self._jobs.ended(self._queue, times):
            if self._budget.is_out_of_time:
                return
            is_full = len(part) >= _JOBS_PER_PART or self._budget.is_spent
            if hour_of(job.since) < hour_of(last) or (is_full and job.since < last):
                yield part, min(last, hour_of(job.since) + HOUR_MS)
                if self._budget.is_spent:
                    return
                part = []
            self._budget.jobs_read += 1
            part.append(job)
            last = job.since
        yield part, times.since

    def _store(self, computed: Rollups, times: TimeRange) -> int:
        """Replace the stored hours that are complete in this range, hours without jobs by empty
        ones, and the sums of their days. Return the number of rollups that differed and were
        written."""
        hours = TimeRange(first_hour_from(times.since), first_hour_from(times.until))
        if hours.until <= hours.since:
            return 0
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
    return {at: rollup for at, rollup in fresh.items() if rollup != stored.get(at, Rollup())}


def _days(hours: Mapping[int, Rollup]) -> dict[int, Rollup]:
    by_day = groupby(sorted(hours.items(), key=lambda hour: hour[0]), lambda hour: _day_of(hour[0]))
    return {day: total(rollup for _, rollup in hours) for day, hours in by_day}


def _day_of(moment: int) -> int:
    return moment // DAY_MS * DAY_MS
