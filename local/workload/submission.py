"""The part of a job's detail that SubmitJob determines: every event of the job repeats it.

The shapes are those of botocore's `batch` model (JobDetail), as far as AWS sends them in events.
What happens to a job, and when, is the scheduler's concern.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from local.workload.events import HOUR, SECOND, Detail, base_arn
from local.workload.seeded_random import SeededRandom


class Kind(StrEnum):
    """The shape of a job's detail. Array parents and children have the shape EC2 or FARGATE."""

    EC2 = "EC2"
    FARGATE = "FARGATE"
    LEGACY = "LEGACY"
    """As events were in 2017."""
    ECS = "ECS"
    """Several containers."""
    EKS = "EKS"
    MULTI_NODE = "MULTI_NODE"
    """The parent of a multi-node job. Its nodes have the shape EC2."""
    SERVICE = "SERVICE"
    """A service job, which SageMaker runs."""


@dataclass(frozen=True)
class _Program:
    """A scientific program. `{}` in the command is the sample; `memory` is in MiB."""

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
_ONE_ATTEMPT: Detail = {"attempts": 1, "evaluateOnExit": []}
_THREE_ATTEMPTS: Detail = {"attempts": 3, "evaluateOnExit": []}
_TEN_ATTEMPTS: Detail = {"attempts": 10, "evaluateOnExit": []}
_RETRY_LOST_HOSTS: Detail = {
    "attempts": 5,
    "evaluateOnExit": [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}
_RETRY_STRATEGIES = (
    _ONE_ATTEMPT,
    _ONE_ATTEMPT,
    _THREE_ATTEMPTS,
    _RETRY_LOST_HOSTS,
    _TEN_ATTEMPTS,
)


def describe(
    random: SeededRandom,
    kind: Kind,
    queue: str,
    created: int,
    nodes: int = 0,
    depends_on: Sequence[str] = (),
) -> Detail:
    """Return the description of a new job. `nodes` is the size of a multi-node job."""
    program = random.choice(_PROGRAMS)
    sample = f"NA{random.randint(12000, 24999)}"
    job_id = random.uuid()
    arn = f"{base_arn(queue)}:job/{job_id}"
    description: Detail = {
        "jobArn": arn,
        "jobName": f"{program.name}-{sample}",
        "jobId": job_id,
        "jobQueue": queue,
        "createdAt": created,
        "retryStrategy": random.choice(_RETRY_STRATEGIES),
        "dependsOn": [{"jobId": needed} for needed in depends_on],
        "jobDefinition": f"{base_arn(queue)}:job-definition/{program.name}:{random.randint(1, 40)}",
        "parameters": _parameters(random, sample),
        "tags": {"resourceArn": arn, "project": random.choice(("atlas", "cohort-7", "reanalysis"))},
        "propagateTags": False,
        "platformCapabilities": [kind.value] if kind in (Kind.EC2, Kind.FARGATE) else [],
        "eksAttempts": [],
        **_ProgramRun(random, program, sample, queue).of_kind(kind, nodes),
    }
    if random.chance(0.7):
        hours = random.choice((1, 2, 6))
        description["timeout"] = {"attemptDurationSeconds": hours * HOUR // SECOND}
    if random.chance(0.3):
        description |= {"shareIdentifier": "lab", "schedulingPriority": random.randint(0, 99)}
    return _as_of_2017(description) if kind is Kind.LEGACY else description


def describe_service(random: SeededRandom, queue: str, created: int) -> Detail:
    """Return the description of a new service job, without tags and payload, which no event
    contains."""
    job_id = random.uuid()
    return {
        "jobArn": f"{base_arn(queue)}:service-job/{job_id}",
        "jobName": f"train-{random.choice(('segmenter', 'folder', 'denoiser'))}-{random.hex(4)}",
        "jobId": job_id,
        "jobQueue": queue,
        "createdAt": created,
        "serviceJobType": "SAGEMAKER_TRAINING",
        "schedulingPriority": random.randint(0, 99),
        "quotaShareName": random.choice(("vision", "language")),
        "retryStrategy": {"attempts": random.choice((1, 1, 3)), "evaluateOnExit": []},
        "capacityUsage": [{"capacityUnit": "ml.g5.xlarge", "quantity": 2.0}],
        "preemptionConfiguration": {"preemptionRetriesBeforeTermination": random.randint(1, 3)},
        "timeoutConfig": {"attemptDurationSeconds": random.choice((1, 2, 6)) * HOUR // SECOND},
    }


def child(parent: Detail, index: int, created: int) -> Detail:
    """Return an array child's description. Its tag `resourceArn` is the parent's, as in Batch."""
    return {
        **_with_id_suffix(parent, f":{index}"),
        "createdAt": created,
        "arrayProperties": {"index": index, "statusSummary": {}},
    }


def node(parent: Detail, index: int) -> Detail:
    """Return a node's description, with the container of its node range."""
    properties = parent["nodeProperties"]
    is_main = index == properties["mainNode"]
    description = _with_id_suffix(parent, f"#{index}")
    del description["nodeProperties"]
    description["nodeDetails"] = {"nodeIndex": index, "isMainNode": is_main}
    description["container"] = properties["nodeRangeProperties"][0 if is_main else 1]["container"]
    return description


def _with_id_suffix(parent: Detail, suffix: str) -> Detail:
    ids = {"jobId": parent["jobId"] + suffix, "jobArn": parent["jobArn"] + suffix}
    return {**parent, **ids}


@dataclass(frozen=True)
class _ProgramRun:
    """A program with its input, in the forms that each kind of job has for it."""

    random: SeededRandom
    program: _Program
    sample: str
    queue: str

    def of_kind(self, kind: Kind, nodes: int) -> Detail:
        match kind:
            case Kind.ECS:
                return {"ecsProperties": {"taskProperties": [self._task()]}}
            case Kind.EKS:
                return {"eksProperties": {"podProperties": self._pod()}}
        container = self._container(kind)
        if kind is not Kind.MULTI_NODE:
            return {"container": container}
        ranges = [{"targetNodes": targets, "container": container} for targets in ("0", "1:")]
        return {"nodeProperties": {"numNodes": nodes, "mainNode": 0, "nodeRangeProperties": ranges}}

    def _container(self, kind: Kind) -> Detail:
        account = self.queue.split(":")[4]
        container: Detail = {
            "image": self.program.image,
            "command": self._arguments(),
            "jobRoleArn": f"arn:aws:iam::{account}:role/batch-job",
            "executionRoleArn": f"arn:aws:iam::{account}:role/batch-execution",
            "volumes": [],
            "environment": self._environment(),
            "mountPoints": [],
            "ulimits": [],
            "resourceRequirements": self._requirements(gpu="gpu" in self.queue),
            "secrets": [],
        }
        if kind is Kind.FARGATE:
            container["fargatePlatformConfiguration"] = {"platformVersion": "LATEST"}
            container["networkConfiguration"] = {"assignPublicIp": "ENABLED"}
            container["resourceRequirements"] = [
                {"value": "0.5", "type": "VCPU"},
                {"value": "2048", "type": "MEMORY"},
            ]
        if self.random.chance(0.4):
            container["logConfiguration"] = {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": "/lab/batch",
                    "awslogs-stream-prefix": self.program.name,
                },
                "secretOptions": [],
            }
        return container

    def _task(self) -> Detail:
        """Return an ECS task: the program, and a sidecar that uploads its output."""
        main = {
            "name": "main",
            "essential": True,
            "image": self.program.image,
            "command": self._arguments(),
            "environment": self._environment(),
            "resourceRequirements": self._requirements(),
        }
        sidecar = {
            "name": "upload",
            "essential": False,
            "image": "public.ecr.aws/aws-cli/aws-cli:2.17.0",
            "command": ["s3", "sync", "/results", f"s3://lab-results/{self.sample}"],
            "environment": self._environment(),
            "resourceRequirements": [
                {"value": "1", "type": "VCPU"},
                {"value": "512", "type": "MEMORY"},
            ],
        }
        return {"containers": [main, sidecar]}

    def _pod(self) -> Detail:
        command, *arguments = self._arguments()
        limits = {"cpu": str(self.program.vcpus), "memory": f"{self.program.memory}Mi"}
        container = {
            "name": "default",
            "image": self.program.image,
            "command": [command],
            "args": arguments,
            "env": self._environment(),
            "resources": {"limits": limits, "requests": limits},
        }
        return {"serviceAccountName": "batch", "containers": [container]}

    def _arguments(self) -> list[str]:
        command = self.program.command.format(self.sample)
        forms = (
            lambda: command.split(),
            lambda: [*command.split(), "--password", self.random.secret()],
            lambda: ["sh", "-c", f"TOKEN={self.random.secret()} {command}"],
            lambda: [
                "sh",
                "-c",
                f"fetch --password {self.random.secret()} {self.sample} && {command}",
            ],
        )
        return self.random.choices(forms, (85, 5, 5, 5))[0]()

    def _environment(self) -> list[Detail]:
        environment = [{"name": "SAMPLE", "value": self.sample}]
        if self.random.chance(0.6):
            name = self.random.choice(_SECRET_NAMES)
            environment.append({"name": name, "value": self.random.secret()})
        return environment

    def _requirements(self, *, gpu: bool = False) -> list[Detail]:
        """Return the resources in random order, as in Batch's events."""
        requirements = [
            {"value": str(self.program.vcpus), "type": "VCPU"},
            {"value": str(self.program.memory), "type": "MEMORY"},
            *([{"value": "1", "type": "GPU"}] if gpu else []),
        ]
        self.random.shuffle(requirements)
        return requirements


def _parameters(random: SeededRandom, sample: str) -> Detail:
    parameters = {"sample": sample, "reference": "GRCh38"} if random.chance(0.5) else {}
    if random.chance(0.1):
        form = random.choice(("--password {}", "TOKEN={}", "--user lab --password={} --retry"))
        parameters["options"] = form.format(random.secret())
    return parameters


def _as_of_2017(description: Detail) -> Detail:
    """Return the description with vCPUs and memory as numbers, without fields added later."""
    later = {"jobArn", "tags", "propagateTags", "platformCapabilities", "eksAttempts"}
    later |= {"timeout", "shareIdentifier", "schedulingPriority"}
    old = {key: value for key, value in description.items() if key not in later}
    container = dict(old["container"])
    required = {r["type"]: int(r["value"]) for r in container.pop("resourceRequirements")}
    for field in ("executionRoleArn", "logConfiguration", "secrets"):
        container.pop(field, None)
    old["container"] = container | {"vcpus": required["VCPU"], "memory": required["MEMORY"]}
    old["retryStrategy"] = {"attempts": description["retryStrategy"]["attempts"]}
    return old
