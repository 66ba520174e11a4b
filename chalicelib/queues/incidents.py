"""Incidents of a job queue: what is opened and resolved by a sweep, and the notices for it.

Stuck jobs are reported individually, or as one bulk incident if there are many; a blocked queue
when the block persists; missing events when there is enough evidence. Each is reported once when it
is opened and once when it is resolved.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from msgspec.structs import replace

from chalicelib.jobs.job import Description, Job, JobId, Observation
from chalicelib.notices.notice import BULK_STUCK, RESOLUTIONS, Notice, incident_notices
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK, Rules
from chalicelib.queues.blocked import Blocked, is_presumed_over
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck import MAX_INDIVIDUAL, BulkIncident, StuckJob, StuckJobs


class ReportedJob(NamedTuple):
    """A stuck job that was reported individually, and the current record of its root, if any."""

    stuck: StuckJob
    root: Job | None
    description: Description


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A queue as the table shows it at the time of a sweep.

    `counts` is the number of stuck jobs by status, including those that `stuck` leaves out because
    there are too many. `head` is the record of the job that blocks the queue.
    """

    stuck: StuckJobs
    counts: Mapping[str, int]
    reported: Sequence[ReportedJob]
    unblocked_at: int
    blocked: Blocked | None
    head: Job | None
    missing_events: MissingEvents | None


class ConfirmedJob(NamedTuple):
    """A job that is stuck according to both its record and Batch's current description of it."""

    job: Job
    observation: Observation


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

    def next_state(
        self, state: QueueState, snapshot: Snapshot, described: Mapping[str, Observation]
    ) -> QueueState:
        """Return the state after this sweep. `described` is Batch's current description of stuck
        jobs by id. A stuck job that is not there, or has another status there, is not reported: its
        record may be outdated."""
        if state.bulk_incident:
            state = self._with_bulk_incident(state, state.bulk_incident, snapshot)
        else:
            state = self._with_stuck_jobs(state, snapshot, _confirmed(snapshot.stuck, described))
        return self._with_missing_events(self._with_block(state, snapshot), snapshot)

    # Stuck jobs

    def _with_bulk_incident(
        self, state: QueueState, incident: BulkIncident, snapshot: Snapshot
    ) -> QueueState:
        if snapshot.stuck.jobs:
            return state
        notices = incident_notices(
            RESOLUTIONS[BULK_STUCK],
            self.queue,
            incident.rooms,
            opened_at=incident.since,
            at=self.now,
        )
        return replace(state, bulk_incident=None, outbox=state.outbox + notices)

    def _with_stuck_jobs(
        self, state: QueueState, snapshot: Snapshot, confirmed: Sequence[ConfirmedJob]
    ) -> QueueState:
        resolved, ongoing = _partition(snapshot)
        reported = {job.stuck.job_id for job in snapshot.reported}
        new = [stuck for stuck in confirmed if JobId.parse(stuck.job.job_id).root not in reported]
        if len(ongoing) + len(new) > MAX_INDIVIDUAL:
            return self._with_new_bulk_incident(state, snapshot.counts, confirmed)
        notices = [notice for job in resolved for notice in self._recovered_notices(job)]
        notices += [notice for stuck in new for notice in self._stuck_notices(stuck)]
        return replace(
            state,
            stuck=(*ongoing, *(StuckJob.of(stuck.job) for stuck in new)),
            outbox=(*state.outbox, *notices),
        )

    def _with_new_bulk_incident(
        self, state: QueueState, counts: Mapping[str, int], confirmed: Sequence[ConfirmedJob]
    ) -> QueueState:
        """Open a bulk incident, which includes the jobs that were reported individually: they get
        no RECOVERED notice."""
        notices = incident_notices(
            BULK_STUCK, self.queue, self._rooms(STUCK, confirmed), opened_at=self.now, at=self.now
        )
        sample = [replace(job, details=seen.details) for job, seen in confirmed]
        incident = BulkIncident.open(self.now, counts, sample, self._rooms(RECOVERED, confirmed))
        return replace(state, stuck=(), bulk_incident=incident, outbox=state.outbox + notices)

    def _stuck_notices(self, confirmed: ConfirmedJob) -> Iterator[Notice]:
        stuck = StuckJob.of(confirmed.job)
        for room in self._rooms(STUCK, [confirmed]):
            yield Notice(
                room=room,
                job_id=stuck.job_id,
                kind=STUCK,
                generation=stuck.generation,
                at=self.now,
                queue=self.queue,
                child=stuck.child,
            )

    def _recovered_notices(self, reported: ReportedJob) -> Iterator[Notice]:
        """Yield nothing for rooms whose rules request a notice of the job's terminal status anyway,
        and nothing for a lost job, which may or may not have recovered."""
        stuck, root, description = reported
        if root is None or root.is_lost:
            return
        rules, name, tags = self.policy.rules, root.details.job_name, description.tags
        notified = rules.rooms(root.status, self.queue, name, tags) if root.is_over else ()
        for room in rules.rooms(RECOVERED, self.queue, name, tags):
            if room not in notified:
                yield Notice(
                    room=room,
                    job_id=stuck.job_id,
                    kind=RECOVERED,
                    generation=stuck.generation,
                    at=self.now if stuck.child is not None else root.since,
                    queue=self.queue,
                )

    def _rooms(self, event: str, jobs: Iterable[ConfirmedJob]) -> tuple[str, ...]:
        """Return the rooms that receive notices of this event for at least one of the jobs."""
        rooms = (
            room
            for job, seen in jobs
            for room in self.policy.rules.rooms(
                event, self.queue, job.details.job_name, seen.description.tags
            )
        )
        return tuple(dict.fromkeys(rooms))

    # Blocked queue

    def _with_block(self, state: QueueState, snapshot: Snapshot) -> QueueState:
        previous, blocked = state.blocked, snapshot.blocked
        unblocked_at, timeout = snapshot.unblocked_at, self.policy.blocked_after
        if blocked and is_presumed_over(blocked, snapshot.head, self.now, timeout):
            unblocked_at, blocked = blocked.last_seen, None
        notices: tuple[Notice, ...] = ()
        if previous and previous.is_reported and not _is_same(previous, blocked):
            notices += self._resolved(QUEUE_BLOCKED, previous.since)
        if blocked and not blocked.is_reported and self.now - blocked.since >= timeout:
            blocked = replace(blocked, is_reported=True)
            notices += self._opened(QUEUE_BLOCKED, blocked.since)
        return replace(
            state, blocked=blocked, unblocked_at=unblocked_at, outbox=state.outbox + notices
        )

    # Missing events

    def _with_missing_events(self, state: QueueState, snapshot: Snapshot) -> QueueState:
        previous, current = state.missing_events, snapshot.missing_events
        notices: tuple[Notice, ...] = ()
        if current and not previous:
            notices = self._opened(EVENTS_MISSING, current.since)
        if previous and not current:
            notices = self._resolved(EVENTS_MISSING, previous.since)
        return replace(state, missing_events=current, outbox=state.outbox + notices)

    # Notices of the queue

    def _opened(self, kind: str, since: int) -> tuple[Notice, ...]:
        rooms = self.policy.rules.rooms(kind, self.queue, None, {})
        return incident_notices(kind, self.queue, rooms, opened_at=since, at=self.now)

    def _resolved(self, kind: str, since: int) -> tuple[Notice, ...]:
        rooms = self.policy.rules.rooms(RECOVERED, self.queue, None, {})
        return incident_notices(RESOLUTIONS[kind], self.queue, rooms, opened_at=since, at=self.now)


def _confirmed(stuck: StuckJobs, described: Mapping[str, Observation]) -> list[ConfirmedJob]:
    return [
        ConfirmedJob(job, observation)
        for job in stuck.jobs.values()
        if (observation := described.get(job.job_id))
        and observation.details.transition_id == job.details.transition_id
    ]


def _partition(snapshot: Snapshot) -> tuple[list[ReportedJob], list[StuckJob]]:
    """Return the reported jobs that are no longer stuck, and those that still are."""
    resolved = [job for job in snapshot.reported if job.stuck.is_resolved(job.root, snapshot.stuck)]
    return resolved, [job.stuck for job in snapshot.reported if job not in resolved]


def _is_same(previous: Blocked, current: Blocked | None) -> bool:
    return current is not None and current.since == previous.since
