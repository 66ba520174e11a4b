"""Settling messages with the queues of the local AWS."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from chalicelib.aws.lambda_event import Message
from chalicelib.aws.sqs import Disposition, MessageQueue
from local.aws import LocalAws, Resources


@dataclass(frozen=True)
class Queues:
    """The events queue and its dead-letter queue."""

    aws: LocalAws
    resources: Resources

    @property
    def queue(self) -> MessageQueue:
        return MessageQueue(
            self.aws.sqs, self.resources.events_queue, self.resources.dead_letter_queue
        )

    def receive(self, *bodies: str) -> Sequence[Message]:
        """Send messages and receive them."""
        assert self.queue.send(bodies) == set()
        return sorted(self.queue.receive(len(bodies)), key=lambda message: message.body)

    def counts(self) -> tuple[int, int]:
        """Return the number of visible and of invisible messages in the events queue."""
        attributes = self.aws.sqs.get_queue_attributes(
            QueueUrl=self.aws.queue_url(self.resources.events_queue), AttributeNames=["All"]
        )["Attributes"]
        return (
            int(attributes["ApproximateNumberOfMessages"]),
            int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        )

    def dead_letters(self) -> dict[str, str]:
        """Return the reasons of the dead letters by body."""
        found = self.aws.sqs.receive_message(
            QueueUrl=self.aws.queue_url(self.resources.dead_letter_queue),
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
        ).get("Messages", [])
        return {m["Body"]: m["MessageAttributes"]["Reason"]["StringValue"] for m in found}


@pytest.fixture
def queues(aws: LocalAws, resources: Resources) -> Queues:
    return Queues(aws, resources)


def test_each_message_is_settled_by_its_disposition(queues: Queues) -> None:
    done, later, now, bad = queues.receive("1 done", "2 later", "3 now", "4 bad")

    settled = queues.queue.settle(
        {
            done: Disposition.ack(),
            later: Disposition.retry(30),
            now: Disposition.retry(0),
            bad: Disposition.dead_letter("malformed"),
        }
    )

    assert settled == ([done], [later, now], [bad])
    assert queues.counts() == (1, 1)
    assert [message.body for message in queues.queue.receive(10)] == ["3 now"]
    assert queues.dead_letters() == {"4 bad": "malformed"}


def test_a_message_that_cannot_be_dead_lettered_is_retried(queues: Queues) -> None:
    queues.aws.sqs.delete_queue(QueueUrl=queues.aws.queue_url(queues.resources.dead_letter_queue))
    (bad,) = queues.receive("bad")

    settled = queues.queue.settle({bad: Disposition.dead_letter("malformed")})

    assert settled == ([], [bad], [])
    assert queues.counts() == (0, 1)


def test_lambda_deletes_a_batch_without_retries(queues: Queues) -> None:
    done, bad = queues.receive("1 done", "2 bad")
    dispositions = {done: Disposition.ack(), bad: Disposition.dead_letter("malformed")}

    settled = queues.queue.settle(dispositions, lambda_deletes=True)

    assert settled == ([done], [], [bad])
    assert queues.counts() == (0, 2)


def test_the_acknowledged_messages_of_a_batch_with_a_retry_are_deleted(queues: Queues) -> None:
    done, later = queues.receive("1 done", "2 later")
    dispositions = {done: Disposition.ack(), later: Disposition.retry(30)}

    queues.queue.settle(dispositions, lambda_deletes=True)

    assert queues.counts() == (0, 1)


def test_a_visibility_timeout_is_at_most_twelve_hours() -> None:
    assert Disposition.retry(1e9) == Disposition.retry(43_200)
    assert Disposition.retry(0.2) == Disposition.retry(1)
