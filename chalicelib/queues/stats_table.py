"""The repository of queues: what is in each, and what became of the jobs that ended in it.

    pk             sk                   what
    QUEUE#<name>   COUNTS               its counts, its last day, and how far counting is
                   HOUR#2026-11-24T03   the rollup of the jobs that ended in that hour of UTC
                   DAY#2026-11-24       the rollup of its day's hours

Hours and days are put whole. Knows keys and their mapping; what is counted when, `counting` knows.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chalicelib.aws.dynamodb import Item, Outcome, Table, json_text
from chalicelib.errors import TableUnavailable
from chalicelib.queues.rollup import DAY, HOUR, Rollup
from chalicelib.queues.state_table import queue_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Rollups = Mapping[int, Rollup]
"""By when their hour or day begins, in epoch milliseconds."""


class Cursor(msgspec.Struct):
    """Back through the hours of one band, when it `began`. All from `at` on are done, down to
    `floor` they are to be done; None: it has ended."""

    began: int = 0
    at: int | None = None
    floor: int = 0


class QueueCounts(msgspec.Struct):
    """`counts` by status (ACTIVE) of the jobs that had not ended `as_of` then; None: not counted
    yet. A status that Batch invented since is not counted.
    `last_day` are the current hour and the 23 before it. `walks` by name of their band."""

    as_of: int | None = None
    counts: dict[str, int] = {}
    are_at_least: bool = False
    last_day: Rollup = Rollup()
    walks: dict[str, Cursor] = {}


class StoredCounts(NamedTuple):
    """`version` is what a save must still find there; 0: nothing is there."""

    counts: QueueCounts
    version: int


class QueueStatsTable:
    def __init__(self, client: "DynamoDBClient", name: str, *, retention_days: int = 0) -> None:
        self._table = Table(client, name)
        self._retention_seconds = retention_days * 86_400

    def load(self, queue: str) -> StoredCounts:
        answer = self._table.client.get_item(
            TableName=self._table.name, Key=queue_key(queue, "COUNTS"), ConsistentRead=True
        )
        item = answer.get("Item")
        if item is None:
            return StoredCounts(QueueCounts(), 0)
        return StoredCounts(_counts(item), int(item["version"]["N"]))

    def save(self, queue: str, stored: StoredCounts) -> StoredCounts | None:
        """What is stored then; None if someone else saved it meanwhile."""
        counts, version = stored
        key = queue_key(queue, "COUNTS")
        statement = self._table.save_version(key, json_text("counts", counts), version)
        [outcome] = self._table.execute([statement]).values()
        if outcome not in (Outcome.SAVED, Outcome.CONFLICT):
            raise TableUnavailable(f"the counts of {queue} were not saved: {outcome}")
        return StoredCounts(counts, version + 1) if outcome is Outcome.SAVED else None

    def counts(self, queues: Sequence[str]) -> dict[str, QueueCounts]:
        """Of those that were counted yet, a hundred queues a call. Raises TableUnavailable."""
        items, unread = self._table.read(
            [queue_key(queue, "COUNTS") for queue in queues],
            attributes=("pk", "counts"),
            consistent=False,
        )
        if unread:
            raise TableUnavailable("the table did not give all the counts that were asked for")
        return {item["pk"]["S"].removeprefix("QUEUE#"): _counts(item) for item in items}

    def hours(self, queue: str, since: int, until: int) -> dict[int, Rollup]:
        """Those in which jobs ended, from `since` on and before `until`."""
        return dict(self._rollups(queue, _hour_key(since), _hour_key(until - HOUR)))

    def days(self, queue: str, since: int, until: int) -> dict[int, Rollup]:
        return dict(self._rollups(queue, _day_key(since), _day_key(until - DAY)))

    def put(self, queue: str, hours: Rollups, days: Rollups) -> None:
        """Raises TableUnavailable if not all of it was written."""
        items = [
            self._rollup_item(queue, _hour_key(at), rollup, at + HOUR)
            for at, rollup in hours.items()
        ]
        items += [
            self._rollup_item(queue, _day_key(at), rollup, at + DAY) for at, rollup in days.items()
        ]
        if not {Outcome.SAVED}.issuperset(self._table.put(items).values()):
            raise TableUnavailable(f"not all hours of {queue} were written")

    def _rollup_item(self, queue: str, sort: str, rollup: Rollup, end: int) -> Item:
        item = queue_key(queue, sort) | json_text("rollup", rollup)
        if self._retention_seconds:
            item["expiresAt"] = {"N": str(end // 1000 + self._retention_seconds)}
        return item

    def _rollups(self, queue: str, first: str, last: str) -> Iterator[tuple[int, Rollup]]:
        if last < first:
            return
        pages = self._table.client.get_paginator("query").paginate(
            TableName=self._table.name,
            KeyConditionExpression="pk = :queue AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":queue": {"S": f"QUEUE#{queue}"},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                rollup = msgspec.json.decode(item["rollup"]["S"], type=Rollup)
                yield _begin(item["sk"]["S"]), rollup


def _hour_key(at: int) -> str:
    return f"HOUR#{_moment(at):%Y-%m-%dT%H}"


def _day_key(at: int) -> str:
    return f"DAY#{_moment(at):%Y-%m-%d}"


def _moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def _begin(sort: str) -> int:
    """When the hour or the day of a key begins."""
    moment = datetime.fromisoformat(sort.partition("#")[2]).replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)


def _counts(item: Mapping[str, Any]) -> QueueCounts:
    return msgspec.json.decode(item["counts"]["S"], type=QueueCounts)
