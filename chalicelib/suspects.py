"""The messages that a function may have died on.

A message that kills its function (memory, deadline) leaves no trace of its own: it just comes
again. So a message that came often is handled alone, between two marks in the table: one before,
taken away after any outcome. A mark that is still there when the message comes again is a death.

Knows the marks and nothing of what the messages say.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_READS = 100
"""DynamoDB's limit of keys in one BatchGetItem."""
_KEPT_SECONDS = 15 * 86_400
"""A day longer than a message can stay in the queue."""


class Suspects:
    """Raises botocore's errors: without its mark a suspect must not be touched."""

    def __init__(
        self, client: "DynamoDBClient", table: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def deaths(self, message_ids: Sequence[str]) -> dict[str, int]:
        """How often a function died on each message, handled alone."""
        deaths = dict.fromkeys(message_ids, 0)
        keys = [_key(message_id) for message_id in deaths]
        for start in range(0, len(keys), _READS):
            chunk = keys[start : start + _READS]
            request: Any = {self._table: {"Keys": chunk, "ConsistentRead": True}}
            while request:
                answer = self._client.batch_get_item(RequestItems=request)
                for item in answer["Responses"].get(self._table, ()):
                    deaths[item["pk"]["S"].removeprefix("MESSAGE#")] = int(item["deaths"]["N"])
                request = answer.get("UnprocessedKeys")
        return deaths

    def mark(self, message_id: str, deaths: int) -> None:
        """Counts the death that is to come, unless `clear` takes it back."""
        expires = int(self._clock()) + _KEPT_SECONDS
        marks = {"deaths": {"N": str(deaths)}, "expiresAt": {"N": str(expires)}}
        self._client.put_item(TableName=self._table, Item=_key(message_id) | marks)

    def clear(self, message_id: str) -> None:
        self._client.delete_item(TableName=self._table, Key=_key(message_id))


def _key(message_id: str) -> dict[str, Any]:
    return {"pk": {"S": f"MESSAGE#{message_id}"}, "sk": {"S": "MARK"}}
