"""A list of queues and a queue as text."""

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
from chalicelib.api.representation.queue import Percentiles, QueueBody, QueueList, QueueSummary
from chalicelib.api.representation.usage import CostBody
from chalicelib.text_format import duration


def format_queues(queues: QueueList) -> str:
    if not queues.queues:
        return document(["No queues."])
    heads = ("QUEUE", "WAITING", "RUNNING", "SUCCEEDED", "FAILED", "WAIT", "RUN", "COST")
    note = "SUCCEEDED to COST: the last 24 hours. WAIT and RUN: median times. COST: an estimate."
    return document([*table(heads, map(_row, queues.queues)), "", note])


def _row(queue: QueueSummary) -> tuple[str, ...]:
    day, running = queue.last_day, queue.counts["RUNNING"]
    more = "+" if queue.counts_are_at_least else ""
    return (
        cut(clean(queue.job_queue), MAX_NAME),
        f"{sum(queue.counts.values()) - running}{more}",
        f"{running}{more}",
        str(day.succeeded),
        str(day.failed),
        duration(day.wait_seconds.p50) if day.wait_seconds else "",
        duration(day.run_seconds.p50) if day.run_seconds else "",
        _short_cost(day.cost),
    )


def format_queue(queue: QueueBody) -> str:
    day = queue.last_day
    at_least = "at least " if queue.counts_are_at_least else ""
    counts = ", ".join(f"{count} {status}" for status, count in queue.counts.items() if count)
    causes = ", ".join(f"{count} {cause}" for cause, count in day.causes.items())
    failed = f"{day.failed} failed" + (f" ({causes})" if causes else "")
    values = {
        "as of": queue.as_of and moment(queue.as_of) + " UTC",
        "jobs": counts and at_least + counts,
        "blocked": queue.blocked and (queue.blocked.explanation or queue.blocked.reason),
        "last 24 h": f"{day.succeeded} succeeded, {failed}",
        "wait time": _percentiles(day.wait_seconds),
        "run time": _percentiles(day.run_seconds),
        "usage": usage(day.usage),
        "cost": cost(day.cost) if day.cost else None,
    }
    return document([clean(queue.job_queue), "", *facts(values), *section("Days", _days(queue))])


def _days(queue: QueueBody) -> list[str]:
    """Return a table of the days on which jobs ended."""
    heads = ("DAY (UTC)", "SUCCEEDED", "FAILED", "USAGE", "COST (ESTIMATE)")
    rows = [
        (day.day, str(day.succeeded), str(day.failed), amounts(day.usage), _short_cost(day.cost))
        for day in queue.days
        if day.succeeded or day.failed
    ]
    return table(heads, rows) if rows else []


def _percentiles(of: Percentiles | None) -> str | None:
    if of is None:
        return None
    return f"p50 {duration(of.p50)}, p90 {duration(of.p90)}, p99 {duration(of.p99)}"


def _short_cost(cost: CostBody | None) -> str:
    return f"{cost.estimate:.2f} {clean(cost.currency)}" if cost else ""
