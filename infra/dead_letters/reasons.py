"""Reasons of dead letters: `make dead-letters STAGE=prod` counts the messages of each reason, and
deletes those of a reason with `FROM=dead-letters DISCARD='*not a Batch job id*'`."""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3

from infra import stages
from infra.dead_letters.queues import (
    SOURCES,
    check_source,
    delete,
    has_reason,
    queue_name,
    queue_url,
    reason,
    receive,
    visible_again,
)
from infra.errors import CommandError, run_command

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


@dataclass(frozen=True)
class DeadLetter:
    """A message that was dead-lettered, without its body."""

    reason: str
    sent_at: int
    """Epoch milliseconds."""


def dead_letters(sqs: "SQSClient", url: str) -> list[DeadLetter]:
    """Return the messages of a queue, and leave them in it."""
    with visible_again(sqs, url) as received:
        for messages in receive(sqs, url):
            received += messages
        return [
            DeadLetter(reason(message), int(message["Attributes"]["SentTimestamp"]))
            for message in received
        ]


def discard(sqs: "SQSClient", url: str, glob: str) -> int:
    """Delete the messages whose reason matches the glob, and return their number."""
    discarded = 0
    with visible_again(sqs, url) as left:
        for messages in receive(sqs, url):
            left += [message for message in messages if not has_reason(message, glob)]
            for message in messages:
                if has_reason(message, glob):
                    delete(sqs, url, message)
                    discarded += 1
    return discarded


def render(queue: str, letters: Iterable[DeadLetter]) -> list[str]:
    """Return a line for the queue and one for each reason, the most frequent one first."""
    by_reason: dict[str, list[int]] = {}
    for letter in letters:
        by_reason.setdefault(letter.reason, []).append(letter.sent_at)
    most_first = sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        f"{queue}: {sum(map(len, by_reason.values()))} messages",
        *(
            f"  {len(times):>6}  {_minute(min(times))} to {_minute(max(times))}  {text}"
            for text, times in most_first
        ),
    ]


def _minute(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%dT%H:%MZ}"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make dead-letters", description="Count, or delete, the dead letters of each reason."
    )
    parser.add_argument("--stage", required=True, help="the stage of the queues")
    parser.add_argument("--from", dest="source", metavar="FROM", help=" or ".join(SOURCES))
    parser.add_argument("--discard", help="a reason or a glob: delete the messages with it")
    options = parser.parse_args()
    if options.source:
        check_source(options.source)
    elif options.discard:
        raise CommandError(f"DISCARD needs FROM, which is {', '.join(SOURCES)}")
    environment = stages.environment_of(options.stage)
    sqs = boto3.client("sqs")
    for source in [options.source] if options.source else SOURCES:
        queue = queue_name(source, environment)
        url = queue_url(sqs, queue)
        if options.discard:
            print(f"{discard(sqs, url, options.discard)} messages deleted", flush=True)
        print("\n".join(render(queue, dead_letters(sqs, url))), flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
