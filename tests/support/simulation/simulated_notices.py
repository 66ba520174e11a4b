"""Days of notices in seconds: the recorder and the notifier in simulated time, with the table of
the local AWS and the stand-in Webex, whose messages have simulated times too.

Lambda is simulated as it polls a queue: a batch of up to 100 messages every BATCH_WINDOW seconds.
Requests take no time.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, cast

from chalicelib.aws.clients import Clients
from chalicelib.aws.dynamodb import chunks
from chalicelib.aws.lambda_event import Message
from chalicelib.aws.sqs import MessageQueue
from chalicelib.bootstrap import Container
from chalicelib.errors import MessagesLeft
from chalicelib.notices.rules import Rules
from chalicelib.queues.state import QueueState
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.telemetry import Tally
from chalicelib.webex.client import Webex
from chalicelib.webex.notifier import NoticeTally
from local.aws import ROOT, LocalAws, Resources
from local.ports import free_port
from local.webex import ROOM, TOKEN, WebexServer
from tests.support.builders import NOON, a_message
from tests.support.recorder_harness import aws_session
from tests.support.simulation.simulated_sqs import SimulatedSqs

BATCH_WINDOW = 5
DEFAULT_RULES = (ROOT / "chalicelib" / "notices.toml").read_text()
_BATCH = 100
_TIME_LEFT_SECONDS = 100.0


class SimulatedNotices:
    """The functions `on_batch_events`, `on_notices` and `sweep` at `now`, in epoch seconds."""

    def __init__(self, aws: LocalAws, resources: Resources, rules: str) -> None:
        self.now = NOON / 1_000
        self.webex = WebexServer(free_port(), clock=lambda: self.now)
        self.tallies: list[NoticeTally] = []
        self.reported_at: list[float] = []
        """The seconds after noon of each tally."""
        self.dead_letter_queue = resources.notices_dead_letter_queue
        self._queue = resources.notices_queue
        self.sqs = SimulatedSqs(lambda: self.now, {self._queue: self.dead_letter_queue})
        self._clients = Clients(aws_session(), endpoint_url=aws.endpoint)
        self._environment = resources.environment
        self.deploy(rules)

    def deploy(self, rules: str, **settings: str) -> None:
        """Replace the functions by functions with these rules and environment variables."""
        runtime = Runtime(now=lambda: self.now, sleep=lambda seconds: None)
        environment = Settings.from_environment({**self._environment, **settings})
        self._container = container = Container(environment, self._clients, runtime)
        container.rules = Rules.parse(rules, ROOM)
        container.report = self._keep
        container.webex = Webex(self.webex.api_url, lambda: TOKEN, runtime)
        container.notices_queue = MessageQueue(
            cast("Any", self.sqs), self._queue, self.dead_letter_queue
        )

    @property
    def waiting(self) -> int:
        """Return the number of messages in the notices queue."""
        return len(self.sqs.messages(self._queue))

    def record(self, bodies: Sequence[str]) -> None:
        for batch in chunks(bodies, 500):
            self._container.recorder.record(
                [a_message(body) for body in batch], lambda: _TIME_LEFT_SECONDS
            )

    def use_batch(self, url: str) -> None:
        """Use Batch's API at a URL."""
        self._clients.batch = Clients(aws_session(), endpoint_url=url).batch

    def watch_queues(self) -> None:
        """Run the sweep's watch over queues once. `use_batch` comes first."""
        self._container.queue_watch.run(lambda: _TIME_LEFT_SECONDS)

    def watched_since(self, at: int, *queues: str) -> None:
        """Store that the sweep has watched these queues since a time in epoch milliseconds."""
        for queue in queues:
            self._container.queue_state_table.save(queue, QueueState(watched_since=at), 0)

    def sweep(self) -> None:
        """Run a sweep without the step that counts, on which no notice depends. `use_batch` comes
        first."""
        for step in ("reconcile", "watch"):
            self._container.sweep.run(lambda: _TIME_LEFT_SECONDS, only=step)

    def run(self, seconds: float, arrivals: Callable[[float], Sequence[str]] | None = None) -> None:
        """Advance the time and invoke the functions. `arrivals` returns the bodies of the events
        that have arrived since its last call."""
        end = self.now + seconds
        while self.now < end:
            if arrivals:
                self.record(arrivals(self.now))
            while self._invoke():
                pass
            visible = (stored.visible_at for stored in self.sqs.messages(self._queue).values())
            step = self.now + BATCH_WINDOW
            self.now = min(end, step if arrivals else max(step, min(visible, default=end)))

    def sent_at(self) -> list[float]:
        """Return the seconds after noon of each message in the room."""
        created = (datetime.fromisoformat(each.created) for each in self.webex.messages())
        return [moment.timestamp() - NOON / 1_000 for moment in created]

    def per_hour(self, hours: int) -> list[int]:
        """Return the number of messages in each hour since noon."""
        by_hour = Counter(int(at // 3_600) for at in self.sent_at())
        return [by_hour[hour] for hour in range(hours)]

    def _invoke(self) -> bool:
        """Invoke the notifier with the messages that are visible. Return whether there are any."""
        receives = (
            self.sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10)["Messages"]
            for _ in range(_BATCH // 10)
        )
        received = itertools.chain.from_iterable(itertools.takewhile(bool, receives))
        messages = [Message.of(each) for each in received]
        if not messages:
            return False
        with suppress(MessagesLeft):
            self._container.notifier.notify(messages, lambda: _TIME_LEFT_SECONDS)
            self.sqs.delete_message_batch(
                QueueUrl=self._queue,
                Entries=[{"ReceiptHandle": each.receipt_handle} for each in messages],
            )
        return True

    def _keep(self, tally: Tally) -> None:
        if isinstance(tally, NoticeTally):
            self.tallies.append(tally)
            self.reported_at.append(self.now - NOON / 1_000)
