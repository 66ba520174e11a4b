"""What is known of a job queue between two sweeps: what is wrong with it, and what was told.

Whatever is wrong has a beginning, and one end: an incident. What is to be told of it is part of the
state until it is on the notices queue, so that a sweep that is cut off forgets nothing.

Pure: knows nothing of tables, queues, the clock or the environment. All times are milliseconds
since the epoch.
"""

import msgspec

from chalicelib.notices.notice import BULK_STUCK, Notice
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.stuck import BulkIncident, StuckJob


class QueueState(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """`watched_since` is when a sweep saw the queue first. `stuck` are the few that were told one
    by one. Sightings up to `moved_at` count no more. `outbox` waits for the notices queue."""

    watched_since: int
    stuck: tuple[StuckJob, ...] = ()
    bulk_incident: BulkIncident | None = None
    blocked: Blocked | None = None
    moved_at: int = 0
    missing_events: MissingEvents | None = None
    outbox: tuple[Notice, ...] = ()

    def is_about_now(self, notice: Notice) -> bool:
        """Whether the incident that the notice is the beginning of goes on."""
        incidents = {
            BULK_STUCK: self.bulk_incident,
            QUEUE_BLOCKED: self.blocked,
            EVENTS_MISSING: self.missing_events,
        }
        incident = incidents.get(notice.kind)
        return incident is not None and incident.since == notice.generation
