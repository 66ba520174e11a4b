"""Statistics of the jobs of a queue that ended in a period: an hour, a day or any sum of them.

A rollup is always computed from jobs and never incremented, so computing it again changes nothing;
rollups can be added in any order. Jobs succeed, fail and have a cause of failure as roots: an array
counts once. Wait times, run times and usage are those of the jobs that run: plain jobs, children
and nodes. Pure: no I/O, no clock.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Self

from msgspec import Struct

from chalicelib.jobs.durations import durations
from chalicelib.jobs.failure import failure_of
from chalicelib.jobs.job import Job, JobStatus
from chalicelib.jobs.usage import JobUsage, Usage, job_usage
from chalicelib.queues.histogram import Histogram

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
"""Hours and days are those of UTC."""
_MAX_DEFINITIONS = 50


class Rollup(Struct, frozen=True, array_like=True):
    """Statistics of ended jobs. `causes` counts failed jobs by cause of failure. `wait` is the time
    from a job's creation to its first start, `run` the total run time of its attempts. `wasted` is
    the part of `usage` that did not contribute to a success. `definitions` counts failed jobs by
    the name of their job definition: the _MAX_DEFINITIONS most frequent ones, because some tools
    register a definition for each job.

    Stored as an array to save bytes: append new fields, with a default.
    """

    succeeded: int = 0
    failed: int = 0
    causes: dict[str, int] = {}
    wait: Histogram = Histogram()
    run: Histogram = Histogram()
    usage: Usage = Usage()
    wasted: Usage = Usage()
    definitions: dict[str, int] = {}

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> Self:
        """Summarize jobs that have ended, each of them given once."""
        statuses: Counter[str] = Counter()
        causes: Counter[str] = Counter()
        definitions: Counter[str] = Counter()
        waits: list[int] = []
        runs: list[int] = []
        usage = wasted = Usage()
        for job in jobs:
            if job.is_root:
                statuses[job.status] += 1
                if job.status == JobStatus.FAILED:
                    causes[failure_of(job.details).cause] += 1
                    if name := job.details.definition_name:
                        definitions[name] += 1
            if not job.is_parent:
                times = durations(job, job.since)
                waits += _milliseconds(times.queued_seconds)
                runs += _milliseconds(times.running_seconds)
                used = job_usage(job, job.since) or JobUsage(Usage(), Usage())
                usage, wasted = usage + used.total, wasted + used.wasted
        return cls(
            statuses[JobStatus.SUCCEEDED],
            statuses[JobStatus.FAILED],
            _sorted(causes),
            Histogram.of(waits),
            Histogram.of(runs),
            usage,
            wasted,
            _most_frequent(definitions),
        )

    def __add__(self, other: "Rollup") -> "Rollup":
        return Rollup(
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            _sorted(Counter(self.causes) + Counter(other.causes)),
            self.wait + other.wait,
            self.run + other.run,
            self.usage + other.usage,
            self.wasted + other.wasted,
            _most_frequent(Counter(self.definitions) + Counter(other.definitions)),
        )


def total(rollups: Iterable[Rollup]) -> Rollup:
    return sum(rollups, Rollup())


def _most_frequent(counts: Counter[str]) -> dict[str, int]:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return dict(sorted(ordered[:_MAX_DEFINITIONS]))


def _milliseconds(seconds: float | None) -> list[int]:
    return [] if seconds is None else [round(seconds * 1000)]


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))
