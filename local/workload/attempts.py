"""The part of a job's detail that its attempts determine, in the place that each kind has for it.

The shapes are those of botocore's `batch` model (AttemptDetail, EksAttemptDetail,
ServiceJobAttemptDetail), as far as AWS sends them in events.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local.workload.events import Detail, base_arn
from local.workload.seeded_random import SeededRandom
from local.workload.submission import Kind


@dataclass(slots=True)
class Attempt:
    """An attempt to run a job. `location` is where it runs, as fields of a detail."""

    location: Detail
    log_stream: str
    started_at: int | None = None
    stopped_at: int | None = None
    status_reason: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    is_preempted: bool = False

    @property
    def times(self) -> Detail:
        return without_none(
            startedAt=self.started_at, stoppedAt=self.stopped_at, statusReason=self.status_reason
        )

    @property
    def result(self) -> Detail:
        return without_none(exitCode=self.exit_code, reason=self.reason)

    @property
    def log(self) -> Detail:
        return {} if self.started_at is None else {"logStreamName": self.log_stream}


_CLUSTER: Final = "AWSBatch-fleet-0c3a4b52-9f7e-3d1c-8a65-2b4d6f8e0a1c"
"""The ECS cluster of the simulated compute environment, with a name as AWS Batch gives it."""


def start_attempt(random: SeededRandom, kind: Kind, description: Detail) -> Attempt:
    """Return a new attempt on a random host."""
    if kind is Kind.EKS:
        host = f"ip-10-0-{random.randint(0, 255)}-{random.randint(4, 254)}.ec2.internal"
        return Attempt({"podName": f"aws-batch.{random.uuid()}", "nodeName": host}, log_stream="")
    if kind is Kind.SERVICE:
        sagemaker = base_arn(description["jobQueue"]).replace(":batch:", ":sagemaker:", 1)
        arn = f"{sagemaker}:training-job/AWSBatch{description['jobName']}{random.hex(32)}"
        resource = {"name": "TrainingJobArn", "value": arn}
        return Attempt({"serviceResourceId": resource}, log_stream="")
    ecs = base_arn(description["jobQueue"]).replace(":batch:", ":ecs:", 1)
    task = random.hex(32)
    location: Detail = {"taskArn": f"{ecs}:task/{_CLUSTER}/{task}"}
    if kind is Kind.FARGATE:
        address = f"10.0.{random.randint(0, 255)}.{random.randint(4, 254)}"
        interface = {"attachmentId": random.uuid(), "privateIpv4Address": address}
        location["networkInterfaces"] = [interface]
    else:
        instance = f"container-instance/{_CLUSTER}/{random.hex(32)}"
        location["containerInstanceArn"] = f"{ecs}:{instance}"
    return Attempt(location, f"{_log_prefix(description)}/default/{task}")


def _log_prefix(description: Detail) -> str:
    logging = description.get("container", {}).get("logConfiguration")
    if logging:
        return str(logging["options"]["awslogs-stream-prefix"])
    return str(description["jobDefinition"].rpartition("/")[2].partition(":")[0])


def attempt_details(
    kind: Kind, description: Detail, latest: Attempt | None, listed: Sequence[Attempt]
) -> Detail:
    """Return the fields of a detail that contain the latest attempt and the listed attempts."""
    return _DETAILS[kind](description, latest, listed)


def preemption_summary(attempts: Sequence[Attempt]) -> Detail:
    """Return the field that lists preempted attempts, or nothing if there are none."""
    recent = [_training(attempt) for attempt in attempts if attempt.is_preempted]
    summary = {"preemptedAttemptCount": len(recent), "recentPreemptedAttempts": recent}
    return {"preemptionSummary": summary} if recent else {}


def without_none(**fields: Any) -> Detail:
    """Return the fields that have a value, because Batch omits the others."""
    return {name: value for name, value in fields.items() if value is not None}


def _container_details(
    description: Detail, latest: Attempt | None, listed: Sequence[Attempt]
) -> Detail:
    def container(attempt: Attempt) -> Detail:
        return {"networkInterfaces": [], **attempt.location, **attempt.log, **attempt.result}

    fields = container(latest) if latest else {"networkInterfaces": []}
    return {
        "attempts": [{"container": container(attempt), **attempt.times} for attempt in listed],
        "container": {**description["container"], **fields},
    }


def _task_details(description: Detail, latest: Attempt | None, listed: Sequence[Attempt]) -> Detail:
    """Return both containers' results. The sidecar exits with 0 if the main container exits."""
    [task] = description["ecsProperties"]["taskProperties"]
    main, sidecar = task["containers"]

    def attempt_fields(attempt: Attempt, main: Detail, sidecar: Detail) -> Detail:
        sidecar_result = {} if attempt.exit_code is None else {"exitCode": 0}
        containers = [
            {**main, **attempt.log, **attempt.result},
            {**sidecar, **attempt.log, **sidecar_result},
        ]
        return {**attempt.location, "containers": containers}

    names = [{"name": container["name"]} for container in (main, sidecar)]
    latest_task = {**task, **attempt_fields(latest, main, sidecar)} if latest else task
    return {
        "attempts": [{"taskProperties": [attempt_fields(a, *names)], **a.times} for a in listed],
        "ecsProperties": {"taskProperties": [latest_task]},
        "container": {},
    }


def _pod_details(description: Detail, latest: Attempt | None, listed: Sequence[Attempt]) -> Detail:
    pod = description["eksProperties"]["podProperties"]
    [container] = pod["containers"]
    if latest:
        pod = {**pod, **latest.location, "containers": [{**container, **latest.result}]}
    return {
        "attempts": [],
        "eksAttempts": [
            {"containers": [{"name": container["name"], **a.result}], **a.location, **a.times}
            for a in listed
        ],
        "eksProperties": {"podProperties": pod},
    }


def _multi_node_details(
    description: Detail, latest: Attempt | None, listed: Sequence[Attempt]
) -> Detail:
    """Return the main node's results. A multi-node parent has no container and no log."""
    return {
        "attempts": [
            {"container": {"networkInterfaces": [], **attempt.result}, **attempt.times}
            for attempt in listed
        ]
    }


def _service_details(
    description: Detail, latest: Attempt | None, listed: Sequence[Attempt]
) -> Detail:
    """Return preempted attempts in the preemption summary, and the others as attempts."""
    return {
        "attempts": [_training(attempt) for attempt in listed if not attempt.is_preempted],
        **preemption_summary(listed),
        **({"latestAttempt": latest.location} if latest else {}),
    }


def _training(attempt: Attempt) -> Detail:
    return {**attempt.location, **attempt.times}


_DETAILS: dict[Kind, Callable[[Detail, Attempt | None, Sequence[Attempt]], Detail]] = {
    Kind.EC2: _container_details,
    Kind.FARGATE: _container_details,
    Kind.LEGACY: _container_details,
    Kind.ECS: _task_details,
    Kind.EKS: _pod_details,
    Kind.MULTI_NODE: _multi_node_details,
    Kind.SERVICE: _service_details,
}
