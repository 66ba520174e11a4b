"""The state of a job queue that is kept between two sweeps: its open incidents and its outbox.

An incident is opened once and resolved once. The notices that a change of the state requests are
part of the state (the outbox pattern, docs/adr/0010) until the notices queue has accepted them, so
that a sweep that is interrupted at any point loses none.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

import msgspec

from chalicelib.notices.notice import BULK_STUCK, Notice
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.stuck.bulk_incident import BulkIncident
from chalicelib.queues.stuck.overdue import StuckJob


class QueueState(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """Open incidents and outbox. `watched_since` is when a sweep first saw the queue. `stuck` are
    the jobs that were reported individually. Blocked events up to `unblocked_at` are no longer
    relevant. `blocks` is the number of blocks that were reported in a row, of which the last ended
    at `block_ended_at`. `outbox` are the notices that the notices queue has not accepted yet."""

    watched_since: int
    stuck: tuple[StuckJob, ...] = ()
    bulk_incidents: tuple[BulkIncident, ...] = ()
    blocked: Blocked | None = None
    unblocked_at: int = 0
    blocks: int = 0
    block_ended_at: int = 0
    missing_events: MissingEvents | None = None
    outbox: tuple[Notice, ...] = ()

    def has_open_incident(self, notice: Notice) -> bool:
        """Return whether the incident whose opening `notice` reports is still open."""
        if notice.kind == BULK_STUCK:
            return self.bulk_incident(notice) is not None
        incidents = {QUEUE_BLOCKED: self.blocked, EVENTS_MISSING: self.missing_events}
        incident = incidents.get(notice.kind)
        return incident is not None and incident.since == notice.generation

    def bulk_incident(self, notice: Notice) -> BulkIncident | None:
        """Return the incident that `notice` reports, unless it was resolved or reported again."""
        return next(
            (one for one in self.bulk_incidents if one.reported_at == notice.generation), None
        )
