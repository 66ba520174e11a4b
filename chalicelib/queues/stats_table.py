"""The repository of a queue's statistics: its current counts and the rollups of jobs that ended.

Items: QueueStats, the rollup of the jobs that ended in an hour (UTC), and the rollup of the hours
of a day.

Hours and days are always replaced as a whole. This module contains the mapping from and to items;
it does not decide what is counted when.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Table, json_text
from chalicelib.errors import TableUnavailable
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, Rollup
from chalicelib.queues.stats import QueueStats

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Rollups = Mapping[int, Rollup]
"""Rollups by the beginning of their hour or day, in epoch milliseconds."""


class StoredStats(NamedTuple):
    """A queue's statistics, and the version that a save must still find; 0: nothing is stored."""

    stats: QueueStats
    version: int


class StatsConflict(Exception):
    """Another run has saved the statistics of this queue since they were read."""


class QueueStatsTable:
    def __init__(self, client: "DynamoDBClient", name: str, *, retention_days: int = 0) -> None:
        self._table = Table(client, name)
        self._retention_seconds = retention_days * 86_400

    def load(self, queue: str) -> StoredStats:
        response = self._table.client.get_item(
            TableName=self._table.name, Key=table_keys.queue_counts(queue), ConsistentRead=True
        )
        item = response.get("Item")
        if item is None:
            return StoredStats(QueueStats(), 0)
        return StoredStats(_stats(item), int(item["version"]["N"]))

    def save(self, queue: str, stats: QueueStats, version: int) -> StoredStats:
        """Replace the statistics that have this version. Raises StatsConflict and
        TableUnavailable."""
        key = table_keys.queue_counts(queue)
        statement = self._table.save_if_version_is(version, key, json_text("counts", stats))
        [outcome] = self._table.execute([statement]).values()
        if outcome is Outcome.CONFLICT:
            raise StatsConflict(queue)
        if outcome is not Outcome.SAVED:
            raise TableUnavailable(f"could not save the statistics of queue {queue}: {outcome}")
        return StoredStats(stats, version + 1)

    def stats(self, queues: Sequence[str]) -> dict[str, QueueStats]:
        """Return the statistics of the queues that were counted, eventually consistent. A request
        reads a hundred queues. Raises TableUnavailable if some can't be read now."""
        items, unread = self._table.read(
            [table_keys.queue_counts(queue) for queue in queues],
            attributes=("pk", "counts"),
            consistent=False,
        )
        if unread:
            raise TableUnavailable(f"could not read the statistics of {len(unread)} queues")
        return {table_keys.queue_of(item): _stats(item) for item in items}

    def hours(self, queue: str, since: int, until: int) -> dict[int, Rollup]:
        """Return the rollups of hours that begin from `since` on and before `until`."""
        return dict(self._rollups(table_keys.hours(queue, since, until - HOUR_MS)))

    def days(self, queue: str, since: int, until: int) -> dict[int, Rollup]:
        """Return the rollups of days that begin from `since` on and before `until`."""
        return dict(self._rollups(table_keys.days(queue, since, until - DAY_MS)))

    def put(self, queue: str, hours: Rollups, days: Rollups) -> None:
        """Replace rollups. Raises TableUnavailable if some were not written."""
        items = [
            self._rollup_item(table_keys.hour(queue, at), rollup, at + HOUR_MS)
            for at, rollup in hours.items()
        ]
        items += [
            self._rollup_item(table_keys.day(queue, at), rollup, at + DAY_MS)
            for at, rollup in days.items()
        ]
        if not {Outcome.SAVED}.issuperset(self._table.put(items).values()):
            raise TableUnavailable(f"could not write all rollups of queue {queue}")

    def _rollup_item(self, key: table_keys.Key, rollup: Rollup, end: int) -> Item:
        item = key | json_text("rollup", rollup)
        if self._retention_seconds:
            item["expiresAt"] = {"N": str(end // 1000 + self._retention_seconds)}
        return item

    def _rollups(self, keys: table_keys.Range) -> Iterator[tuple[int, Rollup]]:
        if keys.is_empty:
            return
        pages = self._table.client.get_paginator("query").paginate(
            TableName=self._table.name,
            KeyConditionExpression="pk = :queue AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":queue": {"S": keys.pk},
                ":first": {"S": keys.first},
                ":last": {"S": keys.last},
            },
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                rollup = msgspec.json.decode(item["rollup"]["S"], type=Rollup)
                yield table_keys.begin_of(item), rollup


def _stats(item: Item) -> QueueStats:
    return msgspec.json.decode(item["counts"]["S"], type=QueueStats)
