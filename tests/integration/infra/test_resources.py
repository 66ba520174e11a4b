"""The resources stack: what its template promises, and what its rule lets through.

The local AWS accepts a table's TTL, point-in-time recovery and deletion protection but does not
switch them on, and checks no encryption: those are read from the template.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.stages import ROOT
from local.aws import RESOURCES, LocalAws
from local.aws import Resources as Names

TEMPLATE = json.loads(RESOURCES.read_text())
RULE_ARN = {
    "Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}"
    ":rule/batchwatch-${Stage}-batch-events"
}
QUEUE_ARN = "arn:aws:batch:us-east-1:000000000000:job-queue/"


def properties(name: str) -> Any:
    return TEMPLATE["Resources"][name]["Properties"]


def of_type(kind: str) -> list[str]:
    return [name for name, one in TEMPLATE["Resources"].items() if one["Type"] == kind]


def statements(policy: str) -> dict[str, Any]:
    return {one["Sid"]: one for one in properties(policy)["PolicyDocument"]["Statement"]}


def test_cfn_lint_finds_nothing() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")

    run = subprocess.run([linter, RESOURCES], capture_output=True, text=True)

    assert (run.returncode, run.stdout) == (0, "")


@pytest.mark.parametrize("section", ["Parameters", "Outputs"])
def test_everything_an_operator_meets_is_described(section: str) -> None:
    assert [name for name, one in TEMPLATE[section].items() if not one.get("Description")] == []


# The table


def test_the_table_keeps_its_history() -> None:
    table = TEMPLATE["Resources"]["JobsTable"]

    assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
    assert table["Properties"]["DeletionProtectionEnabled"] == {
        "Fn::If": ["Protected", True, False]
    }
    assert table["Properties"]["PointInTimeRecoverySpecification"] == {
        "PointInTimeRecoveryEnabled": True
    }
    assert TEMPLATE["Parameters"]["Protect"]["Default"] == "yes"


def test_the_table_is_encrypted_and_forgets_what_has_expired() -> None:
    assert properties("JobsTable")["SSESpecification"] == {"SSEEnabled": True}
    assert properties("JobsTable")["TimeToLiveSpecification"] == {
        "AttributeName": "expiresAt",
        "Enabled": True,
    }


# The queues


@pytest.mark.parametrize("queue", of_type("AWS::SQS::Queue"))
def test_a_queue_is_encrypted_by_sqs_and_keeps_messages_for_two_weeks(queue: str) -> None:
    """EventBridge silently delivers nothing into a queue encrypted with alias/aws/sqs."""
    assert properties(queue)["SqsManagedSseEnabled"] is True
    assert "KmsMasterKeyId" not in properties(queue)
    assert properties(queue)["MessageRetentionPeriod"] == 14 * 24 * 3600


@pytest.mark.parametrize(
    ("queue", "function"), [("EventsQueue", "on_batch_events"), ("NoticesQueue", "on_notices")]
)
def test_a_message_stays_invisible_for_six_times_the_functions_timeout(
    queue: str, function: str
) -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    timeout = config["lambda_functions"][function]["lambda_timeout"]

    assert properties(queue)["VisibilityTimeout"] == 6 * timeout


@pytest.mark.parametrize(
    ("queue", "dead_letters"),
    [("EventsQueue", "DeadLetterQueue"), ("NoticesQueue", "NoticesDeadLetterQueue")],
)
def test_an_outage_puts_no_healthy_message_aside(queue: str, dead_letters: str) -> None:
    redrive = properties(queue)["RedrivePolicy"]

    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": [dead_letters, "Arn"]}
    assert redrive["maxReceiveCount"] == 1000


def test_every_queue_refuses_what_comes_without_tls() -> None:
    guarded = []
    for policy in of_type("AWS::SQS::QueuePolicy"):
        [queue] = properties(policy)["Queues"]
        rule = statements(policy)["OnlyOverTls"]
        assert (rule["Effect"], rule["Principal"], rule["Action"]) == ("Deny", "*", "sqs:*")
        assert rule["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert rule["Resource"] == {"Fn::GetAtt": [queue["Ref"], "Arn"]}
        guarded.append(queue["Ref"])

    assert sorted(guarded) == sorted(of_type("AWS::SQS::Queue"))


@pytest.mark.parametrize("queue", ["EventsQueue", "UndeliverableQueue"])
def test_only_the_rule_may_write_to(queue: str) -> None:
    policy = statements(f"{queue}Policy")

    allow, deny = policy["TheRuleMayWrite"], policy["NobodyElseMayWrite"]
    assert (allow["Effect"], allow["Action"]) == ("Allow", "sqs:SendMessage")
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Condition"] == {"ArnEquals": {"aws:SourceArn": RULE_ARN}}
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sqs:SendMessage")
    assert deny["Condition"] == {"ArnNotEquals": {"aws:SourceArn": RULE_ARN}}


# The rule


def test_what_eventbridge_can_not_deliver_is_kept() -> None:
    [target] = properties("BatchEventsRule")["Targets"]

    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["UndeliverableQueue", "Arn"]}}
    assert target["RetryPolicy"] == {
        "MaximumEventAgeInSeconds": 24 * 3600,
        "MaximumRetryAttempts": 185,
    }


def test_the_rule_waits_for_the_permission_to_deliver() -> None:
    """Without it EventBridge puts events aside at once, with no retry."""
    depends = TEMPLATE["Resources"]["BatchEventsRule"]["DependsOn"]

    assert sorted(depends) == ["EventsQueuePolicy", "UndeliverableQueuePolicy"]


TOLD_OF_A_QUEUE = (
    "Batch Job State Change",
    "Batch Job Queue Blocked",
    "Batch Service Job State Change",
    "Batch Service Job Queue Blocked",
)
PREEMPTIONS = ("Batch Service Job Preemption Started", "Batch Service Job Preemption Completed")


def an_event(queue: str = "high", **envelope: Any) -> dict[str, Any]:
    return {
        "id": "7e5a",
        "account": "000000000000",
        "region": "us-east-1",
        "time": "2026-11-24T03:55:00Z",
        "source": "aws.batch",
        "detail-type": "Batch Job State Change",
        "resources": [],
        "detail": {"jobId": "4c75", "jobQueue": QUEUE_ARN + queue},
        **envelope,
    }


def matches(aws: LocalAws, names: Names, event: dict[str, Any]) -> bool:
    events = aws.client("events")
    pattern = events.describe_rule(Name=names.rule)["EventPattern"]
    answer = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
    return bool(answer["Result"])


@pytest.mark.parametrize(
    ("queues", "recorded"),
    [
        ("*", ["high", "low", "high-priority"]),
        (QUEUE_ARN + "high", ["high"]),
        (f"{QUEUE_ARN}high, {QUEUE_ARN}low", ["high", "low"]),
    ],
)
def test_the_rule_takes_the_events_of(
    queues: str, recorded: list[str], running_aws: LocalAws
) -> None:
    running_aws.reset()
    names = running_aws.create_resources(JobQueues=queues)

    taken = [
        queue
        for queue in ("high", "low", "high-priority")
        if matches(running_aws, names, an_event(queue))
    ]

    assert taken == recorded


@pytest.mark.parametrize(
    ("envelope", "taken"),
    [
        ({"source": "batchwatch.simulated"}, True),
        ({"source": "aws.ecs"}, False),
        ({"source": "my.app"}, False),
        ({"detail-type": "Batch Job Definition Changed"}, False),
        ({"detail-type": "ECS Task State Change"}, False),
    ],
)
def test_the_rule_looks_at_the_envelope(
    envelope: dict[str, str], taken: bool, aws: LocalAws, resources: Names
) -> None:
    assert matches(aws, resources, an_event(**envelope)) is taken


@pytest.mark.parametrize("queues", ["*", QUEUE_ARN + "high"])
def test_all_that_batch_tells_of_the_watched_queues_reaches_the_queue_and_nothing_else(
    queues: str, running_aws: LocalAws
) -> None:
    running_aws.reset()
    names = running_aws.create_resources(JobQueues=queues)
    preempted = {"preemptedJobArn": QUEUE_ARN.replace("job-queue/", "service-job/4c75")}
    told = [(kind, {"jobQueue": QUEUE_ARN + "high"}) for kind in TOLD_OF_A_QUEUE]
    told += [(kind, preempted) for kind in PREEMPTIONS]
    others = [("ECS Task State Change", preempted), ("Batch Job State Change", {"jobQueue": "x"})]

    entries = [
        {"Source": "batchwatch.simulated", "DetailType": kind, "Detail": json.dumps(detail)}
        for kind, detail in told + others
    ]
    running_aws.client("events").put_events(Entries=entries)

    expected = Counter(kind for kind, _ in told + (others[1:] if queues == "*" else []))
    assert received(running_aws, names.events_queue, len(entries)) == expected


def received(aws: LocalAws, queue: str, most: int) -> Counter[str]:
    """The detail-types of what lies on the queue."""
    kinds: Counter[str] = Counter()
    for _ in range(most):
        answer = aws.sqs.receive_message(QueueUrl=aws.queue_url(queue), MaxNumberOfMessages=10)
        kinds.update(json.loads(one["Body"])["detail-type"] for one in answer.get("Messages", []))
    return kinds


def test_a_bare_queue_name_is_refused_as_it_would_match_nothing(running_aws: LocalAws) -> None:
    running_aws.reset()

    with pytest.raises(ClientError, match="JobQueues"):
        running_aws.create_resources(JobQueues="high")


def test_an_event_reaches_the_queue_as_eventbridge_sends_it(
    aws: LocalAws, resources: Names
) -> None:
    detail = {"jobId": "4c75", "jobQueue": QUEUE_ARN + "high", "status": "RUNNING"}
    entry = {
        "Source": "batchwatch.simulated",
        "DetailType": "Batch Job State Change",
        "Detail": json.dumps(detail),
    }

    aws.client("events").put_events(Entries=[entry])

    answer = aws.sqs.receive_message(
        QueueUrl=aws.queue_url(resources.events_queue), WaitTimeSeconds=5
    )
    [body] = [json.loads(message["Body"]) for message in answer["Messages"]]
    assert (body["account"], body["source"]) == ("000000000000", "batchwatch.simulated")
    assert (body["detail-type"], body["detail"]) == ("Batch Job State Change", detail)


# The alarms


@pytest.mark.parametrize("alarm", of_type("AWS::CloudWatch::Alarm"))
def test_an_alarm_says_what_to_do_and_to_whom(alarm: str) -> None:
    assert len(properties(alarm)["AlarmDescription"]) > 80
    assert properties(alarm)["AlarmActions"] == {
        "Fn::If": ["AlarmsAreHeard", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]
    }


def test_there_is_an_alarm_for_each_way_to_lose_sight_of_an_event_or_a_notice() -> None:
    watched = {
        (properties(alarm)["MetricName"], json.dumps(properties(alarm)["Dimensions"][0]["Value"]))
        for alarm in of_type("AWS::CloudWatch::Alarm")
    }

    assert watched == {
        ("ApproximateNumberOfMessagesVisible", '{"Fn::GetAtt": ["DeadLetterQueue", "QueueName"]}'),
        (
            "ApproximateNumberOfMessagesVisible",
            '{"Fn::GetAtt": ["UndeliverableQueue", "QueueName"]}',
        ),
        ("ApproximateAgeOfOldestMessage", '{"Fn::GetAtt": ["EventsQueue", "QueueName"]}'),
        ("FailedInvocations", '{"Ref": "BatchEventsRule"}'),
        (
            "ApproximateNumberOfMessagesVisible",
            '{"Fn::GetAtt": ["NoticesDeadLetterQueue", "QueueName"]}',
        ),
        ("ApproximateAgeOfOldestMessage", '{"Fn::GetAtt": ["NoticesQueue", "QueueName"]}'),
        ("WebexUnauthorized", '{"Ref": "JobsTable"}'),
        ("JobsUnknownToBatch", '{"Ref": "JobsTable"}'),
        ("EventsMissing", '{"Ref": "JobsTable"}'),
        ("Swept", '{"Ref": "JobsTable"}'),
    }


def test_that_no_sweep_is_heard_of_is_an_alarm() -> None:
    alarm = properties("NoSweepAlarm")

    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", 1)
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["Period"] >= 60 * 60, "the longest that SWEEP_MINUTES may be"


# The secret


def test_a_new_secret_lets_nobody_in_and_signs_pages(aws: LocalAws, resources: Names) -> None:
    value = aws.secretsmanager.get_secret_value(SecretId=resources.secret_id)["SecretString"]

    secret = json.loads(value)
    assert (secret["webexToken"], secret["apiTokens"]) == ("", {})
    assert len(secret["pageKey"]) == 64
