"""A notice with the records that its message is written from."""

from dataclasses import dataclass, field

from chalicelib.jobs.job import Description, Job
from chalicelib.notices.notice import CHILD_FAILED, Notice
from chalicelib.queues.state import QueueState
from chalicelib.webex.text.array import ArrayOutcome


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeContext:
    """A notice and the records that belong to it.

    `job` is the child that failed first or that is stuck, the job that blocks the queue, or else
    the root job; None if it has no record. `array_size` and `array_outcome` belong to an array
    job, `queue_state` to a notice about a queue, `dependency` to a job that failed because of it.
    """

    notice: Notice
    job: Job | None = None
    description: Description = field(default_factory=Description)
    dependency: Job | None = None
    array_size: int | None = None
    array_outcome: ArrayOutcome | None = None
    queue_state: QueueState | None = None

    @property
    def described_job(self) -> Job | None:
        """Return the job if its message contains parts of its description, which is stored apart
        from the record."""
        if self.array_outcome or self.notice.kind == CHILD_FAILED:
            return None
        return self.job
