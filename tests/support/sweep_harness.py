"""The sweep's runs on a local AWS, with an HTTP server in place of Batch and one clock for all."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from chalicelib.notices.rules import Rules
from chalicelib.runtime import Runtime
from chalicelib.settings import StuckAfter
from chalicelib.sweep.reconcile.reconciler import ReconcileTally
from chalicelib.sweep.watch.queue_watch import WatchTally
from chalicelib.telemetry import Tally
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.builders import NOON
from tests.support.crash_injection import call_around_requests, crash_at
from tests.support.recorder_harness import NO_RULES, RecorderHarness, aws_session

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

REPAIR_AFTER = dict.fromkeys(
    ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "OTHER"),
    timedelta(hours=1),
)
STUCK_AFTER = (
    StuckAfter("*", "SUBMITTED", timedelta(minutes=15)),
    StuckAfter("*", "PENDING", timedelta(hours=24)),
    StuckAfter("*", "RUNNABLE", timedelta(hours=1)),
    StuckAfter("*", "SCHEDULED", timedelta(minutes=30)),
    StuckAfter("*", "STARTING", timedelta(minutes=30)),
)
BLOCKED_AFTER = timedelta(minutes=10)
_MAX_RUNS = 30


class SweepHarness:
    """A recorder, and runs of the sweep's steps with clients of their own, as in several functions.

    `now` is the time for all of them in epoch milliseconds. `tallies` contains the tally of each
    reconciliation run, `slept` the seconds of each delay before a retry, `requests` the number of
    the last watch's requests by operation.
    """

    def __init__(
        self,
        aws: LocalAws,
        resources: Resources,
        batch: BatchServer,
        rules: Rules = NO_RULES,
        job_queues: Sequence[str] = ("*",),
    ) -> None:
        self._job_queues = tuple(job_queues)
        self.batch = batch
        self.now = NOON
        self.tallies: list[ReconcileTally] = []
        self.slept: list[float] = []
        self.requests: Counter[str] = Counter()
        self._existing: set[str] = set()
        runtime = Runtime(now=lambda: self.now / 1000, sleep=lambda seconds: None)
        self.recorder = RecorderHarness(aws, resources, rules=rules, runtime=runtime)
        self._aws = aws
        self._resources = resources
        self._rules = rules

    def reconcile(
        self,
        *,
        since: int | None = None,
        calls: int = 100,
        queues: Sequence[str] = (),
        on_request: Callable[[], None] | None = None,
        endpoint: str | None = None,
    ) -> ReconcileTally:
        """Run the reconciliation once.

        `calls` is the budget, `queues` exist in Batch, `on_request` is called before each request
        and after each response, `endpoint` can be a proxy in front of the local AWS.
        """
        for queue in set(queues) - self._existing:
            self.batch.put_queue(queue)
        self._existing |= set(queues)
        container = self._function(on_request, endpoint).container
        container.reconcile_calls = calls
        container.report = self._add_tally
        return container.reconcile_step.run(lambda: 100, since)

    def reconcile_until_done(self, **options: Any) -> None:
        """Run the reconciliation until no work is left; fail after 30 runs."""
        for _ in range(_MAX_RUNS):
            if not self.reconcile(**options).left:
                return
        raise AssertionError(f"work is left after {_MAX_RUNS} runs")

    def reconcile_crashing_at(self, nth: int) -> int:
        """Run the reconciliation and crash it at its nth request or response; see `crash_at`."""
        return crash_at(nth, lambda on_request: self.reconcile(on_request=on_request))

    def watch_queues(
        self,
        *,
        calls: int = 10,
        on_request: Callable[[], None] | None = None,
    ) -> WatchTally:
        """Run the watch over queues once; the parameters are those of `reconcile`."""
        function = self._function(on_request)
        self.requests = function.requests
        function.container.watch_calls = calls
        return function.container.queue_watch.run(lambda: 100)

    def unrecorded(self, details: Iterable[dict[str, Any]]) -> list[str]:
        """Return the ids of the jobs that the table does not contain."""
        job_ids = [detail["jobId"] for detail in details]
        return [job_id for job_id in job_ids if self.recorder.table.get(job_id) is None]

    def notices(self) -> list[str]:
        """Receive all messages of the notices queue and return their bodies."""
        url = self._aws.queue_url(self._resources.notices_queue)
        bodies: list[str] = []
        while messages := self._aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            bodies += [message["Body"] for message in messages]
        return bodies

    def _function(
        self,
        on_request: Callable[[], None] | None,
        endpoint: str | None = None,
    ) -> RecorderHarness:
        """Return the parts of one function, with clients of its own."""
        runtime = Runtime(now=lambda: self.now / 1000, sleep=self.slept.append)
        function = RecorderHarness(
            self._aws,
            self._resources,
            endpoint=endpoint,
            rules=self._rules,
            runtime=runtime,
            repair_after=REPAIR_AFTER,
            stuck_after=STUCK_AFTER,
            blocked_after=BLOCKED_AFTER,
            job_queues=self._job_queues,
        )
        function.container.clients.batch = batch = self.batch_client()
        if on_request:
            call_around_requests(on_request, function.dynamodb, function.sqs, batch)
        return function

    def batch_client(self) -> "BatchClient":
        config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        client: BatchClient = aws_session().client(
            "batch", endpoint_url=self.batch.url, config=config
        )
        return client

    def _add_tally(self, tally: Tally) -> None:
        if isinstance(tally, ReconcileTally):
            self.tallies.append(tally)
