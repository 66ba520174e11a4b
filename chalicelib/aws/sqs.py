"""A queue and its dead-letter queue: where messages go once their fate is known.

Knows SQS and its limits, and nothing of what the messages say. A body is moved, never shown.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.lambda_event import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_log = logging.getLogger("batchwatch.message_queue")

_ENTRIES = 10
_CALL_BYTES = 1_048_576
"""SQS's limit for one call: the bodies and attributes of all its entries together."""
_BODY_BYTES = _CALL_BYTES - 4_096
_REASON_CHARACTERS = 500
_UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""SQS takes the characters of XML 1.0 and no others."""


class MessageQueue:
    """Deletes, hands back and quarantines. What SQS refuses is logged and left as it was: the
    message comes again, and recording it twice changes nothing."""

    def __init__(self, client: "SQSClient", queue: str, dead_letter_queue: str) -> None:
        self._client = client
        self._queue = queue
        self._dead_letter_queue = dead_letter_queue
        self._url = cache(lambda name: client.get_queue_url(QueueName=name)["QueueUrl"])

    def send(self, bodies: Sequence[str]) -> set[int]:
        """Sends messages; the positions of those that SQS did not take."""
        entries = [{"MessageBody": body} for body in bodies]
        return self._in_batches(self._client.send_message_batch, self._queue, entries)

    def take(self, most: int) -> list[Message]:
        """Messages that lie in the queue, beyond those that Lambda delivered, as far as SQS hands
        them out at once. Whoever takes them settles them."""
        taken: list[Message] = []
        while len(taken) < most:
            try:
                answer = self._client.receive_message(
                    QueueUrl=self._url(self._queue),
                    MaxNumberOfMessages=min(_ENTRIES, most - len(taken)),
                    MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                )
            except (ClientError, BotoCoreError) as error:
                _log.warning(
                    "queue_call_failed", extra={"queue": self._queue, "error": _code(error)}
                )
                break
            if not answer.get("Messages"):
                break
            taken += [Message.of(message) for message in answer["Messages"]]
        return taken

    def delete(self, messages: Sequence[Message]) -> None:
        handles = [{"ReceiptHandle": message.receipt_handle} for message in messages]
        self._in_batches(self._client.delete_message_batch, self._queue, handles)

    def hand_back(self, messages: Mapping[Message, int]) -> None:
        """Each message becomes visible again after its seconds."""
        changes = [
            {"ReceiptHandle": message.receipt_handle, "VisibilityTimeout": seconds}
            for message, seconds in messages.items()
        ]
        self._in_batches(self._client.change_message_visibility_batch, self._queue, changes)

    def quarantine(self, reasons: Mapping[Message, str]) -> set[Message]:
        """Moves copies to the dead-letter queue, each with its reason beside it. Returns those
        that did not arrive there."""
        messages = list(reasons)
        letters = [_dead_letter(message, reasons[message]) for message in messages]
        unsent = self._in_batches(self._client.send_message_batch, self._dead_letter_queue, letters)
        return {messages[position] for position in unsent}

    def answers(self) -> bool:
        """Raises botocore's error if the queue is not there."""
        url = self._url(self._queue)
        self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return True

    def _in_batches(
        self, call: Callable[..., Any], queue: str, entries: Sequence[dict[str, Any]]
    ) -> set[int]:
        """Calls with ten entries at a time; the positions of those that SQS did not take."""
        refused: set[int] = set()
        for positions in _batches(entries):
            batch = [{"Id": str(position), **entries[position]} for position in positions]
            try:
                answer = call(QueueUrl=self._url(queue), Entries=batch)
            except (ClientError, BotoCoreError) as error:
                _log.warning("queue_call_failed", extra={"queue": queue, "error": _code(error)})
                refused.update(positions)
                continue
            for failure in answer.get("Failed", ()):
                _log.warning("entry_refused", extra={"queue": queue, "error": failure["Code"]})
                refused.add(int(failure["Id"]))
        return refused


def _dead_letter(message: Message, reason: str) -> dict[str, Any]:
    """What can't be sent as it is, for its characters or its size, is made sendable; the digest
    and the length of the original stand beside it."""
    raw = message.body.encode("utf-8", "surrogatepass")
    body = _UNSENDABLE.sub(_escaped, message.body) or "(empty)"
    cut = len(body.encode()) > _BODY_BYTES
    if cut:
        body = body.encode()[:_BODY_BYTES].decode("utf-8", "ignore")
    attributes = {
        "Reason": _UNSENDABLE.sub(_escaped, reason)[:_REASON_CHARACTERS],
        "MessageId": message.message_id or "unknown",
        "BodySha256": sha256(raw).hexdigest(),
        "BodyBytes": str(len(raw)),
        "BodyCut": str(cut).lower(),
    }
    return {
        "MessageBody": body,
        "MessageAttributes": {
            name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()
        },
    }


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _batches(entries: Iterable[Mapping[str, Any]]) -> Iterator[list[int]]:
    """Positions, ten to a batch, and no batch of more bytes than one call may carry."""
    batch: list[int] = []
    size = 0
    for position, entry in enumerate(entries):
        weight = len(entry.get("MessageBody", "").encode()) + 4_096
        if batch and (len(batch) == _ENTRIES or size + weight > _CALL_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(position)
        size += weight
    if batch:
        yield batch


def _code(error: ClientError | BotoCoreError) -> str:
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "unknown")
    return type(error).__name__
