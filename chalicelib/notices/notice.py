"""Which change of a job or a queue deserves a message, to which room, and until when.

A notice is what lies on the notices queue between the recorder and the notifier: ids and numbers,
no free text and no secret. The words are made from the record when it is sent (`notice_text`), so
they are as true as they can be by then.

An array speaks with one voice: its children's notices are its own, an early warning and its end.
Nodes of a multi-node job don't speak at all. What is wrong with a queue is an incident: a notice
when it begins, and one when it ends.

Pure: knows nothing of queues, Webex, the clock or the environment. All times are milliseconds
since the epoch.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from chalicelib.jobs.job import Job, JobId, JobStatus, Observation, is_terminal
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK, Rules

CHILD_FAILED: Final = "CHILD_FAILED"
"""The early warning of an array: the first of its children has failed."""
BULK_STUCK: Final = "BULK_STUCK"
"""So many jobs of a queue are stuck that they are told as one; rules call it STUCK."""
RESOLUTIONS: Final[Mapping[str, str]] = {
    BULK_STUCK: "BULK_STUCK_RESOLVED",
    QUEUE_BLOCKED: "QUEUE_BLOCKED_RESOLVED",
    EVENTS_MISSING: "EVENTS_MISSING_RESOLVED",
}
"""What ends each kind of a queue's incidents; rules call it RECOVERED."""


class NoticeKey(NamedTuple):
    """What makes two notices the same one, to be told once: no event id and no rule, so that an
    event and its repair, or two rules for one room, agree."""

    room: str
    subject: str
    kind: str
    generation: int


class Notice(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """`kind` is a status or one of STUCK, RECOVERED, CHILD_FAILED. `generation` is 0 for an end,
    which comes once whatever attempts are listed with it. `job_id` is never a child's or a node's;
    `child` is the index of the child that a CHILD_FAILED or a STUCK is about. `at` is when it
    happened, not when it was heard of.

    Without a `job_id` it is about the queue: `kind` is one of RESOLUTIONS or what they end,
    `generation` is when the incident began.
    """

    room: str
    job_id: str | None = None
    kind: str
    generation: int
    at: int
    queue: str
    child: int | None = None

    @property
    def key(self) -> NoticeKey:
        return NoticeKey(self.room, self.subject, self.kind, self.generation)

    @property
    def subject(self) -> str:
        """What it is about, as keys name it."""
        return f"QUEUE#{self.queue}" if self.job_id is None else f"JOB#{self.job_id}"


def notices_for(seen: Observation, rules: Rules) -> tuple[Notice, ...]:
    """What the rules want told of it, one a room.

    Nothing here asks whether it is news: an event that comes again gives the same notices, and
    the notifier knows which were sent.
    """
    if rules.silent:
        return ()
    job_id, said = JobId.parse(seen.job_id), seen.details
    if job_id.separator == "#" or (job_id.separator and said.status != JobStatus.FAILED):
        return ()
    queue = Job.first_seen(seen).queue
    return tuple(
        Notice(
            room=room,
            job_id=job_id.root,
            kind=CHILD_FAILED if job_id.separator else said.status,
            generation=0 if is_terminal(said.status) else said.generation,
            at=_happened(seen),
            queue=queue,
            child=job_id.index if job_id.separator else None,
        )
        for room in rules.rooms(said.status, queue, said.job_name, seen.description.tags)
    )


def notices_of_queue(
    kind: str, queue: str, rooms: Iterable[str], *, began: int, at: int
) -> tuple[Notice, ...]:
    """That an incident of a queue, which `began` then, begins or ends."""
    return tuple(
        Notice(room=room, kind=kind, generation=began, at=at, queue=queue) for room in rooms
    )


def distinct(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """Each once, the first of its kind, in their order: so a batch gives an array at most one
    early warning a room, however many of its children fail in it."""
    first: dict[NoticeKey, Notice] = {}
    for notice in notices:
        first.setdefault(notice.key, notice)
    return tuple(first.values())


def is_outdated(notice: Notice, job: Job | None) -> bool:
    """Whether by now the job has left what the notice is about, so that nobody cares any more.

    `job` is the notice's, as it is recorded, or the child that is stuck; None: nothing is
    recorded, as when only children of an array were heard of yet. An end is always told, and so is
    a recovery.
    """
    if job is None or is_terminal(notice.kind) or notice.kind == RECOVERED:
        return False
    if notice.kind == CHILD_FAILED:
        return job.is_terminal
    if notice.kind == STUCK:
        moved = job.details.generation > notice.generation or job.since > notice.at
        return job.is_terminal or moved
    return job.details.entered != (notice.kind, notice.generation)


def is_old_news(notice: Notice, now: int, max_age_seconds: float) -> bool:
    """Whether it happened too long ago to bother a room, as in a backfill or a replay."""
    return now - notice.at > max_age_seconds * 1000


def _happened(seen: Observation) -> int:
    """A bare detail that is sent again is dated by when it was said; the end itself has a date of
    its own."""
    said = seen.details
    ended = said.stopped_at if is_terminal(said.status) else None
    return ended or seen.transition.at
