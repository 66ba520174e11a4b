"""A service job is preempted: the steps that events tell, and their place in its history.

These events name the job by its ARN and tell neither its queue nor its name, and may come before
any other event of it. So they are no observations of a job: each is kept beside it, as it is, and
joined when someone asks (docs/adr/0009-preemptions-beside-the-job.md).

Pure: knows nothing of envelopes, tables, the clock or the environment. All times are milliseconds
since the epoch.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from chalicelib.errors import MalformedEvent
from chalicelib.jobs.job import Job, JobId, Source, Transition
from chalicelib.jobs.job_detail import NAME, TEXT, PreemptionSummary
from chalicelib.redaction import Redaction


class Step(StrEnum):
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"


class PreemptionDetail(msgspec.Struct, rename="camel"):
    preempted_job_arn: str
    status: str
    status_reason: str | None = None
    preemption_summary: PreemptionSummary | None = None


class Preemption(msgspec.Struct, frozen=True):
    """One step, as an event told it. `status` is the job's at that moment; `stopped_at` is the end
    of the attempt that was preempted, once that is known."""

    job_id: str
    step: Step
    at: int
    status: str
    reason: str | None = None
    stopped_at: int | None = None


def observe(detail: PreemptionDetail, step: Step, *, time: int, redaction: Redaction) -> Preemption:
    """Raises MalformedEvent if it does not say whose."""
    summary = detail.preemption_summary or PreemptionSummary()
    ended = [one for one in summary.recent if one.stopped_at is not None]
    last = max(ended, key=lambda one: one.stopped_at or 0, default=None)
    reason = detail.status_reason or (last.status_reason if last else None)
    return Preemption(
        job_id=_job_id(detail.preempted_job_arn),
        step=step,
        at=time,
        status=detail.status[:NAME],
        reason=redaction.text(reason)[:TEXT] if reason else None,
        stopped_at=last.stopped_at if last else None,
    )


def history(job: Job, preemptions: Iterable[Preemption]) -> tuple[Transition, ...]:
    """The job's, with the transitions that only the end of a preemption tells of.

    The record says how many attempts had finished when the preempted one had; of a preemption that
    it knows nothing of yet, the place is not known, and it would contradict the job's status.
    """
    return job.history_with(_transitions(job, preemptions))


def _transitions(job: Job, preemptions: Iterable[Preemption]) -> Iterator[Transition]:
    finished: dict[int | None, int] = {
        attempt.stopped_at: number
        for number, attempt in enumerate(job.details.attempts, job.details.unlisted_attempts + 1)
        if attempt.stopped_at is not None
    }
    for one in preemptions:
        generation = finished.get(one.stopped_at)
        if one.step is Step.COMPLETED and generation is not None:
            yield Transition(one.status, generation, one.at, Source.EVENT)


def _job_id(arn: str) -> str:
    """In AWS's samples it is not always the `jobId` of the job's other events; nothing else names
    the job."""
    job_id = arn.rpartition("/")[2]
    try:
        parsed = JobId.parse(job_id)
    except ValueError as error:
        raise MalformedEvent(f"preemptedJobArn ends in what {error}") from error
    if parsed.separator:
        raise MalformedEvent(
            "preemptedJobArn is a child's or a node's, and these are not preempted"
        )
    return job_id
