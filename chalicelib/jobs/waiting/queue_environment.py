"""A job queue and its environments as AWS Batch last described them.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

import math
from collections.abc import Sequence

import msgspec

ENABLED, DISABLED, INVALID = "ENABLED", "DISABLED", "INVALID"


class Environment(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A compute environment or service environment. `desired_vcpus` and `max_vcpus` are None where
    AWS Batch does not manage the instances."""

    name: str
    state: str = ENABLED
    status: str = "VALID"
    reason: str = ""
    type: str = ""
    desired_vcpus: int | None = None
    max_vcpus: int | None = None

    @property
    def is_usable(self) -> bool:
        return self.state == ENABLED and self.status != INVALID

    @property
    def is_at_limit(self) -> bool:
        if self.desired_vcpus is None or self.max_vcpus is None:
            return False
        return self.desired_vcpus >= self.max_vcpus > 0


class ConsumableResource(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A resource that jobs occupy while they run, such as a licence. `needed` is the least that one
    of the jobs needs which have waited the longest."""

    name: str
    available: int
    total: int
    needed: int = 1

    @property
    def is_exhausted(self) -> bool:
        return self.available < self.needed <= self.total


class QuotaShare(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A share of a service queue. `most` is its limit including what it may borrow, `in_use` what
    its jobs use, both in `unit`, such as ml.m5.large."""

    name: str
    state: str = ENABLED
    unit: str = ""
    in_use: float = 0
    most: float | None = None

    @property
    def is_at_quota(self) -> bool:
        return self.most is not None and self.in_use >= self.most > 0


class TimeLimit(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A jobStateTimeLimitAction: the job at the head of the queue ends after `max_seconds` if AWS
    Batch states `reason`."""

    reason: str
    max_seconds: int
    action: str = "CANCEL"


class Obstacle(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """A state of the queue or of all its environments in which no job starts. `cause` completes a
    sentence after a colon, `reason` is AWS Batch's own."""

    cause: str
    explanation: str
    reason: str = ""


class QueueEnvironment(
    msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True
):
    """The queue and its environments, in their order, as of `as_of`. `consumables` and `shares` are
    those of the jobs that have waited the longest."""

    as_of: int
    state: str = ENABLED
    status: str = "VALID"
    reason: str = ""
    environments: tuple[Environment, ...] = ()
    time_limits: tuple[TimeLimit, ...] = ()
    consumables: tuple[ConsumableResource, ...] = ()
    shares: tuple[QuotaShare, ...] = ()

    @property
    def usable(self) -> list[Environment]:
        return [each for each in self.environments if each.is_usable]

    @property
    def is_at_limit(self) -> bool:
        """Return whether all environments that can be used are at their limit."""
        return bool(self.usable) and all(each.is_at_limit for each in self.usable)

    @property
    def room(self) -> float:
        """Return how many vCPUs the jobs that run and the next one can request together before jobs
        wait for the end of others. Infinite unless AWS Batch reports only the maximum, as of
        Fargate: where it reports the desired vCPUs, `is_at_limit` is exact."""
        if all(each.desired_vcpus is not None for each in self.usable):
            return math.inf
        limits = [each.max_vcpus for each in self.usable if each.max_vcpus is not None]
        return sum(limits) if len(limits) == len(self.usable) else math.inf

    @property
    def is_exhausted(self) -> bool:
        """Return whether jobs that have waited the longest wait for a consumable resource or for
        their quota share."""
        return any(each.is_exhausted for each in self.consumables) or any(
            each.is_at_quota for each in self.shares
        )

    @property
    def obstacle(self) -> Obstacle | None:
        """Return why no job of the queue can start, or None if nothing is known to prevent it."""
        if self.state == DISABLED:
            return Obstacle(cause="the job queue is DISABLED", explanation=_DISABLED_QUEUE)
        if self.status == INVALID:
            return Obstacle(
                cause="the job queue is INVALID",
                explanation="AWS Batch can't use the job queue. Correct what the reason states.",
                reason=self.reason,
            )
        if not self.environments or self.usable:
            return None
        invalid = [each for each in self.environments if each.status == INVALID]
        names = _names(invalid or self.environments)
        if invalid:
            reason = next((each.reason for each in invalid if each.reason), "")
            return Obstacle(
                cause=f"{names} INVALID", explanation=_INVALID_ENVIRONMENT, reason=reason
            )
        return Obstacle(cause=f"{names} DISABLED", explanation=_DISABLED_ENVIRONMENT)


class HeadJob(msgspec.Struct, frozen=True, array_like=True):
    """A job and when it reached at least its position."""

    job_id: str
    since: int


class QueueHead(msgspec.Struct, frozen=True, rename="camel"):
    """The first RUNNABLE jobs of a queue, in the order in which they will start, as of `as_of`."""

    as_of: int
    jobs: tuple[HeadJob, ...]

    def position(self, job_id: str) -> int | None:
        """Return the position of a job from 1, or None if it is not among the first jobs."""
        positions = (n for n, job in enumerate(self.jobs, 1) if job.job_id == job_id)
        return next(positions, None)


def _names(environments: Sequence[Environment]) -> str:
    """Return, for example, "compute environment spot-a is"."""
    noun = "compute environment" if len(environments) == 1 else "compute environments"
    verb = "is" if len(environments) == 1 else "are"
    return f"{noun} {', '.join(each.name for each in environments)} {verb}"


_DISABLED_QUEUE = (
    "The job queue accepts no new jobs, and the jobs that wait in it may not start. Enable the "
    "queue to continue."
)
_DISABLED_ENVIRONMENT = (
    "AWS Batch places no jobs in a compute environment that is DISABLED. Enable one of them, or "
    "add another compute environment to the queue."
)
_INVALID_ENVIRONMENT = (
    "AWS Batch can't use an INVALID compute environment, and the queue has no other. Most often a "
    "role, a launch template or a cluster was deleted or changed. It does not recover on its own: "
    "correct what the reason states, then update the compute environment."
)
