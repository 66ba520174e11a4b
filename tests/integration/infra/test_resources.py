"""The resources stack in the local AWS: which events its rule delivers, and its secret."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from infra.job_queues import with_rule_for
from local.aws import RESOURCES, LocalAws, Resources

QUEUE_ARN = "arn:aws:batch:us-east-1:000000000000:job-queue/"
EVENTS_WITH_QUEUE = (
    "Batch Job State Change",
    "Batch Job Queue Blocked",
    "Batch Service Job State Change",
    "Batch Service Job Queue Blocked",
)
PREEMPTIONS = ("Batch Service Job Preemption Started", "Batch Service Job Preemption Completed")


def test_cfn_lint_reports_nothing() -> None:
    linter = Path(sys.executable).with_name("cfn-lint")

    run = subprocess.run([linter, RESOURCES], capture_output=True, text=True)

    assert (run.returncode, run.stdout) == (0, "")


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


def template_for(queues: list[str]) -> str:
    return with_rule_for(RESOURCES.read_text(), queues, QUEUE_ARN)


def matches(aws: LocalAws, resources: Resources, event: dict[str, Any]) -> bool:
    """Return whether the rule's pattern matches the event."""
    events = aws.client("events")
    pattern = events.describe_rule(Name=resources.rule)["EventPattern"]
    response = events.test_event_pattern(EventPattern=pattern, Event=json.dumps(event))
    return bool(response["Result"])


@pytest.mark.parametrize(
    ("queues", "expected"),
    [
        (["*"], ["high", "low", "high-priority", "very-high"]),
        (["high"], ["high"]),
        (["high", "low"], ["high", "low"]),
        (["high*"], ["high", "high-priority"]),
        (["*high", "*-p*"], ["high", "high-priority", "very-high"]),
    ],
)
def test_the_rule_matches_the_events_of(
    queues: list[str], expected: list[str], running_aws: LocalAws
) -> None:
    running_aws.reset()
    resources = running_aws.create_resources(template_for(queues))

    matched = [
        queue
        for queue in ("high", "low", "high-priority", "very-high")
        if matches(running_aws, resources, an_event(queue))
    ]

    assert matched == expected


@pytest.mark.parametrize(
    ("envelope", "expected"),
    [
        ({"source": "batchwatch.simulated"}, True),
        ({"source": "aws.ecs"}, False),
        ({"source": "my.app"}, False),
        ({"detail-type": "Batch Job Definition Changed"}, False),
        ({"detail-type": "ECS Task State Change"}, False),
    ],
)
def test_the_rule_matches_source_and_detail_type(
    envelope: dict[str, str], expected: bool, aws: LocalAws, resources: Resources
) -> None:
    assert matches(aws, resources, an_event(**envelope)) is expected


@pytest.mark.parametrize("queue", ["*", "high"])
def test_all_batch_events_of_the_watched_queues_are_delivered_and_no_others(
    queue: str, running_aws: LocalAws
) -> None:
    running_aws.reset()
    resources = running_aws.create_resources(template_for([queue]))
    preemption = {"preemptedJobArn": QUEUE_ARN.replace("job-queue/", "service-job/4c75")}
    watched = [(kind, {"jobQueue": QUEUE_ARN + "high"}) for kind in EVENTS_WITH_QUEUE]
    watched += [(kind, preemption) for kind in PREEMPTIONS]
    others = [("ECS Task State Change", preemption), ("Batch Job State Change", {"jobQueue": "x"})]

    entries = [
        {"Source": "batchwatch.simulated", "DetailType": kind, "Detail": json.dumps(detail)}
        for kind, detail in watched + others
    ]
    running_aws.client("events").put_events(Entries=entries)

    delivered = watched + (others[1:] if queue == "*" else [])
    expected = Counter(kind for kind, _ in delivered)
    assert received(running_aws, resources.events_queue, len(entries)) == expected


def received(aws: LocalAws, queue: str, max_messages: int) -> Counter[str]:
    """Return the detail-types of the messages in the queue."""
    kinds: Counter[str] = Counter()
    for _ in range(max_messages):
        response = aws.sqs.receive_message(QueueUrl=aws.queue_url(queue), MaxNumberOfMessages=10)
        messages = response.get("Messages", [])
        kinds.update(json.loads(message["Body"])["detail-type"] for message in messages)
    return kinds


def test_an_event_is_delivered_as_eventbridge_sends_it(aws: LocalAws, resources: Resources) -> None:
    detail = {"jobId": "4c75", "jobQueue": QUEUE_ARN + "high", "status": "RUNNING"}
    entry = {
        "Source": "batchwatch.simulated",
        "DetailType": "Batch Job State Change",
        "Detail": json.dumps(detail),
    }

    aws.client("events").put_events(Entries=[entry])

    response = aws.sqs.receive_message(
        QueueUrl=aws.queue_url(resources.events_queue), WaitTimeSeconds=5
    )
    [body] = [json.loads(message["Body"]) for message in response["Messages"]]
    assert (body["account"], body["source"]) == ("000000000000", "batchwatch.simulated")
    assert (body["detail-type"], body["detail"]) == ("Batch Job State Change", detail)


def test_a_new_secret_has_no_tokens_and_a_page_key(aws: LocalAws, resources: Resources) -> None:
    value = aws.secretsmanager.get_secret_value(SecretId=resources.secret_id)["SecretString"]

    secret = json.loads(value)
    assert (secret["webexToken"], secret["apiTokens"]) == ("", {})
    assert len(secret["pageKey"]) == 64
