"""The JSON of jobs and queues: what clients rely on, in AWS's names, whatever the records look
like inside.

Times are RFC 3339 in UTC with milliseconds, durations seconds. What is not known is null. `now`
is epoch milliseconds and handed in.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from chalicelib.api.job_log import LogLine
from chalicelib.jobs import pending_reason as waiting
from chalicelib.jobs.array_summary import Summary
from chalicelib.jobs.console_links import console_link, logs_link
from chalicelib.jobs.durations import Durations, durations
from chalicelib.jobs.failure import Cause, Failure, attempt_cause, failure_of
from chalicelib.jobs.job import ACTIVE, Description, Job, JobId, JobStatus
from chalicelib.jobs.preemption import Preemption, Step, history
from chalicelib.jobs.prices import Price, Prices
from chalicelib.jobs.usage import JobUsage, Usage, job_usage
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.histogram import Histogram
from chalicelib.queues.rollup import Rollup
from chalicelib.queues.stats_table import QueueStats, Rollups


class _Body(Struct, frozen=True, rename="camel"):
    pass


class HistoryEntry(_Body, frozen=True):
    status: str
    attempt: int | None
    at: str
    source: str


class AttemptBody(_Body, frozen=True):
    attempt: int
    started_at: str | None
    stopped_at: str | None
    exit_code: int | None
    reason: str | None
    status_reason: str | None
    log_stream_name: str | None
    service_resource_id: str | None
    cause: Cause | None


class PreemptionBody(_Body, frozen=True):
    step: Step
    at: str
    reason: str | None


class ArrayBody(_Body, frozen=True):
    """`status_summary` counts an array's children as far as they were heard of by then."""

    size: int | None
    index: int | None
    parent_job_id: str | None
    status_summary: dict[str, int] | None
    status_summary_as_of: str | None


class EnvironmentVariable(_Body, frozen=True):
    name: str
    value: str = "REDACTED"


class ContainerBody(_Body, frozen=True):
    """`memory` in MiB. Values of environment variables are never stored."""

    image: str | None
    command: tuple[str, ...]
    vcpus: float | None
    memory: int | None
    gpus: int | None
    environment: list[EnvironmentVariable]


class Amounts(_Body, frozen=True):
    vcpu_hours: float
    gb_hours: float
    gpu_hours: float


class UsageBody(Amounts, frozen=True):
    """`wasted` is the part of it that attempts used which came to nothing."""

    wasted: Amounts


class CostBody(_Body, frozen=True):
    """An estimate, by the prices that are set; `wasted` is a part of it."""

    estimate: float
    wasted: float
    currency: str


class Links(_Body, frozen=True):
    console: str | None
    logs: str | None


class JobSummary(_Body, frozen=True):
    job_id: str
    job_name: str
    job_queue: str
    job_queue_arn: str
    job_definition: str | None
    service_job_type: str | None
    status: str
    status_reason: str | None
    since: str
    created_at: str | None
    started_at: str | None
    stopped_at: str | None
    durations: Durations
    failure: Failure | None
    array: ArrayBody | None
    use: UsageBody | None
    cost: CostBody | None
    links: Links


class WaitingBody(_Body, frozen=True):
    """Why it does not run yet. `cause` is null where Batch says none that is known."""

    cause: str | None
    explanation: str


class JobBody(JobSummary, frozen=True):
    history: list[HistoryEntry]
    attempts: list[AttemptBody]
    preemptions: list[PreemptionBody]
    container: ContainerBody
    parameters: dict[str, str]
    tags: dict[str, str]
    waiting: WaitingBody | None


class JobPage(_Body, frozen=True):
    jobs: list[JobSummary]
    next_token: str | None


class Percentiles(_Body, frozen=True):
    """Seconds, within 5 % of the true ones."""

    p50: float
    p90: float
    p99: float


class Ended(_Body, frozen=True):
    """Of the jobs that ended in some time: an array is one of those that succeeded or failed;
    what waited and ran are plain jobs, children and nodes. Null: none did."""

    succeeded: int
    failed: int
    causes: dict[Cause, int]
    wait_seconds: Percentiles | None
    run_seconds: Percentiles | None


class LastDay(Ended, frozen=True):
    """Of the current hour and the 23 before it."""

    use: UsageBody
    cost: CostBody | None


class Hour(Ended, frozen=True, kw_only=True):
    hour: str


class Day(_Body, frozen=True):
    """Of UTC."""

    day: str
    succeeded: int
    failed: int
    use: UsageBody
    cost: CostBody | None


class BlockedBody(_Body, frozen=True):
    """Why the job at the head of the queue can't start, and none behind it can."""

    since: str
    last_seen: str
    reason: str | None
    cause: str | None
    explanation: str
    job_id: str


class QueueSummary(_Body, frozen=True):
    """`counts` of the jobs that have not ended, an array as one, as they were at `as_of`; null:
    not counted yet."""

    job_queue: str
    as_of: str | None
    counts: dict[str, int]
    counts_are_at_least: bool
    last_day: LastDay
    blocked: BlockedBody | None


class QueueBody(QueueSummary, frozen=True):
    """The last 24 hours and 30 days, newest last."""

    hours: list[Hour]
    days: list[Day]


class QueueList(_Body, frozen=True):
    queues: list[QueueSummary]


class LogLineBody(_Body, frozen=True):
    at: str
    message: str


class LogsBody(_Body, frozen=True):
    """Oldest line first."""

    job_id: str
    attempt: int
    log_group: str
    log_stream_name: str
    lines: list[LogLineBody]


def job_summary(job: Job, children: Summary | None, prices: Prices, now: int) -> JobSummary:
    return JobSummary(**_summary_fields(job, children, prices, now))


def job_body(
    job: Job,
    preemptions: Sequence[Preemption],
    children: Summary | None,
    description: Description,
    prices: Prices,
    now: int,
) -> JobBody:
    return JobBody(
        **_summary_fields(job, children, prices, now),
        history=[
            HistoryEntry(seen.status, seen.attempt, _time(seen.at), seen.source.name.lower())
            for seen in history(job, preemptions)
        ],
        attempts=_attempts(job),
        preemptions=[PreemptionBody(p.step, _time(p.at), p.reason) for p in preemptions],
        container=ContainerBody(
            image=description.image,
            command=description.command,
            vcpus=description.vcpus,
            memory=description.memory,
            gpus=description.gpus,
            environment=[EnvironmentVariable(name) for name in description.environment],
        ),
        parameters=description.parameters,
        tags=description.tags,
        waiting=_waiting(job),
    )


def queue_summary(
    queue: str, known: QueueStats, price: Price | None, blocked: Blocked | None
) -> QueueSummary:
    return QueueSummary(**_queue_fields(queue, known, price, blocked))


def queue_body(
    queue: str,
    known: QueueStats,
    hours: Rollups,
    days: Rollups,
    price: Price | None,
    blocked: Blocked | None,
) -> QueueBody:
    """`hours` and `days` are all that are to be shown, in their order."""
    return QueueBody(
        **_queue_fields(queue, known, price, blocked),
        hours=[Hour(**_ended(of), hour=_time(at)) for at, of in hours.items()],
        days=[
            Day(_time(at)[:10], of.succeeded, of.failed, **_used(of, price))
            for at, of in days.items()
        ],
    )


def _queue_fields(
    queue: str, known: QueueStats, price: Price | None, blocked: Blocked | None
) -> dict[str, Any]:
    return {
        "job_queue": queue,
        "as_of": _known_time(known.as_of),
        "counts": {status.value: known.counts.get(status, 0) for status in ACTIVE},
        "counts_are_at_least": known.counts_are_at_least,
        "last_day": LastDay(**_ended(known.last_day), **_used(known.last_day, price)),
        "blocked": _blocked(blocked) if blocked else None,
    }


def _blocked(blocked: Blocked) -> BlockedBody:
    hindrance = waiting.explain(JobStatus.RUNNABLE, blocked.reason)
    return BlockedBody(
        since=_time(blocked.since),
        last_seen=_time(blocked.last_seen),
        reason=blocked.reason or None,
        cause=hindrance.cause,
        explanation=hindrance.explanation,
        job_id=blocked.job_id,
    )


def _ended(rollup: Rollup) -> dict[str, Any]:
    return {
        "succeeded": rollup.succeeded,
        "failed": rollup.failed,
        "causes": {Cause(cause): count for cause, count in rollup.causes.items()},
        "wait_seconds": _percentiles(rollup.wait),
        "run_seconds": _percentiles(rollup.run),
    }


def _used(rollup: Rollup, price: Price | None) -> dict[str, Any]:
    """Where nothing tells of any use, as with service jobs, nothing tells of a cost either."""
    used = JobUsage(rollup.usage, rollup.wasted)
    return {"use": _use(used), "cost": _cost(used, price) if used.total != Usage() else None}


def _percentiles(durations: Histogram) -> Percentiles | None:
    found = [durations.percentile(percent) for percent in (50, 90, 99)]
    known = [round(milliseconds / 1000, 3) for milliseconds in found if milliseconds is not None]
    return Percentiles(*known) if known else None


def _summary_fields(job: Job, children: Summary | None, prices: Prices, now: int) -> dict[str, Any]:
    details, used = job.details, job_usage(job, now)
    return {
        "job_id": job.job_id,
        "job_name": details.job_name,
        "job_queue": job.queue,
        "job_queue_arn": details.job_queue,
        "job_definition": details.job_definition,
        "service_job_type": details.service.job_type if details.service else None,
        "status": job.status,
        "status_reason": _status_reason(job),
        "since": _time(job.since),
        "created_at": _known_time(details.created_at),
        "started_at": _known_time(details.started_at),
        "stopped_at": _known_time(details.stopped_at),
        "durations": durations(job, now),
        "failure": _failure(job),
        "array": _array(job, children),
        "use": _use(used) if used else None,
        "cost": _cost(used, prices.of(job.queue)) if used else None,
        "links": Links(console=console_link(job), logs=logs_link(job)),
    }


def _status_reason(job: Job) -> str | None:
    if not job.is_lost:
        return job.details.status_reason
    heard = _time(job.last_heard)
    return (
        f"AWS Batch knows this job no more. It was last heard of as {job.details.status} at {heard}"
    )


def _failure(job: Job) -> Failure | None:
    return failure_of(job.details) if job.status == JobStatus.FAILED else None


def _use(used: JobUsage) -> UsageBody:
    return UsageBody(**_amounts(used.total), wasted=Amounts(**_amounts(used.wasted)))


def _amounts(used: Usage) -> dict[str, float]:
    amounts = {
        "vcpu_hours": used.vcpu_hours,
        "gb_hours": used.gb_hours,
        "gpu_hours": used.gpu_hours,
    }
    return {name: round(amount, _DECIMALS) for name, amount in amounts.items()}


def _cost(used: JobUsage, price: Price | None) -> CostBody | None:
    if price is None:
        return None
    estimate, wasted = (round(price.cost(of), _DECIMALS) for of in used)
    return CostBody(estimate, wasted, price.currency)


_DECIMALS = 6
"""A vCPU for a few seconds has to show."""


def _waiting(job: Job) -> WaitingBody | None:
    if job.status not in ACTIVE or job.status == JobStatus.RUNNING:
        return None
    return WaitingBody(*waiting.explain(job.status, job.details.status_reason))


def _attempts(job: Job) -> list[AttemptBody]:
    listed, service = job.details.attempts, job.details.service
    resources = service.resources if service else (None,) * len(listed)
    return [
        AttemptBody(
            attempt=number,
            started_at=_known_time(attempt.started_at),
            stopped_at=_known_time(attempt.stopped_at),
            exit_code=attempt.exit_code,
            reason=attempt.reason,
            status_reason=attempt.status_reason,
            log_stream_name=attempt.log_stream_name,
            service_resource_id=resource,
            cause=attempt_cause(attempt),
        )
        for number, (attempt, resource) in enumerate(
            zip(listed, resources, strict=True), job.details.unlisted_attempts + 1
        )
    ]


def log_streams(job: Job) -> dict[int, str | None]:
    """Of each attempt that is known of, from the first on; None where it has none."""
    streams = {attempt.attempt: attempt.log_stream_name for attempt in _attempts(job)}
    current = job.history[-1].attempt or 1
    if job.details.log_stream_name and not streams.get(current):
        streams[current] = job.details.log_stream_name
    return dict(sorted(streams.items()))


def log_line(line: LogLine) -> LogLineBody:
    return LogLineBody(_time(line.at), line.message)


def _array(job: Job, children: Summary | None) -> ArrayBody | None:
    facts = job.details.array
    if facts is None:
        return None
    parent = None if job.is_root else JobId.parse(job.job_id).root
    counts = dict(children.counts) if children else {}
    as_of = _time(children.as_of) if children and counts else None
    return ArrayBody(facts.size, facts.index, parent, counts or None, as_of)


def _time(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _known_time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else _time(milliseconds)
