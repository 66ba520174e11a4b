"""The IAM policies of the functions suffice, in a local AWS that enforces them."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.functions import Function
from infra.policies import CHALICE
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from local.ports import free_port
from tests.support.builders import a_detail, a_job_id
from tests.support.deployed_stack import DeployedStack

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

CONFIG = json.loads((CHALICE / "config.json").read_text())
FUNCTIONS = sorted(CONFIG["lambda_functions"])
AN_HOUR_AGO = round(time.time() - 3_600) * 1000
BACKFILL = {
    **dict.fromkeys(("id", "account", "region", "source", "time", "detail-type", "version"), ""),
    "resources": [],
    "detail": {"since": AN_HOUR_AGO - 1000},
}
"""The event that starts a backfill."""


def test_every_function_has_its_own_policy(
    monkeypatch: pytest.MonkeyPatch, aws: LocalAws, resources: Resources
) -> None:
    for name, value in (aws.environment | resources.environment).items():
        monkeypatch.setenv(name, value)
    from app import app

    in_app = {
        *(function.name for function in app.event_sources),
        *(function.name for function in app.pure_lambda_functions),
        *(function.name for function in app.builtin_auth_handlers),
        "api_handler",
    }

    assert sorted(in_app) == FUNCTIONS
    for stage in CONFIG["stages"].values():
        files = [f["iam_policy_file"] for f in stage["lambda_functions"].values()]
        assert sorted(stage["lambda_functions"]) == FUNCTIONS
        assert len(set(files)) == len(FUNCTIONS)
    assert CONFIG["autogen_policy"] is False


@pytest.fixture(scope="module")
def batch() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


@pytest.fixture(scope="module")
def deployed(
    tmp_path_factory: pytest.TempPathFactory, batch: BatchServer
) -> Iterator[DeployedStack]:
    folder = tmp_path_factory.mktemp("deployed")
    with LocalAws(free_port(), folder, keep=False, auth=True) as aws:
        yield DeployedStack(aws, folder, {"AWS_ENDPOINT_URL_BATCH": batch.url})


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait up to four minutes: only a failing test takes that long, also on a slow machine."""
    deadline = time.monotonic() + 240
    while not holds():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.1)


def test_the_policies_suffice_to_record_to_dead_letter_and_to_serve_the_api(
    deployed: DeployedStack,
) -> None:
    queue = "arn:aws:batch:us-east-1:000000000000:job-queue/high"
    job = {"jobId": "4c75", "jobName": "n", "jobQueue": queue, "status": "RUNNABLE"}

    def ids(path: str) -> list[str]:
        return [job["jobId"] for job in deployed.get(path).json()["jobs"]]

    deployed.put(job, {"jobQueue": queue, "status": "RUNNABLE"})

    wait_until(lambda: deployed.get("/jobs/4c75").status_code == 200)
    wait_until(lambda: deployed.dead_letters() == 1)
    assert [job["jobId"] for job in deployed.get("/jobs?status=RUNNABLE").json()["jobs"]] == [
        "4c75"
    ]
    assert ids("/jobs?name=n") == ["4c75"]
    assert deployed.get("/jobs/4c75?wait=1").json()["status"] == "RUNNABLE"
    assert [queue["jobQueue"] for queue in deployed.get("/queues").json()["queues"]] == ["high"]
    assert deployed.get("/queues/high").status_code == 200
    assert deployed.get("/health").json()["status"] == "ok"


def test_the_policies_suffice_to_sweep(deployed: DeployedStack, batch: BatchServer) -> None:
    recorded, unrecorded = a_job_id(), a_job_id()
    deployed.put(a_detail(jobId=recorded, status="RUNNABLE"))
    wait_until(lambda: deployed.get(f"/jobs/{recorded}").status_code == 200)
    ended = {"status": "FAILED", "createdAt": AN_HOUR_AGO, "stoppedAt": AN_HOUR_AGO + 60_000}
    batch.put(a_detail(jobId=job_id, **ended) for job_id in (recorded, unrecorded))

    sweep = Function(deployed.aws.client("lambda"), "sweep", deployed.resources.jobs_table)
    result = sweep.call(BACKFILL)

    assert result["reconcile"]["discovered"] == result["reconcile"]["repaired"] == 1
    for job_id in (recorded, unrecorded):
        assert deployed.get(f"/jobs/{job_id}").json()["status"] == "FAILED"


def test_even_the_root_user_may_not_write_to_the_events_queue(
    deployed: DeployedStack,
) -> None:
    queue = deployed.aws.queue_url(deployed.resources.events_queue)

    with pytest.raises(ClientError, match="denied"):
        deployed.aws.sqs.send_message(QueueUrl=queue, MessageBody="{}")


@pytest.mark.parametrize(
    ("function", "readable"),
    [("ApiHandler", {"api"}), ("Authorize", {"api"}), ("OnNotices", {"webex"})]
    + [(function, set()) for function in ("OnBatchEvents", "Sweep")],
)
def test_a_function_can_read_only_the_secret_that_it_needs(
    deployed: DeployedStack, function: str, readable: set[str]
) -> None:
    aws, resources = deployed.aws, deployed.resources
    secrets = client_in_role(aws, role_of(aws, function))

    found = set()
    for name, secret in (("api", resources.secret_id), ("webex", resources.webex_secret_id)):
        with suppress(ClientError):
            secrets.get_secret_value(SecretId=secret)
            found.add(name)

    assert found == readable


def client_in_role(aws: LocalAws, role: str) -> "SecretsManagerClient":
    """Return a client with the permissions of a role."""
    arn = aws.client("iam").get_role(RoleName=role)["Role"]["Arn"]
    credentials = aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
    return boto3.client(
        "secretsmanager",
        endpoint_url=aws.endpoint,
        region_name="us-east-1",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )


def role_of(aws: LocalAws, function: str) -> str:
    roles = [each["RoleName"] for each in aws.client("iam").list_roles()["Roles"]]
    [role] = [name for name in roles if function in name]
    return role


def test_the_local_aws_denies_what_no_policy_allows(deployed: DeployedStack) -> None:
    """The other tests prove something only if the local AWS enforces policies."""
    iam = deployed.aws.client("iam")
    role = role_of(deployed.aws, "ApiHandler")
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    iam.delete_role_policy(RoleName=role, PolicyName=name)

    answer = deployed.get("/jobs")

    assert answer.status_code >= 500
