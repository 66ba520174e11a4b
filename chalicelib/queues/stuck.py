"""Stuck jobs of a queue, and when they are reported as one incident.

A job is stuck when it stays in one status for longer than it should. Up to MAX_INDIVIDUAL stuck
jobs of a queue are reported individually. If there are more, the queue has one bulk incident,
opened once and resolved once, however many jobs become stuck or recover in between. An array
counts as one job: it is stuck when one of its children is, not while it waits for them.

Pure: no I/O, no clock, no notices. All times are epoch milliseconds.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Self

import msgspec

from chalicelib.jobs.job import Job, JobId, JobStatus
from chalicelib.jobs.pending_reason import explain

MAX_INDIVIDUAL = 3
"""Maximum number of stuck jobs of a queue that are reported individually."""
MIN_RUNNING_LIMIT_MS = 3_600_000
"""No job is stuck in RUNNING before this."""
_MIN_RUNS = 5
_RUNNING_FACTOR = 3


class StuckJob(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A stuck job that was reported individually. `child` is the index of the child that had been
    stuck the longest if `job_id` is an array."""

    job_id: str
    status: str
    generation: int
    child: int | None = None

    @classmethod
    def of(cls, job: Job) -> Self:
        job_id = JobId.parse(job.job_id)
        return cls(
            job_id=job_id.root,
            status=job.details.status,
            generation=0 if job_id.separator else job.details.generation,
            child=job_id.index if job_id.separator else None,
        )

    def is_resolved(self, root: Job | None, stuck: "StuckJobs") -> bool:
        """Return whether the job is no longer stuck. `root` is the record of `job_id`, if any;
        `stuck` are the jobs of the queue that are stuck now."""
        if root is not None and root.is_over:
            return True
        if self.child is not None or root is None:
            return self.job_id not in stuck.jobs
        return root.details.transition_id != (self.status, self.generation)


@dataclass(frozen=True)
class StuckJobs:
    """The stuck jobs of a queue by root id, the longest stuck first. An array is represented by its
    child that has been stuck the longest."""

    jobs: Mapping[str, Job]

    @classmethod
    def among(cls, jobs: Iterable[Job]) -> Self:
        """Select from jobs that have been in one status for too long. Arrays that wait for their
        children are not stuck, and nodes are represented by their multi-node job."""
        stuck: dict[str, Job] = {}
        for job in sorted(jobs, key=lambda job: (job.since, job.job_id)):
            if "#" not in job.job_id and not _waits_for_children(job):
                stuck.setdefault(JobId.parse(job.job_id).root, job)
        return cls(stuck)

    def counts(self) -> dict[str, int]:
        """Return the number of stuck jobs by status."""
        return dict(Counter(job.status for job in self.jobs.values()))

    def to_confirm(self, reported: Collection[str], limit: int) -> list[str]:
        """Return the ids, at most `limit`, that Batch must confirm before anything is reported: all
        of a bulk incident's jobs, otherwise those whose root is not in `reported`."""
        is_bulk = len(self.jobs) > MAX_INDIVIDUAL
        wanted = (job for root, job in self.jobs.items() if is_bulk or root not in reported)
        return [job.job_id for job in wanted][:limit]


class LongestStuckJob(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The job that has been stuck the longest."""

    job_id: str
    job_name: str
    status: str
    since: int


class BulkIncident(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """Many stuck jobs of a queue, as they were when the incident was opened.

    `statuses` counts all of them. `causes` counts only the sample that Batch confirmed, which are
    the `sample_size` jobs that had been stuck the longest; "" means that the cause is not known.
    `reason` is the sample's most frequent status reason. `rooms` receive the resolution.
    """

    since: int
    statuses: dict[str, int]
    longest: LongestStuckJob
    sample_size: int
    causes: dict[str, int]
    reason: str = ""
    rooms: tuple[str, ...] = ()

    @classmethod
    def open(
        cls, now: int, statuses: Mapping[str, int], sample: Sequence[Job], rooms: tuple[str, ...]
    ) -> Self:
        """Open an incident. `sample` are jobs as Batch describes them now, the longest stuck first,
        `rooms` those that receive the resolution."""
        reasons = Counter(job.details.status_reason or "" for job in sample)
        causes = Counter(_cause(job) for job in sample)
        longest = sample[0]
        return cls(
            since=now,
            statuses=dict(statuses),
            longest=LongestStuckJob(
                job_id=longest.job_id,
                job_name=longest.details.job_name,
                status=longest.status,
                since=longest.since,
            ),
            sample_size=len(sample),
            causes=dict(causes.most_common()),
            reason=reasons.most_common(1)[0][0],
            rooms=rooms,
        )

    @property
    def jobs(self) -> int:
        return sum(self.statuses.values())


def running_limit_ms(run_times: Collection[float]) -> float | None:
    """Return after how many milliseconds a job is stuck in RUNNING: three times the 90th percentile
    of the run times (milliseconds) of jobs like it, at least an hour. Return None if there are too
    few of them."""
    if len(run_times) < _MIN_RUNS:
        return None
    percentile = sorted(run_times)[ceil(0.9 * len(run_times)) - 1]
    return max(MIN_RUNNING_LIMIT_MS, _RUNNING_FACTOR * percentile)


def _cause(job: Job) -> str:
    return explain(job.status, job.details.status_reason).cause or ""


def _waits_for_children(job: Job) -> bool:
    array = job.details.array
    return job.status == JobStatus.PENDING and array is not None and array.size is not None
