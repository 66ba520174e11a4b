"""Windows of hours that are recomputed at different intervals.

    window      hours by age         recomputed
    recent      0 to 2 hours         in each run
    day         3 to 23 hours        once an hour
    fortnight   24 hours to 15 days  once a day
    rest        older                once, and again after a backfill

Hours are recomputed because events and repairs may arrive late: a queue keeps an event for 14 days,
and Batch keeps a job for 7. Pure: no I/O, no clock. All times are epoch milliseconds.
"""

from typing import NamedTuple

from chalicelib.jobs.job_index import TimeRange
from chalicelib.queues.rollup import DAY_MS, HOUR_MS
from chalicelib.queues.stats import HourCursor

_RECENT_HOURS = 2
"""Hours before the current one."""
_EACH_RUN = 1
"""An interval that is always over, in milliseconds."""


class HourWindow(NamedTuple):
    """Hours whose age (in hours before the current one) is above `youngest` and up to `oldest`; -1
    is younger than the current hour. `oldest` None: back to the first job; `interval_ms` None:
    recompute only once."""

    youngest: int
    oldest: int | None
    interval_ms: int | None

    def is_due(self, cursor: HourCursor, now: int) -> bool:
        """Return whether a new pass is due. An interval begins when an hour or a day of UTC does,
        not when the last pass started."""
        if cursor.at is not None:
            return False
        if self.interval_ms is None:
            return cursor.started_at == 0
        return now // self.interval_ms > cursor.started_at // self.interval_ms

    def start(self, cursor: HourCursor, now: int) -> HourCursor:
        """Return the cursor of a new pass. Without `oldest`, the floor remains as it was."""
        hour = hour_of(now)
        floor = cursor.floor if self.oldest is None else hour - self.oldest * HOUR_MS
        return HourCursor(started_at=now, at=hour - self.youngest * HOUR_MS, floor=floor)


RECENT, DAY, FORTNIGHT, REST = "recent", "day", "fortnight", "rest"
WINDOWS = {
    RECENT: HourWindow(-1, _RECENT_HOURS, _EACH_RUN),
    DAY: HourWindow(_RECENT_HOURS, 23, HOUR_MS),
    FORTNIGHT: HourWindow(23, 15 * 24, DAY_MS),
    REST: HourWindow(15 * 24, None, None),
}


def last_day(now: int) -> TimeRange:
    """Return the current hour and the 23 before it."""
    return TimeRange(hour_of(now) - 23 * HOUR_MS, hour_of(now) + HOUR_MS)


def hour_of(moment: int) -> int:
    return moment // HOUR_MS * HOUR_MS


def first_hour_from(moment: int) -> int:
    """Return the beginning of the first hour that begins at this time or later."""
    return -(-moment // HOUR_MS) * HOUR_MS
