"""What the detail of a Batch Job State Change looks like, kind by kind; and a service job's.

A job's detail has two parts: what SubmitJob fixed, which every event repeats (`describe`), and
what its attempts left behind, which each kind of job shows in another place (`show`). The shapes
are those of botocore's `batch` model (JobDetail), as far as AWS sends them in events. What
happens to a job, and when, is none of this module's business: see local/lifecycles.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

Detail = dict[str, Any]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class Kind(StrEnum):
    """The shapes that a detail can have; array parents and children come in most of them."""

    EC2 = "EC2"
    FARGATE = "FARGATE"
    LEGACY = "LEGACY"  # as events were in 2017
    ECS = "ECS"  # several containers
    EKS = "EKS"
    MULTI_NODE = "MULTI_NODE"  # the parent; its nodes look like EC2
    SERVICE = "SERVICE"  # run by SageMaker


class Dice(Random):
    """Chance from a seed. It remembers the secrets that it let into events."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.secrets: set[str] = set()

    def chance(self, probability: float) -> bool:
        return self.random() < probability

    def between(self, low: int, high: int) -> int:
        """Any magnitude is as likely as another: many small ones, few large ones."""
        return int(low * (high / low) ** self.random())

    def hex(self, digits: int) -> str:
        return f"{self.getrandbits(4 * digits):0{digits}x}"

    def uuid(self) -> str:
        return str(UUID(int=self.getrandbits(128), version=4))

    def secret(self) -> str:
        secret = f"SECRET-{self.hex(20)}"
        self.secrets.add(secret)
        return secret


@dataclass(slots=True)
class Attempt:
    """One try at running a job: where, and as it goes on, from when, until when, how it ended."""

    place: Detail
    log_stream: str
    started: int | None = None
    stopped: int | None = None
    status_reason: str | None = None
    exit_code: int | None = None
    reason: str | None = None
    preempted: bool = False

    @property
    def times(self) -> Detail:
        return known(
            startedAt=self.started, stoppedAt=self.stopped, statusReason=self.status_reason
        )

    @property
    def result(self) -> Detail:
        return known(exitCode=self.exit_code, reason=self.reason)

    @property
    def log(self) -> Detail:
        return {} if self.started is None else {"logStreamName": self.log_stream}


class _Program(NamedTuple):
    """Something that scientists run; `{}` in its command is the sample, `memory` is in MiB."""

    name: str
    vcpus: int
    memory: int
    image: str
    command: str


_PROGRAMS = (
    _Program("align-reads", 8, 32768, "lab/bwa-mem2:2.2.1", "bwa-mem2 mem -t 8 GRCh38.fa {}.fq.gz"),
    _Program("call-variants", 4, 16384, "broadinstitute/gatk:4.5.0.0", "gatk Mutect2 -I {}.bam"),
    _Program("count-transcripts", 8, 16384, "combinelab/salmon:1.10.3", "salmon quant -r {}.fq.gz"),
    _Program("fold-protein", 8, 65536, "lab/alphafold:2.3.2", "python fold.py --fasta={}.fasta"),
    _Program("refine-particles", 16, 65536, "lab/relion:5.0", "relion_refine --i {}.star --ctf"),
    _Program("simulate-dynamics", 16, 32768, "gromacs/gromacs:2024.2", "gmx mdrun -deffnm {}"),
    _Program("downscale-climate", 32, 65536, "lab/wrf:4.5", "mpirun ./wrf.exe {}.namelist"),
    _Program("segment-cells", 4, 16384, "lab/cellpose:3.0", "cellpose --dir {} --diameter 30"),
    _Program("quality-report", 1, 2048, "multiqc/multiqc:v1.25", "multiqc {} --force"),
)

_SECRET_NAMES = ("DB_PASSWORD", "API_TOKEN", "AWS_SECRET_ACCESS_KEY", "REGISTRY_AUTH")
_ONCE: Detail = {"attempts": 1, "evaluateOnExit": []}
_THRICE: Detail = {"attempts": 3, "evaluateOnExit": []}
_STUBBORNLY: Detail = {"attempts": 10, "evaluateOnExit": []}
_UNTIL_A_HOST_STAYS: Detail = {
    "attempts": 5,
    "evaluateOnExit": [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}


def describe(
    jitter: Dice,
    kind: Kind,
    queue: str,
    created: int,
    nodes: int = 0,
    depends_on: Sequence[str] = (),
) -> Detail:
    """What SubmitJob fixed: the part of a job's detail that all its events share."""
    program = jitter.choice(_PROGRAMS)
    sample = f"NA{jitter.randint(12000, 24999)}"
    job_id = jitter.uuid()
    arn = f"{base_arn(queue)}:job/{job_id}"
    description: Detail = {
        "jobArn": arn,
        "jobName": f"{program.name}-{sample}",
        "jobId": job_id,
        "jobQueue": queue,
        "createdAt": created,
        "retryStrategy": jitter.choice((_ONCE, _ONCE, _THRICE, _UNTIL_A_HOST_STAYS, _STUBBORNLY)),
        "dependsOn": [{"jobId": needed} for needed in depends_on],
        "jobDefinition": f"{base_arn(queue)}:job-definition/{program.name}:{jitter.randint(1, 40)}",
        "parameters": _parameters(jitter, sample),
        "tags": {"resourceArn": arn, "project": jitter.choice(("atlas", "cohort-7", "reanalysis"))},
        "propagateTags": False,
        "platformCapabilities": [kind.value] if kind in (Kind.EC2, Kind.FARGATE) else [],
        "eksAttempts": [],
        **_work(jitter, kind, program, sample, queue, nodes),
    }
    if jitter.chance(0.7):
        hours = jitter.choice((1, 2, 6))
        description["timeout"] = {"attemptDurationSeconds": hours * HOUR // SECOND}
    if jitter.chance(0.3):
        description |= {"shareIdentifier": "lab", "schedulingPriority": jitter.randint(0, 99)}
    return _as_of_2017(description) if kind is Kind.LEGACY else description


def describe_service(jitter: Dice, queue: str, created: int) -> Detail:
    """What SubmitServiceJob fixed, without the tags and the payload, which no event carries."""
    job_id = jitter.uuid()
    return {
        "jobArn": f"{base_arn(queue)}:service-job/{job_id}",
        "jobName": f"train-{jitter.choice(('segmenter', 'folder', 'denoiser'))}-{jitter.hex(4)}",
        "jobId": job_id,
        "jobQueue": queue,
        "createdAt": created,
        "serviceJobType": "SAGEMAKER_TRAINING",
        "schedulingPriority": jitter.randint(0, 99),
        "shareIdentifier": jitter.choice(("vision", "language")),
        "retryStrategy": {"attempts": jitter.choice((1, 1, 3)), "evaluateOnExit": []},
        "preemptionConfiguration": {"preemptionRetriesBeforeTermination": jitter.randint(1, 3)},
        "timeoutConfig": {"attemptDurationSeconds": jitter.choice((1, 2, 6)) * HOUR // SECOND},
    }


def preemption_summary(attempts: Sequence[Attempt]) -> Detail:
    """Of the finished attempts those that were preempted; nothing if there are none."""
    recent = [_training(attempt) for attempt in attempts if attempt.preempted]
    summary = {"preemptedAttemptCount": len(recent), "recentPreemptedAttempts": recent}
    return {"preemptionSummary": summary} if recent else {}


def child(parent: Detail, index: int, created: int) -> Detail:
    """An array child's description; its tags go on naming the parent's ARN, as Batch's do."""
    return {
        **_member(parent, f":{index}"),
        "createdAt": created,
        "arrayProperties": {"index": index, "statusSummary": {}},
    }


def node(parent: Detail, index: int) -> Detail:
    """A multi-node job's node: an own job id, and the container of the range that it falls in."""
    properties = parent["nodeProperties"]
    is_main = index == properties["mainNode"]
    description = _member(parent, f"#{index}")
    del description["nodeProperties"]
    description["nodeDetails"] = {"nodeIndex": index, "isMainNode": is_main}
    description["container"] = properties["nodeRangeProperties"][0 if is_main else 1]["container"]
    return description


def show(
    kind: Kind, description: Detail, latest: Attempt | None, listed: Sequence[Attempt]
) -> Detail:
    """The part of a detail that tells of attempts: the `latest`, and the list of them."""
    return _SHOWN[kind](description, latest, listed)


def start_attempt(jitter: Dice, kind: Kind, description: Detail) -> Attempt:
    """An attempt at the moment that Batch has found a host for it."""
    if kind is Kind.EKS:
        host = f"ip-10-0-{jitter.randint(0, 255)}-{jitter.randint(4, 254)}.ec2.internal"
        return Attempt({"podName": f"aws-batch.{jitter.uuid()}", "nodeName": host}, log_stream="")
    if kind is Kind.SERVICE:
        sagemaker = base_arn(description["jobQueue"]).replace(":batch:", ":sagemaker:", 1)
        arn = f"{sagemaker}:training-job/AWSBatch{description['jobName']}{jitter.hex(32)}"
        resource = {"name": "TrainingJobArn", "value": arn}
        return Attempt({"serviceResourceId": resource}, log_stream="")
    ecs = base_arn(description["jobQueue"]).replace(":batch:", ":ecs:", 1)
    task = jitter.hex(32)
    place: Detail = {"taskArn": f"{ecs}:task/AWSBatch-fleet/{task}"}
    if kind is Kind.FARGATE:
        address = f"10.0.{jitter.randint(0, 255)}.{jitter.randint(4, 254)}"
        interface = {"attachmentId": jitter.uuid(), "privateIpv4Address": address}
        place["networkInterfaces"] = [interface]
    else:
        place["containerInstanceArn"] = f"{ecs}:container-instance/AWSBatch-fleet/{jitter.hex(32)}"
    return Attempt(place, f"{_log_prefix(description)}/default/{task}")


def known(**fields: Any) -> Detail:
    """Those that have a value; Batch leaves the others out."""
    return {name: value for name, value in fields.items() if value is not None}


def base_arn(queue: str) -> str:
    """`arn:aws:batch:<region>:<account>`, of a queue's ARN."""
    return queue.partition(":job-queue/")[0]


# ------------------------------------------------------------------ what SubmitJob fixed


def _work(
    jitter: Dice, kind: Kind, program: _Program, sample: str, queue: str, nodes: int
) -> Detail:
    """What is to be run, under the name that this kind of job has for it."""
    match kind:
        case Kind.ECS:
            return {"ecsProperties": {"taskProperties": [_task(jitter, program, sample)]}}
        case Kind.EKS:
            return {"eksProperties": {"podProperties": _pod_properties(jitter, program, sample)}}
    container = _container(jitter, kind, program, sample, queue)
    if kind is not Kind.MULTI_NODE:
        return {"container": container}
    ranges = [{"targetNodes": targets, "container": container} for targets in ("0", "1:")]
    return {"nodeProperties": {"numNodes": nodes, "mainNode": 0, "nodeRangeProperties": ranges}}


def _container(jitter: Dice, kind: Kind, program: _Program, sample: str, queue: str) -> Detail:
    account = queue.split(":")[4]
    container: Detail = {
        "image": program.image,
        "command": _command(jitter, program, sample),
        "jobRoleArn": f"arn:aws:iam::{account}:role/batch-job",
        "executionRoleArn": f"arn:aws:iam::{account}:role/batch-execution",
        "volumes": [],
        "environment": _environment(jitter, sample),
        "mountPoints": [],
        "ulimits": [],
        "resourceRequirements": _requirements(jitter, program, gpu="gpu" in queue),
        "secrets": [],
    }
    if kind is Kind.FARGATE:
        container["fargatePlatformConfiguration"] = {"platformVersion": "LATEST"}
        container["networkConfiguration"] = {"assignPublicIp": "ENABLED"}
        container["resourceRequirements"] = [
            {"value": "0.5", "type": "VCPU"},
            {"value": "2048", "type": "MEMORY"},
        ]
    if jitter.chance(0.4):
        container["logConfiguration"] = {
            "logDriver": "awslogs",
            "options": {"awslogs-group": "/lab/batch", "awslogs-stream-prefix": program.name},
            "secretOptions": [],
        }
    return container


def _task(jitter: Dice, program: _Program, sample: str) -> Detail:
    """A program, and the sidecar that uploads what it writes."""
    main = {
        "name": "main",
        "essential": True,
        "image": program.image,
        "command": _command(jitter, program, sample),
        "environment": _environment(jitter, sample),
        "resourceRequirements": _requirements(jitter, program),
    }
    sidecar = {
        "name": "upload",
        "essential": False,
        "image": "public.ecr.aws/aws-cli/aws-cli:2.17.0",
        "command": ["s3", "sync", "/results", f"s3://lab-results/{sample}"],
        "environment": _environment(jitter, sample),
        "resourceRequirements": [
            {"value": "1", "type": "VCPU"},
            {"value": "512", "type": "MEMORY"},
        ],
    }
    return {"containers": [main, sidecar]}


def _pod_properties(jitter: Dice, program: _Program, sample: str) -> Detail:
    command, *arguments = _command(jitter, program, sample)
    limits = {"cpu": str(program.vcpus), "memory": f"{program.memory}Mi"}
    container = {
        "name": "default",
        "image": program.image,
        "command": [command],
        "args": arguments,
        "env": _environment(jitter, sample),
        "resources": {"limits": limits, "requests": limits},
    }
    return {"serviceAccountName": "batch", "containers": [container]}


def _command(jitter: Dice, program: _Program, sample: str) -> list[str]:
    command = program.command.format(sample)
    forms = (
        lambda: command.split(),
        lambda: [*command.split(), "--password", jitter.secret()],
        lambda: ["sh", "-c", f"TOKEN={jitter.secret()} {command}"],
        lambda: ["sh", "-c", f"fetch --password {jitter.secret()} {sample} && {command}"],
    )
    return jitter.choices(forms, (85, 5, 5, 5))[0]()


def _environment(jitter: Dice, sample: str) -> list[Detail]:
    environment = [{"name": "SAMPLE", "value": sample}]
    if jitter.chance(0.6):
        environment.append({"name": jitter.choice(_SECRET_NAMES), "value": jitter.secret()})
    return environment


def _parameters(jitter: Dice, sample: str) -> Detail:
    parameters = {"sample": sample, "reference": "GRCh38"} if jitter.chance(0.5) else {}
    if jitter.chance(0.1):
        form = jitter.choice(("--password {}", "TOKEN={}", "--user lab --password={} --retry"))
        parameters["options"] = form.format(jitter.secret())
    return parameters


def _requirements(jitter: Dice, program: _Program, gpu: bool = False) -> list[Detail]:
    """In any order, as Batch tells them."""
    requirements = [
        {"value": str(program.vcpus), "type": "VCPU"},
        {"value": str(program.memory), "type": "MEMORY"},
        *([{"value": "1", "type": "GPU"}] if gpu else []),
    ]
    jitter.shuffle(requirements)
    return requirements


def _as_of_2017(description: Detail) -> Detail:
    """Plain numbers for vCPUs and memory, and nothing yet of what came later."""
    later = {"jobArn", "tags", "propagateTags", "platformCapabilities", "eksAttempts"}
    later |= {"timeout", "shareIdentifier", "schedulingPriority"}
    old = {k: v for k, v in description.items() if k not in later}
    container = dict(old["container"])
    required = {r["type"]: int(r["value"]) for r in container.pop("resourceRequirements")}
    for field in ("executionRoleArn", "logConfiguration", "secrets"):
        container.pop(field, None)
    old["container"] = container | {"vcpus": required["VCPU"], "memory": required["MEMORY"]}
    old["retryStrategy"] = {"attempts": description["retryStrategy"]["attempts"]}
    return old


def _member(parent: Detail, suffix: str) -> Detail:
    own = {"jobId": parent["jobId"] + suffix, "jobArn": parent["jobArn"] + suffix}
    return {**parent, **own}


def _log_prefix(description: Detail) -> str:
    logging = description.get("container", {}).get("logConfiguration")
    if logging:
        return str(logging["options"]["awslogs-stream-prefix"])
    return str(description["jobDefinition"].rpartition("/")[2].partition(":")[0])


# ------------------------------------------------------------------ what attempts left behind


def _in_container(description: Detail, latest: Attempt | None, listed: Sequence[Attempt]) -> Detail:
    def told(attempt: Attempt) -> Detail:
        return {"networkInterfaces": [], **attempt.place, **attempt.log, **attempt.result}

    shown = told(latest) if latest else {"networkInterfaces": []}
    return {
        "attempts": [{"container": told(attempt), **attempt.times} for attempt in listed],
        "container": {**description["container"], **shown},
    }


def _in_task(description: Detail, latest: Attempt | None, listed: Sequence[Attempt]) -> Detail:
    """Each container has its own result; the sidecar ends well whenever its mate ends at all."""
    [task] = description["ecsProperties"]["taskProperties"]
    main, sidecar = task["containers"]

    def told(attempt: Attempt, main: Detail, sidecar: Detail) -> Detail:
        well = {} if attempt.exit_code is None else {"exitCode": 0}
        containers = [
            {**main, **attempt.log, **attempt.result},
            {**sidecar, **attempt.log, **well},
        ]
        return {**attempt.place, "containers": containers}

    names = [{"name": container["name"]} for container in (main, sidecar)]
    shown = {**task, **told(latest, main, sidecar)} if latest else task
    return {
        "attempts": [{"taskProperties": [told(a, *names)], **a.times} for a in listed],
        "ecsProperties": {"taskProperties": [shown]},
        "container": {},
    }


def _in_pod(description: Detail, latest: Attempt | None, listed: Sequence[Attempt]) -> Detail:
    pod = description["eksProperties"]["podProperties"]
    [container] = pod["containers"]
    shown = (
        {**pod, **latest.place, "containers": [{**container, **latest.result}]} if latest else pod
    )
    return {
        "attempts": [],
        "eksAttempts": [
            {"containers": [{"name": container["name"], **a.result}], **a.place, **a.times}
            for a in listed
        ],
        "eksProperties": {"podProperties": shown},
    }


def _in_nodes(description: Detail, latest: Attempt | None, listed: Sequence[Attempt]) -> Detail:
    """A multi-node parent tells how its main node fared, but has no container and no log."""
    return {
        "attempts": [
            {"container": {"networkInterfaces": [], **attempt.result}, **attempt.times}
            for attempt in listed
        ]
    }


def _in_service(description: Detail, latest: Attempt | None, listed: Sequence[Attempt]) -> Detail:
    """Preempted attempts are told apart from the others."""
    return {
        "attempts": [_training(attempt) for attempt in listed if not attempt.preempted],
        **preemption_summary(listed),
        **({"latestAttempt": latest.place} if latest else {}),
    }


def _training(attempt: Attempt) -> Detail:
    return {**attempt.place, **attempt.times}


_SHOWN: dict[Kind, Callable[[Detail, Attempt | None, Sequence[Attempt]], Detail]] = {
    Kind.EC2: _in_container,
    Kind.FARGATE: _in_container,
    Kind.LEGACY: _in_container,
    Kind.ECS: _in_task,
    Kind.EKS: _in_pod,
    Kind.MULTI_NODE: _in_nodes,
    Kind.SERVICE: _in_service,
}
