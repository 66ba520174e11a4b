"""Notifiers with their real parts: the local AWS's table and queues, and the stand-in Webex.

Time is the test's: leases, pauses and ages go by `NotifierHarness.now`, and what would wait
hidden in the queue comes again at once when `deliver` is called.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.aws.dynamodb import Table
from chalicelib.aws.lambda_event import Message
from chalicelib.aws.sqs import MessageQueue
from chalicelib.errors import MessagesLeft
from chalicelib.notices.rules import Rules
from chalicelib.runtime import Runtime
from chalicelib.webex.client import Webex
from chalicelib.webex.delivery_table import DeliveryTable
from chalicelib.webex.notifier import NoticeTally, Notifier, Parts
from chalicelib.webex.text import NoticeText
from local.aws import LocalAws, Resources
from local.webex import ROOM, TOKEN, WebexServer
from tests.support.builders import NOON
from tests.support.crash_injection import call_around_requests
from tests.support.recorder_harness import RecorderHarness

ALL_ENDS = '[[rule]]\non = ["SUCCEEDED", "FAILED", "RUNNING"]'


class NotifierHarness:
    """A recorder, and as many notifiers as a test wants, around one clock."""

    def __init__(
        self, aws: LocalAws, resources: Resources, webex: WebexServer, rules: str = ALL_ENDS
    ) -> None:
        self.webex = webex
        self.now = NOON / 1000
        self.tallies: list[NoticeTally] = []
        self.rules = Rules.parse(rules, ROOM)
        self.stand = RecorderHarness(aws, resources, rules=self.rules)
        self._aws = aws
        self._resources = resources
        self._url = aws.queue_url(resources.notices_queue)
        self._seen: dict[str, Message] = {}

    def notifier(self, on_request: Callable[[], None] | None = None) -> Notifier:
        """Another one, as another function would have it. `on_request` is called before each of
        its requests to AWS, and after each answer."""
        stand = RecorderHarness(self._aws, self._resources)
        if on_request:
            call_around_requests(on_request, stand.dynamodb, stand.sqs)
        resources = self._resources
        parts = Parts(
            jobs=stand.table,
            index=stand.index,
            queues=stand.queues,
            ledger=DeliveryTable(Table(stand.dynamodb, resources.jobs_table)),
            queue=MessageQueue(
                stand.sqs, resources.notices_queue, resources.notices_dead_letter_queue
            ),
            webex=Webex(self.webex.api_url, lambda: TOKEN),
            text=NoticeText(ZoneInfo("UTC")),
            max_age_seconds=86_400,
            runtime=Runtime(now=lambda: self.now, sleep=lambda seconds: None),
        )
        return Notifier(parts, self.tallies.append)

    def deliver(self, notifier: Notifier | None = None, most: int = 500) -> int:
        """One invocation with what lies in the queue, hidden or not; how many there were."""
        messages = self.receive(most)
        if messages:
            self.invoke(notifier or self.notifier(), messages)
        return len(messages)

    def deliver_all(
        self, notifier: Notifier | None = None, *, step: float = 11, most: int = 500
    ) -> int:
        """Invocations until the queue is empty, `step` seconds apart; how many there were."""
        notifier = notifier or self.notifier()
        for count in range(1_000):
            if not self.deliver(notifier, most):
                return count
            self.now += step
        raise AssertionError("the queue does not become empty")

    def invoke(self, notifier: Notifier, messages: list[Message]) -> None:
        """As Lambda does: what was delivered is deleted, unless the function raises."""
        try:
            notifier.notify(messages, lambda: 100)
        except MessagesLeft:
            return
        for message in messages:
            with suppress(self._aws.sqs.exceptions.ClientError):
                self._aws.sqs.delete_message(
                    QueueUrl=self._url, ReceiptHandle=message.receipt_handle
                )

    def receive(self, most: int) -> list[Message]:
        """All that lies in the queue, though it may be hidden."""
        for handle in list(self._seen):
            self._show(handle)
        self._seen.clear()
        found: list[Message] = []
        while len(found) < most:
            answer = self._aws.sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(10, most - len(found)),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
            if not answer.get("Messages"):
                break
            found += [Message.of(record) for record in answer["Messages"]]
        self._seen = {message.receipt_handle: message for message in found}
        return [
            Message(m.message_id, m.receipt_handle, m.body, m.receive_count, int(self.now * 1000))
            for m in found
        ]

    def at_once(self, notifiers: int, messages: list[Message]) -> None:
        """The messages, dealt out to so many notifiers that work at the same time."""
        hands = [messages[start::notifiers] for start in range(notifiers)]
        with ThreadPoolExecutor(notifiers) as threads:
            list(threads.map(lambda hand: self.invoke(self.notifier(), hand), hands))

    def post(self, body: str) -> None:
        """Puts a message on the notices queue that nothing of ours would."""
        self._aws.sqs.send_message(QueueUrl=self._url, MessageBody=body)

    def texts(self, room: str = ROOM) -> list[str]:
        return [message.markdown or "" for message in self.webex.messages(room)]

    def dead_letters(self) -> list[dict[str, Any]]:
        url = self._aws.queue_url(self._resources.notices_dead_letter_queue)
        letters: list[dict[str, Any]] = []
        while found := self._aws.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            letters += found
        return letters

    def _show(self, handle: str) -> None:
        with suppress(self._aws.sqs.exceptions.ClientError):
            self._aws.sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=handle, VisibilityTimeout=0
            )
