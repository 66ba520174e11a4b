"""Samples for the text of notices: jobs, incidents of queues, and the contexts of their notices."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.jobs.job import Attempt, Description, Details, Job, Transition
from chalicelib.notices.notice import Notice, incident_notices
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck.bulk_incident import BulkIncident, NamedJob, RoomShare
from chalicelib.webex.text import NoticeContext, NoticeText
from tests.support.rendering import ZERO_WIDTH_SPACE, rendered

MINUTE = 60_000
HOUR = 60 * MINUTE
ENDED = 1_795_492_500_000
"""2026-11-24T03:55:00Z"""

EXITED = "Essential container in task exited"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none of type [p4d.24xlarge]"

DESCRIPTION = Description(
    vcpus=8, memory=16_384, gpus=1, retry_attempts=3, timeout_seconds=3_600, image="lab/bwa:2"
)
TEXT = NoticeText(ZoneInfo("Europe/Berlin"), "https://batch.example/prod")

_QUEUE_ARN = "arn:aws:batch:eu-central-1:111122223333:job-queue/"


def a_job(
    status: str = "FAILED",
    *,
    name: str = "align-reads",
    queue: str = "high-priority",
    job_id: str = "4c75",
    generation: int = 0,
    history: tuple[Transition, ...] | None = None,
    **details: Any,
) -> Job:
    """Return a job that entered its status at ENDED."""
    current = Details(
        status=status,
        generation=generation,
        time=ENDED,
        job_name=name,
        job_queue=_QUEUE_ARN + queue,
        **details,
    )
    return Job(job_id, current, history or (Transition(status, generation, ENDED),))


def an_ended_job(
    status: str = "FAILED",
    *,
    exit_code: int | None = 1,
    reason: str | None = None,
    status_reason: str | None = EXITED,
    attempts: int = 1,
    **fields: Any,
) -> Job:
    """Return a job that waited 4 min 5 s, and of which each attempt ran 1 h 12 min."""
    ran = tuple(
        Attempt(
            ENDED - 2 * n * HOUR - 72 * MINUTE,
            ENDED - 2 * n * HOUR,
            exit_code,
            reason,
            status_reason,
            "align/default/0123",
        )
        for n in reversed(range(attempts))
    )
    return a_job(
        status,
        generation=attempts,
        attempts=ran,
        status_reason=status_reason,
        created_at=(ran[0].started_at or 0) - 245_000,
        stopped_at=ENDED,
        **fields,
    )


def a_waiting_job(**fields: Any) -> Job:
    """Return a job that, at ENDED, has been RUNNABLE for 3 h 20 min."""
    runnable = Transition("RUNNABLE", 0, ENDED - 200 * MINUTE)
    return a_job("RUNNABLE", **{"history": (runnable,), **fields})


def an_array(
    status: str = "FAILED", reason: str | None = "Array Child Job failed", **fields: Any
) -> Job:
    """Return an array that ended 3 h 5 min after it was created."""
    created = ENDED - 185 * MINUTE
    return a_job(status, status_reason=reason, created_at=created, stopped_at=ENDED, **fields)


def blocked_by(job_name: str, reason: str) -> Blocked:
    return Blocked(
        since=ENDED - HOUR, last_seen=ENDED, job_id="4c75", job_name=job_name, reason=reason
    )


def a_bulk_incident(
    job_name: str = "align-reads", reason: str = NO_CAPACITY, **fields: Any
) -> BulkIncident:
    """Return an incident of 1,240 jobs that was opened an hour before ENDED."""
    longest = NamedJob("4c75", job_name)
    values: dict[str, Any] = {
        "status": "RUNNABLE",
        "cause": "AWS has no free capacity",
        "since": ENDED - HOUR,
        "jobs": 1_240,
        "reason": reason,
        "longest": longest,
        "longest_since": ENDED - 200 * MINUTE,
        "reported_at": ENDED - HOUR,
        "reported_jobs": 1_240,
        "shares": (RoomShare(room="r", jobs=1_240, names=(longest, NamedJob("5d86", "merge"))),),
    }
    return BulkIncident(**{**values, **fields})


def job_context(
    job: Job,
    kind: str = "",
    *,
    at: int = ENDED,
    notice: Mapping[str, Any] = MappingProxyType({}),
    **records: Any,
) -> NoticeContext:
    """Return the context of a notice about the job, by default about its status, with these fields
    of the notice."""
    fields: dict[str, Any] = {
        "room": "r",
        "job_id": job.job_id,
        "kind": kind or job.status,
        "generation": 0,
        "at": at,
        "queue": job.queue,
    }
    return NoticeContext(
        notice=Notice(**fields | notice),
        **{"job": job, "description": DESCRIPTION, **records},
    )


def queue_context(
    kind: str,
    queue: str,
    *,
    lasted: int = HOUR,
    status: str | None = None,
    job: Job | None = None,
    description: Description = Description(),  # noqa: B008 -- frozen
    **incidents: Any,
) -> NoticeContext:
    """Return the context of a notice about a queue, sent `lasted` after the incident began."""
    (notice,) = incident_notices(
        kind, queue, ["r"], opened_at=ENDED - lasted, at=ENDED, status=status
    )
    state = QueueState(watched_since=0, **incidents)
    return NoticeContext(notice=notice, job=job, description=description, queue_state=state)


def job_message(job: Job, kind: str = "", **records: Any) -> str:
    return TEXT.message(job_context(job, kind, **records))


def queue_message(kind: str, queue: str, **records: Any) -> str:
    return TEXT.message(queue_context(kind, queue, **records))


def lines(message: str) -> list[str]:
    """Return the lines of a message as Webex displays them."""
    return rendered(message).text.replace(ZERO_WIDTH_SPACE, "").splitlines()
