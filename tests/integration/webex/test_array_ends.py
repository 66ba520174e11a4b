"""Many large arrays that end together, and notifiers that crash, in simulated time.

Each request to AWS takes 20 ms, and Lambda stops a function after two minutes.
"""

import math
import re
from contextlib import suppress

import pytest

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, chunks
from chalicelib.aws.lambda_event import Message
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.array_summary import CHILDREN_PER_BLOCK, byte_of
from chalicelib.webex.room_delivery import LEASE
from local.aws import LocalAws, Resources
from local.webex import WebexServer
from tests.support.builders import NOON, a_body, a_job_id, an_attempt
from tests.support.crash_injection import FunctionCrashed
from tests.support.notifier_harness import NotifierHarness

ARRAYS, SIZE, FAILED = 60, 10_000, 20
EXITED = "Essential container in task exited"
REQUEST_SECONDS, TIMEOUT_SECONDS = 0.02, 120


@pytest.fixture
def harness(aws: LocalAws, resources: Resources, webex: WebexServer) -> NotifierHarness:
    return NotifierHarness(aws, resources, webex, '[[rule]]\non = ["FAILED"]')


def a_failure(job_id: str, name: str, exit_code: int) -> str:
    ended = an_attempt(container={"exitCode": exit_code}, statusReason=EXITED)
    return a_body(
        jobId=job_id, jobName=name, status="FAILED", statusReason=EXITED, attempts=[ended]
    )


def record_running_arrays(harness: NotifierHarness) -> dict[str, str]:
    """Record arrays whose children have ended; two thirds of the failed ones with exit code 1.
    Return their ids by name."""
    roots = {f"sweep-{number:02}": a_job_id() for number in range(ARRAYS)}
    bodies = [
        a_failure(f"{root}:{n * SIZE // FAILED}", name, 1 if n % 3 else 137)
        for name, root in roots.items()
        for n in range(FAILED)
    ]
    for batch in chunks(bodies, 500):
        harness.recorder.record(batch)
    other = f"{a_job_id()}:0"
    harness.recorder.record([a_body(jobId=other, status="SUCCEEDED")])
    succeeded = byte_of(harness.recorder.job(other))
    failed = byte_of(harness.recorder.job(f"{next(iter(roots.values()))}:0"))
    statuses = bytearray([succeeded]) * SIZE
    statuses[:: SIZE // FAILED] = bytes([failed]) * FAILED
    blocks: list[Item] = [
        table_keys.array_block(root, number)
        | {"children": {"B": bytes(block)}, "lastObservedAt": {"N": str(NOON)}}
        for root in roots.values()
        for number, block in enumerate(chunks(statuses, CHILDREN_PER_BLOCK))
    ]
    for batch in chunks(blocks, 25):
        requests = [{"PutRequest": {"Item": block}} for block in batch]
        table = harness.recorder.resources.jobs_table
        harness.recorder.dynamodb.batch_write_item(RequestItems={table: requests})
    return roots


def end(harness: NotifierHarness, roots: dict[str, str]) -> None:
    harness.recorder.record(
        [
            a_body(
                jobId=root,
                jobName=name,
                status="FAILED",
                statusReason="Array Child Job failed",
                arrayProperties={"size": SIZE},
            )
            for name, root in roots.items()
        ]
    )


def invoke(harness: NotifierHarness, messages: list[Message], crash_at: float = math.inf) -> int:
    """Invoke a notifier as Lambda does, and return the number of its requests. It crashes at this
    request, or when its time is over."""
    stops_at, calls = harness.now + TIMEOUT_SECONDS, 0

    def on_request() -> None:
        nonlocal calls
        calls += 1
        harness.now += REQUEST_SECONDS / 2
        if harness.now > stops_at or calls > 2 * crash_at:
            raise FunctionCrashed

    notifier = harness.notifier(on_request)
    with suppress(MessagesLeft, FunctionCrashed):
        notifier.notify(messages, lambda: stops_at - harness.now)
    return calls // 2


def test_sixty_large_arrays_that_end_together_are_one_message(harness: NotifierHarness) -> None:
    roots = record_running_arrays(harness)
    harness.deliver_all()
    harness.now += 3_600
    warnings = len(harness.texts())
    end(harness, roots)
    started = harness.now

    requests = invoke(harness, harness.receive(100))

    assert warnings == 1
    [text] = harness.texts()[warnings:]
    assert "**60 jobs** failed in **high-priority**: most often exit code 1" in text
    assert text.count(f"({FAILED} of {SIZE:,})") == 20
    assert "and 40 more" in text
    assert {name: len(re.findall(name, text)) for name in list(roots)[:20]} == dict.fromkeys(
        list(roots)[:20], 1
    )
    assert requests < 3 * ARRAYS
    assert harness.now - started < 5


def test_a_crashed_notifier_delays_other_notices_of_its_room_by_less_than_three_minutes(
    harness: NotifierHarness,
) -> None:
    roots = record_running_arrays(harness)
    harness.deliver_all()
    harness.now += 3_600
    end(harness, roots)
    of_arrays = harness.receive(100)
    crashed_at = harness.now
    invoke(harness, of_arrays, crash_at=ARRAYS)
    job_id = a_job_id()
    harness.recorder.record([a_failure(job_id, "other", 1)])
    other = [message for message in harness.receive(100) if job_id in message.body]
    before = len(harness.texts())

    while len(harness.texts()) == before:
        harness.now += 10
        invoke(harness, other)
    delay = harness.now - crashed_at
    invoke(harness, of_arrays)

    assert delay < LEASE / 1_000 + 20
    single, digest = harness.texts()[before:]
    assert "**other** failed" in single
    assert "**60 jobs** failed" in digest
