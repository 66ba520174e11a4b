"""Which jobs are stuck, and when they are so many that they are told as one.

A job is stuck when it has been in one status for longer than it should. A few are told one by one;
more than that in one queue are a crowd, which has one beginning and one end, however many come and
go meanwhile. An array is one: it is stuck when its children are, and not while it waits for them.

Pure: knows nothing of notices, tables, Batch's API, the clock or the environment. All times are
milliseconds since the epoch.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import ceil
from typing import NamedTuple

import msgspec

from chalicelib.jobs import pending_reason as waiting
from chalicelib.jobs.job import Job, JobId, JobStatus

FEW = 3
"""So many stuck jobs of a queue are told one by one."""
SHORTEST_OVERRUN = 3_600_000
"""No job is stuck in RUNNING before that."""
_RUNS_TO_JUDGE_BY = 5
_OVERRUN = 3


class StuckJob(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """One that was told. Of an array it is the `child` that had waited longest."""

    job_id: str
    status: str
    generation: int
    child: int | None = None


class Longest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The job that waits longest."""

    job_id: str
    job_name: str
    status: str
    since: int


class BulkIncident(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """Many stuck jobs of a queue, as they were when it began: counted by status, and by cause in
    words those `asked` about, which waited longest ("": nobody knows). `reason` is what Batch
    says most often. `rooms` are those that hear of its end."""

    since: int
    statuses: dict[str, int]
    longest: Longest
    asked: int
    causes: dict[str, int]
    reason: str = ""
    rooms: tuple[str, ...] = ()

    @property
    def jobs(self) -> int:
        return sum(self.statuses.values())


class Found(NamedTuple):
    """The stuck jobs of a queue by the id of their root, the longest first; of an array its child
    that waits longest."""

    jobs: Mapping[str, Job]

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> "Found":
        """Of what the index shows: without arrays that wait for their children, and nodes, for
        which their multi-node job speaks."""
        found: dict[str, Job] = {}
        for job in sorted(jobs, key=lambda one: (one.since, one.job_id)):
            if "#" not in job.job_id and not _waits_for_children(job):
                found.setdefault(JobId.parse(job.job_id).root, job)
        return cls(found)

    def to_ask(self, told: Collection[str], most: int) -> list[str]:
        """The ids of those to be asked about, before anything is told: all of a crowd, or the few
        that nobody was told of."""
        is_crowd = len(self.jobs) > FEW
        wanted = (job for root, job in self.jobs.items() if is_crowd or root not in told)
        return [job.job_id for job in wanted][:most]


def has_moved_on(told: StuckJob, job: Job | None, found: Found) -> bool:
    """`job` is the record of the root, if there is one."""
    if job is not None and job.is_over:
        return True
    if told.child is not None or job is None:
        return told.job_id not in found.jobs
    return job.details.entered != (told.status, told.generation)


def as_told(job: Job) -> StuckJob:
    job_id = JobId.parse(job.job_id)
    return StuckJob(
        job_id=job_id.root,
        status=job.details.status,
        generation=0 if job_id.separator else job.details.generation,
        child=job_id.index if job_id.separator else None,
    )


def bulk_incident(
    now: int, statuses: Mapping[str, int], asked: Sequence[Job], rooms: tuple[str, ...]
) -> BulkIncident:
    """`asked` as Batch says that they are, the longest first."""
    reasons: Counter[str] = Counter(job.details.status_reason or "" for job in asked)
    causes: Counter[str] = Counter()
    for job in asked:
        causes[waiting.explain(job.status, job.details.status_reason).cause or ""] += 1
    longest = asked[0]
    return BulkIncident(
        since=now,
        statuses=dict(statuses),
        longest=Longest(
            job_id=longest.job_id,
            job_name=longest.details.job_name,
            status=longest.status,
            since=longest.since,
        ),
        asked=len(asked),
        causes=dict(causes.most_common()),
        reason=reasons.most_common(1)[0][0],
        rooms=rooms,
    )


def longest_run(runs: Collection[float]) -> float | None:
    """Seconds after which a job is stuck in RUNNING, by how long such jobs ran: three times the
    90th percentile, but an hour at least. None: too few ran to judge by."""
    if len(runs) < _RUNS_TO_JUDGE_BY:
        return None
    usual = sorted(runs)[ceil(0.9 * len(runs)) - 1]
    return max(SHORTEST_OVERRUN / 1000, _OVERRUN * usual)


def _waits_for_children(job: Job) -> bool:
    array = job.details.array
    return job.status == JobStatus.PENDING and array is not None and array.size is not None
