"""The recorder on a local AWS, with access to what it stored.

A test about the queue sends messages through the real queue; other tests pass them directly to the
recorder, as Lambda does.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from chalicelib.aws.dynamodb import Table
from chalicelib.aws.lambda_event import Message
from chalicelib.aws.sqs import MessageQueue
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.array_summary import BlockKey
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.job import Job
from chalicelib.jobs.job_index import JobIndex
from chalicelib.jobs.job_table import JobTable
from chalicelib.notices.rules import Rules
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.queues.state_table import QueueStateTable
from chalicelib.recording.event import EventReader
from chalicelib.recording.ingest import Ingest
from chalicelib.recording.poison_messages import PoisonMessages
from chalicelib.recording.recorder import Recorder, RecordingTally
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from local.aws import ROOT_KEY, LocalAws, Resources
from tests.support.builders import ACCOUNT, SOURCE, a_message

NO_RULES = Rules(())
NO_SLEEP = Runtime(sleep=lambda seconds: None)


class RecorderHarness:
    """A recorder and its tables. `endpoint` can be a proxy in front of the local AWS; the methods
    that read what was stored don't use it. `tries` is the number of botocore's attempts."""

    def __init__(
        self,
        aws: LocalAws,
        resources: Resources,
        *,
        endpoint: str | None = None,
        retention_days: int = 0,
        runtime: Runtime = NO_SLEEP,
        tries: int = 1,
        rules: Rules = NO_RULES,
    ) -> None:
        self.aws = aws
        self.resources = resources
        self.requests: Counter[str] = Counter()
        self.tallies: list[RecordingTally] = []
        self._endpoint = endpoint or aws.endpoint
        self._tries = tries
        self.dynamodb, self.sqs = self._client("dynamodb"), self._client("sqs")
        dynamodb, sqs = self.dynamodb, self.sqs
        self.table = JobTable(dynamodb, resources.jobs_table, retention_days=retention_days)
        self.index = JobIndex(dynamodb, resources.jobs_table, self.table)
        self.registry = QueueRegistry(dynamodb, resources.jobs_table)
        self.arrays = ArrayTable(dynamodb, resources.jobs_table, retention_days=retention_days)
        self.queues = QueueStateTable(Table(dynamodb, resources.jobs_table), runtime)
        self.ingest = Ingest(
            self.table,
            self.arrays,
            rules,
            MessageQueue(sqs, resources.notices_queue, resources.notices_dead_letter_queue),
            runtime,
        )
        self.recorder = Recorder(
            reader=EventReader(("aws.batch", SOURCE), ACCOUNT, Redaction()),
            ingest=self.ingest,
            jobs=self.table,
            queue_states=self.queues,
            events_queue=MessageQueue(sqs, resources.events_queue, resources.dead_letter_queue),
            poison_messages=PoisonMessages(dynamodb, resources.jobs_table, runtime),
            report=self.tallies.append,
            runtime=runtime,
        )

    def record(self, messages: Sequence[Message | str], seconds: float = 100) -> RecordingTally:
        """Record one delivery and return its tally. Raises MessagesLeft, as the function does."""
        delivered = [a_message(m) if isinstance(m, str) else m for m in messages]
        self.recorder.record(delivered, lambda: seconds)
        return self.tallies[-1]

    def send(self, bodies: Iterable[str]) -> None:
        """Send messages to the events queue."""
        url = self.aws.queue_url(self.resources.events_queue)
        for body in bodies:
            self.aws.sqs.send_message(QueueUrl=url, MessageBody=body)

    def receive(self, most: int) -> list[Message]:
        """Receive messages from the events queue, as Lambda's poller does."""
        url = self.aws.queue_url(self.resources.events_queue)
        received: list[Message] = []
        while len(received) < most:
            response = self.aws.sqs.receive_message(
                QueueUrl=url,
                MaxNumberOfMessages=min(10, most - len(received)),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
            records = response.get("Messages", [])
            if not records:
                break
            received += [
                Message(
                    record["MessageId"],
                    record["ReceiptHandle"],
                    record["Body"],
                    int(record["Attributes"]["ApproximateReceiveCount"]),
                )
                for record in records
            ]
        return received

    def consume(self, most: int = 500) -> int:
        """Record one batch as Lambda does: receive it, and delete it unless the function raises."""
        messages = self.receive(most)
        if not messages:
            return 0
        try:
            self.record(messages)
        except MessagesLeft:
            return len(messages)
        url = self.aws.queue_url(self.resources.events_queue)
        for message in messages:
            self.aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message.receipt_handle)
        return len(messages)

    def job(self, job_id: str) -> Job:
        job = self.table.get(job_id)
        assert job is not None, f"{job_id} is not in the table"
        return job

    def items(self) -> list[dict[str, Any]]:
        """Return all items of the table."""
        pages = self.aws.dynamodb.get_paginator("scan").paginate(
            TableName=self.resources.jobs_table
        )
        return [item for page in pages for item in page["Items"]]

    def records(self) -> dict[str, Any]:
        """Return the records of all jobs by id."""
        return {
            item["jobId"]["S"]: json.loads(item["record"]["S"])
            for item in self.items()
            if "jobId" in item
        }

    def blocks(self) -> dict[BlockKey, bytes]:
        """Return the array summaries: a byte for each child, by block."""
        return {
            BlockKey(pk.removeprefix("JOB#"), int(sk.removeprefix("SUMMARY#"))): children
            for item in self.items()
            if "children" in item
            for pk, sk, children in [(item["pk"]["S"], item["sk"]["S"], item["children"]["B"])]
        }

    def dead_letters(self) -> list[dict[str, Any]]:
        """Receive all dead letters."""
        url = self.aws.queue_url(self.resources.dead_letter_queue)
        letters: list[dict[str, Any]] = []
        while found := self.aws.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            letters += map(dict, found)
        return letters

    def _client(self, service: str) -> Any:
        config = Config(
            connect_timeout=2,
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": self._tries},
            max_pool_connections=16,
        )
        client = aws_session().client(service, endpoint_url=self._endpoint, config=config)
        client.meta.events.register("before-send", self._count)
        return client

    def _count(self, request: Any, **_: object) -> None:
        self.requests[request.headers["X-Amz-Target"].decode().rpartition(".")[2]] += 1


@cache
def aws_session() -> Any:
    """Return the session that all clients share, because loading its models takes most of the time
    to create a client."""
    return boto3.Session(
        aws_access_key_id=ROOT_KEY, aws_secret_access_key=ROOT_KEY, region_name="us-east-1"
    )
