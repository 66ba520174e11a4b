"""An EventBridge event becomes what it says of a job or of its queue, or a reason why it can not.

Knows the envelope and which events are ours to hear; what is inside is `job_detail`'s. Pure:
knows nothing of queues, tables, the clock or the environment.
"""

from datetime import datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from chalicelib.errors import MalformedEvent
from chalicelib.jobs import job_detail, preemption
from chalicelib.jobs.job import Observation, Source
from chalicelib.jobs.job_detail import (
    LATEST,
    CamelStruct,
    JobDetail,
    ServiceJobDetail,
    checked_job_id,
    checked_job_queue,
    redacted_text,
    required,
)
from chalicelib.jobs.preemption import Preemption, PreemptionDetail, Step
from chalicelib.queues.blocked import BlockedEvent
from chalicelib.redaction import Redaction

JOB_STATE_CHANGE = "Batch Job State Change"
SERVICE_JOB_STATE_CHANGE = "Batch Service Job State Change"
QUEUE_BLOCKED_EVENTS = ("Batch Job Queue Blocked", "Batch Service Job Queue Blocked")

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
    """What a queue's events say of the job at its head, whatever kind of job it is."""

    job_id: str
    job_name: str
    job_queue: str
    status_reason: str | None = None


class OtherEvent(Struct, frozen=True):
    """AWS Batch told something else: no error, and not for us."""

    detail_type: str


class _Envelope(Struct, rename={"detail_type": "detail-type"}):
    detail_type: str
    source: str
    account: str
    time: Annotated[datetime, Meta(tz=True)]
    detail: msgspec.Raw


class EventReader(Struct, frozen=True):
    """Reads what this installation listens to: events of these sources and this account."""

    sources: tuple[str, ...]
    account_id: str
    redaction: Redaction

    def read(self, body: str) -> Observation | Preemption | BlockedEvent | OtherEvent:
        """Raises MalformedEvent, with a reason that names the field and quotes no value."""
        envelope = _decode(body, _Envelope, "$")
        if envelope.source not in self.sources:
            raise MalformedEvent(f"source is not one of: {', '.join(self.sources)}")
        if envelope.account != self.account_id:
            raise MalformedEvent(f"account is not {self.account_id}")
        if shape := _STATE_CHANGES.get(envelope.detail_type):
            return job_detail.observe(
                _decode(envelope.detail, shape, "$.detail"),
                time=_milliseconds(envelope.time),
                source=Source.EVENT,
                redaction=self.redaction,
            )
        if envelope.detail_type in QUEUE_BLOCKED_EVENTS:
            return blocked_event(
                _decode(envelope.detail, HeadDetail, "$.detail"),
                time=_milliseconds(envelope.time),
                redaction=self.redaction,
            )
        if step := _PREEMPTION_STEPS.get(envelope.detail_type):
            return preemption.observe(
                _decode(envelope.detail, PreemptionDetail, "$.detail"),
                step,
                time=_milliseconds(envelope.time),
                redaction=self.redaction,
            )
        return OtherEvent(envelope.detail_type[:100])


def _decode(body: str | msgspec.Raw, shape: type[_Shape], path: str = "") -> _Shape:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError as error:
        told = str(error)
        where = told.replace("`$", f"`{path}") if "`$" in told else f"{told} - at `{path}`"
        raise MalformedEvent(f"not a Batch event: {where}") from error
    except msgspec.DecodeError as error:
        raise MalformedEvent(f"not JSON: {error}" if body else "empty") from error
    except RecursionError as error:
        raise MalformedEvent("JSON that is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise MalformedEvent("not JSON: it holds half a character (a lone surrogate)") from error


def _milliseconds(time: datetime) -> int:
    milliseconds = round(time.timestamp() * 1000)
    if not 0 <= milliseconds <= LATEST:
        raise MalformedEvent("time lies before 1970 or after 9999")
    return milliseconds


def blocked_event(head: HeadDetail, *, time: int, redaction: Redaction) -> BlockedEvent:
    """That `head` was seen to block its queue at `time` (epoch milliseconds).

    Raises MalformedEvent if it does not say which job, in which queue.
    """
    return BlockedEvent(
        at=time,
        queue=checked_job_queue(head.job_queue).rpartition("/")[2],
        job_id=checked_job_id(head.job_id),
        job_name=required("jobName", head.job_name),
        reason=redacted_text(head.status_reason, redaction) or "",
    )
