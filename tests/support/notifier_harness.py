"""Runs notifiers against the local AWS's table and queues and the stand-in Webex server.

The test sets the clock: leases, pauses and ages depend on `NotifierHarness.now`, and messages that
SQS would still hide are received again at the next `deliver`.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from chalicelib.aws.lambda_event import Message
from chalicelib.aws.sqs import Disposition
from chalicelib.bootstrap import Container
from chalicelib.errors import MessagesLeft
from chalicelib.notices.notice import Notice
from chalicelib.notices.rules import Rules
from chalicelib.runtime import Runtime
from chalicelib.telemetry import Tally
from chalicelib.webex.client import Webex
from chalicelib.webex.notifier import NoticeTally, Notifier
from chalicelib.webex.room_delivery import PendingNotice
from local.aws import LocalAws, Resources
from local.webex import ROOM, TOKEN, WebexServer
from tests.support.builders import NOON
from tests.support.crash_injection import call_around_requests
from tests.support.recorder_harness import RecorderHarness

JOB_RULES = '[[rule]]\non = ["SUCCEEDED", "FAILED", "RUNNING"]'


class NotifierHarness:
    """A recorder and any number of notifiers with one clock, `now`, in epoch seconds."""

    def __init__(
        self, aws: LocalAws, resources: Resources, webex: WebexServer, rules: str = JOB_RULES
    ) -> None:
        self.webex = webex
        self.now = NOON / 1000
        self.tallies: list[NoticeTally] = []
        self.rules = Rules.parse(rules, ROOM)
        self.recorder = RecorderHarness(aws, resources, rules=self.rules)
        self._aws = aws
        self._resources = resources
        self._url = aws.queue_url(resources.notices_queue)
        self._received: list[Message] = []

    def notifier(self, on_request: Callable[[], None] | None = None) -> Notifier:
        """Build a notifier with its own AWS clients, as in another Lambda environment.

        `on_request` is called before each of its requests to AWS, and after each response.
        """
        return self._container(on_request).notifier

    def _container(self, on_request: Callable[[], None] | None = None) -> Container:
        runtime = Runtime(now=lambda: self.now, sleep=lambda seconds: None)
        own = RecorderHarness(self._aws, self._resources, runtime=runtime)
        if on_request:
            call_around_requests(on_request, own.dynamodb, own.sqs)
        own.container.webex = Webex(self.webex.api_url, lambda: TOKEN, runtime)
        own.container.report = self._note
        return own.container

    def redeliver(self, message: Message, *, seconds: float) -> Disposition:
        """Deliver one message again and again for so many seconds, each time after the delay of its
        disposition, as SQS does. Return the last disposition."""
        notice, rooms = Notice.decode(message.body), self._container().room_delivery
        pending = PendingNotice(notice, (message,), queued_at=int(self.now * 1000))
        end, disposition = self.now + seconds, Disposition.retry(0)
        while disposition.retry_after is not None and self.now + disposition.retry_after < end:
            self.now += disposition.retry_after
            result = rooms.deliver(notice.room, [pending], lambda: 100)
            disposition = result.dispositions[notice.key]
        return disposition

    def _note(self, tally: Tally) -> None:
        if isinstance(tally, NoticeTally):
            self.tallies.append(tally)

    def deliver(self, notifier: Notifier | None = None, most: int = 500) -> int:
        """Invoke a notifier with up to `most` messages of the queue, and return their number."""
        messages = self.receive(most)
        if messages:
            self.invoke(notifier or self.notifier(), messages)
        return len(messages)

    def deliver_all(
        self, notifier: Notifier | None = None, *, step: float = 11, most: int = 500
    ) -> int:
        """Invoke a notifier every `step` seconds until the queue is empty, and return how often."""
        notifier = notifier or self.notifier()
        for count in range(1_000):
            if not self.deliver(notifier, most):
                return count
            self.now += step
        raise AssertionError("the queue is not empty after 1,000 invocations")

    def invoke(self, notifier: Notifier, messages: list[Message]) -> None:
        """Invoke a notifier, and delete the messages if it does not raise, as Lambda does."""
        try:
            notifier.notify(messages, lambda: 100)
        except MessagesLeft:
            return
        for message in messages:
            with suppress(self._aws.sqs.exceptions.ClientError):
                self._aws.sqs.delete_message(
                    QueueUrl=self._url, ReceiptHandle=message.receipt_handle
                )

    def invoke_concurrently(self, notifiers: int, messages: list[Message]) -> None:
        """Distribute the messages among notifiers that run at the same time."""
        shares = [messages[start::notifiers] for start in range(notifiers)]
        with ThreadPoolExecutor(notifiers) as threads:
            list(threads.map(lambda share: self.invoke(self.notifier(), share), shares))

    def receive(self, most: int) -> list[Message]:
        """Receive up to `most` messages, including those received before and not deleted."""
        for message in self._received:
            self._make_visible(message.receipt_handle)
        self._received.clear()
        while len(self._received) < most:
            answer = self._aws.sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(10, most - len(self._received)),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
            if not answer.get("Messages"):
                break
            self._received += [Message.of(record) for record in answer["Messages"]]
        return [
            Message(m.message_id, m.receipt_handle, m.body, m.receive_count, int(self.now * 1000))
            for m in self._received
        ]

    def post(self, body: str) -> None:
        """Send any body to the notices queue."""
        self._aws.sqs.send_message(QueueUrl=self._url, MessageBody=body)

    def texts(self, room: str = ROOM) -> list[str]:
        return [message.markdown or "" for message in self.webex.messages(room)]

    def dead_letters(self) -> list[dict[str, Any]]:
        """Receive all messages of the notices' dead-letter queue."""
        url = self._aws.queue_url(self._resources.notices_dead_letter_queue)
        letters: list[dict[str, Any]] = []
        while found := self._aws.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            letters += found
        return letters

    def _make_visible(self, receipt_handle: str) -> None:
        with suppress(self._aws.sqs.exceptions.ClientError):
            self._aws.sqs.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=0
            )
