"""Source of candidates: jobs that other runs are processing, or were processing when they crashed.

A run stores the ids of a batch as its jobs in flight before it saves any record of the batch, and
replaces them after it has queued the notices. A crash in between leaves a changed record without
its notice. Every run therefore processes the jobs in flight of all other runs first and queues
their notices again; the notifier ignores duplicates.

Until then the run adds them to its own jobs in flight, so that it may crash as well, and deletes
the jobs in flight of runs that have ended.
"""

import uuid
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet

from chalicelib.jobs.job_table import JobTable
from chalicelib.sweep.batch_api import CallBudget
from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable, InFlight
from chalicelib.sweep.reconcile.source import Candidate, load_records

_MAX_RUN_MS = 15 * 60_000
"""The longest timeout of a Lambda function: a run that started before that no longer exists."""


class InFlightJobs:
    """`now` is the start of this run in epoch milliseconds."""

    has_more = False

    def __init__(self, table: CheckpointTable, jobs: JobTable, now: int) -> None:
        self._table = table
        self._jobs = jobs
        self._now = now
        self._run_id = uuid.uuid4().hex
        self._inherited: set[str] = set()
        self._ended_runs: set[str] = set()

    @property
    def inherited(self) -> AbstractSet[str]:
        """Return the jobs in flight of other runs that this run has not processed yet."""
        return self._inherited

    def candidates(self, budget: CallBudget) -> Iterator[Candidate[None]]:
        for run_id, in_flight in self._table.in_flight().items():
            self._inherited.update(in_flight.job_ids)
            if in_flight.started_at < self._now - _MAX_RUN_MS:
                self._ended_runs.add(run_id)
        job_ids = sorted(self._inherited)
        records = load_records(self._jobs, job_ids)
        for job_id in job_ids:
            job = records.job(job_id)
            yield Candidate(job_id, is_service=job is not None and job.is_service)

    def commit(self, candidate: Candidate[None]) -> None:
        self._inherited.discard(candidate.job_id or "")

    def put(self, job_ids: Collection[str]) -> None:
        """Store the jobs of a batch, and the inherited ones, as this run's jobs in flight.

        Raises RunStopped.
        """
        if in_flight := sorted({*self._inherited, *job_ids}):
            self._table.put_in_flight(self._run_id, InFlight(self._now, in_flight))
        while self._ended_runs:
            self._table.delete_in_flight(self._ended_runs.pop())

    def finish(self) -> None:
        """Leave only the inherited jobs that this run has not processed to the next run.

        Raises RunStopped.
        """
        if self._inherited:
            self._table.put_in_flight(self._run_id, InFlight(0, sorted(self._inherited)))
        else:
            self._table.delete_in_flight(self._run_id)
