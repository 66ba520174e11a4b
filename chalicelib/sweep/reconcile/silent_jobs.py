"""Source of candidates: jobs that have not ended and had no event for REPAIR_AFTER.

Each status partition of the index is read in passes, and a job is described once per pass. The next
pass starts no sooner than REPAIR_AFTER of that status after the start of the previous one.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from chalicelib.jobs.job_index import IndexRow, IndexRows, JobIndex, StatusPartition
from chalicelib.sweep.batch_api import MAX_DESCRIBED_JOBS, CallBudget
from chalicelib.sweep.reconcile.checkpoint_table import Pass
from chalicelib.sweep.reconcile.checkpoints import Checkpoints
from chalicelib.sweep.reconcile.run import RunStart
from chalicelib.sweep.reconcile.source import Candidate

_SHARE_OF_CALLS = 2 / 3
"""The rest of a run's calls is reserved for discovery, however many jobs are silent."""
_MIN_CALLS_OF_DISCOVERY = 2
"""One call lists a page, one describes the jobs on it."""


class PassPosition(NamedTuple):
    """The sort key of a job in a status partition; None after the last job."""

    partition: StatusPartition
    sort: str | None


SilentJob = Candidate[PassPosition]


class SilentJobs:
    """`silent_after` is REPAIR_AFTER: milliseconds by status of the index."""

    def __init__(
        self,
        index: JobIndex,
        checkpoints: Checkpoints,
        silent_after: Mapping[str, int],
        start: RunStart,
    ) -> None:
        self.has_more = False
        self._index = index
        self._checkpoints = checkpoints
        self._silent_after = silent_after
        self._start = start

    def candidates(self, budget: CallBudget) -> Iterator[SilentJob]:
        """Yield the jobs of all queues and statuses, in the order in which they entered their
        status."""
        limit = _budgeted_jobs(budget.limit)
        jobs: list[SilentJob] = []
        ends: list[SilentJob] = []
        for partition in self._due_partitions():
            rows, last = self._read(partition, limit)
            jobs += [_candidate(partition, row) for row in rows]
            if last is None or not rows:
                ends.append(Candidate(position=PassPosition(partition, last)))
            self.has_more |= last is not None
        jobs.sort(key=_sort_key)
        affordable = _affordable(jobs, limit)
        yield from affordable
        if len(affordable) == len(jobs):
            yield from ends
        else:
            self.has_more = True

    def commit(self, candidate: SilentJob) -> None:
        if candidate.position:
            partition, sort = candidate.position
            current = self._checkpoints.pass_through(partition)
            self._checkpoints.set_pass(partition, current.at(sort))

    def _read(self, partition: StatusPartition, limit: int) -> IndexRows:
        current = self._checkpoints.pass_through(partition)
        return self._index.oldest_in_status(
            partition, before=current.before, after=current.position or "", limit=limit
        )

    def _due_partitions(self) -> Iterator[StatusPartition]:
        """Yield the partitions whose pass is under way or is started now."""
        now = self._start.now
        for partition, silent_after in self._partitions():
            current = self._checkpoints.pass_through(partition)
            if not current.is_complete:
                yield partition
            elif now - current.started_at >= silent_after:
                before = now if self._start.is_restart else now - silent_after
                self._checkpoints.set_pass(partition, Pass(now, before, position=""))
                yield partition

    def _partitions(self) -> Iterator[tuple[StatusPartition, int]]:
        for queue in self._checkpoints.queues:
            for status, silent_after in self._silent_after.items():
                for members in (False, True):
                    yield StatusPartition(queue, status, members), silent_after


def _budgeted_jobs(calls: int) -> int:
    """Return the number of jobs that the source may yield, at 100 jobs per call."""
    share = min(int(calls * _SHARE_OF_CALLS), calls - _MIN_CALLS_OF_DISCOVERY)
    return max(1, share) * MAX_DESCRIBED_JOBS


def _candidate(partition: StatusPartition, row: IndexRow) -> SilentJob:
    return Candidate(row.job.job_id, row.job.is_service, PassPosition(partition, row.sort))


def _affordable(jobs: Sequence[SilentJob], limit: int) -> Sequence[SilentJob]:
    """Return the first jobs, up to `limit`. A service job counts as 100 because it needs a call of
    its own."""
    costs = accumulate(MAX_DESCRIBED_JOBS if job.is_service else 1 for job in jobs)
    return jobs[: sum(cost <= limit for cost in costs)]


def _sort_key(job: SilentJob) -> str:
    return (job.position and job.position.sort) or ""
