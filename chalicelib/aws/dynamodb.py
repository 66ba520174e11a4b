"""DynamoDB's batches, conditions and errors: what every repository on the table needs.

What AWS refuses comes back as an `Outcome` for each item, not as an exception, for one batch can
meet several. Knows DynamoDB's API; knows nothing of jobs, notices or messages.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

READS, WRITES, STATEMENTS = 100, 25, 25
"""DynamoDB's limits: keys of a BatchGetItem, requests of a BatchWriteItem, statements of a
BatchExecuteStatement."""

Item = dict[str, Any]
Key = tuple[str, str]
"""An item's `pk` and `sk`."""

_T = TypeVar("_T")


class Outcome(StrEnum):
    """What became of one item in one call."""

    SAVED = "saved"
    CONFLICT = "conflict"
    """Someone else saved it first: read again, decide again, save again."""
    BUSY = "busy"
    """Throttled, or a passing fault: the same call may succeed in a moment."""
    OUTAGE = "outage"
    """No answer, no permission or no table: nothing succeeds until a person or AWS acts."""
    REFUSED = "refused"
    """DynamoDB will never take this item."""


class Table:
    """One table, in batches of any size. After an outage the rest of a batch is not tried."""

    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self.name = name

    def read(
        self, keys: Sequence[Item], *, attributes: Sequence[str], consistent: bool
    ) -> tuple[list[Item], dict[Key, Outcome]]:
        """The items that there are, 100 a call, and what became of those that were not read."""
        items: list[Item] = []
        unread: dict[Key, Outcome] = {}
        names = {f"#{attribute}": attribute for attribute in attributes}
        for chunk in chunks(keys, READS):
            if Outcome.OUTAGE in unread.values():
                unread |= {key_of(key): Outcome.OUTAGE for key in chunk}
                continue
            request: Any = {
                "Keys": chunk,
                "ConsistentRead": consistent,
                "ProjectionExpression": ", ".join(names),
                "ExpressionAttributeNames": names,
            }
            try:
                answer: Any = self.client.batch_get_item(RequestItems={self.name: request})
            except (ClientError, BotoCoreError) as error:
                outcome = _outcome_of(error)
                if outcome is Outcome.REFUSED:
                    # Keys are always well formed, so it is the wrong table: no item's fault.
                    outcome = Outcome.OUTAGE
                unread |= dict.fromkeys(map(key_of, chunk), outcome)
                continue
            items += answer["Responses"].get(self.name, ())
            left = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys", ())
            unread |= {key_of(key): Outcome.BUSY for key in left}
        return items, unread

    def items_under(self, pk: str, sk_begins: str) -> Iterator[Item]:
        """All items of this `pk` whose `sk` begins so, in its order, read consistently. Raises
        botocore's errors."""
        pages = self.client.get_paginator("query").paginate(
            TableName=self.name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": pk}, ":sk": {"S": sk_begins}},
            ConsistentRead=True,
        )
        for page in pages:
            yield from page["Items"]

    def put(self, items: Sequence[Item]) -> dict[Key, Outcome]:
        """Writes items whatever was there, 25 a call."""
        return self._write([(key_of(item), item) for item in items], WRITES, self._put)

    def put_each(self, items: Mapping[_T, Item]) -> dict[_T, Outcome]:
        """Puts items, and tells what became of each by what it stands for. Those of one key are
        the same."""
        outcomes = self.put(list({key_of(item): item for item in items.values()}.values()))
        return {one: outcomes[key_of(item)] for one, item in items.items()}

    def execute(self, statements: Sequence[tuple[Key, Item]]) -> dict[Key, Outcome]:
        """Executes statements, each on its own condition and beside its item's key, 25 a call."""
        return self._write(statements, STATEMENTS, self._execute)

    def insert_if_absent(self, item: Item) -> tuple[Key, Item]:
        names = ", ".join(f"'{name}': ?" for name in item)
        text = f'INSERT INTO "{self.name}" VALUE {{{names}}}'
        return key_of(item), {"Statement": text, "Parameters": list(item.values())}

    def update_if(
        self, condition: Item, key: Item, attributes: Item, removals: Sequence[str] = ()
    ) -> tuple[Key, Item]:
        """Sets and removes attributes if those of `condition` still have these values."""
        changes = [f'SET "{name}" = ?' for name in attributes]
        changes += [f'REMOVE "{name}"' for name in removals]
        holds = " AND ".join(f'"{name}" = ?' for name in key | condition)
        text = f'UPDATE "{self.name}" {" ".join(changes)} WHERE {holds}'
        values = [*attributes.values(), *key.values(), *condition.values()]
        return key_of(key), {"Statement": text, "Parameters": values}

    def save_version(
        self, key: Item, attributes: Item, version: int, removals: Sequence[str] = ()
    ) -> tuple[Key, Item]:
        """Writes over what has this version still (0: over nothing), as the next one."""
        following = attributes | _version(version + 1)
        if version == 0:
            return self.insert_if_absent(key | following)
        return self.update_if(_version(version), key, following, removals)

    def _write(
        self, requests: Sequence[tuple[Key, Item]], size: int, call: "_Call"
    ) -> dict[Key, Outcome]:
        outcomes: dict[Key, Outcome] = {}
        for chunk in chunks(requests, size):
            if Outcome.OUTAGE in outcomes.values():
                outcomes |= dict.fromkeys(dict(chunk), Outcome.OUTAGE)
            else:
                outcomes |= self._try(chunk, call)
        return outcomes

    def _try(self, requests: Sequence[tuple[Key, Item]], call: "_Call") -> dict[Key, Outcome]:
        try:
            return call(requests)
        except (ClientError, BotoCoreError) as error:
            outcome = _outcome_of(error)
        if outcome is Outcome.REFUSED and len(requests) > 1:
            # One request can have the whole call refused: find out which.
            return {key: of for one in requests for key, of in self._try([one], call).items()}
        return dict.fromkeys(dict(requests), outcome)

    def _put(self, requests: Sequence[tuple[Key, Item]]) -> dict[Key, Outcome]:
        puts: Any = [{"PutRequest": {"Item": item}} for _, item in requests]
        answer: Any = self.client.batch_write_item(RequestItems={self.name: puts})
        left = answer.get("UnprocessedItems", {}).get(self.name, ())
        unwritten = {key_of(request["PutRequest"]["Item"]) for request in left}
        return {key: Outcome.BUSY if key in unwritten else Outcome.SAVED for key, _ in requests}

    def _execute(self, requests: Sequence[tuple[Key, Item]]) -> dict[Key, Outcome]:
        statements: Any = [statement for _, statement in requests]
        answers = self.client.batch_execute_statement(Statements=statements)["Responses"]
        return {
            key: _outcome_of_code(answer.get("Error", {}).get("Code"))
            for (key, _), answer in zip(requests, answers, strict=True)
        }


_Call = Callable[[Sequence[tuple[Key, Item]]], dict[Key, Outcome]]


def _version(number: int) -> Item:
    return {"version": {"N": str(number)}}


def key_of(item: Mapping[str, Any]) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def json_text(attribute: str, value: object) -> Item:
    """An attribute that holds a value as JSON."""
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
"""A statement's codes and a whole call's. All others (Throttling…, ProvisionedThroughput…,
RequestLimitExceeded, TransactionConflict, InternalServerError …) pass: Outcome.BUSY."""


def _outcome_of_code(code: str | None) -> Outcome:
    return _OUTCOMES.get(code, Outcome.BUSY)


def _outcome_of(error: ClientError | BotoCoreError) -> Outcome:
    """No answer at all, after botocore's own retries, is an outage."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "unknown")
        outcome = _outcome_of_code(code)
    else:
        code, outcome = type(error).__name__, Outcome.OUTAGE
    telemetry.warning(LogEvent.DYNAMODB_CALL_FAILED, error=code, outcome=outcome)
    return outcome
