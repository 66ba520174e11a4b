"""Poison messages: messages that crash the function that processes them.

After a crash (out of memory, timeout), SQS delivers the messages again, and nothing else shows that
it happened. So a message that was received often is processed alone, between two writes: `mark`
counts a crash before it can happen, and `clear` deletes the mark. What is left of it when the
message is received again shows what happened:

    no crash               mark, process, settle, clear           no mark
    crash                  mark, process ...                      a mark that is older than the
                                                                  queue's visibility timeout allows
    outage before clear    mark, process, settle (retry) ...      a younger mark: RETURNED_SECONDS

Contains the crash counts; must not read message bodies.
"""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Table
from chalicelib.runtime import Runtime

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRUSTED_RECEIVES = 3
"""A message that was received more often is suspected to crash the function."""
FATAL_CRASHES = 2
"""Crashes after which a message is dead-lettered. One crash may be an accident between `mark` and
`clear`; two are caused by the message."""
RETURNED_SECONDS = range(4, 450)
"""Ages of a mark that was not left by a crash: the function returned the message to the queue.

They range from the shortest delay of a retry (`aws.retries`) to the longest plus the function's
timeout. After a crash, a mark is older: the message stays invisible for the VisibilityTimeout of
the events queue (infra/resources.json), less the time between its receipt and the mark.
"""
_KEPT_SECONDS = 15 * 86_400
"""One day longer than the events queue retains a message."""


class PoisonMessages:
    """The crash counts of messages, in the table."""

    def __init__(self, client: "DynamoDBClient", table: str, runtime: Runtime = Runtime()) -> None:
        self._table = Table(client, table)
        self._runtime = runtime

    def crashes(self, message_ids: Sequence[str]) -> tuple[dict[str, int], dict[str, Outcome]]:
        """Return the number of crashes of each message, and the outcomes of the messages whose mark
        could not be read."""
        keys = [table_keys.poison_mark(message_id) for message_id in dict.fromkeys(message_ids)]
        attributes = ("pk", "crashes", "markedAt")
        items, left = self._table.read(keys, attributes=attributes, consistent=True)
        unread = {table_keys.message_of(pk): outcome for (pk, _), outcome in left.items()}
        crashes = {message_id: 0 for message_id in message_ids if message_id not in unread}
        crashes |= {table_keys.message_of(item["pk"]["S"]): self._crashes(item) for item in items}
        return crashes, unread

    def mark(self, message_id: str, crashes: int) -> None:
        """Store the number of crashes, including a crash from now until `clear`.

        Raises botocore's errors: a suspected message must not be processed without its mark.
        """
        now = int(self._runtime.now())
        counts = {"crashes": crashes, "markedAt": now, "expiresAt": now + _KEPT_SECONDS}
        item = table_keys.poison_mark(message_id) | {
            name: {"N": str(count)} for name, count in counts.items()
        }
        self._table.client.put_item(TableName=self._table.name, Item=item)

    def clear(self, message_id: str) -> None:
        """Delete the mark of a settled message.

        Errors are ignored: the age of the mark shows later that the function did not crash.
        """
        with contextlib.suppress(ClientError, BotoCoreError):
            self._table.client.delete_item(
                TableName=self._table.name, Key=table_keys.poison_mark(message_id)
            )

    def _crashes(self, mark: Item) -> int:
        age = int(self._runtime.now()) - int(mark["markedAt"]["N"])
        return int(mark["crashes"]["N"]) - (age in RETURNED_SECONDS)
