"""Every shape of event that AWS Batch sends, and every way in which one can be wrong."""

import json
from typing import Any

import pytest

from chalicelib.errors import MalformedEvent
from chalicelib.jobs.job import ArrayFacts, Observation, Resources
from chalicelib.queues.blocked import BlockedEvent
from chalicelib.recording.event import EventReader, OtherEvent
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, NOON, QUEUE_ARN, SOURCE, an_attempt, an_event

reader = EventReader(("aws.batch", SOURCE), ACCOUNT, Redaction())


def read(**fields: Any) -> Observation:
    observation = reader.read(json.dumps(an_event(**fields)))
    assert isinstance(observation, Observation)
    return observation


def reason_for(body: str) -> str:
    with pytest.raises(MalformedEvent) as caught:
        reader.read(body)
    return str(caught.value)


def reason_for_event(**changes: Any) -> str:
    return reason_for(json.dumps({**an_event(), **changes}))


def test_a_plain_job_says_all_that_is_asked_of_it() -> None:
    seen = read(
        jobId="j-1",
        jobName="align",
        status="FAILED",
        statusReason="Essential container in task exited",
        startedAt=NOON + 1,
        stopped_at=None,
        stoppedAt=NOON + 2,
        jobDefinition="arn:aws:batch:us-east-1:1:job-definition/def:3",
        attempts=[
            an_attempt(
                container={"exitCode": 3, "reason": "bad input", "logStreamName": "def/x/1"},
                statusReason="Essential container in task exited",
            )
        ],
        container={
            "image": "busybox",
            "command": ["sh", "-c", "run"],
            "environment": [{"name": "B", "value": "x"}, {"name": "A", "value": "y"}],
            "exitCode": 3,
            "reason": "bad input",
            "logStreamName": "def/x/1",
            "resourceRequirements": [
                {"type": "MEMORY", "value": "2048"},
                {"type": "GPU", "value": "1"},
                {"type": "VCPU", "value": "0.5"},
            ],
        },
        retryStrategy={"attempts": 2, "evaluateOnExit": []},
        timeout={"attemptDurationSeconds": 60},
        parameters={"sample": "NA1"},
        tags={"project": "x", "resourceArn": "arn:of:the:job"},
        platformCapabilities=["FARGATE"],
    )

    details, description = seen.details, seen.description
    assert (seen.job_id, details.status, details.generation, details.time) == (
        "j-1",
        "FAILED",
        1,
        NOON,
    )
    assert details.job_queue == QUEUE_ARN
    assert details.attempts[0].exit_code == 3
    assert details.attempts[0].log_stream_name == "def/x/1"
    assert details.exit_code is None, "the last attempt tells it already"
    assert details.log_group == "/aws/batch/job"
    assert details.resources == Resources(vcpus=0.5, memory=2048, gpus=1)
    assert (description.image, description.command) == ("busybox", ("sh", "-c", "run"))
    assert (description.vcpus, description.memory, description.gpus) == (0.5, 2048, 1)
    assert description.environment == ("A", "B")
    assert description.parameters == {"sample": "NA1"}
    assert description.tags == {"project": "x"}
    assert (description.retry_attempts, description.timeout_seconds) == (2, 60)
    assert description.platform == "FARGATE"


def test_only_finished_attempts_make_a_generation() -> None:
    running = {"startedAt": NOON, "container": {"logStreamName": "open"}}

    assert read(status="RUNNING", attempts=[an_attempt(), running]).details.generation == 1


def test_the_shape_of_2017_has_no_arn_no_tags_and_numbers_for_resources() -> None:
    seen = read(container={"image": "busybox", "vcpus": 2, "memory": 2000, "environment": []})

    assert (seen.description.vcpus, seen.description.memory) == (2, 2000)
    assert seen.description.tags == {}


def test_an_array_parent_has_a_size_and_its_childrens_counts() -> None:
    seen = read(status="PENDING", arrayProperties={"size": 3, "statusSummary": {"RUNNING": 2}})

    assert seen.details.array == ArrayFacts(size=3, status_summary={"RUNNING": 2})


def test_an_array_child_has_an_index_and_its_parents_description() -> None:
    container = {"image": "busybox", "command": ["x"]}
    parent = read(jobId="j", container=container, tags={"resourceArn": "a"})
    child = read(jobId="j:12", container=container, tags={}, arrayProperties={"index": 12})

    assert child.details.array == ArrayFacts(index=12)
    assert child.details.description == parent.details.description


def test_a_multi_node_parent_is_described_by_its_first_nodes() -> None:
    seen = read(
        nodeProperties={
            "numNodes": 3,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:", "container": {"image": "mpi"}}],
        }
    )

    assert (seen.details.nodes, seen.description.image) == (3, "mpi")
    assert seen.details.log_group is None, "a parent has no log"


def test_a_node_keeps_its_own_container() -> None:
    seen = read(jobId="j#1", nodeDetails={"nodeIndex": 1}, container={"image": "mpi"})

    assert (seen.job_id, seen.description.image) == ("j#1", "mpi")


def test_an_eks_job_finds_its_attempts_and_resources_in_the_pod() -> None:
    pod = {
        "containers": [
            {
                "image": "busybox",
                "command": ["sh"],
                "args": ["-c", "x"],
                "env": [{"name": "K", "value": "V"}],
                "resources": {"limits": {"cpu": "500m", "memory": "1Gi", "nvidia.com/gpu": "2"}},
            }
        ]
    }
    ended = {
        "containers": [{"exitCode": 1, "reason": "Error"}],
        "startedAt": NOON,
        "stoppedAt": NOON + 5,
        "statusReason": "Pod failed",
    }
    seen = read(
        status="FAILED", attempts=[], eksAttempts=[ended], eksProperties={"podProperties": pod}
    )

    assert (seen.details.generation, seen.details.attempts[0].exit_code) == (1, 1)
    assert seen.description.command == ("sh", "-c", "x")
    assert seen.description.environment == ("K",)
    described = seen.description
    assert (described.vcpus, described.memory, described.gpus) == (0.5, 1024, 2)


def test_of_several_containers_the_one_that_failed_speaks() -> None:
    def containers(**of_second: Any) -> dict[str, Any]:
        first = {"name": "side", "exitCode": 0, "logStreamName": "side"}
        return {"containers": [first, {"name": "main", "logStreamName": "main", **of_second}]}

    wanted = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    described = {"containers": [{"image": "a", "resourceRequirements": wanted}] * 2}
    seen = read(
        status="FAILED",
        attempts=[
            an_attempt(container=None, taskProperties=[containers(exitCode=7, reason="boom")])
        ],
        ecsProperties={"taskProperties": [described]},
    )

    attempt = seen.details.attempts[0]
    assert (attempt.exit_code, attempt.reason, attempt.log_stream_name) == (7, "boom", "main")
    assert (seen.description.vcpus, seen.description.memory) == (2, 1024)


def test_a_log_goes_where_the_job_says() -> None:
    def log_group(**configuration: Any) -> str | None:
        return read(container={"logConfiguration": configuration}).details.log_group

    assert log_group(logDriver="awslogs", options={"awslogs-group": "/mine"}) == "/mine"
    assert log_group(logDriver="awslogs") == "/aws/batch/job"
    assert log_group(logDriver="splunk") is None


def test_unknown_fields_and_statuses_are_taken() -> None:
    seen = read(status="HIBERNATING", brandNew={"x": [1, {"y": None}]})

    assert seen.details.status == "HIBERNATING"


def test_another_kind_of_event_is_recognised() -> None:
    event = an_event() | {"detail-type": "Batch Compute Environment", "detail": {}}

    assert reader.read(json.dumps(event)) == OtherEvent("Batch Compute Environment")


@pytest.mark.parametrize("kind", ["Batch Job Queue Blocked", "Batch Service Job Queue Blocked"])
def test_a_blocked_queue_is_seen_with_the_job_at_its_head(kind: str) -> None:
    event = an_event(jobId="j-1", statusReason="CAPACITY - PASSWORD=hunter2", attempts="not ours")

    seen = reader.read(json.dumps(event | {"detail-type": kind}))

    assert seen == BlockedEvent(
        at=NOON,
        queue="high-priority",
        job_id="j-1",
        job_name="align",
        reason="CAPACITY - PASSWORD=REDACTED",
    )


@pytest.mark.parametrize("field", ["jobId", "jobName", "jobQueue"])
@pytest.mark.parametrize("value", [None, "", " "])
def test_a_blocked_queue_that_is_not_named_or_has_no_head_is_malformed(
    field: str, value: str | None
) -> None:
    event = an_event(**{field: value}) | {"detail-type": "Batch Job Queue Blocked"}

    with pytest.raises(MalformedEvent, match=field):
        reader.read(json.dumps(event))


def test_secrets_and_environment_values_do_not_get_in() -> None:
    planted = "hunter2-secret"
    seen = read(
        statusReason=f"PASSWORD={planted}",
        container={
            "command": ["run", "--password", planted],
            "environment": [{"name": "HOME", "value": planted}],
            "reason": f"token: {planted}",
        },
        parameters={"db_password": planted},
        tags={"secret": planted},
    )

    assert planted not in repr(seen)
    assert "PASSWORD=" in str(seen.details.status_reason), "the rest stays readable"


def test_whatever_an_event_holds_its_record_stays_small() -> None:
    long = "x" * 100_000
    seen = read(
        jobName=long,
        statusReason=long,
        container={
            "command": [long] * 3,
            "image": long,
            "environment": [{"name": long[:900]}] * 200,
        },
        parameters={str(number): long[:2_000] for number in range(200)},
        attempts=[an_attempt(statusReason=long[:2_000])] * 100,
    )

    assert len(repr(seen)) < 200_000
    assert seen.details.generation == 100, "attempts that are not kept are counted"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "empty"),
        ("hello", "not JSON"),
        ("\x00\x01\x02", "not JSON"),
        ('{"a": "\ud800"}', "lone surrogate"),
        ("null", "Expected `object`, got `null`"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `detail-type`"),
        ("[" * 10_000 + "]" * 10_000, "Expected `object`, got `array`"),
        ('{"x":' + "[" * 10_000 + "]" * 10_000 + "}", "nested too deeply"),
        ('{"time": NaN}', "not JSON"),
    ],
)
def test_what_is_no_event_is_refused_with_a_reason(body: str, reason: str) -> None:
    assert reason in reason_for(body)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"source": "aws.ec2"}, "source is not one of: aws.batch, batchwatch.simulated"),
        ({"account": "999999999999"}, "account is not 000000000000"),
        ({"time": "yesterday"}, "`$.time`"),
        ({"time": "1969-12-31T00:00:00Z"}, "time is before 1970"),
        ({"time": "2026-11-24T03:55:00"}, "`$.time`"),
        ({"detail": "x"}, "Expected `object`, got `str` - at `$.detail`"),
        ({"detail": None}, "at `$.detail`"),
    ],
)
def test_a_wrong_envelope_is_refused_by_field(changes: dict[str, Any], reason: str) -> None:
    assert reason in reason_for_event(**changes)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"jobId": None}, "Expected `str`, got `null` - at `$.detail.jobId`"),
        ({"jobId": ""}, "jobId is not a Batch job id"),
        ({"jobId": "a b"}, "jobId is not a Batch job id"),
        ({"status": 7}, "Expected `str`, got `int` - at `$.detail.status`"),
        ({"status": " "}, "status is empty"),
        ({"jobName": ""}, "jobName is empty"),
        ({"jobQueue": ""}, "jobQueue"),
        ({"jobQueue": "arn:aws:batch:r:1:job-queue/"}, "jobQueue"),
        ({"jobQueue": "a#b"}, "jobQueue"),
        ({"createdAt": "now"}, "Expected `int | null`, got `str` - at `$.detail.createdAt`"),
        ({"createdAt": -1}, "`$.detail.createdAt`"),
        ({"createdAt": 1e300}, "`$.detail.createdAt`"),
        ({"attempts": {}}, "`$.detail.attempts`"),
        ({"attempts": [{"stoppedAt": "x"}]}, "`$.detail.attempts[0].stoppedAt`"),
        ({"container": {"exitCode": 2**40}}, "`$.detail.container.exitCode`"),
    ],
)
def test_a_wrong_detail_is_refused_by_field(fields: dict[str, Any], reason: str) -> None:
    assert reason in reason_for(json.dumps(an_event(**fields)))


def test_a_missing_field_is_named_with_its_place() -> None:
    event = an_event()
    del event["detail"]["jobId"]

    reason = reason_for(json.dumps(event))

    assert "missing required field `jobId`" in reason
    assert "`$.detail`" in reason


def test_a_reason_quotes_no_value() -> None:
    reasons = [
        reason_for(json.dumps(an_event(jobId="hunter2 secret"))),
        reason_for_event(source="hunter2"),
        reason_for_event(account="hunter2"),
        reason_for_event(time="hunter2"),
    ]

    assert not any("hunter2" in reason for reason in reasons)
