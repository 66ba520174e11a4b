"""The end of a job's log, from CloudWatch Logs of the local AWS."""

import time
from typing import Any

from local.aws import LocalAws
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id, an_attempt
from tests.support.samples.log_samples import GROUP, write


def record_a_job(api: Api, *streams: str, **fields: Any) -> str:
    """Record a job with one failed attempt for each log stream."""
    job_id = a_job_id()
    attempts = [an_attempt(container={"logStreamName": stream}) for stream in streams]
    container = {"image": "busybox", **fields.pop("container", {})}
    api.record(
        a_body(jobId=job_id, status="FAILED", attempts=attempts, container=container, **fields)
    )
    return job_id


def messages(api: Api, path: str) -> list[str]:
    status, body = api.get(path)
    assert status == 200, body
    return [line["message"] for line in body["lines"]]


def test_the_end_of_the_last_attempts_log_is_returned(api: Api, aws: LocalAws) -> None:
    start = write(aws, "def/default/2", ["one", "two", "three"])
    job_id = record_a_job(api, "def/default/1", "def/default/2")

    status, body = api.get(f"/jobs/{job_id}/logs?lines=2")

    assert status == 200
    assert [line["message"] for line in body.pop("lines")] == ["two", "three"]
    assert body == {
        "jobId": job_id,
        "attempt": 2,
        "logGroup": GROUP,
        "logStreamName": "def/default/2",
    }
    first = api.get(f"/jobs/{job_id}/logs").body["lines"][0]
    assert first["at"].endswith(".000Z")
    assert time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start / 1000)) == first["at"][:19]


def test_an_attempt_can_be_chosen(api: Api, aws: LocalAws) -> None:
    write(aws, "1", ["first attempt"])
    write(aws, "2", ["second attempt"])
    job_id = record_a_job(api, "1", "2")

    assert messages(api, f"/jobs/{job_id}/logs?attempt=1") == ["first attempt"]


def test_a_running_attempt_that_is_not_listed_has_a_log(api: Api, aws: LocalAws) -> None:
    write(aws, "2", ["still running"])
    job_id = a_job_id()
    first = an_attempt(container={"logStreamName": "1", "exitCode": 1})
    container = {"logStreamName": "2"}
    api.record(a_body(jobId=job_id, status="RUNNING", attempts=[first], container=container))

    answer = api.get(f"/jobs/{job_id}/logs")

    assert answer.body["attempt"] == 2
    assert messages(api, f"/jobs/{job_id}/logs?attempt=2") == ["still running"]


def test_the_log_of_a_child_is_returned(api: Api, aws: LocalAws) -> None:
    write(aws, "child", ["child"])
    root = a_job_id()
    attempts = [an_attempt(container={"logStreamName": "child"})]
    api.record(a_body(jobId=f"{root}:3", status="FAILED", attempts=attempts, container={}))

    assert messages(api, f"/jobs/{root}%3A3/logs") == ["child"]


def test_a_log_is_redacted(api: Api, aws: LocalAws) -> None:
    key = ["-----BEGIN RSA PRIVATE KEY-----", "c2VjcmV0", "-----END RSA PRIVATE KEY-----"]
    write(aws, "s", ['PASSWORD="left open', "plain", *key, "after", "--token hunter2"])
    job_id = record_a_job(api, "s")

    lines = messages(api, f"/jobs/{job_id}/logs")

    assert lines == [
        'PASSWORD="REDACTED"',
        "plain",
        "REDACTED",
        "REDACTED",
        "REDACTED",
        "after",
        "--token REDACTED",
    ]
    assert messages(api, f"/jobs/{job_id}/logs?lines=4")[:2] == ["REDACTED", "REDACTED"]


def test_a_log_is_bounded_in_size(api: Api, aws: LocalAws) -> None:
    write(aws, "s", [f"{n} {'x' * 200_000}" for n in range(4)])
    job_id = record_a_job(api, "s")

    lines = messages(api, f"/jobs/{job_id}/logs")

    assert sum(map(len, lines)) <= 500_000
    assert lines[-1].startswith("3 x")


def test_only_the_configured_log_groups_are_read(api: Api, aws: LocalAws) -> None:
    write(aws, "s", ["secret"], group="/secret/group")
    options = {"awslogs-group": "/secret/group"}
    container = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
    job_id = record_a_job(api, "s", container=container)

    answer = api.get(f"/jobs/{job_id}/logs")

    assert answer.status == 409
    assert answer.body["Message"] == ("log group /secret/group is not listed in LOG_GROUPS")


def test_a_missing_log_stream_is_a_404_that_names_it(api: Api, aws: LocalAws) -> None:
    job_id = record_a_job(api, "gone")

    answer = api.get(f"/jobs/{job_id}/logs")

    assert answer.status == 404
    assert answer.body["Message"].startswith(
        "log stream gone not found in log group /aws/batch/job:"
    )


def test_a_job_that_has_not_started_is_a_409(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_body(jobId=job_id, status="RUNNABLE", at=NOON, container={}))

    answer = api.get(f"/jobs/{job_id}/logs")

    assert answer.status == 409
    assert answer.body["Message"].startswith("the job has not started: it is RUNNABLE")


def test_a_job_without_a_log_group_is_a_404(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_body(jobId=job_id, status="FAILED", at=NOON))

    answer = api.get(f"/jobs/{job_id}/logs")

    assert answer.status == 404
    assert answer.body["Message"].startswith("AWS Batch reports no CloudWatch log group for job ")


def test_the_log_of_a_job_outside_of_the_tokens_queues_is_a_404(api: Api, aws: LocalAws) -> None:
    write(aws, "s", ["hidden"])
    api.allow("spot only", ["spot-*"])
    job_id = record_a_job(api, "s")

    assert api.get(f"/jobs/{job_id}/logs", token="spot only").status == 404
