"""How long a job may stay in one status, by queue.

Pure: no I/O, no clock. Limits are milliseconds.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Self

from chalicelib.jobs.job import JobStatus


class StuckLimits:
    """Limits by glob of queue names and status. A later limit replaces an earlier one."""

    def __init__(self, limits: Iterable[tuple[str, str, int | None]]) -> None:
        self._limits = tuple(limits)

    @classmethod
    def of_durations(cls, limits: Iterable[tuple[str, str, timedelta | None]]) -> Self:
        """Accept timedeltas; None: jobs are never stuck in this status."""
        return cls(
            (queues, status, after if after is None else int(after.total_seconds() * 1000))
            for queues, status, after in limits
        )

    def of(self, queue: str) -> Mapping[str, int | None]:
        """Return the limit of each status that has one. RUNNING without a limit depends on how long
        jobs usually run; None: jobs of this queue are never stuck in the status."""
        return {
            status: after for queues, status, after in self._limits if fnmatchcase(queue, queues)
        }

    def watches_run_times(self, queue: str) -> bool:
        """Return whether a job of this queue is stuck when it runs much longer than usual."""
        return JobStatus.RUNNING not in self.of(queue)
