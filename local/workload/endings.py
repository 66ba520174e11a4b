"""The ways in which an attempt ends, and the retry strategy that follows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from local.workload.events import Detail
from local.workload.seeded_random import SeededRandom
from local.workload.submission import Kind


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of an attempt, or of a job before its first attempt.

    `cause` is the API's `failure.cause`, None for success. `during` is the status in which the
    ending occurs; before STARTING there is no attempt. Batch never retries a `is_final` ending.
    """

    cause: str | None
    status_reason: str | None
    exit_code: int | None = None
    reason: str | None = None
    during: str = "RUNNING"
    is_final: bool = False

    @property
    def status(self) -> str:
        return "FAILED" if self.cause else "SUCCEEDED"


_EXITED = "Essential container in task exited"
_SUCCESS = Ending(None, _EXITED, exit_code=0)
_OUT_OF_MEMORY = Ending(
    "OUT_OF_MEMORY", _EXITED, 137, "OutOfMemoryError: Container killed due to memory usage"
)
_TIME_LIMIT = Ending(
    "TIME_LIMIT",
    "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    during="RUNNABLE",
    is_final=True,
)
CANCELLED = Ending(
    "CANCELLED", "Canceled by user: superseded by a later run", during="RUNNABLE", is_final=True
)
DEPENDENCY_FAILED = Ending("DEPENDENCY_FAILED", "Dependent Job failed")
CHILDREN_SUCCEEDED = Ending(None, None)
CHILD_FAILED = Ending("CHILD_FAILED", "Array Child Job failed")

_TRAINED = Ending(None, "Received status from SageMaker: Training job completed")
_ALGORITHM_ERROR = Ending(
    "EXIT_CODE",
    "Received status from SageMaker: AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n"
    'ErrorMessage "ValueError: could not convert string to float"',
)
_INTERNAL_ERROR = Ending("UNKNOWN", "Received status from SageMaker: InternalServerError")
PREEMPTED = Ending(
    "PREEMPTED", "Cross-share preemption triggered to reclaim borrowed capacity", is_final=True
)

_POD_REASONS = {None: "Completed", "OUT_OF_MEMORY": "OOMKilled"}


def _program_error(random: SeededRandom) -> Ending:
    """Return an exit code of the program, in one case of ten with a reason that has a secret."""
    reason = f"upload refused: TOKEN={random.secret()}" if random.chance(0.1) else None
    return Ending("EXIT_CODE", _EXITED, random.choice((1, 1, 1, 2, 64, 127, 139)), reason)


def _timeout(random: SeededRandom) -> Ending:
    reason = "Job attempt duration exceeded timeout"
    return Ending("TIMEOUT", reason, random.choice((137, None)), is_final=True)


def _terminated(random: SeededRandom) -> Ending:
    reason = f"Terminated by user: wrong reference in run {random.randint(100, 999)}"
    return Ending("TERMINATED", reason, random.choice((137, 143, None)), is_final=True)


def _host_lost(random: SeededRandom) -> Ending:
    return Ending("SPOT_INTERRUPTION", f"Host EC2 (instance i-{random.hex(17)}) terminated.")


def _image_not_found(random: SeededRandom) -> Ending:
    reason = (
        "CannotPullContainerError: Error response from daemon: manifest for "
        f"registry.example.org/lab:{random.hex(7)} not found: manifest unknown"
    )
    return Ending("IMAGE_PULL", "Task failed to start", reason=reason, during="STARTING")


def draw_training_ending(random: SeededRandom) -> Ending:
    """Return how an attempt of a service job ends."""
    endings = (_TRAINED, _ALGORITHM_ERROR, _INTERNAL_ERROR, PREEMPTED, CANCELLED)
    [ending] = random.choices(endings, (60, 12, 3, 22, 3))
    return ending


def draw_endings(random: SeededRandom, kind: Kind, description: Detail) -> list[Ending]:
    """Return the ending of each attempt; an attempt often ends as the attempt before it."""
    endings = [_draw_ending(random, kind, description)]
    while is_retried(endings[-1], description["retryStrategy"], finished=len(endings)):
        is_same = random.chance(0.6)
        endings.append(endings[-1] if is_same else _draw_ending(random, kind, description))
    return endings


def _draw_ending(random: SeededRandom, kind: Kind, description: Detail) -> Ending:
    """Return an ending that such a job can have, with the reasons of its kind."""
    on_ecs = kind is not Kind.EKS
    weights: dict[Ending | Callable[[SeededRandom], Ending], int] = {
        _SUCCESS: 70,
        _program_error: 9,
        _OUT_OF_MEMORY: 4,
        _timeout: 3 if "timeout" in description else 0,
        _terminated: 3,
        _host_lost: 25 if on_ecs and "spot" in description["jobQueue"] else 0,
        _image_not_found: 3 if on_ecs else 0,
        CANCELLED: 3,
        _TIME_LIMIT: 1,
    }
    drawn = random.choices(list(weights), list(weights.values()))[0]
    ending = drawn if isinstance(drawn, Ending) else drawn(random)
    if kind is Kind.FARGATE and ending.cause == "SPOT_INTERRUPTION":
        return replace(ending, status_reason="Your Spot Task was interrupted.")
    if kind is Kind.EKS and ending.status_reason == _EXITED:
        reason = _POD_REASONS.get(ending.cause) or ending.reason or "Error"
        return replace(ending, status_reason=None, reason=reason)
    return ending


def is_retried(ending: Ending, strategy: Detail, finished: int) -> bool:
    """Return whether Batch starts another attempt after `finished` ones.

    The first matching rule of the retry strategy decides. If none matches, Batch retries.
    """
    if ending.cause is None or ending.is_final or finished >= strategy["attempts"]:
        return False
    for rule in strategy.get("evaluateOnExit", ()):
        if _matches(rule, ending):
            return bool(rule["action"] == "RETRY")
    return True


def _matches(rule: Detail, ending: Ending) -> bool:
    values = {
        "onStatusReason": ending.status_reason or "",
        "onReason": ending.reason or "",
        "onExitCode": "" if ending.exit_code is None else str(ending.exit_code),
    }
    return all(fnmatchcase(values[name], rule[name]) for name in values.keys() & rule.keys())
