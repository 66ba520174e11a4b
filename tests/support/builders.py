"""Builders of test input: events as EventBridge sends them, messages as Lambda receives them."""

import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.aws.lambda_event import Message
from chalicelib.jobs.job import Job, Observation, Source
from chalicelib.jobs.job_detail.observation import observe
from chalicelib.jobs.job_detail.shapes import JobDetail
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from local.workload import Workload, envelope

ACCOUNT = "000000000000"
SOURCE = "batchwatch.simulated"
QUEUE_ARN = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/high-priority"
TRAINING_QUEUE_ARN = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/training"
NOON = 1_780_000_000_000
"""A time in epoch milliseconds, on a whole second."""
HOUR = 3_600_000

REQUIRED_SETTINGS = {
    "JOBS_TABLE": "jobs",
    "EVENTS_QUEUE": "events",
    "DEAD_LETTER_QUEUE": "dead-letters",
    "NOTICES_QUEUE": "notices",
    "NOTICES_DEAD_LETTER_QUEUE": "notices-dead-letters",
    "SECRET_ID": "secret",
}
"""The environment variables that have no default."""

_numbers = itertools.count()


def a_job_id() -> str:
    return f"00000000-0000-4000-8000-{next(_numbers):012}"


def a_detail(**fields: Any) -> dict[str, Any]:
    return {
        "jobId": a_job_id(),
        "jobName": "align",
        "jobQueue": QUEUE_ARN,
        "status": "RUNNABLE",
        "createdAt": NOON,
        **fields,
    }


def an_ended_detail(**fields: Any) -> dict[str, Any]:
    """Return the detail of a job that ended two hours before noon."""
    times = {"createdAt": NOON - 3 * HOUR, "stoppedAt": NOON - 2 * HOUR}
    return a_detail(**{"status": "SUCCEEDED", **times, **fields})


def queue_arn(name: str) -> str:
    return f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/{name}"


def an_event(*, at: int = NOON, **fields: Any) -> dict[str, Any]:
    """Return the event of a plain job; `at` is in epoch milliseconds."""
    return an_envelope("Batch Job State Change", a_detail(**fields), at=at)


def an_envelope(kind: str, detail: dict[str, Any], *, at: int = NOON) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"event-{next(_numbers)}",
        "detail-type": kind,
        "source": SOURCE,
        "account": ACCOUNT,
        "time": datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": [],
        "detail": detail,
    }


def a_body(**fields: Any) -> str:
    return json.dumps(an_event(**fields))


def a_message(body: str | None = None, *, receive_count: int = 1) -> Message:
    number = next(_numbers)
    text = a_body() if body is None else body
    return Message(f"message-{number}", f"receipt-{number}", text, receive_count)


def an_attempt(**fields: Any) -> dict[str, Any]:
    return {"container": {}, "startedAt": NOON, "stoppedAt": NOON + 1000, **fields}


# Service jobs


def a_service_detail(**fields: Any) -> dict[str, Any]:
    return {
        **a_detail(jobQueue=TRAINING_QUEUE_ARN),
        "serviceJobType": "SAGEMAKER_TRAINING",
        "attempts": [],
        **fields,
    }


def a_service_body(*, at: int = NOON, **fields: Any) -> str:
    event = an_envelope("Batch Service Job State Change", a_service_detail(**fields), at=at)
    return json.dumps(event)


def a_training_job(number: int) -> dict[str, str]:
    """Return the training job that runs an attempt of a service job."""
    arn = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:training-job/AWSBatch-train-{number}"
    return {"name": "TrainingJobArn", "value": arn}


def a_training(number: int, **fields: Any) -> dict[str, Any]:
    """Return a finished attempt of a service job; a higher number is a later attempt."""
    start = NOON + number * 10_000
    times = {"startedAt": start + 1_000, "stoppedAt": start + 9_000}
    return {"serviceResourceId": a_training_job(number), **times, **fields}


def a_preemption(step: str, job_id: str, *, at: int = NOON, **fields: Any) -> str:
    arn = f"arn:aws:batch:us-east-1:{ACCOUNT}:service-job/{job_id}"
    detail = {"preemptedJobArn": arn, "status": "RUNNING", **fields}
    return json.dumps(an_envelope(f"Batch Service Job Preemption {step}", detail, at=at))


def bodies_of(work: Workload) -> list[str]:
    return [
        json.dumps(
            envelope(event, source=SOURCE, account=ACCOUNT, region="us-east-1", id=str(number))
        )
        for number, event in enumerate(work.all_events)
    ]


def job_ids(messages: Iterable[str]) -> set[str]:
    return {json.loads(body)["detail"]["jobId"] for body in messages}


# Cases: events of failures, as AWS Batch sent them

CASES = Path(__file__).parents[1] / "cases"
CASES_ACCOUNT = "111122223333"


def a_case(name: str) -> dict[str, Any]:
    """Return an event of tests/cases."""
    event: dict[str, Any] = json.loads((CASES / f"{name}.json").read_text())
    return event


def observed_case(name: str, source: Source = Source.EVENT) -> Observation:
    """Return what a case reports, as an event or as DescribeJobs would report it."""
    event = a_case(name)
    if source is Source.REPAIR:
        time = datetime.fromisoformat(event["time"]).timestamp()
        detail = msgspec.convert(event["detail"], JobDetail)
        return observe(detail, time=round(time * 1000), source=source, redaction=Redaction())
    read = EventReader(("aws.batch",), CASES_ACCOUNT, Redaction()).read(json.dumps(event))
    assert isinstance(read, Observation)
    return read


def job_of_case(name: str) -> Job:
    return Job.from_observation(observed_case(name))
