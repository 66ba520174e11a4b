"""The records of the jobs and queues that notices are about, read for many notices at once.

They determine whether a notice is outdated, and its message is written from them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from chalicelib.aws.dynamodb import Outcome
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.dependencies import first_failures, is_dependent
from chalicelib.jobs.job import Job, JobStatus, is_terminal
from chalicelib.jobs.job_table import JobTable, Loaded
from chalicelib.notices.notice import RESOLUTIONS, Notice, is_outdated
from chalicelib.notices.rules import QUEUE_BLOCKED, STUCK
from chalicelib.queues.state import QueueState
from chalicelib.queues.state_table import QueueStateTable, StoredState
from chalicelib.webex.text import ArrayOutcome, NoticeContext

MAX_SAMPLE = 100
"""Failed children of an array whose causes are read: one request to DynamoDB."""


@dataclass(frozen=True)
class Records:
    """The records that were read. A queue that could not be read is missing from `queues`; a job
    that could not be read is in `jobs.unread`."""

    queues: Mapping[str, StoredState]
    jobs: Loaded

    def unread(self, notice: Notice) -> Outcome | None:
        """Return why a record of the notice could not be read, or None if all were read."""
        if notice.job_id is None and notice.queue not in self.queues:
            return Outcome.BUSY
        outcomes = (self.jobs.unread.get(job_id) for job_id in self.job_ids(notice))
        return next((outcome for outcome in outcomes if outcome), None)

    def is_outdated(self, notice: Notice) -> bool:
        """Return whether the change that the notice announces is no longer current."""
        if notice.job_id is not None:
            shown = self._job(notice) if notice.kind == STUCK else self.jobs.job(notice.job_id)
            return is_outdated(notice, shown)
        state = self._queue_state(notice)
        return notice.kind in RESOLUTIONS and not (state and state.has_open_incident(notice))

    def context(self, notice: Notice) -> NoticeContext:
        """Return what the notice's message is written from, except for what `RecordReader` adds."""
        root = self.jobs.job(notice.job_id) if notice.job_id else None
        return NoticeContext(
            notice=notice,
            job=self._job(notice),
            array_size=root.details.array.size if root and root.details.array else None,
            queue_state=self._queue_state(notice),
        )

    def job_ids(self, notice: Notice) -> list[str]:
        """Return the ids of the jobs whose records the notice needs."""
        return [job_id for job_id in (notice.job_id, self._shown_job_id(notice)) if job_id]

    def _job(self, notice: Notice) -> Job | None:
        job_id = self._shown_job_id(notice)
        return self.jobs.job(job_id) if job_id else None

    def _shown_job_id(self, notice: Notice) -> str | None:
        """Return the id of the job that the message shows; for a blocked queue, the job that blocks
        it."""
        if notice.job_id is not None:
            return notice.changed_job_id
        state = self._queue_state(notice)
        blocked = state.blocked if state and notice.kind == QUEUE_BLOCKED else None
        return blocked.job_id if blocked else None

    def _queue_state(self, notice: Notice) -> QueueState | None:
        stored = self.queues.get(notice.queue) if notice.job_id is None else None
        return stored.state if stored else None


class RecordReader:
    """Reads records from the tables of jobs and queues. `read` returns why a record could not be
    read; the other methods raise botocore's errors."""

    def __init__(self, jobs: JobTable, arrays: ArrayTable, queues: QueueStateTable) -> None:
        self._jobs = jobs
        self._arrays = arrays
        self._queues = queues

    def read(self, notices: Collection[Notice]) -> Records:
        """Read the records of all notices consistently: queues first, because they name the jobs
        that block them."""
        names = {notice.queue for notice in notices if notice.job_id is None}
        records = Records(self._queues.load(names), Loaded({}, {}))
        job_ids = {job_id for notice in notices for job_id in records.job_ids(notice)}
        return replace(records, jobs=self._jobs.load(job_ids, consistent=True))

    def add_array_outcome(self, context: NoticeContext) -> NoticeContext:
        """Count the children of an array if the notice announces its end: by their status bytes,
        with the causes of a sample, because reading all children takes too long. Raise
        TableUnavailable if DynamoDB returns only a part."""
        notice, job = context.notice, context.job
        if context.array_size is None or job is None or not is_terminal(notice.kind):
            return context
        summary = self._arrays.summary(job)
        if summary is None:
            return context
        sampled = [f"{job.job_id}:{index}" for index in sample_of(summary.failed)]
        sample = self._jobs.load(sampled, consistent=True)
        failed = [
            stored.job for stored in sample.jobs.values() if stored.job.status == JobStatus.FAILED
        ]
        outcome = ArrayOutcome.of(context.array_size, summary, failed)
        return replace(context, array_outcome=outcome)

    def add_description(self, context: NoticeContext) -> NoticeContext:
        """Read the job's description if its message shows parts of it."""
        job = context.described_job
        return replace(context, description=self._jobs.describe(job)) if job else context

    def add_dependencies(self, contexts: Sequence[NoticeContext]) -> list[NoticeContext]:
        """Find the job whose failure made each job fail that failed because of a dependency."""
        jobs = [context.job for context in contexts if context.job]
        descriptions = self._jobs.describe_all([job for job in jobs if is_dependent(job)])
        first = first_failures(descriptions, self._jobs.stored, self._jobs.describe_all)
        return [
            replace(context, dependency=first.get(context.job.job_id)) if context.job else context
            for context in contexts
        ]


def sample_of(indexes: Sequence[int]) -> Sequence[int]:
    """Return at most MAX_SAMPLE of the indexes, evenly distributed."""
    return indexes[:: max(1, -(-len(indexes) // MAX_SAMPLE))]
