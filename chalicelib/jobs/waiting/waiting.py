"""The first cause that keeps a job from starting, checked against what AWS Batch reports.

    1  the job was cancelled or terminated        ends when it reaches the head of its queue
    2  jobs that it depends on have not ended     named with their statuses; PENDING only
       it is not RUNNABLE                         explained by its status
    3  the queue is DISABLED or INVALID
    4  all environments are DISABLED or INVALID
    5  AWS Batch states a reason about the job    except that there is no capacity
    6  the job requests more vCPUs than any environment may have
    7  it needs more of a consumable resource than there is
    8  all usable environments are at their limit
    9  a consumable resource is exhausted
    10 its quota share is DISABLED or at its quota
    11 AWS Batch states that there is no capacity
    12 other jobs are ahead of it
    13 nothing was found

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from chalicelib.jobs.job import ConsumableNeed, Description, Job, JobStatus
from chalicelib.jobs.pending_reason import PendingReason, explain
from chalicelib.jobs.waiting.queue_environment import (
    DISABLED,
    ConsumableResource,
    Environment,
    QueueEnvironment,
    QueueHead,
)

_CAPACITY = "CAPACITY"
_MAX_NAMED = 3
_HEAD_JOBS = 100
"""The jobs that GetJobQueueSnapshot returns."""


class Waiting(NamedTuple):
    """Why a job has not started. `cause` is None if none was found; `position` counts from 1 in the
    queue, None if it is not known; `will_be_cancelled_at` follows from the queue's time limits."""

    cause: str | None
    explanation: str
    position: int | None = None
    will_be_cancelled_at: int | None = None


def waiting(
    job: Job,
    environment: QueueEnvironment | None = None,
    head: QueueHead | None = None,
    dependencies: Collection[Job] = (),
    description: Description | None = None,
) -> Waiting:
    """Return the first cause that applies. `dependencies` are recorded jobs that it depends on."""
    position = head.position(job.job_id) if head else None
    if job.status == JobStatus.PENDING and not job.is_ending:
        active = [each for each in dependencies if not each.is_over]
        if active:
            return Waiting(*_depends_on(active), position)
    if job.is_ending or job.status != JobStatus.RUNNABLE:
        return Waiting(*_stated(job), position)
    cause, explanation = next(_causes(job, description or Description(), environment, head))
    return Waiting(cause, explanation, position, _cancelled_at(job, environment, head))


def _depends_on(active: Sequence[Job]) -> tuple[str, str]:
    named = [f"{job.details.job_name} ({job.status})" for job in active[:_MAX_NAMED]]
    more = len(active) - len(named)
    words = ", ".join(named) + (f" and {more} more" if more else "")
    cause = f"it depends on {words}" if len(active) == 1 else f"it depends on {len(active)} jobs"
    return cause, f"The job starts after the jobs that it depends on. Not ended yet: {words}."


def _causes(
    job: Job,
    description: Description,
    environment: QueueEnvironment | None,
    head: QueueHead | None,
) -> Iterator[tuple[str | None, str]]:
    if environment and (obstacle := environment.obstacle):
        quoted = f' Reason from AWS Batch: "{obstacle.reason}"' if obstacle.reason else ""
        yield obstacle.cause, f"{obstacle.explanation}{quoted}"
    stated = _stated(job)
    is_about_capacity = (job.details.status_reason or "").startswith(_CAPACITY)
    if stated.cause and not is_about_capacity:
        yield stated
    usable = environment.usable if environment else []
    if too_large := _too_large(job, usable):
        yield too_large
    shortages = _shortages(description, environment)
    yield from (_lacking(*each) for each in shortages if each[0].quantity > each[1].total)
    if environment and environment.is_at_limit:
        yield _at_limit(usable)
    yield from (_exhausted(*each) for each in shortages)
    yield from _share(description, environment)
    if stated.cause:
        yield stated
    position = head.position(job.job_id) if head else None
    if position is not None and position > 1:
        ahead = position - 1
        yield (
            f"{ahead} job{'' if ahead == 1 else 's'} ahead of it",
            "The job starts after the jobs ahead of it, as soon as its compute environments have "
            "room for it.",
        )
    if head and position is None and len(head.jobs) >= _HEAD_JOBS:
        yield (
            f"more than {_HEAD_JOBS} jobs ahead of it",
            "The job starts after the jobs ahead of it. AWS Batch reports the position of the "
            f"first {_HEAD_JOBS} jobs of a queue only.",
        )
    yield None, f"{_NOT_FOUND}{_checked(environment)}" if environment else stated.explanation


def _stated(job: Job) -> PendingReason:
    """Return the explanation of the job by its own record."""
    return explain(
        job.status,
        job.details.status_reason,
        is_service=job.is_service,
        is_cancelled=bool(job.details.is_cancelled),
        is_terminated=bool(job.details.is_terminated),
    )


def _too_large(job: Job, usable: list[Environment]) -> tuple[str, str] | None:
    """Return the cause if it is certain: all environments have a limit, and the job alone exceeds
    it. The vCPUs of a multi-node job are those of one node, so it may need more than they show."""
    vcpus = job.details.resources.vcpus if job.details.resources else 0
    limits = [each.max_vcpus for each in usable if each.max_vcpus is not None]
    if not limits or len(limits) < len(usable) or vcpus <= max(limits):
        return None
    return (
        "it requests more vCPUs than its compute environments may have",
        f"The job requests {vcpus:g} vCPUs, and the compute environments of its queue have at most "
        f"{max(limits)}. Increase maxvCpus, or reduce the job's request: as it is, it can't start.",
    )


def _shortages(
    description: Description, environment: QueueEnvironment | None
) -> list[tuple[ConsumableNeed, ConsumableResource]]:
    """Return the consumable resources of which less is available than the job needs."""
    resources = {each.name: each for each in (environment.consumables if environment else ())}
    return [
        (need, resources[need.name])
        for need in description.consumables
        if need.name in resources and need.quantity > resources[need.name].available
    ]


def _lacking(need: ConsumableNeed, resource: ConsumableResource) -> tuple[str, str]:
    return (
        f"it needs more of consumable resource {need.name} than there is",
        f"The job needs {need.quantity} of the consumable resource {need.name}, whose total is "
        f"{resource.total}. Increase its quantity, or reduce the job's request: as it is, it can't "
        "start.",
    )


def _exhausted(need: ConsumableNeed, resource: ConsumableResource) -> tuple[str, str]:
    amount = f"{resource.available} of {resource.total}"
    return (
        f"consumable resource {need.name} is exhausted ({amount} available)",
        f"The job needs {need.quantity} of the consumable resource {need.name}, of which {amount} "
        "are available. It starts when others end.",
    )


def _share(
    description: Description, environment: QueueEnvironment | None
) -> Iterator[tuple[str, str]]:
    name = description.quota_share_name
    for share in environment.shares if environment else ():
        if share.name != name:
            continue
        if share.state == DISABLED:
            yield (
                f"quota share {name} is DISABLED",
                "Jobs of a quota share that is DISABLED don't start. Enable it to continue.",
            )
        elif share.most is not None and share.is_at_quota:
            amount = f"{share.in_use:g} of {share.most:g} {share.unit}"
            yield (
                f"quota share {name} is at its quota ({amount})",
                f"The jobs of quota share {name} use all that it may use ({amount}). The job "
                "starts when others of its share end. Increase the capacity limit of the share to "
                "run more jobs at once.",
            )


def _at_limit(usable: list[Environment]) -> tuple[str, str]:
    limits = ", ".join(
        f"{each.name} {each.desired_vcpus} of {each.max_vcpus} vCPUs" for each in usable
    )
    return (
        "the compute environments are at their limit",
        f"All vCPUs that the compute environments may have are in use ({limits}). The job starts "
        "when others end. Increase maxvCpus to run more jobs at once.",
    )


def _cancelled_at(
    job: Job, environment: QueueEnvironment | None, head: QueueHead | None
) -> int | None:
    """Return when the queue's time limit ends the job, if it is at the head of the queue and AWS
    Batch states the reason of the limit."""
    if environment is None or head is None or head.position(job.job_id) != 1:
        return None
    reason = job.details.status_reason or ""
    limits = [
        limit.max_seconds * 1000
        for limit in environment.time_limits
        if reason.startswith(limit.reason)
    ]
    return head.jobs[0].since + min(limits) if limits else None


def _checked(environment: QueueEnvironment) -> str:
    checked = [f"the queue ({environment.state}, {environment.status})"]
    checked += [
        f"{each.name} ({each.state}, {each.status}"
        + (f", {each.desired_vcpus} of {each.max_vcpus} vCPUs" if each.max_vcpus else "")
        + ")"
        for each in environment.environments
    ]
    checked += [
        f"{each.name} ({each.available} of {each.total} available)"
        for each in environment.consumables
    ]
    return "; ".join(checked) + "."


_NOT_FOUND = (
    "The job is ready to run, and no reason was found for which it waits. AWS Batch may be "
    "starting an instance for it. Checked: "
)
