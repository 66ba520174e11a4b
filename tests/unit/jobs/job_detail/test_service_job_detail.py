"""Details of service jobs (SageMaker training), as their events report them."""

from typing import Any

import pytest

from chalicelib.jobs.job import Capacity, Observation, ServiceFacts
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import (
    ACCOUNT,
    NOON,
    SOURCE,
    TRAINING_QUEUE_ARN,
    a_service_body,
    a_training,
    a_training_job,
)

RECLAIMED = "Cross-share preemption triggered to reclaim borrowed capacity"


def read(**fields: Any) -> Observation:
    observation = EventReader((SOURCE,), ACCOUNT, Redaction()).read(a_service_body(**fields))
    assert isinstance(observation, Observation)
    return observation


def preempted(*attempts: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    counted = {} if count is None else {"preemptedAttemptCount": count}
    return {"preemptionSummary": {**counted, "recentPreemptedAttempts": list(attempts)}}


def test_an_event_of_the_documented_form_is_decoded() -> None:
    observation = read(
        jobId="6271dfdf-d8a7-41b1-a4d2-55a2224f5375",
        jobArn="arn:aws:batch:us-east-1:123456789012:service-job/4c7599ae-0a82-49aa-ba5a",
        status="SCHEDULED",
        latestAttempt={"serviceResourceId": a_training_job(1)},
        retryStrategy={"attempts": 3, "evaluateOnExit": []},
        timeoutConfig={"attemptDurationSeconds": 60},
        preemptionConfiguration={"preemptionRetriesBeforeTermination": 2},
        shareIdentifier="lab",
        quotaShareName="lab-gpus",
        capacityUsage=[{"capacityUnit": "ml.g5.xlarge", "quantity": 2.0}],
    )

    details, description = observation.details, observation.description
    assert observation.job_id == "6271dfdf-d8a7-41b1-a4d2-55a2224f5375", "not the id in the ARN"
    assert (details.status, details.generation) == ("SCHEDULED", 0)
    assert details.job_queue == TRAINING_QUEUE_ARN
    assert details.service == ServiceFacts("SAGEMAKER_TRAINING", (a_training_job(1)["value"],))
    assert (details.log_group, details.log_stream_name) == (None, None)
    assert (description.retry_attempts, description.timeout_seconds) == (3, 60)
    assert (description.share_identifier, description.quota_share_name) == ("lab", "lab-gpus")
    assert description.capacity_usage == (Capacity("ml.g5.xlarge", 2),)
    assert description.preemption_retries == 2


@pytest.mark.parametrize(
    ("fields", "invalid"),
    [
        ({"quotaShareName": 3}, "quotaShareName"),
        ({"capacityUsage": [{"quantity": "two"}]}, "capacityUsage[0].quantity"),
        ({"preemptionConfiguration": []}, "preemptionConfiguration"),
    ],
)
def test_an_invalid_field_of_a_service_job_costs_that_field_only(
    fields: dict[str, Any], invalid: str
) -> None:
    observation = read(**fields)

    assert observation.invalid_fields == (invalid,)
    assert observation.details.job_name == "align"


@pytest.mark.parametrize(
    ("fields", "generation"),
    [
        ({}, 0),
        ({"attempts": [a_training(1)]}, 1),
        ({"attempts": [a_training(1), {"startedAt": NOON}]}, 1),
        (preempted(a_training(1)), 1),
        (preempted(a_training(1), count=4), 4),
        (preempted(count=2), 2),
        ({"attempts": [a_training(2)], **preempted(a_training(1), count=1)}, 2),
        ({"attempts": [a_training(1), a_training(2)], **preempted(a_training(1), count=1)}, 2),
        ({"preemptionSummary": None}, 0),
    ],
)
def test_the_generation_counts_each_finished_or_preempted_attempt_once(
    fields: dict[str, Any], generation: int
) -> None:
    assert read(status="RUNNABLE", **fields).details.generation == generation


def test_attempts_are_in_order_of_time_including_preempted_and_running_ones() -> None:
    details = read(
        status="RUNNING",
        startedAt=NOON + 41_000,
        attempts=[a_training(1), a_training(3)],
        latestAttempt={"serviceResourceId": a_training_job(4)},
        **preempted(a_training(2, statusReason=RECLAIMED), count=1),
    ).details

    assert details.service is not None
    assert details.service.resources == tuple(a_training_job(n)["value"] for n in (1, 2, 3, 4))
    assert [attempt.status_reason for attempt in details.attempts] == [None, RECLAIMED, None, None]
    assert (details.attempts[3].started_at, details.attempts[3].stopped_at) == (NOON + 41_000, None)


@pytest.mark.parametrize("status", ["RUNNABLE", "FAILED"])
def test_a_job_that_waits_or_has_ended_has_no_running_attempt(status: str) -> None:
    latest = {"serviceResourceId": a_training_job(1)}

    assert read(status=status, latestAttempt=latest).details.attempts == ()
