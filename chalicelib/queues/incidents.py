"""What begins and ends at a job queue, and who is told: from what a sweep saw to the next state.

A few stuck jobs are told one by one, a crowd as one; a block when it has lasted; a silence when it
is sure. Each is told once when it begins, and once when it ends.

Pure: knows nothing of tables, Batch's API, the clock or the environment. All times are milliseconds
since the epoch.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from chalicelib.jobs.job import Description, Job, JobId, Observation
from chalicelib.notices.notice import BULK_STUCK, RESOLUTIONS, Notice, incident_notices
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK, Rules
from chalicelib.queues import blocked as blockage
from chalicelib.queues import stuck
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck import Found, StuckJob


class Told(NamedTuple):
    """A stuck job that was told of, as it is now: the record of its root, if there is one."""

    stuck: StuckJob
    job: Job | None
    description: Description


class Snapshot(NamedTuple):
    """What a sweep saw of a queue. `counts` are of the stuck jobs by status, `head` is the record
    of the job that blocks the queue."""

    found: Found
    counts: Mapping[str, int]
    told: Sequence[Told]
    moved_at: int
    blocked: Blocked | None
    head: Job | None
    missing_events: MissingEvents | None


class Confirmed(NamedTuple):
    """A job that is stuck by its record, and by what Batch says now."""

    job: Job
    said: Observation


class Incidents(NamedTuple):
    """Of one queue, in one sweep. `blocked_after` is how long a block must last to be told."""

    queue: str
    rules: Rules
    now: int
    blocked_after: int

    def next(
        self, state: QueueState, seen: Snapshot, answers: Mapping[str, Observation]
    ) -> QueueState:
        """`answers` are what Batch says of stuck jobs. Who is missing there, or is something else
        by now, is not told: its record is merely stale."""
        confirmed = [
            Confirmed(job, answers[job.job_id])
            for job in seen.found.jobs.values()
            if job.job_id in answers and answers[job.job_id].details.entered == job.details.entered
        ]
        if state.bulk_incident:
            state = self._crowd_goes_on(state, seen.found)
        else:
            state = self._stuck(state, seen, confirmed)
        return self._silence(self._blocked(state, seen), seen)

    # Stuck

    def _crowd_goes_on(self, state: QueueState, found: Found) -> QueueState:
        if found.jobs or not state.bulk_incident:
            return state
        began, rooms = state.bulk_incident.since, state.bulk_incident.rooms
        over = incident_notices(
            RESOLUTIONS[BULK_STUCK], self.queue, rooms, opened_at=began, at=self.now
        )
        return _with(state, over, bulk_incident=None)

    def _stuck(
        self, state: QueueState, seen: Snapshot, confirmed: Sequence[Confirmed]
    ) -> QueueState:
        over = [one for one in seen.told if stuck.has_moved_on(one.stuck, one.job, seen.found)]
        still = [one.stuck for one in seen.told if one not in over]
        known = {one.stuck.job_id for one in seen.told}
        fresh = [one for one in confirmed if JobId.parse(one.job.job_id).root not in known]
        if len(still) + len(fresh) > stuck.FEW:
            return self._crowd_begins(state, seen, confirmed)
        notices = [notice for one in over for notice in self._recovered(one)]
        notices += [notice for one in fresh for notice in self._is_stuck(one)]
        told = (*still, *(stuck.as_told(one.job) for one in fresh))
        return _with(state, notices, stuck=told)

    def _crowd_begins(
        self, state: QueueState, seen: Snapshot, confirmed: Sequence[Confirmed]
    ) -> QueueState:
        """Its end stands for those of the few that were told one by one before."""
        rooms = self._rooms(STUCK, confirmed)
        begins = incident_notices(BULK_STUCK, self.queue, rooms, opened_at=self.now, at=self.now)
        jobs = [msgspec.structs.replace(one.job, details=one.said.details) for one in confirmed]
        end = self._rooms(RECOVERED, confirmed)
        return _with(
            state,
            begins,
            bulk_incident=stuck.bulk_incident(self.now, seen.counts, jobs, end),
            stuck=(),
        )

    def _is_stuck(self, one: Confirmed) -> Iterator[Notice]:
        told = stuck.as_told(one.job)
        for room in self._rooms(STUCK, [one]):
            yield Notice(
                room=room,
                job_id=told.job_id,
                kind=STUCK,
                generation=told.generation,
                at=self.now,
                queue=self.queue,
                child=told.child,
            )

    def _recovered(self, one: Told) -> Iterator[Notice]:
        """Not in rooms that hear of its end by their own rules. Of one that Batch has forgotten
        nobody knows whether it recovered."""
        told, job, description = one
        if job is None or job.is_lost:
            return
        name, tags = job.details.job_name, description.tags
        hear_its_end = self.rules.rooms(job.status, self.queue, name, tags) if job.is_over else ()
        for room in self.rules.rooms(RECOVERED, self.queue, name, tags):
            if room not in hear_its_end:
                yield Notice(
                    room=room,
                    job_id=told.job_id,
                    kind=RECOVERED,
                    generation=told.generation,
                    at=self.now if told.child is not None else job.since,
                    queue=self.queue,
                )

    def _rooms(self, event: str, jobs: Iterable[Confirmed]) -> tuple[str, ...]:
        """Where at least one of the jobs is told of."""
        rooms = (
            room
            for job, said in jobs
            for room in self.rules.rooms(
                event, self.queue, job.details.job_name, said.description.tags
            )
        )
        return tuple(dict.fromkeys(rooms))

    # Blocked, silent

    def _blocked(self, state: QueueState, seen: Snapshot) -> QueueState:
        before, blocked, moved_at = state.blocked, seen.blocked, seen.moved_at
        if blocked and blockage.has_lost_its_head(blocked, seen.head, self.now, self.blocked_after):
            moved_at, blocked = blocked.last_seen, None
        notices: tuple[Notice, ...] = ()
        if before and before.told and (blocked is None or blocked.since != before.since):
            notices = self._ends(QUEUE_BLOCKED, before.since)
        if blocked and not blocked.told and self.now - blocked.since >= self.blocked_after:
            blocked = msgspec.structs.replace(blocked, told=True)
            notices += self._begins(QUEUE_BLOCKED, blocked.since)
        return _with(state, notices, blocked=blocked, moved_at=moved_at)

    def _silence(self, state: QueueState, seen: Snapshot) -> QueueState:
        before, now = state.missing_events, seen.missing_events
        notices: tuple[Notice, ...] = ()
        if now and not before:
            notices = self._begins(EVENTS_MISSING, now.since)
        if before and not now:
            notices = self._ends(EVENTS_MISSING, before.since)
        return _with(state, notices, missing_events=now)

    def _begins(self, kind: str, began: int) -> tuple[Notice, ...]:
        rooms = self.rules.rooms(kind, self.queue, None, {})
        return incident_notices(kind, self.queue, rooms, opened_at=began, at=self.now)

    def _ends(self, kind: str, began: int) -> tuple[Notice, ...]:
        rooms = self.rules.rooms(RECOVERED, self.queue, None, {})
        return incident_notices(RESOLUTIONS[kind], self.queue, rooms, opened_at=began, at=self.now)


def _with(state: QueueState, notices: Iterable[Notice], **changes: Any) -> QueueState:
    return msgspec.structs.replace(state, outbox=(*state.outbox, *notices), **changes)
