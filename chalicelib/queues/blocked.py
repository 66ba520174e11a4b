"""Blocked job queues: when a block begins and when it is over.

A Batch Job Queue Blocked event states that the job at the head of the queue could not start at that
time. Batch sends no event when the queue is no longer blocked, so that is inferred from its jobs.
While a compute environment scales up, a queue is often blocked for a short time, so only a block
that persists deserves a notice.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

from collections.abc import Iterable

import msgspec

from chalicelib.jobs.job import Job, JobStatus, Source
from chalicelib.jobs.pending_reason import PendingReason, explain
from chalicelib.jobs.waiting.queue_environment import Obstacle

REPEAT_MS = 3_600_000
"""A block that begins within this time of the end of the last one repeats it."""
_MOST_DOUBLINGS = 4
STARTED = (JobStatus.SCHEDULED, JobStatus.STARTING, JobStatus.RUNNING)
"""The statuses of a job that has left RUNNABLE to run."""


class BlockedEvent(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """A Batch Job Queue Blocked event. `job_id` and `job_name` identify the job at the head of the
    queue; `reason` is Batch's, redacted. `is_service`: it is a service job."""

    at: int
    queue: str
    job_id: str
    job_name: str
    reason: str = ""
    is_service: bool = False


class Blocked(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """The current block of a queue: when it began, and its last event. `is_reported`: it has
    lasted long enough for a notice, which was requested for `rooms`. `repeats` is the number of
    reported blocks that it repeats. With an `obstacle`, no job of the queue can start; otherwise
    `job_id` and `job_name` are the job at its head, a service job if `is_service`."""

    since: int
    last_seen: int
    job_id: str = ""
    job_name: str = ""
    is_service: bool = False
    obstacle: Obstacle | None = None
    reason: str = ""
    is_reported: bool = False
    rooms: tuple[str, ...] = ()
    repeats: int = 0

    @property
    def cause(self) -> str:
        """Return the cause in words, or "" if it is not known."""
        if self.obstacle:
            return self.obstacle.cause
        return self._explained.cause or ""

    @property
    def explanation(self) -> str:
        if self.obstacle:
            return self.obstacle.explanation
        return self._explained.explanation

    @property
    def _explained(self) -> PendingReason:
        return explain(JobStatus.RUNNABLE, self.reason, is_service=self.is_service)


def last_start(jobs: Iterable[Job]) -> int:
    """Return when one of the jobs last left RUNNABLE to run, or 0 if none did.

    In each attempt, that is the first of the STARTED statuses: a job that became RUNNING after it
    had been STARTING for a while does not show that its queue is moving. The time of a STARTING
    that a repair recorded is ignored, because it is only the time of the sweep. That of a RUNNING
    is Batch's `startedAt`.
    """
    return max((at for job in jobs for at in _starts(job)), default=0)


def _starts(job: Job) -> Iterable[int]:
    """Return when each attempt left RUNNABLE."""
    first: dict[int, int] = {}
    for transition in job.history:
        if transition.status in STARTED and (
            transition.source is Source.EVENT or transition.status == JobStatus.RUNNING
        ):
            known = first.get(transition.generation, transition.at)
            first[transition.generation] = min(known, transition.at)
    return first.values()


def current_block(
    previous: Blocked | None, events: Iterable[BlockedEvent], unblocked_at: int
) -> Blocked | None:
    """Return the block that is in effect, or None.

    `previous` is the block that the last sweep found, `events` are those received since, in any
    order and with any repetition. A block or event that is not later than `unblocked_at` is over,
    because the queue was not blocked then.
    """
    recent = sorted(event for event in events if event.at > unblocked_at)
    ongoing = previous if previous and previous.since > unblocked_at else None
    if not recent:
        return ongoing
    last = recent[-1]
    return Blocked(
        since=ongoing.since if ongoing else recent[0].at,
        last_seen=last.at,
        job_id=last.job_id,
        job_name=last.job_name,
        is_service=last.is_service,
        reason=last.reason,
        is_reported=ongoing is not None and ongoing.is_reported,
        rooms=ongoing.rooms if ongoing else (),
        repeats=ongoing.repeats if ongoing else 0,
    )


def obstructed(
    previous: Blocked | None, obstacle: Obstacle, unblocked_at: int, now: int
) -> Blocked:
    """Return the block by an obstacle that AWS Batch reports at `now`. It begins when it is first
    seen, and again when a job has left RUNNABLE in spite of it."""
    ongoing = previous if previous and previous.since > unblocked_at else None
    return Blocked(
        since=ongoing.since if ongoing else now,
        last_seen=now,
        obstacle=obstacle,
        reason=obstacle.reason,
        is_reported=ongoing is not None and ongoing.is_reported,
        rooms=ongoing.rooms if ongoing else (),
        repeats=ongoing.repeats if ongoing else 0,
    )


def is_presumed_over(blocked: Blocked, head: Job | None, now: int, timeout: int) -> bool:
    """Return whether the job that blocked the queue has ended, for example because it was
    cancelled, and no event has named another job for `timeout` milliseconds."""
    return head is not None and head.is_over and now - blocked.last_seen >= timeout


def must_last(blocked: Blocked, after: int) -> int:
    """Return how long a block must last to be reported, in milliseconds: `after`, and from the
    third in a row twice as long as the one before, up to sixteen times."""
    return after << min(max(0, blocked.repeats - 1), _MOST_DOUBLINGS)
