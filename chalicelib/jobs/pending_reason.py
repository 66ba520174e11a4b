"""Explains why a job does not start or does not end, in plain words and with the next step.

AWS Batch reports why the job at the head of a blocked queue can't start: a code, in the job's
`statusReason` and in the Job Queue Blocked event. A job without a code is explained by its status.
For jobs that have failed, see `failure`.

This module is pure: it must not know events, records, AWS clients, the clock or the environment.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from chalicelib.jobs.job import JobStatus


class PendingReason(NamedTuple):
    """The cause, or None if AWS Batch reports none, and an explanation with the next step.

    The cause follows a colon, as in "gpu is blocked: AWS Batch lacks permissions".
    """

    cause: str | None
    explanation: str


def explain(
    status: str,
    status_reason: str | None,
    *,
    is_service: bool = False,
    is_cancelled: bool = False,
    is_terminated: bool = False,
) -> PendingReason:
    """Return why a job is still in `status`, by the code at the beginning of its reason if that is
    known. The queue of a service job has no compute environments."""
    if (is_cancelled or is_terminated) and status in _ENDS:
        request = "cancelled" if is_cancelled else "terminated"
        return PendingReason(f"it was {request}", f"The job was {request}. {_ENDS[status]}")
    reason = (status_reason or "").strip()
    reasons = {**_REASONS, **_OF_SERVICE_JOBS} if is_service else _REASONS
    known = (pending for code, pending in reasons.items() if reason.startswith(code))
    statuses = {**_STATUSES, **_STATUSES_OF_SERVICE_JOBS} if is_service else _STATUSES
    return next(known, None) or PendingReason(None, statuses.get(status, _UNEXPLAINED))


_NO_TRAINING_CAPACITY: Final = PendingReason(
    "AWS has no free capacity",
    "SageMaker has no free instances of the type that the job requests. It may have some later. "
    "Request another instance type, or fewer instances.",
)
"""AWS Batch words this reason differently for a queue with service environments."""

# The codes of "Jobs stuck in a RUNNABLE status" in the user guide, each before its general form.
_REASONS: Final[Mapping[str, PendingReason]] = {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Unable to provision requested compute resources": (
        _NO_TRAINING_CAPACITY
    ),
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY": PendingReason(
        "AWS has no free capacity",
        "AWS has no free instances of the types that the compute environments allow. It may have "
        "some later. Allow more instance types, sizes and Availability Zones, or On-Demand "
        "instances in addition to Spot.",
    ),
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE": PendingReason(
        "the job requests more vCPUs than the compute environments allow",
        "The job requests more vCPUs than the maxvCpus of any compute environment of its queue, so "
        "it can't start. Increase maxvCpus, or reduce what the job requests.",
    ),
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT": PendingReason(
        "no instance type is large enough for the job",
        "None of the instance types of the compute environments has the vCPUs, memory and GPUs "
        "that the job requests, so it can't start. Allow larger instance types, or reduce what the "
        "job requests. An instance needs a part of its memory for itself.",
    ),
    "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS": PendingReason(
        "AWS Batch lacks permissions",
        "The service role of the compute environments lacks permissions. Compare it with AWS's "
        "managed policy, or use the service-linked role AWSServiceRoleForBatch. Cancelling the "
        "job does not help, because the next one will be blocked too.",
    ),
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED": PendingReason(
        "its instances can't be launched",
        "An instance type of the compute environment is not offered in its Availability Zones, or "
        "contradicts its launch template. Check both. Newer instance types are offered in more "
        "Availability Zones.",
    ),
    "MISCONFIGURATION:SERVICE_ENVIRONMENT_MAX_RESOURCE": PendingReason(
        "the job requests more than the service environment's capacity limit",
        "The job requests more instances than the capacity limit of any service environment of its "
        "queue allows, so it can't start. Increase maxCapacity of the service environment, or "
        "request fewer instances.",
    ),
    "MISCONFIGURATION:QUOTA_MANAGEMENT_LIMIT_EXCEEDED": PendingReason(
        "the job requests more than its quota share allows",
        "The job requests more capacity than the limit of its quota share, so it can't start. "
        "Increase the capacity limit of the quota share, or request fewer instances.",
    ),
    "MISCONFIGURATION": PendingReason(
        "a compute environment is misconfigured",
        "AWS Batch reports a misconfiguration without details. Compare what the job requests with "
        "what the compute environments of its queue can launch.",
    ),
    "CAPACITY": PendingReason(
        "AWS has no free capacity",
        "AWS has no capacity for the job at the moment. It may have some later.",
    ),
    "ACTION_REQUIRED": PendingReason(
        "its compute environments are invalid",
        "All compute environments of the queue are invalid, most often because a role or a launch "
        "template is missing or misspelled. The AWS Batch console shows the reason for each. A "
        "compute environment stays invalid until you correct it.",
    ),
    "UNDETERMINED": PendingReason(
        "AWS Batch could not determine why",
        "AWS Batch reports that the queue is blocked, but not why. Most often instances start but "
        "don't join the cluster: check their network route, their instance role, the ECS agent and "
        "its awslogs driver, and the account's EC2 limits.",
    ),
}

_OF_SERVICE_JOBS: Final[Mapping[str, PendingReason]] = {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY": _NO_TRAINING_CAPACITY,
    "MISCONFIGURATION": PendingReason(
        "its service environment is misconfigured",
        "AWS Batch reports a misconfiguration without details. Compare what the job requests with "
        "the capacity limits of the service environments of its queue.",
    ),
    "ACTION_REQUIRED": PendingReason(
        "its service environments are invalid",
        "All service environments of the queue are invalid. The AWS Batch console shows the reason "
        "for each.",
    ),
    "UNDETERMINED": PendingReason(
        "AWS Batch could not determine why",
        "AWS Batch reports that the queue is blocked, but not why. Check the service environments "
        "of the queue and the account's SageMaker quotas.",
    ),
}
"""The codes whose explanation is different for a queue with service environments."""

_STATUSES_OF_SERVICE_JOBS: Final[Mapping[str, str]] = {
    JobStatus.RUNNABLE: "The job is ready to run and waits for its turn and for capacity. Other "
    "jobs may be ahead of it. If not, check that the service environments of its queue are "
    "enabled, valid and below their capacity limits.",
    JobStatus.STARTING: "SageMaker prepares the instances of the training job. Large images and "
    "data sets take long to load.",
}

_ENDS: Final[Mapping[str, str]] = {
    JobStatus.SUBMITTED: "AWS Batch is ending it.",
    JobStatus.PENDING: "AWS Batch ends it when the jobs have ended that it depends on or, if it is "
    "an array, its children.",
    JobStatus.RUNNABLE: "AWS Batch ends it when it comes to the head of its queue.",
    JobStatus.SCHEDULED: "AWS Batch is stopping it.",
    JobStatus.STARTING: "AWS Batch is stopping it.",
}
"""When a job that was cancelled or terminated ends."""

_STATUSES: Final[Mapping[str, str]] = {
    JobStatus.SUBMITTED: "AWS Batch has accepted the job but not evaluated it yet, which usually "
    "takes seconds. Check the job in the AWS Batch console.",
    JobStatus.PENDING: "The job waits for other jobs: those that it depends on or, if it is an "
    "array, its children. Check those jobs.",
    JobStatus.RUNNABLE: "The job is ready to run and waits for its turn and for an instance. Other "
    "jobs may be ahead of it. If not, check that the compute environments of its queue are "
    "enabled, valid and below their maxvCpus.",
    JobStatus.SCHEDULED: "The job is scheduled and waits for the service that will run it.",
    JobStatus.STARTING: "The job has an instance, but its container has not started. Large images "
    "take long to pull. If that is not the reason, check the network route to the registry and to "
    "CloudWatch Logs.",
    JobStatus.RUNNING: "The program runs longer than jobs of this name usually do. Its log shows "
    "whether it makes progress. To end such jobs, set a timeout in the job definition.",
}

_UNEXPLAINED: Final = "Check the job in the AWS Batch console."
