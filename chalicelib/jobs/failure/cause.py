"""The causes of a failure, what each means, and what to do about it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Cause(StrEnum):
    EXIT_CODE = "EXIT_CODE"
    KILLED = "KILLED"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    TIMEOUT = "TIMEOUT"
    SPOT_INTERRUPTION = "SPOT_INTERRUPTION"
    IMAGE_PULL = "IMAGE_PULL"
    CANNOT_START = "CANNOT_START"
    DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
    CHILD_FAILED = "CHILD_FAILED"
    CANCELLED = "CANCELLED"
    TERMINATED = "TERMINATED"
    QUEUE_DELETED = "QUEUE_DELETED"
    TIME_LIMIT = "TIME_LIMIT"
    PREEMPTED = "PREEMPTED"
    UNKNOWN = "UNKNOWN"


EXPLANATIONS: Final[Mapping[Cause, str]] = {
    Cause.OUT_OF_MEMORY: "The container exceeded its memory limit and was killed. "
    "Increase the job's memory, or reduce what the program needs.",
    Cause.TIMEOUT: "The attempt ran longer than the job's timeout, so AWS Batch stopped it and "
    "does not retry it. Increase the timeout, or give each job less work.",
    Cause.SPOT_INTERRUPTION: "The instance that the job ran on was lost, most often to a Spot "
    "interruption. There is no exit code. With a retry strategy, AWS Batch runs such a job again.",
    Cause.IMAGE_PULL: "The container image could not be pulled, so the program did not start. "
    "Check the image's name and tag, the permission and the network route to its registry, and the "
    "free disk space.",
    Cause.CANNOT_START: "AWS could not start the job's container, so the program did not run.",
    Cause.DEPENDENCY_FAILED: "A job that this job depends on failed, so this job did not run. "
    "Check that job.",
    Cause.CHILD_FAILED: "At least one child job of this array failed. Check its failed children.",
    Cause.CANCELLED: "A person or a program cancelled the job.",
    Cause.TERMINATED: "A person or a program terminated the job. AWS Batch does not retry it.",
    Cause.QUEUE_DELETED: "The job queue was deleted, which ended its jobs. "
    "Submit the job to another queue.",
    Cause.TIME_LIMIT: "The job was first in its queue but could not start within the queue's time "
    "limit, so AWS Batch ended it.",
    Cause.PREEMPTED: "AWS Batch stopped the job to give its capacity to another job: to a job of "
    "the share from which it was borrowed, or to one of a higher priority in its own share. AWS "
    "Batch retries a preempted job up to preemptionRetriesBeforeTermination times.",
}
"""The explanation of each cause that a sentence of AWS states."""

GUESSES: Final[Mapping[Cause, str]] = {
    Cause.CANCELLED: "Most likely a person or a program cancelled the job: its reason is not a "
    "known text of AWS.",
    Cause.TERMINATED: "Most likely a person or a program terminated the job: its reason is not a "
    "known text of AWS.",
}
"""The explanation where AWS Batch reports neither a flag nor a sentence that is known."""

QUOTED: Final = frozenset(
    {
        Cause.SPOT_INTERRUPTION,
        Cause.IMAGE_PULL,
        Cause.CANNOT_START,
        Cause.CANCELLED,
        Cause.TERMINATED,
        Cause.TIME_LIMIT,
        Cause.PREEMPTED,
        Cause.UNKNOWN,
    }
)
"""The reasons of these causes differ from job to job; those of the others are fixed sentences."""
