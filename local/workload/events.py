"""Events of simulated jobs, as Batch sends them to EventBridge."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Detail = dict[str, Any]
"""The detail of an event: for a status change, a job as DescribeJobs returns it."""

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

REGION = "us-east-1"
ACCOUNT = "000000000000"
DETAIL_TYPE = "Batch Job State Change"
SERVICE_DETAIL_TYPE = "Batch Service Job State Change"
PREEMPTION_DETAIL_TYPE = "Batch Service Job Preemption"
"""Followed by Started or Completed."""
QUEUES = tuple(
    f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/{name}"
    for name in ("high-priority", "low-priority", "spot", "gpu", "training")
)

STATUSES = (
    *("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING"),
    *("SUCCEEDED", "FAILED"),
)
TERMINAL = frozenset({"SUCCEEDED", "FAILED"})

_TIME_FIELDS = frozenset({"createdAt", "startedAt", "stoppedAt"})


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """A status change or a step of a preemption. `at` is the time at which Batch sends it."""

    at: int
    job_id: str
    detail: Detail
    detail_type: str = DETAIL_TYPE

    @property
    def is_status_change(self) -> bool:
        return self.detail_type in (DETAIL_TYPE, SERVICE_DETAIL_TYPE)


def envelope(
    event: SimulatedEvent,
    *,
    source: str = "aws.batch",
    account: str = ACCOUNT,
    region: str = REGION,
    id: str | None = None,
) -> dict[str, Any]:
    """Return the whole EventBridge event. Its time is truncated to seconds, as AWS does.

    The default id is the same for the same event; a duplicate may have another one.
    """
    return {
        "version": "0",
        "id": id or str(uuid5(NAMESPACE_URL, f"{event.detail_type} {event.job_id} {event.at}")),
        "detail-type": event.detail_type,
        "source": source,
        "account": account,
        "time": datetime.fromtimestamp(event.at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [job_arn(event.detail)],
        "detail": event.detail,
    }


def job_arn(detail: Detail) -> str:
    """Return the job's ARN. Events of 2017 don't contain it, so there it is composed."""
    arn = detail.get("jobArn") or detail.get("preemptedJobArn")
    return str(arn or f"{base_arn(detail['jobQueue'])}:job/{detail['jobId']}")


def base_arn(queue: str) -> str:
    """Return `arn:aws:batch:<region>:<account>` of a queue's ARN."""
    return queue.partition(":job-queue/")[0]


def retimed(event: SimulatedEvent, clock: Callable[[int], int]) -> SimulatedEvent:
    """Return the event with all its times replaced by what `clock` returns for them."""

    def convert(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {name: convert(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [convert(inner) for inner in value]
        return clock(value) if name in _TIME_FIELDS else value

    return replace(event, at=clock(event.at), detail=convert(event.detail))
