"""Maps what AWS Batch reports of a job, in an event or in DescribeJobs, to an observation.

Everything that leaves this module is validated, redacted and truncated. Pure: it must not know
envelopes, queues, tables, the clock or the environment.
"""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from chalicelib.jobs.job import (
    ArrayFacts,
    Attempt,
    Capacity,
    ConsumableNeed,
    ContainerEnd,
    Dependency,
    Description,
    Details,
    ExitRule,
    JobId,
    Observation,
    Pod,
    Resources,
    ServiceFacts,
    Source,
    is_terminal,
)
from chalicelib.jobs.job_detail.containers import (
    container_ends,
    defined_containers,
    log_driver,
    log_group,
    main_container,
)
from chalicelib.jobs.job_detail.dates import Dates, dates_of_attempt, dates_of_job
from chalicelib.jobs.job_detail.fields import (
    MAX_ATTEMPTS,
    MAX_ENTRIES,
    MAX_NAME,
    MAX_TEXT,
    checked_job_id,
    checked_job_queue,
    marked_names,
    redacted_command,
    redacted_mapping,
    redacted_text,
    required,
    truncated,
)
from chalicelib.jobs.job_detail.requested_resources import (
    requested_gpus,
    requested_memory,
    requested_vcpus,
)
from chalicelib.jobs.job_detail.shapes import (
    ArrayProperties,
    AttemptDetail,
    Container,
    JobDetail,
    NameValue,
    ServiceJobDetail,
)
from chalicelib.redaction import Redaction

_CLUSTER: Final = re.compile(
    r":task/AWSBatch-([\w-]{1,128})-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/",
    re.ASCII,
)


def observe(detail: JobDetail, *, time: int, source: Source, redaction: Redaction) -> Observation:
    """Return the observation of a job as reported at `time` (epoch milliseconds).

    Raises MalformedEvent if the job, its queue or its status is missing or invalid.
    """
    description = _description(detail, redaction)
    defined = defined_containers(detail)
    attempts, invalid_dates = _attempts(detail, defined, time, redaction)
    dates = dates_of_job(
        detail.created_at,
        detail.started_at,
        detail.stopped_at,
        time=time,
        has_ended=is_terminal(detail.status),
    )
    end = _own_end(detail, defined, attempts, redaction)
    return Observation(
        job_id=checked_job_id(detail.job_id),
        details=Details(
            status=required("status", detail.status),
            generation=detail.finished_attempts,
            time=time,
            source=source,
            job_name=required("jobName", detail.job_name),
            job_queue=checked_job_queue(detail.job_queue),
            job_definition=truncated(detail.job_definition, MAX_TEXT),
            status_reason=redacted_text(detail.status_reason, redaction),
            created_at=dates.created_at,
            started_at=dates.started_at,
            stopped_at=dates.stopped_at,
            attempts=attempts,
            exit_code=end.exit_code,
            reason=end.reason,
            log_stream_name=end.log_stream_name,
            log_group=log_group(detail),
            array=_array(detail.array_properties),
            nodes=detail.node_properties.num_nodes if detail.node_properties else None,
            description=digest(description),
            service=_service(detail),
            resources=_resources(description),
            is_cancelled=int(bool(detail.is_cancelled)),
            is_terminated=int(bool(detail.is_terminated)),
        ),
        description=description,
        invalid_fields=(*dates.invalid, *invalid_dates),
    )


def digest(description: Description) -> str:
    """Return the 64 bits that address a description within the items of one root job."""
    return sha256(msgspec.json.encode(description)).hexdigest()[:16]


def _description(detail: JobDetail, redaction: Redaction) -> Description:
    containers = defined_containers(detail)
    first = _with_settings_of_task(main_container(containers), detail)
    # AWS sends the tags of a service job in DescribeServiceJob, but not in events: with them, each
    # source would write another description.
    tags = None if isinstance(detail, ServiceJobDetail) else detail.tags
    return Description(
        image=redacted_text(first.image, redaction),
        command=redacted_command([*(first.command or ()), *(first.args or ())], redaction),
        vcpus=requested_vcpus(containers),
        memory=requested_memory(containers),
        gpus=requested_gpus(containers),
        environment=_environment_names(first),
        parameters=redacted_mapping(detail.parameters, redaction),
        tags=redacted_mapping(tags, redaction),
        retry_attempts=detail.retry_strategy.attempts if detail.retry_strategy else None,
        timeout_seconds=detail.timeout.attempt_duration_seconds if detail.timeout else None,
        platform=truncated(next(iter(detail.platform_capabilities or ()), None), MAX_NAME),
        log_driver=log_driver(first),
        main_node=detail.node_properties.main_node if detail.node_properties else None,
        depends_on=_dependencies(detail),
        consumables=_consumables(detail),
        share_identifier=truncated(detail.share_identifier, MAX_TEXT),
        scheduling_priority=detail.scheduling_priority,
        exit_rules=_exit_rules(detail, redaction),
        job_role=truncated(first.job_role_arn, MAX_TEXT),
        execution_role=truncated(first.execution_role_arn, MAX_TEXT),
        secrets=_names(first.secrets or ()),
        ephemeral_storage_gib=first.ephemeral_storage.size if first.ephemeral_storage else None,
        cpu_architecture=truncated(
            first.runtime_platform.cpu_architecture if first.runtime_platform else None, MAX_NAME
        ),
        **_of_service_job(detail),
    )


def _of_service_job(detail: JobDetail) -> dict[str, Any]:
    """Return the fields of a description that only a service job has."""
    if not isinstance(detail, ServiceJobDetail):
        return {}
    preemption = detail.preemption_configuration
    return {
        "quota_share_name": truncated(detail.quota_share_name, MAX_NAME),
        "capacity_usage": tuple(
            Capacity(truncated(each.capacity_unit, MAX_NAME), each.quantity)
            for each in (detail.capacity_usage or ())[:MAX_ENTRIES]
        ),
        "preemption_retries": (
            preemption.preemption_retries_before_termination if preemption else None
        ),
    }


def _with_settings_of_task(container: Container, detail: JobDetail) -> Container:
    """Return the container with what a job of several containers sets once, for its task."""
    task = next(iter((detail.ecs_properties and detail.ecs_properties.task_properties) or ()), None)
    if task is None:
        return container
    return replace(
        container,
        job_role_arn=task.task_role_arn,
        execution_role_arn=task.execution_role_arn,
        ephemeral_storage=task.ephemeral_storage,
        runtime_platform=task.runtime_platform,
    )


def _environment_names(container: Container) -> tuple[str, ...]:
    """Return the names of the variables: a value may be a secret, so all values are dropped."""
    return _names([*(container.environment or ()), *(container.env or ())])


def _names(variables: Sequence[NameValue]) -> tuple[str, ...]:
    return marked_names(sorted(variable.name for variable in variables))


def _dependencies(detail: JobDetail) -> tuple[Dependency, ...]:
    """Return the dependencies of a root job. Children share the description of their array."""
    if JobId.parse(checked_job_id(detail.job_id)).separator:
        return ()
    return tuple(
        Dependency(truncated(each.job_id, MAX_NAME), truncated(each.type, MAX_NAME))
        for each in (detail.depends_on or ())[:MAX_ENTRIES]
    )


def _consumables(detail: JobDetail) -> tuple[ConsumableNeed, ...]:
    properties = detail.consumable_resource_properties
    needs = (properties.consumable_resource_list if properties else None) or ()
    return tuple(
        ConsumableNeed(each.consumable_resource.rpartition("/")[2][:MAX_NAME], each.quantity or 1)
        for each in needs[:MAX_ENTRIES]
        if each.consumable_resource
    )


def _exit_rules(detail: JobDetail, redaction: Redaction) -> tuple[ExitRule, ...]:
    rules = (detail.retry_strategy.evaluate_on_exit if detail.retry_strategy else None) or ()
    return tuple(
        ExitRule(
            rule.action[:MAX_NAME],
            redacted_text(rule.on_exit_code, redaction),
            redacted_text(rule.on_reason, redaction),
            redacted_text(rule.on_status_reason, redaction),
        )
        for rule in rules[:MAX_ENTRIES]
    )


def _service(detail: JobDetail) -> ServiceFacts | None:
    if not isinstance(detail, ServiceJobDetail):
        return None
    listed = detail.listed_attempts[-MAX_ATTEMPTS:]
    resources = tuple(truncated(attempt.resource, MAX_TEXT) for attempt in listed)
    return ServiceFacts(required("serviceJobType", detail.service_job_type), resources)


def _resources(description: Description) -> Resources | None:
    known = description.vcpus or 0, description.memory or 0, description.gpus or 0
    return Resources(*known) if any(known) else None


def _attempts(
    detail: JobDetail, defined: Sequence[Container], time: int, redaction: Redaction
) -> tuple[tuple[Attempt, ...], list[str]]:
    """Return the last attempts, and the names of their fields that contain an invalid date."""
    attempts, invalid = [], []
    for listed in detail.listed_attempts[-MAX_ATTEMPTS:]:
        dates = dates_of_attempt(listed.started_at, listed.stopped_at, time=time)
        attempts.append(_attempt(listed, dates, defined, redaction))
        invalid += [f"attempts.{name}" for name in dates.invalid]
    return tuple(attempts), invalid


def _own_end(
    detail: JobDetail,
    defined: Sequence[Container],
    attempts: Sequence[Attempt],
    redaction: Redaction,
) -> ContainerEnd:
    """Return how the job's own container ended, or nothing if the last attempt says the same."""
    ends = container_ends(detail, defined, redaction)
    end = ends[0] if ends else ContainerEnd()
    last = attempts[-1] if attempts else Attempt()
    is_repeated = (end.exit_code, end.reason, end.log_stream_name) == (
        last.exit_code,
        last.reason,
        last.log_stream_name,
    )
    return ContainerEnd() if is_repeated else end


def _attempt(
    attempt: AttemptDetail, dates: Dates, defined: Sequence[Container], redaction: Redaction
) -> Attempt:
    ends = container_ends(attempt, defined, redaction)
    pod = _pod(attempt)
    first = replace(ends[0] if ends else ContainerEnd(), pod=pod)
    return Attempt(
        started_at=dates.started_at,
        stopped_at=dates.stopped_at,
        exit_code=first.exit_code,
        reason=first.reason,
        status_reason=redacted_text(attempt.status_reason, redaction),
        log_stream_name=first.log_stream_name,
        containers=(first, *ends[1:]) if pod or len(ends) > 1 else (),
        compute_environment=_compute_environment(attempt),
    )


def _compute_environment(attempt: AttemptDetail) -> str | None:
    """Return the name of the compute environment, which is part of the name that AWS Batch gives to
    the ECS cluster of a managed one. The short format of ECS's ARNs contains no cluster."""
    found = (_CLUSTER.search(arn) for arn in attempt.all_task_arns)
    return next((match[1] for match in found if match), None)


def _pod(attempt: AttemptDetail) -> Pod | None:
    if not (attempt.pod_name or attempt.node_name):
        return None
    return Pod(
        truncated(attempt.pod_name, MAX_NAME),
        truncated(attempt.pod_namespace, MAX_NAME),
        truncated(attempt.node_name, MAX_NAME),
        truncated(attempt.eks_cluster_arn, MAX_TEXT),
    )


def _array(properties: ArrayProperties | None) -> ArrayFacts | None:
    if properties is None or (properties.size is None and properties.index is None):
        return None
    counts = sorted((properties.status_summary or {}).items())[:MAX_ENTRIES]
    summary = {status[:MAX_NAME]: count for status, count in counts}
    return ArrayFacts(properties.size, properties.index, summary)
