"""Asks Batch about jobs that are stuck according to their records, before they are reported.

A record may be outdated because an event was lost. A job that is still in the same status gets
Batch's current status reason; other jobs are left to `reconcile`, which records their changes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from chalicelib.aws.dynamodb import chunks
from chalicelib.jobs.job import Job, Observation
from chalicelib.jobs.job_table import StoredJob
from chalicelib.recording.ingest import Decision, Ingest, merge
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.sweep.batch_api import (
    MAX_DESCRIBED_JOBS,
    BatchApi,
    BatchRefused,
    BatchStopped,
    CallBudget,
)

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient


class Described(NamedTuple):
    """Batch's description of jobs by id, and how many calls it took. `is_complete`: all jobs were
    asked about."""

    jobs: dict[str, Observation]
    calls: int
    is_complete: bool


class BatchConfirmation:
    """Asks Batch through its boto3 client, with at most `max_calls` calls a run."""

    def __init__(
        self,
        batch: "BatchClient",
        ingest: Ingest,
        redaction: Redaction,
        max_calls: int,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._batch = batch
        self._ingest = ingest
        self._redaction = redaction
        self._max_calls = max_calls
        self._runtime = runtime

    def describe(self, overdue: Sequence[Job], time_left: Callable[[], float]) -> Described:
        """Return Batch's description of as many of the jobs as possible, after updating the records
        of those that are still in the same status."""
        described = self._ask(overdue, time_left)
        observed = {job_id: [seen] for job_id, seen in described.jobs.items()}
        self._ingest.apply(observed, time_left, decide=_merge_same_status)
        return described

    def _ask(self, overdue: Sequence[Job], time_left: Callable[[], float]) -> Described:
        """Ask about a hundred jobs in each call, and about service jobs one by one."""
        budget = CallBudget(self._max_calls, time_left)
        api = BatchApi(self._batch, budget, self._redaction, self._runtime)
        job_ids = [job.job_id for job in overdue if not job.is_service]
        jobs: dict[str, Observation] = {}
        try:
            for chunk in chunks(job_ids, MAX_DESCRIBED_JOBS):
                jobs |= _known(api.describe(chunk))
            for job in overdue:
                if job.is_service:
                    jobs |= _known(api.describe_service_job(job.job_id))
        except (BatchStopped, BatchRefused):
            return Described(jobs, budget.calls, is_complete=False)
        return Described(jobs, budget.calls, is_complete=True)


def _known(described: Mapping[str, Observation | None]) -> dict[str, Observation]:
    return {job_id: seen for job_id, seen in described.items() if seen}


def _merge_same_status(stored: StoredJob | None, seen: Sequence[Observation]) -> Decision:
    """Return the decision to add observations of the stored transition that contain anything new,
    and no change if the job has no record, or another transition there."""
    if stored is None:
        return Decision()
    job = stored.job
    new = [
        observation
        for observation in seen
        if observation.details.transition_id == job.details.transition_id
        and not job.is_unchanged_by(observation.details)
    ]
    return merge(stored, new)
