"""A list of queues and a queue as text."""

from collections import Counter

from chalicelib.api.formats.text import (
    MAX_NAME,
    amounts,
    clean,
    cost,
    cut,
    document,
    facts,
    moment,
    section,
    table,
    usage,
)
from chalicelib.api.representation.queue import (
    EnvironmentBody,
    IncidentBody,
    LastDay,
    Percentiles,
    QueueBody,
    QueueFacts,
    QueueList,
    QueueSummary,
)
from chalicelib.api.representation.usage import CostBody
from chalicelib.jobs.waiting.queue_environment import INVALID
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED
from chalicelib.text_format import duration

_HEAD_JOBS = 5
_DEFINITIONS = 5


def format_queues(queues: QueueList) -> str:
    if not queues.queues:
        return document(["No queues."])
    heads = (
        *("QUEUE", "WAITING", "RUNNING", "SUCCEEDED", "FAILED", "WAIT", "RUN", "COST"),
        "PROBLEM",
    )
    note = (
        "SUCCEEDED to COST: the last 24 hours; - is not counted yet. WAIT and RUN: median times."
        " COST: an estimate."
    )
    lines = [*table(heads, map(_row, queues.queues)), "", note]
    if queues.next_token:
        lines += [f"Next page: nextToken={queues.next_token}"]
    return document(lines)


def _row(queue: QueueSummary) -> tuple[str, ...]:
    name, problems = cut(clean(queue.job_queue), MAX_NAME), "; ".join(_problems(queue))
    day = queue.last_day
    if queue.counts is None or day is None:
        return name, *("-" * 4), *[""] * 3, problems
    running, more = queue.counts["RUNNING"], "+" if queue.counts_are_at_least else ""
    return (
        name,
        f"{sum(queue.counts.values()) - running}{more}",
        f"{running}{more}",
        str(day.succeeded),
        str(day.failed),
        _median(day.wait_seconds),
        _median(day.run_seconds),
        _short_cost(day.cost),
        problems,
    )


def _problems(queue: QueueFacts) -> list[str]:
    """Return the open incidents in a few words each. Jobs that were reported individually are
    counted together."""
    counted = Counter(_problem(each) for each in queue.incidents if each.jobs == 1)
    problems = [_problem(each) for each in queue.incidents if each.jobs != 1]
    problems += [f"{count} {what}" for what, count in counted.items()]
    return [clean(problem) for problem in problems]


def _problem(incident: IncidentBody) -> str:
    cause = f": {incident.cause}" if incident.cause else ""
    if incident.kind == QUEUE_BLOCKED:
        return f"blocked{cause}"
    if incident.kind == EVENTS_MISSING:
        return "events are missing"
    jobs = "" if incident.jobs == 1 else f"{incident.jobs} "
    return f"{jobs}stuck in {incident.status}{cause}"


def format_queue(queue: QueueBody) -> str:
    at_least = "at least " if queue.counts_are_at_least else ""
    counts = ", ".join(
        f"{count} {status}" for status, count in (queue.counts or {}).items() if count
    )
    values = {
        "as of": moment(queue.as_of) + " UTC" if queue.as_of else "not counted yet",
        "jobs": counts and at_least + counts,
        "oldest": queue.oldest_waiting and f"RUNNABLE since {moment(queue.oldest_waiting)} UTC",
        "blocked": queue.blocked and (queue.blocked.explanation or queue.blocked.reason),
        "problems": "; ".join(_problems(queue)) or None,
        "state": queue.state and f"{queue.state}, {queue.status}{_reason(queue)}",
        **(_values_of(queue.last_day) if queue.last_day else {}),
    }
    return document(
        [
            clean(queue.job_queue),
            "",
            *facts(values),
            *section("Environments", _environments(queue)),
            *section("Consumable resources", _consumable_resources(queue)),
            *section("Quota shares", _quota_shares(queue)),
            *section("Head of the queue", _head(queue)),
            *section("Days (median times, estimated cost)", _days(queue)),
        ]
    )


def _reason(described: QueueBody | EnvironmentBody) -> str:
    """Return AWS Batch's reason for an invalid queue or environment, to append to its status."""
    reason = described.status_reason if described.status == INVALID else None
    return f": {clean(reason)}" if reason else ""


def _environments(queue: QueueBody) -> list[str]:
    rows = [
        (
            clean(each.name),
            each.type or "",
            "" if each.max_vcpus is None else f"{each.desired_vcpus} of {each.max_vcpus}",
            f"{each.state}, {each.status}{_reason(each)}",
        )
        for each in queue.environments
    ]
    return table(("NAME", "TYPE", "VCPUS IN USE", "STATE"), rows) if rows else []


def _consumable_resources(queue: QueueBody) -> list[str]:
    return [
        f"{clean(each.name)}: {each.available} of {each.total} available"
        for each in queue.consumable_resources
    ]


def _quota_shares(queue: QueueBody) -> list[str]:
    return [
        f"{clean(each.name)}: {each.state}, {each.in_use:g} of {each.max_capacity:g}"
        f" {clean(each.capacity_unit or '')}"
        for each in queue.quota_shares
        if each.max_capacity is not None
    ]


def _head(queue: QueueBody) -> list[str]:
    """Return the first jobs of the queue, in the order in which they will start."""
    rows = [
        (str(number), job.job_id, moment(job.since) if job.since else "")
        for number, job in enumerate(queue.head[:_HEAD_JOBS], 1)
    ]
    return table(("NO.", "JOB ID", "AT THIS POSITION SINCE (UTC)"), rows) if rows else []


def _values_of(day: LastDay) -> dict[str, str | None]:
    causes = ", ".join(f"{count} {cause}" for cause, count in day.causes.items())
    failed = f"{day.failed} failed" + (f" ({causes})" if causes else "")
    most = sorted(day.definitions.items(), key=lambda each: -each[1])[:_DEFINITIONS]
    return {
        "last 24 h": f"{day.succeeded} succeeded, {failed}",
        "failed": ", ".join(f"{count} of {name}" for name, count in most),
        "wait time": _percentiles(day.wait_seconds),
        "run time": _percentiles(day.run_seconds),
        "usage": usage(day.usage),
        "cost": cost(day.cost) if day.cost else None,
    }


def _days(queue: QueueBody) -> list[str]:
    """Return a table of the days on which jobs ended."""
    heads = ("DAY (UTC)", "SUCCEEDED", "FAILED", "WAIT", "RUN", "USAGE", "COST")
    rows = [
        (
            day.day,
            str(day.succeeded),
            str(day.failed),
            _median(day.wait_seconds),
            _median(day.run_seconds),
            amounts(day.usage),
            _short_cost(day.cost),
        )
        for day in queue.days
        if day.succeeded or day.failed
    ]
    return table(heads, rows) if rows else []


def _percentiles(of: Percentiles | None) -> str | None:
    if of is None:
        return None
    return f"p50 {duration(of.p50)}, p90 {duration(of.p90)}, p99 {duration(of.p99)}"


def _median(of: Percentiles | None) -> str:
    return duration(of.p50) if of else ""


def _short_cost(cost: CostBody | None) -> str:
    return f"{cost.estimate:.2f} {clean(cost.currency)}" if cost else ""
