"""A recorder and sweeps around one local AWS, one stand-in Batch and one clock: what the sweep's
tests act on."""

from collections.abc import Callable, Sequence
from typing import Any

import boto3
from botocore.config import Config

from chalicelib.archive import Archive
from chalicelib.message_queue import MessageQueue
from chalicelib.notice_rules import Rules
from chalicelib.redaction import Redaction
from chalicelib.repair import Parts, Repair, RepairRules, RepairTally
from chalicelib.repair_ledger import RepairLedger
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.builders import NOON
from tests.stand import SILENT, Stand

HOUR = 3_600_000
AGES = dict.fromkeys(
    ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "OTHER"), HOUR
)


class Killed(BaseException):
    """The function died here: nothing of it runs any more."""


class Watch:
    """`now` is epoch milliseconds, and Batch goes by it too."""

    def __init__(
        self, aws: LocalAws, resources: Resources, batch: BatchServer, rules: Rules = SILENT
    ) -> None:
        self.batch = batch
        self.now = NOON
        self.tallies: list[RepairTally] = []
        self.slept: list[float] = []
        self.stand = Stand(aws, resources, rules=rules)
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
    ) -> RepairTally:
        """One run of a sweep of its own. `on_request` is called before each of its requests, and
        after each answer."""
        stand = Stand(self._aws, self._resources)
        batch = self._client()
        if on_request:
            for client in (stand.dynamodb, stand.sqs, batch):
                client.meta.events.register("before-send", lambda **_: on_request())
                client.meta.events.register("after-call", lambda **_: on_request())
        resources = self._resources
        notices = MessageQueue(
            stand.sqs, resources.notices_queue, resources.notices_dead_letter_queue
        )
        parts = Parts(
            batch=batch,
            table=stand.table,
            ledger=RepairLedger(stand.dynamodb, resources.jobs_table),
            archive=Archive(stand.table, self._rules, notices, sleep=lambda seconds: None),
            redaction=Redaction(),
            rules=RepairRules(AGES, queues, calls),
            clock=lambda: self.now / 1000,
            sleep=self.slept.append,
        )
        return Repair(parts, self.tallies.append).run(lambda: 100, since)

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
        session: Any = boto3.Session(
            aws_access_key_id="local", aws_secret_access_key="local", region_name="us-east-1"
        )
        config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
        return session.client("batch", endpoint_url=self.batch.url, config=config)
