"""Counts what is in each queue, and what became of the jobs that ended in it, hour by hour.

Nothing is counted up: an hour is made anew from the jobs of the index that ended in it, and put
whole where it is not what was stored. So a run may be cut off anywhere, or run twice at once, and
changes nothing but who does the work.

    every run     the counts, and the current hour and the two before it
    every hour    the hours back to a day ago      )
    every day     the hours back to 15 days ago    ) for what is heard of late
    once          those before, newest first; anew when the sweep is to begin anew

15 days, as a queue holds an event for 14, and Batch remembers a job for 7. Of each kind of hours
a walk goes on where it stopped. Knows the order of the steps.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from chalicelib.aws.lambda_event import without_reserve
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import ACTIVE, Job
from chalicelib.jobs.job_table import JobTable, StatusPartition, TimeRange
from chalicelib.queues.rollup import DAY, HOUR, Rollup, rollup_of, total
from chalicelib.queues.stats_table import Cursor, QueueStatsTable, StoredCounts
from chalicelib.runtime import Runtime

MOST_COUNTED = 10_000
"""Of one status; of more it is said that there are at least so many."""
_COUNTED_A_MINUTE = 1_000
"""QueueCounter reads the record of each job, a kilobyte: so a queue is counted anew only after a
minute for each thousand jobs that there were. Fewer than five thousand are counted every time."""
_MOST_READ = 250_000
"""Ended jobs in one run; an hour that was begun is finished."""
_RESERVE_SECONDS = 10.0
_TRIES = 10


class HourRange(NamedTuple):
    """Hours of some age, made anew once in each of these intervals (milliseconds); None: once.
    Ages are in hours before the current one; None: back to the first job."""

    youngest: int
    oldest: int | None
    every: int | None

    def is_due(self, walk: Cursor, now: int) -> bool:
        if walk.at is not None:
            return False
        return now // self.every > walk.began // self.every if self.every else not walk.began


RECENT = 2
"""Hours before the current one that are made anew by every run."""
HOUR_RANGES = {
    "day": HourRange(RECENT, 23, HOUR),
    "fortnight": HourRange(23, 15 * 24, DAY),
    "rest": HourRange(15 * 24, None, None),
}


@dataclass(kw_only=True)
class CountTally:
    """What became of a run. `counted` are jobs that have not ended, `read` those that have,
    `written` hours and days that were not as stored. `left`: there is more to do at once."""

    queues: int = 0
    counted: int = 0
    read: int = 0
    written: int = 0
    left: bool = False


class OvertakenByAnotherRun(Exception):
    """Another run is at this queue."""


class QueueCounter:
    """`report` gets each run's tally, also of one that raises."""

    def __init__(
        self,
        jobs: JobTable,
        queues: QueueStatsTable,
        report: Callable[[CountTally], None],
        *,
        retention_days: int = 0,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._jobs = jobs
        self._queues = queues
        self._report = report
        self._retention = retention_days * DAY
        self._runtime = runtime

    def run(self, time_left: Callable[[], float], since: int | None = None) -> CountTally:
        """As much as the time allows, the queue first that was not counted for the longest. With
        `since` (epoch milliseconds) all hours from then on are made anew.

        Raises TableUnavailable.
        """
        tally, now = CountTally(), self._runtime.now_ms()
        allowance = _Allowance(tally, without_reserve(time_left, _RESERVE_SECONDS))
        oldest = now - self._retention + HOUR if self._retention else 0
        try:
            names = self._jobs.queues()
            if since is not None:
                for name in names:
                    self._begin_anew(name, since)
            turns = [
                _QueuePass(self._jobs, self._queues, name, now, oldest, allowance) for name in names
            ]
            turns.sort(key=lambda turn: turn.as_of)
            for step in (_QueuePass.count, _QueuePass.walk_back):
                turns = [turn for turn in turns if turn.takes(step)]
            tally.left |= any(turn.left for turn in turns)
        finally:
            self._report(tally)
        return tally

    def _begin_anew(self, name: str, since: int) -> None:
        """Whatever another run saves meanwhile; what was never walked through stays to be."""
        for _ in range(_TRIES):
            stored = self._queues.load(name)
            rest = stored.counts.walks.get("rest", Cursor())
            has_ended = rest.began and rest.at is None
            floor = since if has_ended else min(rest.floor, since)
            stored.counts.walks = {"rest": Cursor(floor=floor)}
            if self._queues.save(name, stored):
                return
        raise TableUnavailable(f"other runs were always faster to save the counts of {name}")


class _Allowance:
    def __init__(self, tally: CountTally, time_left: Callable[[], float]) -> None:
        self.tally = tally
        self._time_left = time_left

    @property
    def out_of_time(self) -> bool:
        return self._time_left() <= 0

    @property
    def is_spent(self) -> bool:
        return self.out_of_time or self.tally.read >= _MOST_READ

    def each(self, jobs: Iterable[Job]) -> Iterator[Job]:
        """As many as there is time for."""
        for job in jobs:
            if self.out_of_time:
                return
            self.tally.read += 1
            yield job


class _QueuePass:
    """One queue in one run."""

    def __init__(
        self,
        jobs: JobTable,
        queues: QueueStatsTable,
        name: str,
        now: int,
        oldest: int,
        allowance: _Allowance,
    ) -> None:
        self.left = False
        self._jobs = jobs
        self._queues = queues
        self._name = name
        self._now = now
        self._hour = now // HOUR * HOUR
        self._oldest = -(-oldest // HOUR) * HOUR
        self._allowance = allowance
        self._stored: StoredCounts = queues.load(name)

    @property
    def as_of(self) -> int:
        return self._stored.counts.as_of or 0

    def takes(self, step: "Callable[[_QueuePass], None]") -> bool:
        """False if another run is at this queue, which has to leave it to that."""
        if self._allowance.is_spent:
            self.left = True
            return True
        try:
            step(self)
        except OvertakenByAnotherRun:
            return False
        return True

    def count(self) -> None:
        """What people look at first: the counts and the last day."""
        counts = self._stored.counts
        if counts.as_of is None or self._now - counts.as_of >= _pause(counts.counts):
            self._count_waiting()
        recent = Cursor(self._now, self._hour + HOUR, self._hour - RECENT * HOUR)
        self._walk(recent, save=lambda: None)
        self._walk_band("day")
        hours = self._queues.hours(self._name, self._hour - 23 * HOUR, self._hour + HOUR)
        counts.last_day = total(hours.values())
        self._save()
        self._allowance.tally.queues += 1

    def walk_back(self) -> None:
        for name in HOUR_RANGES:
            self._walk_band(name)

    def _count_waiting(self) -> None:
        places = [StatusPartition(self._name, status) for status in ACTIVE]
        found = self._jobs.count(places, at_most=MOST_COUNTED)
        counts = self._stored.counts
        counts.as_of = self._now
        counts.counts = {place.status: count.jobs for place, count in found.items()}
        counts.are_at_least = not all(count.is_all for count in found.values())
        self._allowance.tally.counted += sum(counts.counts.values())

    def _walk_band(self, name: str) -> None:
        band, walk = HOUR_RANGES[name], self._stored.counts.walks.setdefault(name, Cursor())
        if band.is_due(walk, self._now):
            walk.began = self._now
            walk.at = self._hour - band.youngest * HOUR
            if band.oldest is not None:
                walk.floor = self._hour - band.oldest * HOUR
        if walk.at is not None:
            self._walk(walk, save=self._save)
            self.left |= walk.at is not None

    def _walk(self, walk: Cursor, *, save: Callable[[], None]) -> None:
        """As far as the allowance goes, and a day at a time."""
        at, floor = walk.at or 0, max(walk.floor, self._oldest) // HOUR * HOUR
        for day, hours in groupby(self._hours(floor, at), key=lambda hour: hour[0] // DAY * DAY):
            found = dict(hours)
            reached = min(found) if self._allowance.is_spent else max(day, floor)
            self._put(found, reached, at)
            walk.at = at = reached
            save()
        if not self._allowance.is_spent:
            self._put({}, floor, at)
            walk.at = None
            save()

    def _hours(self, floor: int, at: int) -> Iterator[tuple[int, Rollup]]:
        """Of each hour in which jobs ended, from the last before `at` down to `floor`."""
        if at <= floor:
            return
        ended = self._allowance.each(self._jobs.ended(self._name, TimeRange(floor, at)))
        for hour, jobs in groupby(ended, key=lambda job: job.since // HOUR * HOUR):
            rollup = rollup_of(jobs)
            if self._allowance.out_of_time:
                return
            yield hour, rollup
            if self._allowance.is_spent:
                return

    def _put(self, found: dict[int, Rollup], since: int, until: int) -> None:
        """Makes these all the hours that there are from `since` on and before `until`, and their
        days the sums of what is then in them."""
        if until <= since:
            return
        first, last = since // DAY * DAY, -(-until // DAY) * DAY
        stored = self._queues.hours(self._name, first, last)
        within = {hour for hour in found.keys() | stored.keys() if since <= hour < until}
        fresh = {hour: found.get(hour, Rollup()) for hour in within}
        days = {
            day: total(rollup for _, rollup in hours)
            for day, hours in groupby(sorted((stored | fresh).items()), key=_day_of)
        }
        known = self._queues.days(self._name, first, last)
        changed = {hour: of for hour, of in fresh.items() if of != stored.get(hour)}
        changed_days = {day: of for day, of in days.items() if of != known.get(day)}
        if changed or changed_days:
            self._queues.put(self._name, changed, changed_days)
        self._allowance.tally.written += len(changed) + len(changed_days)

    def _save(self) -> None:
        saved = self._queues.save(self._name, self._stored)
        if saved is None:
            raise OvertakenByAnotherRun
        self._stored = saved


def _day_of(hour: tuple[int, Rollup]) -> int:
    return hour[0] // DAY * DAY


def _pause(counts: dict[str, int]) -> int:
    """Milliseconds until it is worth to count again."""
    return sum(counts.values()) * 60_000 // _COUNTED_A_MINUTE
