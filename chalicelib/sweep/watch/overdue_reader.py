"""Reads the overdue jobs of a queue, and counts those that are stuck.

The number of requests depends on the number of statuses and not on the number of jobs. More is read
only where it may change what is reported: children until several arrays were found, running jobs
past those within their usual time, and counts when an incident is opened or may have grown tenfold.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from chalicelib.jobs.dependencies import with_active_dependencies
from chalicelib.jobs.job import TERMINAL, Job, JobStatus
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.jobs.job_table import JobTable
from chalicelib.queues.blocked import STARTED, last_start
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck.bulk_incident import GROWTH
from chalicelib.queues.stuck.limits import StuckLimits
from chalicelib.queues.stuck.overdue import (
    MIN_RUNNING_LIMIT_MS,
    OCCUPIED_MS,
    OverdueJobs,
    UsualRunTime,
    key_of,
)
from chalicelib.queues.stuck.reporting import MAX_EXAMINED
from chalicelib.sweep.watch.run_times import RunTimes

_MAX_PAGES = 10
_SEVERAL_ARRAYS = 4
_MAX_COUNTED = 100_000
"""Maximum count of stuck jobs of one status."""
_WAITING_MS = 300_000
"""Age from which a RUNNABLE job is worth a question about its queue."""
_MAX_WAITING = 10
"""Waiting jobs of a queue of which the needs are read."""
_RECOUNT_MS = 3_600_000
"""Interval at which the jobs of an open incident are counted again."""


class Overdue(NamedTuple):
    """The overdue jobs that were read, and the number of all stuck jobs of counted statuses.
    `waiting` are the first jobs that have been RUNNABLE for some minutes, children last."""

    jobs: OverdueJobs
    counts: dict[str, int]
    waiting: tuple[Job, ...]


class OverdueReader:
    def __init__(
        self, jobs: JobTable, index: JobIndex, run_times: RunTimes, limits: StuckLimits
    ) -> None:
        self._jobs = jobs
        self._index = index
        self._run_times = run_times
        self._limits = limits

    def start_run(self) -> None:
        self._run_times.start_run()

    def read(self, queue: str, state: QueueState, now: int, room: Callable[[], float]) -> Overdue:
        """Return the overdue jobs of a queue as of `now` (epoch milliseconds). `room` returns how
        many vCPUs the jobs that run and the next one can request together before jobs wait for the
        end of others, according to AWS Batch."""
        limits = self._limits.of(queue)
        jobs: list[Job] = []
        waiting: list[Job] = []
        more_roots: set[str] = set()
        more_children: set[str] = set()
        for status, limit in limits.items():
            if limit is None:
                continue
            shortest = min(limit, _WAITING_MS) if status == JobStatus.RUNNABLE else limit
            roots, has_more = self._oldest(StatusPartition(queue, status), now - shortest)
            waiting += roots if status == JobStatus.RUNNABLE else []
            has_more = has_more and (not roots or roots[-1].since < now - limit)
            jobs += (job for job in roots if job.since < now - limit)
            more_roots |= {status} if has_more else set()
            children, has_more = self._children(queue, status, now - limit)
            jobs += children
            more_children |= {status} if has_more else set()
        too_long = list(self._running_too_long(queue, now))
        last_start = self._last_start(queue, jobs, now - (limits.get("RUNNABLE") or 0))
        overdue = OverdueJobs.among(
            [*jobs, *(job for job, _ in too_long)],
            now=now,
            limits=limits,
            last_start=last_start,
            is_occupied=not last_start and self._is_occupied(queue, jobs, now, room),
            usual={key_of(job): usual for job, usual in too_long},
            truncated=more_children,
            dependent=self._dependent(jobs),
            watched_since=state.watched_since,
        )
        to_count = [
            status
            for status in sorted(more_roots & overdue.counts().keys())
            if _is_count_due(state, status, now)
            and not (status == JobStatus.PENDING and overdue.dependent)
        ]
        return Overdue(
            overdue,
            {status: self._count(queue, status, state, overdue) for status in to_count},
            (*waiting, *_in_status(JobStatus.RUNNABLE, jobs))[:_MAX_WAITING],
        )

    def _dependent(self, jobs: Iterable[Job]) -> frozenset[str]:
        """Return the ids of the jobs in PENDING that depend on an active job."""
        pending = [job for job in jobs if job.details.status == JobStatus.PENDING]
        if not pending:
            return frozenset()
        return with_active_dependencies(pending, self._jobs.stored, self._jobs.describe_all)

    def _oldest(self, partition: StatusPartition, before: int) -> tuple[list[Job], bool]:
        """Return the jobs that entered their status before a time, and whether there are more."""
        rows, last = self._index.oldest_in_status(
            partition, before=before, after="", limit=MAX_EXAMINED
        )
        return [row.job for row in rows], last is not None

    def _pages(self, partition: StatusPartition, before: int) -> Iterator[tuple[list[Job], bool]]:
        """Yield up to _MAX_PAGES pages of jobs that entered their status before a time."""
        after: str | None = ""
        for _ in range(_MAX_PAGES):
            if after is None:
                return
            rows, after = self._index.oldest_in_status(
                partition, before=before, after=after, limit=MAX_EXAMINED
            )
            yield [row.job for row in rows], after is not None

    def _children(self, queue: str, status: str, before: int) -> tuple[list[Job], bool]:
        """Return children of several arrays, and whether there are more children."""
        children: list[Job] = []
        are_more = False
        for page, has_more in self._pages(StatusPartition(queue, status, members=True), before):
            children += page
            are_more = has_more
            if len({key_of(job) for job in children}) >= _SEVERAL_ARRAYS:
                break
        return children, are_more

    def _running_too_long(self, queue: str, now: int) -> Iterator[tuple[Job, UsualRunTime]]:
        """Yield jobs that have been RUNNING for much longer than jobs like them usually run."""
        if not self._limits.watches_run_times(queue):
            return
        running = StatusPartition(queue, JobStatus.RUNNING)
        found = 0
        for page, _ in self._pages(running, now - MIN_RUNNING_LIMIT_MS):
            for job in page:
                usual = self._run_times.usual(queue, job)
                if usual is not None and now - job.since > usual.limit_ms:
                    found += 1
                    yield job, usual
            if found >= MAX_EXAMINED:
                return

    def _last_start(self, queue: str, overdue: Iterable[Job], since: int) -> int:
        """Return when a job last left RUNNABLE, or 0 if none did since then. Jobs that have ended
        are only read if none of the others did."""
        if not any(job.details.status == JobStatus.RUNNABLE for job in overdue):
            return 0
        starts = (self._newest_start(queue, statuses, since) for statuses in (STARTED, TERMINAL))
        return next((start for start in starts if start), 0)

    def _is_occupied(
        self, queue: str, overdue: Iterable[Job], now: int, room: Callable[[], float]
    ) -> bool:
        """Return whether the queue is full, and a job runs that left RUNNABLE not long ago."""
        waiting = next(_in_status(JobStatus.RUNNABLE, overdue), None)
        if waiting is None or (most := room()) == math.inf:
            return False
        started = self._newest(queue, STARTED, now - OCCUPIED_MS)
        is_running = last_start(started) > now - OCCUPIED_MS
        return is_running and sum(map(_vcpus, (waiting, *started))) > most

    def _newest_start(self, queue: str, statuses: Iterable[str], since: int) -> int:
        """Return when a job that is in one of the statuses last left RUNNABLE, or 0 if none did
        since then."""
        started_at = last_start(self._newest(queue, statuses, since))
        return started_at if started_at > since else 0

    def _newest(self, queue: str, statuses: Iterable[str], since: int) -> Sequence[Job]:
        """Return the jobs in these statuses that entered them last, since a time."""
        partitions = [
            StatusPartition(queue, status, members)
            for status in statuses
            for members in (False, True)
        ]
        window = TimeRange(since=since)
        return self._index.newest(partitions, limit=MAX_EXAMINED, window=window).jobs

    def _count(self, queue: str, status: str, state: QueueState, overdue: OverdueJobs) -> int:
        reported = [each.reported_jobs for each in state.bulk_incidents if each.status == status]
        at_most = min(_MAX_COUNTED, GROWTH * sum(reported) or _MAX_COUNTED)
        partition = StatusPartition(queue, status)
        before = overdue.now - (overdue.limits.get(status) or 0)
        return self._index.count([partition], at_most=at_most, before=before)[partition].jobs


def _in_status(status: str, jobs: Iterable[Job]) -> Iterator[Job]:
    return (job for job in jobs if job.details.status == status)


def _vcpus(job: Job) -> float:
    return job.details.resources.vcpus or 0 if job.details.resources else 0


def _is_count_due(state: QueueState, status: str, now: int) -> bool:
    """Return whether the jobs of a status must be counted: no incident of it is open, or one may
    have grown so much that it must be reported again."""
    incidents = [each for each in state.bulk_incidents if each.status == status]
    if any(GROWTH * each.reported_jobs > _MAX_COUNTED for each in incidents):
        return False
    return all(now - each.counted_at >= _RECOUNT_MS for each in incidents)
