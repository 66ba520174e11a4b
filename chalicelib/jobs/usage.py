"""Computes what a job used: the vCPUs, memory and GPUs that it requests, for as long as its
attempts ran; and how much of that was wasted on attempts without a result.

Amounts are whole numbers, so that a sum does not depend on its order. This module is pure and must
not know prices, hours of the day or queues.
"""

from typing import NamedTuple

from msgspec import Struct

from chalicelib.jobs.durations import attempt_spans
from chalicelib.jobs.job import Job, JobStatus, Resources

_HOUR_MS = 3_600_000


class Usage(Struct, frozen=True, array_like=True):
    """Amounts in milliseconds of a thousandth of a vCPU, of a MiB and of a GPU."""

    vcpus: int = 0
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.vcpus + other.vcpus, self.memory + other.memory, self.gpus + other.gpus)

    @property
    def vcpu_hours(self) -> float:
        return self.vcpus / 1000 / _HOUR_MS

    @property
    def gb_hours(self) -> float:
        """Hours of 1,024 MiB, the GB of Fargate's prices."""
        return self.memory / 1024 / _HOUR_MS

    @property
    def gpu_hours(self) -> float:
        return self.gpus / _HOUR_MS


class JobUsage(NamedTuple):
    """The usage of a job; `wasted` is a part of `total`."""

    total: Usage
    wasted: Usage


def job_usage(job: Job, now: int) -> JobUsage | None:
    """Return the usage of a job, of a running attempt up to `now` (epoch milliseconds).

    Return None for a parent, because its children or nodes run, and if it is not known what the
    job requests.
    """
    resources = job.details.resources
    if resources is None or job.is_parent:
        return None
    spans = attempt_spans(job, now)
    wasted = spans[: _wasted_attempts(job, len(spans))]
    return JobUsage(_usage(resources, spans), _usage(resources, wasted))


def _wasted_attempts(job: Job, attempts: int) -> int:
    """Return how many attempts, from the first on, were wasted: all of a failed job, else those
    that another attempt followed or has to follow."""
    if job.status == JobStatus.FAILED:
        return attempts
    if job.status == JobStatus.SUCCEEDED:
        return max(0, attempts - 1)
    return sum(attempt.stopped_at is not None for attempt in job.details.attempts)


def _usage(resources: Resources, spans: list[int | None]) -> Usage:
    milliseconds = sum(span or 0 for span in spans)
    return Usage(
        vcpus=round(resources.vcpus * 1000) * milliseconds,
        memory=resources.memory * milliseconds,
        gpus=resources.gpus * milliseconds,
    )
