"""How long jobs usually run, from which the limit of RUNNING is derived.

The run times are those of jobs of the queue that succeeded, by the closest likeness of which there
are enough:

    the same name               among the newest successes of the queue, however many jobs wait
                                then among the newest jobs of the name
    the same beginning          names that differ only in numbers or hexadecimal digits at the end
    the same job definition     in any revision

What was found is cached for an hour, across the runs of one process, and a run looks up only a few
names, so that the number of requests does not grow with the number of job names.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from chalicelib.jobs.durations import durations
from chalicelib.jobs.job import Job, JobStatus
from chalicelib.jobs.job_index import JobIndex, StatusPartition
from chalicelib.queues.stuck.overdue import UsualRunTime
from chalicelib.runtime import Runtime

MAX_LOOKUPS = 10
"""Maximum number of job names that a run looks up."""
_MAX_SUCCESSES = 500
"""The newest jobs of a queue that succeeded."""
_MAX_PAGES_OF_NAME = 10
"""Pages of a hundred jobs of one name, most of which may not have started."""
_ENOUGH = 20
_CACHED_SECONDS = 3_600
_MAX_CACHED = 1_000
_NUMBERED = re.compile(r"([-_]*(\d+|[0-9a-f]{8,}))+$")


class Run(NamedTuple):
    """A job that succeeded: `milliseconds` is the mean run time of its attempts."""

    job_name: str
    definition: str
    milliseconds: float


def stem(job_name: str) -> str:
    """Return the name without numbers or hexadecimal digits at its end."""
    return _NUMBERED.sub("", job_name)


def usual_run_time(
    job_name: str, definition: str, runs: Sequence[Run], of_name: Callable[[], Sequence[Run]]
) -> UsualRunTime | None:
    """Return the usual run time of a job by the closest likeness of which there are enough runs.
    `of_name` looks up further jobs of its name."""
    likenesses: tuple[Callable[[], list[Run]], ...] = (
        lambda: [run for run in runs if run.job_name == job_name],
        lambda: list(of_name()),
        lambda: [run for run in runs if stem(run.job_name) == stem(job_name) != ""],
        lambda: [run for run in runs if run.definition == definition != ""],
    )
    found = (UsualRunTime.of([run.milliseconds for run in like()]) for like in likenesses)
    return next((usual for usual in found if usual), None)


class RunTimes:
    """A cache of usual run times by queue and job name."""

    def __init__(self, index: JobIndex, runtime: Runtime = Runtime()) -> None:
        self._index = index
        self._runtime = runtime
        self._cache: dict[tuple[str, str], tuple[float, UsualRunTime | None]] = {}
        self._successes: dict[str, list[Run]] = {}
        self._lookups_left = MAX_LOOKUPS

    def start_run(self) -> None:
        """Allow MAX_LOOKUPS more lookups."""
        self._lookups_left = MAX_LOOKUPS
        self._successes.clear()

    def usual(self, queue: str, job: Job) -> UsualRunTime | None:
        """Return how long jobs like this one usually run, or None if too few of them have
        succeeded. It may be outdated if this run has no lookups left."""
        now, name = self._runtime.now(), job.details.job_name
        cached_at, usual = self._cache.get((queue, name), (0.0, None))
        if now - cached_at < _CACHED_SECONDS or self._lookups_left == 0:
            return usual
        self._lookups_left -= 1
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        usual = usual_run_time(
            name,
            job.details.definition_name,
            self._newest(queue),
            lambda: list(self._named(queue, name)),
        )
        self._cache[queue, name] = now, usual
        return usual

    def _newest(self, queue: str) -> list[Run]:
        """Return the newest successes of the queue, which are read once a run."""
        if queue not in self._successes:
            page = self._index.newest(
                [StatusPartition(queue, JobStatus.SUCCEEDED)], limit=_MAX_SUCCESSES
            )
            self._successes[queue] = list(_runs(page.jobs))
        return self._successes[queue]

    def _named(self, queue: str, job_name: str) -> Iterator[Run]:
        """Yield the newest successes of a name, until there are enough."""
        after: str | None = None
        found = 0
        for _ in range(_MAX_PAGES_OF_NAME):
            page = self._index.named(
                job_name, [queue], limit=100, after=after, wanted=lambda job: _is_success(job)
            )
            runs = [run for run in _runs(page.jobs) if run.job_name == job_name]
            yield from runs
            found, after = found + len(runs), page.last
            if after is None or found >= _ENOUGH:
                return


def _is_success(job: Job) -> bool:
    return job.status == JobStatus.SUCCEEDED


def _runs(jobs: Sequence[Job]) -> Iterator[Run]:
    """Yield the runs of jobs that succeeded. Failed jobs are left out, because many fail
    immediately."""
    for job in jobs:
        seconds = durations(job, job.since).running_seconds
        if seconds is not None:
            mean = 1000 * seconds / max(1, job.details.generation)
            yield Run(job.details.job_name, job.details.definition_name, mean)
