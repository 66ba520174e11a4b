"""Source of candidates: children and nodes of ended parents that the table does not contain.

Batch does not list children with their queue. Discovery therefore stores each parent that it lists.
Its children are checked once, when the parent has ended and all events should have arrived, and the
stored parent is then deleted.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from chalicelib.aws.dynamodb import chunks
from chalicelib.jobs.job import Job
from chalicelib.jobs.job_index import JobIndex
from chalicelib.jobs.job_table import JobTable
from chalicelib.sweep.batch_api import MAX_DESCRIBED_JOBS, RETENTION_MS, CallBudget, ListedJob
from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable, ParentToCheck
from chalicelib.sweep.reconcile.run import RunStart
from chalicelib.sweep.reconcile.source import Candidate, load_records


class ParentPosition(NamedTuple):
    """A parent and the number of its children that are checked, counted from the first one; None if
    all are."""

    queue: str
    parent: ListedJob
    checked: int | None


class MissingChildren:
    has_more = False

    def __init__(
        self,
        table: CheckpointTable,
        jobs: JobTable,
        index: JobIndex,
        queues: Sequence[str],
        start: RunStart,
    ) -> None:
        self._table = table
        self._jobs = jobs
        self._index = index
        self._queues = queues
        self._start = start

    def add_parents(self, queue: str, listed: Iterable[ListedJob]) -> None:
        """Store the listed jobs that have children or nodes. Raises RunStopped."""
        self._table.put_parents(queue, [ParentToCheck(job) for job in listed if job.is_parent])

    def candidates(self, budget: CallBudget) -> Iterator[Candidate[ParentPosition]]:
        for queue in self._queues:
            for parents in chunks(list(self._table.parents(queue)), MAX_DESCRIBED_JOBS):
                records = load_records(self._jobs, [parent.job.job_id for parent in parents])
                for parent in parents:
                    record = records.job(parent.job.job_id)
                    if self._is_due(parent.job, record):
                        yield from self._children_of(queue, parent, record)

    def commit(self, candidate: Candidate[ParentPosition]) -> None:
        if candidate.position is None:
            return
        queue, parent, checked = candidate.position
        if checked is None:
            self._table.delete_parent(queue, parent.job_id)
        else:
            self._table.put_parents(queue, [ParentToCheck(parent, checked)])

    def _is_due(self, parent: ListedJob, record: Job | None) -> bool:
        if record is None:
            return parent.created_at < self._start.now - RETENTION_MS
        return record.is_over and record.since < self._start.events_due_before

    def _children_of(
        self, queue: str, parent: ParentToCheck, record: Job | None
    ) -> Iterator[Candidate[ParentPosition]]:
        """Yield the children to describe.

        Every 100th has a position, because children that Batch has deleted stay without a record
        and would be described again by each run.
        """
        children = parent.job.children
        missing = self._missing(parent.job.job_id, children, record)
        numbered = list(enumerate(children, 1))[parent.checked :]
        to_describe = [(number, child) for number, child in numbered if child in missing]
        for described, (number, child) in enumerate(to_describe, 1):
            is_checkpoint = described % MAX_DESCRIBED_JOBS == 0
            position = ParentPosition(queue, parent.job, number) if is_checkpoint else None
            yield Candidate(child, position=position)
        yield Candidate(position=ParentPosition(queue, parent.job, None))

    def _missing(self, root: str, children: Sequence[str], record: Job | None) -> set[str]:
        """Return the children without a record, and the nodes whose record shows fewer attempts
        than the parent's: a retry of the main node restarts the other nodes."""
        recorded = self._index.members(root)
        nodes = [child for child in children if "#" in child and child in recorded]
        attempts = record.details.generation if record else 0
        restarted = {
            job_id
            for job_id, node in load_records(self._jobs, nodes).jobs.items()
            if node.job.details.generation < attempts
        }
        return set(children) - recorded | restarted
