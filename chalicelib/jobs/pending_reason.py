"""Why a job does not get on, and what to do about it, in plain words.

AWS Batch says why the job at the head of a blocked queue can't start: a code, in the job's
`statusReason` and in the queue's Batch Job Queue Blocked event. Jobs that it says nothing about
are explained by the status that they wait in. The failures' side of this is `failure`.

Pure: knows nothing of events, records, AWS clients, the clock or the environment.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from chalicelib.jobs.job import JobStatus


class Hindrance(NamedTuple):
    """`cause` ends a sentence, as in "gpu is blocked: no capacity"; None where nobody knows."""

    cause: str | None
    explanation: str


def explain(status: str, status_reason: str | None) -> Hindrance:
    """Why a job is still in `status`, by what Batch says of it, if anything that is known here."""
    reason = (status_reason or "").strip()
    told = (hindrance for code, hindrance in _REASONS.items() if reason.startswith(code))
    return next(told, None) or Hindrance(None, _STATUSES.get(status, _UNEXPLAINED))


# The codes of the user guide's "Jobs stuck in a RUNNABLE status"; the general after the special.
_REASONS: Final[Mapping[str, Hindrance]] = {
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY": Hindrance(
        "AWS has no capacity for it",
        "AWS has no free instance of the types that the compute environments may use. It may have "
        "one later. More instance types, sizes and Availability Zones help, and On-Demand "
        "instances beside Spot.",
    ),
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE": Hindrance(
        "the job is larger than the compute environments may grow",
        "The job asks for more vCPUs than the maxvCpus of any compute environment of its queue. "
        "Raise maxvCpus, or let the job ask for less: it can't start as it is.",
    ),
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT": Hindrance(
        "no instance type is large enough for the job",
        "None of the instance types of the compute environments has the vCPUs, memory and GPUs "
        "that the job asks for; mind that an instance keeps some memory for itself. Allow larger "
        "types, or let the job ask for less: it can't start as it is.",
    ),
    "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS": Hindrance(
        "AWS Batch lacks permissions",
        "The service role of the compute environments lacks permissions. Compare it with AWS's "
        "managed policy, or use the service-linked role AWSServiceRoleForBatch. Cancelling the "
        "job does not help: the next one will be blocked as well.",
    ),
    "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED": Hindrance(
        "its instances can't be launched",
        "An instance type of the compute environment is not offered in its Availability Zones, or "
        "contradicts its launch template. Check both; newer instance types are offered more "
        "widely.",
    ),
    "MISCONFIGURATION": Hindrance(
        "a compute environment is set up wrongly",
        "AWS Batch says that something is set up wrongly, and not what. Compare what the job asks "
        "for with what the compute environments of its queue may launch.",
    ),
    "CAPACITY": Hindrance(
        "AWS has no capacity for it",
        "AWS has no capacity for the job at the moment. It may have some later.",
    ),
    "ACTION_REQUIRED": Hindrance(
        "its compute environments are invalid",
        "All compute environments of the queue are invalid, most often because a role or launch "
        "template is missing or misspelt. The AWS Batch console says why at each of them; none "
        "recovers by itself.",
    ),
    "UNDETERMINED": Hindrance(
        "AWS Batch can't tell why",
        "AWS Batch sees that the queue is blocked, and can't tell why. Most often instances do "
        "start but don't join the cluster: check their way to the network, their instance role, "
        "the ECS agent and its awslogs driver, and the account's EC2 limits.",
    ),
}

_STATUSES: Final[Mapping[str, str]] = {
    JobStatus.SUBMITTED: "AWS Batch has accepted it and not looked at it yet, which takes seconds "
    "as a rule. Check the job in the AWS Batch console.",
    JobStatus.PENDING: "It waits for other jobs: those that it depends on, or the children of "
    "its own if it is an array. Look at those.",
    JobStatus.RUNNABLE: "It is ready to run and waits for its turn and for a machine. Others may "
    "simply be ahead of it; otherwise check that the compute environments of its queue are "
    "enabled, valid and below their maxvCpus.",
    JobStatus.SCHEDULED: "It has its place and waits for the service that will run it.",
    JobStatus.STARTING: "It has a machine, and its container does not start. Large images take "
    "long to pull; otherwise check the network route to the registry and to CloudWatch Logs.",
    JobStatus.RUNNING: "Its program runs for longer than such jobs do. The log says whether it "
    "still gets on; a timeout in the job definition would end such jobs.",
}

_UNEXPLAINED: Final = "Check the job in the AWS Batch console."
