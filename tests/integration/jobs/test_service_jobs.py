"""Service jobs (SageMaker training) are recorded, listed, shown and told of like all others."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.jobs.job import Observation, ServiceFacts
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from local.aws import LocalAws, Resources
from local.ports import free_port
from local.webex import WebexServer
from tests.support.api_harness import Api
from tests.support.builders import (
    ACCOUNT,
    NOON,
    SOURCE,
    TRAINING_QUEUE_ARN,
    a_job_id,
    a_service_body,
    a_training,
    a_training_job,
)
from tests.support.notifier_harness import NotifierHarness
from tests.support.recorder_harness import RecorderHarness

TAKEN_BACK = "Cross-share preemption triggered to reclaim borrowed capacity"


def read(**fields: Any) -> Observation:
    seen = EventReader((SOURCE,), ACCOUNT, Redaction()).read(a_service_body(**fields))
    assert isinstance(seen, Observation)
    return seen


def preempted(*attempts: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    counted = {} if count is None else {"preemptedAttemptCount": count}
    return {"preemptionSummary": {**counted, "recentPreemptedAttempts": list(attempts)}}


# What an event tells


def test_an_event_is_read_as_aws_documents_it() -> None:
    seen = read(
        jobId="6271dfdf-d8a7-41b1-a4d2-55a2224f5375",
        jobArn="arn:aws:batch:us-east-1:123456789012:service-job/4c7599ae-0a82-49aa-ba5a",
        status="SCHEDULED",
        latestAttempt={"serviceResourceId": a_training_job(1)},
        retryStrategy={"attempts": 3, "evaluateOnExit": []},
        timeoutConfig={"attemptDurationSeconds": 60},
        preemptionConfiguration={"preemptionRetriesBeforeTermination": 2},
        shareIdentifier="lab",
    )

    details = seen.details
    assert seen.job_id == "6271dfdf-d8a7-41b1-a4d2-55a2224f5375", "the ARN may end in another"
    assert (details.status, details.generation) == ("SCHEDULED", 0)
    assert details.job_queue == TRAINING_QUEUE_ARN
    assert details.service == ServiceFacts("SAGEMAKER_TRAINING", (a_training_job(1)["value"],))
    assert (details.log_group, details.log_stream_name) == (None, None)
    assert (seen.description.retry_attempts, seen.description.timeout_seconds) == (3, 60)


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
def test_a_generation_counts_finished_and_preempted_attempts_each_once(
    fields: dict[str, Any], generation: int
) -> None:
    assert read(status="RUNNABLE", **fields).details.generation == generation


def test_attempts_are_in_order_of_time_the_preempted_and_the_running_one_among_them() -> None:
    details = read(
        status="RUNNING",
        startedAt=NOON + 41_000,
        attempts=[a_training(1), a_training(3)],
        latestAttempt={"serviceResourceId": a_training_job(4)},
        **preempted(a_training(2, statusReason=TAKEN_BACK), count=1),
    ).details

    assert details.service is not None
    assert details.service.resources == tuple(a_training_job(n)["value"] for n in (1, 2, 3, 4))
    assert [attempt.status_reason for attempt in details.attempts] == [None, TAKEN_BACK, None, None]
    assert (details.attempts[3].started_at, details.attempts[3].stopped_at) == (NOON + 41_000, None)


@pytest.mark.parametrize("status", ["RUNNABLE", "FAILED"])
def test_no_attempt_goes_on_in_a_job_that_waits_or_has_ended(status: str) -> None:
    latest = {"serviceResourceId": a_training_job(1)}

    assert read(status=status, latestAttempt=latest).details.attempts == ()


def test_what_sagemaker_was_asked_for_gets_in_nowhere(harness: RecorderHarness) -> None:
    payload = json.dumps({"Environment": {"API_TOKEN": "tr0ub4dor"}, "HyperParameters": {}})

    harness.record([a_service_body(serviceRequestPayload=payload, tags={"owner": "tr0ub4dor"})])

    assert "tr0ub4dor" not in json.dumps(harness.items())


def test_records_of_before_there_were_service_jobs_are_read(harness: RecorderHarness) -> None:
    job_id = a_job_id()
    harness.record([a_service_body(jobId=job_id)])
    details, history = harness.records()[job_id]
    harness.dynamodb.update_item(
        TableName=harness.resources.jobs_table,
        Key={"pk": {"S": f"JOB#{job_id}"}, "sk": {"S": "JOB"}},
        UpdateExpression="SET #record = :old",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":old": {"S": json.dumps([details[:-1], history])}},
    )

    assert harness.job(job_id).details.service is None


# What is shown


@pytest.fixture
def webex() -> Iterator[WebexServer]:
    with WebexServer(free_port()) as webex:
        yield webex


@pytest.fixture
def trained(api: Api) -> str:
    """A service job that failed once and then ran to its end."""
    job_id = a_job_id()
    algorithm = "Received status from SageMaker: AlgorithmError: exit code 1"
    attempts = [
        a_training(1, statusReason=algorithm),
        a_training(2, statusReason="Received status from SageMaker: Training job completed"),
    ]
    told: list[tuple[str, int, dict[str, Any]]] = [
        ("RUNNABLE", 1, {}),
        ("SCHEDULED", 5, {}),
        ("RUNNABLE", 20, {"attempts": attempts[:1], "statusReason": algorithm}),
        ("SUCCEEDED", 30, {"attempts": attempts, "stoppedAt": NOON + 29_000}),
    ]
    for status, second, fields in told:
        api.record(a_service_body(jobId=job_id, status=status, at=NOON + second * 1000, **fields))
    return job_id


def test_a_service_job_is_shown_with_its_training_jobs(api: Api, trained: str) -> None:
    job = api.get(f"/jobs/{trained}").body

    assert (job["serviceJobType"], job["jobQueue"]) == ("SAGEMAKER_TRAINING", "training")
    assert [(seen["status"], seen["attempt"]) for seen in job["history"]] == [
        ("RUNNABLE", None),
        ("SCHEDULED", 1),
        ("RUNNABLE", 2),
        ("SUCCEEDED", 2),
    ]
    assert [
        (one["attempt"], one["serviceResourceId"], one["logStreamName"], one["cause"])
        for one in job["attempts"]
    ] == [
        (1, a_training_job(1)["value"], None, "EXIT_CODE"),
        (2, a_training_job(2)["value"], None, None),
    ]
    assert job["durations"]["runningSeconds"] == 16
    assert job["links"] == {
        "console": "https://us-east-1.console.aws.amazon.com/sagemaker/home?region=us-east-1"
        "#/jobs/AWSBatch-train-2",
        "logs": None,
    }


def test_before_there_is_a_training_job_there_is_nothing_to_link_to(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_service_body(jobId=job_id))

    assert api.get(f"/jobs/{job_id}").body["links"] == {"console": None, "logs": None}


def test_a_service_job_is_listed_and_filtered_like_any_other(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_service_body(jobId=job_id, status="SCHEDULED", jobName="train-a"))

    for query in ("", "?status=SCHEDULED", "?queue=training", "?name=train-"):
        assert [job["jobId"] for job in api.get(f"/jobs{query}").body["jobs"]] == [job_id]
    for query in ("?status=RUNNABLE", "?queue=high-priority", "?name=train-b"):
        assert api.get(f"/jobs{query}").body["jobs"] == []


def test_a_service_job_reads_well_on_a_terminal(api: Api, trained: str) -> None:
    page = api.response(f"/jobs/{trained}", accept="text/plain").body.decode()
    table = api.response("/jobs", accept="text/csv").body.decode()

    assert "service  SAGEMAKER_TRAINING" in page
    assert "AWSBatch-train-2" in page
    assert f"{trained},align,training,SUCCEEDED" in table


def test_its_log_is_sagemakers(api: Api, trained: str) -> None:
    status, body = api.get(f"/jobs/{trained}/logs")

    assert status == 404
    assert "log group /aws/sagemaker/TrainingJobs" in body["Message"]


# What is told


def told(aws: LocalAws, resources: Resources, webex: WebexServer, body: str) -> list[str]:
    office = NotifierHarness(aws, resources, webex, '[[rule]]\non = ["SCHEDULED", "FAILED"]')
    office.recorder.record([body])
    office.deliver_all()
    return office.texts()


def test_a_failed_service_job_is_told_of_with_a_link_to_its_training_job(
    aws: LocalAws, resources: Resources, webex: WebexServer
) -> None:
    reason = "Received status from SageMaker: AlgorithmError: ValueError"
    attempt = a_training(1, statusReason=reason)
    ended: dict[str, Any] = {"status": "FAILED", "statusReason": reason, "attempts": [attempt]}

    [text] = told(aws, resources, webex, a_service_body(**ended))

    assert "**align** failed in **training**" in text
    assert "AlgorithmError" in text
    assert "[SageMaker](https://us-east-1.console.aws.amazon.com/sagemaker/" in text
    assert "[Log]" not in text


def test_that_a_service_job_has_its_place_is_told_where_a_rule_wants_it(
    aws: LocalAws, resources: Resources, webex: WebexServer
) -> None:
    [text] = told(aws, resources, webex, a_service_body(status="SCHEDULED"))

    assert "**align** is scheduled in **training**" in text
