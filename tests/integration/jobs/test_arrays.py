"""Summaries of large arrays: correct after every batch, in any order, from any number of consumers,
and cheap.

ARRAY_SIZE=10000 tests an array of the largest size that AWS Batch allows.
"""

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from chalicelib.aws.lambda_event import Message
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.array_summary import CHILDREN_PER_BLOCK, BlockKey, Summary
from chalicelib.runtime import Runtime
from local.aws import LocalAws, Resources
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id, a_message, an_attempt
from tests.support.faulty_aws import FaultyAws, on, partial_failure
from tests.support.recorder_harness import RecorderHarness

SIZE = int(os.environ.get("ARRAY_SIZE", "1200"))
BATCH = 250


class Step(NamedTuple):
    """A status that a child enters, in the order of its life."""

    child: int
    order: int
    status: str
    attempts: int


def life(child: int, rng: random.Random) -> list[Step]:
    """Return two events of a child; some children have two attempts, and other events are lost."""
    attempts = rng.choice((1, 1, 1, 2))
    transitions = [
        (status, finished)
        for finished in range(attempts)
        for status in ("RUNNABLE", "STARTING", "RUNNING")
    ]
    transitions.append((rng.choice(("SUCCEEDED", "SUCCEEDED", "FAILED")), attempts))
    steps = [Step(child, order, *each) for order, each in enumerate(transitions)]
    return sorted(rng.sample(steps, k=2))


def body(root: str, step: Step) -> str:
    return a_body(
        jobId=f"{root}:{step.child}",
        status=step.status,
        attempts=[an_attempt()] * step.attempts,
        at=NOON + step.order * 60_000,
    )


class Delivery:
    """The events of an array in random order and with duplicates, and the truth so far: the last
    delivered step in the life of each child."""

    def __init__(self, root: str, seed: int) -> None:
        rng = random.Random(seed)
        steps = [step for child in range(SIZE) for step in life(child, rng)]
        steps += rng.sample(steps, k=len(steps) // 5)
        rng.shuffle(steps)
        self._root = root
        self._steps = steps
        self._last: dict[int, Step] = {}

    def batches(self) -> Iterator[list[str]]:
        for start in range(0, len(self._steps), BATCH):
            steps = self._steps[start : start + BATCH]
            for step in steps:
                self._last[step.child] = max(self._last.get(step.child, step), step)
            yield [body(self._root, step) for step in steps]

    @property
    def truth(self) -> dict[str, int]:
        return Counter(step.status for step in self._last.values())


def a_parent(root: str, status: str = "PENDING", at: int = NOON, **summary: int) -> str:
    array = {"size": SIZE, "statusSummary": summary}
    return a_body(jobId=root, status=status, at=at, arrayProperties=array)


def summary(harness: RecorderHarness, root: str) -> Summary:
    return harness.arrays.summaries([harness.job(root)])[root]


def block_items(harness: RecorderHarness) -> list[dict[str, Any]]:
    return [item for item in harness.items() if item["sk"]["S"].startswith("SUMMARY#")]


def test_the_summary_is_correct_after_every_batch(harness: RecorderHarness) -> None:
    root = a_job_id()
    delivery = Delivery(root, seed=1)
    harness.record([a_parent(root)])

    for batch in delivery.batches():
        harness.record(batch)
        assert summary(harness, root).counts == delivery.truth

    assert sum(delivery.truth.values()) == SIZE


def test_four_concurrent_consumers_make_the_same_blocks_as_one(
    harness: RecorderHarness, aws: LocalAws, resources: Resources
) -> None:
    root, other = a_job_id(), a_job_id()
    alone, together = Delivery(root, seed=2), Delivery(other, seed=2)
    for batch in alone.batches():
        harness.record(batch)
    consumers = [RecorderHarness(aws, resources, runtime=Runtime()) for _ in range(4)]

    def consume(harness: RecorderHarness, batches: Sequence[list[str]]) -> None:
        for batch in batches:
            record_until_done(harness, [a_message(body) for body in batch])

    shares = [list(together.batches())[share::4] for share in range(4)]
    with ThreadPoolExecutor(len(consumers)) as threads:
        list(threads.map(consume, consumers, shares))

    harness.record([a_parent(root), a_parent(other)])
    assert summary(harness, other).counts == together.truth == alone.truth
    blocks = harness.blocks()
    numbers = range(-(-SIZE // CHILDREN_PER_BLOCK))
    for number in numbers:
        assert blocks.pop(BlockKey(root, number)) == blocks.pop(BlockKey(other, number))
    assert blocks == {}


def record_until_done(harness: RecorderHarness, messages: list[Message]) -> None:
    """Deliver messages until all are recorded, as the queue does."""
    for _ in range(20):
        try:
            harness.record(messages)
        except MessagesLeft:
            continue
        return
    raise AssertionError("20 deliveries were not enough")


# What it costs


def test_a_batch_of_children_reads_and_writes_each_of_their_blocks_once(
    harness: RecorderHarness,
) -> None:
    root = a_job_id()
    harness.record([a_body(jobId=f"{root}:0")])
    harness.requests.clear()

    harness.record([a_body(jobId=f"{root}:{index}") for index in range(2 * CHILDREN_PER_BLOCK)])

    assert harness.requests == {
        "BatchGetItem": 10 + 1,
        "BatchExecuteStatement": 40 + 1,
    }, "1,000 records and two blocks"


def test_duplicates_read_their_block_and_write_nothing(harness: RecorderHarness) -> None:
    bodies = [a_body(jobId=f"{a_job_id()}:{index}", status="RUNNING") for index in range(20)]
    harness.record(bodies)
    harness.requests.clear()

    harness.record(bodies)

    assert harness.requests == {"BatchGetItem": 2}


def test_other_jobs_parents_and_nodes_have_no_block(harness: RecorderHarness) -> None:
    root = a_job_id()

    harness.record([a_body(), a_parent(root), a_parent(root, "FAILED"), a_body(jobId=f"{root}#1")])

    assert harness.blocks() == {}
    assert harness.requests["BatchGetItem"] == 1


# Failures


def test_a_redelivered_event_writes_a_block_that_was_not_saved(
    harness: RecorderHarness,
) -> None:
    child = a_body(jobId=f"{a_job_id()}:7", status="RUNNING")
    harness.record([child])
    (block,) = block_items(harness)
    key = {"pk": block["pk"], "sk": block["sk"]}
    harness.aws.dynamodb.delete_item(TableName=harness.resources.jobs_table, Key=key)

    tally = harness.record([child])

    assert tally.unchanged == 1
    assert block_items(harness) == [block]


@pytest.mark.parametrize("operation", ["BatchGetItem", "BatchExecuteStatement"])
def test_an_event_is_done_only_when_its_block_is_saved(
    aws: LocalAws, resources: Resources, operation: str
) -> None:
    root, plain = a_job_id(), a_job_id()
    bodies = [a_body(jobId=f"{root}:0", status="FAILED"), a_body(jobId=plain)]

    with FaultyAws(aws.endpoint) as faulty:
        harness = RecorderHarness(aws, resources, endpoint=faulty.endpoint)
        faulty.follow(on(operation, partial_failure(lambda position, entry: b"SUMMARY#" in entry)))
        with pytest.raises(MessagesLeft, match="1 of 2 messages returned to the queue for retry"):
            harness.record(bodies)
        assert harness.job(plain).status == "RUNNABLE"
        assert harness.blocks() == {}

        faulty.follow(lambda call: None)
        harness.record(bodies)

    assert harness.blocks() == {BlockKey(root, 0): b"\xe1"}


# The API


def test_the_api_returns_the_more_complete_summary_and_its_time(api: Api) -> None:
    root = a_job_id()
    children = [a_body(jobId=f"{root}:{n}", status="RUNNING", at=NOON + n * 1000) for n in range(3)]

    def summary_after(*bodies: str) -> tuple[object, object]:
        api.record(*bodies)
        array = api.get(f"/jobs/{root}").body["array"]
        (listed,) = api.get("/jobs").body["jobs"]
        of_children = {"failed": None, "childStatuses": None}
        assert listed["array"] == array | of_children, "a list does not contain the children"
        return array["statusSummary"], array["statusSummaryAsOf"]

    assert summary_after(a_parent(root)) == (None, None)
    assert summary_after(children[0]) == ({"RUNNING": 1}, "2026-05-28T20:26:40.000Z")
    assert summary_after(a_parent(root, at=NOON + 9_000, RUNNABLE=2)) == (
        {"RUNNABLE": 2},
        "2026-05-28T20:26:49.000Z",
    )
    assert summary_after(children[1]) == ({"RUNNING": 2}, "2026-05-28T20:26:41.000Z")
    ended = a_body(jobId=f"{root}:0", status="FAILED", at=NOON + 20_000)
    assert summary_after(ended) == ({"FAILED": 1, "RUNNING": 1}, "2026-05-28T20:27:00.000Z")
    assert api.get(f"/jobs/{root}").body["array"]["childStatuses"].startswith("860")
    assert summary_after(a_parent(root, at=NOON + 30_000, FAILED=1, RUNNING=2))[0] == {
        "FAILED": 1,
        "RUNNING": 2,
    }


def test_a_child_and_a_plain_job_have_no_summary(api: Api) -> None:
    root, plain = a_job_id(), a_job_id()
    api.record(a_body(jobId=plain), a_body(jobId=f"{root}:0", arrayProperties={"index": 0}))

    assert api.get(f"/jobs/{plain}").body["array"] is None
    child = api.get(f"/jobs/{root}%3A0").body["array"]
    assert (child["statusSummary"], child["statusSummaryAsOf"]) == (None, None)


@pytest.mark.parametrize("arrays", [1, 60])
def test_blocks_are_read_a_hundred_at_a_time_and_only_of_arrays_that_have_not_ended(
    api: Api, arrays: int
) -> None:
    ended = {"size": 10_000, "statusSummary": {"FAILED": 1, "SUCCEEDED": 9_999}}
    api.record(*(a_body(arrayProperties={"size": 10_000}) for _ in range(arrays)))
    api.record(*(a_body(status="FAILED", arrayProperties=ended) for _ in range(arrays)))

    path = "/jobs?queue=high-priority&limit=100&status="
    assert api.requests(f"{path}FAILED") == {"GetItem": 1, "Query": 1}
    assert api.requests(f"{path}RUNNABLE") == {
        "GetItem": 1,
        "Query": 1,
        "BatchGetItem": 1 + -(-arrays * 20 // 100),
    }


def test_an_event_of_a_child_changes_the_version_of_its_array(api: Api) -> None:
    root = a_job_id()
    api.record(a_parent(root))
    before = api.response(f"/jobs/{root}").headers["ETag"]

    api.record(a_body(jobId=f"{root}:0", status="RUNNING"))

    after = api.response(f"/jobs/{root}", if_none_match=before)
    assert after.status_code == 200
    assert api.response(f"/jobs/{root}", if_none_match=after.headers["ETag"]).status_code == 304


# Expiry


@pytest.mark.parametrize("late", [False, True])
def test_blocks_expire_with_their_array_and_not_before(
    aws: LocalAws, resources: Resources, late: bool
) -> None:
    harness = RecorderHarness(aws, resources, retention_days=30)
    root = a_job_id()
    children = [a_body(jobId=f"{root}:{index}", status="FAILED") for index in (0, SIZE - 1)]
    end = a_body(jobId=root, status="FAILED", at=NOON + 60_000, arrayProperties={"size": SIZE})

    harness.record(children[late:])
    assert all("expiresAt" not in block for block in block_items(harness))
    harness.record([end])
    harness.record(children)

    expiries = {block["expiresAt"]["N"] for block in block_items(harness)}
    assert expiries == {str(NOON // 1000 + 60 + 30 * 86_400)}
    assert len(harness.blocks()) == -(-SIZE // CHILDREN_PER_BLOCK)
