"""A job is the union of what was observed of it, in any order and however often."""

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.jobs.job import Attempt, Description, Details, Job, JobId, Observation, Source
from tests.support.builders import NOON, a_job_id

_STATUSES = [
    *("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING"),
    *("SUCCEEDED", "FAILED", "HIBERNATING", "PAUSED"),
]


def seen(
    status: str,
    at: int = 0,
    *,
    generation: int = 0,
    job_id: str = "job",
    source: Source = Source.EVENT,
    reason: str | None = None,
) -> Observation:
    details = Details(
        status=status,
        generation=generation,
        time=NOON + at * 1000,
        source=source,
        job_name="align",
        job_queue="high-priority",
        status_reason=reason,
    )
    return Observation(job_id, details, Description())


def merge(*observations: Observation) -> Job:
    job = Job.first_seen(observations[0])
    for observation in observations[1:]:
        job = job.observe(observation)
    return job


def statuses(job: Job) -> list[str]:
    return [transition.status for transition in job.history]


observations = st.lists(
    st.builds(
        seen,
        st.sampled_from(_STATUSES),
        st.integers(0, 5),
        generation=st.integers(0, 3),
        source=st.sampled_from(Source),
        reason=st.sampled_from([None, "a", "b"]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=1000)
@given(observations, st.randoms(use_true_random=False))
def test_any_order_with_any_repetition_makes_the_same_job(
    told: list[Observation], jitter: random.Random
) -> None:
    again = [*told, *jitter.choices(told, k=jitter.randint(0, len(told)))]
    jitter.shuffle(again)

    assert merge(*again) == merge(*told)


@settings(max_examples=1000)
@given(observations, st.sampled_from(["job:1", "job#1"]))
def test_any_order_makes_the_same_child_or_node(told: list[Observation], job_id: str) -> None:
    member = [Observation(job_id, one.details, one.description) for one in told]

    assert merge(*reversed(member)) == merge(*member)


@given(observations)
def test_what_was_seen_before_gives_the_very_same_job(told: list[Observation]) -> None:
    job = merge(*told)

    assert all(job.observe(one) is job for one in told)


@given(observations)
def test_the_last_entry_of_the_history_is_the_status(told: list[Observation]) -> None:
    job = merge(*told)

    assert job.history[-1].status == job.status


def test_a_failed_attempt_goes_back_to_runnable() -> None:
    job = merge(seen("RUNNING", 1), seen("RUNNABLE", 2, generation=1))

    assert job.status == "RUNNABLE"


def test_a_late_event_of_an_earlier_attempt_changes_only_the_history() -> None:
    job = merge(seen("RUNNABLE", 9, generation=1), seen("RUNNING", 10))

    assert job.status == "RUNNABLE"
    assert statuses(job) == ["RUNNING", "RUNNABLE"]


def test_a_terminal_status_is_never_left() -> None:
    job = merge(seen("FAILED", 1, generation=1), seen("RUNNING", 2, generation=2))

    assert job.status == "FAILED"


def test_a_node_leaves_failed_when_the_main_node_is_retried() -> None:
    job = merge(
        seen("FAILED", 1, generation=1, job_id="job#1"),
        seen("RUNNING", 2, generation=1, job_id="job#1"),
        seen("RUNNABLE", 3, generation=2, job_id="job#1"),
    )

    assert job.status == "RUNNABLE"


def test_a_status_of_the_future_ranks_after_running_and_is_not_terminal() -> None:
    assert merge(seen("HIBERNATING", 1), seen("RUNNING", 2)).status == "HIBERNATING"
    assert merge(seen("HIBERNATING", 2), seen("SUCCEEDED", 1)).status == "SUCCEEDED"
    assert merge(seen("PAUSED", 1), seen("HIBERNATING", 2)).status == "PAUSED"


def test_of_two_ends_the_later_holds_and_in_the_same_second_failed() -> None:
    assert merge(seen("FAILED", 1), seen("SUCCEEDED", 2)).status == "SUCCEEDED"
    assert merge(seen("SUCCEEDED", 1), seen("FAILED", 2)).status == "FAILED"
    assert merge(seen("FAILED", 1), seen("SUCCEEDED", 1)).status == "FAILED"


def test_a_transition_is_dated_by_its_earliest_event() -> None:
    job = merge(seen("RUNNING", 5), seen("RUNNING", 3), seen("RUNNING", 4))

    assert job.since == NOON + 3000


def test_an_event_dates_a_transition_better_than_a_repair() -> None:
    job = merge(seen("RUNNING", 1, source=Source.REPAIR), seen("RUNNING", 5))

    assert job.history[0].at == NOON + 5000
    assert job.history[0].source is Source.EVENT


@pytest.mark.parametrize(
    ("status", "generation", "attempt"),
    [
        ("SUBMITTED", 0, None),
        ("RUNNABLE", 0, None),
        ("STARTING", 0, 1),
        ("RUNNING", 0, 1),
        ("RUNNABLE", 1, 2),
        ("SUCCEEDED", 1, 1),
        ("FAILED", 3, 3),
        ("FAILED", 0, None),
    ],
)
def test_a_transition_knows_its_attempt(status: str, generation: int, attempt: int | None) -> None:
    assert seen(status, generation=generation).transition.attempt == attempt


def test_the_log_stream_is_that_of_the_latest_attempt() -> None:
    first = Attempt(stopped_at=1, log_stream_name="first")
    running = Details(
        status="RUNNING",
        generation=1,
        time=NOON,
        job_name="align",
        job_queue="q",
        attempts=(first,),
        log_stream_name="second",
    )
    waiting = Details(
        status="RUNNABLE", generation=1, time=NOON, job_name="a", job_queue="q", attempts=(first,)
    )

    assert merge(Observation("job", running, Description())).log_stream_name == "second"
    assert merge(Observation("job", waiting, Description())).log_stream_name == "first"


def test_a_job_id_is_taken_apart() -> None:
    root = a_job_id()

    assert JobId.parse(root) == JobId(root)
    assert JobId.parse(f"{root}:12") == JobId(root, ":", 12)
    assert JobId.parse(f"{root}#3") == JobId(root, "#", 3)


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", "a#", ":1", "a:x", "a:01", "a:-1", "a:1:2", "a b", "a/b", "é", "a" * 200],
)
def test_what_is_no_job_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Batch job id"):
        JobId.parse(text)


# A job that Batch knows no more


@settings(max_examples=1000)
@given(observations, st.integers(0, 11), st.sampled_from(["job", "job:1", "job#1"]))
def test_a_lost_mark_and_any_order_of_observations_end_the_same(
    told: list[Observation], position: int, job_id: str
) -> None:
    told = [Observation(job_id, one.details, one.description) for one in told]
    known = told[: position % len(told) + 1]
    mark = merge(*known).lost().lost_above
    orders = [told, [*reversed(told)], [*told, *known]]

    marked = [msgspec.structs.replace(merge(*order), lost_above=mark) for order in orders]
    late = merge(*known).lost()
    for one in told:
        late = late.observe(one)

    assert all(job == late for job in marked)


def test_a_lost_job_is_unknown_until_something_higher_is_heard() -> None:
    running = seen("RUNNING")
    lost = merge(seen("RUNNABLE"), running).lost()

    assert lost.status == "UNKNOWN"
    assert lost.is_over
    assert lost.lost() is lost
    assert lost.observe(running) is lost
    assert lost.observe(seen("STARTING", 9)).status == "UNKNOWN", "older news of a lost job"
    assert lost.observe(seen("RUNNABLE", generation=1)).status == "RUNNABLE"
    assert lost.observe(seen("SUCCEEDED")).status == "SUCCEEDED"


def test_an_ended_job_is_never_lost() -> None:
    ended = merge(seen("FAILED"))

    assert ended.lost() is ended


# Repairs


@pytest.mark.parametrize(
    ("status", "at"),
    [("RUNNING", NOON + 1), ("FAILED", NOON + 2), ("RUNNABLE", NOON + 60_000)],
)
def test_a_repair_is_dated_by_batch_where_batch_tells(status: str, at: int) -> None:
    told = seen(status, 60, source=Source.REPAIR)
    dates = {"started_at": NOON + 1, "stopped_at": NOON + 2}
    details = msgspec.structs.replace(told.details, **dates)

    assert msgspec.structs.replace(told, details=details).transition.at == at


def test_what_batch_says_again_is_nothing_new() -> None:
    job = merge(seen("RUNNABLE", reason="a"))

    assert job.says_nothing_new(seen("RUNNABLE", 99, reason="a", source=Source.REPAIR).details)
    assert not job.says_nothing_new(seen("RUNNABLE", 99, reason="b").details)
    assert not job.says_nothing_new(seen("STARTING", reason="a").details)
