"""Reads the registry of job queues, so that nothing needs a Scan to find them.

A queue is registered by the first save of one of its jobs: `JobTable.save` puts the row in the
BatchWriteItem of the job's description, so that it costs no additional request.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item
from chalicelib.jobs.job_table import HOLDS_SERVICE_JOBS

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class QueueRegistry:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def names(self) -> list[str]:
        """Return the names of all queues of which a job was ever stored, in order."""
        return [table_keys.registered_name(row) for row in self._rows()]

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
