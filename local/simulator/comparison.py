"""Comparison of the API's jobs with the expected records."""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from local.simulator.api_client import ApiClient, UnexpectedResponse
from local.simulator.progress import Report
from local.workload import ExpectedRecord

THREADS = 8
RECHECK_DELAYS = (0.0, 1.0, 3.0)
"""Seconds before each request for a job that is not correct yet."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A job that the API doesn't have, or has with other values. `line` describes it."""

    job_id: str
    is_missing: bool
    line: str


def compare(
    api: ApiClient,
    expected: Iterable[ExpectedRecord],
    report: Report,
    *,
    events_dropped: bool = False,
) -> list[Mismatch]:
    """Compare all jobs in parallel, and those with a mismatch again after a delay."""
    records = {record.job_id: record for record in expected}
    mismatches: list[Mismatch] = []
    for delay in RECHECK_DELAYS:
        time.sleep(delay)
        mismatches = list(_mismatches(api, list(records.values()), report, events_dropped))
        if not mismatches:
            break
        records = {mismatch.job_id: records[mismatch.job_id] for mismatch in mismatches}
    return mismatches


def _mismatches(
    api: ApiClient, expected: Sequence[ExpectedRecord], report: Report, events_dropped: bool
) -> Iterator[Mismatch]:
    pool = ThreadPoolExecutor(THREADS)
    try:
        results = pool.map(
            lambda record: check(api, record, events_dropped=events_dropped), expected
        )
        for done, mismatch in enumerate(results, 1):
            report(f"{done} of {len(expected)} jobs compared")
            if mismatch:
                yield mismatch
    finally:
        pool.shutdown(cancel_futures=True)


def check(
    api: ApiClient, expected: ExpectedRecord, *, events_dropped: bool = False
) -> Mismatch | None:
    """Request a job from the API and compare it."""
    job_id = expected.job_id
    try:
        job = api.job(job_id)
    except UnexpectedResponse as error:
        return Mismatch(job_id, False, f"{job_id}: {error}")
    if job is None:
        return Mismatch(job_id, True, f"{job_id}: not found, expected {expected.status}")
    return find_mismatch(job, expected, events_dropped=events_dropped)


def find_mismatch(
    job: dict[str, Any], expected: ExpectedRecord, *, events_dropped: bool = False
) -> Mismatch | None:
    """Compare a job in the API's form with its expected record.

    A repair restores the current state of a job but not its history, because Batch doesn't
    contain that. So if events were dropped, the history may lack transitions. It must have the
    last one, and only expected ones.
    """
    transitions = job.get("history") or ()
    actual_history = [_transition(t.get("status"), t.get("attempt")) for t in transitions]
    history = [_transition(status, attempt) for status, attempt in expected.history]
    if events_dropped and actual_history[-1:] == history[-1:]:
        history = [transition for transition in history if transition in actual_history]
    attempts = job.get("attempts") or ()
    actual_exit_codes = [a.get("exitCode") for a in attempts if a.get("stoppedAt")]
    actual_cause = (job.get("failure") or {}).get("cause")
    values = {
        "status": (job.get("status"), expected.status),
        "history": (actual_history, history),
        "exit codes": (actual_exit_codes, list(expected.exit_codes)),
        "cause": (actual_cause, expected.cause),
    }
    differences = [
        f"{name}: {actual}, expected {wanted}"
        for name, (actual, wanted) in values.items()
        if actual != wanted
    ]
    line = f"{expected.job_id}: {'; '.join(differences)}"
    return Mismatch(expected.job_id, False, line) if differences else None


def _transition(status: str | None, attempt: int | None) -> str:
    return f"{status} {attempt or '-'}"
