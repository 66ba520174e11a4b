"""A recorder and sweeps around one local AWS, one stand-in Batch and one clock: what the sweep's
tests act on."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from botocore.config import Config

from chalicelib.aws.sqs import MessageQueue
from chalicelib.notices.rules import Rules
from chalicelib.queues.incidents import IncidentPolicy
from chalicelib.recording.ingest import Ingest
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable
from chalicelib.sweep.reconcile.reconciler import ReconcileTally
from chalicelib.sweep.reconcile.step import ReconcileLimits, ReconcileStep
from chalicelib.sweep.watch.confirmation import BatchConfirmation
from chalicelib.sweep.watch.outbox import Outbox
from chalicelib.sweep.watch.queue_watch import QueueWatch, WatchTally
from chalicelib.sweep.watch.run_times import RunTimes
from chalicelib.sweep.watch.snapshots import SnapshotReader
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.builders import NOON
from tests.support.crash_injection import call_around_requests, crash_at
from tests.support.recorder_harness import NO_RULES, NO_SLEEP, RecorderHarness, aws_session

HOUR = 3_600_000
AGES = dict.fromkeys(
    ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "OTHER"), HOUR
)


MINUTE = 60_000
STUCK_AGES = {
    "SUBMITTED": 15 * MINUTE,
    "PENDING": 24 * HOUR,
    "RUNNABLE": HOUR,
    "SCHEDULED": 30 * MINUTE,
    "STARTING": 30 * MINUTE,
}
BLOCKED_AFTER = 10 * MINUTE


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
        self.stand = RecorderHarness(aws, resources, rules=rules, runtime=runtime)
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
        stand, batch, notices = self._function(on_request, endpoint)
        resources = self._resources
        step = ReconcileStep(
            batch=batch,
            jobs=stand.table,
            index=stand.index,
            registry=stand.registry,
            checkpoints=CheckpointTable(stand.dynamodb, resources.jobs_table),
            ingest=Ingest(stand.table, stand.arrays, self._rules, notices, NO_SLEEP),
            redaction=Redaction(),
            limits=ReconcileLimits(AGES, queues, calls),
            report=self.tallies.append,
            runtime=Runtime(now=lambda: self.now / 1000, sleep=self.slept.append),
        )
        return step.run(lambda: 100, since)

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
        stand, batch, notices = self._function(on_request)
        self.requests = stand.requests
        runtime = Runtime(now=lambda: self.now / 1000, sleep=self.slept.append)
        ingest = Ingest(stand.table, stand.arrays, self._rules, notices, NO_SLEEP)
        run_times = RunTimes(stand.index, runtime)
        watch = QueueWatch(
            lambda: [*stand.registry.names(), *queues],
            SnapshotReader(stand.table, stand.index, stand.queues, run_times, STUCK_AGES),
            BatchConfirmation(batch, ingest, Redaction(), calls, runtime),
            IncidentPolicy(rules=self._rules, blocked_after=BLOCKED_AFTER),
            Outbox(stand.queues, notices),
            lambda tally: None,
            runtime,
        )
        return watch.run(lambda: 100)

    def _function(
        self, on_request: Callable[[], None] | None, endpoint: str | None = None
    ) -> tuple[RecorderHarness, Any, MessageQueue]:
        """The clients of one function, Batch's among them, and its notices queue."""
        stand, batch = (
            RecorderHarness(self._aws, self._resources, endpoint=endpoint),
            self._client(),
        )
        if on_request:
            call_around_requests(on_request, stand.dynamodb, stand.sqs, batch)
        resources = self._resources
        notices = MessageQueue(
            stand.sqs, resources.notices_queue, resources.notices_dead_letter_queue
        )
        return stand, batch, notices

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
