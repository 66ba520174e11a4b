"""DynamoDB's batch calls, conditional writes and errors, for the repositories of the table.

A batch can partly fail, so each item has an `Outcome`; the batch calls raise nothing for errors of
DynamoDB or of the network. `Table` splits a batch of any size into calls of the size that DynamoDB
accepts, and does not send the rest of a batch after an outage.

Contains no keys and no attribute names but `pk`, `sk` and `version`; must not depend on what an
item represents.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef as AttributeValue
    from mypy_boto3_dynamodb.type_defs import (
        BatchStatementRequestTypeDef,
        KeysAndAttributesUnionTypeDef,
        WriteRequestUnionTypeDef,
    )
else:
    AttributeValue = dict

READS, WRITES, STATEMENTS = 100, 25, 25
"""DynamoDB's limits for the keys of a BatchGetItem, the requests of a BatchWriteItem and the
statements of a BatchExecuteStatement."""

Item = dict[str, AttributeValue]
"""Attributes as DynamoDB types them: {"version": {"N": "3"}}."""
Key = tuple[str, str]
"""The `pk` and `sk` of an item."""

_T = TypeVar("_T")


class Outcome(StrEnum):
    """The result for one item of a call; `_OUTCOMES` maps DynamoDB's error codes to it."""

    SAVED = "saved"
    CONFLICT = "conflict"
    """The condition failed: another consumer wrote the item. Read it again, then retry."""
    BUSY = "busy"
    """DynamoDB throttled the request or failed internally. Retry in a moment."""
    OUTAGE = "outage"
    """No response, no permission or no table. Retry after minutes: AWS or a person has to act."""
    REFUSED = "refused"
    """DynamoDB rejects the item itself, such as one over 400 KB. Never retry."""


class Statement(NamedTuple):
    """A PartiQL statement, and the key of the item that it writes."""

    key: Key
    request: "BatchStatementRequestTypeDef"


class Table:
    """A table with the key attributes `pk` and `sk`.

    Writes to items that can change are conditional. Each condition has a method that returns the
    statement for it, and `execute` sends statements in batches:

        insert_if_absent      no item has this key
        update_if_equal       these attributes still have the values that were read
        save_if_version_is    the item still has the version that was read, or does not exist if
                              that was 0

    Items that never change, because their key contains a digest of their content, need no
    condition: `put` writes them.
    """

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def read(
        self, keys: Sequence[Item], *, attributes: Sequence[str], consistent: bool
    ) -> tuple[list[Item], dict[Key, Outcome]]:
        """Return the items that exist, and the outcomes of the keys that could not be read."""
        items: list[Item] = []
        unread: dict[Key, Outcome] = {}
        names = {f"#{attribute}": attribute for attribute in attributes}
        for chunk in chunks(keys, READS):
            if Outcome.OUTAGE in unread.values():
                unread |= {key_of(key): Outcome.OUTAGE for key in chunk}
                continue
            found, failed = self._read(
                {
                    "Keys": chunk,
                    "ConsistentRead": consistent,
                    "ProjectionExpression": ", ".join(names),
                    "ExpressionAttributeNames": names,
                }
            )
            items += found
            unread |= failed
        return items, unread

    def items_under(self, pk: str, sk_prefix: str) -> Iterator[Item]:
        """Yield all items with this `pk` and a `sk` that begins with the prefix, in order of `sk`,
        strongly consistent. Raises botocore's errors."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk_prefix}},
            ConsistentRead=True,
        )
        for page in pages:
            yield from page["Items"]

    def put(self, items: Sequence[Item]) -> dict[Key, Outcome]:
        """Write items unconditionally, and return the outcome of each key."""
        return self._write([(key_of(item), item) for item in items], WRITES, self._put)

    def put_each(self, items: Mapping[_T, Item]) -> dict[_T, Outcome]:
        """Write the item of each object unconditionally, and return the outcome of each object.

        Items with the same key must be equal: one of them is written.
        """
        outcomes = self.put(list({key_of(item): item for item in items.values()}.values()))
        return {of: outcomes[key_of(item)] for of, item in items.items()}

    def execute(self, statements: Sequence[Statement]) -> dict[Key, Outcome]:
        """Execute statements, each on its own condition, and return the outcome of each key."""
        return self._write(statements, STATEMENTS, self._execute)

    def insert_if_absent(self, item: Item) -> Statement:
        """Return the statement to create an item if no item has its key."""
        names = ", ".join(f"'{name}': ?" for name in item)
        text = f'INSERT INTO "{self.name}" VALUE {{{names}}}'
        return Statement(key_of(item), {"Statement": text, "Parameters": list(item.values())})

    def update_if_equal(
        self, expected: Item, key: Item, attributes: Item, removals: Sequence[str] = ()
    ) -> Statement:
        """Return the statement to set and remove attributes of an item if all `expected` attributes
        still have these values."""
        changes = [f'SET "{name}" = ?' for name in attributes]
        changes += [f'REMOVE "{name}"' for name in removals]
        condition = " AND ".join(f'"{name}" = ?' for name in key | expected)
        text = f'UPDATE "{self.name}" {" ".join(changes)} WHERE {condition}'
        values = [*attributes.values(), *key.values(), *expected.values()]
        return Statement(key_of(key), {"Statement": text, "Parameters": values})

    def save_if_version_is(
        self, version: int, key: Item, attributes: Item, removals: Sequence[str] = ()
    ) -> Statement:
        """Return the statement to save an item if it still has this version, as the next version.

        Version 0 is an item that does not exist. This is optimistic locking: of two consumers that
        read the same version, the second one to save meets a conflict, and has to read again.

            consumer A   reads version 3 ───── saves version 4
            consumer B          reads version 3 ────────── CONFLICT, reads version 4, saves 5
        """
        changed = attributes | _version(version + 1)
        if version == 0:
            return self.insert_if_absent(key | changed)
        return self.update_if_equal(_version(version), key, changed, removals)

    def _read(
        self, request: "KeysAndAttributesUnionTypeDef"
    ) -> tuple[Sequence[Item], dict[Key, Outcome]]:
        try:
            response = self.client.batch_get_item(RequestItems={self.name: request})
        except (ClientError, BotoCoreError) as error:
            outcome = _outcome_of(error)
            if outcome is Outcome.REFUSED:
                # Our keys are always valid, so the table has another key schema.
                outcome = Outcome.OUTAGE
            keys = cast("Sequence[Item]", request["Keys"])
            return [], {key_of(key): outcome for key in keys}
        unprocessed = response.get("UnprocessedKeys", {}).get(self.name)
        busy = map(key_of, unprocessed["Keys"]) if unprocessed else ()
        return response["Responses"].get(self.name, []), dict.fromkeys(busy, Outcome.BUSY)

    def _write(
        self, requests: Sequence[tuple[Key, _T]], size: int, call: "_Call[_T]"
    ) -> dict[Key, Outcome]:
        outcomes: dict[Key, Outcome] = {}
        for chunk in chunks(requests, size):
            if Outcome.OUTAGE in outcomes.values():
                outcomes |= dict.fromkeys(dict(chunk), Outcome.OUTAGE)
            else:
                outcomes |= self._try(chunk, call)
        return outcomes

    def _try(self, requests: Sequence[tuple[Key, _T]], call: "_Call[_T]") -> dict[Key, Outcome]:
        try:
            return call(requests)
        except (ClientError, BotoCoreError) as error:
            outcome = _outcome_of(error)
        if outcome is Outcome.REFUSED and len(requests) > 1:
            # One invalid request fails the whole call: send each on its own to find it.
            return {key: of for each in requests for key, of in self._try([each], call).items()}
        return dict.fromkeys(dict(requests), outcome)

    def _put(self, items: Sequence[tuple[Key, Item]]) -> dict[Key, Outcome]:
        puts: list[WriteRequestUnionTypeDef] = [{"PutRequest": {"Item": item}} for _, item in items]
        response = self.client.batch_write_item(RequestItems={self.name: puts})
        unprocessed = response.get("UnprocessedItems", {}).get(self.name, ())
        unwritten = {key_of(request["PutRequest"]["Item"]) for request in unprocessed}
        return {key: Outcome.BUSY if key in unwritten else Outcome.SAVED for key, _ in items}

    def _execute(
        self, statements: Sequence[tuple[Key, "BatchStatementRequestTypeDef"]]
    ) -> dict[Key, Outcome]:
        requests = [request for _, request in statements]
        responses = self.client.batch_execute_statement(Statements=requests)["Responses"]
        return {
            key: _outcome_of_code(response.get("Error", {}).get("Code"))
            for (key, _), response in zip(statements, responses, strict=True)
        }


_Call = Callable[[Sequence[tuple[Key, _T]]], dict[Key, Outcome]]


def _version(number: int) -> Item:
    return {"version": {"N": str(number)}}


def key_of(item: Mapping[str, AttributeValue]) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def json_text(attribute: str, value: object) -> Item:
    """Return an attribute that contains a value as JSON."""
    return {attribute: {"S": msgspec.json.encode(value).decode()}}


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


_OUTCOMES: dict[str | None, Outcome] = {
    None: Outcome.SAVED,
    "ConditionalCheckFailed": Outcome.CONFLICT,
    "DuplicateItem": Outcome.CONFLICT,
    "ItemCollectionSizeLimitExceeded": Outcome.REFUSED,
    "ValidationError": Outcome.REFUSED,
    "ValidationException": Outcome.REFUSED,
    "SerializationException": Outcome.REFUSED,
    "AccessDenied": Outcome.OUTAGE,
    "AccessDeniedException": Outcome.OUTAGE,
    "ResourceNotFound": Outcome.OUTAGE,
    "ResourceNotFoundException": Outcome.OUTAGE,
    "UnrecognizedClientException": Outcome.OUTAGE,
    "ExpiredTokenException": Outcome.OUTAGE,
}
"""Outcomes by error code: of one statement of a batch (without "Exception") or of a whole call.

Every other code is transient and means BUSY: ThrottlingError, ProvisionedThroughputExceeded,
RequestLimitExceeded, TransactionConflict, InternalServerError and codes that AWS may add.
"""


def _outcome_of_code(code: str | None) -> Outcome:
    return _OUTCOMES.get(code, Outcome.BUSY)


def _outcome_of(error: ClientError | BotoCoreError) -> Outcome:
    """Return and log the outcome of a whole call. No response after botocore's own retries is an
    outage."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "unknown")
        outcome = _outcome_of_code(code)
    else:
        code, outcome = type(error).__name__, Outcome.OUTAGE
    telemetry.warning(LogEvent.DYNAMODB_CALL_FAILED, error=code, outcome=outcome)
    return outcome
