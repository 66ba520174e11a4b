"""The recorder on a local AWS: CPU of what it calls, its requests, and what they write.

CPU is that of this process: the local AWS runs in another one.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from bench.report import Row, microseconds, times
from bench.timing import cpu_seconds, in_turn
from bench.workload import (
    FIVE_EVENTS,
    bodies,
    chunks,
    lives,
    lives_through,
    merged,
    messages,
    observations,
    reader,
)
from chalicelib.aws.clients import Clients
from chalicelib.bootstrap import Container
from chalicelib.jobs.job import Job
from chalicelib.jobs.job_table import Change, StoredJob, job_attributes, job_key
from chalicelib.notices.rules import Rules
from chalicelib.recording.recorder import RecordingTally
from chalicelib.settings import Settings
from chalicelib.telemetry import Tally
from local.aws import LocalAws

_DEADLINE = 100.0
"""Seconds that the recorder believes it has left."""


class RecorderHarness:
    """The recorder's real parts, with the app's own clients, on an emptied local AWS. Counts every
    request by its operation."""

    def __init__(self, aws: LocalAws) -> None:
        aws.reset()
        self.resources = aws.create_resources()
        clients = Clients()
        self.dynamodb = clients.dynamodb
        self.requests: Counter[str] = Counter()
        for client in (clients.dynamodb, clients.sqs):
            client.meta.events.register("before-send", self._count)
        self.container = Container(Settings.from_environment(self.resources.environment), clients)
        self.container.rules = Rules(())
        self.container.event_reader = reader()
        self.container.report = self._check
        self._recorder = self.container.recorder

    def record(self, bodies: Sequence[str], batch: int) -> None:
        for chunk in chunks(messages(bodies), batch):
            self._recorder.record(chunk, lambda: _DEADLINE)

    def items(self) -> list[dict[str, Any]]:
        """The whole table."""
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=self.resources.jobs_table)
        return [item for page in pages for item in page["Items"]]

    def _check(self, tally: Tally) -> None:
        """What is measured must have succeeded."""
        assert isinstance(tally, RecordingTally)
        assert tally.recorded + tally.unchanged == tally.received, tally

    def _count(self, request: Any, **_: object) -> None:
        self.requests[request.headers["X-Amz-Target"].decode().rpartition(".")[2]] += 1


def save_rows(aws: LocalAws, records: int, rounds: int) -> Iterator[Row]:
    """Known jobs saved again, over and over, in the recorder's way and in the usual one."""
    harness = RecorderHarness(aws)
    jobs = list(merged(observations(bodies(records))).values())
    harness.container.job_table.save([Change(job, None, None) for job in jobs])
    versions = dict.fromkeys((job.job_id for job in jobs), 1)

    def saved() -> None:
        stored = [StoredJob(job, versions[job.job_id]) for job in jobs]
        outcomes = harness.container.job_table.save(
            [Change(each.job, each, None) for each in stored]
        )
        assert set(outcomes.values()) == {"saved"}

    def updated() -> None:
        for job in jobs:
            _update_item(harness, job, versions[job.job_id])

    def timed(work: Callable[[], None]) -> float:
        seconds = cpu_seconds(work)
        versions.update({job_id: version + 1 for job_id, version in versions.items()})
        return seconds / records

    measured = in_turn(rounds, {"save": partial(timed, saved), "update": partial(timed, updated)})
    yield Row(
        "CPU to save one record, 25 a request",
        microseconds(measured.seconds("save")),
        f"{microseconds(measured.seconds('update'))} an UpdateItem each",
        times(measured.ratio("save", "update")),
    )


def batch_rows(aws: LocalAws, jobs: int, rounds: int) -> Iterator[Row]:
    """Whole lives recorded from nothing, in large batches and in small ones."""
    given = bodies(jobs)

    def recorded(batch: int) -> float:
        harness = RecorderHarness(aws)
        return cpu_seconds(lambda: harness.record(given, batch)) / len(given)

    measured = in_turn(rounds, {str(batch): partial(recorded, batch) for batch in (500, 10)})
    yield Row(
        "events recorded in a second of CPU, batches of 500",
        f"{1 / measured.seconds('500'):,.0f}",
        f"{1 / measured.seconds('10'):,.0f} batches of 10",
        times(measured.ratio("10", "500")),
    )


def request_rows(aws: LocalAws, jobs: int) -> Iterator[Row]:
    """The requests for so many messages in one batch, and for the same ones by one."""
    eventful = [life for life in lives(bodies(5 * jobs)).values() if len(life) > 1][:jobs]
    deliveries = {
        "new jobs": [first for first, *_ in eventful],
        "known jobs' next events": [second for _, second, *_ in eventful],
        "duplicates": [second for _, second, *_ in eventful],
    }
    together = _requests(RecorderHarness(aws), deliveries, batch=jobs)
    one_by_one = _requests(RecorderHarness(aws), deliveries, batch=1)
    for name, made in together.items():
        several, single = made.total(), one_by_one[name].total()
        operations = ", ".join(f"{count} {operation}" for operation, count in sorted(made.items()))
        yield Row(
            f"requests for {len(eventful)} {name}",
            f"{several} ({operations})",
            f"{single} one by one",
            times(several / single),
        )


def write_unit_rows(aws: LocalAws, most: int, jobs: int) -> Iterator[Row]:
    """What a life writes if every event comes alone, and if all come together."""
    every = lives(bodies(jobs))
    cases = {
        "a job of five events": lives_through(FIVE_EVENTS, every, children=False)[:most],
        "an array's child of four": lives_through(FIVE_EVENTS[1:], every, children=True)[:most],
    }
    for name, chosen in cases.items():
        alone = _write_units(
            RecorderHarness(aws), [[body] for turn in zip(*chosen, strict=True) for body in turn]
        )
        together = _write_units(RecorderHarness(aws), [[body for life in chosen for body in life]])
        worst, best = alone.total() / len(chosen), together.total() / len(chosen)
        yield Row(
            f"write units of {name}, each event alone",
            f"{worst:.3g} ({_by_part(alone, len(chosen))})",
            f"{best:.3g} in one batch ({_by_part(together, len(chosen))})",
            times(worst / best),
        )


def _update_item(harness: RecorderHarness, job: Job, version: int) -> None:
    attributes = {**job_attributes(job), "version": {"N": str(version + 1)}}
    harness.dynamodb.update_item(
        TableName=harness.resources.jobs_table,
        Key=job_key(job.job_id),
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
        ConditionExpression="#version = :known",
        ExpressionAttributeNames={f"#{name}": name for name in attributes},
        ExpressionAttributeValues={
            **{f":{name}": value for name, value in attributes.items()},
            ":known": {"N": str(version)},
        },
    )


def _requests(
    harness: RecorderHarness, deliveries: dict[str, list[str]], batch: int
) -> dict[str, Counter[str]]:
    made: dict[str, Counter[str]] = {}
    for name, delivered in deliveries.items():
        harness.requests.clear()
        harness.record(delivered, batch)
        made[name] = harness.requests.copy()
    return made


# Write units. The local AWS bills a PartiQL statement at a flat unit, whatever it writes, but a
# PutItem as DynamoDB does. So after each batch what it wrote is put into a twin of the table.


_PARTS = {"SPEC": "description", "SUMMARY": "summary"}


def _by_part(units: Counter[str], lives: int) -> str:
    return ", ".join(f"{count / lives:.3g} {part}" for part, count in units.most_common())


def _write_units(harness: RecorderHarness, batches: Sequence[Sequence[str]]) -> Counter[str]:
    """Of all these, in units; the name of a job queue is written once ever and not counted."""
    twin = twin_of(harness)
    units: Counter[str] = Counter()
    put: list[dict[str, Any]] = []
    for batch in batches:
        harness.record(batch, len(batch))
        stored = harness.items()
        for item in stored:
            if item not in put and item["pk"]["S"] != "QUEUES":
                units.update(_units_of_putting(harness, twin, item))
        put = stored
    return units


def _units_of_putting(harness: RecorderHarness, table: str, item: dict[str, Any]) -> dict[str, Any]:
    billed = harness.dynamodb.put_item(
        TableName=table, Item=item, ReturnConsumedCapacity="INDEXES"
    )["ConsumedCapacity"]
    indexes = billed.get("GlobalSecondaryIndexes", {})
    what = _PARTS.get(item["sk"]["S"].partition("#")[0], "table")
    by_index = {name: index["CapacityUnits"] for name, index in indexes.items()}
    return {what: billed["Table"]["CapacityUnits"], **by_index}


def twin_of(harness: RecorderHarness) -> str:
    """The name of an empty table with the same keys and indexes."""
    name = f"{harness.resources.jobs_table}-twin"
    described: Any = harness.dynamodb.describe_table(TableName=harness.resources.jobs_table)[
        "Table"
    ]
    kept = ("IndexName", "KeySchema", "Projection")
    indexes: Any = [
        {part: index[part] for part in kept} for index in described["GlobalSecondaryIndexes"]
    ]
    harness.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=described["AttributeDefinitions"],
        KeySchema=described["KeySchema"],
        GlobalSecondaryIndexes=indexes,
    )
    return name
