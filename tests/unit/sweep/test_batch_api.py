"""Retries of calls to Batch, and the children of listed jobs."""

import msgspec
import pytest

from chalicelib.sweep.batch_api import CallBudget, ListedJob, retry_delay

THROTTLED = "TooManyRequestsException"


def test_delays_of_a_throttled_call_double_and_end_after_six_attempts() -> None:
    delays = [retry_delay(THROTTLED, attempt, time_left=99, jitter=1) for attempt in range(1, 7)]

    assert delays == [1, 2, 4, 8, 16, None]


def test_jitter_halves_a_delay_at_most() -> None:
    assert retry_delay(THROTTLED, 3, time_left=99, jitter=0) == 2


def test_a_call_is_not_retried_without_enough_time() -> None:
    assert retry_delay(THROTTLED, 3, time_left=3, jitter=1) is None


def test_a_call_is_not_retried_after_an_error_that_a_retry_cannot_remove() -> None:
    assert retry_delay("AccessDeniedException", 1, time_left=99, jitter=1) is None


@pytest.mark.parametrize(
    ("properties", "children"),
    [
        ({}, []),
        ({"arrayProperties": {"size": 3}}, ["job:0", "job:1", "job:2"]),
        ({"nodeProperties": {"numNodes": 2}}, ["job#0", "job#1"]),
        ({"arrayProperties": {"index": 1}}, []),
    ],
)
def test_ids_of_children_follow_from_the_size_of_their_parent(
    properties: dict[str, object], children: list[str]
) -> None:
    job = msgspec.convert({"jobId": "job", **properties}, ListedJob)

    assert job.children == children
    assert job.is_parent == bool(children)


def test_a_listed_job_is_stored_without_the_fields_that_it_lacks() -> None:
    assert msgspec.json.encode(ListedJob("job", 17)) == b'{"jobId":"job","createdAt":17}'


def test_a_budget_is_spent_when_calls_or_time_are_used_up() -> None:
    calls, time = CallBudget(2, lambda: 10), CallBudget(2, lambda: 0)
    calls.calls = 2

    assert calls.is_spent
    assert time.is_spent
    assert not CallBudget(2, lambda: 10).is_spent
