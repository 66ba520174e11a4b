"""Messages about array jobs."""
# ruff: noqa: RUF001 -- messages contain en dashes in ranges, and multiplication signs

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.array_summary import Summary, reported_summary
from chalicelib.notices.notice import CHILD_FAILED
from chalicelib.text_format import index_ranges
from chalicelib.webex.text.array import ArrayOutcome
from tests.support.builders import NOON, job_of_case
from tests.support.samples.notice_samples import (
    OUT_OF_MEMORY,
    an_array,
    an_ended_job,
    job_message,
    lines,
)


def test_the_first_failed_child_is_reported_under_the_name_of_its_array() -> None:
    child = an_ended_job(job_id="4c75:1217")

    message = job_message(child, CHILD_FAILED, array_size=10_000)

    assert lines(message) == [
        "⚠️ Child 1217 of align-reads failed in high-priority: exit code 1",
        "The program ended with exit code 1: general error. See the end of its log.",
        "This is the first of 10,000 child jobs known to have failed. "
        "Another notice follows when the array job ends.",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch · Log",
    ]
    assert "This is the first child job known" in job_message(child, CHILD_FAILED)


def test_the_end_of_an_array_counts_its_children() -> None:
    causes = {"out of memory": 22, "exit code 1": 2, "instance terminated": 1}
    outcome = ArrayOutcome(10_000, 9_963, 25, (3, 17, *range(40, 63)), causes)

    assert lines(job_message(an_array(), array_outcome=outcome)) == [
        "❌ align-reads failed in high-priority: 25 of 10,000 child jobs failed "
        "(most often out of memory)",
        "9,963 succeeded, 25 failed, 12 with no recorded result",
        "Failed indexes: 3, 17, 40–62",
        "Causes: 22 × out of memory, 2 × exit code 1, 1 × instance terminated",
        "Took 3 h 5 min",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch",
    ]


def test_a_cause_that_all_failed_children_share_is_stated_once() -> None:
    outcome = ArrayOutcome(100, 98, 2, (3, 4), {"exit code 1": 2})

    assert lines(job_message(an_array(), array_outcome=outcome))[:4] == [
        "❌ align-reads failed in high-priority: 2 of 100 child jobs failed (exit code 1)",
        "98 succeeded, 2 failed",
        "Failed indexes: 3, 4",
        "Took 3 h 5 min",
    ]


def test_one_failed_child_is_named_by_its_index() -> None:
    outcome = ArrayOutcome(100, 99, 1, (0,), {"exit code 1": 1})

    assert lines(job_message(an_array(), array_outcome=outcome))[2] == "Failed child: index 0"


def test_an_array_that_succeeded_states_the_number_of_its_children() -> None:
    outcome = ArrayOutcome(10_000, 10_000, 0)

    message = job_message(an_array("SUCCEEDED", None), array_outcome=outcome)

    assert lines(message)[:2] == [
        "✅ align-reads succeeded in high-priority: all 10,000 child jobs",
        "Took 3 h 5 min",
    ]


def test_the_cancellation_of_an_array_precedes_the_failures_of_its_children() -> None:
    job = an_array(reason="Canceled by user: wrong sample")
    one_failed = ArrayOutcome(9, 5, 1, (4,), {"exit code 1": 1})

    assert lines(job_message(job, array_outcome=one_failed))[:3] == [
        "❌ align-reads failed in high-priority: cancelled; 1 of 9 child jobs failed (exit code 1)",
        "Most likely a person or a program cancelled the job: its reason is not a known text of "
        'AWS. Reason: "Canceled by user: wrong sample"',
        "5 succeeded, 1 failed, 3 with no recorded result",
    ]
    none_ended = job_message(job, array_outcome=ArrayOutcome(9, 0, 0))
    assert lines(none_ended)[0].endswith(": cancelled")


def test_a_long_list_of_failed_children_is_cut_and_the_rest_counted() -> None:
    indexes = tuple(range(0, 9_000, 2))
    outcome = ArrayOutcome(10_000, 5_500, 4_500, indexes, {"exit code 1": 4_500})

    line = lines(job_message(an_array(), array_outcome=outcome))[2]

    shown, more = re.fullmatch(r"Failed indexes: ([\d, ]+) … and ([\d,]+) more", line).groups()  # type: ignore[union-attr]
    assert len(shown.split(", ")) + int(more.replace(",", "")) == 4_500
    assert len(line) < 300


def test_an_outcome_has_the_counts_of_the_summary_and_the_causes_of_a_sample() -> None:
    summary = Summary({"SUCCEEDED": 1, "FAILED": 4, "RUNNING": 1}, NOON, (2, 5, 7, 9))
    sample = [
        an_ended_job(exit_code=1, job_id="4c75:9"),
        an_ended_job(exit_code=137, reason=OUT_OF_MEMORY, job_id="4c75:7"),
        an_ended_job(exit_code=137, reason=OUT_OF_MEMORY, job_id="4c75:2"),
    ]

    outcome = ArrayOutcome.of(10, summary, sample)

    causes = {"out of memory": 2, "exit code 1": 1}
    assert outcome == ArrayOutcome(10, 1, 4, (2, 5, 7, 9), causes, unrecorded=5)
    assert list(outcome.causes) == ["out of memory", "exit code 1"]
    assert outcome.without_result == 5
    message = lines(job_message(an_array(), array_outcome=outcome))
    assert message[0].endswith(": 4 of 10 child jobs failed (most often out of memory)")
    assert "Causes of 3 of them: 2 × out of memory, 1 × exit code 1" in message


def test_an_outcome_without_records_of_the_children_has_the_arrays_own_counts() -> None:
    job = job_of_case("array-failed-no-child-event")
    own = reported_summary(job)
    one = an_ended_job(exit_code=1, job_id="4c75:9")

    without_children = ArrayOutcome.of(100, own)
    with_one = ArrayOutcome.of(100, own._replace(failed=(9,)), [one])

    message = lines(job_message(job, array_outcome=without_children))
    assert message[0].endswith(": 3 of 100 child jobs failed")
    assert message[1] == "97 succeeded, 3 failed"
    assert without_children.unrecorded == 3, "the notice waits for events of the children"
    message = lines(job_message(job, array_outcome=with_one))
    assert message[0].endswith(": 3 of 100 child jobs failed (exit code 1)")
    assert any(line.endswith(": 9; 2 more not recorded") or "2 more" in line for line in message)


@pytest.mark.parametrize(
    ("indexes", "words"),
    [
        ([], ""),
        ([5], "5"),
        ([4, 5], "4, 5"),
        ([4, 5, 6], "4–6"),
        ([3, 17, *range(40, 63)], "3, 17, 40–62"),
        ([0, 1, 2, 4, 5, 7], "0–2, 4, 5, 7"),
    ],
)
def test_three_or_more_consecutive_indexes_become_a_range(indexes: list[int], words: str) -> None:
    assert ", ".join(item.text for item in index_ranges(indexes)) == words


@given(indexes=st.sets(st.integers(0, 300)).map(sorted))
def test_ranges_contain_each_index_once(indexes: list[int]) -> None:
    items = index_ranges(indexes)

    contained: list[int] = []
    for item in items:
        first, _, last = item.text.partition("–")
        contained += range(int(first), int(last or first) + 1)
    assert contained == indexes
    assert sum(item.size for item in items) == len(indexes)
