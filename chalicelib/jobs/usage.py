"""What a job uses: vCPUs, memory and GPUs, for as long as its attempts run, from their start to
their stop. And how much of that was wasted: what attempts used that came to nothing.

Amounts are whole numbers, so that a sum is the same in whatever order it is made. Pure: knows
nothing of prices, hours or queues.
"""

from typing import NamedTuple

from msgspec import Struct

from chalicelib.jobs.durations import attempt_spans
from chalicelib.jobs.job import Job, JobStatus, Resources

_HOUR = 3_600_000


class Usage(Struct, frozen=True, array_like=True):
    """In milliseconds of a thousandth of a vCPU, of a MiB, of a GPU."""

    vcpus: int = 0
    memory: int = 0
    gpus: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.vcpus + other.vcpus, self.memory + other.memory, self.gpus + other.gpus)

    @property
    def vcpu_hours(self) -> float:
        return self.vcpus / 1000 / _HOUR

    @property
    def gb_hours(self) -> float:
        """A GB has 1024 MiB, as in Fargate's prices."""
        return self.memory / 1024 / _HOUR

    @property
    def gpu_hours(self) -> float:
        return self.gpus / _HOUR


class JobUsage(NamedTuple):
    """`wasted` is a part of `total`."""

    total: Usage
    wasted: Usage


def job_usage(job: Job, now: int) -> JobUsage | None:
    """Of a running attempt up to `now` (epoch milliseconds). None for a parent, as its children
    or nodes run, and where nothing tells what the job asked for.
    """
    resources = job.details.resources
    if resources is None or job.is_parent:
        return None
    spans = attempt_spans(job, now)
    return JobUsage(_use(resources, spans), _use(resources, spans[: _wasted(job, len(spans))]))


def _wasted(job: Job, attempts: int) -> int:
    """How many of them came to nothing, from the first on: all of a failed job, and else each
    that another one had to follow."""
    if job.status == JobStatus.FAILED:
        return attempts
    if job.status == JobStatus.SUCCEEDED:
        return max(0, attempts - 1)
    return sum(attempt.stopped_at is not None for attempt in job.details.attempts)


def _use(resources: Resources, spans: list[int | None]) -> Usage:
    ran = sum(span or 0 for span in spans)
    return Usage(
        vcpus=round(resources.vcpus * 1000) * ran,
        memory=resources.memory * ran,
        gpus=resources.gpus * ran,
    )
