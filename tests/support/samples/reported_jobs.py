"""Jobs whose cause, log or dates users of AWS Batch got wrong, with what batchwatch must answer.

Each kind of fault has at least three jobs, two of them from public material: AWS's documentation,
its knowledge center, issues and code of public repositories. Where a source contains only a text
or describes what happened, the rest of the job has the usual form of such a job.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.support.builders import NOON, a_detail, a_service_detail, a_training

OWN = "own"
EXITED = "Essential container in task exited"
NOT_STARTED = "Task failed to start"
SAGEMAKER = "Received status from SageMaker: "
ROLE = "arn:aws:iam::379899735384:role/SageMakerRole"
GITHUB = "https://github.com"
USER_GUIDE = "https://docs.aws.amazon.com/batch/latest/userguide"
API_REFERENCE = "https://docs.aws.amazon.com/batch/latest/APIReference"


class ReportedJob(NamedTuple):
    """A job as AWS Batch describes it. `expected` are values of the API's answer by their paths,
    `words` are contained in the explanation, and `absent` are not."""

    kind: str
    source: str
    detail: Mapping[str, Any]
    expected: Mapping[str, object]
    words: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def is_service(self) -> bool:
        return "serviceJobType" in self.detail

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.source.removeprefix('https://')}"


def failed(reason: str | None, *attempts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return a_detail(
        **{
            "status": "FAILED",
            "statusReason": reason,
            "attempts": list(attempts),
            "container": {"image": "app:1"},
            "stoppedAt": NOON + 60_000,
            **fields,
        }
    )


def ended(
    exit_code: int | None = None, reason: str | None = None, text: str | None = EXITED
) -> dict[str, Any]:
    """Return an attempt that ran."""
    known = {"exitCode": exit_code, "reason": reason, "logStreamName": "app/default/1"}
    container = {name: value for name, value in known.items() if value is not None}
    times = {"startedAt": NOON + 10_000, "stoppedAt": NOON + 60_000}
    return {"container": container, "statusReason": text, **times}


def not_started(reason: str) -> dict[str, Any]:
    """Return an attempt whose container never started. AWS names a log stream anyway."""
    container = {"reason": reason, "logStreamName": "app/default/1"}
    return {"container": container, "statusReason": NOT_STARTED, "stoppedAt": NOON + 60_000}


def training(reason: str, *, has_run: bool = True, **fields: Any) -> dict[str, Any]:
    """Return a service job that failed."""
    attempts = [a_training(1, statusReason=reason)] if has_run else []
    return a_service_detail(status="FAILED", statusReason=reason, attempts=attempts, **fields)


def of_containers(ends: list[dict[str, Any]], defined: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a failed job of several containers, with their ends in the order of AWS's answer."""
    attempt = {**ended(), "container": {}, "taskProperties": [{"containers": ends}]}
    tasks = {"taskProperties": [{"containers": defined}]}
    return failed(EXITED, attempt, container={}, ecsProperties=tasks)


def of_pod(containers: list[dict[str, Any]], first: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a failed job on EKS, with init containers that run first."""
    times = {"startedAt": NOON + 10_000, "stoppedAt": NOON + 60_000}
    names = {"podName": "aws-batch.fa024ec9", "podNamespace": "aws-batch", "nodeName": "ip-10-0-81"}
    attempt = {"containers": containers, "initContainers": first, **names, **times}
    pod = {"podProperties": {"containers": [{"name": "app", "image": "app:1"}]}}
    return failed(None, container=None, eksAttempts=[attempt], eksProperties=pod)


def with_log(options: dict[str, str], driver: str = "awslogs") -> dict[str, Any]:
    configuration = {"logDriver": driver, "options": options}
    return {"image": "app:1", "logConfiguration": configuration}


CANNOT_START = {"failure.cause": "CANNOT_START", "links.logs": None}
KILLED = {"failure.cause": "KILLED", "failure.exitCode": 137}

REFUSED = [
    ReportedJob(
        "refused",
        f"{GITHUB}/aws-solutions/distributed-load-testing-on-aws/issues/82",
        failed("Timeout waiting for network interface provisioning to complete."),
        CANNOT_START,
        ("network interface", "subnets", '"Timeout waiting for network interface'),
    ),
    ReportedJob(
        "refused",
        f"{GITHUB}/aws/sagemaker-python-sdk/issues/35",
        training(f"{SAGEMAKER}ClientError: SageMaker was unable to assume the role '{ROLE}'"),
        CANNOT_START,
        ("sagemaker.amazonaws.com", ROLE),
        ("A person",),
    ),
    ReportedJob(
        "refused",
        "https://docs.aws.amazon.com/sagemaker/latest/dg/training-compiler-support.html",
        training(
            f"{SAGEMAKER}The account-level service limit 'ml.p3dn.24xlarge for training job usage' "
            "is 0 Instances, with current utilization of 0 Instances and a request delta of 1 "
            "Instances. Please contact AWS support to request an increase for this limit.",
            has_run=False,
        ),
        CANNOT_START,
        ("Service Quotas", "ml.p3dn.24xlarge"),
        ("A person", "no exit code"),
    ),
    ReportedJob(
        "refused",
        OWN,
        failed(
            "Unexpected EC2 error while attempting to Create Network Interface with public IP "
            "assignment enabled in subnet 'subnet-0a': UnauthorizedOperation"
        ),
        CANNOT_START,
        ("permissions of the service role", "UnauthorizedOperation"),
    ),
]

CALLERS_TEXT = [
    ReportedJob(
        "caller",
        "https://repost.aws/knowledge-center/batch-jobs-termination",
        failed("Cancelling job."),
        {"failure.cause": "CANCELLED"},
        ("Most likely", '"Cancelling job."'),
    ),
    ReportedJob(
        "caller",
        f"{GITHUB}/AlexsLemonade/scpca-portal/blob/dev/api/scpca_portal/test/models/test_job.py",
        failed("Job TERMINATED", isTerminated=True),
        {"failure.cause": "TERMINATED"},
        ('"Job TERMINATED"',),
        ("Most likely",),
    ),
    ReportedJob(
        "caller",
        OWN,
        failed("Host EC2 was slow, CannotPullContainerError before, and out of memory twice"),
        {"failure.cause": "CANCELLED"},
        ("out of memory twice",),
        ("Increase the job's memory", "instance that the job ran on", "image could not"),
    ),
]

TERMINATED = [
    ReportedJob(
        "terminated",
        f"{GITHUB}/nextflow-io/nextflow/blob/master/plugins/nf-amazon/src/main/nextflow/cloud/aws"
        "/batch/AwsBatchTaskHandler.groovy",
        failed("Job killed by NF", ended(143, text="Job killed by NF")),
        {"failure.cause": "TERMINATED", "failure.exitCode": 143, "attempts.0.cause": "TERMINATED"},
        ('"Job killed by NF"', "exit code 143"),
        ("host shut down",),
    ),
    ReportedJob(
        "terminated",
        f"{GITHUB}/apache/airflow/blob/main/providers/amazon/src/airflow/providers/amazon/aws"
        "/operators/batch.py",
        failed("Task killed by the user", ended(137, text="Task killed by the user")),
        {"failure.cause": "TERMINATED", "failure.exitCode": 137},
        ("Task killed by the user",),
        ("memory",),
    ),
    ReportedJob(
        "terminated",
        f"{GITHUB}/Netflix/metaflow/blob/master/metaflow/plugins/aws/batch/batch_client.py",
        failed(
            "Metaflow initiated job termination.",
            ended(1, text="Metaflow initiated job termination."),
            isTerminated=True,
        ),
        {"failure.cause": "TERMINATED", "failure.exitCode": 1, "attempts.0.cause": "TERMINATED"},
        ("exit code 1", "Metaflow initiated job termination."),
    ),
    ReportedJob(
        "terminated",
        OWN,
        failed("wrong parameters", ended(0, text="wrong parameters"), isTerminated=True),
        {"failure.cause": "TERMINATED", "failure.exitCode": 0, "attempts.0.cause": "TERMINATED"},
        ("exit code 0", "wrong parameters"),
    ),
]

DATES = [
    ReportedJob(
        "dates",
        f"{GITHUB}/ASFHyP3/hyp3/issues/936",
        a_detail(
            status="SUCCEEDED",
            createdAt=1_648_613_000_000,
            startedAt=1_648_613_900_000,
            stoppedAt=1_648_614_000_000,
            attempts=[
                {**not_started("CannotStartContainerError: x"), "stoppedAt": 1_648_613_792_173},
                {**ended(0), "startedAt": 1_648_613_900_000, "stoppedAt": 1_648_614_000_000},
            ],
        ),
        {
            "attempts.0.startedAt": None,
            "attempts.0.cause": "CANNOT_START",
            "durations.runningSeconds": 100,
        },
    ),
    ReportedJob(
        "dates",
        f"{USER_GUIDE}/getting-started-sagemaker.html",
        a_service_detail(
            status="SUCCEEDED",
            createdAt=1_753_718_760,
            startedAt=1_753_718_820,
            stoppedAt=1_753_718_880,
            attempts=[a_training(1, startedAt=1_753_718_820, stoppedAt=1_753_718_880)],
        ),
        {
            "createdAt": None,
            "startedAt": None,
            "stoppedAt": None,
            "durations.runningSeconds": None,
        },
    ),
    ReportedJob(
        "dates",
        f"{GITHUB}/ASFHyP3/hyp3/issues/2485",
        a_detail(
            status="FAILED",
            statusReason="Host EC2 (instance i-0b) terminated.",
            stoppedAt=NOON + 5_000,
            attempts=[
                {"statusReason": "Host EC2 (instance i-0b) terminated.", "stoppedAt": NOON + 5_000}
            ],
        ),
        {
            "failure.cause": "SPOT_INTERRUPTION",
            "durations.runningSeconds": None,
            "attempts.0.startedAt": None,
        },
    ),
    ReportedJob(
        "dates",
        OWN,
        failed(EXITED, {**ended(1), "startedAt": 0}, startedAt=0),
        {"startedAt": None, "durations.runningSeconds": None, "failure.cause": "EXIT_CODE"},
    ),
]

DATADOG = {"name": "datadog-agent", "image": "datadog/agent", "essential": False}
SIDECARS = [
    ReportedJob(
        "sidecar",
        f"{GITHUB}/aws/containers-roadmap/issues/1522",
        of_containers(
            [{"name": "datadog-agent", "exitCode": 143}, {"name": "job", "exitCode": 2}],
            [DATADOG, {"name": "job", "image": "job:1"}],
        ),
        {
            "failure.cause": "EXIT_CODE",
            "failure.exitCode": 2,
            "failure.container": "job",
            "container.image": "job:1",
        },
        ("Container job failed.",),
    ),
    ReportedJob(
        "sidecar",
        f"{GITHUB}/kubernetes/kubernetes/issues/25908",
        of_containers(
            [{"name": "proxy", "exitCode": 137}, {"name": "main", "exitCode": 3}],
            [{"name": "proxy"}, {"name": "main"}],
        ),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": 3, "failure.container": "main"},
        (),
        ("memory",),
    ),
    ReportedJob(
        "sidecar",
        OWN,
        of_containers(
            [
                {"name": "a-log", "exitCode": 137},
                {
                    "name": "b-app",
                    "reason": "CannotInspectContainerError: Could not transition to inspecting; "
                    "timed out after waiting 30s",
                },
                {"name": "c-data", "exitCode": 9},
            ],
            [{"name": "a-log", "essential": False}, {"name": "b-app"}, {"name": "c-data"}],
        ),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": 9, "failure.container": "c-data"},
    ),
]

LOG_GROUPS = [
    ReportedJob(
        "log-group",
        f"{GITHUB}/nextflow-io/nextflow/pull/5026",
        failed(EXITED, ended(1), container=with_log({"awslogs-group": "nextflow-logs"})),
        {"log": ("nextflow-logs", "app/default/1")},
    ),
    ReportedJob(
        "log-group",
        f"{GITHUB}/cirrus-geo/cirrus-geo/pull/357",
        failed(
            EXITED,
            ended(1),
            container=with_log(
                {
                    "awslogs-group": "/cirrus/batch",
                    "awslogs-region": "us-west-2",
                    "awslogs-stream-prefix": "prefix",
                }
            ),
        ),
        {"log": ("/cirrus/batch", "app/default/1")},
    ),
    ReportedJob(
        "log-group",
        OWN,
        failed(EXITED, ended(1), container=with_log({"awslogs-stream-prefix": "prefix"})),
        {"log": ("/aws/batch/job", "app/default/1")},
    ),
]

INIT_CONTAINERS = [
    ReportedJob(
        "init-container",
        f"{API_REFERENCE}/API_EksAttemptDetail.html",
        of_pod([{"name": "app"}], [{"name": "load", "exitCode": 4, "reason": "Error"}]),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": 4, "failure.container": "load"},
        ("Init container load failed.",),
    ),
    ReportedJob(
        "init-container",
        f"{GITHUB}/cortexlabs/cortex/issues/1806",
        of_pod([{"name": "api", "exitCode": 0, "reason": "OOMKilled"}], []),
        {"failure.cause": "OUT_OF_MEMORY", "failure.exitCode": 0},
        ("memory limit",),
    ),
    ReportedJob(
        "init-container",
        OWN,
        of_pod(
            [{"name": "app", "reason": "PodInitializing"}],
            [
                {"name": "a-first", "exitCode": 0, "reason": "Completed"},
                {"name": "b-second", "exitCode": 137, "reason": "OOMKilled"},
            ],
        ),
        {
            "failure.cause": "OUT_OF_MEMORY",
            "failure.container": "b-second",
            "attempts.0.pod.podNamespace": "aws-batch",
        },
    ),
]

TWO_NODES = {
    "numNodes": 2,
    "mainNode": 0,
    "nodeRangeProperties": [{"targetNodes": "0:1", "container": {"image": "mpi:1"}}],
}
MULTI_NODE = [
    ReportedJob(
        "multi-node",
        f"{GITHUB}/apache/airflow/issues/54254",
        failed(
            EXITED,
            {
                **ended(),
                "container": None,
                "taskProperties": [
                    {"containers": [{"exitCode": 5, "logStreamName": "mnp/default/9f"}]}
                ],
            },
            container=None,
            nodeProperties=TWO_NODES,
        ),
        {
            "failure.cause": "EXIT_CODE",
            "failure.exitCode": 5,
            "log": ("/aws/batch/job", "mnp/default/9f"),
            "nodes": 2,
        },
    ),
    ReportedJob(
        "multi-node",
        f"{GITHUB}/Netflix/metaflow/blob/master/metaflow/plugins/aws/batch/batch_client.py",
        failed(EXITED, ended(1), container=None, nodeProperties=TWO_NODES),
        {"failure.exitCode": 1, "log": ("/aws/batch/job", "app/default/1"), "nodes": 2},
    ),
    ReportedJob(
        "multi-node",
        OWN,
        failed(
            EXITED,
            ended(1),
            container=None,
            nodeProperties={
                "numNodes": 3,
                "mainNode": 2,
                "nodeRangeProperties": [
                    {"targetNodes": ":1", "container": {"image": "worker:1"}},
                    {"targetNodes": "2", "container": with_log({"awslogs-group": "/mpi"})},
                ],
            },
        ),
        {"log": ("/mpi", "app/default/1"), "nodes": 3, "mainNode": 2, "container.image": "app:1"},
    ),
]

FIRST, SECOND = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
DEPENDENCIES = [
    ReportedJob(
        "dependency",
        f"{GITHUB}/getmoto/moto/pull/3956",
        failed("Dependent Job failed", dependsOn=[{"jobId": FIRST}, {"jobId": SECOND}]),
        {
            "failure.cause": "DEPENDENCY_FAILED",
            "dependsOn.0.jobId": FIRST,
            "dependsOn.1.jobId": SECOND,
        },
    ),
    ReportedJob(
        "dependency",
        f"{USER_GUIDE}/job_dependencies.html",
        failed(
            "Dependent Job failed",
            dependsOn=[{"jobId": FIRST, "type": "N_TO_N"}, {"type": "SEQUENTIAL"}],
            arrayProperties={"size": 10},
        ),
        {
            "failure.cause": "DEPENDENCY_FAILED",
            "dependsOn.0.type": "N_TO_N",
            "dependsOn.1.type": "SEQUENTIAL",
            "dependsOn.1.jobId": None,
        },
    ),
    ReportedJob(
        "dependency",
        OWN,
        failed("Dependent job failed.", dependsOn=[{"jobId": FIRST, "type": None}]),
        {"failure.cause": "DEPENDENCY_FAILED", "dependsOn.0.jobId": FIRST},
        (),
        ("Reason:",),
    ),
]

NO_COMPUTE_ENVIRONMENT = ("compute environment", "maxvCpus", "ECS")
SERVICE_QUEUES = [
    ReportedJob(
        "service-queue",
        f"{USER_GUIDE}/sm_job_stuck_in_runnable_capacity.html",
        a_service_detail(
            statusReason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Unable to provision requested "
            "compute resources"
        ),
        {"waiting.cause": "AWS has no free capacity"},
        ("SageMaker has no free instances",),
        NO_COMPUTE_ENVIRONMENT,
    ),
    ReportedJob(
        "service-queue",
        f"{USER_GUIDE}/sm_job_stuck_in_runnable_misconfiguration.html",
        training(
            "Terminated by JobStateTimeLimit action due to reason: "
            "MISCONFIGURATION:QUOTA_MANAGEMENT_LIMIT_EXCEEDED",
            has_run=False,
        ),
        {"failure.cause": "TIME_LIMIT"},
        ("time limit", "QUOTA_MANAGEMENT_LIMIT_EXCEEDED"),
        (*NO_COMPUTE_ENVIRONMENT, "cancelled"),
    ),
    ReportedJob(
        "service-queue",
        OWN,
        training("In-share preemption triggered for a higher priority job"),
        {"failure.cause": "PREEMPTED"},
        ("higher priority in its own share",),
        (*NO_COMPUTE_ENVIRONMENT, "borrowed, and"),
    ),
    ReportedJob(
        "service-queue",
        OWN,
        a_service_detail(statusReason="MISCONFIGURATION:QUOTA_MANAGEMENT_LIMIT_EXCEEDED"),
        {"waiting.cause": "the job requests more than its quota share allows"},
        ("quota share",),
        NO_COMPUTE_ENVIRONMENT,
    ),
]

STARTS = [
    ReportedJob(
        "start",
        f"{GITHUB}/aws/amazon-ecs-agent/issues/682",
        failed(
            NOT_STARTED,
            not_started(
                "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s"
            ),
        ),
        CANNOT_START,
        ("gp3", "started; timed out"),
        ("no reason of a known kind",),
    ),
    ReportedJob(
        "start",
        f"{GITHUB}/ASFHyP3/hyp3/issues/936",
        failed(
            NOT_STARTED,
            not_started(
                "CannotStartContainerError: Error response from daemon: failed to initialize "
                "logging driver: failed to create Cloudwatch log stream: ThrottlingException: Rate "
                "exceeded\n\tstatus code: 400, request id: 124becb5-0b78-4c69-9376-6b7bbd9e5a13"
            ),
        ),
        CANNOT_START,
        ("logs:CreateLogStream", "throttled", "ThrottlingException"),
        ("command exists in the image",),
    ),
    ReportedJob(
        "start",
        f"{GITHUB}/nextflow-io/nextflow/issues/5380",
        failed(
            NOT_STARTED,
            not_started("CgroupError: Agent could not create task's platform resources"),
        ),
        CANNOT_START,
        ("retry strategy", "CgroupError"),
    ),
    ReportedJob(
        "start",
        f"{GITHUB}/nextflow-io/nextflow/issues/3091",
        failed(
            EXITED,
            ended(
                None,
                "CannotInspectContainerError: Could not transition to inspecting; timed out after "
                "waiting 30s",
            ),
        ),
        {"failure.cause": "UNKNOWN", "log": ("/aws/batch/job", "app/default/1")},
        ("The container ran", "gp3", "CannotInspectContainerError"),
        ("could not start", "no reason of a known kind"),
    ),
    ReportedJob(
        "start",
        f"{GITHUB}/aws/amazon-ecs-agent/issues/731",
        failed(
            EXITED,
            ended(
                None,
                "DockerTimeoutError: Could not transition to stopped; timed out after waiting 1m0s",
            ),
        ),
        {"failure.cause": "UNKNOWN", "attempts.0.cause": "UNKNOWN"},
        ("The container ran",),
        ("could not start",),
    ),
    ReportedJob(
        "start",
        OWN,
        failed(EXITED, ended(3, "CannotStopContainerError: context deadline exceeded")),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": 3, "attempts.0.cause": "EXIT_CODE"},
    ),
]

TRAININGS = [
    ReportedJob(
        "training",
        f"{GITHUB}/aws/sagemaker-python-sdk/issues/134",
        training(f"{SAGEMAKER}AlgorithmError: Exit Code: 139"),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": 139},
        ("SIGSEGV",),
    ),
    ReportedJob(
        "training",
        f"{GITHUB}/aws/amazon-sagemaker-examples/issues/1740",
        training(
            f"{SAGEMAKER}AlgorithmError: framework error: \nTraceback (most recent call last):\n  "
            'File "/miniconda3/lib/python3.7/site-packages/sagemaker_containers/_trainer.py", line '
            "84, in train\n    entrypoint()\nMemoryError: out of memory"
        ),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": None, "attempts.0.cause": "EXIT_CODE"},
        ("the program failed", "MemoryError: out of memory"),
        ("no reason of a known kind", "Increase the job's memory"),
    ),
    ReportedJob(
        "training",
        f"{GITHUB}/aws-samples/amazon-sagemaker-ml-pipeline-deploy-with-terraform/issues/12",
        training(f"{SAGEMAKER}AlgorithmError: , exit code: 1"),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": 1},
    ),
    ReportedJob(
        "training",
        f"{GITHUB}/aws/sagemaker-python-sdk/blob/master/src/sagemaker/aws_batch/constants.py",
        training(
            "Received status from SageMaker:InternalServerError: We encountered an internal error. "
            "Please try again."
        ),
        {"failure.cause": "UNKNOWN"},
        ("internal error", "retry strategy"),
        ("no reason of a known kind", "person"),
    ),
    ReportedJob(
        "training",
        OWN,
        training(
            "Received status from SageMaker:AlgorithmError: ExecuteUserScriptError:\nExitCode 7\n"
            'ErrorMessage "Host EC2 (instance i-0b) terminated."'
        ),
        {"failure.cause": "EXIT_CODE", "failure.exitCode": 7},
        (),
        ("Spot",),
    ),
]

NO_STATUS = dict.fromkeys(("PENDING", "RUNNABLE", "RUNNING", "STARTING", "SUBMITTED"), 0)


def an_array(size: int, failures: int, **fields: Any) -> dict[str, Any]:
    counts = {**NO_STATUS, "FAILED": failures, "SUCCEEDED": size - failures}
    array = {"arrayProperties": {"size": size, "statusSummary": counts}}
    return failed("Array Child Job failed", **{**array, **fields})


ARRAYS = [
    ReportedJob(
        "array",
        f"{GITHUB}/boto/boto3/issues/3719",
        an_array(2, 1),
        {"failure.cause": "CHILD_FAILED", "notice": "1 of 2 child jobs failed"},
    ),
    ReportedJob(
        "array",
        f"{GITHUB}/nrdg/cloudknot/issues/134",
        an_array(20, 1),
        {"failure.cause": "CHILD_FAILED", "notice": "1 of 20 child jobs failed"},
    ),
    ReportedJob(
        "array",
        OWN,
        an_array(10_000, 2_500, isTerminated=None),
        {"failure.cause": "CHILD_FAILED", "notice": "2,500 of 10,000 child jobs failed"},
    ),
]

CANCELLED_BEFORE_START = [
    ReportedJob(
        "cancelled",
        f"{API_REFERENCE}/API_CancelJob.html",
        a_detail(
            status="PENDING",
            statusReason="Cancelling job.",
            isCancelled=True,
            arrayProperties={"size": 10},
        ),
        {"waiting.cause": "it was cancelled", "failure": None},
        ("its children",),
    ),
    ReportedJob(
        "cancelled",
        f"{API_REFERENCE}/API_TerminateJob.html",
        a_detail(
            status="PENDING",
            statusReason="stop the sweep",
            isTerminated=True,
            dependsOn=[{"jobId": FIRST, "type": "SEQUENTIAL"}],
        ),
        {"waiting.cause": "it was terminated", "failure": None},
        ("have ended",),
        ("Check those jobs",),
    ),
    ReportedJob(
        "cancelled",
        OWN,
        a_detail(
            statusReason="CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no spot", isTerminated=True
        ),
        {"waiting.cause": "it was terminated"},
        ("head of its queue",),
        ("free capacity",),
    ),
]

EXIT_137 = [
    ReportedJob(
        "exit-137",
        f"{GITHUB}/hashicorp/nomad/issues/6060",
        failed(EXITED, ended(137)),
        KILLED,
        ("usual reason", "does not report"),
    ),
    ReportedJob(
        "exit-137",
        f"{GITHUB}/aws/amazon-ecs-agent/issues/1187",
        failed(EXITED, ended(137, "OutOfMemoryError: Container killed due to memory usage")),
        {"failure.cause": "OUT_OF_MEMORY", "failure.exitCode": 137},
        ("Increase the job's memory",),
    ),
    ReportedJob("exit-137", OWN, training("AlgorithmError: Exit Code: 137"), KILLED),
]

ECR = "ResourceInitializationError: unable to pull secrets or registry auth: "
IMAGE_PULL = {"failure.cause": "IMAGE_PULL", "links.logs": None}
REGISTRIES = [
    ReportedJob(
        "registry",
        f"{GITHUB}/globaldothealth/list/issues/2662",
        failed(
            f"{ECR}execution resource retrieval failed: unable to retrieve ecr registry auth: "
            "service call has been retried 3 time(s)"
        ),
        IMAGE_PULL,
        ("network route to its registry",),
    ),
    ReportedJob(
        "registry",
        f"{GITHUB}/aws-samples/keycloak-on-aws/issues/222",
        failed(
            f"{ECR}execution resource retrieval failed: unable to get registry auth from asm: "
            "service call has been retried 5 time(s): asm fetching secret from the service for x"
        ),
        IMAGE_PULL,
    ),
    ReportedJob(
        "registry",
        f"{GITHUB}/Releem/releem-agent/issues/195",
        failed(
            f"{ECR}execution resource retrieval failed: unable to retrieve secret from asm: "
            "service call has been retried 5 time(s): failed to fetch secret x from secrets "
            "manager: RequestCanceled: request context canceled caused by: context deadline "
            "exceeded. Please check your task network configuration."
        ),
        CANNOT_START,
        ("secrets", "network route"),
        ("image could not be pulled",),
    ),
    ReportedJob(
        "registry",
        OWN,
        failed(
            NOT_STARTED,
            not_started(
                "The task cannot pull 'lab/align:2' from the Amazon ECR repository "
                "'1.dkr.ecr.us-east-1.amazonaws.com/lab'. There is a connection issue between the "
                "task and Amazon ECR. Check your task network configuration."
            ),
        ),
        IMAGE_PULL,
        ("lab/align:2",),
    ),
]

REPORTED_JOBS = [
    *(REFUSED + CALLERS_TEXT + TERMINATED + DATES + SIDECARS + LOG_GROUPS + INIT_CONTAINERS),
    *(MULTI_NODE + DEPENDENCIES + SERVICE_QUEUES + STARTS + TRAININGS + ARRAYS),
    *(CANCELLED_BEFORE_START + EXIT_137 + REGISTRIES),
]
