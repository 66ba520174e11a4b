"""The registry of job queues, so that nothing needs a Scan to find them.

A queue is registered by the first save of one of its jobs: `JobTable.save` puts the row in the
BatchWriteItem of the job's description, so that it costs no additional request.

A queue that was deleted, or that the stage no longer records, is *retired* after a day: it is no
longer watched, counted and listed among the queues, but its jobs remain. The sweep marks such
queues, and removes the mark when a queue exists and is recorded again.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Table
from chalicelib.jobs.job_table import HOLDS_SERVICE_JOBS
from chalicelib.runtime import Runtime

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


GONE_SINCE = "goneSince"
"""Attribute of a row: the time in epoch milliseconds since when a sweep has not found the queue, or
0 for a queue that is retired at once."""
_RETIRED_AFTER_MS = 86_400_000


class QueueRegistry:
    def __init__(self, client: "DynamoDBClient", table: str, runtime: Runtime = Runtime()) -> None:
        self._client = client
        self._table = table
        self._runtime = runtime

    def names(self) -> list[str]:
        """Return the names of all queues of which a job was ever stored, in order."""
        return [table_keys.registered_name(row) for row in self._rows()]

    def current(self) -> list[str]:
        """Return the names of the queues that are not retired, in order."""
        latest = self._runtime.now_ms() - _RETIRED_AFTER_MS
        return [
            table_keys.registered_name(row)
            for row in self._rows()
            if GONE_SINCE not in row or int(row[GONE_SINCE]["N"]) > latest
        ]

    def mark_gone(self, gone: Collection[str]) -> None:
        """Mark these queues as gone since now, unless they are marked already, and remove the mark
        of all others. A mark that can't be saved now is left to the next sweep."""
        mark: Item = {GONE_SINCE: {"N": str(self._runtime.now_ms())}}
        changed: list[Item] = []
        for row in self._rows():
            is_gone = table_keys.registered_name(row) in gone
            if is_gone and GONE_SINCE not in row:
                changed.append(row | mark)
            elif not is_gone and GONE_SINCE in row:
                changed.append({name: value for name, value in row.items() if name != GONE_SINCE})
        Table(self._client, self._table).put(changed)

    def contains(self, name: str) -> bool:
        """Return whether a job of the queue was ever stored."""
        key = table_keys.registered_queue(name)
        return "Item" in self._client.get_item(TableName=self._table, Key=key)

    def service_queues(self) -> set[str]:
        """Return the names of the queues of service jobs."""
        return {
            table_keys.registered_name(row) for row in self._rows() if HOLDS_SERVICE_JOBS in row
        }

    def _rows(self) -> Iterator[Item]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :registry",
            ExpressionAttributeValues={":registry": {"S": table_keys.registered_queues()}},
        )
        return (dict(row) for page in pages for row in page["Items"])
