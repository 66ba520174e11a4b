"""Answers as people read them on a terminal, and as spreadsheets do; JSON for everybody else.

Names and reasons are other people's words: what a terminal or a spreadsheet would obey is taken
out. Knows the bodies of answers; knows nothing of HTTP but the names of media types.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from textwrap import wrap
from typing import Any

import msgspec

from chalicelib.api.representation import (
    Amounts,
    ArrayBody,
    AttemptBody,
    CostBody,
    JobBody,
    JobPage,
    JobSummary,
    LogsBody,
    Percentiles,
    PreemptionBody,
    QueueBody,
    QueueList,
    QueueSummary,
    UsageBody,
)
from chalicelib.jobs.durations import Durations
from chalicelib.jobs.job import ACTIVE, TERMINAL
from chalicelib.text_format import duration

JSON, TEXT, CSV = "application/json", "text/plain", "text/csv"

_WIDTH = 98
_WIDEST_NAME, _WIDEST_QUEUE = 24, 16


def offered(body: type | None) -> tuple[str, ...]:
    """The media types that an answer of this type comes in; the first is the default."""
    return (JSON, *_FORMATS.get(body, ()))


def chosen(accept: str, body: object) -> str:
    """What an Accept header likes best of what is offered; JSON if it likes nothing of it."""
    kinds = offered(type(body))
    for wanted in _by_preference(accept):
        for kind in kinds:
            if wanted in (kind, "*/*", f"{kind.partition('/')[0]}/*"):
                return kind
    return JSON


def written(body: object, kind: str) -> str:
    if kind == JSON:
        return msgspec.json.encode(body).decode() + "\n"
    return _FORMATS[type(body)][kind](body)


def _by_preference(accept: str) -> list[str]:
    def quality(media_range: str) -> float:
        _, _, weight = media_range.replace(" ", "").partition(";q=")
        try:
            return float(weight.partition(";")[0] or 1)
        except ValueError:
            return 0

    ranges = [one for one in accept.lower().split(",") if quality(one) > 0]
    return [one.partition(";")[0].strip() for one in sorted(ranges, key=quality, reverse=True)]


# Lists


def _table(page: JobPage) -> str:
    heads = ("STATUS", "SINCE (UTC)", "NAME", "QUEUE", "JOB ID", "CHILDREN", "WHY")
    lines = _aligned(heads, map(_row, page.jobs))
    if not page.jobs:
        lines = ["No jobs on this page." if page.next_token else "No jobs."]
    if page.next_token:
        lines += ["", f"More with nextToken={page.next_token}"]
    return _text(lines)


def _aligned(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def _row(job: JobSummary) -> tuple[str, ...]:
    return (
        _cut(_clean(job.status), _WIDEST_QUEUE),
        _moment(job.since)[:16],
        _cut(_clean(job.job_name), _WIDEST_NAME),
        _cut(_clean(job.job_queue), _WIDEST_QUEUE),
        _clean(job.job_id),
        _ended_of_all(job.array),
        job.failure.cause if job.failure else "",
    )


def _ended_of_all(array: ArrayBody | None) -> str:
    """How many of an array's children have ended."""
    if array is None or array.size is None:
        return ""
    counts = array.status_summary or {}
    return f"{sum(counts.get(status, 0) for status in TERMINAL)}/{array.size}"


_COLUMNS: dict[str, Callable[[JobSummary], str | float | None]] = {
    "jobId": lambda job: job.job_id,
    "jobName": lambda job: job.job_name,
    "jobQueue": lambda job: job.job_queue,
    "status": lambda job: job.status,
    "since": lambda job: job.since,
    "createdAt": lambda job: job.created_at,
    "startedAt": lambda job: job.started_at,
    "stoppedAt": lambda job: job.stopped_at,
    "queuedSeconds": lambda job: job.durations.queued_seconds,
    "startingSeconds": lambda job: job.durations.starting_seconds,
    "runningSeconds": lambda job: job.durations.running_seconds,
    "totalSeconds": lambda job: job.durations.total_seconds,
    "vcpuHours": lambda job: job.use.vcpu_hours if job.use else None,
    "gbHours": lambda job: job.use.gb_hours if job.use else None,
    "gpuHours": lambda job: job.use.gpu_hours if job.use else None,
    "costEstimate": lambda job: job.cost.estimate if job.cost else None,
    "costWasted": lambda job: job.cost.wasted if job.cost else None,
    "currency": lambda job: job.cost.currency if job.cost else None,
    "cause": lambda job: job.failure.cause if job.failure else None,
    "statusReason": lambda job: job.status_reason,
    "jobDefinition": lambda job: job.job_definition,
    "arraySize": lambda job: job.array.size if job.array else None,
    "statusSummary": lambda job: _counts(job.array) if job.array else None,
    "statusSummaryAsOf": lambda job: job.array.status_summary_as_of if job.array else None,
}


def _csv(page: JobPage) -> str:
    return _spreadsheet(_COLUMNS, page.jobs)


def _spreadsheet(
    columns: Mapping[str, Callable[[Any], str | float | None]], rows: Iterable[object]
) -> str:
    """RFC 4180."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(column(row)) for column in columns.values()] for row in rows)
    return text.getvalue()


def _cell(value: str | float | None) -> str | float | None:
    """A spreadsheet takes text that begins so for a formula, unless a quote comes before it."""
    if isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@", "|", "%")):
        return f"'{value}"
    return value


# Queues

_DAY_COLUMNS: dict[str, Callable[[Any], str | float | None]] = {
    "succeeded": lambda of: of.succeeded,
    "failed": lambda of: of.failed,
    "vcpuHours": lambda of: of.use.vcpu_hours,
    "gbHours": lambda of: of.use.gb_hours,
    "gpuHours": lambda of: of.use.gpu_hours,
    "costEstimate": lambda of: of.cost.estimate if of.cost else None,
    "costWasted": lambda of: of.cost.wasted if of.cost else None,
    "currency": lambda of: of.cost.currency if of.cost else None,
}


def _queues_table(page: QueueList) -> str:
    heads = ("QUEUE", "WAITING", "RUNNING", "SUCCEEDED", "FAILED", "WAIT", "RUN", "COST")
    lines = _aligned(heads, map(_queue_row, page.queues)) if page.queues else ["No queues."]
    if page.queues:
        lines += ["", "Ends, median times and costs (an estimate) are of the last 24 hours."]
    return _text(lines)


def _queue_row(queue: QueueSummary) -> tuple[str, ...]:
    day, running = queue.last_day, queue.counts["RUNNING"]
    more = "+" if queue.counts_are_at_least else ""
    return (
        _cut(_clean(queue.job_queue), _WIDEST_NAME),
        f"{sum(queue.counts.values()) - running}{more}",
        f"{running}{more}",
        str(day.succeeded),
        str(day.failed),
        duration(day.wait_seconds.p50) if day.wait_seconds else "",
        duration(day.run_seconds.p50) if day.run_seconds else "",
        _brief_cost(day.cost),
    )


def _queues_csv(page: QueueList) -> str:
    day_of = {name: _of_last_day(column) for name, column in _DAY_COLUMNS.items()}
    counts = {status.value: _count_of(status) for status in ACTIVE}
    columns: dict[str, Callable[[Any], str | float | None]] = {
        "jobQueue": lambda queue: queue.job_queue,
        "asOf": lambda queue: queue.as_of,
        **counts,
        **day_of,
    }
    return _spreadsheet(columns, page.queues)


def _of_last_day(
    column: Callable[[Any], str | float | None],
) -> Callable[[Any], str | float | None]:
    return lambda queue: column(queue.last_day)


def _count_of(status: str) -> Callable[[Any], int]:
    return lambda queue: int(queue.counts[status])


def _queue_page(queue: QueueBody) -> str:
    day = queue.last_day
    more = "at least " if queue.counts_are_at_least else ""
    counts = ", ".join(f"{count} {status}" for status, count in queue.counts.items() if count)
    causes = ", ".join(f"{count} {cause}" for cause, count in day.causes.items())
    failed = f"{day.failed} failed" + (f" ({causes})" if causes else "")
    blocked = queue.blocked and (queue.blocked.explanation or queue.blocked.reason)
    rows = [
        (one.day, str(one.succeeded), str(one.failed), _amounts(one.use), _brief_cost(one.cost))
        for one in queue.days
        if one.succeeded or one.failed
    ]
    heads = ("DAY (UTC)", "SUCCEEDED", "FAILED", "USED", "COST (AN ESTIMATE)")
    facts = {
        "as of": queue.as_of and _moment(queue.as_of) + " UTC",
        "in it": counts and more + counts,
        "blocked": blocked,
        "last 24 h": f"{day.succeeded} succeeded, {failed}",
        "waited": _percentiles(day.wait_seconds),
        "ran": _percentiles(day.run_seconds),
        "used": _used(day.use),
        "cost": _cost(day.cost) if day.cost else None,
    }
    days = _aligned(heads, rows) if rows else []
    return _text([_clean(queue.job_queue), "", *_facts(facts), *_section("Days", days)])


def _percentiles(of: Percentiles | None) -> str | None:
    if of is None:
        return None
    return f"half at most {duration(of.p50)}, 90 % {duration(of.p90)}, 99 % {duration(of.p99)}"


def _brief_cost(cost: CostBody | None) -> str:
    return f"{cost.estimate:.2f} {_clean(cost.currency)}" if cost else ""


# One job


def _page(job: JobBody) -> str:
    return _text(
        [
            f"{_clean(job.job_name)}  {_clean(job.status)}",
            "",
            *_facts(
                {
                    "job": job.job_id,
                    "queue": job.job_queue,
                    "definition": job.job_definition,
                    "service": job.service_job_type,
                    "since": _moment(job.since) + " UTC",
                    "why": job.failure and f"{job.failure.cause}: {job.failure.explanation}",
                    "reason": job.status_reason,
                    "took": _took(job.durations),
                    "used": _used(job.use) if job.use else None,
                    "cost": _cost(job.cost) if job.cost else None,
                    "children": _children(job),
                }
            ),
            *_section("History (UTC)", _history(job)),
            *_section("Attempts", map(_attempt, job.attempts)),
            *_section("Preemptions (UTC)", map(_preemption, job.preemptions)),
            *_section("Container", _facts(_container(job))),
            *_section("Parameters", _facts(job.parameters)),
            *_section("Tags", _facts(job.tags)),
            *_section("Links", _facts({"console": job.links.console, "log": job.links.logs}, 0)),
        ]
    )


def _facts(facts: dict[str, Any], width: int = _WIDTH) -> list[str]:
    """Aligned, without those that are not known; a width of 0 leaves lines as long as they are."""
    known = {_clean(name): _clean(str(fact)) for name, fact in facts.items() if fact}
    margin = min(max(map(len, known), default=0), _WIDEST_NAME) + 2
    lines: list[str] = []
    for name, fact in known.items():
        first, *others = wrap(fact, width - margin) if width and fact.strip() else [fact]
        lines.append(f"{name:<{margin}}{first}")
        lines += [f"{'':<{margin}}{other}" for other in others]
    return lines


def _section(title: str, lines: Iterable[str]) -> list[str]:
    found = [f"  {line}" for line in lines]
    return ["", title, *found] if found else []


def _took(took: Durations) -> str:
    spans = {
        "queued": took.queued_seconds,
        "starting": took.starting_seconds,
        "running": took.running_seconds,
        "in all": took.total_seconds,
    }
    return ", ".join(f"{name} {duration(s)}" for name, s in spans.items() if s is not None)


def _used(use: UsageBody) -> str | None:
    """None if nothing ran."""
    told = _amounts(use)
    wasted = _amounts(use.wasted)
    return f"{told}; wasted {wasted}" if wasted else told or None


def _amounts(amounts: Amounts) -> str:
    units = {
        "vCPU-hours": amounts.vcpu_hours,
        "GB-hours": amounts.gb_hours,
        "GPU-hours": amounts.gpu_hours,
    }
    return ", ".join(f"{amount:.4g} {unit}" for unit, amount in units.items() if amount)


def _cost(cost: CostBody) -> str:
    return (
        f"about {cost.estimate:.4g} {cost.currency} (an estimate), {cost.wasted:.4g} of it wasted"
    )


def _children(job: JobBody) -> str | None:
    if job.array is None or job.array.size is None:
        return None
    counts, as_of = _counts(job.array), job.array.status_summary_as_of
    if counts is None or as_of is None:
        return str(job.array.size)
    return f"{job.array.size}: {counts} as of {_moment(as_of)} UTC"


def _counts(array: ArrayBody) -> str | None:
    told = array.status_summary or {}
    return ", ".join(f"{n} {status}" for status, n in told.items() if n) or None


def _history(job: JobBody) -> Iterator[str]:
    for seen in job.history:
        attempt = f"attempt {seen.attempt}" if seen.attempt else ""
        repaired = "found by a repair" if seen.source == "repair" else ""
        details = ", ".join(filter(None, (attempt, repaired)))
        yield f"{_moment(seen.at)}  {_clean(seen.status):<10}{details}".rstrip()


def _attempt(attempt: AttemptBody) -> str:
    exit_code = None if attempt.exit_code is None else f"exit code {attempt.exit_code}"
    started, stopped = (at and _moment(at) for at in (attempt.started_at, attempt.stopped_at))
    parts = [
        f"{attempt.attempt}  {started or 'not started'} to {stopped or 'now'}",
        exit_code,
        attempt.cause,
        attempt.service_resource_id and _clean(attempt.service_resource_id.rpartition("/")[2]),
    ]
    return "  ".join(filter(None, parts))


def _preemption(told: PreemptionBody) -> str:
    return f"{_moment(told.at)}  {told.step:<10}{_clean(told.reason or '')}".rstrip()


def _container(job: JobBody) -> dict[str, Any]:
    container = job.container
    return {
        "image": container.image,
        "command": " ".join(container.command),
        "vCPUs": container.vcpus and f"{container.vcpus:g}",
        "memory": container.memory and f"{container.memory} MiB",
        "GPUs": container.gpus,
        "environment": ", ".join(variable.name for variable in container.environment),
    }


def _log(logs: LogsBody) -> str:
    return _text(_clean(line.message) for line in logs.lines)


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _clean(text: str) -> str:
    """Without what moves a terminal's cursor, changes its colours, or worse."""
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _moment(rfc3339: str) -> str:
    return rfc3339[:19].replace("T", " ")


_FORMATS: dict[type | None, dict[str, Callable[[Any], str]]] = {
    JobPage: {TEXT: _table, CSV: _csv},
    JobBody: {TEXT: _page},
    LogsBody: {TEXT: _log},
    QueueList: {TEXT: _queues_table, CSV: _queues_csv},
    QueueBody: {TEXT: _queue_page},
}
