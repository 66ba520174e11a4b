"""The event and the context of a Lambda function that SQS invokes: messages and the time left.

Contains the field names of Lambda and SQS; must not parse message bodies.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from msgspec import Struct

_RESERVE_SECONDS = 15.0
"""The time kept for settling messages."""


class Message(Struct, frozen=True, eq=False):
    """One delivery of an SQS message.

    Messages are compared by identity: two deliveries of one message can have equal fields.
    """

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int = 1
    """How often SQS delivered the message, including this time."""
    sent_at: int | None = None
    """When the message was sent to the queue, in epoch milliseconds."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Return the message in a record of Lambda's event, or in SQS's own response, which has
        the same names but capitalized."""
        fields = {name[0].lower() + name[1:]: value for name, value in record.items()}
        attributes = fields.get("attributes", {})
        sent_at = attributes.get("SentTimestamp")
        return cls(
            message_id=fields.get("messageId", ""),
            receipt_handle=fields.get("receiptHandle", ""),
            body=fields.get("body") or "",
            receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
            sent_at=None if sent_at is None else int(sent_at),
        )


def messages_in(event: Mapping[str, Any]) -> list[Message]:
    return [Message.of(record) for record in event["Records"]]


def seconds_left(context: Any) -> Callable[[], float]:
    """Return a function that returns the seconds until Lambda stops the function with this
    LambdaContext."""
    return lambda: context.get_remaining_time_in_millis() / 1000


def without_reserve(
    time_left: Callable[[], float], seconds: float = _RESERVE_SECONDS
) -> Callable[[], float]:
    """Return a function that returns the seconds left for work, without a reserve for settling.

    The reserve is at most a fifth of the time left now.
    """
    reserve = min(seconds, time_left() / 5)
    return lambda: time_left() - reserve


def account_of(context: Any) -> str:
    """Return the id of the AWS account that the function runs in, or "" outside of AWS."""
    fields = str(context.invoked_function_arn).split(":")
    return fields[4] if len(fields) > 4 else ""
