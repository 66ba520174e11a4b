"""Builders of what the tests feed in: events as EventBridge sends them, messages as Lambda does."""

import itertools
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from chalicelib.message import Message
from local.lifecycles import Workload, envelope

ACCOUNT = "000000000000"
SOURCE = "batchwatch.simulated"
QUEUE_ARN = f"arn:aws:batch:us-east-1:{ACCOUNT}:job-queue/high-priority"
NOON = 1_780_000_000_000
"""Some moment, in epoch milliseconds, on a whole second."""

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


def an_event(*, at: int = NOON, **fields: Any) -> dict[str, Any]:
    """An envelope with a plain job's detail. `at` is in epoch milliseconds."""
    detail = a_detail(**fields)
    return {
        "version": "0",
        "id": f"event-{next(_numbers)}",
        "detail-type": "Batch Job State Change",
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


def bodies_of(work: Workload) -> list[str]:
    return [
        json.dumps(
            envelope(event, source=SOURCE, account=ACCOUNT, region="us-east-1", id=str(number))
        )
        for number, event in enumerate(work.events)
    ]


def job_ids(messages: Iterable[str]) -> set[str]:
    return {json.loads(body)["detail"]["jobId"] for body in messages}
