"""`make redrive`: dead letters get another chance, once, and none is lost on the way."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.aws.lambda_event import Message, messages_in
from chalicelib.aws.sqs import Disposition, MessageQueue
from infra.errors import Refused
from infra.functions import Function
from infra.redrive import Tally, redrive, to_function, to_queue
from local.aws import LocalAws, Resources
from tests.support.builders import a_body, a_job_id
from tests.support.lambda_server import FunctionServer
from tests.support.recorder_harness import RecorderHarness


class Letters:
    """The dead-letter queue of the events, and the function that gets another chance."""

    def __init__(self, aws: LocalAws, resources: Resources, stand: RecorderHarness) -> None:
        self.fails_on = ""
        self.calls = 0
        self.url = aws.queue_url(resources.dead_letter_queue)
        self._sqs = stand.sqs
        self._stand = stand
        self._queue = MessageQueue(stand.sqs, resources.events_queue, resources.dead_letter_queue)
        self.server = FunctionServer({"on_batch_events": self._on_batch_events})

    def put_aside(self, *bodies: str) -> None:
        messages = [Message(f"m{n}", "-", body) for n, body in enumerate(bodies)]
        reason = Disposition.dead_letter("test")
        self._queue.settle(dict.fromkeys(messages, reason), lambda_deletes=True)

    def redrive(self) -> Tally:
        function = Function(self.server.client, "on_batch_events", "jobs")
        return redrive(self._sqs, self.url, to_function(function), lambda line: None)

    def lying_there(self) -> list[str]:
        answer = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        return [letter["Body"] for letter in answer.get("Messages", [])]

    def _on_batch_events(self, event: Any) -> None:
        self.calls += 1
        if self.fails_on and self.fails_on in json.dumps(event):
            raise RuntimeError("out of memory")
        self._stand.record(messages_in(event))


@pytest.fixture
def letters(aws: LocalAws, resources: Resources, stand: RecorderHarness) -> Iterator[Letters]:
    letters = Letters(aws, resources, stand)
    with letters.server:
        yield letters


def test_letters_are_recorded_and_gone(letters: Letters, stand: RecorderHarness) -> None:
    jobs = [a_job_id() for _ in range(23)]
    letters.put_aside(*(a_body(jobId=job_id) for job_id in jobs))

    tally = letters.redrive()

    assert tally == Tally(given=23, again=0, cut=0, failed=0)
    assert letters.calls == 3, "ten a call"
    assert set(stand.records()) >= set(jobs)
    assert letters.lying_there() == []


def test_what_can_not_be_recorded_is_put_aside_again_and_left(letters: Letters) -> None:
    letters.put_aside("still no event", a_body())

    tally = letters.redrive()

    assert tally == Tally(given=2, again=1, cut=0, failed=0)
    assert letters.lying_there() == ["still no event"]


def test_one_that_the_function_fails_on_is_left_and_keeps_no_other_back(letters: Letters) -> None:
    bad, *good = [a_job_id() for _ in range(5)]
    letters.put_aside(*(a_body(jobId=job_id) for job_id in (bad, *good)))
    letters.fails_on = bad

    tally = letters.redrive()

    assert tally == Tally(given=4, again=0, cut=0, failed=1)
    assert [bad in body for body in letters.lying_there()] == [True]


def test_a_letter_that_was_cut_is_left_as_it_is(letters: Letters) -> None:
    letters.put_aside("x" * 1_100_000)

    assert letters.redrive() == Tally(given=0, again=0, cut=1, failed=0)
    assert len(letters.lying_there()) == 1


def test_notices_go_back_to_their_queue(
    aws: LocalAws, resources: Resources, stand: RecorderHarness
) -> None:
    source, target = map(
        aws.queue_url, (resources.notices_dead_letter_queue, resources.notices_queue)
    )
    stand.sqs.send_message(QueueUrl=source, MessageBody="a notice")

    tally = redrive(stand.sqs, source, to_queue(stand.sqs, target), lambda line: None)

    assert tally.given == 1
    assert stand.sqs.receive_message(QueueUrl=target)["Messages"][0]["Body"] == "a notice"


def test_a_stage_that_is_not_there_is_told_in_a_line(aws: LocalAws) -> None:
    with pytest.raises(Refused, match="no on_batch_events for nowhere here"):
        Function(aws.client("lambda"), "on_batch_events", "nowhere")
