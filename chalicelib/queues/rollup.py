"""What became of the jobs that ended in an hour, or in any hours together: a Rollup.

Rollups are made of jobs and never counted up, so that making one again changes nothing; and they
add up, whatever the order. An array is one job of those that succeeded or failed. What waited, ran
and used a machine are plain jobs, children and nodes. Pure: knows nothing of tables or queues.
"""

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct

from chalicelib.jobs.durations import durations
from chalicelib.jobs.failure import failure_of
from chalicelib.jobs.job import Job, JobStatus
from chalicelib.jobs.usage import JobUsage, Usage, job_usage
from chalicelib.queues.histogram import Histogram

HOUR, DAY = 3_600_000, 86_400_000
"""In milliseconds. Hours and days begin when UTC's do."""


class Rollup(Struct, frozen=True, array_like=True):
    """`causes` of the failed; `wait` from creation to the first start, `run` of all attempts.

    Stored as an array, for the bytes: new fields go to the end, with a default.
    """

    succeeded: int = 0
    failed: int = 0
    causes: dict[str, int] = {}
    wait: Histogram = Histogram()
    run: Histogram = Histogram()
    use: Usage = Usage()
    wasted: Usage = Usage()

    def __add__(self, other: "Rollup") -> "Rollup":
        return Rollup(
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            _sorted(Counter(self.causes) + Counter(other.causes)),
            self.wait + other.wait,
            self.run + other.run,
            self.use + other.use,
            self.wasted + other.wasted,
        )


def total(rollups: Iterable[Rollup]) -> Rollup:
    return sum(rollups, Rollup())


def rollup_of(jobs: Iterable[Job]) -> Rollup:
    """`jobs` have ended, each of them once."""
    ends: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    waits: list[int] = []
    runs: list[int] = []
    use = wasted = Usage()
    for job in jobs:
        if job.is_root:
            ends[job.status] += 1
            if job.status == JobStatus.FAILED:
                causes[failure_of(job.details).cause] += 1
        if not job.is_parent:
            took = durations(job, job.since)
            waits += _milliseconds(took.queued_seconds)
            runs += _milliseconds(took.running_seconds)
            used = job_usage(job, job.since) or JobUsage(Usage(), Usage())
            use, wasted = use + used.total, wasted + used.wasted
    return Rollup(
        ends[JobStatus.SUCCEEDED],
        ends[JobStatus.FAILED],
        _sorted(causes),
        Histogram.of(waits),
        Histogram.of(runs),
        use,
        wasted,
    )


def _milliseconds(seconds: float | None) -> list[int]:
    return [] if seconds is None else [round(seconds * 1000)]


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
