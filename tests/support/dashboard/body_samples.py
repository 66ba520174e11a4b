"""Bodies of the API's responses, for tests of the dashboard against the stand-in `PageServer`."""

import time
from datetime import UTC, datetime
from typing import Any

from tests.support.builders import QUEUE_ARN

QUEUE = "high-priority"


def rfc3339(seconds_ago: float = 0) -> str:
    moment = datetime.fromtimestamp(time.time() - seconds_ago, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


BLOCKED = {
    "since": rfc3339(5_000),
    "lastSeen": rfc3339(100),
    "reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfil the request",
    "cause": "AWS has no free capacity",
    "explanation": "AWS has no free instance. It may have one later.",
    "jobId": "00000000-0000-4000-8000-000000000000",
}


def a_queue_body(name: str, **fields: Any) -> dict[str, Any]:
    counts = ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING")
    wasted = {"vcpuHours": 120.2, "gbHours": 300, "gpuHours": 0}
    return {
        "jobQueue": name,
        "asOf": rfc3339(130),
        "counts": dict.fromkeys(counts, 3),
        "countsAreAtLeast": False,
        "oldestWaiting": rfc3339(700),
        "dayBefore": {"succeeded": 1300, "failed": 33},
        "incidents": [],
        "hours": [
            {"hour": rfc3339(3600 * (23 - hour)), "succeeded": 50 + hour, "failed": hour % 3}
            for hour in range(24)
        ],
        "lastDay": {
            "succeeded": 1412,
            "failed": 37,
            "causes": {"EXIT_CODE": 20, "OUT_OF_MEMORY": 17},
            "definitions": {"align": 37},
            "waitSeconds": {"p50": 240, "p90": 1860, "p99": 7200},
            "runSeconds": {"p50": 1840, "p90": 9000, "p99": 40_000},
            "usage": {"vcpuHours": 8123.4, "gbHours": 30_211, "gpuHours": 0, "wasted": wasted},
            "cost": {"estimate": 401.22, "wasted": 12.5, "currency": "USD"},
        },
        "blocked": None,
        **fields,
    }


def an_incident(kind: str, **fields: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "since": rfc3339(5_000),
        **dict.fromkeys(("status", "cause", "explanation", "jobs", "jobId", "jobName")),
        "reportedJobs": None,
        **fields,
    }


def a_job_body(**fields: Any) -> dict[str, Any]:
    status = fields.get("status", "FAILED")
    failed = {
        "cause": "OUT_OF_MEMORY",
        "explanation": "It used too much memory.",
        "container": None,
        "exitCode": 137,
    }
    return {
        "jobId": "4c75",
        "jobName": "align",
        "jobQueue": QUEUE,
        "jobQueueArn": QUEUE_ARN,
        "jobDefinition": None,
        "status": status,
        "statusReason": "Essential container in task exited",
        "since": rfc3339(60),
        "createdAt": rfc3339(600),
        "startedAt": rfc3339(300),
        "stoppedAt": rfc3339(60),
        "durations": {
            "pendingSeconds": None,
            "queuedSeconds": 200,
            "startingSeconds": 40,
            "runningSeconds": 240,
            "totalSeconds": 540,
        },
        "failure": failed if status == "FAILED" else None,
        "array": {"size": 2, "index": None, "statusSummary": {"FAILED": 2}},
        "links": {"console": "https://example.com/", "logs": None},
        "history": [
            {"status": "RUNNABLE", "attempt": None, "at": rfc3339(500), "source": "event"},
            {"status": status, "attempt": 1, "at": rfc3339(60), "source": "repair"},
        ],
        "attempts": [an_attempt_body()],
        "container": {
            "image": "align:1",
            "command": ["align"],
            "vcpus": 2,
            "memory": 2000,
            "gpus": None,
            "environment": [{"name": "K", "value": "REDACTED"}],
        },
        "parameters": {},
        "tags": {"project": "atlas"},
        "usage": {"vcpuHours": 0.06667, "gbHours": 1.2, "gpuHours": 0},
        "cost": {"estimate": 0.003884, "wasted": 0, "currency": "USD"},
        "waiting": None,
        "dependsOn": [],
        "retryStrategy": {"attempts": 3, "evaluateOnExit": []},
        **fields,
    }


def an_attempt_body(**fields: Any) -> dict[str, Any]:
    return {
        "attempt": 1,
        "startedAt": rfc3339(300),
        "stoppedAt": rfc3339(60),
        "exitCode": 137,
        "reason": "OutOfMemoryError: Container killed",
        "statusReason": "Essential container in task exited",
        "logStreamName": "def/default/1",
        "containers": [],
        "computeEnvironment": None,
        "cause": "OUT_OF_MEMORY",
        **fields,
    }


def a_log_body(*messages: str) -> dict[str, Any]:
    lines = [{"at": rfc3339(60), "message": message} for message in messages or ("done",)]
    names = {"logGroup": "/aws/batch/job", "logStreamName": "def/default/1"}
    return {"jobId": "4c75", "attempt": 1, **names, "lines": lines}
