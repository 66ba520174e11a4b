"""The SQS queues behind the rule for simulated events."""

import sys
import time
from typing import Literal

from local.simulator.bus import SOURCE
from local.simulator.local_stack import LocalStackError, aws_errors, events_client, sqs_client
from local.simulator.progress import Report

_POLL_SECONDS = 0.2
_EMPTY_POLLS = 3
"""Consecutive empty results until a queue counts as empty, because its numbers are approximate."""
_COUNTS: list[
    Literal[
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]


class EventQueues:
    """The queues that are targets of rules for simulated events."""

    def __init__(self, aws_url: str) -> None:
        """Find the queues. Raise LocalStackError if there is none."""
        self._aws_url = aws_url
        self._sqs = sqs_client(aws_url)
        events = events_client(aws_url)
        with aws_errors(aws_url):
            targets = [
                target["Arn"]
                for rule in events.list_rules()["Rules"]
                if SOURCE in rule.get("EventPattern", "")
                for target in events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
            ]
            self._urls = [
                self._sqs.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
                for arn in targets
                if ":sqs:" in arn
            ]
        if not self._urls:
            raise LocalStackError(
                f"no rule at {aws_url} sends events from {SOURCE} to a queue: start the local"
                " stack with `make run`"
            )

    def wait_until_empty(self, timeout: float, report: Report) -> None:
        """Wait until no message is waiting or in flight, at most `timeout` seconds."""
        deadline = time.monotonic() + timeout
        empty_polls = 0
        while empty_polls < _EMPTY_POLLS:
            messages = self._count_messages()
            empty_polls = 0 if messages else empty_polls + 1
            report(f"{messages} events not recorded yet")
            if time.monotonic() > deadline:
                print(f"{messages} events not recorded after {timeout:g} s", file=sys.stderr)
                return
            time.sleep(_POLL_SECONDS)

    def _count_messages(self) -> int:
        with aws_errors(self._aws_url):
            responses = [
                self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=_COUNTS)
                for url in self._urls
            ]
        return sum(
            int(response["Attributes"].get(name, 0)) for response in responses for name in _COUNTS
        )
