"""What was told: a claim and then a mark for each notice, a lease for each room, a thread for each
job or incident of a queue, and room.

    pk               sk                              what
    JOB#<root id>    NOTICE#<room>#<kind>#<gen>      claimed until …, sent as …, or skipped
                     THREAD#<room>                   the message that later ones reply to
    QUEUE#<name>     NOTICE#<room>#<kind>#<began>    likewise, of an incident of the queue
                     THREAD#<room>#<began>
    ROOM#<room>      ROOM                            leased until …, not to be sent to before …

An entry is written on the condition that its version is still the one that was read, so that of
many notifiers one sends. Knows DynamoDB and the keys of notices; knows nothing of Webex.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.aws.dynamodb import Item, Outcome, Statement, Table, key_of
from chalicelib.notices.notice import Notice

_MARGIN_SECONDS = 30 * 86_400
"""What was told is remembered for longer than a job: it may be told of while it still runs, and its
messages may come again for weeks."""


class State(StrEnum):
    NEW = "new"
    """Not in the table."""
    CLAIMED = "claimed"
    """Someone sends it, until the lease ends. A lease of the past is a claim given up."""
    SENT = "sent"
    SKIPPED = "skipped"
    """Not to be told: old news, or left meanwhile."""


class Entry(NamedTuple):
    """Where a notice stands. `until` is the lease's end in epoch milliseconds."""

    notice: Notice
    state: State = State.NEW
    until: int = 0
    message_id: str = ""
    version: int = 0

    def written(self) -> "Entry":
        """As it stands after a write of it succeeded."""
        return self._replace(version=self.version + 1)


class RoomLease(NamedTuple):
    """`free_at`: when the room can be had (someone else has it until then), or may be sent to
    (Webex said so); in the past if now."""

    ours: bool
    free_at: int


class DeliveryTable:
    """Times are epoch milliseconds. Leases of rooms raise botocore's errors; all else comes back
    as outcomes."""

    def __init__(self, table: Table, *, retention_days: int = 0) -> None:
        self._table = table
        self._retention_seconds = retention_days * 86_400

    def read(self, notices: Iterable[Notice]) -> tuple[dict[Notice, Entry], dict[Notice, Outcome]]:
        """Where each notice stands, and what became of those that can't be read."""
        by_key = {key_of(_notice_key(notice)): notice for notice in notices}
        items, left = self._table.read(
            [_notice_key(notice) for notice in by_key.values()],
            attributes=("pk", "sk", "state", "until", "messageId", "version"),
            consistent=True,
        )
        unread = {by_key[key]: outcome for key, outcome in left.items()}
        entries = {notice: Entry(notice) for notice in by_key.values() if notice not in unread}
        for item in items:
            notice = by_key[key_of(item)]
            entries[notice] = _entry(notice, item)
        return entries, unread

    def write(self, entries: Iterable[Entry], now: int) -> dict[Notice, Outcome]:
        """Writes entries over what was read of them: `version` is the one that was read."""
        by_key = {key_of(_notice_key(entry.notice)): entry for entry in entries}
        statements = [self._statement(entry, now) for entry in by_key.values()]
        outcomes = self._table.execute(statements)
        return {by_key[key].notice: outcome for key, outcome in outcomes.items()}

    def thread(self, notice: Notice) -> str | None:
        """The message that starts its thread in its room. None if it can't be read: a message that
        stands by itself is better than none."""
        items, _ = self._table.read(
            [_thread_key(notice)], attributes=("messageId",), consistent=True
        )
        return items[0]["messageId"]["S"] if items else None

    def start_thread(self, notice: Notice, message_id: str, now: int) -> None:
        """The first message stays the thread's start."""
        item = _thread_key(notice) | {"messageId": {"S": message_id}} | self._expiry(now)
        self._table.execute([self._table.insert_if_absent(item)])

    def lease_room(self, room: str, owner: str, now: int, until: int) -> RoomLease:
        """Takes the room, unless someone else has it."""
        try:
            answer: Any = self._table.client.update_item(
                TableName=self._table.name,
                Key=_room_key(room),
                UpdateExpression="SET leasedUntil = :until, leasedBy = :owner",
                ConditionExpression="attribute_not_exists(leasedUntil) OR leasedUntil < :now",
                ExpressionAttributeValues={
                    ":until": {"N": str(until)},
                    ":owner": {"S": owner},
                    ":now": {"N": str(now)},
                },
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            leased: Any = error.response.get("Item", {})
            return RoomLease(ours=False, free_at=_number(leased, "leasedUntil"))
        return RoomLease(ours=True, free_at=_number(answer["Attributes"], "nextSendAt"))

    def leave_room(self, room: str, owner: str, next_send_at: int) -> None:
        """Gives the room back, unless the lease ran out and someone else has it."""
        statement = self._table.update_if_equal(
            {"leasedBy": {"S": owner}},
            _room_key(room),
            {"leasedUntil": {"N": "0"}, "nextSendAt": {"N": str(next_send_at)}},
        )
        self._table.execute([statement])

    def _statement(self, entry: Entry, now: int) -> Statement:
        key = _notice_key(entry.notice)
        attributes: Item = {
            "state": {"S": entry.state},
            "until": {"N": str(entry.until)},
            "messageId": {"S": entry.message_id},
        } | self._expiry(now)
        return self._table.save_if_version_is(entry.version, key, attributes)

    def _expiry(self, now: int) -> Item:
        if not self._retention_seconds:
            return {}
        return {"expiresAt": {"N": str(now // 1000 + self._retention_seconds + _MARGIN_SECONDS)}}


def _notice_key(notice: Notice) -> Item:
    sort = f"NOTICE#{notice.room}#{notice.kind}#{notice.generation}"
    return {"pk": {"S": notice.subject}, "sk": {"S": sort}}


def _thread_key(notice: Notice) -> Item:
    incident = f"#{notice.generation}" if notice.job_id is None else ""
    return {"pk": {"S": notice.subject}, "sk": {"S": f"THREAD#{notice.room}{incident}"}}


def _room_key(room: str) -> Item:
    return {"pk": {"S": f"ROOM#{room}"}, "sk": {"S": "ROOM"}}


def _entry(notice: Notice, item: Mapping[str, Any]) -> Entry:
    return Entry(
        notice,
        State(item["state"]["S"]),
        _number(item, "until"),
        item["messageId"]["S"],
        _number(item, "version"),
    )


def _number(item: Mapping[str, Any], name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
