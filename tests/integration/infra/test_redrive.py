"""`make redrive`: dead letters are processed once more, and none is lost."""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

import pytest

from chalicelib.aws.lambda_event import Message, messages_in
from chalicelib.aws.sqs import Disposition, MessageQueue
from infra.dead_letters.reasons import dead_letters as letters_in
from infra.dead_letters.reasons import discard, render
from infra.dead_letters.redrive import Tally, function_target, queue_target, redrive
from infra.errors import CommandError
from infra.functions import Function
from local.aws import LocalAws, Resources
from tests.support.builders import a_body, a_job_id
from tests.support.lambda_server import FunctionServer
from tests.support.recorder_harness import RecorderHarness


class DeadLetterQueue:
    """The dead-letter queue of events, and a function that records them or fails."""

    def __init__(self, aws: LocalAws, resources: Resources, harness: RecorderHarness) -> None:
        self.fails_on = ""
        self.calls = 0
        self.url = aws.queue_url(resources.dead_letter_queue)
        self._sqs = harness.sqs
        self._harness = harness
        self._queue = MessageQueue(harness.sqs, resources.events_queue, resources.dead_letter_queue)
        self.server = FunctionServer({"on_batch_events": self._on_batch_events})

    def add(self, *bodies: str, reason: str = "test") -> None:
        messages = [Message(f"m{n}", "-", body) for n, body in enumerate(bodies)]
        disposition = Disposition.dead_letter(reason)
        self._queue.settle(dict.fromkeys(messages, disposition), lambda_deletes=True)

    def redrive(self, reason: str = "*") -> Tally:
        function = Function(self.server.client, "on_batch_events", "jobs")
        target = function_target(function)
        return redrive(self._sqs, self.url, target, lambda line: None, reason)

    def reasons(self) -> dict[str, int]:
        return dict(Counter(letter.reason for letter in letters_in(self._sqs, self.url)))

    def discard(self, reason: str) -> int:
        return discard(self._sqs, self.url, reason)

    def bodies(self) -> list[str]:
        response = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        return [message["Body"] for message in response.get("Messages", [])]

    def _on_batch_events(self, event: Any) -> None:
        self.calls += 1
        if self.fails_on and self.fails_on in json.dumps(event):
            raise RuntimeError("out of memory")
        self._harness.record(messages_in(event))


@pytest.fixture
def dead_letters(
    aws: LocalAws, resources: Resources, harness: RecorderHarness
) -> Iterator[DeadLetterQueue]:
    queue = DeadLetterQueue(aws, resources, harness)
    with queue.server:
        yield queue


def test_dead_letters_are_recorded_and_deleted(
    dead_letters: DeadLetterQueue, harness: RecorderHarness
) -> None:
    jobs = [a_job_id() for _ in range(23)]
    dead_letters.add(*(a_body(jobId=job_id) for job_id in jobs))

    tally = dead_letters.redrive()

    assert tally == Tally(passed_on=23)
    assert dead_letters.calls == 3, "ten per call"
    assert set(harness.records()) >= set(jobs)
    assert dead_letters.bodies() == []


def test_a_message_that_is_dead_lettered_again_is_left_in_the_queue(
    dead_letters: DeadLetterQueue,
) -> None:
    dead_letters.add("not an event", a_body())

    tally = dead_letters.redrive()

    assert tally == Tally(passed_on=2, returned=1)
    assert dead_letters.bodies() == ["not an event"]


def test_a_message_that_makes_the_function_fail_is_left_and_the_others_are_recorded(
    dead_letters: DeadLetterQueue,
) -> None:
    bad, *good = [a_job_id() for _ in range(5)]
    dead_letters.add(*(a_body(jobId=job_id) for job_id in (bad, *good)))
    dead_letters.fails_on = bad

    tally = dead_letters.redrive()

    assert tally == Tally(passed_on=4, failed=1)
    assert [bad in body for body in dead_letters.bodies()] == [True]


def test_messages_are_counted_passed_on_and_discarded_by_reason(
    dead_letters: DeadLetterQueue, harness: RecorderHarness
) -> None:
    recorded, discarded = a_job_id(), a_job_id()
    dead_letters.add(a_body(jobId=recorded), reason="its record can't be stored")
    dead_letters.add(a_body(jobId=discarded), "x", reason="no valid job id: [1]")

    assert dead_letters.reasons() == {"its record can't be stored": 1, "no valid job id: [1]": 2}
    assert dead_letters.redrive(reason="its record*") == Tally(passed_on=1, other=2)
    assert dead_letters.reasons() == {"no valid job id: [1]": 2}
    assert dead_letters.discard("no valid job id*") == 2
    assert dead_letters.reasons() == {}
    assert recorded in harness.records()
    assert discarded not in harness.records()


def test_a_message_without_a_reason_has_that_of_eventbridge_or_of_sqs(
    aws: LocalAws, resources: Resources, harness: RecorderHarness
) -> None:
    url = aws.queue_url(resources.dead_letter_queue)
    error = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "denied"}
    harness.sqs.send_message(QueueUrl=url, MessageBody="received too often")
    harness.sqs.send_message(
        QueueUrl=url,
        MessageBody="undeliverable",
        MessageAttributes={
            name: {"DataType": "String", "StringValue": value} for name, value in error.items()
        },
    )

    lines = render("undeliverable", letters_in(harness.sqs, url))

    assert lines[0] == "undeliverable: 2 messages"
    assert sorted(line.split("Z  ")[1] for line in lines[1:]) == [
        "NO_PERMISSIONS: denied",
        "received too often: its function crashed or timed out",
    ]


def test_a_truncated_message_is_left_in_the_queue(dead_letters: DeadLetterQueue) -> None:
    dead_letters.add("x" * 1_100_000)

    assert dead_letters.redrive() == Tally(truncated=1)
    assert len(dead_letters.bodies()) == 1


def test_notices_are_returned_to_their_queue(
    aws: LocalAws, resources: Resources, harness: RecorderHarness
) -> None:
    source, target = map(
        aws.queue_url, (resources.notices_dead_letter_queue, resources.notices_queue)
    )
    harness.sqs.send_message(QueueUrl=source, MessageBody="a notice")

    tally = redrive(
        harness.sqs, source, queue_target(harness.sqs, target), report=lambda line: None
    )

    assert tally.passed_on == 1
    assert harness.sqs.receive_message(QueueUrl=target)["Messages"][0]["Body"] == "a notice"


def test_notices_that_webex_still_rejects_are_passed_on_once(
    aws: LocalAws, resources: Resources, harness: RecorderHarness
) -> None:
    """The notifier dead-letters them again while the redrive goes on."""
    notices = MessageQueue(
        harness.sqs, resources.notices_queue, resources.notices_dead_letter_queue
    )
    source, target = map(
        aws.queue_url, (resources.notices_dead_letter_queue, resources.notices_queue)
    )
    for number in range(12):
        harness.sqs.send_message(QueueUrl=source, MessageBody=f"notice {number}")
    send = queue_target(harness.sqs, target)

    def send_and_reject(messages: Any) -> Collection[str]:
        ids = send(messages)
        reason = Disposition.dead_letter("the room does not exist")
        notices.settle(dict.fromkeys(notices.receive(100), reason))
        return ids

    tally = redrive(harness.sqs, source, send_and_reject, report=lambda line: None)

    assert tally == Tally(passed_on=12, returned=12)


def test_a_function_that_is_not_deployed_is_reported_in_one_line(aws: LocalAws) -> None:
    with pytest.raises(CommandError, match="function on_batch_events for table nowhere not found"):
        Function(aws.client("lambda"), "on_batch_events", "nowhere")
