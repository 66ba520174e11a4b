"""Why a job or an attempt failed, in plain words.

AWS Batch says why in three places: the job's `statusReason`, each attempt's `statusReason` and
each container's `reason` and `exitCode`. The first is most often "Essential container in task
exited", which explains nothing. This module weighs the three and comes to one cause, with an
explanation that a scientist can act on. What counts, first to last:

1. What AWS Batch says in words of its own: of the job, then of its last attempt.
2. A `statusReason` in foreign words. CancelJob and TerminateJob put their caller's `reason` there
   verbatim, so a person, or a program of theirs, ended the job.
3. The exit code.

Pure: knows nothing of events, records, AWS clients, the clock or the environment. It quotes the
reasons that it is given, so they must have been redacted before.
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


class Ending(Protocol):
    """What an attempt says of its end. `stopped_at` is None while it runs."""

    @property
    def exit_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def status_reason(self) -> str | None: ...
    @property
    def stopped_at(self) -> int | None: ...


class Said(Protocol):
    """What is said of a job that is FAILED; see `explain`."""

    @property
    def status_reason(self) -> str | None: ...
    @property
    def attempts(self) -> Sequence[Ending]: ...
    @property
    def exit_code(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...


def failure_of(said: Said) -> Failure:
    return explain(said.status_reason, said.attempts, exit_code=said.exit_code, reason=said.reason)


def explain(
    status_reason: str | None,
    attempts: Sequence[Ending],
    *,
    exit_code: int | None = None,
    reason: str | None = None,
) -> Failure:
    """Why a job that is FAILED failed.

    `exit_code` and `reason` are those of the job's own container: they stand in for what its last
    attempt does not say, or for an attempt that is not listed.
    """
    last = attempts[-1] if attempts else None
    of_attempt = last.status_reason if last else None
    reason = (last.reason if last else None) or reason
    if last and last.exit_code is not None:
        exit_code = last.exit_code
    exit_code = _exit_code(exit_code, of_attempt or status_reason)

    if cause := _told(status_reason):
        return _failure(cause, status_reason)
    told = _told(of_attempt) or _told(reason)
    if cause := _on_request(status_reason, of_attempt, told, exit_code, ran=bool(last)):
        return _failure(cause, status_reason)
    if told:
        return _failure(told, reason if _told(reason) else of_attempt)
    cause, explanation = _exited(exit_code)
    words = next((text for text in (reason, of_attempt, status_reason) if _tells_more(text)), None)
    return Failure(cause, explanation + _quoted(words))


def attempt_cause(attempt: Ending) -> Cause | None:
    """Why an attempt failed; None if it succeeded or is still running.

    An attempt may exit with 0 and have a cause all the same: ECS reports a container that lost
    one of its processes to the out-of-memory killer and then ended in good order.
    """
    if attempt.stopped_at is None:
        return None
    if cause := _told(attempt.status_reason) or _told(attempt.reason):
        return cause
    if attempt.exit_code == 0 or (attempt.status_reason or "").endswith(_COMPLETED):
        return None
    if _is_foreign(attempt.status_reason) and attempt.exit_code in _STOPPED:
        return Cause.TERMINATED
    return _exited(_exit_code(attempt.exit_code, attempt.status_reason))[0]


# Few of these texts are documented, so they are looked for anywhere and in any case. The leftmost
# counts: "Terminated by ada: OutOfMemory again?" is a termination, whatever ada suspects.
_TOLD: Final = re.compile(
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

# What AWS says itself without naming a cause above; any other text is a caller's. Jobs that AWS
# could not start carry the error as their statusReason: "…Exception: …", "…Error: …".
_AWS_WORDS: Final = re.compile(
    r"(?i:essential container in task exited|task failed to start|received status from sagemaker"
    r"|timeout waiting for|length must be at most"
    r"|\A(?:capacity|misconfiguration|action_required|undetermined)\b)"
    r"|[a-z](?:Error|Exception)\b"
)

# Nothing that the exit code does not say as well; the last two are Kubernetes'.
_SAYS_NOTHING: Final = re.compile(r"(?i)essential container in task exited|\A(?:error|completed)\Z")

# Service jobs have no exit code: "Received status from SageMaker: Training job completed", or what
# SageMaker gives as FailureReason. That of a program that failed: "AlgorithmError: Exit Code: 139",
# "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage …".
_COMPLETED: Final = "completed"
_PROGRAM_FAILED: Final = re.compile(r"AlgorithmError\b.*?\bexit ?code:? (\d{1,3})\b", re.I | re.S)

# How a container may end that is stopped from outside: on SIGTERM (143, or like ^C, 130), in good
# order, or on SIGKILL (137) 30 seconds later. A machine that is gone reports no exit code.
_STOPPED: Final = frozenset({None, 0, 130, 137, 143})

_EXPLANATIONS: Final[Mapping[Cause, str]] = {
    Cause.OUT_OF_MEMORY: "The container used more memory than it was given and was killed. "
    "Give the job more memory, or make it need less.",
    Cause.TIMEOUT: "The attempt ran longer than the job's timeout allows, so AWS Batch stopped it "
    "and does not retry. Raise the timeout, or give each job less to do.",
    Cause.SPOT_INTERRUPTION: "The job lost the machine that it ran on: a Spot reclaim, or the loss "
    "of the instance. It has no exit code of its own; a retry strategy runs such a job again.",
    Cause.IMAGE_PULL: "The container image could not be pulled, so nothing ran. Check its name "
    "and tag, the permission and the network route to its registry, and the room on the disk.",
    Cause.DEPENDENCY_FAILED: "A job that this one depends on failed, so this one never ran. "
    "Look at that job.",
    Cause.CHILD_FAILED: "At least one child of this array failed. Look at its failed children.",
    Cause.CANCELLED: "A person or a program cancelled the job.",
    Cause.TERMINATED: "A person or a program terminated the job, and AWS Batch does not retry it.",
    Cause.QUEUE_DELETED: "The job queue was deleted, and its jobs ended with it. "
    "Submit the job to another queue.",
    Cause.TIME_LIMIT: "The job was next in its queue but could not be started within the queue's "
    "time limit, so AWS Batch cancelled it.",
    Cause.PREEMPTED: "The job ran on capacity that its share had borrowed, and AWS Batch took it "
    "back for another. It is tried again as often as preemptionRetriesBeforeTermination says.",
}

# The others say all of it in fixed words.
_WORTH_QUOTING: Final = frozenset(
    {
        Cause.SPOT_INTERRUPTION,
        Cause.IMAGE_PULL,
        Cause.CANCELLED,
        Cause.TERMINATED,
        Cause.TIME_LIMIT,
        Cause.PREEMPTED,
    }
)

_QUOTED_CHARACTERS: Final = 200

# What programs and shells commonly mean by an exit code.
_MEANINGS: Final[Mapping[int, str]] = {
    1: "it met an error",
    2: "most often it did not understand its arguments",
    126: "the command was found but may not be executed",
    127: "the command, or a library that it needs, is not in the image",
    134: "it gave up, as after a failed assertion",
    139: "it used memory that is not its own, a bug in it or in a library",
    143: "something asked it to stop, as a host does that shuts down",
}


def _exit_code(known: int | None, words: str | None) -> int | None:
    found = _PROGRAM_FAILED.search(words) if known is None and words else None
    return int(found[1]) if found else known


def _told(text: str | None) -> Cause | None:
    found = _TOLD.search(text) if text else None
    return Cause(found.lastgroup) if found and found.lastgroup else None


def _on_request(
    status_reason: str | None,
    of_attempt: str | None,
    told: Cause | None,
    exit_code: int | None,
    *,
    ran: bool,
) -> Cause | None:
    """CANCELLED or TERMINATED if `status_reason` is the reason that someone gave for that.

    The words don't tell which: TerminateJob cancels a job that has not reached STARTING.
    """
    if not _is_foreign(status_reason):
        return None
    if not ran and exit_code is None:
        return Cause.CANCELLED
    if told:
        # The last attempt failed by itself; the job may have been waiting for another one.
        waited = of_attempt and of_attempt != status_reason
        return Cause.CANCELLED if waited else None
    return Cause.TERMINATED if exit_code in _STOPPED else None


def _is_foreign(status_reason: str | None) -> bool:
    return bool(status_reason and status_reason.strip() and not _AWS_WORDS.search(status_reason))


def _tells_more(text: str | None) -> bool:
    return bool(text) and not _SAYS_NOTHING.search(text or "")


def _failure(cause: Cause, words: str | None) -> Failure:
    quoted = _quoted(words) if cause in _WORTH_QUOTING else ""
    return Failure(cause, _EXPLANATIONS[cause] + quoted)


def _exited(exit_code: int | None) -> tuple[Cause, str]:
    """Judges by nothing but the exit code."""
    if exit_code is None:
        return Cause.UNKNOWN, "AWS Batch gave no exit code, and no reason that is known here."
    if exit_code == 0:
        return Cause.UNKNOWN, "The container ended well (exit code 0), and yet the job failed."
    if exit_code == 137:
        return Cause.OUT_OF_MEMORY, (
            "The container was killed (exit code 137, SIGKILL), most often because it used more "
            "memory than it was given. Give the job more, or look for another cause in its log."
        )
    meaning = _MEANINGS.get(exit_code)
    return Cause.EXIT_CODE, (
        f"The program ended with exit code {exit_code}{_signal(exit_code)}"
        f"{': ' + meaning if meaning else ''}. The end of its log should say more."
    )


def _signal(exit_code: int) -> str:
    """Shells and Docker report a program that died of a signal as 128 and the signal's number."""
    try:
        return f" ({signal.Signals(exit_code - 128).name})"
    except ValueError:
        return ""


def _quoted(text: str | None) -> str:
    words = " ".join((text or "")[: 2 * _QUOTED_CHARACTERS].split())
    if not words:
        return ""
    if len(words) > _QUOTED_CHARACTERS:
        words = words[: _QUOTED_CHARACTERS - 1] + "…"
    return f' The reason given: "{words}"'
