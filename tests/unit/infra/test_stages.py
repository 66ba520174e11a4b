"""The configuration of a stage in .chalice, and its IAM policies."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from infra import policies, stages
from infra.errors import CommandError

ACCOUNT = "111122223333"
REGION = "eu-west-1"


@pytest.fixture
def chalice(tmp_path: Path) -> Path:
    """A copy of .chalice as in a clone from which nothing has been deployed."""
    copy = shutil.copytree(policies.CHALICE, tmp_path / ".chalice")
    config = json.loads((copy / "config.json").read_text())
    config["stages"]["prod"]["environment_variables"].pop("ACCOUNT_ID", None)
    (copy / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    return copy


def stage_config(chalice: Path, stage: str) -> Any:
    return json.loads((chalice / "config.json").read_text())["stages"][stage]


@pytest.mark.parametrize("stage", policies.read_config(policies.CHALICE)["stages"])
def test_the_committed_policies_of_a_stage_are_rendered_from_those_of_prod(stage: str) -> None:
    """If this fails, run `python -m infra.policies` and commit the files."""
    rendered = dict(policies.policies(stage))

    assert rendered == {path: path.read_text() for path in rendered}
    assert set(rendered) == set(policies.CHALICE.glob(f"policy-{stage}-*.json"))


def test_a_deployment_stores_the_account_and_changes_nothing_else(chalice: Path) -> None:
    expected = json.loads((chalice / "config.json").read_text())
    expected["stages"]["prod"]["environment_variables"] |= {
        "ACCOUNT_ID": ACCOUNT,
        "DEPLOYED_REGION": REGION,
        "JOB_QUEUES": "high,gpu-*",
    }

    stages.prepare("prod", ACCOUNT, REGION, ["high", "gpu-*"], chalice)

    assert (chalice / "config.json").read_text() == json.dumps(expected, indent=2) + "\n"


def test_a_new_stage_has_the_configuration_of_prod_with_its_own_name(chalice: Path) -> None:
    stages.prepare("trial", ACCOUNT, REGION, folder=chalice)

    assert stages.environment_of("trial", chalice) == {
        "ACCOUNT_ID": ACCOUNT,
        "DEAD_LETTER_QUEUE": "batchwatch-trial-dead-letters",
        "DEPLOYED_REGION": REGION,
        "EVENTS_QUEUE": "batchwatch-trial-events",
        "EVENT_SOURCES": "aws.batch",
        "JOBS_TABLE": "batchwatch-trial-jobs",
        "JOB_QUEUES": "*",
        "NOTICES_DEAD_LETTER_QUEUE": "batchwatch-trial-notices-dead-letters",
        "NOTICES_QUEUE": "batchwatch-trial-notices",
        "SECRET_ID": "batchwatch-trial",
        "SERVICE_NAME": "batchwatch-trial",
        "WEBEX_SECRET_ID": "batchwatch-trial/webex",
    }
    for function in stage_config(chalice, "trial")["lambda_functions"].values():
        policy = (chalice / function["iam_policy_file"]).read_text()
        assert "batchwatch-trial" in policy
        assert "batchwatch-prod" not in policy


def test_a_stage_keeps_its_own_settings(chalice: Path) -> None:
    stages.prepare("trial", ACCOUNT, REGION, folder=chalice)
    config = json.loads((chalice / "config.json").read_text())
    config["stages"]["trial"]["environment_variables"]["RETENTION_DAYS"] = "30"
    config["stages"]["trial"]["lambda_memory_size"] = 1024
    (chalice / "config.json").write_text(json.dumps(config))

    stages.prepare("trial", ACCOUNT, REGION, folder=chalice)

    assert stages.environment_of("trial", chalice)["RETENTION_DAYS"] == "30"
    assert stage_config(chalice, "trial")["lambda_memory_size"] == 1024


def test_a_stage_is_not_deployed_to_another_account(chalice: Path) -> None:
    stages.prepare("prod", ACCOUNT, REGION, folder=chalice)

    with pytest.raises(CommandError, match=f"stage prod is deployed in account {ACCOUNT}, but"):
        stages.prepare("prod", "444455556666", REGION, folder=chalice)


def test_a_stage_is_not_deployed_to_another_region(chalice: Path) -> None:
    stages.prepare("prod", ACCOUNT, REGION, folder=chalice)

    with pytest.raises(CommandError, match="stage prod is deployed in eu-west-1, not in us-east-1"):
        stages.prepare("prod", ACCOUNT, "us-east-1", folder=chalice)


def test_a_new_stage_has_no_room_url_or_queue_of_prod(chalice: Path) -> None:
    stages.prepare("prod", ACCOUNT, REGION, ["high"], chalice)
    config = json.loads((chalice / "config.json").read_text())
    config["stages"]["prod"]["environment_variables"] |= {
        "WEBEX_ROOM": "room",
        "PUBLIC_URL": "https://example.com",
        "RETENTION_DAYS": "30",
    }
    (chalice / "config.json").write_text(json.dumps(config))

    stages.prepare("trial", "444455556666", "us-east-1", folder=chalice)

    environment = stages.environment_of("trial", chalice)
    assert environment["JOB_QUEUES"] == "*"
    assert environment["RETENTION_DAYS"] == "30"
    assert {"WEBEX_ROOM", "PUBLIC_URL"}.isdisjoint(environment)


@pytest.mark.parametrize("name", ["", "local", "Prod", "pro d", "-a", "1st", "a" * 21, "prod/x"])
def test_an_invalid_stage_name_is_refused_with_an_example(name: str, chalice: Path) -> None:
    with pytest.raises(CommandError, match="such as STAGE=prod, not"):
        stages.prepare(name, ACCOUNT, REGION, folder=chalice)
