"""Service jobs (SageMaker training) are recorded, listed, shown and notified like other jobs."""

import json
from typing import Any

import pytest

from chalicelib.jobs.job import Details
from chalicelib.jobs.job_table import job_key
from local.aws import LocalAws, Resources
from local.webex import WebexServer
from tests.support.api_harness import Api
from tests.support.builders import (
    NOON,
    a_body,
    a_job_id,
    a_service_body,
    a_training,
    a_training_job,
)
from tests.support.notifier_harness import NotifierHarness
from tests.support.recorder_harness import RecorderHarness


def test_the_request_to_sagemaker_and_tags_are_not_stored(harness: RecorderHarness) -> None:
    payload = json.dumps({"Environment": {"API_TOKEN": "tr0ub4dor"}, "HyperParameters": {}})

    harness.record([a_service_body(serviceRequestPayload=payload, tags={"owner": "tr0ub4dor"})])

    assert "tr0ub4dor" not in json.dumps(harness.items())


def test_a_record_without_later_fields_can_be_read(harness: RecorderHarness) -> None:
    job_id = a_job_id()
    harness.record([a_service_body(jobId=job_id)])
    details, history = harness.records()[job_id]
    earlier_fields = details[: Details.__struct_fields__.index("service")]
    harness.dynamodb.update_item(
        TableName=harness.resources.jobs_table,
        Key=job_key(job_id),
        UpdateExpression="SET #record = :old",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":old": {"S": json.dumps([earlier_fields, history])}},
    )

    assert harness.job(job_id).details.service is None


# The API


@pytest.fixture
def trained(api: Api) -> str:
    """A service job whose first attempt failed and whose second one succeeded."""
    job_id = a_job_id()
    algorithm = "Received status from SageMaker: AlgorithmError: exit code 1"
    attempts = [
        a_training(1, statusReason=algorithm),
        a_training(2, statusReason="Received status from SageMaker: Training job completed"),
    ]
    changes: list[tuple[str, int, dict[str, Any]]] = [
        ("RUNNABLE", 1, {}),
        ("SCHEDULED", 5, {}),
        ("RUNNABLE", 20, {"attempts": attempts[:1], "statusReason": algorithm}),
        ("SUCCEEDED", 30, {"attempts": attempts, "stoppedAt": NOON + 29_000}),
    ]
    for status, second, fields in changes:
        api.record(a_service_body(jobId=job_id, status=status, at=NOON + second * 1000, **fields))
    return job_id


def test_a_service_job_is_shown_with_its_training_jobs(api: Api, trained: str) -> None:
    job = api.get(f"/jobs/{trained}").body

    assert (job["serviceJobType"], job["jobQueue"]) == ("SAGEMAKER_TRAINING", "training")
    assert [(entry["status"], entry["attempt"]) for entry in job["history"]] == [
        ("RUNNABLE", None),
        ("SCHEDULED", 1),
        ("RUNNABLE", 2),
        ("SUCCEEDED", 2),
    ]
    assert [
        (each["attempt"], each["serviceResourceId"], each["logStreamName"], each["cause"])
        for each in job["attempts"]
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


def test_without_a_training_job_there_is_no_link(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_service_body(jobId=job_id))

    assert api.get(f"/jobs/{job_id}").body["links"] == {"console": None, "logs": None}


def test_a_service_job_is_listed_and_filtered_like_any_other(api: Api) -> None:
    job_id = a_job_id()
    api.record(
        a_service_body(jobId=job_id, status="SCHEDULED", jobName="train-a"),
        a_body(status="RUNNABLE", jobName="train-b"),
    )

    for query in ("", "?status=SCHEDULED", "?queue=training", "?name=train-"):
        assert job_id in [job["jobId"] for job in api.get(f"/jobs{query}").body["jobs"]]
    for query in ("?status=RUNNABLE", "?queue=high-priority", "?name=train-b"):
        assert [job["jobName"] for job in api.get(f"/jobs{query}").body["jobs"]] == ["train-b"]


def test_the_text_page_of_a_service_job_contains_its_training_jobs(api: Api, trained: str) -> None:
    page = api.response(f"/jobs/{trained}", accept="text/plain").body.decode()
    table = api.response("/jobs", accept="text/csv").body.decode()

    assert "service  SAGEMAKER_TRAINING" in page
    assert "AWSBatch-train-2" in page
    assert f"{trained},align,training,SUCCEEDED" in table


def test_the_log_of_a_service_job_is_in_sagemakers_log_group(api: Api, trained: str) -> None:
    status, body = api.get(f"/jobs/{trained}/logs")

    assert status == 404
    assert "log group /aws/sagemaker/TrainingJobs" in body["Message"]


# Notices


def messages_about(aws: LocalAws, resources: Resources, webex: WebexServer, body: str) -> list[str]:
    notifier = NotifierHarness(aws, resources, webex, '[[rule]]\non = ["SCHEDULED", "FAILED"]')
    notifier.recorder.record([body])
    notifier.deliver_all()
    return notifier.texts()


def test_the_notice_of_a_failed_service_job_links_to_its_training_job(
    aws: LocalAws, resources: Resources, webex: WebexServer
) -> None:
    reason = "Received status from SageMaker: AlgorithmError: ValueError"
    attempt = a_training(1, statusReason=reason)
    ended: dict[str, Any] = {"status": "FAILED", "statusReason": reason, "attempts": [attempt]}

    [text] = messages_about(aws, resources, webex, a_service_body(**ended))

    assert "**align** failed in **training**" in text
    assert "AlgorithmError" in text
    assert "[SageMaker](https://us-east-1.console.aws.amazon.com/sagemaker/" in text
    assert "[Log]" not in text


def test_a_rule_can_request_notices_about_scheduled_service_jobs(
    aws: LocalAws, resources: Resources, webex: WebexServer
) -> None:
    [text] = messages_about(aws, resources, webex, a_service_body(status="SCHEDULED"))

    assert "**align** is SCHEDULED in **training**" in text
