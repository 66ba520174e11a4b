"""Preemptions of service jobs: the steps that events report, and their place in a job's history.

These events name the job by its ARN and contain neither its queue nor its name, and they may arrive
before any other event of the job. They are therefore not observations: each is stored unchanged
beside the job, and joined to its history when that is read
(docs/adr/0009-preemptions-beside-the-job.md).

Pure: this module must not know envelopes, tables, the clock or the environment. All times are epoch
milliseconds.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from chalicelib.errors import MalformedEvent
from chalicelib.jobs.job import Job, JobId, Source, Transition
from chalicelib.jobs.job_detail.fields import MAX_NAME, redacted_text
from chalicelib.jobs.job_detail.shapes import PreemptionSummary
from chalicelib.redaction import Redaction


class Step(StrEnum):
    STARTED = "STARTED"
    COMPLETED = "COMPLETED"


class PreemptionDetail(msgspec.Struct, rename="camel"):
    """The detail of both kinds of events; only Completed has a summary."""

    preempted_job_arn: str
    status: str
    status_reason: str | None = None
    preemption_summary: PreemptionSummary | None = None


class Preemption(msgspec.Struct, frozen=True):
    """One step of a preemption.

    `status` is the status of the job at that time. `stopped_at` is when the preempted attempt
    ended; None before it is known.
    """

    job_id: str
    step: Step
    at: int
    status: str
    reason: str | None = None
    stopped_at: int | None = None


def observe(detail: PreemptionDetail, step: Step, *, time: int, redaction: Redaction) -> Preemption:
    """Return the preemption. Raise MalformedEvent if the ARN does not contain a job id."""
    summary = detail.preemption_summary or PreemptionSummary()
    ended = [attempt for attempt in summary.recent if attempt.stopped_at is not None]
    last = max(ended, key=lambda attempt: attempt.stopped_at or 0, default=None)
    reason = detail.status_reason or (last.status_reason if last else None)
    return Preemption(
        job_id=_job_id(detail.preempted_job_arn),
        step=step,
        at=time,
        status=detail.status[:MAX_NAME],
        reason=redacted_text(reason, redaction),
        stopped_at=last.stopped_at if last else None,
    )


def history(job: Job, preemptions: Iterable[Preemption]) -> tuple[Transition, ...]:
    """Return the job's history joined with the transitions of completed preemptions.

    The record contains how many attempts had finished when the preempted one had. A preemption that
    the record does not contain yet is left out: its generation is not known, and it would
    contradict the job's status.
    """
    return job.history_with(_transitions(job, preemptions))


def _transitions(job: Job, preemptions: Iterable[Preemption]) -> Iterator[Transition]:
    generations: dict[int | None, int] = {
        attempt.stopped_at: number
        for number, attempt in enumerate(job.details.attempts, job.details.unlisted_attempts + 1)
        if attempt.stopped_at is not None
    }
    for preemption in preemptions:
        generation = generations.get(preemption.stopped_at)
        if preemption.step is Step.COMPLETED and generation is not None:
            yield Transition(preemption.status, generation, preemption.at, Source.EVENT)


def _job_id(arn: str) -> str:
    """Return the job id at the end of an ARN. In AWS's samples it is not always the `jobId` of the
    job's other events, but nothing else in the event identifies the job."""
    job_id = arn.rpartition("/")[2]
    try:
        parsed = JobId.parse(job_id)
    except ValueError as error:
        raise MalformedEvent(f"the last part of preemptedJobArn {error}") from error
    if parsed.separator:
        raise MalformedEvent("preemptedJobArn is that of a child or node, which AWS never preempts")
    return job_id
