"""The repository of checkpoints, at which each run resumes.

    pk             sk               content
    QUEUE#<name>   RECONCILE        passes through the jobs of each status, cursor of discovery
                   PARENT#<root>    array or multi-node job whose children are to be checked
    RECONCILE      IN_FLIGHT#<run>  jobs of a run's current batch, whose notices may not be queued

Must not depend on the sources of candidates, which decide when a checkpoint moves.
"""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Table, json_text
from chalicelib.jobs.job_index import StatusPartition
from chalicelib.sweep.batch_api import ListedJob
from chalicelib.sweep.reconcile.run import RunStopped

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Pass(msgspec.Struct, frozen=True):
    """A pass through the jobs of a status partition that entered it before `before`.

    `position` is the sort key, in the index, of the last job that is done: "" at the start, None
    when the pass is complete. Times are epoch milliseconds.
    """

    started_at: int = 0
    before: int = 0
    position: str | None = None

    @property
    def is_complete(self) -> bool:
        return self.position is None

    def at(self, position: str | None) -> "Pass":
        return msgspec.structs.replace(self, position=position)


class Cursor(msgspec.Struct, frozen=True):
    """Discovery's position in a queue's jobs, which moves from the newest creation time to `floor`.

    `position` is None when the cursor is complete. `next_floor`, the time at which this cursor
    started, becomes the floor of the next one. Times are epoch milliseconds.
    """

    floor: int
    next_floor: int = 0
    position: int | None = None

    def started(self, position: int, next_floor: int) -> "Cursor":
        """Return the cursor unchanged if it is under way, else a new one with the same floor."""
        if self.position is not None:
            return self
        return Cursor(self.floor, next_floor, position)

    def at(self, position: int) -> "Cursor":
        return msgspec.structs.replace(self, position=position)

    def completed(self) -> "Cursor":
        return Cursor(floor=self.next_floor, next_floor=self.next_floor)

    def postponed(self, now: int) -> "Cursor":
        """Return a cursor that starts again when all other queues had their turn."""
        return Cursor(self.floor, next_floor=now)


class QueueCheckpoint(msgspec.Struct):
    """The passes and the cursor of one queue. `restarted_at` is when `make backfill` restarted them
    (epoch milliseconds), 0 if it never did."""

    passes: dict[str, Pass] = {}
    cursor: Cursor | None = None
    restarted_at: int = 0

    def restart(self, since: int, now: int) -> None:
        """Make all passes due, and the cursor go back to the jobs created at `since`."""
        self.passes.clear()
        self.cursor = Cursor(floor=since)
        self.restarted_at = now


def pass_name(partition: StatusPartition) -> str:
    """Return the key of a partition in `QueueCheckpoint.passes`."""
    return f"CHILDREN#{partition.status}" if partition.members else partition.status


class InFlight(msgspec.Struct, frozen=True):
    """The jobs that a run is processing, and when it started (epoch milliseconds; 0 if it has
    ended)."""

    started_at: int
    job_ids: list[str]


class ParentToCheck(NamedTuple):
    """A parent, and the number of its children that are checked, counted from the first one."""

    job: ListedJob
    checked: int = 0


_NOT_RESTARTED_SINCE = "attribute_not_exists(restartedAt) OR restartedAt <= :restartedAt"


class CheckpointTable:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = Table(client, table)

    def load(self, queue: str) -> QueueCheckpoint:
        response = self._client.get_item(
            TableName=self._table.name, Key=table_keys.checkpoint(queue), ConsistentRead=True
        )
        if "Item" not in response:
            return QueueCheckpoint()
        return msgspec.json.decode(response["Item"]["checkpoint"]["S"], type=QueueCheckpoint)

    def save(self, queue: str, checkpoint: QueueCheckpoint) -> None:
        """Store a queue's checkpoint. Raises RunStopped if another run restarted the queue.

        Otherwise the last writer wins: two concurrent runs repeat some work and skip none, because
        each moves the checkpoint only past jobs that it has processed itself.
        """
        restarted_at = {"N": str(checkpoint.restarted_at)}
        try:
            self._client.put_item(
                TableName=self._table.name,
                Item=table_keys.checkpoint(queue)
                | json_text("checkpoint", checkpoint)
                | {"restartedAt": restarted_at},
                ConditionExpression=_NOT_RESTARTED_SINCE,
                ExpressionAttributeValues={":restartedAt": restarted_at},
            )
        except (ClientError, BotoCoreError) as error:
            raise RunStopped(f"the checkpoint of {queue} was not stored") from error

    def in_flight(self) -> dict[str, InFlight]:
        """Return the jobs in flight of every run that has not completed, by run id."""
        return {
            table_keys.run_of(item): msgspec.json.decode(item["inFlight"]["S"], type=InFlight)
            for item in self._table.items_under(*table_keys.in_flight_runs())
        }

    def put_in_flight(self, run_id: str, in_flight: InFlight) -> None:
        """Replace a run's jobs in flight. Raises RunStopped."""
        self._put([table_keys.in_flight(run_id) | json_text("inFlight", in_flight)])

    def delete_in_flight(self, run_id: str) -> None:
        self._client.delete_item(TableName=self._table.name, Key=table_keys.in_flight(run_id))

    def parents(self, queue: str) -> Iterator[ParentToCheck]:
        for item in self._table.items_under(*table_keys.parents_to_check(queue)):
            job = msgspec.json.decode(item["parent"]["S"], type=ListedJob)
            yield ParentToCheck(job, int(item["checked"]["N"]))

    def put_parents(self, queue: str, parents: Iterable[ParentToCheck]) -> None:
        """Store parents. Raises RunStopped."""
        self._put(
            [
                table_keys.parent_to_check(queue, parent.job.job_id)
                | json_text("parent", parent.job)
                | {"checked": {"N": str(parent.checked)}}
                for parent in parents
            ]
        )

    def delete_parent(self, queue: str, root: str) -> None:
        self._client.delete_item(
            TableName=self._table.name, Key=table_keys.parent_to_check(queue, root)
        )

    def _put(self, items: list[Item]) -> None:
        outcomes = self._table.put(items).values()
        if any(outcome is not Outcome.SAVED for outcome in outcomes):
            raise RunStopped("DynamoDB did not accept a checkpoint")
