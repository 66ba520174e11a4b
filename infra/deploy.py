"""Deployment of a stage: `make deploy STAGE=prod`, with the usual AWS credentials.

Three steps, each of which can be repeated: the stage's configuration (infra.stages), its
resources stack (infra.stack), and the app by `chalice deploy`.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import NoRegionError

from infra import stages
from infra.errors import CommandError, run_command
from infra.stack import StackSpec, deploy_stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "infra" / "resources.json"


def deploy(
    session: boto3.Session, stage: str, job_queues: str | None, alarm_topic: str | None
) -> None:
    """Deploy both stacks. A parameter that is None keeps its value; in a new stage it has the
    template's default."""
    if session.region_name is None:
        raise NoRegionError  # the STS client alone does not require a region
    identity = session.client("sts").get_caller_identity()
    account, partition = identity["Account"], identity["Arn"].split(":")[1]
    stages.prepare(stage, account)
    parameters = {
        "Stage": stage,
        "EventSources": stages.environment_of(stage)["EVENT_SOURCES"],
        "JobQueues": job_queues
        and queue_arns(job_queues, f"arn:{partition}:batch:{session.region_name}:{account}"),
        "AlarmTopic": alarm_topic,
    }

    print(
        f"Deploying the resources of stage {stage} to account {account}, {session.region_name} …",
        flush=True,
    )
    create_resources(
        session.client("cloudformation"),
        stage,
        {key: value for key, value in parameters.items() if value is not None},
    )
    print("Deploying the app …", flush=True)
    run_chalice(stage)
    print(
        f"The API is available at {api_url(stage)}\n"
        f"Create a token for it: make token STAGE={stage} NAME=ada QUEUES='*'\n"
        f"Commit the changes in .chalice, including .chalice/deployed/{stage}.json: the next"
        " deployment of this stage needs them."
    )


def create_resources(
    cloudformation: "CloudFormationClient", stage: str, parameters: dict[str, str]
) -> None:
    name = f"batchwatch-{stage}-resources"
    deploy_stack(
        cloudformation,
        StackSpec(name, TEMPLATE.read_text(), parameters),
        report=lambda line: print(f"  {line}", flush=True),
    )
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=True)


def queue_arns(job_queues: str, prefix: str) -> str:
    """Return the comma-separated ARNs of job queues that are given by name or ARN. A `*` among
    them means all queues. `prefix` is `arn:<partition>:batch:<region>:<account>`."""
    queues = [queue.strip() for queue in job_queues.split(",") if queue.strip()]
    if not queues:
        raise CommandError(
            "JOB_QUEUES must be names or ARNs of job queues, such as JOB_QUEUES=high,low, or *"
        )
    if "*" in queues:
        return "*"
    return ",".join(queue if ":" in queue else f"{prefix}:job-queue/{queue}" for queue in queues)


def run_chalice(stage: str) -> None:
    chalice = Path(sys.executable).with_name("chalice")
    if subprocess.run([chalice, "deploy", "--stage", stage], cwd=ROOT).returncode != 0:
        raise CommandError(
            "chalice deploy failed; its error is above. The resources are deployed. When the error"
            f" is fixed, run make deploy STAGE={stage} again"
        )


def api_url(stage: str) -> str:
    """Return the URL that Chalice stored when it deployed the stage."""
    deployed = json.loads((ROOT / ".chalice" / "deployed" / f"{stage}.json").read_text())
    urls = [
        resource["rest_api_url"] for resource in deployed["resources"] if "rest_api_url" in resource
    ]
    return str(urls[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make deploy", description="Deploy a stage to AWS.")
    parser.add_argument("--stage", required=True, help="the stage to create or update")
    parser.add_argument(
        "--job-queues", help="names or ARNs of the job queues to record, comma-separated; * is all"
    )
    parser.add_argument("--alarm-topic", help="ARN of the SNS topic that receives the alarms")
    options = parser.parse_args()
    deploy(boto3.Session(), options.stage, options.job_queues, options.alarm_topic)


if __name__ == "__main__":
    sys.exit(run_command(main))
