"""A job is the join of its observations: any order and repetition makes the same job."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.job import Attempt, Description, Details, Job, JobId, Observation, Source
from tests.support.builders import NOON, a_job_id

_STATUSES = [
    *("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING"),
    *("SUCCEEDED", "FAILED", "HIBERNATING", "PAUSED"),
]


def observed(
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


def join(*observations: Observation) -> Job:
    job = Job.from_observation(observations[0])
    for observation in observations[1:]:
        job = job.observe(observation)
    return job


def of_job(job_id: str, observations: list[Observation]) -> list[Observation]:
    return [Observation(job_id, each.details, each.description) for each in observations]


def statuses(job: Job) -> list[str]:
    return [transition.status for transition in job.history]


observations = st.lists(
    st.builds(
        observed,
        st.sampled_from(_STATUSES),
        st.integers(0, 5),
        generation=st.integers(0, 3),
        source=st.sampled_from(Source),
        reason=st.sampled_from([None, "a", "b"]),
    ),
    min_size=1,
    max_size=12,
)


@given(observations, st.randoms(use_true_random=False))
def test_any_order_with_duplicates_makes_the_same_job(
    events: list[Observation], rng: random.Random
) -> None:
    received = [*events, *rng.choices(events, k=rng.randint(0, len(events)))]
    rng.shuffle(received)

    assert join(*received) == join(*events)


@given(observations, st.sampled_from(["job:1", "job#1"]))
def test_any_order_makes_the_same_child_or_node(events: list[Observation], job_id: str) -> None:
    events = of_job(job_id, events)

    assert join(*reversed(events)) == join(*events)


@given(observations)
def test_a_repeated_observation_returns_the_same_object(events: list[Observation]) -> None:
    job = join(*events)

    assert all(job.observe(event) is job for event in events)


@given(observations)
def test_the_last_entry_of_the_history_is_the_status(events: list[Observation]) -> None:
    job = join(*events)

    assert job.history[-1].status == job.status


def test_a_job_returns_to_runnable_after_a_failed_attempt() -> None:
    job = join(observed("RUNNING", 1), observed("RUNNABLE", 2, generation=1))

    assert job.status == "RUNNABLE"


def test_a_late_event_of_an_earlier_attempt_changes_only_the_history() -> None:
    job = join(observed("RUNNABLE", 9, generation=1), observed("RUNNING", 10))

    assert job.status == "RUNNABLE"
    assert statuses(job) == ["RUNNING", "RUNNABLE"]


def test_a_terminal_status_is_never_left() -> None:
    job = join(observed("FAILED", 1, generation=1), observed("RUNNING", 2, generation=2))

    assert job.status == "FAILED"


def test_a_node_leaves_failed_when_the_main_node_is_retried() -> None:
    job = join(
        observed("FAILED", 1, generation=1, job_id="job#1"),
        observed("RUNNING", 2, generation=1, job_id="job#1"),
        observed("RUNNABLE", 3, generation=2, job_id="job#1"),
    )

    assert job.status == "RUNNABLE"


def test_an_unrecognised_status_ranks_after_running_and_is_not_terminal() -> None:
    assert join(observed("HIBERNATING", 1), observed("RUNNING", 2)).status == "HIBERNATING"
    assert join(observed("HIBERNATING", 2), observed("SUCCEEDED", 1)).status == "SUCCEEDED"
    assert join(observed("PAUSED", 1), observed("HIBERNATING", 2)).status == "PAUSED"


def test_of_two_terminal_statuses_the_later_holds_and_within_a_second_failed() -> None:
    assert join(observed("FAILED", 1), observed("SUCCEEDED", 2)).status == "SUCCEEDED"
    assert join(observed("SUCCEEDED", 1), observed("FAILED", 2)).status == "FAILED"
    assert join(observed("FAILED", 1), observed("SUCCEEDED", 1)).status == "FAILED"


def test_the_time_of_a_transition_is_that_of_its_earliest_event() -> None:
    job = join(observed("RUNNING", 5), observed("RUNNING", 3), observed("RUNNING", 4))

    assert job.since == NOON + 3000


def test_the_time_of_an_event_replaces_that_of_a_repair() -> None:
    job = join(observed("RUNNING", 1, source=Source.REPAIR), observed("RUNNING", 5))

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
def test_a_transition_belongs_to_an_attempt(
    status: str, generation: int, attempt: int | None
) -> None:
    assert observed(status, generation=generation).transition.attempt == attempt


def test_the_log_stream_is_that_of_the_latest_attempt_with_one() -> None:
    first = Attempt(1, 2, log_stream_name="first")
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

    assert join(Observation("job", running, Description())).log_stream_name == "second"
    assert join(Observation("job", waiting, Description())).log_stream_name == "first"


def test_a_job_id_is_parsed_into_its_parts() -> None:
    root = a_job_id()

    assert JobId.parse(root) == JobId(root)
    assert JobId.parse(f"{root}:12") == JobId(root, ":", 12)
    assert JobId.parse(f"{root}#3") == JobId(root, "#", 3)


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", "a#", ":1", "a:x", "a:01", "a:-1", "a:1:2", "a b", "a/b", "é", "a" * 200],
)
def test_an_invalid_job_id_raises_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is not a Batch job id"):
        JobId.parse(text)


# Jobs that AWS Batch has forgotten


@given(observations, st.integers(0, 11), st.sampled_from(["job", "job:1", "job#1"]))
def test_the_lost_mark_and_observations_in_any_order_make_the_same_job(
    events: list[Observation], position: int, job_id: str
) -> None:
    events = of_job(job_id, events)
    before = events[: position % len(events) + 1]
    mark = join(*before).lost().lost_above
    orders = [events, [*reversed(events)], [*events, *before]]

    marked_last = [msgspec.structs.replace(join(*order), lost_above=mark) for order in orders]
    marked_first = join(*before).lost()
    for event in events:
        marked_first = marked_first.observe(event)

    assert all(job == marked_first for job in marked_last)


def test_a_lost_job_is_unknown_until_a_later_transition_is_observed() -> None:
    running = observed("RUNNING")
    lost = join(observed("RUNNABLE"), running).lost()

    assert lost.status == "UNKNOWN"
    assert lost.is_over
    assert lost.lost() is lost
    assert lost.observe(running) is lost
    assert lost.observe(observed("STARTING", 9)).status == "UNKNOWN", "an earlier transition"
    assert lost.observe(observed("RUNNABLE", generation=1)).status == "RUNNABLE"
    assert lost.observe(observed("SUCCEEDED")).status == "SUCCEEDED"


def test_an_ended_job_is_not_marked_as_lost() -> None:
    ended = join(observed("FAILED"))

    assert ended.lost() is ended


# Repairs


@pytest.mark.parametrize(
    ("status", "at"),
    [("RUNNING", NOON + 1), ("FAILED", NOON + 2), ("RUNNABLE", NOON + 60_000)],
)
def test_a_repair_uses_the_times_of_batch_where_they_fit(status: str, at: int) -> None:
    repair = observed(status, 60, source=Source.REPAIR)
    times = {"started_at": NOON + 1, "stopped_at": NOON + 2}
    details = msgspec.structs.replace(repair.details, **times)

    assert msgspec.structs.replace(repair, details=details).transition.at == at


def test_repeated_details_of_another_time_and_source_change_nothing() -> None:
    job = join(observed("RUNNABLE", reason="a"))

    assert job.is_unchanged_by(observed("RUNNABLE", 99, reason="a", source=Source.REPAIR).details)
    assert not job.is_unchanged_by(observed("RUNNABLE", 99, reason="b").details)
    assert not job.is_unchanged_by(observed("STARTING", reason="a").details)
