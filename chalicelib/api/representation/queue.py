"""A job queue: its counts, its last day, what blocks it, and its rollups by hour and day."""

from collections.abc import Iterator
from typing import Any

from chalicelib.api.representation.body import Body, rfc3339, rfc3339_or_none
from chalicelib.api.representation.usage import CostBody, UsageBody, cost_body, usage_body
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import ACTIVE
from chalicelib.jobs.prices import Price
from chalicelib.jobs.usage import JobUsage, Usage
from chalicelib.jobs.waiting.queue_environment import QueueEnvironment, QueueHead
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, STUCK
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.histogram import Histogram
from chalicelib.queues.rollup import HOUR_MS, Rollup
from chalicelib.queues.state import QueueState
from chalicelib.queues.stats import QueueStats
from chalicelib.queues.stats_table import Rollups


class Percentiles(Body, frozen=True):
    """Seconds, with a relative error of at most 5 %."""

    p50: float
    p90: float
    p99: float


class Ended(Body, frozen=True):
    """Jobs that ended in a period. `succeeded`, `failed`, `causes` and `definitions` count an array
    as one job; wait and run times are those of plain jobs, children and nodes, or null if there
    were none. `definitions` are the failed jobs by the name of their job definition, at most 50
    names."""

    succeeded: int
    failed: int
    causes: dict[Cause, int]
    definitions: dict[str, int]
    wait_seconds: Percentiles | None
    run_seconds: Percentiles | None


class LastDay(Ended, frozen=True):
    """The current hour and the 23 hours before it."""

    usage: UsageBody
    cost: CostBody | None


class Hour(Ended, frozen=True, kw_only=True):
    hour: str


class Day(Ended, frozen=True, kw_only=True):
    """A day in UTC."""

    day: str
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


class ConsumableResourceBody(Body, frozen=True):
    """A consumable resource that waiting jobs need."""

    name: str
    available: int
    total: int


class QuotaShareBody(Body, frozen=True):
    """A quota share. `max_capacity` includes what the share may borrow; null if it has no limit."""

    name: str
    state: str
    in_use: float
    max_capacity: float | None
    capacity_unit: str | None


class HeadJobBody(Body, frozen=True):
    """A job at the head of the queue, and since when it has had at least its position."""

    job_id: str
    since: str | None


class IncidentBody(Body, frozen=True):
    """An open incident. `kind` is QUEUE_BLOCKED, STUCK or EVENTS_MISSING. `jobs` are the jobs that
    are stuck in `status`, and `reported_jobs` those when it was last reported. `job_id` is the one
    that has been stuck the longest, or the one that blocks the queue. `since` is null for a job
    that was reported individually."""

    kind: str
    since: str | None
    status: str | None
    cause: str | None
    explanation: str | None
    jobs: int | None
    job_id: str | None
    job_name: str | None
    reported_jobs: int | None = None


class EndedCountBody(Body, frozen=True):
    succeeded: int
    failed: int


class HourCount(EndedCountBody, frozen=True):
    hour: str


class QueueFacts(Body, frozen=True):
    """`counts` are the jobs that had not ended at `as_of`, an array counted as one job.
    `oldest_waiting` is since when the job that has been RUNNABLE the longest has been so.
    `day_before` are the 24 hours before `last_day`. All of them are null until the queue was
    counted for the first time."""

    job_queue: str
    as_of: str | None
    counts: dict[str, int] | None
    counts_are_at_least: bool
    oldest_waiting: str | None
    last_day: LastDay | None
    day_before: EndedCountBody | None
    blocked: BlockedBody | None
    incidents: list[IncidentBody]


class QueueSummary(QueueFacts, frozen=True):
    """`hours` are the last 24 hours, oldest first."""

    hours: list[HourCount]


class QueueBody(QueueFacts, frozen=True):
    """`hours` are the last 24 hours and `days` the last 30 days, oldest first.

    `state`, `status` and `environments` are as of `environments_as_of`; they are null or empty
    until AWS Batch was asked. `head` are the first RUNNABLE jobs in the order in which they will
    start, at most 100, as of `head_as_of`.
    """

    state: str | None
    status: str | None
    status_reason: str | None
    environments: list[EnvironmentBody]
    consumable_resources: list[ConsumableResourceBody]
    quota_shares: list[QuotaShareBody]
    environments_as_of: str | None
    head: list[HeadJobBody]
    head_as_of: str | None

    hours: list[Hour]
    days: list[Day]


class QueueList(Body, frozen=True):
    queues: list[QueueSummary]
    next_token: str | None


def queue_summary(
    queue: str, stats: QueueStats, price: Price | None, state: QueueState | None
) -> QueueSummary:
    hours = [
        HourCount(each.succeeded, each.failed, rfc3339(stats.hours_begin + number * HOUR_MS))
        for number, each in enumerate(stats.hours)
    ]
    return QueueSummary(**_facts(queue, stats, price, state), hours=hours)


def queue_body(
    queue: str,
    stats: QueueStats,
    hours: Rollups,
    days: Rollups,
    price: Price | None,
    state: QueueState | None,
    environment: QueueEnvironment | None = None,
    head: QueueHead | None = None,
) -> QueueBody:
    """Return the queue with these hours and days, in their order."""
    return QueueBody(
        **_facts(queue, stats, price, state),
        **_environment_fields(environment, head),
        hours=[Hour(**_ended(rollup), hour=rfc3339(at)) for at, rollup in hours.items()],
        days=[
            Day(**_ended(rollup), **_usage(rollup, price), day=rfc3339(at)[:10])
            for at, rollup in days.items()
        ],
    )


def _facts(
    queue: str, stats: QueueStats, price: Price | None, state: QueueState | None
) -> dict[str, Any]:
    counted: dict[str, Any] = dict.fromkeys(("counts", "last_day", "day_before"))
    if stats.as_of is not None:
        counted = {
            "counts": {status.value: stats.counts.get(status, 0) for status in ACTIVE},
            "last_day": LastDay(**_ended(stats.last_day), **_usage(stats.last_day, price)),
            "day_before": EndedCountBody(stats.day_before.succeeded, stats.day_before.failed),
        }
    return counted | {
        "job_queue": queue,
        "as_of": rfc3339_or_none(stats.as_of),
        "counts_are_at_least": stats.counts_are_at_least,
        "oldest_waiting": rfc3339_or_none(stats.oldest_waiting),
        "blocked": _blocked(state.blocked) if state and state.blocked else None,
        "incidents": list(_incidents(state)) if state else [],
    }


def _incidents(state: QueueState) -> Iterator[IncidentBody]:
    """Yield the open incidents, the gravest first."""
    if blocked := state.blocked:
        yield IncidentBody(
            kind=QUEUE_BLOCKED,
            since=rfc3339(blocked.since),
            status=None,
            cause=blocked.cause or None,
            explanation=blocked.explanation,
            jobs=None,
            job_id=blocked.job_id or None,
            job_name=blocked.job_name or None,
        )
    if missing := state.missing_events:
        yield IncidentBody(
            kind=EVENTS_MISSING,
            since=rfc3339(missing.last_event_at or missing.since),
            status=None,
            cause=None,
            explanation="Jobs change without events: check the rule and the queue of batchwatch.",
            jobs=None,
            job_id=None,
            job_name=None,
        )
    for bulk in sorted(state.bulk_incidents, key=lambda each: -each.jobs):
        yield IncidentBody(
            kind=STUCK,
            since=rfc3339(bulk.longest_since),
            status=bulk.status,
            cause=bulk.cause or None,
            explanation=bulk.reason or None,
            jobs=bulk.jobs,
            job_id=bulk.longest.job_id,
            job_name=bulk.longest.job_name,
            reported_jobs=bulk.reported_jobs,
        )
    for stuck in state.stuck:
        yield IncidentBody(
            kind=STUCK,
            since=None,
            status=stuck.status,
            cause=None,
            explanation=None,
            jobs=1,
            job_id=stuck.job_id,
            job_name=None,
        )


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
        "consumable_resources": [
            ConsumableResourceBody(each.name, each.available, each.total)
            for each in (queue.consumables if queue else ())
        ],
        "quota_shares": [
            QuotaShareBody(each.name, each.state, each.in_use, each.most, each.unit or None)
            for each in (queue.shares if queue else ())
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
        "definitions": rollup.definitions,
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
