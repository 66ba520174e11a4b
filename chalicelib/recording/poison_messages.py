"""The messages that a function may have died on.

A message that kills its function (memory, deadline) leaves no trace of its own: it just comes
again. So a message that came often is handled alone, between two marks in the table: one before,
taken away after any outcome. A mark that is still there when the message comes again is a death.

But for one case: a function that lived, and could not reach the table any more, leaves its mark too
and gives the message back. When a message comes again tells the two apart.

Knows the marks and nothing of what the messages say.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.aws.dynamodb import Item, Outcome, Table
from chalicelib.runtime import Runtime

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

GIVEN_BACK_SECONDS = range(4, 450)
"""When a message that was given back comes again: no sooner than the shortest `hand_back_delay` of
`recorder`, and before the VisibilityTimeout of the events queue (infra/resources.json) less the
function's timeout and batching window, for which a dead function's messages stay hidden."""
_KEPT_SECONDS = 15 * 86_400
"""A day longer than a message can stay in the queue."""


class PoisonMessages:
    def __init__(self, client: "DynamoDBClient", table: str, runtime: Runtime = Runtime()) -> None:
        self._table = Table(client, table)
        self._runtime = runtime

    def crashes(self, message_ids: Sequence[str]) -> tuple[dict[str, int], dict[str, Outcome]]:
        """How often a function died on each message, handled alone; and of those whose mark could
        not be read, why."""
        keys = [_key(message_id) for message_id in dict.fromkeys(message_ids)]
        attributes = ("pk", "crashes", "markedAt")
        items, unread = self._table.read(keys, attributes=attributes, consistent=True)
        unknown = {_message_id(pk): outcome for (pk, _), outcome in unread.items()}
        crashes = {message_id: 0 for message_id in message_ids if message_id not in unknown}
        crashes |= {_message_id(item["pk"]["S"]): self._deaths(item) for item in items}
        return crashes, unknown

    def mark(self, message_id: str, crashes: int) -> None:
        """Counts the death that is to come, unless `clear` takes it back.

        Raises botocore's errors, like `clear`: without its mark a suspect must not be touched.
        """
        now = int(self._runtime.now())
        counts = {"crashes": crashes, "markedAt": now, "expiresAt": now + _KEPT_SECONDS}
        item = _key(message_id) | {name: {"N": str(count)} for name, count in counts.items()}
        self._table.client.put_item(TableName=self._table.name, Item=item)

    def clear(self, message_id: str) -> None:
        self._table.client.delete_item(TableName=self._table.name, Key=_key(message_id))

    def _deaths(self, mark: Item) -> int:
        """Without the last one, if that can't have been a death."""
        age = int(self._runtime.now()) - int(mark["markedAt"]["N"])
        return int(mark["crashes"]["N"]) - (age in GIVEN_BACK_SECONDS)


def _key(message_id: str) -> Item:
    return {"pk": {"S": f"MESSAGE#{message_id}"}, "sk": {"S": "MARK"}}


def _message_id(pk: str) -> str:
    return pk.removeprefix("MESSAGE#")
