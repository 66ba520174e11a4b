"""A job in the API is compared with its expected record."""

import re
from typing import Any

import pytest

from local.simulator.__main__ import summary
from local.simulator.comparison import Mismatch, find_mismatch
from local.workload import workload
from tests.support.simulation.expected_jobs import JOB_ID, a_record, a_response

NOW = 1_790_000_000_000


def test_a_correct_job_is_not_a_mismatch() -> None:
    for record in workload(1, 200, NOW).expected.values():
        assert find_mismatch(a_response(record), record) is None


def test_a_running_attempt_does_not_count_as_finished() -> None:
    record = a_record()
    attempts = [*a_response(record)["attempts"], {"exitCode": None, "stoppedAt": None}]

    assert find_mismatch(a_response(record, attempts=attempts), record) is None


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"status": "RUNNING"}, "status: RUNNING, expected FAILED"),
        ({"history": []}, r"history: \[\], expected \['RUNNABLE -', .*'FAILED 1'\]"),
        ({"history": None}, r"history: \[\], expected"),
        ({"attempts": []}, r"exit codes: \[\], expected \[None\]"),
        ({"failure": None}, "cause: None, expected CANCELLED"),
        ({"failure": {"cause": "TIMEOUT"}}, "cause: TIMEOUT, expected CANCELLED"),
    ],
)
def test_a_mismatch_contains_the_job_and_the_differences(fields: dict[str, Any], line: str) -> None:
    record = a_record()

    mismatch = find_mismatch(a_response(record, **fields), record)

    assert mismatch is not None
    assert not mismatch.is_missing
    assert mismatch.line.startswith(f"{JOB_ID}: ")
    assert re.search(line, mismatch.line)


def test_after_dropped_events_the_history_may_lack_transitions_but_not_the_last_one() -> None:
    record = a_record()
    history = [{"status": "RUNNING", "attempt": 1}, {"status": "FAILED", "attempt": 1}]
    unexpected = {"status": "PENDING", "attempt": None}

    def mismatch(history: list[dict[str, Any]]) -> Mismatch | None:
        return find_mismatch(a_response(record, history=history), record, events_dropped=True)

    assert mismatch(history) is None
    assert mismatch(history[:1])
    assert mismatch([unexpected, *history])
    assert mismatch(history[::-1])


def test_the_summary_has_at_most_ten_mismatches_and_the_totals_in_its_last_line() -> None:
    mismatches = [Mismatch(f"job-{n}", n < 4, f"job-{n}: …") for n in range(15)]

    *lines, totals = summary(2_000, mismatches).splitlines()

    assert totals == "2000 jobs, 4 missing, 11 wrong"
    assert lines == [mismatch.line for mismatch in mismatches[:10]]
    assert summary(2_000, []) == "2000 jobs, 0 missing, 0 wrong"
