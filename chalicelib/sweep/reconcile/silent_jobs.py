"""Source of candidates: jobs that have not ended and had no event for REPAIR_AFTER.

Each status partition of the index is read in passes, so that a job is described once per pass. A
pass through a partition starts at least REPAIR_AFTER of its status after the previous one started.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

from chalicelib.jobs.job_index import JobIndex, StatusPartition
from chalicelib.sweep.batch_api import MAX_DESCRIBED_JOBS, CallBudget
from chalicelib.sweep.reconcile.checkpoint_table import Pass
from chalicelib.sweep.reconcile.checkpoints import Checkpoints
from chalicelib.sweep.reconcile.run import RunStart
from chalicelib.sweep.reconcile.source import Candidate

_SHARE_OF_CALLS = 2 / 3
"""The rest of a run's calls is reserved for discovery, however many jobs are silent."""
_CALLS_OF_DISCOVERY = 2
"""The fewest with which discovery makes progress: one to list a page, one to describe its jobs."""


class PassPosition(NamedTuple):
    """The sort key of a job in a status partition; None behind the last one."""

    partition: StatusPartition
    sort: str | None


class SilentJobs:
    """`silent_after` is REPAIR_AFTER in milliseconds by status of the index."""

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

    def candidates(self, budget: CallBudget) -> Iterator[Candidate[PassPosition]]:
        """Yield the jobs of all queues and statuses, oldest first."""
        limit = _budgeted_jobs(budget.limit)
        found: list[Candidate[PassPosition]] = []
        ends: list[Candidate[PassPosition]] = []
        for partition in self._due_partitions():
            current = self._checkpoints.pass_through(partition)
            rows, has_more = self._index.oldest_in_status(
                partition, before=current.before, after=current.position or "", limit=limit
            )
            found += [
                Candidate(job.job_id, job.is_service, PassPosition(partition, sort))
                for sort, job in rows
            ]
            if has_more:
                self.has_more = True
            else:
                ends.append(Candidate(position=PassPosition(partition, None)))
        found.sort(key=_sort_key)
        affordable = _affordable(found, limit)
        yield from affordable
        if len(affordable) == len(found):
            yield from ends
        else:
            self.has_more = True

    def commit(self, candidate: Candidate[PassPosition]) -> None:
        if candidate.position:
            partition, sort = candidate.position
            current = self._checkpoints.pass_through(partition)
            self._checkpoints.set_pass(partition, current.at(sort))

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
    """Return how many jobs may be described of a run's calls, at 100 a call."""
    share = min(int(calls * _SHARE_OF_CALLS), calls - _CALLS_OF_DISCOVERY)
    return max(1, share) * MAX_DESCRIBED_JOBS


def _affordable(
    candidates: Sequence[Candidate[PassPosition]], limit: int
) -> Sequence[Candidate[PassPosition]]:
    """Return the first candidates up to `limit` jobs, where a service job, which needs a call of
    its own, counts as 100."""
    costs = accumulate(MAX_DESCRIBED_JOBS if one.is_service else 1 for one in candidates)
    return candidates[: sum(cost <= limit for cost in costs)]


def _sort_key(candidate: Candidate[PassPosition]) -> str:
    return (candidate.position and candidate.position.sort) or ""
