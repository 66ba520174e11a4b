"""Deploys a stage: `make deploy STAGE=prod`, with the usual AWS credentials.

Three steps, each of which can be repeated: the stage's configuration, its resources stack, and the
app by `chalice deploy`. Knows their order and what a person wants to be told; what a stage and a
stack are, its neighbours know.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import NoRegionError

from infra import stages
from infra.errors import Refused, told_plainly
from infra.stack import deploy_stack

ROOT = Path(__file__).parent.parent
TEMPLATE = ROOT / "infra" / "resources.json"


def deploy(session: Any, stage: str, job_queues: str | None, alarm_topic: str | None) -> None:
    """What is None stays as it is, or is the template's default in a new stage."""
    if session.region_name is None:
        raise NoRegionError  # which STS alone would not need
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

    print(f"Stage {stage}, account {account}, {session.region_name}: resources", flush=True)
    create_resources(
        session.client("cloudformation"),
        stage,
        {key: value for key, value in parameters.items() if value is not None},
    )
    print("App", flush=True)
    run_chalice(stage)
    print(
        f"The API answers at {api_url(stage)}\n"
        f"A token for it: make token STAGE={stage} NAME=somebody QUEUES='*'\n"
        f"Commit what changed in .chalice, {stage}'s file in .chalice/deployed too: whoever"
        " deploys this stage next needs it."
    )


def create_resources(cloudformation: Any, stage: str, parameters: dict[str, str]) -> None:
    name = f"batchwatch-{stage}-resources"
    deploy_stack(
        cloudformation,
        name,
        TEMPLATE.read_text(),
        parameters,
        report=lambda line: print(f"  {line}", flush=True),
    )
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=True)


def queue_arns(queues: str, prefix: str) -> str:
    """The ARNs of job queues, from a comma list of the names and ARNs that a person gives."""
    given = [queue.strip() for queue in queues.split(",") if queue.strip()]
    if not given:
        raise Refused("no job queue is left: give names or ARNs, separated by commas, or *")
    if "*" in given:
        return "*"
    return ",".join(queue if ":" in queue else f"{prefix}:job-queue/{queue}" for queue in given)


def run_chalice(stage: str) -> None:
    chalice = Path(sys.executable).with_name("chalice")
    if subprocess.run([chalice, "deploy", "--stage", stage], cwd=ROOT).returncode != 0:
        raise Refused(
            "chalice deploy failed, as it says above; the resources are in place, so when that is"
            f" mended, make deploy STAGE={stage} goes on from here"
        )


def api_url(stage: str) -> str:
    """Where the stage's API answers, as Chalice noted it down."""
    deployed = json.loads((ROOT / ".chalice" / "deployed" / f"{stage}.json").read_text())
    urls = [one["rest_api_url"] for one in deployed["resources"] if "rest_api_url" in one]
    return str(urls[0])


def main() -> None:
    parser = argparse.ArgumentParser(prog="make deploy", description="Deploys a stage.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--job-queues", help="names or ARNs, separated by commas; * is all")
    parser.add_argument("--alarm-topic", help="ARN of the SNS topic that hears of the alarms")
    options = parser.parse_args()
    deploy(boto3.Session(), options.stage, options.job_queues, options.alarm_topic)


if __name__ == "__main__":
    sys.exit(told_plainly(main))
