"""Decoding of EventBridge events into observations, preemptions and blocked events.

Contains the envelope and the types of events that batchwatch records; `job_detail` and `preemption`
contain the formats of the details. Pure: no I/O, clock or environment.
"""

from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from chalicelib.errors import MalformedEvent
from chalicelib.jobs import preemption
from chalicelib.jobs.job import Observation, Source
from chalicelib.jobs.job_detail.decoding import decode_detail
from chalicelib.jobs.job_detail.fields import (
    checked_job_id,
    checked_job_queue,
    redacted_text,
    required,
)
from chalicelib.jobs.job_detail.observation import observe
from chalicelib.jobs.job_detail.shapes import MAX_TIME, CamelStruct, JobDetail, ServiceJobDetail
from chalicelib.jobs.preemption import Preemption, PreemptionDetail, Step
from chalicelib.queues.blocked import BlockedEvent
from chalicelib.redaction import Redaction

JOB_STATE_CHANGE = "Batch Job State Change"
SERVICE_JOB_STATE_CHANGE = "Batch Service Job State Change"
SERVICE_QUEUE_BLOCKED = "Batch Service Job Queue Blocked"
QUEUE_BLOCKED_EVENTS = ("Batch Job Queue Blocked", SERVICE_QUEUE_BLOCKED)

_STATE_CHANGES: dict[str, type[JobDetail]] = {
    JOB_STATE_CHANGE: JobDetail,
    SERVICE_JOB_STATE_CHANGE: ServiceJobDetail,
}
_PREEMPTION_STEPS = {
    "Batch Service Job Preemption Started": Step.STARTED,
    "Batch Service Job Preemption Completed": Step.COMPLETED,
}

_Shape = TypeVar("_Shape")


class HeadDetail(CamelStruct):
    """The detail of a queue's event: the job at the head of the queue, of any kind."""

    job_id: str
    job_name: str
    job_queue: str
    status_reason: str | None = None


class OtherEvent(Struct, frozen=True):
    """An event of a type that batchwatch does not record."""

    detail_type: str


class _Envelope(Struct, rename={"detail_type": "detail-type"}):
    detail_type: str
    source: str
    account: str
    time: Annotated[datetime, Meta(tz=True)]
    detail: msgspec.Raw


class EventReader(Struct, frozen=True):
    """Decodes events of these sources and this account; every other event is malformed."""

    sources: tuple[str, ...]
    account_id: str
    redaction: Redaction

    def read(self, body: str) -> Observation | Preemption | BlockedEvent | OtherEvent:
        """Return the event in a message body.

        Raises MalformedEvent, with a reason that names the field but doesn't quote its value.
        """
        envelope = _decode(body, _Envelope, "$")
        if envelope.source not in self.sources:
            raise MalformedEvent(f"source is not one of: {', '.join(self.sources)}")
        if envelope.account != self.account_id:
            raise MalformedEvent(f"account is not {self.account_id}")
        if shape := _STATE_CHANGES.get(envelope.detail_type):
            detail, invalid_fields = _decode_detail(envelope.detail, shape)
            observation = observe(
                detail,
                time=_milliseconds(envelope.time),
                source=Source.EVENT,
                redaction=self.redaction,
            )
            invalid_fields += observation.invalid_fields
            return msgspec.structs.replace(observation, invalid_fields=invalid_fields)
        if envelope.detail_type in QUEUE_BLOCKED_EVENTS:
            return blocked_event(
                _decode_detail(envelope.detail, HeadDetail)[0],
                time=_milliseconds(envelope.time),
                redaction=self.redaction,
                is_service=envelope.detail_type == SERVICE_QUEUE_BLOCKED,
            )
        if step := _PREEMPTION_STEPS.get(envelope.detail_type):
            return preemption.observe(
                _decode_detail(envelope.detail, PreemptionDetail)[0],
                step,
                time=_milliseconds(envelope.time),
                redaction=self.redaction,
            )
        return OtherEvent(envelope.detail_type[:100])


def _decode(body: str | msgspec.Raw, shape: type[_Shape], path: str = "") -> _Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        raise _malformed(error, path) from error
    except msgspec.DecodeError as error:
        raise MalformedEvent(f"not JSON: {error}" if body else "the body is empty") from error
    except RecursionError as error:
        raise MalformedEvent("JSON is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise MalformedEvent(
            "not JSON: the text contains a lone surrogate (half of a character)"
        ) from error


def _decode_detail(detail: msgspec.Raw, shape: type[_Shape]) -> tuple[_Shape, tuple[str, ...]]:
    """Return the detail, and the names of the invalid fields that were left out of it."""
    try:
        return _decode(detail, shape, "$.detail"), ()
    except MalformedEvent as error:
        if not isinstance(error.__cause__, msgspec.ValidationError):
            raise
    try:
        return decode_detail(_decode(detail, object), shape)
    except msgspec.ValidationError as error:
        raise _malformed(error, "$.detail") from error


def _malformed(error: msgspec.ValidationError, path: str) -> MalformedEvent:
    reason = str(error)
    located = reason.replace("`$", f"`{path}") if "`$" in reason else f"{reason} - at `{path}`"
    return MalformedEvent(f"not a Batch event: {located}")


def _milliseconds(time: datetime) -> int:
    milliseconds = round(time.timestamp() * 1000)
    if not 0 <= milliseconds <= MAX_TIME:
        raise MalformedEvent("time is before 1970 or after 9999")
    return milliseconds


def blocked_event(
    head: HeadDetail, *, time: int, redaction: Redaction, is_service: bool
) -> BlockedEvent:
    """Return the event that `head` blocked its queue at `time` (epoch milliseconds).

    Raises MalformedEvent if the job or the queue is missing.
    """
    return BlockedEvent(
        at=time,
        queue=checked_job_queue(head.job_queue).rpartition("/")[2],
        job_id=checked_job_id(head.job_id),
        job_name=required("jobName", head.job_name),
        reason=redacted_text(head.status_reason, redaction) or "",
        is_service=is_service,
    )
