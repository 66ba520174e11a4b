"""How long a job waited, started and ran.

Batch's own createdAt, startedAt and stoppedAt come first: they have milliseconds, and an event's
time is cut to the second and may even lie before them. No duration is negative. Pure.
"""

from msgspec import Struct

from chalicelib.jobs.job import Job, JobStatus


class Durations(Struct, frozen=True, rename="camel"):
    """Seconds; None where nothing tells. Of what goes on, up to now; of a lost job, up to when it
    was heard of last."""

    queued_seconds: float | None
    """Created to the first start."""
    starting_seconds: float | None
    """The last STARTING to its RUNNING."""
    running_seconds: float | None
    """All attempts together."""
    total_seconds: float | None
    """Created to stopped."""


def durations(job: Job, now: int) -> Durations:
    """`now` in epoch milliseconds."""
    ran = [span for span in attempt_spans(job, now) if span is not None]
    return Durations(
        queued_seconds=_between(job.details.created_at, _first_start(job)),
        starting_seconds=_starting(job),
        running_seconds=sum(ran) / 1000 if ran else None,
        total_seconds=_between(job.details.created_at, _end(job, now)),
    )


def attempt_spans(job: Job, now: int) -> list[int | None]:
    """Milliseconds that each attempt ran, the first one first; None where nothing tells."""
    details, end = job.details, _end(job, now)
    spans = [_span(a.started_at, a.stopped_at or end) for a in details.attempts]
    open_attempt = bool(details.attempts) and details.attempts[-1].stopped_at is None
    if not spans or (job.status == JobStatus.RUNNING and not open_attempt):
        spans.append(_span(details.started_at, end))
    return spans


def _end(job: Job, now: int) -> int:
    return (job.details.stopped_at or job.since) if job.is_over else now


def _first_start(job: Job) -> int | None:
    starts = [attempt.started_at for attempt in job.details.attempts]
    known = [start for start in (*starts, job.details.started_at) if start is not None]
    return min(known or _entered(job, JobStatus.RUNNING), default=None)


def _starting(job: Job) -> float | None:
    starting = [t for t in job.history if t.status == JobStatus.STARTING]
    if not starting:
        return None
    last = starting[-1]
    return _between(last.at, _start_of(job, last.generation))


def _start_of(job: Job, generation: int) -> int | None:
    """When the attempt after `generation` finished ones started to run."""
    details = job.details
    if 0 <= (place := generation - details.unlisted_attempts) < len(details.attempts):
        return details.attempts[place].started_at
    if details.generation == generation and details.started_at is not None:
        return details.started_at if job.status == JobStatus.RUNNING else None
    return next(iter(_entered(job, JobStatus.RUNNING, generation)), None)


def _entered(job: Job, status: str, generation: int | None = None) -> list[int]:
    return [
        transition.at
        for transition in job.history
        if transition.status == status and generation in (None, transition.generation)
    ]


def _between(start: int | None, end: int | None) -> float | None:
    span = _span(start, end)
    return None if span is None else span / 1000


def _span(start: int | None, end: int | None) -> int | None:
    return None if start is None or end is None else max(0, end - start)
