"""Redrive of dead-letter queues: `make redrive STAGE=prod FROM=undeliverable`.

    FROM                   its messages                                     are passed to
    dead-letters           events that could not be recorded                on_batch_events
    undeliverable          events that EventBridge could not deliver        on_batch_events
    notices-dead-letters   notices that Webex rejected                      the notices queue

Only the EventBridge rule may write to the events queue, so events are passed to the function
itself, as a batch of its queue. A message is deleted after the function has returned or the queue
has accepted it. The function dead-letters again what it still can't record; such a message is left
in the queue. With REASON='…', only the messages of that reason are passed on.
"""

import argparse
import json
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import boto3

from infra import stages
from infra.dead_letters.queues import (
    ANY_REASON,
    SOURCES,
    attribute,
    check_source,
    delete,
    has_reason,
    queue_name,
    queue_url,
    receive,
    visible_again,
)
from infra.errors import run_command
from infra.functions import Function, FunctionFailed, lambda_client

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef as Message

_MAX_PAYLOAD_BYTES = 5_000_000
"""The most bytes of message bodies per invocation. Lambda's limit is 6 MB for the whole payload."""

Target = Callable[["list[Message]"], Collection[str]]
"""Accepts messages, and returns the ids under which they would be dead-lettered again. Raises
FunctionFailed or botocore's errors; then it has accepted none."""
Report = Callable[[str], None]
"""Receives a line of progress."""


@dataclass(frozen=True)
class Tally:
    """Numbers of messages. All but those that were passed on are still in the queue."""

    passed_on: int = 0
    returned: int = 0
    """Dead-lettered again by the function, for the same or another reason."""
    truncated: int = 0
    """Incomplete, because the body was too long for a dead letter."""
    failed: int = 0
    """Not accepted by the target."""
    other: int = 0
    """Dead-lettered for another reason than the given one."""


def redrive(
    sqs: "SQSClient", url: str, target: Target, report: Report, reason: str = ANY_REASON
) -> Tally:
    """Pass each message of the queue to the target, once, if its reason matches the glob."""
    ids: set[str] = set()
    passed_on = returned = truncated = failed = other = 0
    with visible_again(sqs, url) as unfinished:
        for messages in receive(sqs, url):
            unfinished += messages
            new = [m for m in messages if attribute(m, "MessageId") not in ids]
            chosen = [message for message in new if has_reason(message, reason)]
            complete = [message for message in chosen if attribute(message, "BodyCut") != "true"]
            rejected = _pass_on(complete, target, report, ids)
            for message in complete:
                if message not in rejected:
                    delete(sqs, url, message)
                    passed_on += 1
                    unfinished.remove(message)
            returned += len(messages) - len(new)
            other += len(new) - len(chosen)
            truncated += len(chosen) - len(complete)
            failed += len(rejected)
            report(f"{passed_on} messages passed on")
    return Tally(passed_on, returned, truncated, failed, other)


def _pass_on(
    messages: "list[Message]", target: Target, report: Report, ids: set[str]
) -> "list[Message]":
    """Pass the messages on together, or one by one if that fails, and add their ids to `ids`.
    Return the rejected ones."""
    if not messages:
        return []
    try:
        ids.update(target(messages))
    except FunctionFailed as error:
        if len(messages) == 1:
            report(f"1 message left in the queue: {error}")
            return messages
        return list(chain(*(_pass_on([message], target, report, ids) for message in messages)))
    return []


def function_target(function: Function) -> Target:
    def invoke(messages: "list[Message]") -> Collection[str]:
        for batch in _batches(messages):
            function.call({"Records": [_record(message) for message in batch]})
        return [message["MessageId"] for message in messages]

    return invoke


def queue_target(sqs: "SQSClient", url: str) -> Target:
    def send(messages: "list[Message]") -> Collection[str]:
        return [
            sqs.send_message(QueueUrl=url, MessageBody=message["Body"])["MessageId"]
            for message in messages
        ]

    return send


def _batches(messages: "list[Message]") -> "Iterator[list[Message]]":
    """Split messages so that each batch fits into the payload of one invocation."""
    batch: list[Message] = []
    batch_bytes = 0
    for message in messages:
        size = len(json.dumps(message["Body"]))
        if batch and batch_bytes + size > _MAX_PAYLOAD_BYTES:
            yield batch
            batch, batch_bytes = [], 0
        batch.append(message)
        batch_bytes += size
    yield batch


def _record(message: "Message") -> dict[str, object]:
    """Return the message as an SQS trigger passes it to a function."""
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": message["Attributes"]["SentTimestamp"],
        },
        "messageAttributes": {},
        "eventSource": "aws:sqs",
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make redrive", description="Process the messages of a dead-letter queue again."
    )
    parser.add_argument("--stage", required=True, help="the stage of the queue")
    parser.add_argument(
        "--from", dest="source", required=True, metavar="FROM", help=" or ".join(SOURCES)
    )
    parser.add_argument("--reason", default=ANY_REASON, help="a reason or a glob: no others")
    options = parser.parse_args()
    check_source(options.source)
    environment = stages.environment_of(options.stage)
    sqs = boto3.client("sqs")
    source = queue_name(options.source, environment)
    if options.source == "notices-dead-letters":
        target = queue_target(sqs, queue_url(sqs, environment["NOTICES_QUEUE"]))
    else:
        function = Function(lambda_client(), "on_batch_events", environment["JOBS_TABLE"])
        target = function_target(function)

    tally = redrive(
        sqs,
        queue_url(sqs, source),
        target,
        report=lambda line: print(line, flush=True),
        reason=options.reason,
    )
    print(
        f"{tally.passed_on} messages passed on. Left in {source}: {tally.returned} dead-lettered"
        f" again, {tally.truncated} truncated, {tally.failed} failed, {tally.other} of another"
        " reason"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
