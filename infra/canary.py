"""Canary of a stage: `make canary STAGE=prod`, with the API's address and a token as URL and TOKEN.

Sends the event of one succeeded job to EventBridge and waits until the API returns the job. That
covers the rule, the events queue, on_batch_events, the table and the API. AWS reserves the source
aws.batch, so the stage has to record another source as well.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import boto3

from infra import stages
from infra.errors import CommandError, run_command

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

_DETAIL_TYPE = "Batch Job State Change"
_WAIT_SECONDS = 120
_POLL_SECONDS = 0.5
_REQUEST_SECONDS = 30


def source_in(event_sources: str) -> str:
    """Return a recorded source that AWS does not reserve. Raise CommandError if there is none."""
    for source in event_sources.split(","):
        if not source.startswith("aws."):
            return source
    raise CommandError(
        "the stage records only events of AWS, which nobody else may send: add a source, such as"
        f" {event_sources},batchwatch.canary, to its EVENT_SOURCES in .chalice/config.json, and"
        " deploy it"
    )


def job_event(source: str, queue_arn: str, job_id: str, now: float) -> dict[str, Any]:
    """Return the entry for PutEvents: a job that succeeded at once."""
    milliseconds = round(now * 1000)
    detail = {
        "jobId": job_id,
        "jobName": "batchwatch-canary",
        "jobQueue": queue_arn,
        "status": "SUCCEEDED",
        "createdAt": milliseconds,
        "startedAt": milliseconds,
        "stoppedAt": milliseconds,
    }
    return {"Source": source, "DetailType": _DETAIL_TYPE, "Detail": json.dumps(detail)}


def send(events: "EventBridgeClient", entry: Mapping[str, Any]) -> None:
    """Send the event. Raise CommandError if EventBridge rejects it."""
    [result] = events.put_events(Entries=[entry])["Entries"]  # type: ignore[list-item]
    if "ErrorCode" in result:
        raise CommandError(f"EventBridge rejected the event: {result.get('ErrorMessage')}")


def wait_for_job(url: str, token: str, job_id: str, seconds: float = _WAIT_SECONDS) -> None:
    """Wait until the API returns the job. Raise CommandError if it does not, or if it fails."""
    deadline = time.monotonic() + seconds
    while (status := _status_of(f"{url.rstrip('/')}/jobs/{job_id}", token)) == 404:
        if time.monotonic() > deadline:
            raise CommandError(
                f"job {job_id} not found after {seconds:g} seconds. Either the token does not cover"
                " its queue, or events are not recorded: see docs/operations.md,"
                " 'Jobs are missing or late'"
            )
        time.sleep(_POLL_SECONDS)
    if status != 200:
        raise CommandError(
            f"the API responded with status {status}: is TOKEN a token of the stage?"
        )


def _status_of(url: str, token: str) -> int:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=_REQUEST_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError as error:
        raise CommandError(f"no response from {url}: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make canary", description="Send the event of a made-up job and wait for the job."
    )
    parser.add_argument("--stage", required=True, help="the stage to verify")
    options = parser.parse_args()
    environment = stages.environment_of(options.stage)
    url = os.environ.get("URL") or environment.get("PUBLIC_URL", "")
    token = os.environ.get("TOKEN", "")
    if not (url.startswith(("http://", "https://")) and token):
        raise CommandError("URL and TOKEN must be the address of the API and a token of the stage")
    session = boto3.Session()
    account = session.client("sts").get_caller_identity()["Account"]
    queue = stages.job_queues_of(options.stage)[0].replace("*", "canary")
    queue_arn = f"arn:aws:batch:{session.region_name}:{account}:job-queue/{queue}"
    job_id = str(uuid.uuid4())

    start = time.monotonic()
    source = source_in(environment["EVENT_SOURCES"])
    send(session.client("events"), job_event(source, queue_arn, job_id, time.time()))
    wait_for_job(url, token, job_id)
    print(
        f"job {job_id} in queue {queue} recorded and returned after"
        f" {time.monotonic() - start:.1f} seconds: the rule, the queue, the function, the table and"
        " the API work"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
