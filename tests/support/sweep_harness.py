"""A recorder and sweeps around one local AWS, one stand-in Batch and one clock: what the sweep's
tests act on."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from botocore.config import Config

from chalicelib.notices.rules import Rules
from chalicelib.runtime import Runtime
from chalicelib.sweep.reconcile.reconciler import ReconcileTally
from chalicelib.sweep.watch.queue_watch import WatchTally
from chalicelib.telemetry import Tally
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.builders import NOON
from tests.support.crash_injection import call_around_requests, crash_at
from tests.support.recorder_harness import NO_RULES, RecorderHarness, aws_session

HOUR = 3_600_000
MINUTE = 60_000
AGES = dict.fromkeys(
    ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "OTHER"),
    timedelta(hours=1),
)
STUCK_AGES = {
    "SUBMITTED": timedelta(minutes=15),
    "PENDING": timedelta(hours=24),
    "RUNNABLE": timedelta(hours=1),
    "SCHEDULED": timedelta(minutes=30),
    "STARTING": timedelta(minutes=30),
}
BLOCKED_AFTER = timedelta(minutes=10)


class SweepHarness:
    """`now` is epoch milliseconds, and Batch goes by it too."""

    def __init__(
        self, aws: LocalAws, resources: Resources, batch: BatchServer, rules: Rules = NO_RULES
    ) -> None:
        self.batch = batch
        self.now = NOON
        self.tallies: list[ReconcileTally] = []
        self.slept: list[float] = []
        self.requests: Counter[str] = Counter()
        runtime = Runtime(now=lambda: self.now / 1000, sleep=lambda seconds: None)
        self.recorder = RecorderHarness(aws, resources, rules=rules, runtime=runtime)
        self._aws = aws
        self._resources = resources
        self._rules = rules

    def sweep(
        self,
        *,
        since: int | None = None,
        calls: int = 100,
        queues: Sequence[str] = (),
        on_request: Callable[[], None] | None = None,
        endpoint: str | None = None,
    ) -> ReconcileTally:
        """One run of repair, of its own. `on_request` is called before each of its requests, and
        after each answer; `endpoint` may be a proxy before the local AWS."""
        container = self._function(on_request, endpoint, queues).container
        container.reconcile_calls = calls
        container.report = self._note
        return container.reconcile_step.run(lambda: 100, since)

    def sweep_dying_at(self, nth: int) -> int:
        """A sweep that dies at the nth of its requests and answers (-1: never); see `crash_at`."""
        return crash_at(nth, lambda on_request: self.sweep(on_request=on_request))

    def watch_queues(
        self,
        *,
        calls: int = 10,
        queues: Sequence[str] = (),
        on_request: Callable[[], None] | None = None,
    ) -> WatchTally:
        """Run the watch over queues once, with clients of its own."""
        function = self._function(on_request, queues=queues)
        self.requests = function.requests
        function.container.watch_calls = calls
        return function.container.queue_watch.run(lambda: 100)

    def _function(
        self,
        on_request: Callable[[], None] | None,
        endpoint: str | None = None,
        queues: Sequence[str] = (),
    ) -> RecorderHarness:
        """Return the parts of one function, with clients of its own."""
        runtime = Runtime(now=lambda: self.now / 1000, sleep=self.slept.append)
        function = RecorderHarness(
            self._aws,
            self._resources,
            endpoint=endpoint,
            rules=self._rules,
            runtime=runtime,
            repair_after=AGES,
            stuck_after=STUCK_AGES,
            blocked_after=BLOCKED_AFTER,
            watched_queues=tuple(queues),
        )
        function.container.clients.batch = batch = self._client()
        if on_request:
            call_around_requests(on_request, function.dynamodb, function.sqs, batch)
        return function

    def _note(self, tally: Tally) -> None:
        if isinstance(tally, ReconcileTally):
            self.tallies.append(tally)

    def notices(self) -> list[str]:
        """Takes all that lies on the notices queue."""
        url = self._aws.queue_url(self._resources.notices_queue)
        bodies: list[str] = []
        while found := self._aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            bodies += [message["Body"] for message in found]
        return bodies

    def _client(self) -> Any:
        config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        return aws_session().client("batch", endpoint_url=self.batch.url, config=config)
