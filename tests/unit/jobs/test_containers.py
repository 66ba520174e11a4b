"""Jobs of several containers: which container determined the result, and where its log is."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.errors import LogNotFound, LogUnavailable
from chalicelib.api.job_log import LogLocation, locate
from chalicelib.jobs.console_links import logs_link
from chalicelib.jobs.failure import Cause, container_cause, failure_of
from chalicelib.jobs.job import Job, Observation
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, SOURCE, an_attempt, an_event, job_of_case, observed_case

OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"

reader = EventReader((SOURCE,), ACCOUNT, Redaction())


def a_job(ends: list[dict[str, Any]], defined: list[dict[str, Any]], **fields: Any) -> Job:
    """Return a FAILED job of these containers."""
    event = an_event(
        status="FAILED",
        statusReason="Essential container in task exited",
        attempts=[
            an_attempt(
                container={},
                statusReason="Essential container in task exited",
                taskProperties=[{"containers": ends}],
            )
        ],
        container={},
        ecsProperties={"taskProperties": [{"containers": defined}]},
        **fields,
    )
    observation = reader.read(json.dumps(event))
    assert isinstance(observation, Observation)
    return Job.from_observation(observation)


APP: dict[str, Any] = {"name": "app", "image": "app:1"}
PROXY: dict[str, Any] = {"name": "proxy", "image": "proxy:1", "essential": False}


def test_a_sidecar_that_ecs_stopped_is_not_the_cause() -> None:
    observation = observed_case("sidecar-stopped")
    job = Job.from_observation(observation)

    failure = failure_of(job.details)

    assert (failure.cause, failure.container, failure.exit_code) == (Cause.EXIT_CODE, "app", 1)
    assert failure.explanation.startswith("Container app failed. ")
    assert job.log_stream_name == "d/app/1"
    assert observation.description.image == "app:1"
    causes = {
        end.name: container_cause(end.exit_code, end.reason, is_first=not position)
        for position, end in enumerate(job.details.attempts[0].containers)
    }
    assert causes == {"app": Cause.EXIT_CODE, "envoy": None}


@pytest.mark.parametrize(
    ("app", "proxy", "container", "cause"),
    [
        ({"exitCode": 2}, {"exitCode": 143}, "app", Cause.EXIT_CODE),
        ({"exitCode": 137, "reason": OUT_OF_MEMORY}, {"exitCode": 137}, "app", "OUT_OF_MEMORY"),
        ({"exitCode": 137}, {"exitCode": 1}, "app", Cause.KILLED),
        ({"exitCode": 1}, {"exitCode": 137, "reason": OUT_OF_MEMORY}, "app", Cause.EXIT_CODE),
        ({}, {"exitCode": 7}, "proxy", Cause.EXIT_CODE),
        ({"reason": "CannotPullContainerError: x"}, {"exitCode": 143}, "app", Cause.IMAGE_PULL),
    ],
)
def test_the_essential_container_that_ended_first_determines_the_cause(
    app: dict[str, Any], proxy: dict[str, Any], container: str, cause: Cause
) -> None:
    ends = [{"name": "proxy", **proxy}, {"name": "app", **app}]

    failure = failure_of(a_job(ends, [PROXY, APP]).details)

    assert (failure.container, failure.cause) == (container, cause)


def test_of_two_essential_containers_the_one_that_was_stopped_is_not_the_cause() -> None:
    ends = [{"name": "a", "exitCode": 137}, {"name": "b", "exitCode": 9}]

    failure = failure_of(a_job(ends, [{"name": "a"}, {"name": "b"}]).details)

    assert (failure.container, failure.exit_code) == ("b", 9)


ENDS = st.fixed_dictionaries(
    {"name": st.sampled_from("abcd")},
    optional={
        "exitCode": st.sampled_from([0, 1, 2, 137, 143]),
        "reason": st.sampled_from(["Error", OUT_OF_MEMORY, "CannotPullContainerError: x"]),
        "logStreamName": st.sampled_from(["s/1", "s/2"]),
    },
)
DEFINED = [{"name": "a"}, {"name": "b", "essential": False}, {"name": "c"}, {"name": "d"}]


@given(
    ends=st.lists(ENDS, min_size=2, max_size=4, unique_by=lambda end: end["name"]),
    data=st.data(),
)
def test_the_order_in_which_aws_lists_containers_changes_nothing(
    ends: list[dict[str, Any]], data: st.DataObject
) -> None:
    other = data.draw(st.permutations(ends))

    one, two = a_job(ends, DEFINED, jobId="j"), a_job(other, DEFINED, jobId="j")

    assert failure_of(one.details) == failure_of(two.details)
    assert one.details == two.details


def test_an_init_container_that_failed_is_the_cause() -> None:
    details = job_of_case("eks-init-exit-1").details

    failure = failure_of(details)

    assert (failure.cause, failure.exit_code, failure.container) == (Cause.EXIT_CODE, 1, "fetch")
    assert failure.explanation.startswith("Init container fetch failed. ")
    assert [(end.name, end.is_init) for end in details.attempts[0].containers] == [
        ("fetch", True),
        ("app", False),
    ]


def test_a_container_has_its_own_log_group() -> None:
    job = job_of_case("container-own-log-group")

    assert locate(job, None) == LogLocation(1, "/my/app", "d/app/1")
    assert locate(job, None, "envoy") == LogLocation(1, "/aws/batch/job", "d/envoy/1")
    assert "$252Fmy$252Fapp/log-events/d$252Fapp$252F1" in (logs_link(job) or "")
    with pytest.raises(LogNotFound, match="container x not found; recorded containers: app, envoy"):
        locate(job, None, "x")


def test_a_multi_node_job_has_the_log_of_its_main_node() -> None:
    job = job_of_case("multi-node-failed")

    assert locate(job, None) == LogLocation(1, "/aws/batch/job", "mnp/default/a213dcfa")
    assert "mnp$252Fdefault$252Fa213dcfa" in (logs_link(job) or "")
    assert job.details.nodes == 4


@pytest.mark.parametrize(
    ("targets", "main_node", "image"),
    [(("0", "1:"), 0, "0"), (("0:1", "2:"), 2, "1"), (("1:", ":0"), 0, "1"), (("0", "1"), 1, "1")],
)
def test_a_multi_node_job_is_described_by_its_main_node(
    targets: tuple[str, str], main_node: int, image: str
) -> None:
    ranges = [
        {"targetNodes": target, "container": {"image": str(number)}}
        for number, target in enumerate(targets)
    ]
    nodes = {"numNodes": 3, "mainNode": main_node, "nodeRangeProperties": ranges}

    observation = reader.read(json.dumps(an_event(nodeProperties=nodes)))

    assert isinstance(observation, Observation)
    assert observation.description.image == image


def test_a_container_that_never_started_has_no_log() -> None:
    job = job_of_case("docker-timeout")

    assert logs_link(job) is None
    with pytest.raises(LogNotFound, match="attempt 1 has no log stream"):
        locate(job, None)


def test_the_log_of_a_pod_is_in_kubernetes() -> None:
    with pytest.raises(LogUnavailable) as error:
        locate(job_of_case("eks-init-exit-1"), None)

    assert "pod p on node n: run kubectl logs p -c fetch" in str(error.value)


def test_another_log_driver_is_named() -> None:
    configuration = {"logConfiguration": {"logDriver": "splunk"}}
    defined = [APP | configuration, PROXY]
    event = an_event(container={}, ecsProperties={"taskProperties": [{"containers": defined}]})
    observation = reader.read(json.dumps(event))
    assert isinstance(observation, Observation)
    job = Job.from_observation(observation)

    with pytest.raises(LogUnavailable, match="the log driver of the container is splunk"):
        locate(job, None, None, observation.description.log_driver)


def test_the_roles_of_several_containers_are_those_of_their_task() -> None:
    roles = {
        "taskRoleArn": "arn:aws:iam::1:role/app",
        "executionRoleArn": "arn:aws:iam::1:role/ecs",
    }
    platform = {"runtimePlatform": {"cpuArchitecture": "ARM64"}}
    task = {"containers": [PROXY, APP], "ephemeralStorage": {"sizeInGiB": 50}, **roles, **platform}

    event = an_event(container={}, ecsProperties={"taskProperties": [task]})
    observation = reader.read(json.dumps(event))

    assert isinstance(observation, Observation)
    description = observation.description
    assert description.image == "app:1"
    assert (description.job_role, description.execution_role) == tuple(roles.values())
    assert (description.ephemeral_storage_gib, description.cpu_architecture) == (50, "ARM64")
