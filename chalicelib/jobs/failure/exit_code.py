"""Explains an exit code, where AWS states no cause."""

import re
import signal
from collections.abc import Mapping
from typing import Final

from chalicelib.jobs.failure.aws_text import SAGEMAKER
from chalicelib.jobs.failure.cause import Cause

STOPPED: Final = frozenset({None, 0, 130, 137, 143})
"""Exit codes of a container that was stopped from outside: it ends on SIGTERM (143, or 130 like
Ctrl-C), exits normally, or is killed 30 seconds later (137). A lost instance reports none."""

_KILLED: Final = 137

_MEANINGS: Final[Mapping[int, str]] = {
    1: "general error",
    2: "most often invalid arguments",
    126: "the command was found but can't be executed",
    127: "command not found: it, or a library that it needs, is not in the image",
    134: "aborted, for example after a failed assertion",
    139: "segmentation fault: invalid memory access in the program or a library",
    143: "stopped from outside, for example because the host shut down",
}
"""Common meanings of exit codes of programs and shells."""

# Service jobs have no exit code. SageMaker's FailureReason for a failed program is "AlgorithmError:
# Exit Code: 139", "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage …", or
# "AlgorithmError: …, exit code: 1". What stands between is the program's text.
_TRAINING: Final = re.compile(
    rf"(?:{SAGEMAKER})?AlgorithmError: "
    r"(?:(?:[A-Za-z]{1,60}:\s+)?Exit ?Code:? (?P<first>\d{1,3})\b.*"
    r"|.*, exit code: (?P<last>\d{1,3})\s*)",
    re.IGNORECASE | re.DOTALL,
)


def exit_code_of_training(known: int | None, reason: str | None) -> int | None:
    """Return the known exit code or, for a service job, the one in SageMaker's reason."""
    found = _TRAINING.fullmatch(reason) if known is None and reason else None
    return int(found["first"] or found["last"]) if found else known


def cause_of_exit_code(exit_code: int | None) -> Cause:
    if exit_code in (None, 0):
        return Cause.UNKNOWN
    return Cause.KILLED if exit_code == _KILLED else Cause.EXIT_CODE


def explain_exit_code(exit_code: int | None) -> str:
    """Return the explanation if only the exit code is known."""
    if exit_code is None:
        return "AWS Batch reported no exit code and no reason of a known kind."
    if exit_code == 0:
        return "The container succeeded (exit code 0), but the job failed."
    if exit_code == _KILLED:
        return (
            "The container was killed (exit code 137, SIGKILL). The usual reason is that it "
            "exceeded its memory limit, but AWS Batch does not report that it did. Check its log "
            "and its memory use, and increase the job's memory if it was close to the limit."
        )
    meaning = _MEANINGS.get(exit_code)
    return (
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
