"""Decoding of every kind of event that AWS Batch emits, and of malformed ones."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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


def test_an_event_of_a_plain_job_is_decoded_completely() -> None:
    observation = read(
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

    details, description = observation.details, observation.description
    assert (observation.job_id, details.status, details.generation, details.time) == (
        "j-1",
        "FAILED",
        1,
        NOON,
    )
    assert details.job_queue == QUEUE_ARN
    assert details.attempts[0].exit_code == 3
    assert details.attempts[0].log_stream_name == "def/x/1"
    assert details.exit_code is None, "the last attempt contains it"
    assert details.log_group == "/aws/batch/job"
    assert details.resources == Resources(vcpus=0.5, memory=2048, gpus=1)
    assert (description.image, description.command) == ("busybox", ("sh", "-c", "run"))
    assert (description.vcpus, description.memory, description.gpus) == (0.5, 2048, 1)
    assert description.environment == ("A", "B")
    assert description.parameters == {"sample": "NA1"}
    assert description.tags == {"project": "x"}
    assert (description.retry_attempts, description.timeout_seconds) == (2, 60)
    assert description.platform == "FARGATE"


def test_the_generation_counts_finished_attempts_only() -> None:
    running = {"startedAt": NOON, "container": {"logStreamName": "open"}}

    assert read(status="RUNNING", attempts=[an_attempt(), running]).details.generation == 1


def test_an_event_in_the_format_of_2017_without_arn_and_tags_is_decoded() -> None:
    observation = read(
        container={"image": "busybox", "vcpus": 2, "memory": 2000, "environment": []}
    )

    assert (observation.description.vcpus, observation.description.memory) == (2, 2000)
    assert observation.description.tags == {}


def test_an_array_parent_has_its_size_and_the_status_counts_of_its_children() -> None:
    observation = read(
        status="PENDING", arrayProperties={"size": 3, "statusSummary": {"RUNNING": 2}}
    )

    assert observation.details.array == ArrayFacts(size=3, status_summary={"RUNNING": 2})


def test_an_array_child_has_its_index_and_shares_the_parents_description() -> None:
    container = {"image": "busybox", "command": ["x"]}
    parent = read(jobId="j", container=container, tags={"resourceArn": "a"})
    child = read(jobId="j:12", container=container, tags={}, arrayProperties={"index": 12})

    assert child.details.array == ArrayFacts(index=12)
    assert child.details.description == parent.details.description


def test_a_multi_node_parent_has_the_description_of_its_first_node_range() -> None:
    observation = read(
        nodeProperties={
            "numNodes": 3,
            "mainNode": 0,
            "nodeRangeProperties": [{"targetNodes": "0:", "container": {"image": "mpi"}}],
        }
    )

    assert (observation.details.nodes, observation.description.image) == (3, "mpi")
    assert observation.details.log_group == "/aws/batch/job", "that of the main node"


def test_a_node_has_the_description_of_its_own_container() -> None:
    observation = read(jobId="j#1", nodeDetails={"nodeIndex": 1}, container={"image": "mpi"})

    assert (observation.job_id, observation.description.image) == ("j#1", "mpi")


def test_attempts_and_resources_of_an_eks_job_come_from_its_pod() -> None:
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
    observation = read(
        status="FAILED", attempts=[], eksAttempts=[ended], eksProperties={"podProperties": pod}
    )

    assert (observation.details.generation, observation.details.attempts[0].exit_code) == (1, 1)
    assert observation.description.command == ("sh", "-c", "x")
    assert observation.description.environment == ("K",)
    description = observation.description
    assert (description.vcpus, description.memory, description.gpus) == (0.5, 1024, 2)


def test_an_attempt_with_several_containers_has_the_result_of_the_failed_container() -> None:
    def containers(**of_second: Any) -> dict[str, Any]:
        first = {"name": "side", "exitCode": 0, "logStreamName": "side"}
        return {"containers": [first, {"name": "main", "logStreamName": "main", **of_second}]}

    requirements = [{"type": "VCPU", "value": "1"}, {"type": "MEMORY", "value": "512"}]
    definition = {"containers": [{"image": "a", "resourceRequirements": requirements}] * 2}
    observation = read(
        status="FAILED",
        attempts=[
            an_attempt(container=None, taskProperties=[containers(exitCode=7, reason="boom")])
        ],
        ecsProperties={"taskProperties": [definition]},
    )

    attempt = observation.details.attempts[0]
    assert (attempt.exit_code, attempt.reason, attempt.log_stream_name) == (7, "boom", "main")
    assert (observation.description.vcpus, observation.description.memory) == (2, 1024)


def test_the_log_group_comes_from_the_log_configuration() -> None:
    def log_group(**configuration: Any) -> str | None:
        return read(container={"logConfiguration": configuration}).details.log_group

    assert log_group(logDriver="awslogs", options={"awslogs-group": "/mine"}) == "/mine"
    assert log_group(logDriver="awslogs") == "/aws/batch/job"
    assert log_group(logDriver="splunk") is None


def test_unknown_fields_and_statuses_are_accepted() -> None:
    observation = read(status="HIBERNATING", brandNew={"x": [1, {"y": None}]})

    assert observation.details.status == "HIBERNATING"


def test_an_event_of_a_type_that_is_not_recorded_is_recognized() -> None:
    event = an_event() | {"detail-type": "Batch Compute Environment", "detail": {}}

    assert reader.read(json.dumps(event)) == OtherEvent("Batch Compute Environment")


@pytest.mark.parametrize("kind", ["Batch Job Queue Blocked", "Batch Service Job Queue Blocked"])
def test_a_blocked_event_contains_the_job_at_the_head_of_the_queue(kind: str) -> None:
    event = an_event(jobId="j-1", statusReason="CAPACITY - PASSWORD=hunter2", attempts="ignored")

    blocked = reader.read(json.dumps(event | {"detail-type": kind}))

    assert blocked == BlockedEvent(
        at=NOON,
        queue="high-priority",
        job_id="j-1",
        job_name="align",
        reason="CAPACITY - PASSWORD=REDACTED",
        is_service=kind == "Batch Service Job Queue Blocked",
    )


@pytest.mark.parametrize("field", ["jobId", "jobName", "jobQueue"])
@pytest.mark.parametrize("value", [None, "", " "])
def test_a_blocked_event_without_its_queue_or_job_is_malformed(
    field: str, value: str | None
) -> None:
    fields: dict[str, Any] = {field: value}
    event = an_event(**fields) | {"detail-type": "Batch Job Queue Blocked"}

    with pytest.raises(MalformedEvent, match=field):
        reader.read(json.dumps(event))


def test_secrets_and_environment_values_are_redacted() -> None:
    planted = "hunter2-secret"
    observation = read(
        statusReason=f"PASSWORD={planted}",
        container={
            "command": ["run", "--password", planted],
            "environment": [{"name": "HOME", "value": planted}],
            "reason": f"token: {planted}",
        },
        parameters={"db_password": planted},
        tags={"secret": planted},
    )

    assert planted not in repr(observation)
    assert "PASSWORD=" in str(observation.details.status_reason), (
        "the rest of the text stays readable"
    )


def test_the_record_stays_small_however_large_the_event_is() -> None:
    long = "x" * 100_000
    observation = read(
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

    assert len(repr(observation)) < 200_000
    assert observation.details.generation == 100, "attempts that are not stored are counted"


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
def test_a_body_that_is_not_an_event_is_rejected_with_a_reason(body: str, reason: str) -> None:
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
def test_an_invalid_envelope_is_rejected_naming_the_field(
    changes: dict[str, Any], reason: str
) -> None:
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
        ({"attempts": {}}, "`$.detail.attempts`"),
        ({"attempts": [{"stoppedAt": "x"}]}, "`$.detail.attempts[0].stoppedAt`"),
        ({"attempts": [{"startedAt": 1.5}]}, "`$.detail.attempts[0].startedAt`"),
        ({"attempts": [None]}, "`$.detail.attempts[0]`"),
        ({"eksAttempts": [{"stoppedAt": -1}]}, "`$.detail.eksAttempts[0].stoppedAt`"),
    ],
)
def test_an_invalid_detail_is_rejected_naming_the_field(
    fields: dict[str, Any], reason: str
) -> None:
    assert reason in reason_for(json.dumps(an_event(**fields)))


def test_a_missing_field_is_named_with_its_path() -> None:
    event = an_event()
    del event["detail"]["jobId"]

    reason = reason_for(json.dumps(event))

    assert "missing required field `jobId`" in reason
    assert "`$.detail`" in reason


def test_a_reason_does_not_quote_values() -> None:
    reasons = [
        reason_for(json.dumps(an_event(jobId="hunter2 secret"))),
        reason_for_event(source="hunter2"),
        reason_for_event(account="hunter2"),
        reason_for_event(time="hunter2"),
    ]

    assert not any("hunter2" in reason for reason in reasons)


@pytest.mark.parametrize(
    ("fields", "invalid"),
    [
        ({"createdAt": "now"}, ["createdAt"]),
        ({"createdAt": -1}, ["createdAt"]),
        ({"createdAt": 1e300}, ["createdAt"]),
        ({"startedAt": 1.5}, ["startedAt"]),
        ({"tags": {"a": 1, "project": "x"}}, ["tags[...]"]),
        ({"tags": {"a": 1, "b": None, "c": True, "project": "x"}}, ["tags[...]"] * 2),
        ({"tags": ["a"]}, ["tags"]),
        ({"container": {"image": "busybox", "command": ["a", None]}}, ["container.command[1]"]),
        ({"container": {"image": "busybox", "exitCode": 2**40}}, ["container.exitCode"]),
        (
            {"container": {"environment": [None, {"name": 1}]}},
            ["container.environment[0]", "container.environment[0].name"],
        ),
        ({"attempts": [{"stoppedAt": NOON, "statusReason": 7}]}, ["attempts[0].statusReason"]),
        ({"attempts": [{"container": [], "stoppedAt": NOON}]}, ["attempts[0].container"]),
        (
            {"arrayProperties": {"size": 2, "statusSummary": {"FAILED": "1"}}},
            ["arrayProperties.statusSummary[...]"],
        ),
        ({"retryStrategy": "x", "timeout": 1}, ["retryStrategy", "timeout"]),
        ({"statusReason": {}}, ["statusReason"]),
    ],
)
def test_an_invalid_descriptive_field_costs_that_field_only(
    fields: dict[str, Any], invalid: list[str]
) -> None:
    observation = read(status="RUNNING", jobId="j", **fields)

    found = list(observation.invalid_fields)
    assert found == invalid
    assert (observation.job_id, observation.details.status) == ("j", "RUNNING")
    if "tags" in fields and isinstance(fields["tags"], dict):
        assert observation.description.tags == {"project": "x"}
    if "image" in fields.get("container", {}):
        assert observation.description.image == "busybox"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
DESCRIPTIVE = [
    "tags",
    "parameters",
    "container",
    "retryStrategy",
    "timeout",
    "arrayProperties",
    "nodeProperties",
    "ecsProperties",
    "eksProperties",
    "platformCapabilities",
    "createdAt",
    "statusReason",
    "isCancelled",
]


@given(fields=st.dictionaries(st.sampled_from(DESCRIPTIVE), JSON, max_size=4))
def test_no_value_of_a_descriptive_field_makes_an_event_unreadable(fields: dict[str, Any]) -> None:
    observation = read(status="RUNNING", jobId="j", **fields)

    assert (observation.job_id, observation.details.status) == ("j", "RUNNING")
