"""When a queue is blocked, by blocked events in any order and number and by the jobs that start."""

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.job import Details, Job, Source, Transition
from chalicelib.jobs.waiting.queue_environment import Obstacle
from chalicelib.queues.blocked import (
    Blocked,
    BlockedEvent,
    current_block,
    is_presumed_over,
    last_start,
    obstructed,
)
from tests.support.builders import NOON

MINUTE = 60_000


def an_event(minute: int, job_id: str = "j-1") -> BlockedEvent:
    return BlockedEvent(
        at=NOON + minute * MINUTE, queue="gpu", job_id=job_id, job_name="merge", reason="r"
    )


def a_job(*history: tuple[str, int, Source], **fields: Any) -> Job:
    details = Details(
        status=history[-1][0], generation=0, time=NOON, job_name="n", job_queue="gpu", **fields
    )
    transitions = (Transition(status, 0, at, source) for status, at, source in history)
    return Job("j-1", details, tuple(transitions))


blocked_events = st.lists(st.builds(an_event, st.integers(0, 60), st.sampled_from(["j-1", "j-2"])))


@given(events=blocked_events, minute=st.integers(-1, 61), order=st.randoms())
def test_events_in_any_order_and_repeated_give_the_same_block(
    events: list[BlockedEvent], minute: int, order: random.Random
) -> None:
    unblocked_at = NOON + minute * MINUTE
    shuffled = [*events, *events[:3]]
    order.shuffle(shuffled)

    assert current_block(None, shuffled, unblocked_at) == current_block(None, events, unblocked_at)


@given(events=blocked_events, minute=st.integers(0, 60))
def test_two_sweeps_find_the_same_block_as_one(events: list[BlockedEvent], minute: int) -> None:
    early = [event for event in events if event.at <= NOON + minute * MINUTE]

    found_early = current_block(None, early, 0)

    assert current_block(found_early, events, 0) == current_block(None, events, 0)


def test_a_block_begins_with_the_first_event_after_a_job_started() -> None:
    events = [an_event(minute) for minute in (0, 5, 10)]

    blocked = current_block(None, events, NOON + 2 * MINUTE)

    assert blocked is not None
    assert (blocked.since, blocked.last_seen) == (NOON + 5 * MINUTE, NOON + 10 * MINUTE)


def test_a_job_starts_when_it_leaves_runnable_and_not_when_it_only_ends() -> None:
    started = a_job(("RUNNABLE", NOON, Source.EVENT), ("STARTING", NOON + 1, Source.EVENT))
    repaired = a_job(("STARTING", NOON + 9, Source.REPAIR), ("RUNNING", NOON + 2, Source.REPAIR))
    ended = a_job(("FAILED", NOON + 9, Source.EVENT))

    assert [last_start([job]) for job in (started, repaired, ended)] == [NOON + 1, NOON + 2, 0]


def test_a_block_is_over_when_its_job_has_ended_and_no_other_is_reported_for_a_while() -> None:
    blocked = Blocked(since=NOON, last_seen=NOON, job_id="j-1", job_name="merge")
    ended, waiting = (a_job((status, NOON, Source.EVENT)) for status in ("FAILED", "RUNNABLE"))

    assert not is_presumed_over(blocked, ended, NOON + 9 * MINUTE, 10 * MINUTE)
    assert is_presumed_over(blocked, ended, NOON + 10 * MINUTE, 10 * MINUTE)
    assert not is_presumed_over(blocked, waiting, NOON + 99 * MINUTE, 10 * MINUTE)
    assert not is_presumed_over(blocked, None, NOON + 99 * MINUTE, 10 * MINUTE)


def test_a_job_that_left_runnable_before_and_runs_now_does_not_show_that_the_queue_moves() -> None:
    job = a_job(
        ("RUNNABLE", NOON - 9 * MINUTE, Source.EVENT),
        ("STARTING", NOON - 5 * MINUTE, Source.EVENT),
        ("RUNNING", NOON + 5 * MINUTE, Source.EVENT),
    )

    assert last_start([job]) == NOON - 5 * MINUTE


def test_an_obstacle_blocks_from_when_it_was_first_seen_until_a_job_starts() -> None:
    obstacle = Obstacle(cause="it is DISABLED", explanation="Enable it.", reason="r")

    first = obstructed(None, obstacle, 0, NOON)
    later = obstructed(first, obstacle, NOON - 1, NOON + 5)
    restarted = obstructed(first, obstacle, NOON, NOON + 5)

    assert (first.since, first.cause, first.explanation) == (NOON, "it is DISABLED", "Enable it.")
    assert (later.since, later.last_seen) == (NOON, NOON + 5)
    assert restarted.since == NOON + 5


@pytest.mark.parametrize("reason", ["MISCONFIGURATION", "ACTION_REQUIRED", "UNDETERMINED"])
def test_the_block_of_a_service_queue_is_explained_without_compute_environments(
    reason: str,
) -> None:
    event = msgspec.structs.replace(an_event(0), reason=reason, is_service=True)

    block = current_block(None, [event], 0)

    assert block is not None
    assert "service environment" in block.explanation
    assert "compute environment" not in f"{block.cause} {block.explanation}"
