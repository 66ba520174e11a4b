"""Deployment of a stage and creation of tokens, in the local AWS.

The local AWS has two gaps that limit these tests. Its ImportRestApi ignores the definition, so a
deployed API has no routes; and it has no PutRestApi, so no stage can be deployed twice.
"""

import hashlib
import importlib.util
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from chalicelib.version import VERSION
from infra import stages
from infra.deploy import TEMPLATE, create_resources, resources_stack, retained_resources
from infra.errors import CommandError, StackError
from infra.secret import read_secret
from infra.stack import StackSpec, delete_stack, deploy_stack
from infra.token import allow_token, new_token, remove_token
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from local.stacks import kept_token

ACCOUNT = "111122223333"
PREFIX = f"arn:aws:batch:eu-west-1:{ACCOUNT}"


def run(
    module: str,
    *arguments: str,
    environment: Mapping[str, str],
    project: Path = stages.ROOT,
) -> "subprocess.CompletedProcess[str]":
    """Run a command with no AWS configuration but the given environment."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    no_configuration = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=clean | no_configuration | dict(environment),
        cwd=project,
        capture_output=True,
        text=True,
    )


# The resources stack


def test_the_resources_stack_is_created_then_unchanged_then_updated(
    aws: LocalAws, capsys: pytest.CaptureFixture[str]
) -> None:
    cloudformation, events = aws.client("cloudformation"), aws.client("events")
    create_resources(cloudformation, "prod", {"Stage": "prod"})
    first = capsys.readouterr().out
    create_resources(cloudformation, "prod", {"Stage": "prod"})
    second = capsys.readouterr().out
    create_resources(cloudformation, "prod", {"Stage": "prod", "EventSources": "my.batch"})

    assert "JobsTable CREATE_COMPLETE" in first
    assert "no changes" in second
    pattern = json.loads(events.describe_rule(Name="batchwatch-prod-batch-events")["EventPattern"])
    assert pattern["source"] == ["my.batch"]
    [stack] = cloudformation.describe_stacks(StackName="batchwatch-prod-resources")["Stacks"]
    assert stack["EnableTerminationProtection"] is True
    dashboard = aws.client("cloudwatch").get_dashboard(DashboardName="batchwatch-prod")
    [alarms, *_] = json.loads(dashboard["DashboardBody"])["widgets"]
    assert alarms["properties"]["alarms"][0].endswith(":alarm:batchwatch-prod-dead-letters")


def test_a_new_stack_adopts_the_table_and_the_secrets_of_a_deleted_one(
    aws: LocalAws, capsys: pytest.CaptureFixture[str]
) -> None:
    """The local AWS can't import a secret, so only the table is adopted."""
    cloudformation, secrets = aws.client("cloudformation"), aws.client("secretsmanager")
    parameters = {"Stage": "prod"}
    create_resources(cloudformation, "prod", parameters)
    item = {"pk": {"S": "JOB#1"}, "sk": {"S": "JOB"}}
    aws.dynamodb.put_item(TableName="batchwatch-prod-jobs", Item=item)

    assert delete_stack(cloudformation, resources_stack("prod"), poll_seconds=0.01)
    assert not delete_stack(cloudformation, resources_stack("prod"))
    with pytest.raises(aws.sqs.exceptions.QueueDoesNotExist):
        aws.queue_url("batchwatch-prod-events")
    retained = retained_resources(aws.dynamodb, secrets, "prod")
    assert retained.keys() == {"JobsTable", "Secret", "WebexSecret"}
    for secret in ("batchwatch-prod", "batchwatch-prod/webex"):
        secrets.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)
    retained = retained_resources(aws.dynamodb, secrets, "prod")
    create_resources(cloudformation, "prod", parameters, retained=retained)

    assert "adopts JobsTable of an earlier stack" in capsys.readouterr().out
    assert aws.dynamodb.scan(TableName="batchwatch-prod-jobs")["Items"] == [item]
    assert aws.queue_url("batchwatch-prod-events")
    [stack] = cloudformation.describe_stacks(StackName=resources_stack("prod"))["Stacks"]
    assert stack["StackStatus"] == "UPDATE_COMPLETE"


def test_a_stage_is_destroyed_only_if_its_name_is_confirmed(aws: LocalAws) -> None:
    result = run("infra.destroy", "--stage", "prod", environment=aws.environment)

    assert result.returncode == 1
    assert result.stderr.endswith("confirm it with CONFIRM=prod\n")


def test_the_error_of_a_failed_stack_contains_the_resource_and_the_reason(
    aws: LocalAws,
) -> None:
    """A deployment after the failure continues the creation in AWS; the local AWS can't do that."""
    never_signalled = {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Signal": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "1"},
        },
    }
    template = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, **never_signalled}})

    with pytest.raises(StackError) as failure:
        deploy_stack(aws.cloudformation, StackSpec("s", template), poll_seconds=0.01)

    assert str(failure.value).startswith("stack s is CREATE_FAILED: Signal CREATE_FAILED: Wait")


# The whole stage


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the files that are deployed, because a deployment writes to .chalice."""
    for name in ("app.py", "requirements.txt"):
        shutil.copy(stages.ROOT / name, tmp_path / name)
    for name in (".chalice", "chalicelib", "infra"):
        shutil.copytree(stages.ROOT / name, tmp_path / name)
    return tmp_path


def test_a_queue_that_does_not_exist_is_refused_before_anything_is_deployed(
    aws: LocalAws, project: Path, batch: BatchServer
) -> None:
    config = (project / ".chalice" / "config.json").read_text()
    batch.put_queue("high")

    result = run(
        "infra.deploy",
        *("--stage", "trial", "--job-queues", "high,hihg"),
        project=project,
        environment=aws.environment | {"AWS_ENDPOINT_URL_BATCH": batch.url},
    )

    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        "error: JOB_QUEUES contains hihg, but AWS Batch has no such job queue here. It has: high\n"
    )
    assert (project / ".chalice" / "config.json").read_text() == config


def test_a_new_stage_is_deployed_records_events_and_is_destroyed(
    aws: LocalAws, project: Path, batch: BatchServer
) -> None:
    batch.put_queue("high")
    batch.put_queue("low")
    result = run(
        "infra.deploy",
        *("--stage", "trial", "--job-queues", "high"),
        project=project,
        environment=aws.environment | {"AWS_ENDPOINT_URL_BATCH": batch.url},
    )
    assert result.returncode == 0, result.stderr
    assert "Recorded job queues: high (1 of 2)\n" in result.stdout
    url = json.loads((project / ".chalice/deployed/trial.json").read_text())["resources"][-1]
    event = {
        "id": "7e5a",
        "source": "aws.batch",
        "detail-type": "Batch Job State Change",
        "account": "000000000000",
        "time": "2026-11-24T03:55:00Z",
        "detail": {"jobId": "4c75", "jobName": "n", "jobQueue": "high", "status": "RUNNABLE"},
    }

    aws.sqs.send_message(
        QueueUrl=aws.queue_url("batchwatch-trial-events"), MessageBody=json.dumps(event)
    )

    assert f"The API is available at {url['rest_api_url']}" in result.stdout
    assert "make token STAGE=trial" in result.stdout
    public_url = url["rest_api_url"].removesuffix("/")
    config = json.loads((project / ".chalice/config.json").read_text())["stages"]["trial"]
    assert config["environment_variables"]["PUBLIC_URL"] == public_url
    notifier = aws.client("lambda").get_function_configuration(
        FunctionName="batchwatch-trial-on_notices"
    )
    assert notifier["Environment"]["Variables"]["PUBLIC_URL"].removesuffix("/") == public_url
    sweep = aws.client("lambda").get_function(FunctionName="batchwatch-trial-sweep")
    assert sweep["Tags"]["version"] == VERSION
    assert "jobId" in first_item(aws, "batchwatch-trial-jobs")
    (package,) = (project / ".chalice" / "deployments").iterdir()
    with ZipFile(package) as code:
        names = set(code.namelist())
    modules = {name for name in names if name.startswith("chalicelib/") and name.endswith(".py")}
    assert {importlib.util.cache_from_source(name) for name in {"app.py", *modules}} <= names

    destroyed = run(
        "infra.destroy",
        *("--stage", "trial", "--confirm", "trial"),
        project=project,
        environment=aws.environment,
    )
    assert destroyed.returncode == 0, destroyed.stderr
    assert "aws dynamodb delete-table --table-name batchwatch-trial-jobs" in destroyed.stdout
    functions = aws.client("lambda").list_functions()["Functions"]
    assert [each for each in functions if "trial" in each["FunctionName"]] == []
    assert aws.dynamodb.scan(TableName="batchwatch-trial-jobs")["Items"]


def test_an_upgrade_moves_the_webex_token_to_a_secret_of_its_own(
    aws: LocalAws, project: Path
) -> None:
    earlier = json.loads(TEMPLATE.read_text())
    del earlier["Resources"]["WebexSecret"], earlier["Outputs"]["WebexSecretId"]
    create_resources(aws.client("cloudformation"), "up", {"Stage": "up"}, json.dumps(earlier))
    shared, _ = read_secret(aws.secretsmanager, "batchwatch-up")
    shared |= {"webexToken": "of-the-bot", "apiTokens": {"ada": {"sha256": "0" * 64}}}
    aws.secretsmanager.put_secret_value(SecretId="batchwatch-up", SecretString=json.dumps(shared))

    result = run("infra.deploy", "--stage", "up", project=project, environment=aws.environment)

    assert result.returncode == 0, result.stderr
    assert "Moved the Webex token to the secret batchwatch-up/webex\n" in result.stdout
    assert "of-the-bot" not in result.stdout + result.stderr
    webex, _ = read_secret(aws.secretsmanager, "batchwatch-up/webex")
    assert webex["webexToken"] == "of-the-bot"
    del shared["webexToken"]
    assert read_secret(aws.secretsmanager, "batchwatch-up")[0] == shared


def first_item(aws: LocalAws, table: str) -> dict[str, Any]:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        for item in aws.dynamodb.scan(TableName=table)["Items"]:
            if item["sk"] == {"S": "JOB"}:
                return dict(item)
        time.sleep(0.1)
    raise AssertionError(f"no job was recorded in {table}")


# Tokens


def test_the_secret_contains_the_hash_of_a_token_and_not_the_token(
    aws: LocalAws, resources: Resources
) -> None:
    token = new_token()

    allow_token(aws.secretsmanager, resources.secret_id, "nightly", token, ["high", "low"])

    value = aws.secretsmanager.get_secret_value(SecretId=resources.secret_id)["SecretString"]
    assert json.loads(value)["apiTokens"] == {
        "nightly": {
            "sha256": hashlib.sha256(token.encode()).hexdigest(),
            "queues": ["high", "low"],
        }
    }
    assert token not in value


def test_a_token_is_replaced_only_with_replace(aws: LocalAws, resources: Resources) -> None:
    secret, tokens = resources.secret_id, [new_token(), new_token()]
    allow_token(aws.secretsmanager, secret, "nightly", tokens[0], ["*"])

    with pytest.raises(CommandError, match="add REPLACE=1"):
        allow_token(aws.secretsmanager, secret, "nightly", tokens[1], ["*"])
    allow_token(aws.secretsmanager, secret, "nightly", tokens[1], ["*"], replace=True)

    value = aws.secretsmanager.get_secret_value(SecretId=secret)["SecretString"]
    assert hashlib.sha256(tokens[1].encode()).hexdigest() in value
    assert hashlib.sha256(tokens[0].encode()).hexdigest() not in value


def test_a_token_is_removed_by_its_name(aws: LocalAws, resources: Resources) -> None:
    for name in ("leaver", "other"):
        allow_token(aws.secretsmanager, resources.secret_id, name, new_token(), ["*"])

    remove_token(aws.secretsmanager, resources.secret_id, "leaver")

    secret, _ = read_secret(aws.secretsmanager, resources.secret_id)
    assert list(secret["apiTokens"]) == ["other"]
    with pytest.raises(CommandError, match="no token is named leaver"):
        remove_token(aws.secretsmanager, resources.secret_id, "leaver")


def test_tokens_that_are_created_at_the_same_time_are_all_kept(
    aws: LocalAws, resources: Resources
) -> None:
    names = [f"token-{n}" for n in range(6)]

    def allow(name: str) -> None:
        allow_token(aws.secretsmanager, resources.secret_id, name, new_token(), ["*"])

    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(allow, names))

    secret, _ = read_secret(aws.secretsmanager, resources.secret_id)
    assert sorted(secret["apiTokens"]) == names
    assert secret["pageKey"]


def test_the_local_token_is_created_once_and_readable_by_its_owner_only(
    aws: LocalAws, resources: Resources, tmp_path: Path
) -> None:
    file = tmp_path / "token"

    tokens = {kept_token(aws, resources.secret_id, file) for _ in range(2)}

    assert tokens == {file.read_text()}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_make_token_prints_only_the_token_to_stdout(aws: LocalAws, resources: Resources) -> None:
    result = run(
        *("infra.token", "--stage", "local", "--name", "me", "--queues", "*"),
        environment=aws.environment,
    )

    value = aws.secretsmanager.get_secret_value(SecretId=resources.secret_id)["SecretString"]
    digest = hashlib.sha256(result.stdout.strip().encode()).hexdigest()
    assert json.loads(value)["apiTokens"]["me"] == {"sha256": digest, "queues": ["*"]}


# Error messages


REGION = {"AWS_DEFAULT_REGION": "eu-west-1"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


@pytest.mark.parametrize(
    ("module", "arguments", "environment", "message"),
    [
        ("infra.deploy", ["--stage", "prod"], REGION, "credentials"),
        ("infra.deploy", ["--stage", "prod"], CREDENTIALS, "AWS_DEFAULT_REGION"),
        ("infra.deploy", ["--stage", "prod"], {"AWS_PROFILE": "nobody"}, "profile"),
        (
            "infra.token",
            ["--stage", "prd", "--name", "me"],
            {},
            "STAGE must be a stage in .chalice/config.json",
        ),
        (
            "infra.token",
            ["--stage", "prod", "--name", "me", "--queues", "*"],
            REGION,
            "credentials",
        ),
        ("infra.token", ["--stage", "prod", "--name", ""], REGION, "such as NAME=nightly"),
        ("infra.token", ["--stage", "prod", "--name", "me"], REGION, "or QUEUES='*' for all"),
        (
            "infra.token",
            ["--stage", "prod", "--name", "me", "--queues", ","],
            REGION,
            "such as QUEUES=high,low",
        ),
        (
            "infra.dead_letters.redrive",
            ["--stage", "prod", "--from", "x"],
            REGION,
            "FROM must be dead-letters",
        ),
        (
            "infra.dead_letters.reasons",
            ["--stage", "prod", "--discard", "*"],
            REGION,
            "DISCARD needs FROM",
        ),
    ],
)
def test_an_error_is_printed_in_one_line(
    module: str, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    result = run(module, *arguments, environment=environment)

    assert (result.returncode, result.stdout) == (1, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_stage_that_is_not_deployed_is_reported_in_one_line(aws: LocalAws) -> None:
    result = run(
        *("infra.token", "--stage", "prod", "--name", "me", "--queues", "*"),
        environment=aws.environment,
    )

    assert result.returncode == 1
    assert result.stderr.startswith("error: secret batchwatch-prod not found")
