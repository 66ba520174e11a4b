"""Incidents of a job queue: what is opened and resolved by a sweep, and the notices for it.

Stuck jobs are reported individually, or as one bulk incident for each status and cause if there are
many; a blocked queue when the block persists; missing events when there is enough evidence. Each is
reported once when it is opened and once when it is resolved.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from chalicelib.jobs.job import Job, Observation
from chalicelib.notices.notice import RESOLUTIONS, Notice, incident_notices
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, Rules
from chalicelib.queues.blocked import REPEAT_MS, Blocked, is_presumed_over, must_last
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck.overdue import OverdueJobs
from chalicelib.queues.stuck.reporting import Members, ReportedJob, StuckReporter


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A queue as the table shows it at the time of a sweep.

    `counts` is the number of stuck jobs by status where it was counted, because only a sample of
    them is in `overdue`. `reported` are the jobs that were reported individually. `head` is the
    record of the job that blocks the queue. `waiting` are the first jobs that have been RUNNABLE
    for some minutes.
    """

    overdue: OverdueJobs
    counts: Mapping[str, int]
    reported: Sequence[ReportedJob]
    unblocked_at: int
    blocked: Blocked | None
    head: Job | None
    missing_events: MissingEvents | None
    waiting: Sequence[Job]


@dataclass(frozen=True, kw_only=True)
class IncidentPolicy:
    """The rooms to notify, and how long a block must last (milliseconds) before it is reported."""

    rules: Rules
    blocked_after: int


@dataclass(frozen=True)
class Incidents:
    """The incidents of one queue in one sweep, which runs at `now`."""

    queue: str
    policy: IncidentPolicy
    now: int

    def to_confirm(self, state: QueueState, snapshot: Snapshot) -> list[Job]:
        """Return the jobs about which Batch must be asked before they are reported."""
        return self._reporter.to_confirm(snapshot.overdue, snapshot.reported, state.bulk_incidents)

    def next_state(
        self, state: QueueState, snapshot: Snapshot, described: Mapping[str, Observation]
    ) -> QueueState:
        """Return the state after this sweep. `described` is Batch's current description of overdue
        jobs by id. A job that is not there, or has another status there, is not reported: its
        record may be outdated."""
        state = self._with_block(state, snapshot)
        state = self._with_stuck_jobs(state, snapshot, described)
        return self._with_missing_events(state, snapshot)

    @property
    def _reporter(self) -> StuckReporter:
        return StuckReporter(self.queue, self.policy.rules, self.now)

    def _with_stuck_jobs(
        self, state: QueueState, snapshot: Snapshot, described: Mapping[str, Observation]
    ) -> QueueState:
        overdue, reported, incidents = snapshot.overdue, snapshot.reported, state.bulk_incidents
        members = Members.of(overdue, described, reported, incidents)
        stuck, bulk_incidents, notices = self._reporter.report(
            overdue, members, snapshot.counts, reported, incidents, state.blocked
        )
        return replace(
            state, stuck=stuck, bulk_incidents=bulk_incidents, outbox=(*state.outbox, *notices)
        )

    def _with_block(self, state: QueueState, snapshot: Snapshot) -> QueueState:
        previous, blocked = state.blocked, snapshot.blocked
        unblocked_at, timeout = snapshot.unblocked_at, self.policy.blocked_after
        if blocked and is_presumed_over(blocked, snapshot.head, self.now, timeout):
            unblocked_at, blocked = blocked.last_seen, None
        notices: tuple[Notice, ...] = ()
        if previous and not _is_same(previous, blocked):
            if previous.is_reported:
                notices += self._resolved(QUEUE_BLOCKED, previous.since, previous.rooms)
            blocks = previous.repeats + previous.is_reported
            state = replace(state, blocks=blocks, block_ended_at=self.now)
        if blocked and not blocked.is_reported:
            is_repeated = blocked.since - state.block_ended_at <= REPEAT_MS
            blocked = replace(blocked, repeats=state.blocks if is_repeated else 0)
            timeout = must_last(blocked, timeout)
        has_lasted = blocked is not None and self.now - blocked.since >= timeout
        concerns_jobs = blocked is not None and (not blocked.obstacle or snapshot.waiting)
        if blocked and (blocked.is_reported or (has_lasted and concerns_jobs)):
            rooms = self.policy.rules.rooms(QUEUE_BLOCKED, self.queue, None, {})
            added = tuple(room for room in rooms if room not in blocked.rooms)
            notices += incident_notices(
                QUEUE_BLOCKED, self.queue, added, opened_at=blocked.since, at=self.now
            )
            blocked = replace(blocked, is_reported=True, rooms=blocked.rooms + added)
        return replace(
            state, blocked=blocked, unblocked_at=unblocked_at, outbox=state.outbox + notices
        )

    def _with_missing_events(self, state: QueueState, snapshot: Snapshot) -> QueueState:
        previous, current = state.missing_events, snapshot.missing_events
        notices: tuple[Notice, ...] = ()
        if current and not previous:
            rooms = self.policy.rules.rooms(EVENTS_MISSING, self.queue, None, {})
            notices = incident_notices(
                EVENTS_MISSING, self.queue, rooms, opened_at=current.since, at=self.now
            )
        if previous and not current:
            rooms = self.policy.rules.rooms(EVENTS_MISSING, self.queue, None, {})
            notices = self._resolved(EVENTS_MISSING, previous.since, rooms)
        return replace(state, missing_events=current, outbox=state.outbox + notices)

    def _resolved(self, kind: str, since: int, notified: Collection[str]) -> tuple[Notice, ...]:
        """Return the notices for the rooms that were notified and have a rule for RECOVERED."""
        recovering = self.policy.rules.rooms(RECOVERED, self.queue, None, {})
        rooms = [room for room in recovering if room in notified]
        return incident_notices(RESOLUTIONS[kind], self.queue, rooms, opened_at=since, at=self.now)


def _is_same(previous: Blocked, current: Blocked | None) -> bool:
    return current is not None and current.since == previous.since
