"""Source of candidates: jobs that other runs were processing.

A run stores the ids of a batch before it saves their records, and replaces them with those of the
next batch after their notices were sent. If it crashed in between, a record is changed and its
notice is missing. So every run processes the jobs in flight of all other runs again and sends their
notices again; the notifier ignores duplicates. It also keeps them in its own list until that is
done, so that it may crash as well, and then removes the lists of crashed runs.
"""

import uuid
from collections.abc import Collection, Iterator
from collections.abc import Set as AbstractSet

from chalicelib.jobs.job_table import JobTable
from chalicelib.sweep.batch_api import CallBudget
from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable, InFlight
from chalicelib.sweep.reconcile.source import Candidate, load_records

_MAX_RUN_MS = 15 * 60_000
"""Lambda's longest timeout. A run that started earlier has ended, one way or another."""


class InFlightJobs:
    """`now` is when this run started, in epoch milliseconds."""

    has_more = False

    def __init__(self, table: CheckpointTable, jobs: JobTable, now: int) -> None:
        self._table = table
        self._jobs = jobs
        self._now = now
        self._run_id = uuid.uuid4().hex
        self._inherited: set[str] = set()
        self._crashed_runs: set[str] = set()

    @property
    def inherited(self) -> AbstractSet[str]:
        """The jobs of other runs that this run has not processed yet."""
        return self._inherited

    def candidates(self, budget: CallBudget) -> Iterator[Candidate[None]]:
        for run_id, in_flight in self._table.in_flight().items():
            self._inherited.update(in_flight.job_ids)
            if in_flight.started_at < self._now - _MAX_RUN_MS:
                self._crashed_runs.add(run_id)
        job_ids = sorted(self._inherited)
        records = load_records(self._jobs, job_ids)
        for job_id in job_ids:
            job = records.job(job_id)
            yield Candidate(job_id, is_service=job is not None and job.is_service)

    def commit(self, candidate: Candidate[None]) -> None:
        self._inherited.discard(candidate.job_id or "")

    def put(self, job_ids: Collection[str]) -> None:
        """Store the jobs of a batch, together with the inherited ones, before they are saved.

        Raises RunStopped.
        """
        if in_flight := sorted({*self._inherited, *job_ids}):
            self._table.put_in_flight(self._run_id, InFlight(self._now, in_flight))
        while self._crashed_runs:
            self._table.delete_in_flight(self._crashed_runs.pop())

    def clear(self) -> None:
        """Remove this run's list, when all of its jobs are done."""
        self._table.delete_in_flight(self._run_id)
