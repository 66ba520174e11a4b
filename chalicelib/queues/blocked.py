"""Whether a job queue is blocked, and since when, by what AWS Batch said of it.

A Batch Job Queue Blocked event says that at this time the job at the head of the queue could not
start. Nothing ever says that a queue is free again; that its jobs move shows it. While a
cluster grows, blocked_events come and go, so only a block that lasts is worth a message.

Pure: knows nothing of events' shapes, tables, the clock or the environment. All times are
milliseconds since the epoch.
"""

from collections.abc import Iterable

import msgspec

from chalicelib.jobs.job import Job, JobStatus, Source

_LEFT = frozenset({JobStatus.SCHEDULED, JobStatus.STARTING, JobStatus.RUNNING})


class BlockedEvent(msgspec.Struct, frozen=True, order=True, kw_only=True):
    """A queue seen blocked by the job at its head; `reason` is Batch's, redacted."""

    at: int
    queue: str
    job_id: str
    job_name: str
    reason: str = ""


class Blocked(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A block that goes on, by its last blocked_event; `told` once it has lasted."""

    since: int
    last_seen: int
    job_id: str
    job_name: str
    reason: str = ""
    told: bool = False


def moved_at(jobs: Iterable[Job]) -> int:
    """When a job of the queue left RUNNABLE for a machine last, by their histories; 0: never.

    A repair dates STARTING by the sweep's clock, which says nothing; RUNNING it dates by Batch's.
    """
    return max(
        (
            entered.at
            for job in jobs
            for entered in job.history
            if entered.status in _LEFT
            and (entered.source is Source.EVENT or entered.status == JobStatus.RUNNING)
        ),
        default=0,
    )


def current(
    before: Blocked | None, blocked_events: Iterable[BlockedEvent], moved: int
) -> Blocked | None:
    """The block that goes on, by what was known `before` and the blocked_events since then, in any
    order; None: the queue has `moved` since it was seen blocked last."""
    standing = sorted(seen for seen in blocked_events if seen.at > moved)
    goes_on = before if before and before.since > moved else None
    if not standing:
        return goes_on
    last = standing[-1]
    return Blocked(
        since=goes_on.since if goes_on else standing[0].at,
        last_seen=last.at,
        job_id=last.job_id,
        job_name=last.job_name,
        reason=last.reason,
        told=goes_on is not None and goes_on.told,
    )


def has_lost_its_head(blocked: Blocked, head: Job | None, now: int, patience: int) -> bool:
    """Whether the job that blocked the queue has ended, as when it was cancelled, and for so long
    no other was seen in its place."""
    return head is not None and head.is_over and now - blocked.last_seen >= patience
