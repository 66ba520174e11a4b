"""The recorder on a local AWS, with access to what it stored.

A test about the queue sends messages through the real queue; other tests pass them directly to the
recorder, as Lambda does.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from chalicelib.aws.clients import Clients
from chalicelib.aws.lambda_event import Message
from chalicelib.bootstrap import Container
from chalicelib.jobs.array_summary import BlockKey
from chalicelib.jobs.job import Job
from chalicelib.notices.rules import Rules
from chalicelib.recording.recorder import RecordingTally
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from chalicelib.telemetry import Tally
from local.aws import ROOT_KEY, LocalAws, Resources
from tests.support.builders import a_message

NO_RULES = Rules(())
NO_SLEEP = Runtime(sleep=lambda seconds: None)


class RecorderHarness:
    """A Container on the local AWS whose recorder's tallies and requests are kept.

    `endpoint` can be a proxy in front of the local AWS; `receive`, `items`, `records`,
    `blocks` and `dead_letters` don't use it. `tries` is the number of botocore's attempts, and
    `settings` replace those of the deployed stack.
    """

    def __init__(
        self,
        aws: LocalAws,
        resources: Resources,
        *,
        endpoint: str | None = None,
        runtime: Runtime = NO_SLEEP,
        tries: int = 1,
        rules: Rules = NO_RULES,
        **settings: Any,
    ) -> None:
        self.aws = aws
        self.resources = resources
        self.requests: Counter[str] = Counter()
        self.tallies: list[RecordingTally] = []
        config = Config(
            read_timeout=10,
            retries={"mode": "standard", "total_max_attempts": tries},
            parameter_validation=True,
        )
        clients = Clients(aws_session(), endpoint_url=endpoint or aws.endpoint, config=config)
        self.container = Container(
            replace(Settings.from_environment(resources.environment), **settings),
            clients,
            runtime,
        )
        self.container.rules = rules
        self.container.report = self._keep
        self.dynamodb, self.sqs = clients.dynamodb, clients.sqs
        for client in (clients.dynamodb, clients.sqs):
            client.meta.events.register("before-send", self._count)
        self.table = self.container.job_table
        self.index = self.container.job_index
        self.registry = self.container.queue_registry
        self.arrays = self.container.array_table
        self.queues = self.container.queue_state_table
        self.recorder = self.container.recorder

    def record(self, messages: Sequence[Message | str], seconds: float = 100) -> RecordingTally:
        """Record one delivery and return its tally. Raises MessagesLeft, as the function does."""
        delivered = [a_message(m) if isinstance(m, str) else m for m in messages]
        self.recorder.record(delivered, lambda: seconds)
        return self.tallies[-1]

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
            received += map(Message.of, records)
        return received

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

    def _keep(self, tally: Tally) -> None:
        if isinstance(tally, RecordingTally):
            self.tallies.append(tally)

    def _count(self, request: Any, **_: object) -> None:
        self.requests[request.headers["X-Amz-Target"].decode().rpartition(".")[2]] += 1


@cache
def aws_session() -> Any:
    """Return the session that all clients share, because loading its models takes most of the time
    to create a client."""
    return boto3.Session(
        aws_access_key_id=ROOT_KEY, aws_secret_access_key=ROOT_KEY, region_name="us-east-1"
    )
