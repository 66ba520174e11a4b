"""Gives dead letters another chance: `make redrive STAGE=prod FROM=undeliverable`.

    FROM                   whose                                    go to
    dead-letters           what could not be recorded               on_batch_events
    undeliverable          what EventBridge could not deliver       on_batch_events
    notices-dead-letters   what Webex would not take                the notices queue

Nobody but the rule may write to the events queue, so events go to the function itself, as a batch
of its queue. A letter is deleted when the function has returned, or the queue has it: what the
function can't record it puts aside again, with its reason, and a letter that comes again is left
there. Bodies are moved, never shown.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3

from infra import stages
from infra.errors import Refused, told_plainly
from infra.functions import Function, FunctionFailed, lambda_client

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SOURCES = ("dead-letters", "undeliverable", "notices-dead-letters")
_VISIBILITY_SECONDS = 900
_CALL_BYTES = 5_000_000
"""Of a call's event, which may have six million."""

Letter = Any
"""A message as SQS hands it out."""

Give = Callable[[list[Letter]], None]
"""Hands letters over. Raises FunctionFailed or botocore's errors: then none of them is settled."""


class Tally(NamedTuple):
    """`again`: letters that were put aside once more, `cut`: those that are not whole, `failed`:
    those that could not be handed over. All of these are left where they are."""

    given: int
    again: int
    cut: int
    failed: int


def redrive(sqs: "SQSClient", queue_url: str, give: Give, tell: Callable[[str], None]) -> Tally:
    """Hands over every letter that lies in the queue, once."""
    given: set[str] = set()
    again = cut = failed = 0
    left: list[Letter] = []
    try:
        for letters in _letters(sqs, queue_url):
            left += letters
            back = [one for one in letters if _attribute(one, "MessageId") in given]
            damaged = [one for one in letters if _attribute(one, "BodyCut") == "true"]
            whole = [one for one in letters if one not in back and one not in damaged]
            refused = _hand_over(whole, give, tell)
            for letter in whole:
                if letter not in refused:
                    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=letter["ReceiptHandle"])
                    given.add(letter["MessageId"])
                    left.remove(letter)
            again, cut, failed = again + len(back), cut + len(damaged), failed + len(refused)
            tell(f"{len(given)} handed over")
    finally:
        for letter in left:
            sqs.change_message_visibility(
                QueueUrl=queue_url, ReceiptHandle=letter["ReceiptHandle"], VisibilityTimeout=0
            )
    return Tally(len(given), again, cut, failed)


def _letters(sqs: "SQSClient", queue_url: str) -> Iterator[list[Letter]]:
    while letters := sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=10,
        WaitTimeSeconds=2,
        VisibilityTimeout=_VISIBILITY_SECONDS,
        MessageAttributeNames=["All"],
        MessageSystemAttributeNames=["SentTimestamp"],
    ).get("Messages"):
        yield letters


def _hand_over(letters: list[Letter], give: Give, tell: Callable[[str], None]) -> list[Letter]:
    """Those that could not be; each is tried alone if they could not be handed over together."""
    if not letters:
        return []
    try:
        give(letters)
    except FunctionFailed as error:
        if len(letters) == 1:
            tell(f"left there: {error}")
            return letters
        return [one for letter in letters for one in _hand_over([letter], give, tell)]
    return []


def to_function(function: Function) -> Give:
    def give(letters: list[Letter]) -> None:
        for some in _by_size(letters):
            function.call({"Records": [_record(letter) for letter in some]})

    return give


def to_queue(sqs: "SQSClient", queue_url: str) -> Give:
    def give(letters: list[Letter]) -> None:
        for letter in letters:
            sqs.send_message(QueueUrl=queue_url, MessageBody=letter["Body"])

    return give


def _by_size(letters: list[Letter]) -> Iterator[list[Letter]]:
    some: list[Letter] = []
    size = 0
    for letter in letters:
        weight = len(json.dumps(letter["Body"]))
        if some and size + weight > _CALL_BYTES:
            yield some
            some, size = [], 0
        some.append(letter)
        size += weight
    yield some


def _record(letter: Letter) -> dict[str, Any]:
    return {
        "messageId": letter["MessageId"],
        "receiptHandle": letter["ReceiptHandle"],
        "body": letter["Body"],
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": letter["Attributes"]["SentTimestamp"],
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def _attribute(letter: Letter, name: str) -> str | None:
    value: str | None = letter.get("MessageAttributes", {}).get(name, {}).get("StringValue")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make redrive", description="Gives dead letters another chance."
    )
    parser.add_argument("--stage", required=True)
    parser.add_argument("--from", dest="source", required=True, metavar="FROM")
    options = parser.parse_args()
    if options.source not in SOURCES:
        raise Refused(f"FROM={options.source!r} is none of {', '.join(SOURCES)}")
    names = stages.environment_of(options.stage)
    sqs = boto3.client("sqs")

    def url(queue: str) -> str:
        try:
            return sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        except sqs.exceptions.QueueDoesNotExist as error:
            raise Refused(f"no queue {queue} here: is the stage deployed, and there?") from error

    if options.source == "notices-dead-letters":
        give = to_queue(sqs, url(names["NOTICES_QUEUE"]))
        source = names["NOTICES_DEAD_LETTER_QUEUE"]
    else:
        give = to_function(Function(lambda_client(), "on_batch_events", names["JOBS_TABLE"]))
        undeliverable = names["EVENTS_QUEUE"].removesuffix("events") + "undeliverable"
        source = {"undeliverable": undeliverable}.get(options.source, names["DEAD_LETTER_QUEUE"])

    tally = redrive(sqs, url(source), give, lambda line: print(line, flush=True))
    print(
        f"{tally.given} handed over; left: {tally.again} put aside again, {tally.cut} cut when they"
        f" were put aside, {tally.failed} failed"
    )


if __name__ == "__main__":
    sys.exit(told_plainly(main))
