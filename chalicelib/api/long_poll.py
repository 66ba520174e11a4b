"""Slots for requests that wait for a job to change. Each occupies a Lambda function while it waits,
so their number is limited for the whole deployment.

A taken slot is an item with its `holder`, leased until `leasedUntil` (epoch seconds). A function
that crashes does not release its slot: the lease expires.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from chalicelib import table_keys
from chalicelib.api.errors import AllSlotsTaken
from chalicelib.runtime import Runtime

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SLOTS: Final = 20
LEASE_SECONDS: Final = 30
"""Longer than any request lasts: API Gateway ends a request after 29 seconds."""

_TRIES: Final = 3


class LongPollSlots:
    def __init__(
        self, client: "DynamoDBClient", table_name: str, runtime: Runtime = Runtime()
    ) -> None:
        self._client = client
        self._table_name = table_name
        self._runtime = runtime

    @contextmanager
    def acquire(self) -> Iterator[None]:
        """Hold a slot. Raises AllSlotsTaken."""
        holder = secrets.token_hex(8)
        slot = self._take(holder)
        try:
            yield
        finally:
            self._release(slot, holder)

    def _take(self, holder: str) -> str:
        for _ in range(_TRIES):
            free = self._free()
            if not free:
                break
            slot = free[int(self._runtime.random() * len(free))]
            if _condition_holds(partial(self._lease, slot, holder)):
                return slot
        raise AllSlotsTaken

    def _lease(self, slot: str, holder: str) -> None:
        self._client.put_item(
            TableName=self._table_name,
            Item={
                **table_keys.long_poll_slot(slot),
                "holder": {"S": holder},
                "leasedUntil": {"N": f"{self._runtime.now() + LEASE_SECONDS:.3f}"},
            },
            ConditionExpression="attribute_not_exists(pk) OR leasedUntil < :now",
            ExpressionAttributeValues={":now": {"N": f"{self._runtime.now():.3f}"}},
        )

    def _free(self) -> list[str]:
        answer = self._client.query(
            TableName=self._table_name,
            KeyConditionExpression="pk = :slots",
            ExpressionAttributeValues={":slots": {"S": table_keys.long_poll_slots()}},
            ConsistentRead=True,
        )
        now = self._runtime.now()
        taken = {
            table_keys.slot_of(item)
            for item in answer["Items"]
            if float(item["leasedUntil"]["N"]) >= now
        }
        return [slot for slot in map(str, range(SLOTS)) if slot not in taken]

    def _release(self, slot: str, holder: str) -> None:
        delete = partial(
            self._client.delete_item,
            TableName=self._table_name,
            Key=table_keys.long_poll_slot(slot),
            ConditionExpression="holder = :holder",
            ExpressionAttributeValues={":holder": {"S": holder}},
        )
        _condition_holds(delete)


def _condition_holds(write: Callable[[], object]) -> bool:
    """Write, and return whether the condition held: another request may have been first."""
    try:
        write()
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
            raise
        return False
    return True
