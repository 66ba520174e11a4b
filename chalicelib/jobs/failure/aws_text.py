"""The texts of AWS about the end of a job, each matched whole and from its start.

CancelJob and TerminateJob store their caller's `reason` where AWS's own texts stand. A word of AWS
within a caller's text, such as "was running out of memory", must therefore not count. A pattern
ends in `.*` only where AWS itself continues with details.

`container.reason` is never a caller's: ECS or the kubelet sets it, so that it may be an error code
with any details.
"""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

from chalicelib.jobs.failure.cause import EXPLANATIONS, Cause


class Statement(NamedTuple):
    """A cause that a text of AWS states. `explanation` does not quote the text. The cause is
    EXIT_CODE or UNKNOWN where the text explains why no exit code is known."""

    cause: Cause
    explanation: str

    def applies(self, exit_code: int | None) -> bool:
        """Return whether the statement takes precedence over an exit code."""
        return exit_code is None or self.cause not in (Cause.EXIT_CODE, Cause.UNKNOWN)


SAGEMAKER: Final = r"Received status from SageMaker: ?"
"""The beginning of a text that is SageMaker's or the program's: it is quoted and not matched,
except for SageMaker's own beginning. Some texts have no blank after the colon."""

_NO_START: Final = EXPLANATIONS[Cause.CANNOT_START]

_AFTER_START: Final = r": Could not transition to (?:stopped|inspecting)"
_NO_LOG: Final = (
    r"(?:.{0,200}?: )?failed to (?:initialize logging driver|validate logger args"
    r"|create Cloudwatch log stream)"
)

_CANNOT_START: Final = {
    r"ECS was unable to assume the role .+ that was provided for this task\b.*": "ECS could not "
    "assume the job's role. Check that the role exists, that its trust policy allows "
    "ecs-tasks.amazonaws.com, and that the submitter has iam:PassRole on it.",
    r"(?:Unable to start task: )?no Container Instances were found\b.*": "The cluster of the "
    "compute environment had no instance for it. Check that its instances start and join the "
    "cluster, and submit the job again.",
    r"Unable to start task\b.*": "Check the compute environment, and submit the job again.",
    r"Container instance deregistration forced by user\.?": "The instance was removed from its "
    "cluster by force. Submit the job again.",
    r"Compute Environment disabled\.?": "Enable the compute environment, or submit the job to a "
    "queue with another one.",
    r"Unexpected EC2 error while attempting to (?:Create|Attach|Delete) Network Interface\b.*"
    r"|Timeout waiting for network interface provisioning\b.*": "The network interface could not "
    "be created. Check the free addresses of the subnets, the security groups, the permissions of "
    "the service role, and the account's limit of network interfaces.",
    r"Timeout waiting for ephemeral ?storage provisioning\b.*": "The ephemeral storage was not "
    "provisioned in time. Submit the job again, or add a retry strategy.",
    r"You['\u2019]ve reached the limit on the number of vCPUs\b.*": "The account's limit of vCPUs "
    "is reached. Request a higher limit in Service Quotas, or run fewer jobs at once.",
    rf"(?:Docker|ContainerRuntime)TimeoutError(?!{_AFTER_START})\b.*": "Docker on the instance did "
    "not respond in time, most often because its disk is slow or many containers start at once. "
    "Use gp3 volumes with more throughput, larger or fewer containers for each instance, or "
    "smaller images, and add a retry strategy.",
    rf"(?:CannotStartContainerError|ResourceInitializationError): {_NO_LOG}\b.*": "Its log could "
    "not be created. Check that the log group exists in the region, that the role has "
    "logs:CreateLogStream, and the network route to CloudWatch Logs. If CloudWatch Logs was "
    "throttled, add a retry strategy.",
    r"CgroupError\b.*": "The ECS agent could not create the resources of the task on the instance. "
    "Add a retry strategy. If it happens often, use a current ECS-optimized AMI.",
    r"CannotCreateVolumeError\b.*": "A volume could not be created. Check the volumes and mount "
    "points of the job, the file system and its network route.",
    r"CannotStartContainerError\b.*|CannotCreateContainerError\b.*|CreateContainerError\b.*"
    r"|RunContainerError\b.*|ContainerCannotRun\b.*|StartError\b.*": "Check that the command "
    "exists in the image and can be executed, and that its mounts, devices and user are valid.",
    r"CreateContainerConfigError\b.*": "Check the config maps, secrets and environment of the pod.",
    r"ResourceInitializationError\b.*": "A resource that the task needs could not be prepared. "
    "Check the execution role, the secrets, the file systems, the log group and the network route "
    "to them.",
    r"Task failed to start\.?": "The reason that AWS reports does not contain more.",
    r"Container Overrides length must be at most \d+\b.*": "The overrides of the job are too long. "
    "Shorten its command and its environment.",
    rf"{SAGEMAKER}CapacityError\b.*": "SageMaker has no free capacity of the instance type. Submit "
    "the job again later, or request another instance type.",
    rf"{SAGEMAKER}(?:ResourceLimitExceeded\b|The account-level service limit\b).*": "The account's "
    "SageMaker quota for the instance type is reached. Request a higher quota in Service Quotas, "
    "or run fewer training jobs at once.",
    rf"{SAGEMAKER}(?:\w+: )?SageMaker was unable to assume the role\b.*": "SageMaker could not "
    "assume the role of the training job. Check that the role exists, that its trust policy allows "
    "sagemaker.amazonaws.com, and that the submitter has iam:PassRole on it.",
    rf"{SAGEMAKER}ValidationException\b.*": "SageMaker rejected the request of the training job. "
    "The reason names what is invalid.",
    rf"(?:{SAGEMAKER})?AccessDeniedException\b.*": "A permission is missing. The reason names it.",
}

_REGISTRY: Final = (
    r"(?:ResourceInitializationError: )?"
    r"(?:unable to pull (?:secrets or )?registry auth: )?"
    r"(?:execution resource retrieval failed: )?"
    r"(?:unable to (?:retrieve ecr|get) registry auth|"
    r"The task cannot pull (?:registry auth|'[^']{1,300}' from the Amazon ECR))\b.*"
)

_STATED: Final[dict[Cause, str]] = {
    Cause.TIME_LIMIT: r"(?:Cancell?ed|Terminated) by JobStateTimeLimit action"
    r"(?: due to reason: .*)?",
    Cause.QUEUE_DELETED: r"Job ?Queue (?:was )?deleted\.?",
    Cause.DEPENDENCY_FAILED: r"Dependent Job failed\.?",
    Cause.CHILD_FAILED: r"Array Child Job failed\.?",
    Cause.TIMEOUT: r"Job attempt duration exceeded timeout\.?",
    Cause.PREEMPTED: r"[\w-]{1,40} preemption triggered\b.*|PREEMPTION_[A-Z_]+(?:\W.*)?",
    Cause.SPOT_INTERRUPTION: r"Host EC2 (?:\([^()]{1,80}\) )?terminated\.?"
    r"|Your Spot Task was interrupted\.?|Spot ?Interruption\.?",
    Cause.IMAGE_PULL: rf"CannotPull(?:Container|ECRContainer|Image\w*)?Error\b.*|{_REGISTRY}",
    Cause.OUT_OF_MEMORY: r"(?:OutOfMemory(?:Error)?: )?Container killed due to memory usage\.?",
}
"""Texts in any of the three places."""

_OF_CONTAINER: Final[dict[Cause, str]] = {
    Cause.OUT_OF_MEMORY: r"OutOfMemory(?:Error)?(?:: .*)?|OOMKilled",
    Cause.TIMEOUT: r"DeadlineExceeded",
    Cause.IMAGE_PULL: r"CannotPull\w*: .*|ErrImagePull|ImagePullBackOff|InvalidImageName",
}
"""Error codes of ECS and Kubernetes, which only a container's reason contains."""

# Texts that count only if no exit code is known.
_END_UNKNOWN: Final = {
    r"(?:CannotInspectContainerError|CannotStopContainerError)\b.*"
    rf"|(?:Docker|ContainerRuntime)TimeoutError{_AFTER_START}\b.*": "The container ran, but Docker "
    "on the instance did not report how it ended, most often because the instance's disk is slow. "
    "See the end of its log. Use gp3 volumes with more throughput or fewer containers for each "
    "instance, and add a retry strategy.",
}
_TRAINING_FAILED: Final = {
    rf"{SAGEMAKER}AlgorithmError\b.*": Statement(
        Cause.EXIT_CODE,
        "SageMaker reports that the program failed, without an exit code. See the end of its log.",
    ),
    rf"{SAGEMAKER}InternalServerError\b.*": Statement(
        Cause.UNKNOWN,
        "SageMaker had an internal error. Submit the job again, or add a retry strategy for such "
        "errors.",
    ),
    rf"{SAGEMAKER}ClientError\b.*": Statement(
        Cause.UNKNOWN,
        "SageMaker could not run the training job with its configuration or its data. The reason "
        "names why.",
    ),
}

_NEUTRAL: Final = (
    r"Essential container in task exited\b.*|Received status from SageMaker\b.*"
    r"|(?-i:CAPACITY|MISCONFIGURATION|ACTION_REQUIRED|UNDETERMINED)\b.*"
    r"|AlgorithmError\b.*|InternalServerError\b.*"
)
"""Texts of AWS that state none of the causes."""


_STATEMENTS: Final = [
    *((text, Statement(cause, EXPLANATIONS[cause])) for cause, text in _STATED.items()),
    *(
        (text, Statement(Cause.CANNOT_START, f"{_NO_START} {advice}"))
        for text, advice in _CANNOT_START.items()
    ),
    *_TRAINING_FAILED.items(),
]
_STATEMENTS_OF_CONTAINERS: Final = [
    *((text, Statement(cause, EXPLANATIONS[cause])) for cause, text in _OF_CONTAINER.items()),
    *((text, Statement(Cause.UNKNOWN, words)) for text, words in _END_UNKNOWN.items()),
]
_OF_AWS: Final = "|".join(f"(?:{text})" for text in (*_STATED.values(), *_CANNOT_START, _NEUTRAL))
_ERROR_CODE: Final = re.compile(r"[A-Z][a-z]+[A-Za-z]*(?:Error|Exception)\b")


def stated(text: str | None) -> Statement | None:
    """Return what a `statusReason` states if it is a sentence of AWS."""
    return _first_match(text, _STATEMENTS)


def stated_of_container(text: str | None) -> Statement | None:
    """Return what a container's `reason` states."""
    return _first_match(text, _STATEMENTS) or _first_match(text, _STATEMENTS_OF_CONTAINERS)


def is_of_aws(text: str) -> bool:
    """Return whether a `statusReason` is a text of AWS rather than of a caller."""
    return bool(_pattern(_OF_AWS).fullmatch(text))


def is_end_of_training(text: str | None) -> bool:
    """Return whether SageMaker reports that a training job ended without being stopped."""
    return bool(text and _pattern(rf"{SAGEMAKER}(?! ?Training job stopp).*").fullmatch(text))


def is_error_code(text: str) -> bool:
    """Return whether a text begins with an error code, such as "ClientException: …"."""
    return bool(_ERROR_CODE.match(text))


def _first_match(text: str | None, statements: Iterable[tuple[str, Statement]]) -> Statement | None:
    if not text:
        return None
    found = (statement for source, statement in statements if _pattern(source).fullmatch(text))
    return next(found, None)


@cache
def _pattern(source: str) -> re.Pattern[str]:
    """Compile a pattern at its first use: most functions read no failure."""
    return re.compile(rf"\s*(?:{source})\s*", re.IGNORECASE | re.DOTALL)
