"""Builders of expected records, and of the jobs that the API returns for them."""

from typing import Any

from local.workload import ExpectedRecord

JOB_ID = "4c75:12"


def a_record(**fields: Any) -> ExpectedRecord:
    values: dict[str, Any] = {
        "job_id": JOB_ID,
        "job_name": "align-reads",
        "queue": "spot",
        "status": "FAILED",
        "history": (
            ("RUNNABLE", None),
            ("STARTING", 1),
            ("RUNNING", 1),
            ("RUNNABLE", 2),
            ("FAILED", 1),
        ),
        "exit_codes": (None,),
        "cause": "CANCELLED",
        "parent_id": "4c75",
        "index": 12,
    }
    return ExpectedRecord(**values | fields)


def a_response(record: ExpectedRecord, **fields: Any) -> dict[str, Any]:
    """Return the job as the API returns it if it recorded everything."""
    attempts = [{"exitCode": code, "stoppedAt": "2026-11-24"} for code in record.exit_codes]
    job = {
        "jobId": record.job_id,
        "status": record.status,
        "history": [{"status": s, "attempt": a, "at": "2026-11-24"} for s, a in record.history],
        "attempts": attempts,
        "failure": record.cause and {"cause": record.cause, "explanation": "…"},
    }
    return job | fields
