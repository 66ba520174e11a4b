"""Jobs that have not ended and that Batch does not know.

Batch keeps a job at least seven days after its end. If the last event is older than that, the end
of the job was missed: its record is marked as lost and shown as UNKNOWN. If it is younger, Batch
should know the job. The region, the account or a permission is wrong, an alarm reports it, and the
job keeps its status. Before any job is marked, Batch must have returned a job that it should know.
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
"""The most recently ended jobs that Batch is to describe to show that it is the right one."""


class LostJobs:
    """`unknown_to_batch` are ids of jobs that Batch should know; `lost` counts jobs marked."""

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
        self._forgotten_before = now - RETENTION_MS
        self._candidates: dict[str, Job] = {}
        self._is_right_batch = False

    def check(self, described: Sequence[str], known: Collection[str]) -> None:
        """Sort out the jobs that Batch was to describe and that are not among those it returned.

        Raises RunStopped.
        """
        self._is_right_batch |= bool(known)
        missing = [job_id for job_id in described if job_id not in known]
        for job_id, stored in load_records(self._jobs, missing, consistent=True).jobs.items():
            if stored.job.is_over:
                continue
            if stored.job.last_heard < self._forgotten_before:
                self._candidates[job_id] = stored.job
            else:
                self.unknown_to_batch.append(job_id)
        if self._is_right_batch:
            self._mark()

    def finish(self) -> None:
        """Mark the jobs that `check` could not mark because Batch had not returned any job yet."""
        if self._candidates and (self._is_right_batch or self._knows_witnesses()):
            self._mark()

    def _knows_witnesses(self) -> bool:
        """Return whether Batch knows jobs that ended lately, or there are none to describe."""
        if self.unknown_to_batch:
            return False
        partitions = [StatusPartition(queue, end) for queue in self._queues for end in TERMINAL]
        lately = TimeRange(since=self._forgotten_before + _DAY_MS)
        ended = self._index.newest(partitions, limit=_WITNESSES, window=lately).jobs
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
        jobs = self._candidates.values()
        descriptions = {job.job_id: self._jobs.describe(job) for job in jobs}
        applied = self._ingest.apply(
            dict.fromkeys(self._candidates, ()),
            self._api.budget.time_left,
            decide=partial(_lose, self._forgotten_before, descriptions),
            consistent=True,
        )
        self.lost += sum(one.news for one in applied.values() if one.outcome is Outcome.SAVED)
        self._candidates.clear()


def _lose(
    forgotten_before: int,
    descriptions: Mapping[str, Description],
    stored: StoredJob | None,
    _: Sequence[Observation],
) -> Decision:
    """Return the decision to mark a job as lost unless it was recorded again in the meantime."""
    if stored is None or stored.job.last_heard >= forgotten_before:
        return Decision()
    lost = stored.job.lost()
    if lost is stored.job:
        return Decision()
    return Decision(Change(lost, stored, descriptions[lost.job_id]), news=1)
