"""The template of the resources stack: what the local AWS does not enforce.

It accepts a table's TTL, point-in-time recovery and deletion protection without effect, and
encrypts nothing, so these are verified in the template.
"""

import json
import re
from typing import Any

import pytest

from infra.stages import ROOT
from local.aws import RESOURCES

TEMPLATE = json.loads(RESOURCES.read_text())
RULE_ARN = {
    "Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}"
    ":rule/batchwatch-${Stage}-batch-events"
}


def properties(name: str) -> Any:
    return TEMPLATE["Resources"][name]["Properties"]


def of_type(resource_type: str) -> list[str]:
    resources = TEMPLATE["Resources"].items()
    return [name for name, resource in resources if resource["Type"] == resource_type]


def statements(policy: str) -> dict[str, Any]:
    document = properties(policy)["PolicyDocument"]
    return {statement["Sid"]: statement for statement in document["Statement"]}


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
def test_every_parameter_and_output_is_described(section: str) -> None:
    assert [name for name, one in TEMPLATE[section].items() if not one.get("Description")] == []


# The table


def test_the_table_is_protected_from_deletion_and_backed_up() -> None:
    table = TEMPLATE["Resources"]["JobsTable"]

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] == {
        "Fn::If": ["Protected", True, False]
    }
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }
    assert TEMPLATE["Parameters"]["Protect"]["Default"] == "yes"


def test_the_table_is_encrypted_and_expires_items() -> None:
    assert properties("JobsTable")["SSESpecification"] == {"SSEEnabled": True}
    assert properties("JobsTable")["TimeToLiveSpecification"] == {
        "AttributeName": "expiresAt",
        "Enabled": True,
    }


# The queues


@pytest.mark.parametrize("queue", of_type("AWS::SQS::Queue"))
def test_a_queue_is_encrypted_by_sqs_and_keeps_messages_for_two_weeks(queue: str) -> None:
    """EventBridge can't send to a queue that is encrypted with alias/aws/sqs, and reports no
    error."""
    assert properties(queue)["SqsManagedSseEnabled"] is True
    assert "KmsMasterKeyId" not in properties(queue)
    assert properties(queue)["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("queue", "function"), [("EventsQueue", "on_batch_events"), ("NoticesQueue", "on_notices")]
)
def test_the_visibility_timeout_is_six_times_the_functions_timeout(
    queue: str, function: str
) -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    timeout = config["lambda_functions"][function]["lambda_timeout"]

    assert properties(queue)["VisibilityTimeout"] == 6 * timeout


@pytest.mark.parametrize(
    ("queue", "dead_letters"),
    [("EventsQueue", "DeadLetterQueue"), ("NoticesQueue", "NoticesDeadLetterQueue")],
)
def test_an_outage_dead_letters_no_valid_message(queue: str, dead_letters: str) -> None:
    redrive = properties(queue)["RedrivePolicy"]

    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": [dead_letters, "Arn"]}
    assert redrive["maxReceiveCount"] == 1000


def test_every_queue_denies_requests_without_tls() -> None:
    queues = []
    for policy in of_type("AWS::SQS::QueuePolicy"):
        [queue] = properties(policy)["Queues"]
        statement = statements(policy)["OnlyOverTls"]
        assert (statement["Effect"], statement["Principal"]) == ("Deny", "*")
        assert statement["Action"] == "sqs:*"
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert statement["Resource"] == {"Fn::GetAtt": [queue["Ref"], "Arn"]}
        queues.append(queue["Ref"])

    assert sorted(queues) == sorted(of_type("AWS::SQS::Queue"))


@pytest.mark.parametrize("queue", ["EventsQueue", "UndeliverableQueue"])
def test_only_the_rule_may_write_to(queue: str) -> None:
    policy = statements(f"{queue}Policy")

    allow, deny = policy["TheRuleMayWrite"], policy["OnlyTheRuleMayWrite"]
    assert (allow["Effect"], allow["Action"]) == ("Allow", "sqs:SendMessage")
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": RULE_ARN}}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sqs:SendMessage")
    assert deny["Condition"] == {"ArnNotEquals": {"aws:SourceArn": RULE_ARN}}


# The rule


def test_events_that_eventbridge_can_not_deliver_are_kept() -> None:
    [target] = properties("BatchEventsRule")["Targets"]

    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["UndeliverableQueue", "Arn"]}}
    assert target["RetryPolicy"] == {
        "MaximumEventAgeInSeconds": 24 * 3600,
        "MaximumRetryAttempts": 185,
    }


def test_the_rule_is_created_after_the_permission_to_deliver() -> None:
    """Without the permission, EventBridge dead-letters events at once, without a retry."""
    depends = TEMPLATE["Resources"]["BatchEventsRule"]["DependsOn"]

    assert sorted(depends) == ["EventsQueuePolicy", "UndeliverableQueuePolicy"]


# The alarms


@pytest.mark.parametrize("alarm", of_type("AWS::CloudWatch::Alarm"))
def test_an_alarm_has_instructions_and_a_topic(alarm: str) -> None:
    description = properties(alarm)["AlarmDescription"]
    text = description if isinstance(description, str) else description["Fn::Sub"]
    assert len(text) > 80
    commands = re.findall(r"`(make [^`]+)`", text)
    assert all("STAGE=${Stage}" in command for command in commands), commands
    assert isinstance(description, dict) == bool(commands), "only Fn::Sub replaces ${Stage}"
    assert properties(alarm)["AlarmActions"] == {
        "Fn::If": ["HasAlarmTopic", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]
    }
