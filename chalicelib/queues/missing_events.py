"""Whether events of a job queue still arrive.

A queue in which nothing happens is silent, and so is one whose jobs merely run long. But what Batch
itself dates later than the last event that was heard of was told by no event. One such change may
be an event that got lost; more of them mean that events don't arrive.

Pure: knows nothing of tables, Batch's API, the clock or the environment. All times are milliseconds
since the epoch.
"""

from collections.abc import Iterable

import msgspec

from chalicelib.jobs.job import Job, Source

EVENTS_TAKE_MS = 600_000
"""What happened less than this ago may still be told by an event that is on its way."""
HEARD_EVERY_MS = 60_000
"""What was heard of is noted no more often than that, so the last event may be so much younger."""
_CHANGES = 2
"""One may be a lost event."""


class MissingEvents(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """`last_event_at` is when the last event arrived, 0: never; `changes` were told by no event."""

    since: int
    last_event_at: int
    changes: int


def outbox(jobs: Iterable[Job], last_event_at: int, now: int) -> int:
    """How often Batch says that one of the jobs was created, started or stopped since an event of
    their queue arrived, and so long ago that an event should have told it."""
    dates = [
        date
        for job in jobs
        if job.details.source is Source.REPAIR
        for date in (job.details.created_at, job.details.started_at, job.details.stopped_at)
        if date is not None
    ]
    return sum(last_event_at + HEARD_EVERY_MS < date < now - EVENTS_TAKE_MS for date in dates)


def begun(jobs: Iterable[Job], *, since: int, last_event_at: int, now: int) -> MissingEvents | None:
    """`since` is when the queue began to be watched: who was not yet listening missed nothing."""
    changes = outbox(jobs, max(last_event_at, since), now)
    return (
        MissingEvents(since=now, last_event_at=last_event_at, changes=changes)
        if changes >= _CHANGES
        else None
    )
