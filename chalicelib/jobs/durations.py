"""Computes how long a job waited, started and ran.

createdAt, startedAt and stoppedAt of AWS Batch take precedence over event times, which are
truncated to seconds and may even be earlier. No duration is negative. Pure.
"""

from typing import Final

from msgspec import Struct

from chalicelib.jobs.job import Job, JobStatus, Source, Transition


class Durations(Struct, frozen=True, rename="camel"):
    """Durations in seconds; None if unknown.

    What is still going on counts up to now, or for a lost job up to when it entered its status.
    """

    pending_seconds: float | None
    """Spent on dependencies. None for an array, which is PENDING while its children run."""
    queued_seconds: float | None
    """From the first RUNNABLE to the first start; from creation if that RUNNABLE is unknown."""
    starting_seconds: float | None
    """From the last STARTING to its RUNNING."""
    running_seconds: float | None
    """The sum over all attempts."""
    total_seconds: float | None
    """From creation to the end."""


_WAITS_FOR_DEPENDENCIES: Final = frozenset({JobStatus.SUBMITTED, JobStatus.PENDING})


def durations(job: Job, now: int) -> Durations:
    """Return the durations of a job; `now` is in epoch milliseconds."""
    known = [span for span in attempt_spans(job, now) if span is not None]
    return Durations(
        pending_seconds=_pending_seconds(job, now),
        queued_seconds=_seconds(_runnable_since(job), _first_start(job)),
        starting_seconds=_starting_seconds(job),
        running_seconds=sum(known) / 1000 if known else None,
        total_seconds=_seconds(job.details.created_at, _end(job, now)),
    )


def attempt_spans(job: Job, now: int) -> list[int | None]:
    """Return the milliseconds that each attempt ran, in order; None if unknown."""
    details, end = job.details, _end(job, now)
    spans = [_span(a.started_at, a.stopped_at or end) for a in details.attempts]
    is_open_listed = bool(details.attempts) and details.attempts[-1].stopped_at is None
    if not spans or (job.status == JobStatus.RUNNING and not is_open_listed):
        spans.append(_span(details.started_at, end))
    return spans


def _end(job: Job, now: int) -> int:
    return (job.details.stopped_at or job.since) if job.is_over else now


def _first_start(job: Job) -> int | None:
    starts = [attempt.started_at for attempt in job.details.attempts]
    known = [start for start in (*starts, job.details.started_at) if start is not None]
    return min(known or _entered_at(job, JobStatus.RUNNING), default=None)


def _pending_seconds(job: Job, now: int) -> float | None:
    if job.details.array and job.details.array.size is not None:
        return None
    events = _events_before_attempts(job)
    since = next((each.at for each in events if each.status == JobStatus.PENDING), None)
    after = (each.at for each in events if each.status not in _WAITS_FOR_DEPENDENCIES)
    is_over = job.status not in _WAITS_FOR_DEPENDENCIES
    return _seconds(since, next(after, None) if is_over else _end(job, now))


def _runnable_since(job: Job) -> int | None:
    events = _events_before_attempts(job)
    entered = (each.at for each in events if each.status == JobStatus.RUNNABLE)
    return next(entered, job.details.created_at)


def _events_before_attempts(job: Job) -> list[Transition]:
    """Return the transitions up to the end of the first attempt that events have dated. A repair
    dates a transition too late, by up to the time between two sweeps."""
    return [each for each in job.history if not each.generation and each.source is Source.EVENT]


def _starting_seconds(job: Job) -> float | None:
    starting = [each for each in job.history if each.status == JobStatus.STARTING]
    if not starting:
        return None
    last = starting[-1]
    return _seconds(last.at, _start_of_attempt(job, last.generation))


def _start_of_attempt(job: Job, generation: int) -> int | None:
    """Return when the attempt that follows `generation` finished ones started to run."""
    details = job.details
    if 0 <= (index := generation - details.unlisted_attempts) < len(details.attempts):
        return details.attempts[index].started_at
    if details.generation == generation and details.started_at is not None:
        return details.started_at if job.status == JobStatus.RUNNING else None
    return next(iter(_entered_at(job, JobStatus.RUNNING, generation)), None)


def _entered_at(job: Job, status: str, generation: int | None = None) -> list[int]:
    return [
        transition.at
        for transition in job.history
        if transition.status == status and generation in (None, transition.generation)
    ]


def _seconds(start: int | None, end: int | None) -> float | None:
    span = _span(start, end)
    return None if span is None else span / 1000


def _span(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else max(0, end - start)
