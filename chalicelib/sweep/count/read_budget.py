"""Limits what a run of the counter reads, and divides it fairly between the queues.

Without a share for each pass, a queue in which more jobs end than a run can read would use up all
runs. This module must not know what is counted.
"""

from collections.abc import Callable

_MIN_SHARE = 1 / 250
"""Part of a run that each pass may read: with hundreds of queues, an equal share would be less than
what a busy queue needs, although most queues need nothing."""


class ReadBudget:
    """Limits of a run: `time_left` returns seconds, `max_jobs` is the number of ended jobs, which
    `claims` passes share."""

    def __init__(self, time_left: Callable[[], float], max_jobs: int, claims: int) -> None:
        self.jobs_read = 0
        self._time_left = time_left
        self._max_jobs = max_jobs
        self._claims = claims
        self._limit = 0

    def begin_pass(self) -> None:
        """Give the next pass its share of what the passes before it have left."""
        left = max(0, self._max_jobs - self.jobs_read)
        share = max(1, left // max(1, self._claims), int(self._max_jobs * _MIN_SHARE))
        self._limit = self.jobs_read + share
        self._claims -= 1

    @property
    def is_exhausted(self) -> bool:
        """Return whether nothing is left for another pass."""
        return self.is_out_of_time or self.jobs_read >= self._max_jobs

    @property
    def is_out_of_time(self) -> bool:
        return self._time_left() <= 0

    @property
    def is_spent(self) -> bool:
        """Return whether the current pass has read its share."""
        return self.jobs_read >= self._limit
