"""Bytes sort like the transitions that they encode, and any order of events makes equal blocks."""

import itertools
import random
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.jobs.array_summary import (
    CHILDREN_PER_BLOCK,
    Block,
    Summary,
    block_of_child,
    blocks_of_array,
    byte_of,
    failed_indexes,
    status_digits,
    summary_of,
)
from chalicelib.jobs.job import Job, Observation, listed_status, transition_key
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, NOON, SOURCE, a_body, an_attempt

ACTIVE = ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "HIBERNATING")
TRANSITIONS = [*itertools.product((*ACTIVE, "SUCCEEDED", "FAILED"), range(11))]
SIZE = 2 * CHILDREN_PER_BLOCK + 7

_reader = EventReader((SOURCE,), ACCOUNT, Redaction())


def observation(child: int, status: str, generation: int) -> Observation:
    """Return an event of a child; the same transition always has the same time."""
    second = TRANSITIONS.index((status, generation))
    attempts = [an_attempt()] * generation
    event = _reader.read(
        a_body(jobId=f"a:{child}", status=status, attempts=attempts, at=NOON + second * 1000)
    )
    assert isinstance(event, Observation)
    return event


def a_child(child: int, status: str, generation: int = 0) -> Job:
    return Job.from_observation(observation(child, status, generation))


def blocks_from(children: Iterable[Job]) -> dict[int, Block]:
    """Join each child in a call of its own."""
    blocks: dict[int, Block] = {}
    for child in children:
        number = block_of_child(child.job_id).number
        blocks[number] = blocks.get(number, Block()).observe([child])
    return blocks


# Bytes


def test_a_greater_transition_is_a_greater_byte() -> None:
    bytes_of = {each: byte_of(a_child(0, *each)) for each in TRANSITIONS}

    for one, other in itertools.combinations(TRANSITIONS, 2):
        keys = [transition_key(*each, of_node=False) for each in (one, other)]
        assert (bytes_of[one] < bytes_of[other]) == (keys[0] < keys[1] or keys[0] == keys[1])
    assert min(bytes_of.values()) > 0, "0 encodes a child that was not observed"


def test_a_lost_child_has_a_smaller_byte_than_any_later_transition() -> None:
    children = [a_child(0, *each) for each in TRANSITIONS]

    for child in children:
        if not child.is_terminal:
            above = [byte for byte in map(byte_of, children) if byte > byte_of(child)]
            assert byte_of(child) < byte_of(child.lost()) < min(above)


def test_the_encoding_of_stored_bytes_does_not_change() -> None:
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

    assert {each: byte_of(a_child(0, *each)) for each in stored} == stored
    assert byte_of(a_child(0, "RUNNING").lost()) == 0x0D


# Blocks


@st.composite
def events(draw: st.DrawFn) -> list[Observation]:
    """Draw events of one child. Each child has one terminal status, in any number of attempts."""
    child = draw(st.integers(0, SIZE - 1))
    statuses = (*ACTIVE, ("SUCCEEDED", "FAILED")[child % 2])
    transitions = st.tuples(st.sampled_from(statuses), st.integers(0, 2))
    return [observation(child, *each) for each in draw(st.lists(transitions, max_size=4))]


@given(
    st.lists(events(), max_size=12).map(lambda lives: [event for life in lives for event in life]),
    st.randoms(use_true_random=False),
)
def test_any_order_with_duplicates_makes_the_same_blocks_and_counts_as_the_records(
    events: list[Observation], rng: random.Random
) -> None:
    shuffled = [*events, *events[: len(events) // 2]]
    rng.shuffle(shuffled)

    records: dict[str, Job] = {}
    versions: list[Job] = []
    for event in shuffled:
        known = records.get(event.job_id)
        records[event.job_id] = known.observe(event) if known else Job.from_observation(event)
        versions.append(records[event.job_id])
    blocks = blocks_from(versions)

    assert blocks == blocks_from(records.values())
    counted = Counter(listed_status(child.status) for child in records.values())
    assert summary_of(blocks, SIZE).counts == counted
    latest = max((event.details.time for event in events), default=0)
    assert summary_of(blocks, SIZE).as_of == latest


@given(st.lists(events(), max_size=12))
def test_the_batches_of_children_do_not_matter(lives: list[list[Observation]]) -> None:
    children = [Job.from_observation(event) for life in lives for event in life]

    by_block: dict[int, list[Job]] = {}
    for child in children:
        by_block.setdefault(block_of_child(child.job_id).number, []).append(child)

    assert blocks_from(children) == {n: Block().observe(batch) for n, batch in by_block.items()}


def test_a_lost_child_counts_as_unknown_until_a_later_transition_is_observed() -> None:
    lost = a_child(3, "RUNNING").lost()

    blocks = blocks_from([lost, a_child(3, "RUNNING")])
    assert summary_of(blocks, SIZE).counts == {"UNKNOWN": 1}

    blocks = blocks_from([lost, lost.observe(observation(3, "FAILED", 1)), lost])
    assert summary_of(blocks, SIZE).counts == {"FAILED": 1}


def test_children_beyond_an_arrays_size_are_not_counted() -> None:
    blocks = blocks_from(a_child(index, "FAILED", 1) for index in (0, 1, 2, CHILDREN_PER_BLOCK))

    assert summary_of(blocks, 2).counts == {"FAILED": 2}


def test_a_block_contains_five_hundred_children() -> None:
    block = Block().observe(a_child(index, "RUNNING") for index in range(CHILDREN_PER_BLOCK))

    assert len(block.children) == 500
    assert [key.number for key in blocks_of_array("a", 10_000)] == [*range(20)]
    assert [key.number for key in blocks_of_array("a", 500)] == [0]
    assert [key.number for key in blocks_of_array("a", 501)] == [0, 1]


# The more complete summary


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ({"SUCCEEDED": 2}, {"SUCCEEDED": 1, "RUNNING": 8}),
        ({"FAILED": 1, "SUCCEEDED": 1}, {"FAILED": 1}),
        ({"FAILED": 1, "RUNNING": 2}, {"FAILED": 1, "RUNNING": 1}),
        ({"SUBMITTED": 1}, {}),
    ],
)
def test_a_summary_with_more_ended_or_then_more_observed_children_is_more_complete(
    more: dict[str, int], less: dict[str, int]
) -> None:
    assert Summary(more, 0).is_more_complete_than(Summary(less, 9))
    assert not Summary(less, 9).is_more_complete_than(Summary(more, 0))


def test_a_summary_with_as_many_ended_and_observed_children_is_not_more_complete() -> None:
    assert not Summary({"RUNNING": 2}, 9).is_more_complete_than(Summary({"RUNNABLE": 2}, 0))


def test_the_failed_children_are_known_by_index() -> None:
    blocks = {
        0: Block(bytes([225, 224, 227, 0])),
        1: Block(bytes([225, 12, 225])),
    }

    assert failed_indexes(blocks, 502) == (0, 2, 500)
    assert failed_indexes({}, 502) == ()


def test_each_child_has_the_digit_of_its_status() -> None:
    lost = byte_of(a_child(0, "RUNNING").lost())
    blocks = {
        0: Block(bytes([0x02, 0x04, 0x06, 0x08, 0x0A, 0x0C, 0x0E, 0, lost, 0xE2, 0xE3])),
        1: Block(bytes([0xAC, 0xF5, 0xE0])),
    }

    assert status_digits(blocks, 502) == "12345690978" + "0" * 489 + "68"
    assert status_digits({}, 3) == "000"
