"""The repository of what is recorded about job queues apart from their jobs.

Items: the queue's state with its version, the time of its last event, and its blocked events, which
are addressed by their content.

The recorder writes the last event and blocked events unconditionally. Only the sweep writes the
state, on the condition that its version has not changed since it was read. This module contains the
mapping from and to items; it does not interpret the state.
"""

from collections.abc import Collection, Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Table, json_text, key_of
from chalicelib.queues.blocked import BlockedEvent
from chalicelib.queues.missing_events import TOUCH_INTERVAL_MS
from chalicelib.queues.state import QueueState
from chalicelib.runtime import Runtime

_MAX_BLOCKED_EVENTS = 100
"""Only the newest are read: when an ongoing block began is in the state."""
_BLOCKED_EVENT_TTL_SECONDS = 30 * 86_400
"""Twice the retention period of the events queue."""


class StoredState(NamedTuple):
    """A queue's state and its version, None and 0 before the first sweep. `last_event_at` is when
    the last event arrived, in epoch milliseconds; 0: never."""

    state: QueueState | None = None
    version: int = 0
    last_event_at: int = 0

    def state_or_initial(self, now: int) -> QueueState:
        """Return the state, or that of a queue which is first watched at `now`."""
        return self.state or QueueState(watched_since=now)


class QueueStateTable:
    def __init__(self, table: Table, runtime: Runtime = Runtime()) -> None:
        self._table = table
        self._runtime = runtime
        self._touched_at: dict[str, int] = {}

    def touch(self, queues: Iterable[str]) -> None:
        """Record that events of these queues arrived, at most once per TOUCH_INTERVAL_MS and queue.
        A failed write is not an error, because the next event repeats it."""
        now = self._runtime.now_ms()
        due = [
            queue
            for queue in dict.fromkeys(queues)
            if now - self._touched_at.get(queue, 0) >= TOUCH_INTERVAL_MS
        ]
        outcomes = self._table.put_each(
            {queue: table_keys.last_event(queue) | {"at": {"N": str(now)}} for queue in due}
        )
        self._touched_at |= {
            queue: now for queue, outcome in outcomes.items() if outcome is Outcome.SAVED
        }

    def put_blocked_events(self, events: Collection[BlockedEvent]) -> dict[BlockedEvent, Outcome]:
        """Store blocked events and return the outcome of each. Storing one again changes
        nothing."""
        return self._table.put_each({event: _blocked_event_item(event) for event in events})

    def states(self, queues: Collection[str]) -> dict[str, QueueState]:
        """Return the stored states by queue, without queues that can't be read now."""
        return {queue: stored.state for queue, stored in self.load(queues).items() if stored.state}

    def load(self, queues: Collection[str]) -> dict[str, StoredState]:
        """Return state and last event of each queue, without queues that can't be read now. A
        request reads fifty queues, strongly consistent."""
        keys = {
            key_of(key): (queue, key)
            for queue in queues
            for key in (table_keys.queue_state(queue), table_keys.last_event(queue))
        }
        items, unread = self._table.read(
            [key for _, key in keys.values()],
            attributes=("pk", "sk", "state", "version", "at"),
            consistent=True,
        )
        unavailable = {keys[key][0] for key in unread}
        loaded = {queue: StoredState() for queue in queues if queue not in unavailable}
        for item in items:
            queue = keys[key_of(item)][0]
            if queue in loaded:
                loaded[queue] = _with_item(loaded[queue], item)
        return loaded

    def blocked_events(self, queue: str, after: int) -> Sequence[BlockedEvent]:
        """Return the blocked events after a time (epoch milliseconds), newest first, at most the
        newest _MAX_BLOCKED_EVENTS."""
        keys = table_keys.blocked_events(queue, after)
        response = self._table.client.query(
            TableName=self._table.name,
            KeyConditionExpression="pk = :queue AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":queue": {"S": keys.pk},
                ":first": {"S": keys.first},
                ":last": {"S": keys.last},
            },
            ScanIndexForward=False,
            Limit=_MAX_BLOCKED_EVENTS,
        )
        return [
            msgspec.json.decode(item["event"]["S"], type=BlockedEvent) for item in response["Items"]
        ]

    def save(self, queue: str, state: QueueState, version: int) -> Outcome:
        """Replace the state that has this version (0: create it). Return CONFLICT if another sweep
        has replaced it already."""
        key = table_keys.queue_state(queue)
        statement = self._table.save_if_version_is(version, key, json_text("state", state))
        return self._table.execute([statement])[key_of(key)]


def _with_item(stored: StoredState, item: Item) -> StoredState:
    if "at" in item:
        return stored._replace(last_event_at=int(item["at"]["N"]))
    state = msgspec.json.decode(item["state"]["S"], type=QueueState)
    return stored._replace(state=state, version=int(item["version"]["N"]))


def _blocked_event_item(event: BlockedEvent) -> Item:
    content = msgspec.json.encode(event)
    digest = sha256(content).hexdigest()[:8]
    expiry = event.at // 1000 + _BLOCKED_EVENT_TTL_SECONDS
    return table_keys.blocked_event(event.queue, event.at, event.job_id, digest) | {
        "event": {"S": content.decode()},
        "expiresAt": {"N": str(expiry)},
    }
