"""The repository of job queues: what was seen of them, and what the sweep knows of them.

    pk             sk                             what
    QUEUE#<name>   STATE                          a QueueState, by version
                   HEARD                          when an event of the queue arrived last
                   BLOCKED#<time>#<job>#<digest>  a blocked_event: addressed by its content

The recorder puts blocked events and HEARD blindly; only the sweep writes the state, on condition
that its version is still the one that was read. Knows keys and their mapping; what a state means,
others know.
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from chalicelib.aws.dynamodb import Item, Outcome, Table, json_text, key_of
from chalicelib.queues.blocked import BlockedEvent
from chalicelib.queues.missing_events import HEARD_EVERY_MS
from chalicelib.queues.state import QueueState
from chalicelib.runtime import Runtime

_SIGHTINGS_READ = 100
"""The newest; a block that goes on has its beginning in the state."""
_KEPT_SECONDS = 30 * 86_400
"""Twice as long as an event may lie in the events queue."""


class KnownQueue(NamedTuple):
    """`version` is that of the state, 0 if there is none yet. `last_event_at` is when the last
    event arrived, in epoch milliseconds; 0: never."""

    state: QueueState | None = None
    version: int = 0
    last_event_at: int = 0


class QueueStateTable:
    def __init__(self, table: Table, runtime: Runtime = Runtime()) -> None:
        self._table = table
        self._runtime = runtime
        self._heard: dict[str, int] = {}

    def touch(self, queues: Iterable[str]) -> None:
        """Notes that events of these queues arrived; not again within the minute. If it can't be
        noted now, the next event will."""
        now = self._runtime.now_ms()
        due = [
            queue
            for queue in dict.fromkeys(queues)
            if now - self._heard.get(queue, 0) >= HEARD_EVERY_MS
        ]
        outcomes = self._table.put_each(
            {queue: queue_key(queue, "HEARD") | {"at": {"N": str(now)}} for queue in due}
        )
        self._heard |= {queue: now for queue, of in outcomes.items() if of is Outcome.SAVED}

    def put_blocked_events(
        self, blocked_events: Collection[BlockedEvent]
    ) -> dict[BlockedEvent, Outcome]:
        """Stores blocked_events; a repeated one changes nothing."""
        return self._table.put_each({seen: _blocked_event_item(seen) for seen in blocked_events})

    def states(self, queues: Collection[str]) -> dict[str, QueueState]:
        """What is known of those that a sweep has seen: one read for a hundred."""
        known = self.known(queues)
        return {queue: one.state for queue, one in known.items() if one.state}

    def known(self, queues: Collection[str]) -> dict[str, KnownQueue]:
        """All of them but those that can't be read now: one read for fifty."""
        keys = {
            key_of(key): (queue, key)
            for queue in queues
            for key in (queue_key(queue, "STATE"), queue_key(queue, "HEARD"))
        }
        items, unread = self._table.read(
            [key for _, key in keys.values()],
            attributes=("pk", "sk", "state", "version", "at"),
            consistent=True,
        )
        left = {keys[key][0] for key in unread}
        found = {queue: KnownQueue() for queue in queues if queue not in left}
        for item in items:
            queue = keys[key_of(item)][0]
            if queue not in found:
                continue
            if "at" in item:
                found[queue] = found[queue]._replace(last_event_at=int(item["at"]["N"]))
            else:
                found[queue] = found[queue]._replace(
                    state=msgspec.json.decode(item["state"]["S"], type=QueueState),
                    version=int(item["version"]["N"]),
                )
        return found

    def blocked_events(self, queue: str, after: int) -> Sequence[BlockedEvent]:
        """Those of after a time (epoch milliseconds), the newest hundred at most, newest first."""
        answer = self._table.client.query(
            TableName=self._table.name,
            KeyConditionExpression="pk = :queue AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":queue": {"S": f"QUEUE#{queue}"},
                ":first": {"S": f"BLOCKED#{after + 1:015}"},
                ":last": {"S": "BLOCKED#~"},
            },
            ScanIndexForward=False,
            Limit=_SIGHTINGS_READ,
        )
        return [
            msgspec.json.decode(item["blocked_event"]["S"], type=BlockedEvent)
            for item in answer["Items"]
        ]

    def save(self, queue: str, state: QueueState, version: int) -> Outcome:
        """Writes a state over the one that had this version; CONFLICT: another sweep did."""
        key = queue_key(queue, "STATE")
        statement = self._table.save_version(key, json_text("state", state), version)
        return self._table.execute([statement])[key_of(key)]


def queue_key(queue: str, sort: str) -> Item:
    return {"pk": {"S": f"QUEUE#{queue}"}, "sk": {"S": sort}}


def _blocked_event_item(seen: BlockedEvent) -> Item:
    content = msgspec.json.encode(seen)
    sort = f"BLOCKED#{seen.at:015}#{seen.job_id}#{sha256(content).hexdigest()[:8]}"
    expiry = seen.at // 1000 + _KEPT_SECONDS
    return queue_key(seen.queue, sort) | {
        "blocked_event": {"S": content.decode()},
        "expiresAt": {"N": str(expiry)},
    }
