"""How an array's children fare: bytes in the order of transitions, blocks in any order."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.array_summary import (
    CHILDREN,
    Block,
    Summary,
    block_of,
    blocks_of,
    byte_of,
    summary_of,
)
from chalicelib.jobs.job import Job, Observation, listed_status, transition_key
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, NOON, SOURCE, a_body, an_attempt

WAITING = ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "HIBERNATING")
ENTERED = [*itertools.product((*WAITING, "SUCCEEDED", "FAILED"), range(11))]
SIZE = 2 * CHILDREN + 7

_reader = EventReader((SOURCE,), ACCOUNT, Redaction())


def seen(child: int, status: str, generation: int) -> Observation:
    """What Batch says of a child, at the same second whenever it says it again."""
    second = ENTERED.index((status, generation))
    attempts = [an_attempt()] * generation
    event = _reader.read(
        a_body(jobId=f"a:{child}", status=status, attempts=attempts, at=NOON + second * 1000)
    )
    assert isinstance(event, Observation)
    return event


def a_child(child: int, status: str, generation: int = 0) -> Job:
    return Job.first_seen(seen(child, status, generation))


def blocks_from(children: Iterable[Job]) -> dict[int, Block]:
    """Each child told by itself."""
    blocks: dict[int, Block] = {}
    for child in children:
        number = block_of(child.job_id).number
        blocks[number] = blocks.get(number, Block()).observe([child])
    return blocks


# Bytes


def test_a_greater_transition_is_a_greater_byte() -> None:
    bytes_of = {entered: byte_of(a_child(0, *entered)) for entered in ENTERED}

    for one, other in itertools.combinations(ENTERED, 2):
        keys = [transition_key(*entered, of_node=False) for entered in (one, other)]
        assert (bytes_of[one] < bytes_of[other]) == (keys[0] < keys[1] or keys[0] == keys[1])
    assert min(bytes_of.values()) > 0, "0 is for those never heard of"


def test_a_lost_child_is_below_whatever_may_yet_be_heard_of_it() -> None:
    children = [a_child(0, *entered) for entered in ENTERED]

    for child in children:
        if not child.is_terminal:
            above = [byte for byte in map(byte_of, children) if byte > byte_of(child)]
            assert byte_of(child) < byte_of(child.lost()) < min(above)


def test_stored_bytes_stay_what_they_were() -> None:
    stored = {
        ("SUBMITTED", 0): 0x02,
        ("PENDING", 0): 0x04,
        ("RUNNABLE", 0): 0x06,
        ("SCHEDULED", 0): 0x08,
        ("STARTING", 0): 0x0A,
        ("RUNNING", 0): 0x0C,
        ("HIBERNATING", 0): 0x0E,
        ("RUNNING", 10): 0xAC,
        ("SUCCEEDED", 0): 0xE0,
        ("SUCCEEDED", 1): 0xE2,
        ("FAILED", 1): 0xE3,
        ("FAILED", 10): 0xF5,
    }

    assert {entered: byte_of(a_child(0, *entered)) for entered in stored} == stored
    assert byte_of(a_child(0, "RUNNING").lost()) == 0x0D


# Blocks


@st.composite
def events(draw: st.DrawFn) -> list[Observation]:
    """Of any children; each of them ends in its own way, however often it tries."""
    child = draw(st.integers(0, SIZE - 1))
    statuses = (*WAITING, ("SUCCEEDED", "FAILED")[child % 2])
    entered = st.tuples(st.sampled_from(statuses), st.integers(0, 2))
    return [seen(child, *one) for one in draw(st.lists(entered, max_size=4))]


@given(
    st.lists(events(), max_size=12).map(lambda lives: [event for life in lives for event in life]),
    st.randoms(use_true_random=False),
)
def test_any_order_with_any_duplicates_makes_the_blocks_and_counts_of_the_records(
    events: list[Observation], jitter: random.Random
) -> None:
    shuffled = [*events, *events[: len(events) // 2]]
    jitter.shuffle(shuffled)

    records: dict[str, Job] = {}
    told: list[Job] = []
    for event in shuffled:
        known = records.get(event.job_id)
        records[event.job_id] = known.observe(event) if known else Job.first_seen(event)
        told.append(records[event.job_id])
    blocks = blocks_from(told)

    assert blocks == blocks_from(records.values())
    counted = Counter(listed_status(child.status) for child in records.values())
    assert summary_of(blocks, SIZE).counts == counted
    latest = max((event.details.time for event in events), default=0)
    assert summary_of(blocks, SIZE).as_of == latest


@given(st.lists(events(), max_size=12))
def test_how_children_are_batched_does_not_matter(lives: list[list[Observation]]) -> None:
    children = [Job.first_seen(event) for life in lives for event in life]

    at_once: dict[int, list[Job]] = {}
    for child in children:
        at_once.setdefault(block_of(child.job_id).number, []).append(child)

    assert blocks_from(children) == {n: Block().observe(some) for n, some in at_once.items()}


def test_a_lost_child_counts_as_unknown_until_something_higher_is_heard_of_it() -> None:
    lost = a_child(3, "RUNNING").lost()

    blocks = blocks_from([lost, a_child(3, "RUNNING")])
    assert summary_of(blocks, SIZE).counts == {"UNKNOWN": 1}

    blocks = blocks_from([lost, lost.observe(seen(3, "FAILED", 1)), lost])
    assert summary_of(blocks, SIZE).counts == {"FAILED": 1}


def test_children_beyond_an_arrays_size_are_not_counted() -> None:
    blocks = blocks_from(a_child(index, "FAILED", 1) for index in (0, 1, 2, CHILDREN))

    assert summary_of(blocks, 2).counts == {"FAILED": 2}


def test_a_block_of_five_hundred_is_below_a_write_unit() -> None:
    block = Block().observe(a_child(index, "RUNNING") for index in range(CHILDREN))

    assert len(block.children) == 500
    assert [key.number for key in blocks_of("a", 10_000)] == [*range(20)]
    assert [key.number for key in blocks_of("a", 500)] == [0]
    assert [key.number for key in blocks_of("a", 501)] == [0, 1]


# Who tells more


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"SUCCEEDED": 2}, {"SUCCEEDED": 1, "RUNNING": 8}),
        ({"FAILED": 1, "SUCCEEDED": 1}, {"FAILED": 1}),
        ({"FAILED": 1, "RUNNING": 2}, {"FAILED": 1, "RUNNING": 1}),
        ({"SUBMITTED": 1}, {}),
    ],
)
def test_more_is_told_by_more_that_ended_and_then_by_more_that_were_heard_of(
    more: dict[str, int], less: dict[str, int]
) -> None:
    assert Summary(more, 0).tells_more_than(Summary(less, 9))
    assert not Summary(less, 9).tells_more_than(Summary(more, 0))


def test_as_many_ended_and_as_many_heard_of_tell_no_more() -> None:
    assert not Summary({"RUNNING": 2}, 9).tells_more_than(Summary({"RUNNABLE": 2}, 0))
