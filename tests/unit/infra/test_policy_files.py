"""The policy files list the actions and resources that each function needs, and no others.

The local AWS requires other permissions than AWS does for BatchExecuteStatement, for batches of SQS
messages and for GetLogEvents. The local stage has them as named exceptions; production must not
have them.
"""

import json
from typing import Any

import pytest

from chalicelib import table_keys
from infra.policies import CHALICE, render_stage_name
from infra.stages import render_config

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
ON_ANY_RESOURCE = [
    *("batch:DescribeComputeEnvironments", "batch:DescribeConsumableResource"),
    *("batch:DescribeJobQueues", "batch:DescribeJobs"),
    *("batch:DescribeServiceEnvironments", "batch:DescribeServiceJob"),
    *("batch:GetJobQueueSnapshot", "batch:ListJobs"),
    *("batch:ListQuotaShares", "batch:ListServiceJobs"),
]
"""AWS Batch supports no resource-level permissions for most of these actions, which read only."""


def policy(stage: str, function: str) -> list[dict[str, Any]]:
    file = CONFIG["stages"][stage]["lambda_functions"][function]["iam_policy_file"]
    statements: list[dict[str, Any]] = json.loads((CHALICE / file).read_text())["Statement"]
    return statements


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies_of_production_list_actions_and_resources(function: str) -> None:
    for statement in policy("prod", function):
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in statement["Action"])
        if statement["Action"] == ON_ANY_RESOURCE:
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
                    "secret:batchwatch-prod/webex-",
                )
            )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies_of_the_local_stage_differ_only_by_named_exceptions(
    function: str,
) -> None:
    prod = (CHALICE / f"policy-prod-{function}.json").read_text()
    production = json.loads(render_stage_name(prod, "local"))
    local = policy("local", function)

    exceptions = {
        statement["Sid"]: statement["Action"]
        for statement in local
        if statement not in production["Statement"]
    }

    expected = EXCEPTIONS if function.startswith("on_") else {}
    if function == "api_handler":
        expected = {"LocalAwsLogGroups": ["logs:GetLogEvents"]}
    if function == "sweep":
        expected = EXCEPTIONS | {"LocalAwsSqsBatches": ["sqs:SendMessageBatch"]}
    assert exceptions == expected
    assert len(local) == len(production["Statement"]) + len(exceptions)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_policies_of_production_contain_none_of_the_exceptions(function: str) -> None:
    allowed = {action for statement in policy("prod", function) for action in statement["Action"]}

    assert allowed.isdisjoint(action for actions in EXCEPTIONS.values() for action in actions)


def test_the_api_may_write_only_the_slots_of_long_polls() -> None:
    writes = {"dynamodb:DeleteItem", "dynamodb:PutItem"}
    statements = policy("prod", "api_handler")

    [statement] = [one for one in statements if writes & set(one["Action"])]

    assert set(statement["Action"]) == writes
    assert statement["Condition"] == {
        "ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [table_keys.long_poll_slots()]}
    }


def test_the_configuration_of_the_local_stage_is_that_of_production() -> None:
    own = {"ACCOUNT_ID", "BATCH_WINDOW", "EVENT_SOURCES", "WEBEX_API_URL", "WEBEX_ROOM"}
    own |= {"PRICES", "SWEEP_MINUTES"}
    stages = [CONFIG["stages"]["local"], render_config(CONFIG["stages"]["prod"], "local")]

    local, production = (
        {k: v for k, v in stage["environment_variables"].items() if k not in own}
        for stage in stages
    )

    assert local == production
    assert stages[0]["lambda_functions"] == stages[1]["lambda_functions"]
