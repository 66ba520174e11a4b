"""The functions' IAM policies: no more than they need, by reading; no less, by running.

The local AWS enforces policies when asked to. For a call that AWS splits into PartiQL actions, or
covers by the action for a single message, it asks for the call itself: the local stage has these
by exception, and production must not. Reading a log it asks for the group, where AWS asks for the
stream.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.functions import Function
from infra.policies import CHALICE, render_stage_name
from infra.stages import render_config
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from local.ports import free_port
from tests.support.builders import a_detail, a_job_id
from tests.support.deployed_stack import DeployedStack

CONFIG = json.loads((CHALICE / "config.json").read_text())
FUNCTIONS = sorted(CONFIG["lambda_functions"])
EXCEPTIONS = {
    "LocalAwsBatchExecuteStatement": ["dynamodb:BatchExecuteStatement"],
    "LocalAwsSqsBatches": [
        "sqs:ChangeMessageVisibilityBatch",
        "sqs:DeleteMessageBatch",
        "sqs:SendMessageBatch",
    ],
}
BATCH_KNOWS_NO_RESOURCES = [
    *("batch:DescribeJobs", "batch:DescribeServiceJob"),
    *("batch:ListJobs", "batch:ListServiceJobs"),
]
"""AWS allows these two on Resource "*" alone."""

AN_HOUR_AGO = round(time.time() - 3_600) * 1000
BACKFILL = {
    **dict.fromkeys(("id", "account", "region", "source", "time", "detail-type", "version"), ""),
    "resources": [],
    "detail": {"since": AN_HOUR_AGO - 1000},
}
"""What calls a sweep that begins anew."""


def policy(stage: str, function: str) -> list[dict[str, Any]]:
    file = CONFIG["stages"][stage]["lambda_functions"][function]["iam_policy_file"]
    statements: list[dict[str, Any]] = json.loads((CHALICE / file).read_text())["Statement"]
    return statements


# Read


def test_every_function_has_a_policy_of_its_own(
    monkeypatch: pytest.MonkeyPatch, aws: LocalAws, resources: Resources
) -> None:
    for name, value in (aws.environment | resources.environment).items():
        monkeypatch.setenv(name, value)
    from app import app

    in_app = {
        *(one.name for one in app.event_sources),
        *(one.name for one in app.pure_lambda_functions),
        *(one.name for one in app.builtin_auth_handlers),
        "api_handler",
    }

    assert sorted(in_app) == FUNCTIONS
    for stage in CONFIG["stages"].values():
        files = [one["iam_policy_file"] for one in stage["lambda_functions"].values()]
        assert sorted(stage["lambda_functions"]) == FUNCTIONS
        assert len(set(files)) == len(FUNCTIONS)
    assert CONFIG["autogen_policy"] is False


@pytest.mark.parametrize("function", FUNCTIONS)
def test_production_names_each_action_and_resource(function: str) -> None:
    for statement in policy("prod", function):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        if statement["Action"] == BATCH_KNOWS_NO_RESOURCES:
            continue
        for resource in statement["Resource"]:
            arn, _, service, _, _, name = resource.split(":", 5)
            assert arn == "arn"
            assert "*" not in service
            assert name.removeprefix("log-group:/aws/lambda/").startswith(
                (
                    "batchwatch-prod",
                    "log-group:/aws/batch/job:log-stream:",
                    "table/batchwatch-prod-jobs",
                    "secret:batchwatch-prod-",
                )
            )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_local_stage_is_productions_but_for_exceptions_by_name(function: str) -> None:
    prod = (CHALICE / f"policy-prod-{function}.json").read_text()
    as_in_production = json.loads(render_stage_name(prod, "local"))
    local = policy("local", function)

    exceptions = {
        one["Sid"]: one["Action"] for one in local if one not in as_in_production["Statement"]
    }

    expected = EXCEPTIONS if function.startswith("on_") else {}
    if function == "api_handler":
        expected = {"LocalAwsLogGroups": ["logs:GetLogEvents"]}
    if function == "sweep":
        expected = EXCEPTIONS | {"LocalAwsSqsBatches": ["sqs:SendMessageBatch"]}
    assert exceptions == expected
    assert len(local) == len(as_in_production["Statement"]) + len(exceptions)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_production_has_none_of_the_local_exceptions(function: str) -> None:
    allowed = {action for statement in policy("prod", function) for action in statement["Action"]}

    assert allowed.isdisjoint(action for actions in EXCEPTIONS.values() for action in actions)


def test_the_local_stage_is_configured_like_production() -> None:
    own = {"ACCOUNT_ID", "BATCH_WINDOW", "EVENT_SOURCES", "WEBEX_API_URL", "WEBEX_ROOM"}
    own |= {"PRICES", "SWEEP_MINUTES"}
    stages = [CONFIG["stages"]["local"], render_config(CONFIG["stages"]["prod"], "local")]

    local, production = (
        {k: v for k, v in stage["environment_variables"].items() if k not in own}
        for stage in stages
    )

    assert local == production
    assert stages[0]["lambda_functions"] == stages[1]["lambda_functions"]


# Run


@pytest.fixture(scope="module")
def batch() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, batch: BatchServer
) -> Iterator[DeployedStack]:
    folder = tmp_path_factory.mktemp("guarded")
    with LocalAws(free_port(), folder, keep=False, auth=True) as aws:
        yield DeployedStack(aws, folder, {"AWS_ENDPOINT_URL_BATCH": batch.url})


def eventually(holds: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_the_policies_suffice_to_record_to_put_aside_and_to_answer(guarded: DeployedStack) -> None:
    queue = "arn:aws:batch:us-east-1:000000000000:job-queue/high"
    job = {"jobId": "4c75", "jobName": "n", "jobQueue": queue, "status": "RUNNABLE"}

    guarded.put(job, {"jobQueue": queue, "status": "RUNNABLE"})

    assert eventually(lambda: guarded.get("/jobs/4c75").status_code == 200)
    assert eventually(lambda: guarded.dead_letters() == 1)
    assert [one["jobId"] for one in guarded.get("/jobs?status=RUNNABLE").json()["jobs"]] == ["4c75"]
    assert [one["jobId"] for one in guarded.get("/jobs?name=n").json()["jobs"]] == ["4c75"]
    assert guarded.get("/jobs/4c75?wait=1").json()["status"] == "RUNNABLE"
    assert [one["jobQueue"] for one in guarded.get("/queues").json()["queues"]] == ["high"]
    assert guarded.get("/queues/high").status_code == 200
    assert guarded.get("/health").json() == {"status": "ok"}


def test_the_policies_suffice_to_sweep(guarded: DeployedStack, batch: BatchServer) -> None:
    heard_of, unheard_of = a_job_id(), a_job_id()
    guarded.put(a_detail(jobId=heard_of, status="RUNNABLE"))
    assert eventually(lambda: guarded.get(f"/jobs/{heard_of}").status_code == 200)
    ended = {"status": "FAILED", "createdAt": AN_HOUR_AGO, "stoppedAt": AN_HOUR_AGO + 60_000}
    batch.put(a_detail(jobId=one, **ended) for one in (heard_of, unheard_of))

    told = Function(guarded.aws.client("lambda"), "sweep", guarded.resources.jobs_table).call(
        BACKFILL
    )

    assert told["reconcile"]["discovered"] == told["reconcile"]["repaired"] == 1
    for job_id in (heard_of, unheard_of):
        assert guarded.get(f"/jobs/{job_id}").json()["status"] == "FAILED"


def test_not_even_the_accounts_root_may_write_to_the_events_queue(guarded: DeployedStack) -> None:
    queue = guarded.aws.queue_url(guarded.resources.events_queue)

    with pytest.raises(ClientError, match="denied"):
        guarded.aws.sqs.send_message(QueueUrl=queue, MessageBody="{}")


def test_the_local_aws_refuses_what_no_policy_allows(guarded: DeployedStack) -> None:
    """Without this, the first test of the three would prove nothing."""
    iam = guarded.aws.client("iam")
    [role] = [r["RoleName"] for r in iam.list_roles()["Roles"] if "ApiHandler" in r["RoleName"]]
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    iam.delete_role_policy(RoleName=role, PolicyName=name)

    answer = guarded.get("/jobs")

    assert answer.status_code >= 500
