"""What Lambda hands to a function that SQS triggers: messages, and the time that is left.

Knows Lambda's event and context; nothing of what a body says.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

from msgspec import Struct

_RESERVE_SECONDS = 15.0


class Message(Struct, frozen=True, eq=False):
    """One delivery of an SQS message; `receive_count` includes it. Each is itself only, for two
    may look alike."""

    message_id: str
    receipt_handle: str
    body: str
    receive_count: int = 1
    sent_at: int | None = None
    """When it was put on the queue; epoch milliseconds."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """From a record of Lambda's event, or from SQS's own, whose names begin with capitals."""
        known = {name[0].lower() + name[1:]: value for name, value in record.items()}
        attributes = known.get("attributes", {})
        sent_at = attributes.get("SentTimestamp")
        return cls(
            message_id=known.get("messageId", ""),
            receipt_handle=known.get("receiptHandle", ""),
            body=known.get("body") or "",
            receive_count=int(attributes.get("ApproximateReceiveCount", 1)),
            sent_at=None if sent_at is None else int(sent_at),
        )


def messages_in(event: Mapping[str, Any]) -> list[Message]:
    return [Message.of(record) for record in event["Records"]]


def seconds_left(context: Any) -> Callable[[], float]:
    """Seconds until Lambda kills the function, by its LambdaContext."""
    return lambda: context.get_remaining_time_in_millis() / 1000


def without_reserve(
    time_left: Callable[[], float], seconds: float = _RESERVE_SECONDS
) -> Callable[[], float]:
    """The seconds left for work: some are kept to settle what was done, 15 of a function's two
    minutes, or a fifth of a shorter time."""
    reserve = min(seconds, time_left() / 5)
    return lambda: time_left() - reserve


def account_of(context: Any) -> str:
    """The AWS account that the function runs in, by its LambdaContext; "" outside of AWS."""
    parts = str(context.invoked_function_arn).split(":")
    return parts[4] if len(parts) > 4 else ""
