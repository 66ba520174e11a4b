"""Source of candidates: children and nodes of ended parents that the table does not contain.

Batch does not list them with their queue, so discovery adds each parent that it lists, and the
parent is stored until its children are checked: once, when it has ended and all their events should
have arrived.
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
    """A parent and how many of its children were checked, from the first on; None: all."""

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
        """Store those listed jobs that have children or nodes. Raises RunStopped."""
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
        """Yield the children to describe, with a position after every 100 of them: those that
        Batch has forgotten stay without a record and would be described again."""
        children = parent.job.children
        missing = self._missing(parent.job, record)
        numbered = enumerate(children[parent.checked :], parent.checked + 1)
        to_describe = [(number, child) for number, child in numbered if child in missing]
        for described, (number, child) in enumerate(to_describe, 1):
            is_checkpoint = described % MAX_DESCRIBED_JOBS == 0
            position = ParentPosition(queue, parent.job, number) if is_checkpoint else None
            yield Candidate(child, position=position)
        yield Candidate(position=ParentPosition(queue, parent.job, None))

    def _missing(self, parent: ListedJob, record: Job | None) -> set[str]:
        """Return the children without a record, and the nodes whose record shows fewer attempts
        than the parent's: a retry of the main node restarts the other nodes."""
        recorded = self._index.members(parent.job_id)
        children = set(parent.children)
        nodes = [child for child in children & recorded if "#" in child]
        attempts = record.details.generation if record else 0
        restarted = {
            job_id
            for job_id, node in load_records(self._jobs, nodes).jobs.items()
            if node.job.details.generation < attempts
        }
        return (children - recorded) | restarted
