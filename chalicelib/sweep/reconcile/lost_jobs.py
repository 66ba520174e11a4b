"""Jobs that have not ended according to their records and that Batch does not return.

Batch keeps a job for at least seven days after its end. If the last event of a job is older than
that, the job has ended without an event: its record is marked as lost, and it is shown as UNKNOWN.
If the last event is younger, the region, the account or a permission is wrong: the job keeps its
status, and an alarm reports it. No job is marked before Batch has returned another job, which shows
that it is the Batch of these jobs.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from chalicelib.aws.dynamodb import Outcome
from chalicelib.jobs.job import TERMINAL, Description, Job, Observation
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.jobs.job_table import Change, JobTable, StoredJob
from chalicelib.recording.ingest import Decision, Ingest
from chalicelib.sweep.batch_api import RETENTION_MS, BatchApi, BatchStopped
from chalicelib.sweep.reconcile.source import load_records

_DAY_MS = 86_400_000
_WITNESSES = 10
"""The most jobs that Batch is to describe to show that it is the right one."""


class LostJobs:
    """`lost` is the number of jobs that were marked, `unknown_to_batch` are the ids of jobs that
    Batch should return and does not. `now` is the start of the run in epoch milliseconds."""

    def __init__(
        self,
        jobs: JobTable,
        index: JobIndex,
        ingest: Ingest,
        api: BatchApi,
        queues: Sequence[str],
        now: int,
    ) -> None:
        self.lost = 0
        self.unknown_to_batch: list[str] = []
        self._jobs = jobs
        self._index = index
        self._ingest = ingest
        self._api = api
        self._queues = queues
        self._deleted_before = now - RETENTION_MS
        self._candidates: dict[str, Job] = {}
        self._is_right_batch = False

    def check(self, described: Sequence[str], known: Collection[str]) -> None:
        """Handle the `described` jobs that are not `known` because Batch did not return them: mark
        the jobs that it may have deleted, and note the jobs that it should return.

        Raises RunStopped.
        """
        self._is_right_batch |= bool(known)
        missing = [job_id for job_id in described if job_id not in known]
        for job_id, stored in load_records(self._jobs, missing, consistent=True).jobs.items():
            if stored.job.is_over:
                continue
            if stored.job.last_observed_at < self._deleted_before:
                self._candidates[job_id] = stored.job
            else:
                self.unknown_to_batch.append(job_id)
        if self._is_right_batch:
            self._mark()

    def finish(self) -> None:
        """Mark the jobs that `check` could not mark because Batch had not returned any job yet."""
        if self._candidates and (self._is_right_batch or self._returns_witnesses()):
            self._mark()

    def _returns_witnesses(self) -> bool:
        """Return whether Batch returns some jobs that ended recently, or there are no such jobs."""
        if self.unknown_to_batch:
            return False
        partitions = [StatusPartition(queue, end) for queue in self._queues for end in TERMINAL]
        recently = TimeRange(since=self._deleted_before + _DAY_MS)
        ended = self._index.newest(partitions, limit=_WITNESSES, window=recently).jobs
        witnesses = [job.job_id for job in ended if not job.is_service]
        if not witnesses:
            return True
        try:
            known = self._api.describe(witnesses)
        except BatchStopped:
            return False
        if not known:
            self.unknown_to_batch += witnesses
        return bool(known)

    def _mark(self) -> None:
        if not self._candidates:
            return
        descriptions = {
            (job.job_id, job.details.description): self._jobs.describe(job)
            for job in self._candidates.values()
        }
        applied = self._ingest.apply(
            dict.fromkeys(self._candidates, ()),
            self._api.budget.time_left,
            decide=partial(_lose, self._deleted_before, descriptions),
            consistent=True,
        )
        saved = (result for result in applied.values() if result.outcome is Outcome.SAVED)
        self.lost += sum(result.news for result in saved)
        self._candidates.clear()


def _lose(
    deleted_before: int,
    descriptions: Mapping[tuple[str, str], Description],
    stored: StoredJob | None,
    _: Sequence[Observation],
) -> Decision:
    """Return the decision to mark a job as lost, or no change if an event arrived meanwhile.

    `descriptions` are by job id and digest. The description is saved again with the record because
    both expire together, and a lost job gets an expiry.
    """
    if stored is None or stored.job.last_observed_at >= deleted_before:
        return Decision()
    lost = stored.job.lost()
    if lost is stored.job:
        return Decision()
    description = descriptions.get((lost.job_id, lost.details.description))
    return Decision(Change(lost, stored, description), news=1)
