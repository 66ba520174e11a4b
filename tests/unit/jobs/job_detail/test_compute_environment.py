"""The compute environment of an attempt is part of the ARN of its ECS task."""

import json
from typing import Any

import pytest

from chalicelib.jobs.job import Attempt, Observation
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, SOURCE, an_attempt, an_event

ID = "5566ff52-0b16-3c31-a365-00691ed00fe3"
TASK = "arn:aws:ecs:us-east-1:123456789012:task"

reader = EventReader((SOURCE,), ACCOUNT, Redaction())


def attempt_of(**fields: Any) -> Attempt:
    observation = reader.read(json.dumps(an_event(attempts=[an_attempt(**fields)])))
    assert isinstance(observation, Observation)
    [attempt] = observation.details.attempts
    return attempt


@pytest.mark.parametrize(
    ("arn", "environment"),
    [
        (f"{TASK}/AWSBatch-fleet-{ID}/0a1b2c3d4e5f", "fleet"),
        (f"{TASK}/AWSBatch-spot-a_2-{ID}/0a1b2c3d4e5f", "spot-a_2"),
        # A name that looks like the end of a cluster's name: the last UUID is the cluster's.
        (f"{TASK}/AWSBatch-{ID}-{ID}/0a1b2c3d4e5f", ID),
        (f"arn:aws-cn:ecs:cn-north-1:123456789012:task/AWSBatch-fleet-{ID}/0a1b", "fleet"),
        (f"{TASK}/0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", None),
        (f"{TASK}/AWSBatch-fleet/0a1b2c3d4e5f", None),
        (f"{TASK}/my-cluster-{ID}/0a1b2c3d4e5f", None),
        (f"{TASK}/AWSBatch-{'x' * 129}-{ID}/0a1b2c3d4e5f", None),
        ("t", None),
    ],
)
def test_the_environment_is_part_of_the_name_of_the_cluster(
    arn: str, environment: str | None
) -> None:
    assert attempt_of(container={"taskArn": arn}).compute_environment == environment


def test_the_attempt_of_several_containers_has_one_environment() -> None:
    containers = [{"name": name, "exitCode": code} for name, code in (("main", 1), ("log", 137))]
    task = {"taskArn": f"{TASK}/AWSBatch-fleet-{ID}/0a1b", "containers": containers}

    attempt = attempt_of(container={"taskArn": None}, taskProperties=[task])

    assert attempt.compute_environment == "fleet"
    assert [each.name for each in attempt.containers] == ["main", "log"]


def test_a_container_of_which_only_the_task_is_known_is_no_second_container() -> None:
    arn = f"{TASK}/AWSBatch-fleet-{ID}/0a1b"
    task = {"taskArn": arn, "containers": [{"name": "main", "exitCode": 1}]}

    attempt = attempt_of(container={"taskArn": arn}, taskProperties=[task])

    assert (attempt.exit_code, attempt.containers) == (1, ())
