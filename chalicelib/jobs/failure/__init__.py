"""Explains why a job or an attempt failed, in one cause and plain words.

AWS Batch reports reasons in three places: the job's `statusReason`, each attempt's `statusReason`
and each container's `reason` and `exitCode`. The first is most often "Essential container in task
exited", which explains nothing. This package combines them. In order of precedence:

1. The flags `isTerminated` and `isCancelled`, whatever the texts contain.
2. A text of AWS itself (`aws_text`), about the job, then about its last attempt.
3. The exit code.
4. A guess, labelled as one. CancelJob and TerminateJob store their caller's `reason` as
   `statusReason`, so any other text is most likely from a caller. It is quoted and not interpreted.

This package is pure: it must not know events, records, AWS clients, the clock or the environment.
It quotes reasons, which must have been redacted before.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from chalicelib.jobs.failure.aws_text import (
    Statement,
    is_end_of_training,
    is_error_code,
    is_of_aws,
    stated,
    stated_of_container,
)
from chalicelib.jobs.failure.cause import EXPLANATIONS, GUESSES, QUOTED, Cause
from chalicelib.jobs.failure.exit_code import (
    STOPPED,
    cause_of_exit_code,
    exit_code_of_training,
    explain_exit_code,
)

__all__ = ["Cause", "FailedJob", "Failure", "attempt_cause", "container_cause", "failure_of"]


class Failure(msgspec.Struct, frozen=True, rename="camel"):
    """`container` is the name of the container that failed, if the job has several. `exit_code` is
    of that container, or of the only one."""

    cause: Cause
    explanation: str
    container: str | None = None
    exit_code: int | None = None


class AttemptEnd(Protocol):
    """The end of an attempt. `stopped_at` is None while it runs."""

    @property
    def exit_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def status_reason(self) -> str | None: ...
    @property
    def stopped_at(self) -> int | None: ...
    @property
    def container(self) -> str | None:
        """The name of the container that determined the result, if there are several."""

    @property
    def is_init(self) -> bool:
        """Whether that container had to succeed before the others of a pod started."""


class FailedJob(Protocol):
    """A job that is FAILED.

    `exit_code` and `reason` are those of the job's own container. They are used if the last attempt
    is not listed or does not have its own.
    """

    @property
    def is_cancelled(self) -> int: ...
    @property
    def is_terminated(self) -> int: ...
    @property
    def status_reason(self) -> str | None: ...
    @property
    def attempts(self) -> Sequence[AttemptEnd]: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...


def failure_of(job: FailedJob) -> Failure:
    """Return why a job that is FAILED failed."""
    last = job.attempts[-1] if job.attempts else None
    attempt_reason = last.status_reason if last else None
    reason = (last.reason if last else None) or job.reason
    exit_code = job.exit_code if last is None or last.exit_code is None else last.exit_code
    exit_code = exit_code_of_training(exit_code, attempt_reason or job.status_reason)
    has_run = last is not None or exit_code is not None
    container = last.container if last else None

    def failure(cause: Cause, explanation: str, *quotable: str | None) -> Failure:
        return Failure(cause, explanation + _quoted(cause, quotable), container, exit_code)

    if cause := _flagged(job):
        explanation = EXPLANATIONS[cause] + _beside(exit_code)
        return failure(cause, explanation, job.status_reason)
    kind = "Init container" if last and last.is_init else "Container"
    failed = f"{kind} {container} failed. " if container else ""
    of_attempt = _applying(exit_code, stated_of_container(reason), stated(attempt_reason))
    of_job = _applying(exit_code, stated(job.status_reason))
    if of_job and not (of_attempt and _is_general(job.status_reason)):
        return failure(*of_job, job.status_reason)
    if cause := _requested_end(job, last, has_run=has_run):
        explanation = GUESSES[cause] + _beside(exit_code)
        return failure(cause, explanation, job.status_reason)
    if of_attempt:
        quoted = reason if stated_of_container(reason) else attempt_reason
        return failure(of_attempt.cause, failed + of_attempt.explanation, quoted)
    texts = (reason, attempt_reason, job.status_reason)
    if not has_run and is_error_code(job.status_reason or ""):
        return failure(Cause.CANNOT_START, _ERROR_CODE_GUESS, job.status_reason)
    return failure(cause_of_exit_code(exit_code), failed + explain_exit_code(exit_code), *texts)


def attempt_cause(attempt: AttemptEnd, job: FailedJob | None = None) -> Cause | None:
    """Return why an attempt failed; None if it succeeded or is still running.

    `job` is given for the last attempt of a FAILED job: a flag of the job is about it if both have
    the same reason. An attempt that exits with 0 may have a cause too: ECS reports a container that
    lost one of its processes to the out-of-memory killer and then exited normally.
    """
    if attempt.stopped_at is None:
        return None
    if job and job.is_terminated and attempt.status_reason in (None, job.status_reason):
        return Cause.TERMINATED
    exit_code = exit_code_of_training(attempt.exit_code, attempt.status_reason)
    texts = stated_of_container(attempt.reason), stated(attempt.status_reason)
    if statement := _applying(exit_code, *texts):
        return statement.cause
    if _is_from_caller(attempt.status_reason) and _was_stopped(attempt):
        return Cause.TERMINATED
    if exit_code == 0 or (attempt.status_reason or "").endswith(_COMPLETED):
        return None
    return cause_of_exit_code(exit_code)


def container_cause(exit_code: int | None, reason: str | None, *, is_first: bool) -> Cause | None:
    """Return why one of several containers failed. A container that was stopped because the first
    one had ended has no cause of its own."""
    if statement := _applying(exit_code, stated_of_container(reason)):
        return statement.cause
    if exit_code in (None, 0) or (exit_code in STOPPED and not is_first):
        return None
    return cause_of_exit_code(exit_code)


_MAX_QUOTED_CHARACTERS: Final = 1_024
"""A reason is quoted in full: a record contains no more of it."""

# Texts without more information than the exit code; the last two are from Kubernetes.
_UNINFORMATIVE: Final = frozenset({"essential container in task exited", "error", "completed"})
_NOT_STARTED: Final = "task failed to start"

_COMPLETED: Final = "Training job completed"

_ERROR_CODE_GUESS: Final = (
    "Most likely AWS could not start the job: its reason begins with an error code."
)


def _applying(exit_code: int | None, *statements: Statement | None) -> Statement | None:
    """Return the first statement that takes precedence over the exit code."""
    return next((each for each in statements if each and each.applies(exit_code)), None)


def _flagged(job: FailedJob) -> Cause | None:
    """Return what AWS Batch's own flags state."""
    if job.is_terminated:
        return Cause.TERMINATED
    return Cause.CANCELLED if job.is_cancelled else None


def _requested_end(job: FailedJob, last: AttemptEnd | None, *, has_run: bool) -> Cause | None:
    """Return CANCELLED or TERMINATED if the job's reason is from a caller of CancelJob or
    TerminateJob.

    TerminateJob cancels a job that has not reached STARTING, and one that waits for its next
    attempt: then the last attempt has a reason of AWS and an end of its own.
    """
    if not _is_from_caller(job.status_reason):
        return None
    if not has_run:
        return None if is_error_code(job.status_reason or "") else Cause.CANCELLED
    if last is None or last.status_reason == job.status_reason:
        return Cause.TERMINATED if last is None or _was_stopped(last) else None
    ended_by_itself = (
        stated(last.status_reason)
        or is_end_of_training(last.status_reason)
        or stated_of_container(last.reason)
        or last.exit_code not in STOPPED
    )
    if not ended_by_itself:
        return Cause.TERMINATED
    return None if last.status_reason is None else Cause.CANCELLED


def _was_stopped(attempt: AttemptEnd) -> bool:
    """Return whether an attempt with a caller's reason was terminated.

    Kubernetes sets a reason of each container ("Error"), and a reason of the pod that is neither
    AWS's nor a caller's, so that only the exit code of such an attempt counts.
    """
    return attempt.reason is None or attempt.exit_code in STOPPED


def _is_from_caller(status_reason: str | None) -> bool:
    return bool(status_reason and status_reason.strip() and not is_of_aws(status_reason))


def _is_general(status_reason: str | None) -> bool:
    """Return whether the container's reason states more than this reason of the job."""
    return _normalized(status_reason) in {*_UNINFORMATIVE, _NOT_STARTED}


def _normalized(text: str | None) -> str:
    return (text or "").strip().rstrip(".").lower()


def _beside(exit_code: int | None) -> str:
    return "" if exit_code is None else f" Its container ended with exit code {exit_code}."


def _quoted(cause: Cause, texts: Sequence[str | None]) -> str:
    """Return the first text that adds something, in quotation marks."""
    if cause not in QUOTED | {Cause.EXIT_CODE, Cause.KILLED}:
        return ""
    informative = (text for text in texts if text and _normalized(text) not in _UNINFORMATIVE)
    quoted = " ".join((next(informative, None) or "")[: 2 * _MAX_QUOTED_CHARACTERS].split())
    if not quoted:
        return ""
    if len(quoted) > _MAX_QUOTED_CHARACTERS:
        quoted = quoted[: _MAX_QUOTED_CHARACTERS - 1] + "…"
    return f' Reason: "{quoted}"'
