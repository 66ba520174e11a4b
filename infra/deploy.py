"""Deployment of a stage: `make deploy STAGE=prod`, with the usual AWS credentials.

Three steps, each of which can be repeated: the stage's configuration (infra.stages), its
resources stack (infra.stack), and the app by `chalice deploy` (infra.packaging).
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import NoRegionError

from infra import gateway, job_queues, stages
from infra.errors import CommandError, run_command
from infra.secret import copy_webex_token, remove_webex_token
from infra.stack import StackSpec, deploy_stack

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_secretsmanager import SecretsManagerClient

ROOT = Path(__file__).parent.parent
API_STAGE = "api"
"""The stage of API Gateway, which Chalice names so by default."""
TEMPLATE = ROOT / "infra" / "resources.json"


@dataclass(frozen=True)
class QueueChange:
    """JOB_QUEUES, ADD_QUEUES and REMOVE_QUEUES, as they were given."""

    replaced: str | None = None
    added: str | None = None
    removed: str | None = None

    def applied(self, current: list[str], arn_prefix: str) -> list[str]:
        """Return the names and globs to record. Raise CommandError if the change is invalid."""
        queues = current
        if self.replaced is not None:
            queues = job_queues.parse(self.replaced, arn_prefix)
        if self.added is not None:
            added = job_queues.parse(self.added, arn_prefix, "ADD_QUEUES")
            if queues == [job_queues.ALL]:
                raise CommandError("ADD_QUEUES adds nothing: the stage records all job queues")
            queues = job_queues.parse(",".join([*queues, *added]), arn_prefix)
        if self.removed is not None:
            removed = job_queues.parse(self.removed, arn_prefix, "REMOVE_QUEUES")
            queues = job_queues.without(queues, removed)
        return queues


def deploy(
    session: boto3.Session, stage: str, change: QueueChange, alarm_topic: str | None
) -> None:
    """Deploy both stacks. A new stage records all job queues unless `change` replaces them. An
    alarm topic of None keeps its value."""
    if session.region_name is None:
        raise NoRegionError  # the STS client alone does not require a region
    identity = session.client("sts").get_caller_identity()
    account, partition = identity["Account"], identity["Arn"].split(":")[1]
    arn_prefix = f"arn:{partition}:batch:{session.region_name}:{account}:job-queue/"
    stages.check(stage, account, session.region_name)
    queues = change.applied(stages.job_queues_of(stage), arn_prefix)
    template = job_queues.with_rule_for(TEMPLATE.read_text(), queues, arn_prefix)
    watched = _watched(session, queues)
    stages.prepare(stage, account, session.region_name, queues)
    parameters = {
        "Stage": stage,
        "EventSources": stages.environment_of(stage)["EVENT_SOURCES"],
        "AlarmTopic": alarm_topic,
    }

    secrets = session.client("secretsmanager")

    print(f"Recorded job queues: {watched}", flush=True)
    print(
        f"Deploying the resources of stage {stage} to account {account}, {session.region_name} …",
        flush=True,
    )
    create_resources(
        session.client("cloudformation"),
        stage,
        {key: value for key, value in parameters.items() if value is not None},
        template,
        retained_resources(session.client("dynamodb"), secrets, stage),
    )
    api_secret = stages.environment_of(stage)["SECRET_ID"]
    is_copied = copy_webex_token(secrets, api_secret, stages.webex_secret_of(stage))
    print("Deploying the app …", flush=True)
    run_chalice("deploy", stage)
    if is_copied:  # until now, the deployed notifier has read it there
        remove_webex_token(secrets, api_secret)
        print(f"Moved the Webex token to the secret {stages.webex_secret_of(stage)}", flush=True)
    gateway.configure(session.client("apigateway"), _rest_api(stage)["rest_api_id"], API_STAGE)
    url = api_url(stage)
    if stages.set_default(stage, "PUBLIC_URL", url.removesuffix("/")):
        _set_variable(session, _resource(stage, "on_notices")["lambda_arn"], "PUBLIC_URL", url)
    print(
        f"The API is available at {url}\n"
        f"Create a token for it: make token STAGE={stage} NAME=ada QUEUES='*'\n"
        f"Commit the changes in .chalice, including .chalice/deployed/{stage}.json: the next"
        " deployment of this stage needs them."
    )


def create_resources(
    cloudformation: "CloudFormationClient",
    stage: str,
    parameters: dict[str, str],
    template: str | None = None,
    retained: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> None:
    """Deploy the resources stack. A new one adopts the retained resources."""
    name = resources_stack(stage)
    deploy_stack(
        cloudformation,
        StackSpec(name, template or TEMPLATE.read_text(), parameters),
        retained=retained,
        report=lambda line: print(f"  {line}", flush=True),
    )
    cloudformation.update_termination_protection(StackName=name, EnableTerminationProtection=True)


def resources_stack(stage: str) -> str:
    return f"batchwatch-{stage}-resources"


def retained_resources(
    dynamodb: "DynamoDBClient", secrets: "SecretsManagerClient", stage: str
) -> dict[str, dict[str, str]]:
    """Return the table and the secrets that an earlier stack of the stage left: the identifiers for
    an import, by logical id."""
    environment = stages.environment_of(stage)
    retained: dict[str, dict[str, str]] = {}
    with suppress(dynamodb.exceptions.ResourceNotFoundException):
        dynamodb.describe_table(TableName=environment["JOBS_TABLE"])
        retained["JobsTable"] = {"TableName": environment["JOBS_TABLE"]}
    for logical_id, secret_id in (
        ("Secret", environment["SECRET_ID"]),
        ("WebexSecret", environment["WEBEX_SECRET_ID"]),
    ):
        with suppress(secrets.exceptions.ResourceNotFoundException):
            retained[logical_id] = {"Id": secrets.describe_secret(SecretId=secret_id)["ARN"]}
    return retained


def _watched(session: boto3.Session, queues: list[str]) -> str:
    """Return which queues are recorded, for people. Raise CommandError if one doesn't exist."""
    if queues == [job_queues.ALL]:
        return "all, including those that are created later"
    pages = session.client("batch").get_paginator("describe_job_queues").paginate()
    existing = [queue["jobQueueName"] for page in pages for queue in page["jobQueues"]]
    found = job_queues.matching(queues, existing)
    return f"{', '.join(found)} ({len(found)} of {len(existing)})"


def run_chalice(command: str, stage: str) -> None:
    """Run `chalice deploy` or `chalice delete`, which print their own errors."""
    chalice = [sys.executable, "-m", "infra.packaging"]
    if subprocess.run([*chalice, command, "--stage", stage], cwd=ROOT).returncode != 0:
        raise CommandError(
            f"chalice {command} failed; its error is above. When it is fixed, run the same make"
            " command again: it continues from here"
        )


def api_url(stage: str) -> str:
    """Return the URL that Chalice stored when it deployed the stage."""
    return _rest_api(stage)["rest_api_url"]


def _rest_api(stage: str) -> dict[str, str]:
    return _resource(stage, "rest_api")


def _resource(stage: str, name: str) -> dict[str, str]:
    """Return what Chalice stored of a resource of the app when it deployed the stage."""
    deployed = json.loads((ROOT / ".chalice" / "deployed" / f"{stage}.json").read_text())
    [resource] = [each for each in deployed["resources"] if each["name"] == name]
    return dict(resource)


def _set_variable(session: boto3.Session, function: str, variable: str, value: str) -> None:
    """Set an environment variable of a deployed function: its URL is known only now."""
    client = session.client("lambda")
    client.get_waiter("function_updated_v2").wait(FunctionName=function)
    current = client.get_function_configuration(FunctionName=function)
    variables = current["Environment"]["Variables"] | {variable: value}
    client.update_function_configuration(
        FunctionName=function, Environment={"Variables": variables}
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make deploy", description="Deploy a stage to AWS.")
    parser.add_argument("--stage", required=True, help="the stage to create or update")
    names = "names, ARNs or globs of job queues, comma-separated"
    parser.add_argument("--job-queues", help=f"{names}: record these and no others; * is all")
    parser.add_argument("--add-queues", help=f"{names}: record these too")
    parser.add_argument("--remove-queues", help=f"{names}: stop recording these")
    parser.add_argument("--alarm-topic", help="ARN of the SNS topic that receives the alarms")
    options = parser.parse_args()
    change = QueueChange(options.job_queues, options.add_queues, options.remove_queues)
    deploy(boto3.Session(), options.stage, change, options.alarm_topic)


if __name__ == "__main__":
    sys.exit(run_command(main))
