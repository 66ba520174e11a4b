"""Stuck jobs of a queue: which jobs are stuck, and why.

A job is *overdue* when it stays in one status for longer than the limit of this status. Not every
overdue job is stuck:

    status      stuck if overdue and
    RUNNABLE    AWS Batch states a reason, or no job has left RUNNABLE in its queue for the limit:
                in a queue that is moving, jobs wait for their turn, and in one that is occupied,
                for the end of others
    PENDING     none of the jobs that it depends on is active
    (others)    always

An array counts as one job in each status: it is stuck when one of its children is, not while it
waits for them. A cancelled job that has not ended yet is not stuck.

Pure: no I/O, no clock, no notices. All times are epoch milliseconds.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import NamedTuple, Self

import msgspec

from chalicelib.jobs.job import Job, JobId, JobStatus
from chalicelib.jobs.pending_reason import explain

MIN_RUNNING_LIMIT_MS = 3_600_000
"""No job is stuck in RUNNING before this, unless STUCK_AFTER sets a limit."""
MAX_ASKED_IN_MOVING_QUEUE = 10
"""Overdue jobs of a moving queue about which Batch is asked whether it states a reason."""
OCCUPIED_MS = 86_400_000
"""Time for which running jobs explain why others wait in a queue that is at its limit."""
_MIN_RUNS = 5
_RUNNING_FACTOR = 3


class StuckKey(NamedTuple):
    """Identifies a stuck job, or the stuck children of an array: its root and its status."""

    job_id: str
    status: str


def key_of(job: Job) -> StuckKey:
    return StuckKey(JobId.parse(job.job_id).root, job.details.status)


def cause_of(job: Job) -> str:
    """Return the cause that AWS Batch states, in words, or "" if it is not known."""
    details = job.details
    pending = explain(details.status, details.status_reason, is_service=job.is_service)
    return pending.cause or ""


class UsualRunTime(NamedTuple):
    """The run times of jobs that are like a running job: the 90th percentile, and the limit."""

    usual_ms: int
    limit_ms: int

    @classmethod
    def of(cls, run_times: Collection[float]) -> Self | None:
        """Return the limit, which is three times the 90th percentile and at least an hour, or None
        if there are too few run times (milliseconds)."""
        if len(run_times) < _MIN_RUNS:
            return None
        usual = sorted(run_times)[ceil(0.9 * len(run_times)) - 1]
        return cls(round(usual), round(max(MIN_RUNNING_LIMIT_MS, _RUNNING_FACTOR * usual)))


class StuckJob(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A stuck job that was reported individually, to `rooms`. `child` is the index of the child
    that had been stuck the longest if `job_id` is an array."""

    job_id: str
    status: str
    generation: int
    child: int | None = None
    rooms: tuple[str, ...] = ()

    @classmethod
    def of(cls, job: Job, rooms: tuple[str, ...] = ()) -> Self:
        job_id = JobId.parse(job.job_id)
        return cls(
            job_id=job_id.root,
            status=job.details.status,
            generation=0 if job_id.separator else job.details.generation,
            child=job_id.index if job_id.separator else None,
            rooms=rooms,
        )

    @property
    def key(self) -> StuckKey:
        return StuckKey(self.job_id, self.status)

    def is_resolved(self, root: Job | None, overdue: "OverdueJobs") -> bool:
        """Return whether the job has left its status. `root` is the record of `job_id`, if any.

        A reported job that is merely waiting for its turn by now is not resolved yet.
        """
        if root is not None and root.is_over:
            return True
        if self.child is not None or root is None:
            return self.key not in overdue.jobs
        return root.details.transition_id != (self.status, self.generation)


@dataclass(frozen=True, kw_only=True)
class OverdueJobs:
    """The overdue jobs of a queue at `now`, the longest overdue first.

    An array is represented by its child that has been overdue the longest; `children` is the number
    of its overdue children, None if there are more than were read. `last_start` is when a job last
    left RUNNABLE in the queue, 0 if not within the limit. `is_occupied`: the environments of the
    queue are at their limit, and a job that started within OCCUPIED_MS is still running. `usual`
    are the run times of jobs that are like those in RUNNING. `dependent` are the ids of the jobs in
    PENDING that depend on an active job.
    """

    jobs: Mapping[StuckKey, Job]
    now: int
    limits: Mapping[str, int | None]
    last_start: int = 0
    is_occupied: bool = False
    children: Mapping[StuckKey, int | None] = field(default_factory=dict)
    usual: Mapping[StuckKey, UsualRunTime] = field(default_factory=dict)
    dependent: Collection[str] = ()

    @classmethod
    def among(
        cls,
        jobs: Iterable[Job],
        *,
        now: int,
        limits: Mapping[str, int | None],
        last_start: int = 0,
        is_occupied: bool = False,
        usual: Mapping[StuckKey, UsualRunTime] | None = None,
        truncated: Collection[str] = (),
        dependent: Collection[str] = (),
        watched_since: int = 0,
    ) -> Self:
        """Select from jobs that have been in one status for longer than its limit.

        Jobs whose limit was exceeded before `watched_since` are left out, as are nodes, which are
        represented by their multi-node job. `truncated` are the statuses of which not all children
        were read.
        """
        overdue: dict[StuckKey, Job] = {}
        children: Counter[StuckKey] = Counter()
        usual = usual or {}
        for job in sorted(jobs, key=lambda job: (job.since, job.job_id)):
            key = key_of(job)
            limit = usual[key].limit_ms if key in usual else limits.get(key.status) or 0
            if _is_never_stuck(job) or job.since + limit < watched_since:
                continue
            overdue.setdefault(key, job)
            children[key] += ":" in job.job_id
        return cls(
            jobs=overdue,
            now=now,
            limits=limits,
            last_start=last_start,
            is_occupied=is_occupied,
            children={
                key: None if key.status in truncated else count
                for key, count in children.items()
                if count
            },
            usual=usual,
            dependent=dependent,
        )

    def after_block(self, ended_at: int) -> Self:
        """Return these jobs in a queue whose block ended at a time: from then on, its jobs have the
        whole limit to start."""
        return replace(self, last_start=max(self.last_start, ended_at))

    @property
    def is_moving(self) -> bool:
        """Return whether a job has left RUNNABLE within the limit of RUNNABLE."""
        return self.last_start > self.now - (self.limits.get(JobStatus.RUNNABLE) or 0)

    def is_stuck(self, job: Job) -> bool:
        """Return whether an overdue job is stuck."""
        if job.is_ending:
            return False
        if job.details.status == JobStatus.PENDING:
            return job.job_id not in self.dependent
        if job.details.status != JobStatus.RUNNABLE:
            return True
        return bool(cause_of(job)) or not (self.is_moving or self.is_occupied)

    def stuck(self) -> Iterator[Job]:
        """Yield the jobs that are stuck according to their records."""
        return (job for job in self.jobs.values() if self.is_stuck(job))

    def counts(self) -> dict[str, int]:
        """Return the number of stuck jobs by status."""
        return dict(Counter(job.details.status for job in self.stuck()))

    def to_confirm(self, reported: Collection[StuckKey], limit: int) -> list[Job]:
        """Return the jobs, at most `limit`, about which Batch must be asked before anything is
        reported: those that are stuck, and a few that wait in a moving queue, because Batch may
        state a reason that no event contained."""
        new = [job for key, job in self.jobs.items() if key not in reported]
        stuck = [job for job in new if self.is_stuck(job)]
        waiting = [
            job
            for job in new
            if job.details.status == JobStatus.RUNNABLE and not self.is_stuck(job)
        ]
        return (stuck + waiting[:MAX_ASKED_IN_MOVING_QUEUE])[:limit]


def _is_never_stuck(job: Job) -> bool:
    return "#" in job.job_id or _waits_for_children(job)


def _waits_for_children(job: Job) -> bool:
    array = job.details.array
    return job.details.status == JobStatus.PENDING and array is not None and array.size is not None
