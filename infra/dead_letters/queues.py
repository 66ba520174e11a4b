"""The dead-letter queues of a stage, and the reasons of the messages in them.

A function stores the reason as an attribute of the message, EventBridge stores an error's code and
text. SQS stores nothing when it moves a message that was received too often.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from infra.errors import CommandError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef as Message

SOURCES: Final = ("dead-letters", "undeliverable", "notices-dead-letters")
ANY_REASON: Final = "*"
_RECEIVED_TOO_OFTEN = "received too often: its function crashed or timed out"
_VISIBILITY_SECONDS = 900


def check_source(source: str) -> None:
    """Raise CommandError if a stage has no such dead-letter queue."""
    if source not in SOURCES:
        raise CommandError(f"FROM must be {', '.join(SOURCES)}, not {source!r}")


def queue_name(source: str, environment: Mapping[str, str]) -> str:
    """Return the name in SQS of one of SOURCES, for the stage with this environment."""
    if source == "undeliverable":
        return environment["EVENTS_QUEUE"].removesuffix("events") + "undeliverable"
    if source == "notices-dead-letters":
        return environment["NOTICES_DEAD_LETTER_QUEUE"]
    return environment["DEAD_LETTER_QUEUE"]


def queue_url(sqs: "SQSClient", queue: str) -> str:
    try:
        return sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist as error:
        raise CommandError(
            f"queue {queue} not found: is the stage deployed in this account and region?"
        ) from error


def receive(sqs: "SQSClient", queue_url: str) -> "Iterator[list[Message]]":
    """Yield the messages of the queue, each of them once, until no more arrive."""
    while messages := sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=2,
        VisibilityTimeout=_VISIBILITY_SECONDS,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["SentTimestamp"],
    ).get("Messages"):
        yield messages


@contextmanager
def visible_again(sqs: "SQSClient", queue_url: str) -> "Iterator[list[Message]]":
    """Yield a list for received messages. Those that are left in it at the end become visible."""
    unfinished: list[Message] = []
    try:
        yield unfinished
    finally:
        for message in unfinished:
            sqs.change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )


def delete(sqs: "SQSClient", queue_url: str, message: "Message") -> None:
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])


def reason(message: "Message") -> str:
    """Return why the message was dead-lettered."""
    if text := attribute(message, "Reason"):
        return text
    error = (attribute(message, "ERROR_CODE"), attribute(message, "ERROR_MESSAGE"))
    return ": ".join(filter(None, error)) or _RECEIVED_TOO_OFTEN


def has_reason(message: "Message", glob: str) -> bool:
    return fnmatchcase(reason(message), glob)


def attribute(message: "Message", name: str) -> str | None:
    value = message.get("MessageAttributes", {}).get(name)
    return value.get("StringValue") if value else None
