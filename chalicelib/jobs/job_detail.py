"""AWS Batch's JobDetail, or what it has for service jobs, becomes an observation of a job.

The one place that knows JobDetail's shapes, which events and DescribeJobs share: plain jobs,
arrays, multi-node jobs, EKS, ECS with several containers, Fargate, and the shape of 2017; and
DescribeServiceJob's, which the events of service jobs share.
Fields that we don't know are ignored, statuses that we don't know are kept: AWS announces both.
Whatever leaves this module is redacted and capped.

Pure: knows nothing of envelopes, queues, tables, the clock or the environment.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Struct

from chalicelib.errors import MalformedEvent
from chalicelib.jobs.job import (
    BATCH_LOG_GROUP,
    ArrayFacts,
    Attempt,
    Description,
    Details,
    JobId,
    JobStatus,
    Observation,
    Resources,
    ServiceFacts,
    Source,
)
from chalicelib.redaction import Redaction

TEXT, NAME, COMMAND, ENTRIES, ATTEMPTS, MAPPING_BYTES = 1_024, 200, 8_192, 100, 20, 65_536
"""Caps: characters of a text, a name and a whole command, entries of a mapping, attempts (Batch
allows ten), bytes of a mapping. Whatever an event holds, a job's items stay far below DynamoDB's
400 KB and its name below the 1,024 bytes of a sort key."""

LATEST = 253_402_300_799_999
"""Milliseconds since the epoch: the end of the year 9999, the last that RFC 3339 can write."""
Milliseconds = Annotated[int, Meta(ge=0, le=LATEST)]
Int32 = Annotated[int, Meta(ge=-(2**31), lt=2**31)]


class CamelStruct(Struct, rename="camel"):
    pass


class _Pair(Struct):
    name: str = ""
    value: str | None = None


class _Resource(Struct):
    type: str
    value: str


class _LogConfiguration(CamelStruct):
    log_driver: str | None = None
    options: dict[str, str | None] | None = None


class _EksResources(Struct):
    limits: dict[str, str] | None = None
    requests: dict[str, str] | None = None


class _Container(CamelStruct):
    """A container of a job, a node, a task, a pod or an attempt; ECS's fields and EKS's."""

    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    vcpus: float | None = None
    memory: Int32 | None = None
    resource_requirements: list[_Resource] | None = None
    resources: _EksResources | None = None
    environment: list[_Pair] | None = None
    env: list[_Pair] | None = None
    exit_code: Int32 | None = None
    reason: str | None = None
    log_stream_name: str | None = None
    log_configuration: _LogConfiguration | None = None


class _Containers(CamelStruct):
    """Any of the shapes that hold containers: a job, a node range, a task, a pod, an attempt."""

    container: _Container | None = None
    containers: list[_Container] | None = None
    task_properties: "list[_Containers] | None" = None
    ecs_properties: "_Containers | None" = None
    eks_properties: "_Containers | None" = None
    pod_properties: "_Containers | None" = None

    def all(self) -> list[_Container]:
        inner = (*(self.task_properties or ()), self.ecs_properties, self.eks_properties)
        found = [self.container, *(self.containers or ())]
        for holder in (*inner, self.pod_properties):
            found += holder.all() if holder else ()
        return [container for container in found if container]


class _ServiceResource(CamelStruct):
    value: str


class _Attempt(_Containers, kw_only=True):
    started_at: Milliseconds | None = None
    stopped_at: Milliseconds | None = None
    status_reason: str | None = None
    service_resource_id: _ServiceResource | None = None

    @property
    def resource(self) -> str | None:
        return self.service_resource_id.value if self.service_resource_id else None

    @property
    def identity(self) -> object:
        """What tells it from the other attempts of its service job."""
        return self.resource or (self.started_at, self.stopped_at)


class _ArrayProperties(CamelStruct):
    size: Int32 | None = None
    index: Int32 | None = None
    status_summary: dict[str, Int32] | None = None


class _NodeProperties(CamelStruct):
    num_nodes: Int32 | None = None
    node_range_properties: list[_Containers] | None = None


class _RetryStrategy(CamelStruct):
    attempts: Int32 | None = None


class _Timeout(CamelStruct):
    attempt_duration_seconds: Int32 | None = None


class JobDetail(_Containers, kw_only=True):
    job_id: str
    job_name: str
    job_queue: str
    status: str
    status_reason: str | None = None
    job_definition: str | None = None
    created_at: Milliseconds | None = None
    started_at: Milliseconds | None = None
    stopped_at: Milliseconds | None = None
    attempts: list[_Attempt] | None = None
    eks_attempts: list[_Attempt] | None = None
    node_properties: _NodeProperties | None = None
    array_properties: _ArrayProperties | None = None
    parameters: dict[str, str | None] | None = None
    tags: dict[str, str | None] | None = None
    retry_strategy: _RetryStrategy | None = None
    timeout: _Timeout | None = None
    platform_capabilities: list[str] | None = None

    @property
    def listed(self) -> list[_Attempt]:
        return [*(self.attempts or ()), *(self.eks_attempts or ())]

    @property
    def finished(self) -> int:
        return _finished(self.listed)


class PreemptionSummary(CamelStruct):
    """The attempts of a service job that were preempted: how many, and the last few of them."""

    preempted_attempt_count: Int32 | None = None
    recent_preempted_attempts: list[_Attempt] | None = None

    @property
    def recent(self) -> list[_Attempt]:
        return self.recent_preempted_attempts or []

    @property
    def count(self) -> int:
        told = self.preempted_attempt_count
        return len(self.recent) if told is None else told


class ServiceJobDetail(JobDetail, kw_only=True):
    service_job_type: str = "UNKNOWN"
    timeout: _Timeout | None = msgspec.field(default=None, name="timeoutConfig")
    latest_attempt: _Attempt | None = None
    preemption_summary: PreemptionSummary | None = None

    @property
    def listed(self) -> list[_Attempt]:
        """In order of time. Preempted attempts are apart; of the one that goes on nothing is told
        but what runs it."""
        ended = sorted([*self._unpreempted, *self._preempted.recent], key=_place_in_time)
        latest = self.latest_attempt
        if latest is None or self.status not in _UNDER_WAY:
            return ended
        known = {attempt.identity for attempt in ended}
        began = self.started_at if self.status == JobStatus.RUNNING else None
        going_on = _Attempt(started_at=began, service_resource_id=latest.service_resource_id)
        return ended if latest.identity in known else [*ended, going_on]

    @property
    def finished(self) -> int:
        return _finished(self._unpreempted) + self._preempted.count

    @property
    def _preempted(self) -> PreemptionSummary:
        return self.preemption_summary or PreemptionSummary()

    @property
    def _unpreempted(self) -> list[_Attempt]:
        """Nobody says whether Batch lists a preempted attempt among the others too."""
        preempted = {attempt.identity for attempt in self._preempted.recent}
        return [one for one in self.attempts or () if one.identity not in preempted]


_UNDER_WAY = {JobStatus.SCHEDULED, JobStatus.STARTING, JobStatus.RUNNING}


def _finished(attempts: Sequence[_Attempt]) -> int:
    """Some events list the attempt that is running, others don't: only `stoppedAt` tells."""
    return sum(attempt.stopped_at is not None for attempt in attempts)


def _place_in_time(attempt: _Attempt) -> tuple[bool, int]:
    return attempt.stopped_at is None, attempt.stopped_at or 0


def observe(detail: JobDetail, *, time: int, source: Source, redaction: Redaction) -> Observation:
    """What `detail` says of its job, as said at `time` (epoch milliseconds).

    Raises MalformedEvent if it does not say which job, in which queue and status.
    """
    description = _description(detail, redaction)
    attempts = tuple(_attempt(attempt, redaction) for attempt in detail.listed[-ATTEMPTS:])
    ending = _ending(detail.all(), redaction)
    last = attempts[-1] if attempts else Attempt()
    if ending == (last.exit_code, last.reason, last.log_stream_name):
        ending = _Ending()
    return Observation(
        job_id=checked_job_id(detail.job_id),
        details=Details(
            status=required("status", detail.status),
            generation=detail.finished,
            time=time,
            source=source,
            job_name=required("jobName", detail.job_name),
            job_queue=checked_job_queue(detail.job_queue),
            job_definition=_cut(detail.job_definition, TEXT),
            status_reason=redacted_text(detail.status_reason, redaction),
            created_at=detail.created_at,
            started_at=detail.started_at,
            stopped_at=detail.stopped_at,
            attempts=attempts,
            **ending._asdict(),
            log_group=_log_group(detail),
            array=_array(detail.array_properties),
            nodes=detail.node_properties.num_nodes if detail.node_properties else None,
            description=digest(description),
            service=_service(detail),
            resources=_resources(description),
        ),
        description=description,
    )


def digest(description: Description) -> str:
    """A description's address: the same content, the same digest (64 bits, within one root)."""
    return sha256(msgspec.json.encode(description)).hexdigest()[:16]


def _description(detail: JobDetail, redaction: Redaction) -> Description:
    containers = detail.all() or _containers_of_first_node(detail.node_properties)
    first = containers[0] if containers else _Container()
    command = redaction.command([*(first.command or ()), *(first.args or ())])
    return Description(
        image=redacted_text(first.image, redaction),
        command=_within(command, COMMAND),
        vcpus=_total(_vcpus(container) for container in containers),
        memory=_whole(_total(_memory(container) for container in containers)),
        gpus=_whole(_total(_gpus(container) for container in containers)),
        environment=_environment_names(first),
        parameters=_mapping(detail.parameters, redaction),
        tags=_mapping(_tags(detail), redaction),
        retry_attempts=detail.retry_strategy.attempts if detail.retry_strategy else None,
        timeout_seconds=detail.timeout.attempt_duration_seconds if detail.timeout else None,
        platform=_cut(next(iter(detail.platform_capabilities or ()), None), NAME),
    )


def _tags(detail: JobDetail) -> Mapping[str, str | None] | None:
    """DescribeServiceJob tells a service job's and its events don't: they would come and go."""
    return None if isinstance(detail, ServiceJobDetail) else detail.tags


def _service(detail: JobDetail) -> ServiceFacts | None:
    if not isinstance(detail, ServiceJobDetail):
        return None
    resources = tuple(_cut(attempt.resource, TEXT) for attempt in detail.listed[-ATTEMPTS:])
    return ServiceFacts(required("serviceJobType", detail.service_job_type), resources)


def _resources(description: Description) -> Resources | None:
    known = description.vcpus or 0, description.memory or 0, description.gpus or 0
    return Resources(*known) if any(known) else None


def _attempt(attempt: _Attempt, redaction: Redaction) -> Attempt:
    return Attempt(
        started_at=attempt.started_at,
        stopped_at=attempt.stopped_at,
        status_reason=redacted_text(attempt.status_reason, redaction),
        **_ending(attempt.all(), redaction)._asdict(),
    )


class _Ending(NamedTuple):
    """How a container ended, and where its log is."""

    exit_code: int | None = None
    reason: str | None = None
    log_stream_name: str | None = None


def _ending(containers: Sequence[_Container], redaction: Redaction) -> _Ending:
    """Of the container that tells why: one that failed, else one that never ran, else the first."""
    failed = (container for container in containers if container.exit_code)
    unstarted = (c for c in containers if c.exit_code is None and c.reason)
    telling = next(failed, None) or next(unstarted, None) or next(iter(containers), None)
    if telling is None:
        return _Ending()
    stream = _cut(telling.log_stream_name, TEXT)
    return _Ending(telling.exit_code, redacted_text(telling.reason, redaction), stream)


def _containers_of_first_node(nodes: _NodeProperties | None) -> list[_Container]:
    ranges = (nodes.node_range_properties if nodes else None) or ()
    return ranges[0].all() if ranges else []


def _log_group(detail: JobDetail) -> str | None:
    """None where no CloudWatch log of Batch's is to be expected: EKS, a multi-node parent, a
    service job, other drivers."""
    container = detail.container
    if container is None:
        return None
    configuration = container.log_configuration
    if configuration is None:
        return BATCH_LOG_GROUP
    if configuration.log_driver not in (None, "awslogs"):
        return None
    return _cut((configuration.options or {}).get("awslogs-group"), TEXT) or BATCH_LOG_GROUP


def _array(properties: _ArrayProperties | None) -> ArrayFacts | None:
    if properties is None or (properties.size is None and properties.index is None):
        return None
    counts = sorted((properties.status_summary or {}).items())[:ENTRIES]
    summary = {status[:NAME]: count for status, count in counts}
    return ArrayFacts(properties.size, properties.index, summary)


def _environment_names(container: _Container) -> tuple[str, ...]:
    variables = [*(container.environment or ()), *(container.env or ())]
    return tuple(sorted(variable.name[:NAME] for variable in variables)[:ENTRIES])


def _vcpus(container: _Container) -> float | None:
    return _requirement(container, "VCPU", "cpu") or container.vcpus


def _memory(container: _Container) -> float | None:
    """In MiB, as Batch gives it; Kubernetes gives bytes."""
    kubernetes = _requirement(container, None, "memory")
    if kubernetes:
        return kubernetes / 2**20
    return _requirement(container, "MEMORY", None) or container.memory


def _gpus(container: _Container) -> float | None:
    return _requirement(container, "GPU", "nvidia.com/gpu")


def _requirement(container: _Container, batch: str | None, kubernetes: str | None) -> float | None:
    for wanted in container.resource_requirements or ():
        if wanted.type == batch:
            return _quantity(wanted.value)
    resources = container.resources or _EksResources()
    for quantities in (resources.limits, resources.requests):
        if kubernetes and quantities and kubernetes in quantities:
            return _quantity(quantities[kubernetes])
    return None


_QUANTITY = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_UNITS = {"m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


def _quantity(text: str) -> float | None:
    """A number as Batch writes it ("2", "0.5"), or Kubernetes ("500m", "1024Mi")."""
    found = _QUANTITY.fullmatch(text)
    return float(found[1]) * _UNITS.get(found[2], 1) if found else None


def _total(amounts: Iterable[float | None]) -> float | None:
    known = [amount for amount in amounts if amount is not None]
    return sum(known) if known else None


def _whole(amount: float | None) -> int | None:
    return None if amount is None else round(amount)


def checked_job_id(text: str) -> str:
    try:
        JobId.parse(text)
    except ValueError as error:
        raise MalformedEvent(f"jobId {error}") from error
    return text


def checked_job_queue(text: str) -> str:
    """Its name goes into keys, so it must be one."""
    if not _JOB_QUEUE.fullmatch(text):
        raise MalformedEvent("jobQueue is neither the ARN nor the name of a job queue")
    return text


_JOB_QUEUE = re.compile(r"(arn:[^/#\s]{1,256}/)?[A-Za-z0-9_.-]{1,128}")


def required(field: str, value: str) -> str:
    if not value.strip():
        raise MalformedEvent(f"{field} is empty")
    return value[:NAME]


def redacted_text(value: str | None, redaction: Redaction) -> str | None:
    return _cut(redaction.text(value), TEXT) if value else None


def _mapping(values: Mapping[str, str | None] | None, redaction: Redaction) -> dict[str, str]:
    """Sorted, so that equal descriptions have equal digests. `resourceArn` is no tag of the
    job's: only events carry it."""
    given = {key: value for key, value in (values or {}).items() if value is not None}
    given.pop("resourceArn", None)
    kept: dict[str, str] = {}
    room = MAPPING_BYTES
    for key, value in sorted(redaction.mapping(given).items())[:ENTRIES]:
        room -= len(key[:NAME].encode()) + len(value[:TEXT].encode())
        if room < 0:
            break
        kept[key[:NAME]] = value[:TEXT]
    return kept


def _within(arguments: Sequence[str], characters: int) -> tuple[str, ...]:
    kept: list[str] = []
    for argument in arguments:
        if characters <= 0:
            kept.append("…")
            break
        kept.append(argument[:characters])
        characters -= len(argument) + 1
    return tuple(kept)


def _cut(value: str | None, characters: int) -> str | None:
    return value[:characters] if value else None
