"""A list of jobs, a job and its log as text."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from chalicelib.api.formats.text import (
    MAX_STATUS,
    WIDTH,
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
from chalicelib.api.representation.job import (
    ArrayBody,
    AttemptBody,
    JobBody,
    JobPage,
    JobSummary,
    PreemptionBody,
)
from chalicelib.api.representation.log import LogBody
from chalicelib.jobs.durations import Durations
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import TERMINAL
from chalicelib.text_format import duration

_MIN_NAME: Final = 8


def format_page(page: JobPage) -> str:
    lines = _table(page.jobs)
    if not page.jobs:
        lines = ["No jobs on this page." if page.next_token else "No jobs."]
    if page.next_token:
        lines += ["", f"Next page: nextToken={page.next_token}"]
    return document(lines)


def _table(jobs: Sequence[JobSummary]) -> list[str]:
    """Return the table, which fits a terminal of 100 columns: names and queues get the width that
    the other columns leave. A single queue has no column."""
    columns = {
        "STATUS": [f"{cut(clean(job.status), MAX_STATUS)}{_ended(job.array)}" for job in jobs],
        "SINCE (UTC)": [moment(job.since)[5:16] for job in jobs],
        "CAUSE": [_cause(job) for job in jobs],
        "NAME": [clean(job.job_name) for job in jobs],
        "QUEUE": [clean(job.job_queue) for job in jobs],
        "JOB ID": [clean(job.job_id) for job in jobs],
    }
    if len(set(columns["QUEUE"])) == 1:
        del columns["QUEUE"]
    if not any(columns["CAUSE"]):
        del columns["CAUSE"]
    widths = {head: max(map(len, (head, *cells))) for head, cells in columns.items()}
    flexible = [head for head in ("NAME", "QUEUE") if head in columns]
    left = WIDTH - sum(width + 2 for head, width in widths.items() if head not in flexible)
    for head, part in zip(reversed(flexible), (1 / 3, 1)[-len(flexible) :], strict=True):
        width = max(_MIN_NAME, min(widths[head], int(left * part) - 2))
        columns[head] = [cut(cell, width) for cell in columns[head]]
        left -= max(map(len, (head, *columns[head]))) + 2
    return table(tuple(columns), zip(*columns.values(), strict=True))


def _cause(job: JobSummary) -> str:
    if job.failure is None:
        return ""
    if job.failure.cause is Cause.EXIT_CODE and job.failure.exit_code is not None:
        return f"EXIT {job.failure.exit_code}"
    return job.failure.cause


def _ended(array: ArrayBody | None) -> str:
    """Return how many children of an array have ended, as in " 2/3"."""
    if array is None or array.size is None:
        return ""
    counts = array.status_summary or {}
    return f" {sum(counts.get(status, 0) for status in TERMINAL)}/{array.size}"


def format_job(job: JobBody) -> str:
    return document(
        [
            f"{clean(job.job_name)}  {clean(job.status)}",
            "",
            *facts(
                {
                    "job": job.job_id,
                    "queue": job.job_queue,
                    "definition": job.job_definition,
                    "service": job.service_job_type,
                    "since": moment(job.since) + " UTC",
                    "cause": job.failure and f"{job.failure.cause}: {job.failure.explanation}",
                    "reason": job.status_reason,
                    "times": _times(job.durations),
                    "usage": usage(job.usage) if job.usage else None,
                    "cost": cost(job.cost) if job.cost else None,
                    "children": _children(job),
                }
            ),
            *section("History (UTC)", _history(job)),
            *section("Attempts", map(_attempt, job.attempts)),
            *section("Preemptions (UTC)", map(_preemption, job.preemptions)),
            *section("Container", facts(_container(job))),
            *section("Parameters", facts(job.parameters)),
            *section("Tags", facts(job.tags)),
            *section("Links", facts({"console": job.links.console, "log": job.links.logs}, 0)),
        ]
    )


def _times(durations: Durations) -> str:
    spans = {
        "pending": durations.pending_seconds,
        "queued": durations.queued_seconds,
        "starting": durations.starting_seconds,
        "running": durations.running_seconds,
        "total": durations.total_seconds,
    }
    return ", ".join(f"{name} {duration(s)}" for name, s in spans.items() if s is not None)


def _children(job: JobBody) -> str | None:
    if job.array is None or job.array.size is None:
        return None
    counts, as_of = status_counts(job.array), job.array.status_summary_as_of
    if counts is None or as_of is None:
        return str(job.array.size)
    return f"{job.array.size}: {counts} as of {moment(as_of)} UTC"


def status_counts(array: ArrayBody) -> str | None:
    """Return the children by status, as in "3 FAILED, 7 SUCCEEDED"."""
    counts = array.status_summary or {}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or None


def _history(job: JobBody) -> Iterator[str]:
    for entry in job.history:
        attempt = f"attempt {entry.attempt}" if entry.attempt else ""
        repair = "from the AWS Batch API" if entry.source == "repair" else ""
        details = ", ".join(filter(None, (attempt, repair)))
        yield f"{moment(entry.at)}  {clean(entry.status):<10}{details}".rstrip()


def _attempt(attempt: AttemptBody) -> str:
    exit_code = None if attempt.exit_code is None else f"exit code {attempt.exit_code}"
    started, stopped = (at and moment(at) for at in (attempt.started_at, attempt.stopped_at))
    parts = [
        f"{attempt.attempt}  {started or 'not started'} to {stopped or 'now'}",
        exit_code,
        attempt.cause,
        attempt.compute_environment,
        attempt.service_resource_id and clean(attempt.service_resource_id.rpartition("/")[2]),
    ]
    return "  ".join(filter(None, parts))


def _preemption(preemption: PreemptionBody) -> str:
    reason = clean(preemption.reason or "")
    return f"{moment(preemption.at)}  {preemption.step:<10}{reason}".rstrip()


def _container(job: JobBody) -> dict[str, object]:
    container = job.container
    return {
        "image": container.image,
        "command": " ".join(container.command),
        "vCPUs": container.vcpus and f"{container.vcpus:g}",
        "memory": container.memory and f"{container.memory} MiB",
        "GPUs": container.gpus,
        "environment": ", ".join(variable.name for variable in container.environment),
    }


def format_log(log: LogBody) -> str:
    return document(clean(text) for line in log.lines for text in _lines(line.message))


def _lines(message: str) -> list[str]:
    """Return the lines of a message. A progress bar separates its states by carriage returns."""
    return re.split(r"\r\n?|\n", message.strip("\r\n"))
