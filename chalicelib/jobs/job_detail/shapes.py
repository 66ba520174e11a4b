"""The shapes in which AWS Batch describes jobs: JobDetail, service jobs, and preemptions.

Events and DescribeJobs share JobDetail: plain jobs, arrays, multi-node jobs, EKS, ECS with several
containers, Fargate, and the shape of 2017. The events of service jobs share DescribeServiceJob's.
Unknown fields are ignored and unknown statuses are accepted, because AWS announces that it will add
both.

This module decodes and must not interpret; `observation` does.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from chalicelib.jobs.job import JobStatus

MAX_TIME = 253_402_300_799_999
"""Epoch milliseconds at the end of the year 9999, the last one that RFC 3339 can express."""
Milliseconds = Annotated[int, Meta(ge=0, le=MAX_TIME)]
Int32 = Annotated[int, Meta(ge=-(2**31), lt=2**31)]


class CamelStruct(Struct, rename="camel"):
    """A struct with AWS's names of fields: `job_id` is `jobId`."""


class NameValue(Struct):
    name: str = ""
    value: str | None = None


class ResourceRequirement(Struct):
    type: str
    value: str


class LogConfiguration(CamelStruct):
    log_driver: str | None = None
    options: dict[str, str | None] | None = None


class EksResources(Struct):
    limits: dict[str, str] | None = None
    requests: dict[str, str] | None = None


class EphemeralStorage(Struct):
    size: Int32 | None = msgspec.field(default=None, name="sizeInGiB")


class RuntimePlatform(CamelStruct):
    cpu_architecture: str | None = None


class Container(CamelStruct):
    """A container of a job, a node, a task, a pod or an attempt, with the fields of ECS and EKS."""

    name: str | None = None
    essential: bool | None = None
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    vcpus: float | None = None
    memory: Int32 | None = None
    resource_requirements: list[ResourceRequirement] | None = None
    resources: EksResources | None = None
    environment: list[NameValue] | None = None
    env: list[NameValue] | None = None
    exit_code: Int32 | None = None
    reason: str | None = None
    log_stream_name: str | None = None
    log_configuration: LogConfiguration | None = None
    job_role_arn: str | None = None
    execution_role_arn: str | None = None
    secrets: list[NameValue] | None = None
    ephemeral_storage: EphemeralStorage | None = None
    runtime_platform: RuntimePlatform | None = None
    task_arn: str | None = None

    @property
    def is_empty(self) -> bool:
        """AWS Batch sends such a container for a job that has several ones elsewhere."""
        return replace(self, task_arn=None) == Container()

    @property
    def is_essential(self) -> bool:
        """AWS treats a container as essential unless it is declared not to be."""
        return self.essential is not False


class Containers(CamelStruct):
    """Any shape that contains containers: a job, a node range, a task, a pod or an attempt."""

    container: Container | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    task_properties: "list[Containers] | None" = None
    ecs_properties: "Containers | None" = None
    eks_properties: "Containers | None" = None
    pod_properties: "Containers | None" = None
    task_arn: str | None = None
    task_role_arn: str | None = None
    execution_role_arn: str | None = None
    ephemeral_storage: EphemeralStorage | None = None
    runtime_platform: RuntimePlatform | None = None

    def all_containers(self) -> list[Container]:
        tasks = self.task_properties or ()
        found = [self.container, *(self.containers or ())]
        for inner in (*tasks, self.ecs_properties, self.eks_properties, self.pod_properties):
            found += inner.all_containers() if inner else ()
        return [container for container in found if container and not container.is_empty]

    @property
    def all_task_arns(self) -> list[str]:
        """Return the ARNs of the ECS tasks of an attempt."""
        found = [self.task_arn, self.container and self.container.task_arn]
        found += [task.task_arn for task in self.task_properties or ()]
        return [arn for arn in found if arn]

    def all_init_containers(self) -> list[Container]:
        """Return the containers that have to succeed before those of a pod start."""
        return self.init_containers or []


class ServiceResource(CamelStruct):
    value: str


class Dated(Containers, kw_only=True):
    """A shape with dates. AWS sends 0 for some that it doesn't know: 0 is not a date."""

    started_at: Milliseconds | None = None
    stopped_at: Milliseconds | None = None

    def __post_init__(self) -> None:
        self.started_at = self.started_at or None
        self.stopped_at = self.stopped_at or None


class AttemptDetail(Dated, kw_only=True):
    status_reason: str | None = None
    service_resource_id: ServiceResource | None = None
    pod_name: str | None = None
    pod_namespace: str | None = None
    node_name: str | None = None
    eks_cluster_arn: str | None = None

    @property
    def resource(self) -> str | None:
        """The ARN of the training job that ran the attempt of a service job."""
        return self.service_resource_id.value if self.service_resource_id else None

    @property
    def identity(self) -> object:
        """A value that distinguishes the attempt from the other attempts of its service job."""
        return self.resource or (self.started_at, self.stopped_at)


class ArrayProperties(CamelStruct):
    size: Int32 | None = None
    index: Int32 | None = None
    status_summary: dict[str, Int32] | None = None


class NodeRange(Containers, kw_only=True):
    """The nodes `first:last`, `first:`, `:last` or `node`."""

    target_nodes: str | None = None

    def contains(self, node: int) -> bool:
        first, colon, last = (self.target_nodes or ":").partition(":")
        lowest = int(first) if first.isdecimal() else 0
        highest = int(last) if last.isdecimal() else node if colon else lowest
        return lowest <= node <= highest


class NodeProperties(CamelStruct):
    num_nodes: Int32 | None = None
    main_node: Int32 | None = None
    node_range_properties: list[NodeRange] | None = None


class EvaluateOnExit(CamelStruct):
    action: str
    on_exit_code: str | None = None
    on_reason: str | None = None
    on_status_reason: str | None = None


class RetryStrategy(CamelStruct):
    attempts: Int32 | None = None
    evaluate_on_exit: list[EvaluateOnExit] | None = None


class DependsOn(CamelStruct):
    job_id: str | None = None
    type: str | None = None


class ConsumableResource(CamelStruct):
    consumable_resource: str | None = None
    quantity: int | None = None


class ConsumableResources(CamelStruct):
    consumable_resource_list: list[ConsumableResource] | None = None


class Timeout(CamelStruct):
    attempt_duration_seconds: Int32 | None = None


class JobDetail(Dated, kw_only=True):
    """A job of any kind but a service job."""

    job_id: str
    job_name: str
    job_queue: str
    status: str
    status_reason: str | None = None
    job_definition: str | None = None
    created_at: Milliseconds | None = None
    is_cancelled: bool | None = None
    is_terminated: bool | None = None
    attempts: list[AttemptDetail] | None = None
    eks_attempts: list[AttemptDetail] | None = None
    node_properties: NodeProperties | None = None
    array_properties: ArrayProperties | None = None
    parameters: dict[str, str | None] | None = None
    tags: dict[str, str | None] | None = None
    retry_strategy: RetryStrategy | None = None
    timeout: Timeout | None = None
    platform_capabilities: list[str] | None = None
    depends_on: list[DependsOn] | None = None
    share_identifier: str | None = None
    scheduling_priority: Int32 | None = None
    consumable_resource_properties: ConsumableResources | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.created_at = self.created_at or None

    @property
    def listed_attempts(self) -> list[AttemptDetail]:
        return [*(self.attempts or ()), *(self.eks_attempts or ())]

    @property
    def finished_attempts(self) -> int:
        """The number of finished attempts, which is the generation of the job's transition."""
        return _finished(self.listed_attempts)


class PreemptionSummary(CamelStruct):
    """The preempted attempts of a service job: their number, and the last few of them."""

    preempted_attempt_count: Int32 | None = None
    recent_preempted_attempts: list[AttemptDetail] | None = None

    @property
    def recent(self) -> list[AttemptDetail]:
        return self.recent_preempted_attempts or []

    @property
    def count(self) -> int:
        count = self.preempted_attempt_count
        return len(self.recent) if count is None else count


class PreemptionConfiguration(CamelStruct):
    preemption_retries_before_termination: Int32 | None = None


class CapacityUsage(CamelStruct):
    """A quantity of instances of a type, which the service job requests."""

    capacity_unit: str | None = None
    quantity: float | None = None


class ServiceJobDetail(JobDetail, kw_only=True):
    """A job that SageMaker runs for AWS Batch."""

    service_job_type: str = "UNKNOWN"
    quota_share_name: str | None = None
    capacity_usage: list[CapacityUsage] | None = None
    preemption_configuration: PreemptionConfiguration | None = None
    timeout: Timeout | None = msgspec.field(default=None, name="timeoutConfig")
    latest_attempt: AttemptDetail | None = None
    preemption_summary: PreemptionSummary | None = None

    @property
    def listed_attempts(self) -> list[AttemptDetail]:
        """The attempts in order of time. AWS lists preempted attempts apart, and of the running
        attempt only the ARN of its training job."""
        ended = sorted([*self._not_preempted, *self._preempted.recent], key=_order_in_time)
        latest = self.latest_attempt
        if latest is None or self.status not in _IN_PROGRESS:
            return ended
        if latest.identity in {attempt.identity for attempt in ended}:
            return ended
        started_at = self.started_at if self.status == JobStatus.RUNNING else None
        resource = latest.service_resource_id
        return [*ended, AttemptDetail(started_at=started_at, service_resource_id=resource)]

    @property
    def finished_attempts(self) -> int:
        return _finished(self._not_preempted) + self._preempted.count

    @property
    def _preempted(self) -> PreemptionSummary:
        return self.preemption_summary or PreemptionSummary()

    @property
    def _not_preempted(self) -> list[AttemptDetail]:
        """The attempts that were not preempted. It is not documented whether AWS lists preempted
        attempts among `attempts` too."""
        preempted = {attempt.identity for attempt in self._preempted.recent}
        return [each for each in self.attempts or () if each.identity not in preempted]


_IN_PROGRESS = {JobStatus.SCHEDULED, JobStatus.STARTING, JobStatus.RUNNING}


def _finished(attempts: Sequence[AttemptDetail]) -> int:
    """Count the attempts with a `stoppedAt`: some events list the running attempt, others don't."""
    return sum(attempt.stopped_at is not None for attempt in attempts)


def _order_in_time(attempt: AttemptDetail) -> tuple[bool, int]:
    return attempt.stopped_at is None, attempt.stopped_at or 0
