"""Explains why a job or an attempt failed, in one cause and plain words.

AWS Batch reports reasons in three places: the job's `statusReason`, each attempt's `statusReason`
and each container's `reason` and `exitCode`. The first is most often "Essential container in task
exited", which explains nothing. This module combines the three into one cause and an explanation
with the next step. In order of precedence:

1. A sentence of AWS itself about the job, then about its last attempt.
2. A `statusReason` that is not a sentence of AWS. CancelJob and TerminateJob store their caller's
   `reason` there verbatim, so a person or a program ended the job.
3. The exit code.

This module is pure: it must not know events, records, AWS clients, the clock or the environment. It
quotes reasons, which must have been redacted before.
"""

import re
import signal
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

import msgspec


class Cause(StrEnum):
    EXIT_CODE = "EXIT_CODE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    TIMEOUT = "TIMEOUT"
    SPOT_INTERRUPTION = "SPOT_INTERRUPTION"
    IMAGE_PULL = "IMAGE_PULL"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    CHILD_FAILED = "CHILD_FAILED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    QUEUE_DELETED = "QUEUE_DELETED"
    TIME_LIMIT = "TIME_LIMIT"
    PREEMPTED = "PREEMPTED"
    UNKNOWN = "UNKNOWN"


class Failure(msgspec.Struct, frozen=True):
    cause: Cause
    explanation: str


class AttemptEnd(Protocol):
    """What is known of the end of an attempt. `stopped_at` is None while it runs."""

    @property
    def exit_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def status_reason(self) -> str | None: ...
    @property
    def stopped_at(self) -> int | None: ...


class FailedJob(Protocol):
    """What `explain` needs to know of a job that is FAILED."""

    @property
    def status_reason(self) -> str | None: ...
    @property
    def attempts(self) -> Sequence[AttemptEnd]: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...


def failure_of(job: FailedJob) -> Failure:
    return explain(job.status_reason, job.attempts, exit_code=job.exit_code, reason=job.reason)


def explain(
    status_reason: str | None,
    attempts: Sequence[AttemptEnd],
    *,
    exit_code: int | None = None,
    reason: str | None = None,
) -> Failure:
    """Return why a job that is FAILED failed.

    `exit_code` and `reason` are those of the job's own container. They are used if the last attempt
    is not listed or does not have its own.
    """
    last = attempts[-1] if attempts else None
    attempt_reason = last.status_reason if last else None
    reason = (last.reason if last else None) or reason
    if last and last.exit_code is not None:
        exit_code = last.exit_code
    exit_code = _exit_code(exit_code, attempt_reason or status_reason)

    if cause := _stated_cause(status_reason):
        return _failure(cause, status_reason)
    of_attempt = _stated_cause(attempt_reason) or _stated_cause(reason)
    if cause := _requested_end(
        status_reason, attempt_reason, of_attempt, exit_code, ran=bool(last)
    ):
        return _failure(cause, status_reason)
    if of_attempt:
        return _failure(of_attempt, reason if _stated_cause(reason) else attempt_reason)
    cause, explanation = _judged_by_exit_code(exit_code)
    texts = (reason, attempt_reason, status_reason)
    return Failure(cause, explanation + _quoted(next(filter(_is_informative, texts), None)))


def attempt_cause(attempt: AttemptEnd) -> Cause | None:
    """Return why an attempt failed; None if it succeeded or is still running.

    An attempt that exits with 0 may have a cause too: ECS reports a container that lost one of its
    processes to the out-of-memory killer and then exited normally.
    """
    if attempt.stopped_at is None:
        return None
    if cause := _stated_cause(attempt.status_reason) or _stated_cause(attempt.reason):
        return cause
    if attempt.exit_code == 0 or (attempt.status_reason or "").endswith(_COMPLETED):
        return None
    if _is_from_caller(attempt.status_reason) and attempt.exit_code in _STOPPED:
        return Cause.TERMINATED
    return _judged_by_exit_code(_exit_code(attempt.exit_code, attempt.status_reason))[0]


# Few of these texts are documented, so they are searched for anywhere in a reason, ignoring case.
# The leftmost match counts: "Terminated by ada: OutOfMemory again?" is a termination.
_STATED_CAUSE: Final = re.compile(
    "|".join(
        f"(?P<{cause}>{text})"
        for cause, text in {
            Cause.TIME_LIMIT: r"(?:(?:cancell?ed|terminated) by )?JobStateTimeLimit",
            Cause.CANCELLED: r"\A\W{0,3}(?:(?:the |user )?job )?(?:was )?cancell?ed\b",
            Cause.TERMINATED: r"\A\W{0,3}(?:(?:the |user )?job )?(?:was )?terminated\b",
            Cause.QUEUE_DELETED: r"job ?queue (?:was )?deleted",
            Cause.DEPENDENCY_FAILED: r"dependent job failed",
            Cause.CHILD_FAILED: r"array child job failed",
            Cause.TIMEOUT: r"attempt duration exceeded timeout|DeadlineExceeded",
            Cause.PREEMPTED: r"preemption triggered|\bPREEMPTION_",
            Cause.SPOT_INTERRUPTION: r"host ec2\b|spot ?(?:task was )?interrupt",
            Cause.IMAGE_PULL: r"CannotPull|ErrImagePull|ImagePullBackOff|InvalidImageName"
            r"|unable to retrieve ecr registry auth",
            Cause.OUT_OF_MEMORY: r"out ?of ?memory|OOMKilled|killed due to memory usage",
        }.items()
    ),
    re.IGNORECASE,
)

# Texts of AWS that state none of the causes above. Any other text is from a caller of CancelJob or
# TerminateJob. Jobs that AWS could not start have the error as their statusReason: "…Error: …".
_AWS_TEXT: Final = re.compile(
    r"(?i:essential container in task exited|task failed to start|received status from sagemaker"
    r"|timeout waiting for|length must be at most"
    r"|\A(?:capacity|misconfiguration|action_required|undetermined)\b)"
    r"|[a-z](?:Error|Exception)\b"
)

# Texts without more information than the exit code; the last two are from Kubernetes.
_UNINFORMATIVE: Final = re.compile(
    r"(?i)essential container in task exited|\A(?:error|completed)\Z"
)

# Service jobs have no exit code. Their reason is "Received status from SageMaker: Training job
# completed" or SageMaker's FailureReason, which for a failed program is "AlgorithmError: Exit Code:
# 139" or "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage …".
_COMPLETED: Final = "completed"
_PROGRAM_FAILED: Final = re.compile(r"AlgorithmError\b.*?\bexit ?code:? (\d{1,3})\b", re.I | re.S)

# Exit codes of a container that was stopped from outside: it ends on SIGTERM (143, or 130 like
# Ctrl-C), exits normally, or is killed 30 seconds later (137). A lost instance reports none.
_STOPPED: Final = frozenset({None, 0, 130, 137, 143})

_EXPLANATIONS: Final[Mapping[Cause, str]] = {
    Cause.OUT_OF_MEMORY: "The container exceeded its memory limit and was killed. "
    "Increase the job's memory, or reduce what the program needs.",
    Cause.TIMEOUT: "The attempt ran longer than the job's timeout, so AWS Batch stopped it and "
    "does not retry it. Increase the timeout, or give each job less work.",
    Cause.SPOT_INTERRUPTION: "The instance that the job ran on was lost, most often to a Spot "
    "interruption. There is no exit code. With a retry strategy, AWS Batch runs such a job again.",
    Cause.IMAGE_PULL: "The container image could not be pulled, so the program did not start. "
    "Check the image's name and tag, the permission and the network route to its registry, and the "
    "free disk space.",
    Cause.DEPENDENCY_FAILED: "A job that this job depends on failed, so this job did not run. "
    "Check that job.",
    Cause.CHILD_FAILED: "At least one child job of this array failed. Check its failed children.",
    Cause.CANCELLED: "A person or a program cancelled the job.",
    Cause.TERMINATED: "A person or a program terminated the job. AWS Batch does not retry it.",
    Cause.QUEUE_DELETED: "The job queue was deleted, which ended its jobs. "
    "Submit the job to another queue.",
    Cause.TIME_LIMIT: "The job was first in its queue but could not start within the queue's time "
    "limit, so AWS Batch cancelled it.",
    Cause.PREEMPTED: "The job ran on capacity that its share had borrowed, and AWS Batch reclaimed "
    "it for another share. AWS Batch retries the job up to preemptionRetriesBeforeTermination "
    "times.",
}

# The reasons of these causes differ from job to job; those of the others are fixed sentences.
_QUOTED_CAUSES: Final = frozenset(
    {
        Cause.SPOT_INTERRUPTION,
        Cause.IMAGE_PULL,
        Cause.CANCELLED,
        Cause.TERMINATED,
        Cause.TIME_LIMIT,
        Cause.PREEMPTED,
    }
)

_MAX_QUOTED_CHARACTERS: Final = 200

# Common meanings of exit codes of programs and shells.
_MEANINGS: Final[Mapping[int, str]] = {
    1: "general error",
    2: "most often invalid arguments",
    126: "the command was found but can't be executed",
    127: "command not found: it, or a library that it needs, is not in the image",
    134: "aborted, for example after a failed assertion",
    139: "segmentation fault: invalid memory access in the program or a library",
    143: "stopped from outside, for example because the host shut down",
}


def _exit_code(known: int | None, reason: str | None) -> int | None:
    """Return the known exit code or, for a service job, the one in its reason."""
    found = _PROGRAM_FAILED.search(reason) if known is None and reason else None
    return int(found[1]) if found else known


def _stated_cause(text: str | None) -> Cause | None:
    """Return the cause that a text of AWS states."""
    found = _STATED_CAUSE.search(text) if text else None
    return Cause(found.lastgroup) if found and found.lastgroup else None


def _requested_end(
    status_reason: str | None,
    attempt_reason: str | None,
    of_attempt: Cause | None,
    exit_code: int | None,
    *,
    ran: bool,
) -> Cause | None:
    """Return CANCELLED or TERMINATED if `status_reason` is from a caller of CancelJob or
    TerminateJob.

    The operation is not reported, and TerminateJob cancels a job that has not reached STARTING, so
    it depends on whether the job ran.
    """
    if not _is_from_caller(status_reason):
        return None
    if not ran and exit_code is None:
        return Cause.CANCELLED
    if of_attempt:
        # The last attempt failed by itself; the job may have been waiting for another attempt.
        waited = attempt_reason and attempt_reason != status_reason
        return Cause.CANCELLED if waited else None
    return Cause.TERMINATED if exit_code in _STOPPED else None


def _is_from_caller(status_reason: str | None) -> bool:
    return bool(status_reason and status_reason.strip() and not _AWS_TEXT.search(status_reason))


def _is_informative(text: str | None) -> bool:
    return bool(text) and not _UNINFORMATIVE.search(text or "")


def _failure(cause: Cause, reason: str | None) -> Failure:
    quoted = _quoted(reason) if cause in _QUOTED_CAUSES else ""
    return Failure(cause, _EXPLANATIONS[cause] + quoted)


def _judged_by_exit_code(exit_code: int | None) -> tuple[Cause, str]:
    """Return the cause and the explanation if only the exit code is known."""
    if exit_code is None:
        return Cause.UNKNOWN, "AWS Batch reported no exit code and no reason of a known kind."
    if exit_code == 0:
        return Cause.UNKNOWN, "The container succeeded (exit code 0), but the job failed."
    if exit_code == 137:
        return Cause.OUT_OF_MEMORY, (
            "The container was killed (exit code 137, SIGKILL), most often because it exceeded its "
            "memory limit. Increase the job's memory, or check its log for another cause."
        )
    meaning = _MEANINGS.get(exit_code)
    return Cause.EXIT_CODE, (
        f"The program ended with exit code {exit_code}{_signal(exit_code)}"
        f"{': ' + meaning if meaning else ''}. See the end of its log."
    )


def _signal(exit_code: int) -> str:
    """Return the name of the signal that ended a program, in parentheses: shells and Docker report
    it as 128 plus the number of the signal."""
    try:
        return f" ({signal.Signals(exit_code - 128).name})"
    except ValueError:
        return ""


def _quoted(text: str | None) -> str:
    quoted = " ".join((text or "")[: 2 * _MAX_QUOTED_CHARACTERS].split())
    if not quoted:
        return ""
    if len(quoted) > _MAX_QUOTED_CHARACTERS:
        quoted = quoted[: _MAX_QUOTED_CHARACTERS - 1] + "…"
    return f' Reason: "{quoted}"'
