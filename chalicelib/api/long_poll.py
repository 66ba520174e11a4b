"""Places for those who wait for a job: each holds a function for its time, so there are only so
many for the whole deployment.

Place n is taken until `leasedUntil` (epoch seconds), by `holder`.
A function that dies gives nothing back: its lease ends. Knows the table; knows nothing of jobs.
"""

import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from chalicelib import table_keys
from chalicelib.runtime import Runtime

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

PLACES = 20
LEASE_SECONDS = 30
"""As long as any request can take, for API Gateway ends it after 29."""

_TRIES = 3


class AllSlotsTaken(Exception):
    """Too many wait already."""


class LongPollSlots:
    def __init__(self, client: "DynamoDBClient", name: str, runtime: Runtime = Runtime()) -> None:
        self._client = client
        self._name = name
        self._runtime = runtime

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Raises AllSlotsTaken."""
        holder: Any = {"S": secrets.token_hex(8)}
        place = self._take(holder)
        try:
            yield
        finally:
            self._give_back(place, holder)

    def _take(self, holder: Any) -> str:
        for _ in range(_TRIES):
            free = self._free()
            if not free:
                break
            place = random.choice(free)
            if self._is_done(
                self._client.put_item,
                Item={
                    **table_keys.long_poll_slot(place),
                    "holder": holder,
                    "leasedUntil": self._now(LEASE_SECONDS),
                },
                ConditionExpression="attribute_not_exists(pk) OR leasedUntil < :now",
                ExpressionAttributeValues={":now": self._now()},
            ):
                return place
        raise AllSlotsTaken

    def _free(self) -> list[str]:
        answer = self._client.query(
            TableName=self._name,
            KeyConditionExpression="pk = :waiters",
            ExpressionAttributeValues={":waiters": {"S": table_keys.long_poll_slots()}},
            ConsistentRead=True,
        )
        now = self._runtime.now()
        taken = {
            table_keys.slot_of(item)
            for item in answer["Items"]
            if float(item["leasedUntil"]["N"]) >= now
        }
        return [place for place in map(str, range(PLACES)) if place not in taken]

    def _give_back(self, place: str, holder: Any) -> None:
        self._is_done(
            self._client.delete_item,
            Key=table_keys.long_poll_slot(place),
            ConditionExpression="holder = :me",
            ExpressionAttributeValues={":me": holder},
        )

    def _is_done(self, call: Callable[..., object], **request: Any) -> bool:
        """False if its condition did not hold: someone else was faster."""
        try:
            call(TableName=self._name, **request)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") != "ConditionalCheckFailedException":
                raise
            return False
        return True

    def _now(self, later: int = 0) -> Any:
        return {"N": f"{self._runtime.now() + later:.3f}"}
