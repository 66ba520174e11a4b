"""What blocked_events of a blocked queue amount to, in any order and number."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.job import Details, Job, Source, Transition
from chalicelib.queues.blocked import (
    Blocked,
    BlockedEvent,
    current_block,
    is_presumed_over,
    last_start,
)

MINUTE = 60_000
NOON = 1_780_000_000_000


def a_sighting(minute: int, job: str = "j-1") -> BlockedEvent:
    return BlockedEvent(
        at=NOON + minute * MINUTE, queue="gpu", job_id=job, job_name="merge", reason="r"
    )


def a_job(*history: tuple[str, int, Source], **details: Any) -> Job:
    said = Details(
        status=history[-1][0], generation=0, time=NOON, job_name="n", job_queue="gpu", **details
    )
    return Job("j-1", said, tuple(Transition(status, 0, at, by) for status, at, by in history))


blocked_events = st.lists(
    st.builds(a_sighting, st.integers(0, 60), st.sampled_from(["j-1", "j-2"]))
)


@given(seen=blocked_events, moved=st.integers(-1, 61), order=st.randoms())
def test_any_order_and_repetition_gives_the_same_block(
    seen: list[BlockedEvent], moved: int, order: Any
) -> None:
    again = [*seen, *seen[:3]]
    order.shuffle(again)

    assert current_block(None, again, NOON + moved * MINUTE) == current_block(
        None, seen, NOON + moved * MINUTE
    )


@given(seen=blocked_events, cut=st.integers(0, 60))
def test_looking_now_and_then_sees_the_same_block_as_looking_once(
    seen: list[BlockedEvent], cut: int
) -> None:
    early = current_block(None, [one for one in seen if one.at <= NOON + cut * MINUTE], 0)

    assert current_block(early, seen, 0) == current_block(None, seen, 0)


def test_a_block_begins_with_the_first_sighting_after_the_queue_moved() -> None:
    blocked = current_block(None, [a_sighting(minute) for minute in (0, 5, 10)], NOON + 2 * MINUTE)

    assert blocked is not None
    assert (blocked.since, blocked.last_seen) == (NOON + 5 * MINUTE, NOON + 10 * MINUTE)


def test_a_queue_moves_when_a_job_leaves_runnable_and_not_when_one_only_ends() -> None:
    started = a_job(("RUNNABLE", NOON, Source.EVENT), ("STARTING", NOON + 1, Source.EVENT))
    found = a_job(("STARTING", NOON + 9, Source.REPAIR), ("RUNNING", NOON + 2, Source.REPAIR))
    ended = a_job(("FAILED", NOON + 9, Source.EVENT))

    assert [last_start([job]) for job in (started, found, ended)] == [NOON + 1, NOON + 2, 0]


def test_a_head_that_has_ended_frees_its_queue_when_no_other_is_seen_there_for_a_while() -> None:
    blocked = Blocked(since=NOON, last_seen=NOON, job_id="j-1", job_name="merge")
    ended, waiting = (a_job((status, NOON, Source.EVENT)) for status in ("FAILED", "RUNNABLE"))

    assert not is_presumed_over(blocked, ended, NOON + 9 * MINUTE, 10 * MINUTE)
    assert is_presumed_over(blocked, ended, NOON + 10 * MINUTE, 10 * MINUTE)
    assert not is_presumed_over(blocked, waiting, NOON + 99 * MINUTE, 10 * MINUTE)
    assert not is_presumed_over(blocked, None, NOON + 99 * MINUTE, 10 * MINUTE)
