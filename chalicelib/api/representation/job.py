"""A job, and a page of a list of jobs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec.structs import replace

from chalicelib.api.representation.body import Body, rfc3339, rfc3339_or_none
from chalicelib.api.representation.usage import CostBody, UsageBody, cost_body, usage_body
from chalicelib.jobs.array_summary import Summary
from chalicelib.jobs.console_links import console_link, logs_link
from chalicelib.jobs.durations import Durations, durations
from chalicelib.jobs.failure import Cause, Failure, attempt_cause, container_cause, failure_of
from chalicelib.jobs.failure.retries import retry_explanation
from chalicelib.jobs.job import (
    ACTIVE,
    Attempt,
    Capacity,
    Description,
    ExitRule,
    Job,
    JobId,
    JobStatus,
    Pod,
)
from chalicelib.jobs.preemption import Preemption, Step, history
from chalicelib.jobs.prices import Prices
from chalicelib.jobs.usage import job_usage
from chalicelib.jobs.waiting.queue_environment import QueueEnvironment, QueueHead
from chalicelib.jobs.waiting.waiting import waiting
from chalicelib.text_format import index_ranges


class HistoryEntry(Body, frozen=True):
    status: str
    attempt: int | None
    at: str
    source: str


class AttemptContainer(Body, frozen=True):
    """One of several containers. The first one determined the result of the attempt."""

    name: str | None
    essential: bool
    init: bool
    exit_code: int | None
    reason: str | None
    log_stream_name: str | None
    cause: Cause | None


class PodBody(Body, frozen=True):
    pod_name: str | None
    pod_namespace: str | None
    node_name: str | None
    eks_cluster_arn: str | None


class AttemptBody(Body, frozen=True):
    attempt: int
    started_at: str | None
    stopped_at: str | None
    exit_code: int | None
    reason: str | None
    status_reason: str | None
    log_stream_name: str | None
    compute_environment: str | None
    service_resource_id: str | None
    cause: Cause | None
    containers: list[AttemptContainer]
    pod: PodBody | None


class PreemptionBody(Body, frozen=True):
    step: Step
    at: str
    reason: str | None


class ArrayBody(Body, frozen=True):
    """`status_summary` counts the children whose events were received by `status_summary_as_of`.
    `failed` contains the indexes of failed children, and `child_statuses` a digit for the status of
    each child; both are null in lists."""

    size: int | None
    index: int | None
    parent_job_id: str | None
    status_summary: dict[str, int] | None
    status_summary_as_of: str | None
    failed: str | None
    child_statuses: str | None


class EnvironmentVariable(Body, frozen=True):
    name: str
    value: str = "REDACTED"


class ContainerBody(Body, frozen=True):
    """`memory` is in MiB. The values of environment variables are never stored."""

    image: str | None
    command: tuple[str, ...]
    vcpus: float | None
    memory: int | None
    gpus: int | None
    environment: list[EnvironmentVariable]
    secrets: tuple[str, ...]
    job_role_arn: str | None
    execution_role_arn: str | None
    ephemeral_storage_gib: int | None
    cpu_architecture: str | None


class Links(Body, frozen=True):
    console: str | None
    logs: str | None


class JobSummary(Body, frozen=True):
    job_id: str
    job_arn: str | None
    job_name: str
    job_queue: str
    job_queue_arn: str | None
    job_definition: str | None
    service_job_type: str | None
    status: str
    status_reason: str | None
    is_cancelled: bool
    is_terminated: bool
    since: str
    created_at: str | None
    started_at: str | None
    stopped_at: str | None
    durations: Durations
    failure: Failure | None
    array: ArrayBody | None
    nodes: int | None
    usage: UsageBody | None
    cost: CostBody | None
    links: Links


class WaitingBody(Body, frozen=True):
    """The reason why a job is not running yet. `cause` is null if none was found. `position` counts
    from 1 in the queue and is null if it is not known. At `will_be_cancelled_at`, a time limit of
    the queue ends the job."""

    cause: str | None
    explanation: str
    position: int | None
    will_be_cancelled_at: str | None


class DependencyBody(Body, frozen=True):
    """A job that the job depends on. The last three fields are null if it is not recorded, or if
    the token does not cover its queue."""

    job_id: str | None
    type: str | None
    job_name: str | None
    status: str | None
    cause: Cause | None


class RetryStrategyBody(Body, frozen=True):
    attempts: int | None
    evaluate_on_exit: tuple[ExitRule, ...]


class JobBody(JobSummary, frozen=True):
    depends_on: list[DependencyBody]
    share_identifier: str | None
    scheduling_priority: int | None
    quota_share_name: str | None
    capacity_usage: tuple[Capacity, ...]
    preemption_retries_before_termination: int | None
    retry_strategy: RetryStrategyBody
    timeout_seconds: int | None
    platform: str | None
    main_node: int | None
    history: list[HistoryEntry]
    attempts: list[AttemptBody]
    preemptions: list[PreemptionBody]
    container: ContainerBody
    parameters: dict[str, str]
    tags: dict[str, str]
    waiting: WaitingBody | None


class JobPage(Body, frozen=True):
    jobs: list[JobSummary]
    next_token: str | None


def job_summary(job: Job, children: Summary | None, prices: Prices, now: int) -> JobSummary:
    return JobSummary(**_summary_fields(job, children, prices, now))


class Related(NamedTuple):
    """The data that completes the record of a job."""

    description: Description
    preemptions: Sequence[Preemption] = ()
    children: Summary | None = None
    environment: QueueEnvironment | None = None
    """AWS Batch reports it of the queue of the job, and `head` too."""
    head: QueueHead | None = None
    dependencies: Mapping[str, Job] = MappingProxyType({})
    first_failure: Job | None = None
    """The job whose failure made this one fail."""


def job_body(job: Job, related: Related, prices: Prices, now: int) -> JobBody:
    description, preemptions = related.description, related.preemptions
    fields = _summary_fields(job, related.children, prices, now)
    if related.first_failure:
        fields["failure"] = _with_first_failure(fields["failure"], related.first_failure)
    elif failure := fields["failure"]:
        retries = retry_explanation(job.details, description, failure.cause)
        explanation = f"{failure.explanation} {retries}" if retries else failure.explanation
        fields["failure"] = replace(failure, explanation=explanation)
    return JobBody(
        **fields,
        history=[
            HistoryEntry(entry.status, entry.attempt, rfc3339(entry.at), entry.source.name.lower())
            for entry in history(job, preemptions)
        ],
        attempts=_attempts(job),
        preemptions=[PreemptionBody(p.step, rfc3339(p.at), p.reason) for p in preemptions],
        container=ContainerBody(
            image=description.image,
            command=description.command,
            vcpus=description.vcpus,
            memory=description.memory,
            gpus=description.gpus,
            environment=[EnvironmentVariable(name) for name in description.environment],
            secrets=description.secrets,
            job_role_arn=description.job_role,
            execution_role_arn=description.execution_role,
            ephemeral_storage_gib=description.ephemeral_storage_gib,
            cpu_architecture=description.cpu_architecture,
        ),
        depends_on=_dependencies(description, related.dependencies),
        share_identifier=description.share_identifier,
        scheduling_priority=description.scheduling_priority,
        quota_share_name=description.quota_share_name,
        capacity_usage=description.capacity_usage,
        preemption_retries_before_termination=description.preemption_retries,
        retry_strategy=RetryStrategyBody(description.retry_attempts, description.exit_rules),
        timeout_seconds=description.timeout_seconds,
        platform=description.platform,
        main_node=description.main_node,
        parameters=description.parameters,
        tags=description.tags,
        waiting=_waiting(job, related),
    )


def _summary_fields(job: Job, children: Summary | None, prices: Prices, now: int) -> dict[str, Any]:
    details, usage = job.details, job_usage(job, now)
    return {
        "job_id": job.job_id,
        "job_arn": _job_arn(job),
        "job_name": details.job_name,
        "job_queue": job.queue,
        "job_queue_arn": _queue_arn(job),
        "job_definition": details.job_definition,
        "service_job_type": details.service.job_type if details.service else None,
        "status": job.status,
        "status_reason": _status_reason(job),
        "is_cancelled": bool(details.is_cancelled),
        "is_terminated": bool(details.is_terminated),
        "since": rfc3339(job.since),
        "created_at": rfc3339_or_none(details.created_at),
        "started_at": rfc3339_or_none(details.started_at),
        "stopped_at": rfc3339_or_none(details.stopped_at),
        "durations": durations(job, now),
        "failure": failure_of(details) if job.status == JobStatus.FAILED else None,
        "array": _array(job, children),
        "nodes": details.nodes,
        "usage": usage_body(usage) if usage else None,
        "cost": cost_body(usage, prices.of(job.queue)) if usage else None,
        "links": Links(console=console_link(job), logs=logs_link(job)),
    }


def _status_reason(job: Job) -> str | None:
    if not job.is_lost:
        return job.details.status_reason
    return (
        "AWS Batch no longer returns this job. The last status that was recorded is "
        f"{job.details.status}, at {rfc3339(job.last_observed_at)}"
    )


def _waiting(job: Job, related: Related) -> WaitingBody | None:
    if job.status not in ACTIVE or job.status == JobStatus.RUNNING:
        return None
    found = waiting(
        job,
        related.environment,
        related.head,
        related.dependencies.values(),
        related.description,
    )
    return WaitingBody(
        found.cause,
        found.explanation,
        found.position,
        rfc3339_or_none(found.will_be_cancelled_at),
    )


def _queue_arn(job: Job) -> str | None:
    """Return the ARN of the job's queue, or None if AWS Batch reported its name only."""
    queue = job.details.job_queue
    return queue if queue.startswith("arn:") else None


def _job_arn(job: Job) -> str | None:
    """Return the job's ARN. It has the partition, region and account of its queue's ARN."""
    arn, found, _ = (_queue_arn(job) or "").partition(":job-queue/")
    kind = "service-job" if job.is_service else "job"
    return f"{arn}:{kind}/{job.job_id}" if found else None


def _attempts(job: Job) -> list[AttemptBody]:
    attempts, service = job.details.attempts, job.details.service
    ended = job.details if job.status == JobStatus.FAILED else None
    resources = service.resources if service else (None,) * len(attempts)
    return [
        AttemptBody(
            attempt=number,
            started_at=rfc3339_or_none(attempt.started_at),
            stopped_at=rfc3339_or_none(attempt.stopped_at),
            exit_code=attempt.exit_code,
            reason=attempt.reason,
            status_reason=attempt.status_reason,
            log_stream_name=attempt.log_stream_name if attempt.has_log else None,
            compute_environment=attempt.compute_environment,
            service_resource_id=resource,
            cause=attempt_cause(attempt, ended if attempt is attempts[-1] else None),
            containers=_containers(attempt),
            pod=_pod(attempt.pod),
        )
        for number, (attempt, resource) in enumerate(
            zip(attempts, resources, strict=True), job.details.unlisted_attempts + 1
        )
    ]


def _with_first_failure(failure: Failure, job: Job) -> Failure:
    first = failure_of(job.details)
    explanation = (
        f"{failure.explanation} The first job to fail was {job.details.job_name} ({job.job_id}): "
        f"{first.cause}. {first.explanation}"
    )
    return replace(failure, explanation=explanation)


def _dependencies(description: Description, jobs: Mapping[str, Job]) -> list[DependencyBody]:
    bodies = []
    for dependency in description.depends_on:
        job = jobs.get(dependency.job_id or "")
        failure = failure_of(job.details) if job and job.status == JobStatus.FAILED else None
        bodies.append(
            DependencyBody(
                job_id=dependency.job_id,
                type=dependency.job_type,
                job_name=job.details.job_name if job else None,
                status=job.status if job else None,
                cause=failure.cause if failure else None,
            )
        )
    return bodies


def _containers(attempt: Attempt) -> list[AttemptContainer]:
    return [
        AttemptContainer(
            name=end.name,
            essential=end.is_essential,
            init=end.is_init,
            exit_code=end.exit_code,
            reason=end.reason,
            log_stream_name=end.log_stream_name,
            cause=container_cause(end.exit_code, end.reason, is_first=not position),
        )
        for position, end in enumerate(attempt.containers)
        if len(attempt.containers) > 1
    ]


def _pod(pod: Pod | None) -> PodBody | None:
    return PodBody(pod.name, pod.namespace, pod.node, pod.cluster) if pod else None


def _array(job: Job, children: Summary | None) -> ArrayBody | None:
    facts = job.details.array
    if facts is None:
        return None
    parent = None if job.is_root else JobId.parse(job.job_id).root
    counts = dict(children.counts) if children else {}
    as_of = rfc3339(children.as_of) if children and counts else None
    failed = ", ".join(found.text for found in index_ranges(children.failed if children else ()))
    statuses = children.statuses if children else ""
    return ArrayBody(
        facts.size, facts.index, parent, counts or None, as_of, failed or None, statuses or None
    )
