"""The repository of how far repair is, so that a run goes on where the last one stopped.

Knows how they are mapped to items; what a round or a walk is for, `repair` knows.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Table, json_text
from chalicelib.jobs.job_index import StatusPartition
from chalicelib.sweep.batch_api import ListedJob

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Pass(msgspec.Struct):
    """Once through the jobs of one place that were not heard of since `before` when it `began`.
    `at` is the place of the last one that was asked about; None: the round has ended."""

    began: int = 0
    before: int = 0
    at: str | None = None


class Cursor(msgspec.Struct):
    """Down to `floor` through a queue's jobs by their creation. `at` is how far it is; None: it has
    ended, and all that was created before `floor` was seen. `top` is the `floor` of the next."""

    floor: int
    top: int = 0
    at: int | None = None


class Progress(msgspec.Struct):
    """Of one queue; rounds by status, those of children and nodes apart. `anew` is when it was
    last begun anew (epoch milliseconds)."""

    rounds: dict[str, Pass] = {}
    walk: Cursor | None = None
    anew: int = 0

    def round(self, place: StatusPartition) -> Pass:
        name = f"CHILDREN#{place.status}" if place.members else place.status
        return self.rounds.setdefault(name, Pass())

    def begin_anew(self, since: int, now: int) -> None:
        """Rounds that are due, and a walk down to `since`."""
        self.rounds.clear()
        self.walk = Cursor(floor=since)
        self.anew = now


class InFlight(msgspec.Struct):
    """What a run that `began` then (epoch milliseconds) takes in hand."""

    began: int
    job_ids: list[str]


class Family(NamedTuple):
    """A parent, and how many of its members need not be asked about any more, from the first on."""

    parent: ListedJob
    asked: int = 0


class CheckpointsUnavailable(Exception):
    """DynamoDB does not take it now, or another run has begun anew meanwhile."""


_NOBODY_BEGAN_ANEW_SINCE = "attribute_not_exists(anew) OR anew <= :anew"


class CheckpointTable:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = Table(client, table)

    def progress(self, queue: str) -> Progress:
        told = self._get(table_keys.checkpoint(queue), "progress")
        return msgspec.json.decode(told, type=Progress) if told else Progress()

    def save(self, queue: str, progress: Progress) -> None:
        """The last to save wins: two runs at once do some work twice, and skip nothing, as each
        only tells of what it has done itself. But who goes on with what was does not win over who
        begins anew."""
        anew = {"N": str(progress.anew)}
        try:
            self._client.put_item(
                TableName=self._table.name,
                Item=table_keys.checkpoint(queue)
                | json_text("progress", progress)
                | {"anew": anew},
                ConditionExpression=_NOBODY_BEGAN_ANEW_SINCE,
                ExpressionAttributeValues={":anew": anew},
            )
        except (ClientError, BotoCoreError) as error:
            raise CheckpointsUnavailable from error

    def in_flight(self) -> dict[str, InFlight]:
        """By run; of those only that have not come to their end."""
        return {
            table_keys.run_of(item): msgspec.json.decode(item["inFlight"]["S"], type=InFlight)
            for item in self._table.items_under(*table_keys.in_flight_runs())
        }

    def put_in_flight(self, run: str, in_flight: InFlight) -> None:
        self._put([table_keys.in_flight(run) | json_text("inFlight", in_flight)])

    def clear_in_flight(self, run: str) -> None:
        self._client.delete_item(TableName=self._table.name, Key=table_keys.in_flight(run))

    def families(self, queue: str) -> Iterator[Family]:
        for item in self._table.items_under(*table_keys.parents_to_check(queue)):
            parent = msgspec.json.decode(item["parent"]["S"], type=ListedJob)
            yield Family(parent, int(item["asked"]["N"]) if "asked" in item else 0)

    def save_families(self, queue: str, families: Iterable[Family]) -> None:
        self._put(
            [
                table_keys.parent_to_check(queue, parent.job_id)
                | json_text("parent", parent)
                | {"asked": {"N": str(asked)}}
                for parent, asked in families
            ]
        )

    def remove_family(self, queue: str, root: str) -> None:
        self._client.delete_item(
            TableName=self._table.name, Key=table_keys.parent_to_check(queue, root)
        )

    def _get(self, key: Item, attribute: str) -> str | None:
        answer = self._client.get_item(TableName=self._table.name, Key=key, ConsistentRead=True)
        return answer["Item"][attribute]["S"] if "Item" in answer else None

    def _put(self, items: list[Item]) -> None:
        outcomes = self._table.put(items).values()
        if any(outcome is not Outcome.SAVED for outcome in outcomes):
            raise CheckpointsUnavailable
