"""The repository of what AWS Batch reports about job queues: their state and environments, and
their first jobs.

Only the sweep writes it, unconditionally: of two overlapping sweeps, either is recent enough.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Table, json_text, key_of
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.waiting.queue_environment import QueueEnvironment, QueueHead


class StoredEnvironment(NamedTuple):
    """A queue's environment and head, None if AWS Batch was not asked for them yet."""

    environment: QueueEnvironment | None = None
    head: QueueHead | None = None


class EnvironmentTable:
    def __init__(self, table: Table) -> None:
        self._table = table

    def put(
        self, environments: Mapping[str, QueueEnvironment], heads: Mapping[str, QueueHead]
    ) -> None:
        """Replace the stored environments and heads by queue. A failed write is not an error,
        because the next sweep repeats it."""
        items = [
            table_keys.queue_environment(queue) | json_text("environment", environment)
            for queue, environment in environments.items()
        ]
        items += [
            table_keys.queue_head(queue) | json_text("head", head) for queue, head in heads.items()
        ]
        if items:
            self._table.put(items)

    def load(self, queues: Sequence[str]) -> dict[str, StoredEnvironment]:
        """Return what is stored of each queue, eventually consistent. A request reads fifty queues.
        Raises TableUnavailable if some can't be read now."""
        keys = [
            (queue, key)
            for queue in queues
            for key in (table_keys.queue_environment(queue), table_keys.queue_head(queue))
        ]
        items, unread = self._table.read(
            [key for _, key in keys],
            attributes=("pk", "sk", "environment", "head"),
            consistent=False,
        )
        if unread:
            raise TableUnavailable(f"could not read the environments of {len(unread)} queues")
        queue_of = {key_of(key): queue for queue, key in keys}
        found = {queue: StoredEnvironment() for queue in queues}
        for item in items:
            queue = queue_of[key_of(item)]
            if "environment" in item:
                environment = msgspec.json.decode(item["environment"]["S"], type=QueueEnvironment)
                found[queue] = found[queue]._replace(environment=environment)
            else:
                head = msgspec.json.decode(item["head"]["S"], type=QueueHead)
                found[queue] = found[queue]._replace(head=head)
        return found
