"""Detection of a job queue whose events no longer arrive.

A queue without events is not suspicious by itself: nothing may be happening, or its jobs may run
for a long time. Evidence is a job change that Batch dates after the last received event. One such
change may be a single lost event; more of them mean that events don't arrive.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

from collections.abc import Iterable

import msgspec

from chalicelib.jobs.job import Job, Source

MAX_DELIVERY_MS = 600_000
"""The event of a change more recent than this may still be in flight."""
TOUCH_INTERVAL_MS = 60_000
"""The time of a queue's last event is stored at most this often, so it may be this much too
early."""
_MIN_CHANGES = 2
"""Number of unreported changes from which events count as missing."""


class MissingEvents(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An open incident. `last_event_at` is when the last event arrived (0: never), `changes` the
    number of job changes without an event when the incident was opened."""

    since: int
    last_event_at: int
    changes: int


def detect_missing_events(
    jobs: Iterable[Job], *, watched_since: int, last_event_at: int, now: int
) -> MissingEvents | None:
    """Return an incident if events of the queue of these jobs are missing, else None.

    `watched_since` is when a sweep first saw the queue: earlier changes are not evidence, because
    the rule that forwards events may not have existed.
    """
    changes = _unreported_changes(jobs, max(last_event_at, watched_since), now)
    if changes < _MIN_CHANGES:
        return None
    return MissingEvents(since=now, last_event_at=last_event_at, changes=changes)


def _unreported_changes(jobs: Iterable[Job], last_event_at: int, now: int) -> int:
    """Return how many times the jobs were created, started or stopped after the last event, and
    long enough ago for an event to have arrived."""
    dates = [
        date
        for job in jobs
        if job.details.source is Source.REPAIR
        for date in (job.details.created_at, job.details.started_at, job.details.stopped_at)
        if date is not None
    ]
    return sum(last_event_at + TOUCH_INTERVAL_MS < date < now - MAX_DELIVERY_MS for date in dates)
