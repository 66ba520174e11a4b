"""A job queue: its counts, its last day, what blocks it, and its rollups by hour and day."""

from typing import Any

from chalicelib.api.representation.body import Body, rfc3339, rfc3339_or_none
from chalicelib.api.representation.usage import CostBody, UsageBody, cost_body, usage_body
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import ACTIVE
from chalicelib.jobs.prices import Price
from chalicelib.jobs.usage import JobUsage, Usage
from chalicelib.jobs.waiting.queue_environment import QueueEnvironment, QueueHead
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.histogram import Histogram
from chalicelib.queues.rollup import Rollup
from chalicelib.queues.stats import QueueStats
from chalicelib.queues.stats_table import Rollups


class Percentiles(Body, frozen=True):
    """Seconds, with a relative error of at most 5 %."""

    p50: float
    p90: float
    p99: float


class Ended(Body, frozen=True):
    """Jobs that ended in a period. `succeeded`, `failed` and `causes` count an array as one job;
    wait and run times are those of plain jobs, children and nodes, or null if there were none."""

    succeeded: int
    failed: int
    causes: dict[Cause, int]
    wait_seconds: Percentiles | None
    run_seconds: Percentiles | None


class LastDay(Ended, frozen=True):
    """The current hour and the 23 hours before it."""

    usage: UsageBody
    cost: CostBody | None


class Hour(Ended, frozen=True, kw_only=True):
    hour: str


class Day(Body, frozen=True):
    """A day in UTC."""

    day: str
    succeeded: int
    failed: int
    usage: UsageBody
    cost: CostBody | None


class BlockedBody(Body, frozen=True):
    """The reason why the job at the head of the queue can't start. It blocks all jobs behind it."""

    since: str
    last_seen: str
    reason: str | None
    cause: str | None
    explanation: str
    job_id: str | None


class EnvironmentBody(Body, frozen=True):
    """A compute or service environment. The vCPUs are null where AWS Batch manages none."""

    name: str
    state: str
    status: str
    status_reason: str | None
    type: str | None
    desired_vcpus: int | None
    max_vcpus: int | None


class HeadJobBody(Body, frozen=True):
    """A job at the head of the queue, and since when it has had at least its position."""

    job_id: str
    since: str | None


class QueueSummary(Body, frozen=True):
    """`counts` are the jobs that had not ended at `as_of`, an array counted as one job. `as_of` is
    null until the queue was counted for the first time."""

    job_queue: str
    as_of: str | None
    counts: dict[str, int]
    counts_are_at_least: bool
    last_day: LastDay
    blocked: BlockedBody | None


class QueueBody(QueueSummary, frozen=True):
    """`hours` are the last 24 hours and `days` the last 30 days, oldest first.

    `state`, `status` and `environments` are as of `environments_as_of`; they are null or empty
    until AWS Batch was asked. `head` are the first RUNNABLE jobs in the order in which they will
    start, at most 100, as of `head_as_of`.
    """

    state: str | None
    status: str | None
    status_reason: str | None
    environments: list[EnvironmentBody]
    environments_as_of: str | None
    head: list[HeadJobBody]
    head_as_of: str | None

    hours: list[Hour]
    days: list[Day]


class QueueList(Body, frozen=True):
    queues: list[QueueSummary]


def queue_summary(
    queue: str, stats: QueueStats, price: Price | None, blocked: Blocked | None
) -> QueueSummary:
    return QueueSummary(**_summary_fields(queue, stats, price, blocked))


def queue_body(
    queue: str,
    stats: QueueStats,
    hours: Rollups,
    days: Rollups,
    price: Price | None,
    blocked: Blocked | None,
    environment: QueueEnvironment | None = None,
    head: QueueHead | None = None,
) -> QueueBody:
    """Return the queue with these hours and days, in their order."""
    return QueueBody(
        **_summary_fields(queue, stats, price, blocked),
        **_environment_fields(environment, head),
        hours=[Hour(**_ended(rollup), hour=rfc3339(at)) for at, rollup in hours.items()],
        days=[
            Day(rfc3339(at)[:10], rollup.succeeded, rollup.failed, **_usage(rollup, price))
            for at, rollup in days.items()
        ],
    )


def _summary_fields(
    queue: str, stats: QueueStats, price: Price | None, blocked: Blocked | None
) -> dict[str, Any]:
    return {
        "job_queue": queue,
        "as_of": rfc3339_or_none(stats.as_of),
        "counts": {status.value: stats.counts.get(status, 0) for status in ACTIVE},
        "counts_are_at_least": stats.counts_are_at_least,
        "last_day": LastDay(**_ended(stats.last_day), **_usage(stats.last_day, price)),
        "blocked": _blocked(blocked) if blocked else None,
    }


def _environment_fields(queue: QueueEnvironment | None, head: QueueHead | None) -> dict[str, Any]:
    return {
        "state": queue.state if queue else None,
        "status": queue.status if queue else None,
        "status_reason": (queue.reason or None) if queue else None,
        "environments": [
            EnvironmentBody(
                name=each.name,
                state=each.state,
                status=each.status,
                status_reason=each.reason or None,
                type=each.type or None,
                desired_vcpus=each.desired_vcpus,
                max_vcpus=each.max_vcpus,
            )
            for each in (queue.environments if queue else ())
        ],
        "environments_as_of": rfc3339_or_none(queue.as_of if queue else None),
        "head": [
            HeadJobBody(job.job_id, rfc3339_or_none(job.since or None))
            for job in (head.jobs if head else ())
        ],
        "head_as_of": rfc3339_or_none(head.as_of if head else None),
    }


def _blocked(blocked: Blocked) -> BlockedBody:
    return BlockedBody(
        since=rfc3339(blocked.since),
        last_seen=rfc3339(blocked.last_seen),
        reason=blocked.reason or None,
        cause=blocked.cause or None,
        explanation=blocked.explanation,
        job_id=blocked.job_id or None,
    )


def _ended(rollup: Rollup) -> dict[str, Any]:
    return {
        "succeeded": rollup.succeeded,
        "failed": rollup.failed,
        "causes": {Cause(cause): count for cause, count in rollup.causes.items()},
        "wait_seconds": _percentiles(rollup.wait),
        "run_seconds": _percentiles(rollup.run),
    }


def _usage(rollup: Rollup, price: Price | None) -> dict[str, Any]:
    """Return usage and cost. Service jobs have no recorded usage: their cost is unknown, not 0."""
    usage = JobUsage(rollup.usage, rollup.wasted)
    cost = cost_body(usage, price) if usage.total != Usage() else None
    return {"usage": usage_body(usage), "cost": cost}


def _percentiles(durations: Histogram) -> Percentiles | None:
    """Return p50, p90 and p99 of milliseconds in seconds, or None if there are no durations."""
    found = [durations.percentile(percent) for percent in (50, 90, 99)]
    seconds = [round(milliseconds / 1000, 3) for milliseconds in found if milliseconds is not None]
    return Percentiles(*seconds) if seconds else None
