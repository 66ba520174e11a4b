"""Deploying a stage and making tokens, in the local AWS.

Two gaps of it leave something to AWS alone: ImportRestApi ignores what it is given, so a deployed
API has no routes; and PutRestApi is unknown, so no stage can be deployed twice.
"""

import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra import stages
from infra.deploy import create_resources, queue_arns
from infra.errors import Refused, StackError
from infra.stack import deploy_stack
from infra.token import allow_token, new_token
from local.aws import LocalAws, Resources
from local.stacks import kept_token

ACCOUNT = "111122223333"
PREFIX = f"arn:aws:batch:eu-west-1:{ACCOUNT}"


def run(
    module: str,
    *arguments: str,
    environment: Mapping[str, str],
    project: Path = stages.ROOT,
) -> "subprocess.CompletedProcess[str]":
    """A command as a person with no AWS configuration at all runs it."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    nothing = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=clean | nothing | dict(environment),
        cwd=project,
        capture_output=True,
        text=True,
    )


# Stages


@pytest.fixture
def chalice(tmp_path: Path) -> Path:
    """A copy of .chalice, as in a fresh clone."""
    copy = shutil.copytree(stages.CHALICE, tmp_path / ".chalice")
    config = json.loads((copy / "config.json").read_text())
    config["stages"]["prod"]["environment_variables"].pop("ACCOUNT_ID", None)
    (copy / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return copy


def stage_of(chalice: Path, stage: str) -> Any:
    return json.loads((chalice / "config.json").read_text())["stages"][stage]


def test_a_deployment_notes_the_account_and_changes_nothing_else(chalice: Path) -> None:
    expected = json.loads((chalice / "config.json").read_text())
    expected["stages"]["prod"]["environment_variables"]["ACCOUNT_ID"] = ACCOUNT

    stages.prepare("prod", ACCOUNT, chalice)

    assert (chalice / "config.json").read_text() == json.dumps(expected, indent=2) + "\n"


def test_a_new_stage_is_production_under_another_name(chalice: Path) -> None:
    stages.prepare("trial", ACCOUNT, chalice)

    assert stages.environment_of("trial", chalice) == {
        "ACCOUNT_ID": ACCOUNT,
        "DEAD_LETTER_QUEUE": "batchwatch-trial-dead-letters",
        "EVENTS_QUEUE": "batchwatch-trial-events",
        "EVENT_SOURCES": "aws.batch",
        "JOBS_TABLE": "batchwatch-trial-jobs",
        "NOTICES_DEAD_LETTER_QUEUE": "batchwatch-trial-notices-dead-letters",
        "NOTICES_QUEUE": "batchwatch-trial-notices",
        "SECRET_ID": "batchwatch-trial",
    }
    for function in stage_of(chalice, "trial")["lambda_functions"].values():
        policy = (chalice / function["iam_policy_file"]).read_text()
        assert "batchwatch-trial" in policy
        assert "batchwatch-prod" not in policy


def test_a_stage_keeps_what_is_its_own(chalice: Path) -> None:
    stages.prepare("trial", ACCOUNT, chalice)
    config = json.loads((chalice / "config.json").read_text())
    config["stages"]["trial"]["environment_variables"]["RETENTION_DAYS"] = "30"
    config["stages"]["trial"]["lambda_memory_size"] = 1024
    (chalice / "config.json").write_text(json.dumps(config))

    stages.prepare("trial", ACCOUNT, chalice)

    assert stages.environment_of("trial", chalice)["RETENTION_DAYS"] == "30"
    assert stage_of(chalice, "trial")["lambda_memory_size"] == 1024


def test_a_stage_does_not_move_to_another_account(chalice: Path) -> None:
    stages.prepare("prod", ACCOUNT, chalice)

    with pytest.raises(Refused, match=f"lives in account {ACCOUNT}"):
        stages.prepare("prod", "444455556666", chalice)


@pytest.mark.parametrize("name", ["", "local", "Prod", "pro d", "-a", "1st", "a" * 21, "prod/x"])
def test_a_name_that_can_not_be_a_stage_is_refused(name: str, chalice: Path) -> None:
    with pytest.raises(Refused, match="can't be deployed"):
        stages.prepare(name, ACCOUNT, chalice)


# The resources stack


@pytest.mark.parametrize(
    ("given", "arns"),
    [
        ("*", "*"),
        ("high,*", "*"),
        ("high", f"{PREFIX}:job-queue/high"),
        (f" high , {PREFIX}:job-queue/low,", f"{PREFIX}:job-queue/high,{PREFIX}:job-queue/low"),
    ],
)
def test_job_queues_are_given_by_name_or_arn(given: str, arns: str) -> None:
    assert queue_arns(given, PREFIX) == arns


def test_the_resources_are_made_then_left_alone_then_changed(
    aws: LocalAws, capsys: pytest.CaptureFixture[str]
) -> None:
    cloudformation, events = aws.client("cloudformation"), aws.client("events")
    high = {"Stage": "prod", "JobQueues": f"{PREFIX}:job-queue/high"}

    create_resources(cloudformation, "prod", high)
    first = capsys.readouterr().out
    create_resources(cloudformation, "prod", {"Stage": "prod"})
    second = capsys.readouterr().out
    create_resources(cloudformation, "prod", {"Stage": "prod", "EventSources": "my.batch"})

    assert "JobsTable CREATE_COMPLETE" in first
    assert "nothing to change" in second
    pattern = json.loads(events.describe_rule(Name="batchwatch-prod-batch-events")["EventPattern"])
    assert pattern["source"] == ["my.batch"]
    assert pattern["$or"][0]["detail"] == {"jobQueue": [f"{PREFIX}:job-queue/high"]}
    [stack] = cloudformation.describe_stacks(StackName="batchwatch-prod-resources")["Stacks"]
    assert stack["EnableTerminationProtection"] is True


def test_a_stack_that_fails_says_which_resource_and_why(aws: LocalAws) -> None:
    """Going on from there with the next deployment is up to AWS: the local one can't."""
    never = {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Signal": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "1"},
        },
    }
    template = json.dumps({"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}, **never}})

    with pytest.raises(StackError) as failure:
        deploy_stack(aws.client("cloudformation"), "s", template, poll_seconds=0.01)

    assert str(failure.value).startswith("stack s is CREATE_FAILED: Signal CREATE_FAILED: Wait")


# All of it


@pytest.fixture
def project(tmp_path: Path, chalice: Path) -> Path:
    """What a deployment is made from, in a folder of its own, for it writes into .chalice."""
    for name in ("app.py", "requirements.txt"):
        shutil.copy(stages.ROOT / name, tmp_path / name)
    for name in ("chalicelib", "infra"):
        shutil.copytree(stages.ROOT / name, tmp_path / name)
    return chalice.parent


def test_a_new_stage_is_deployed_and_records(aws: LocalAws, project: Path) -> None:
    answer = run("infra.deploy", "--stage", "trial", project=project, environment=aws.environment)
    assert answer.returncode == 0, answer.stderr
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

    assert f"The API answers at {url['rest_api_url']}" in answer.stdout
    assert "make token STAGE=trial" in answer.stdout
    assert "jobId" in first_item(aws, "batchwatch-trial-jobs")


def first_item(aws: LocalAws, table: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for item in aws.dynamodb.scan(TableName=table)["Items"]:
            if item["sk"] == {"S": "JOB"}:
                return dict(item)
        time.sleep(0.1)
    raise AssertionError(f"nothing is in {table}")


# Tokens


def test_the_secret_holds_a_tokens_hash_and_not_the_token(
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


def test_a_token_is_replaced_only_when_told_to(aws: LocalAws, resources: Resources) -> None:
    secret, tokens = resources.secret_id, [new_token(), new_token()]
    allow_token(aws.secretsmanager, secret, "nightly", tokens[0], ["*"])

    with pytest.raises(Refused, match="REPLACE=1"):
        allow_token(aws.secretsmanager, secret, "nightly", tokens[1], ["*"])
    allow_token(aws.secretsmanager, secret, "nightly", tokens[1], ["*"], replace=True)

    value = aws.secretsmanager.get_secret_value(SecretId=secret)["SecretString"]
    assert hashlib.sha256(tokens[1].encode()).hexdigest() in value
    assert hashlib.sha256(tokens[0].encode()).hexdigest() not in value


def test_the_local_token_is_made_once_and_is_its_owners_alone(
    aws: LocalAws, resources: Resources, tmp_path: Path
) -> None:
    file = tmp_path / "token"

    tokens = {kept_token(aws, resources.secret_id, file) for _ in range(2)}

    assert tokens == {file.read_text()}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_make_token_shows_the_token_alone_on_stdout(aws: LocalAws, resources: Resources) -> None:
    answer = run("infra.token", "--stage", "local", "--name", "me", environment=aws.environment)

    value = aws.secretsmanager.get_secret_value(SecretId=resources.secret_id)["SecretString"]
    digest = hashlib.sha256(answer.stdout.strip().encode()).hexdigest()
    assert json.loads(value)["apiTokens"]["me"] == {"sha256": digest, "queues": ["*"]}


# What a person is told


REGION = {"AWS_DEFAULT_REGION": "eu-west-1"}
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}


@pytest.mark.parametrize(
    ("module", "arguments", "environment", "told"),
    [
        ("infra.deploy", ["--stage", "prod"], REGION, "credentials"),
        ("infra.deploy", ["--stage", "prod"], CREDENTIALS, "AWS_DEFAULT_REGION"),
        ("infra.deploy", ["--stage", "prod"], {"AWS_PROFILE": "nobody"}, "profile"),
        ("infra.token", ["--stage", "prd", "--name", "me"], {}, "there is no stage 'prd'"),
        ("infra.token", ["--stage", "prod", "--name", "me"], REGION, "credentials"),
        ("infra.token", ["--stage", "prod", "--name", ""], REGION, "needs a name"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(
    module: str, arguments: list[str], environment: dict[str, str], told: str
) -> None:
    answer = run(module, *arguments, environment=environment)

    assert (answer.returncode, answer.stdout) == (1, "")
    [line] = answer.stderr.splitlines()
    assert line.startswith("error: ")
    assert told in line


def test_a_stage_that_is_not_there_is_told_in_one_line(aws: LocalAws) -> None:
    answer = run("infra.token", "--stage", "prod", "--name", "me", environment=aws.environment)

    assert answer.returncode == 1
    assert answer.stderr.startswith("error: no secret batchwatch-prod here")
