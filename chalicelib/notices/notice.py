"""Notices: the changes of a job or a queue that deserve a message in a Webex room.

A notice is the body of a message on the notices queue, between the recorder or the sweep, which
request it, and the notifier, which sends it. It contains ids and numbers, no free text and no
secret. Its text is written from the stored records when it is sent, and so shows the state of that
moment.

An array gets one early warning, when its first child fails that no person cancelled or terminated,
and one summary at its end; its other children's changes are not announced. Nodes of a multi-node
job are never announced. A problem of a queue is an incident: one notice when it is opened, one when
it is resolved.

Pure: no queues, Webex, clock or environment. All times are epoch milliseconds.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Self

import msgspec

from chalicelib.jobs.failure import Cause, failure_of
from chalicelib.jobs.job import Details, Job, JobId, JobStatus, Observation, is_terminal
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK, Rules

CHILD_FAILED: Final = "CHILD_FAILED"
"""The early warning of an array: the first of its children failed. Rules call it FAILED."""
BULK_STUCK: Final = "BULK_STUCK"
"""An incident: so many jobs of a queue are stuck that one notice covers all. Rules call it
STUCK."""
RESOLUTIONS: Final[Mapping[str, str]] = {
    BULK_STUCK: "BULK_STUCK_RESOLVED",
    QUEUE_BLOCKED: "QUEUE_BLOCKED_RESOLVED",
    EVENTS_MISSING: "EVENTS_MISSING_RESOLVED",
}
"""Maps each kind of incident to the kind of the notice that reports it resolved. Rules call all
three of those RECOVERED."""
_WITHOUT_WARNING: Final = (None, Cause.CANCELLED, Cause.TERMINATED)
"""The causes of a child that requests no notice: it has not failed, or a person ended it."""


class NoticeKey(NamedTuple):
    """The identity of a notice: notices with equal keys are sent once.

    It contains neither an event id nor a rule, so that an event and its repair, or two rules for
    one room, request the same notice. `queue` is None for a notice about a job.
    """

    room: str
    job_id: str | None
    queue: str | None
    kind: str
    generation: int


class Notice(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """One change that one room is to be notified of.

    About a job: `kind` is a status, STUCK, RECOVERED or CHILD_FAILED. `job_id` is the root's, never
    a child's or a node's; `child` is the index of the child that failed or is stuck. `generation`
    is that of the status, but 0 for a terminal one, which a job enters once, however many attempts
    an event lists.

    STUCK and RECOVERED have the `status` that the job is or was stuck in, so that one job can be
    stuck in several. `children` is how many children of an array are stuck, None if there are more
    than were counted; `usual_ms` is how long jobs like one that is stuck in RUNNING usually run.

    About a queue, without a `job_id`: `kind` is a key or a value of RESOLUTIONS, and `generation`
    is when the incident was opened, or when it was reported again. `thread` is then the beginning
    of the incident in whose thread the message belongs, if that differs. Incidents of stuck jobs
    have the `status` of these jobs.

    `at` is when the change happened, not when it was recorded.
    """

    room: str
    job_id: str | None = None
    kind: str
    generation: int
    at: int
    queue: str
    status: str | None = None
    child: int | None = None
    children: int | None = None
    usual_ms: int | None = None
    thread: int | None = None

    @classmethod
    def decode(cls, body: str) -> Self:
        """Decode the body of a message. Raise ValueError if it is not a notice about a valid job id
        or a kind of incident."""
        try:
            notice = msgspec.json.decode(body, type=cls)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error
        if notice.job_id is not None:
            JobId.parse(str(notice.changed_job_id))
        elif notice.kind not in (*RESOLUTIONS, *RESOLUTIONS.values()):
            raise ValueError("not the kind of an incident")
        return notice

    @property
    def key(self) -> NoticeKey:
        queue = self.queue if self.job_id is None else None
        kind = f"{self.kind}-{self.status}" if self.status else self.kind
        return NoticeKey(self.room, self.job_id, queue, kind, self.generation)

    @property
    def began(self) -> int | None:
        """The beginning of the incident in whose thread the message belongs; None for a job, which
        has one thread."""
        if self.job_id is not None:
            return None
        return self.generation if self.thread is None else self.thread

    @property
    def changed_job_id(self) -> str | None:
        """The id of the child that failed or is stuck, else of the root; None for a queue."""
        if self.job_id is None or self.child is None:
            return self.job_id
        return f"{self.job_id}:{self.child}"


def notices_for(observation: Observation, rules: Rules) -> tuple[Notice, ...]:
    """Return the notices that the rules request for an observation, one for each room.

    A repeated observation returns the same notices again; the notifier sends each of them once.
    """
    if rules.is_empty:
        return ()
    job_id, details = JobId.parse(observation.job_id), observation.details
    cause, queue = failure_cause(details), details.queue
    if job_id.separator == "#" or (job_id.separator and cause in _WITHOUT_WARNING):
        return ()
    return tuple(
        Notice(
            room=room,
            job_id=job_id.root,
            kind=CHILD_FAILED if job_id.separator else details.status,
            generation=0 if is_terminal(details.status) else details.generation,
            at=_happened_at(observation),
            queue=queue,
            child=job_id.index if job_id.separator else None,
        )
        for room in rules.rooms(
            details.status,
            queue,
            details.job_name,
            observation.description.tags,
            cause,
        )
    )


def failure_cause(details: Details) -> Cause | None:
    """Return why a job FAILED, for rules that select causes; None for any other status."""
    return failure_of(details).cause if details.status == JobStatus.FAILED else None


def incident_notices(
    kind: str,
    queue: str,
    rooms: Iterable[str],
    *,
    opened_at: int,
    at: int,
    status: str | None = None,
    thread: int | None = None,
) -> tuple[Notice, ...]:
    """Return the notices that a queue's incident was opened or resolved, one for each room.

    For an incident that is reported again, `opened_at` is that time, and `thread` when it began.
    """
    return tuple(
        Notice(
            room=room,
            kind=kind,
            generation=opened_at,
            at=at,
            queue=queue,
            status=status,
            thread=thread,
        )
        for room in rooms
    )


def distinct(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """Return the first notice of each key, in the order given.

    So a batch requests at most one early warning of an array for each room, however many of its
    children fail in that batch.
    """
    first: dict[NoticeKey, Notice] = {}
    for notice in notices:
        first.setdefault(notice.key, notice)
    return tuple(first.values())


def is_outdated(notice: Notice, job: Job | None) -> bool:
    """Return whether the job has left the state that a notice about a job announces.

    `job` is the record of the notice's job, or of the child that is stuck. It is None if nothing is
    recorded, as when only events of an array's children were received. Terminal statuses and
    recoveries are never outdated.
    """
    if job is None or is_terminal(notice.kind) or notice.kind == RECOVERED:
        return False
    if notice.kind == CHILD_FAILED:
        return job.is_terminal
    if notice.kind == STUCK:
        has_changed = job.details.generation > notice.generation or job.since > notice.at
        has_left = notice.status is not None and job.details.status != notice.status
        return job.is_terminal or has_changed or has_left
    return job.details.transition_id != (notice.kind, notice.generation)


def is_too_old(notice: Notice, queued_at: int, max_age_seconds: float) -> bool:
    """Return whether a notice was too old to be sent when it was queued, as after a backfill or a
    replay of events."""
    return queued_at - notice.at > max_age_seconds * 1000


def _happened_at(observation: Observation) -> int:
    """Return when the change happened: a job's own stop time for a terminal status, because an
    event can be replayed with the time of the replay."""
    details = observation.details
    stopped_at = details.stopped_at if is_terminal(details.status) else None
    return stopped_at or observation.transition.at
