"""Messages about one job."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from chalicelib.jobs import failure, pending_reason
from chalicelib.jobs.durations import durations
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import Description, Job, JobId, JobStatus
from chalicelib.notices.notice import Notice
from chalicelib.notices.rules import RECOVERED, STUCK
from chalicelib.text_format import duration
from chalicelib.webex.markdown import escape
from chalicelib.webex.text.layout import MessageLayout, lines
from chalicelib.webex.text.phrases import (
    after_colon,
    exit_code,
    failure_in_short,
    headline,
    job_name,
    memory,
    queue_name,
    quoted_reason,
    requested,
    sign,
    status_verb,
    why,
)

_ENDED_BY_CALLER: Final = {
    Cause.CANCELLED: "it was cancelled",
    Cause.TERMINATED: "it was terminated",
    Cause.QUEUE_DELETED: "its job queue was deleted",
}


def status_changed(
    job: Job, description: Description, layout: MessageLayout, dependency: Job | None = None
) -> str:
    """Return the message that a job entered its status. `dependency` is the job whose failure made
    it fail, if it is recorded."""
    found = failure.failure_of(job.details)
    explanation, cause = escape(found.explanation), why(job)
    if found.cause is Cause.DEPENDENCY_FAILED:
        explanation = lines(explanation, _dependency(description, dependency, layout))
    if dependency:
        cause = f"dependency {job_name(dependency)} failed: {failure_in_short(dependency)}"
    return layout.job_message(
        f"{headline(job)} in {queue_name(job)}{after_colon(cause)}",
        explanation if job.status == JobStatus.FAILED else "",
        _facts(job, description),
        job,
    )


def _dependency(description: Description, dependency: Job | None, layout: MessageLayout) -> str:
    """Return the job that failed first, or else the jobs that the job depends on, with links."""
    if dependency:
        name = job_name(dependency)
        linked = layout.job_link(dependency.job_id, name) or name
        return f"The first job to fail was {linked}: {failure_in_short(dependency)}"
    job_ids = [each.job_id for each in description.depends_on if each.job_id]
    links = [layout.job_link(each, escape(each)) or escape(each) for each in job_ids]
    return f"It depends on {', '.join(links)}" if links else ""


def stuck(job: Job, description: Description, notice: Notice, layout: MessageLayout) -> str:
    """Return the message that a job has been in its status for too long."""
    reason = job.details.status_reason
    pending = pending_reason.explain(job.status, reason, is_service=job.is_service)
    waited = duration((notice.at - job.since) / 1000)
    return layout.job_message(
        f"{sign(STUCK)} {_stuck_subject(job, notice)} been {escape(job.status)} in "
        f"{queue_name(job)} for {waited}{after_colon(pending.cause)}",
        f"{_usual(notice)}{pending.explanation}{quoted_reason(reason)}",
        requested(description),
        job,
    )


def _stuck_subject(job: Job, notice: Notice) -> str:
    """Return, for example, "**align** has" or "Child 3 and 11 other children of **align** have"."""
    if job.is_root:
        return f"{job_name(job)} has"
    child = f"Child {JobId.parse(job.job_id).index}"
    if notice.children is None:
        return f"{child} and others of {job_name(job)} have"
    others = notice.children - 1
    if others <= 0:
        return f"{child} of {job_name(job)} has"
    noun = "child" if others == 1 else "children"
    return f"{child} and {others:,} other {noun} of {job_name(job)} have"


def _usual(notice: Notice) -> str:
    if notice.usual_ms is None:
        return ""
    return f"Nine of ten jobs like it run for at most {duration(notice.usual_ms / 1000)}. "


def recovered(job: Job, description: Description, notice: Notice, layout: MessageLayout) -> str:
    """Return the message that a stuck job entered another status, or that an array has no stuck
    child any longer."""
    if job.details.array and not job.is_terminal:
        where = f" in {escape(notice.status)}" if notice.status else ""
        head = f"{_no_longer_stuck(job)} none of its child jobs is stuck{where}"
        return layout.job_message(head, "", "", job, when=f"As of {layout.time(notice.at)}")
    return layout.job_message(
        _recovery(job), _reported_wait(job, notice), _facts(job, description), job
    )


def _reported_wait(job: Job, notice: Notice) -> str:
    """Return how long the job was in the status in which it was reported as stuck. Of an array, a
    child was, and its own history does not contain that."""
    if job.details.array and notice.status:
        return f"It was reported as stuck in {escape(notice.status)}."
    reported = notice.status, notice.generation
    waits = (
        after.at - before.at
        for before, after in pairwise(job.history)
        if before.transition_id == reported
    )
    waited = next(waits, 0)
    if not notice.status or waited <= 0:
        return ""
    return f"It was {escape(notice.status)} for {duration(waited / 1000)}."


def _recovery(job: Job) -> str:
    if job.status == JobStatus.FAILED:
        ended = _ENDED_BY_CALLER.get(failure.failure_of(job.details).cause)
        if ended:
            return f"{_no_longer_stuck(job)} {ended}"
        return f"{headline(job)} in {queue_name(job)} after being stuck: {why(job)}"
    reason = f" ({why(job)})" if why(job) else ""
    return f"{_no_longer_stuck(job)} it {status_verb(job.status)}{reason}"


def _no_longer_stuck(job: Job) -> str:
    return f"{sign(RECOVERED)} {job_name(job)} is no longer stuck in {queue_name(job)}:"


def _facts(job: Job, description: Description) -> str:
    """Return, for example, "Attempt 2 of 3 · exit code 1 · waited 4 min · ran 1 h 12 min"."""
    facts = [_attempt(job, description), *_failure_facts(job, description), *_times(job)]
    return " · ".join(fact for fact in facts if fact)


def _attempt(job: Job, description: Description) -> str:
    attempt, allowed = job.history[-1].attempt, description.retry_attempts or 0
    if attempt == 1 and allowed <= 1:
        return ""
    if attempt is None:
        started = job.details.attempts or job.details.started_at
        return "" if started or job.status != JobStatus.FAILED else "Never started"
    return f"Attempt {attempt} of {allowed}" if allowed >= attempt else f"Attempt {attempt}"


def _failure_facts(job: Job, description: Description) -> Iterator[str]:
    """Yield what the first line omits: the exit code, and the limit that the job exceeded."""
    if job.status != JobStatus.FAILED:
        return
    cause, code = failure.failure_of(job.details).cause, exit_code(job)
    if code is not None and cause not in (Cause.EXIT_CODE, Cause.KILLED):
        yield f"exit code {code}"
    if cause in (Cause.OUT_OF_MEMORY, Cause.KILLED) and description.memory:
        yield f"memory limit {memory(description.memory)}"
    if cause is Cause.TIMEOUT and description.timeout_seconds:
        yield f"timeout {duration(description.timeout_seconds)}"


def _times(job: Job) -> Iterator[str]:
    if not job.is_terminal:
        return
    times = durations(job, job.since)
    waited = times.queued_seconds if times.queued_seconds is not None else times.total_seconds
    if waited is not None:
        yield f"waited {duration(waited)}"
    if times.running_seconds is not None:
        yield f"ran {duration(times.running_seconds)}"
