"""The statistics of a job queue that are kept between two sweeps.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

import msgspec

from chalicelib.queues.rollup import Rollup


class HourCursor(msgspec.Struct, frozen=True):
    """Progress of a pass from newer to older hours, which started at `started_at`. Jobs that ended
    from `at` on are counted, those down to `floor` are to do; `at` is None between two passes.
    Within an hour, `part` counts the jobs from `at` to the end of the hour."""

    started_at: int = 0
    at: int | None = None
    floor: int = 0
    part: Rollup = Rollup()

    @property
    def is_complete(self) -> bool:
        """Return whether at least one pass was made, and none is in progress."""
        return self.started_at > 0 and self.at is None


class EndedCount(msgspec.Struct, frozen=True, array_like=True):
    """Jobs that ended in a period, an array counted as one."""

    succeeded: int = 0
    failed: int = 0


class QueueStats(msgspec.Struct, frozen=True):
    """Counts and progress of the rollups. `counts` is the number of jobs in each active status at
    `as_of` (None: not counted yet); statuses that batchwatch does not recognize are not counted.
    `counts_are_at_least`: there may be more. `oldest_waiting` is since when the job that has been
    RUNNABLE the longest has been so, or None. `last_day` covers the current hour and the 23 before
    it, `hours` each of them, the oldest first, from `hours_begin` on, and `day_before` the 24 hours
    before them. `cursors` are by window name."""

    as_of: int | None = None
    counts: dict[str, int] = {}
    counts_are_at_least: bool = False
    oldest_waiting: int | None = None
    last_day: Rollup = Rollup()
    hours: tuple[EndedCount, ...] = ()
    hours_begin: int = 0
    day_before: EndedCount = EndedCount()
    cursors: dict[str, HourCursor] = {}
