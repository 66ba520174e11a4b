"""An SQS queue with its dead-letter queue, and the disposition of each message received from it.

Contains SQS's limits and batch calls. Must not parse a message body, log it or return it to
anything but the code that received it.
"""

import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Self

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.aws.lambda_event import Message
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import (
        ChangeMessageVisibilityBatchResultTypeDef,
        DeleteMessageBatchResultTypeDef,
        SendMessageBatchResultTypeDef,
    )

    _BatchResult = (
        ChangeMessageVisibilityBatchResultTypeDef
        | DeleteMessageBatchResultTypeDef
        | SendMessageBatchResultTypeDef
    )

_ENTRIES = 10
"""SQS's limit for the entries of one batch call."""
_CALL_BYTES = 1_048_576
"""SQS's limit for the bodies and attributes of all entries of one call."""
_ATTRIBUTE_BYTES = 4_096
"""An upper bound for the attributes of one dead letter."""
_BODY_BYTES = _CALL_BYTES - _ATTRIBUTE_BYTES
_REASON_CHARACTERS = 500
_MAX_VISIBILITY_TIMEOUT = 43_200
"""SQS's limit for a visibility timeout: 12 hours, in seconds."""
UNSENT_RETRY_SECONDS = 30
"""Delay before a message that could not be dead-lettered is received again."""
_UNSENDABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""The characters that SQS rejects: it accepts those of XML 1.0 only."""


@dataclass(frozen=True, slots=True)
class Disposition:
    """The decision about a received message: acknowledge, retry or dead-letter it.

        Disposition.ack()                its effect is stored: delete it
        Disposition.retry(30)            receive it again after 30 seconds
        Disposition.dead_letter(reason)  it can never succeed: move it to the dead-letter queue

    Use these constructors; the fields are for `MessageQueue.settle`.
    """

    retry_after: int | None = None
    """Seconds, or None if the message is not retried."""
    reason: str | None = None
    """Why the message is dead-lettered, or None if it is not."""

    @classmethod
    def ack(cls) -> Self:
        return cls()

    @classmethod
    def retry(cls, after: float) -> Self:
        """Return the disposition to receive a message again `after` seconds, 12 hours at most."""
        return cls(retry_after=min(_MAX_VISIBILITY_TIMEOUT, math.ceil(after)))

    @classmethod
    def dead_letter(cls, reason: str) -> Self:
        """Return the disposition to dead-letter a message. `reason` must not quote its body."""
        return cls(reason=reason)

    def not_before(self, seconds: float) -> Self:
        """Return this disposition, but a retry no sooner than after `seconds`."""
        if self.retry_after is None:
            return self
        return type(self).retry(max(self.retry_after, seconds))

    @property
    def is_ack(self) -> bool:
        return self.retry_after is None and self.reason is None


class Settled(NamedTuple):
    """Messages by what `MessageQueue.settle` did with them."""

    acknowledged: list[Message]
    retried: list[Message]
    dead_lettered: list[Message]


class MessageQueue:
    """A queue and its dead-letter queue.

    Calls that SQS rejects are logged and not raised: SQS then delivers the message again when its
    visibility timeout expires, and processing a message twice has no further effect.
    """

    def __init__(self, client: "SQSClient", queue: str, dead_letter_queue: str) -> None:
        self._client = client
        self._queue = queue
        self._dead_letter_queue = dead_letter_queue
        self._url = cache(lambda name: client.get_queue_url(QueueName=name)["QueueUrl"])

    def send(self, bodies: Sequence[str]) -> set[int]:
        """Send messages, and return the positions of the bodies that SQS did not accept."""
        entries = [{"MessageBody": body} for body in bodies]
        return self._in_batches(self._client.send_message_batch, self._queue, entries)

    def receive(self, limit: int, has_time: Callable[[], bool] = lambda: True) -> list[Message]:
        """Receive up to `limit` messages that Lambda did not deliver, until SQS returns none or
        the time is up.

        The caller has to settle them.
        """
        received: list[Message] = []
        while len(received) < limit and has_time():
            try:
                response = self._client.receive_message(
                    QueueUrl=self._url(self._queue),
                    MaxNumberOfMessages=min(_ENTRIES, limit - len(received)),
                    MessageSystemAttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
                )
            except (ClientError, BotoCoreError) as error:
                telemetry.warning(LogEvent.SQS_CALL_FAILED, queue=self._queue, error=_code(error))
                break
            if not response.get("Messages"):
                break
            received += [Message.of(message) for message in response["Messages"]]
        return received

    def settle(
        self, dispositions: Mapping[Message, Disposition], *, lambda_deletes: bool = False
    ) -> Settled:
        """Carry out the disposition of each message, and return what was done.

        A message that the dead-letter queue does not accept is retried instead. Set
        `lambda_deletes` for the whole batch of an invocation: Lambda deletes the batch itself when
        the function returns, so no message is deleted here unless one has to be retried.
        """
        reasons = {m: d.reason for m, d in dispositions.items() if d.reason is not None}
        unsent = self._dead_letter(reasons)
        delays = {m: d.retry_after for m, d in dispositions.items() if d.retry_after is not None}
        delays |= dict.fromkeys(unsent, UNSENT_RETRY_SECONDS)
        if delays or not lambda_deletes:
            self._delete([message for message in dispositions if message not in delays])
            self._change_visibility(delays)
        return Settled(
            acknowledged=[message for message, d in dispositions.items() if d.is_ack],
            retried=list(delays),
            dead_lettered=[message for message in reasons if message not in unsent],
        )

    def answers(self) -> bool:
        """Return True if the queue exists. Raise botocore's error if it does not."""
        url = self._url(self._queue)
        self._client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return True

    def _delete(self, messages: Collection[Message]) -> None:
        handles = [{"ReceiptHandle": message.receipt_handle} for message in messages]
        self._in_batches(self._client.delete_message_batch, self._queue, handles)

    def _change_visibility(self, delays: Mapping[Message, int]) -> None:
        changes = [
            {"ReceiptHandle": message.receipt_handle, "VisibilityTimeout": seconds}
            for message, seconds in delays.items()
        ]
        self._in_batches(self._client.change_message_visibility_batch, self._queue, changes)

    def _dead_letter(self, reasons: Mapping[Message, str]) -> set[Message]:
        """Copy messages to the dead-letter queue, and return those that it did not accept."""
        messages = list(reasons)
        letters = [_dead_letter_entry(message, reasons[message]) for message in messages]
        unsent = self._in_batches(self._client.send_message_batch, self._dead_letter_queue, letters)
        return {messages[position] for position in unsent}

    def _in_batches(
        self,
        call: "Callable[..., _BatchResult]",
        queue: str,
        entries: Sequence[Mapping[str, object]],
    ) -> set[int]:
        """Make the call for ten entries at a time, and return the positions of the entries that
        SQS did not accept."""
        rejected: set[int] = set()
        for positions in _batches(entries):
            batch = [{"Id": str(position), **entries[position]} for position in positions]
            try:
                response = call(QueueUrl=self._url(queue), Entries=batch)
            except (ClientError, BotoCoreError) as error:
                telemetry.warning(LogEvent.SQS_CALL_FAILED, queue=queue, error=_code(error))
                rejected.update(positions)
                continue
            for failure in response.get("Failed", ()):
                code = failure["Code"]
                telemetry.warning(LogEvent.SQS_ENTRY_REJECTED, queue=queue, error=code)
                rejected.add(int(failure["Id"]))
        return rejected


def _dead_letter_entry(message: Message, reason: str) -> dict[str, object]:
    """Return the entry for the dead-letter queue: a body that SQS accepts, and attributes.

    Characters that SQS rejects are escaped and an oversized body is cut, so the digest and the
    length of the original body are among the attributes.
    """
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


def _batches(entries: Iterable[Mapping[str, object]]) -> Iterator[list[int]]:
    """Yield the positions of the entries in batches that one call may carry."""
    batch: list[int] = []
    size = 0
    for position, entry in enumerate(entries):
        weight = len(str(entry.get("MessageBody", "")).encode()) + _ATTRIBUTE_BYTES
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
