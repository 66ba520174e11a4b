"""Run times of past jobs, from which the limit of RUNNING for jobs of the same name is derived.

A limit is cached for an hour, across the runs of one process, and a run looks up only a few, so
that the number of requests does not grow with the number of job names.
"""

from collections.abc import Iterator

from chalicelib.jobs.durations import durations
from chalicelib.jobs.job import JobStatus
from chalicelib.jobs.job_index import JobIndex
from chalicelib.queues.stuck import running_limit_ms
from chalicelib.runtime import Runtime

MAX_LOOKUPS = 10
"""Maximum number of job names that a run looks up."""
_MAX_RUN_TIMES = 100
_CACHED_SECONDS = 3_600
_MAX_CACHED = 1_000


class RunTimes:
    """A cache of the limits for RUNNING by queue and job name."""

    def __init__(self, index: JobIndex, runtime: Runtime = Runtime()) -> None:
        self._index = index
        self._runtime = runtime
        self._cache: dict[tuple[str, str], tuple[float, float | None]] = {}
        self._lookups_left = MAX_LOOKUPS

    def start_run(self) -> None:
        """Allow MAX_LOOKUPS more lookups."""
        self._lookups_left = MAX_LOOKUPS

    def running_limit_ms(self, queue: str, job_name: str) -> float | None:
        """Return after how many milliseconds a job of this name is stuck in RUNNING, or None if too
        few jobs of the name have succeeded. It may be outdated if this run has no lookups left."""
        now = self._runtime.now()
        cached_at, limit = self._cache.get((queue, job_name), (0.0, None))
        if now - cached_at < _CACHED_SECONDS or self._lookups_left == 0:
            return limit
        self._lookups_left -= 1
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        limit = running_limit_ms(list(self._run_times(queue, job_name)))
        self._cache[queue, job_name] = now, limit
        return limit

    def _run_times(self, queue: str, job_name: str) -> Iterator[float]:
        """Yield the mean run time of an attempt, in milliseconds, for the newest jobs that
        succeeded. Failed jobs are left out, because many fail immediately."""
        page = self._index.named(
            job_name,
            [queue],
            limit=_MAX_RUN_TIMES,
            wanted=lambda job: (
                (job.details.job_name, job.status) == (job_name, JobStatus.SUCCEEDED)
            ),
        )
        for job in page.jobs:
            seconds = durations(job, job.since).running_seconds
            if seconds is not None:
                yield 1000 * seconds / max(1, job.details.generation)
