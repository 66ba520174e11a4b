"""Repository of deliveries: the claim and the mark of each notice, the lease of each room, and the
first message of each thread.

Only the notifier that holds a room's lease sends to the room:

    |         LEASED: other notifiers retry later        |    FREE: any notifier may lease it
    |----------------------------------------------------|-----------------------------------> time
    lease_room                               release_room, or the lease expires after a crash

Under the lease, each notice is claimed, sent and marked:

    | NEW: may be claimed | CLAIMED: others retry later  |    SENT: others acknowledge it
    |---------------------|------------------------------|-----------------------------------> time
                        claim                    Webex has accepted it; mark

                          | CLAIMED: others retry later  |    may be claimed and sent again
                          |------------------------------|-----------------------------------> time
                        claim                 the claim is released, or expires after a crash

Every write of a delivery has the condition that the item still has the version that was read, so
that only one of several notifiers succeeds. Independent of Webex; the caller decides what to send.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from botocore.exceptions import ClientError

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Statement, Table, key_of
from chalicelib.notices.notice import Notice
from chalicelib.webex.pacing import Pace

_MARGIN_SECONDS = 30 * 86_400
"""Deliveries are kept for this long after the retention of jobs: a notice can be sent while its job
still runs, and SQS can deliver its messages again for weeks."""


class DeliveryStatus(StrEnum):
    NEW = "new"
    """There is no item."""
    CLAIMED = "claimed"
    """A notifier is sending the notice, until the claim is released or expires."""
    SENT = "sent"
    SKIPPED = "skipped"
    """The notice was outdated or too old, and is never sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The delivery of one notice, as read from the table or as to be saved."""

    notice: Notice
    status: DeliveryStatus = DeliveryStatus.NEW
    claimed_until: int = 0
    """When the claim expires, in epoch milliseconds; 0 without a claim."""
    message_id: str = ""
    lost_responses: int = 0
    """How often Webex may have posted the notice without a response that confirms it."""
    version: int = 0
    """The version that was read; 0 without an item."""

    def claimed(self, until: int) -> "Delivery":
        return replace(self, status=DeliveryStatus.CLAIMED, claimed_until=until)

    def released(self) -> "Delivery":
        return replace(self, claimed_until=0)

    def response_lost(self) -> "Delivery":
        return replace(self, lost_responses=self.lost_responses + 1)

    def sent(self, message_id: str) -> "Delivery":
        return replace(self, status=DeliveryStatus.SENT, claimed_until=0, message_id=message_id)

    def skipped(self) -> "Delivery":
        return replace(self, status=DeliveryStatus.SKIPPED, claimed_until=0)

    @property
    def is_done(self) -> bool:
        return self.status in (DeliveryStatus.SENT, DeliveryStatus.SKIPPED)

    def is_claimed(self, now: int) -> bool:
        return self.status is DeliveryStatus.CLAIMED and self.claimed_until > now


class Found(NamedTuple):
    """The deliveries that were read, and why the others were not."""

    deliveries: dict[Notice, Delivery]
    unread: dict[Notice, Outcome]


class Saved(NamedTuple):
    """The deliveries that were saved, with their new versions, and why the others were not."""

    deliveries: list[Delivery]
    unsaved: dict[Notice, Outcome]


@dataclass(frozen=True, slots=True)
class Room:
    """The state of a room that its notifiers share."""

    resume_at: int = 0
    """The time before which nothing may be sent to the room, because of a rate limit, an outage or
    a storm of notices."""
    failing_since: int = 0
    """Since when all messages to the room have failed; 0: the last one was sent."""
    pace: Pace = field(default_factory=Pace)


class DeliveryTable:
    """The deliveries, rooms and threads in the table. Times are epoch milliseconds. `lease_room`
    raises botocore's errors; the other methods return outcomes."""

    def __init__(self, table: Table, *, retention_days: int = 0) -> None:
        self._table = table
        self._retention_seconds = retention_days * 86_400

    def read(self, notices: Iterable[Notice]) -> Found:
        """Read the delivery of each notice consistently."""
        by_key = {key_of(_notice_key(notice)): notice for notice in notices}
        items, left = self._table.read(
            [_notice_key(notice) for notice in by_key.values()],
            attributes=(
                "pk",
                "sk",
                "status",
                "claimedUntil",
                "messageId",
                "lostResponses",
                "version",
            ),
            consistent=True,
        )
        unread = {by_key[key]: outcome for key, outcome in left.items()}
        found = {n: Delivery(notice=n) for n in by_key.values() if n not in unread}
        for item in items:
            notice = by_key[key_of(item)]
            found[notice] = _delivery(notice, item)
        return Found(found, unread)

    def save(self, deliveries: Iterable[Delivery], now: int) -> Saved:
        """Save each delivery if the version that was read is still the latest."""
        by_key = {key_of(_notice_key(delivery.notice)): delivery for delivery in deliveries}
        outcomes = self._table.execute([self._statement(d, now) for d in by_key.values()])
        return Saved(
            [
                replace(delivery, version=delivery.version + 1)
                for key, delivery in by_key.items()
                if outcomes[key] is Outcome.SAVED
            ],
            {
                delivery.notice: outcomes[key]
                for key, delivery in by_key.items()
                if outcomes[key] is not Outcome.SAVED
            },
        )

    def thread(self, notice: Notice) -> str | None:
        """Return the id of the first message of the notice's thread, or None if there is none.

        Return None as well if it can't be read: a message outside its thread is better than none.
        """
        items, _ = self._table.read(
            [_thread_key(notice)], attributes=("messageId",), consistent=True
        )
        return items[0]["messageId"]["S"] if items else None

    def start_thread(self, notice: Notice, message_id: str, now: int) -> None:
        """Store the first message of a thread, unless the thread has one."""
        item = _thread_key(notice) | {"messageId": {"S": message_id}} | self._expiry(now)
        self._table.execute([self._table.insert_if_absent(item)])

    def room(self, room: str) -> Room:
        """Return a room without its lease; as a new one if it can't be read."""
        items, _ = self._table.read(
            [table_keys.room(room)], attributes=_ROOM_ATTRIBUTES, consistent=False
        )
        return _room(items[0]) if items else Room()

    def lease_room(self, room: str, owner: str, *, now: int, until: int) -> Room | None:
        """Lease the room until `until`. Return None if another notifier holds its lease."""
        never_leased = "attribute_not_exists(leasedUntil)"
        released_or_expired = "leasedUntil < :now"
        try:
            answer = self._table.client.update_item(
                TableName=self._table.name,
                Key=table_keys.room(room),
                UpdateExpression="SET leasedUntil = :until, leasedBy = :owner",
                ConditionExpression=f"{never_leased} OR {released_or_expired}",
                ExpressionAttributeValues={
                    ":until": {"N": str(until)},
                    ":owner": {"S": owner},
                    ":now": {"N": str(now)},
                },
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return None
        return _room(answer["Attributes"])

    def release_room(self, room: str, owner: str, state: Room) -> None:
        """Release the lease, unless it has expired and another notifier has leased the room."""
        still_leased_by_owner: Item = {"leasedBy": {"S": owner}}
        released: Item = {
            "leasedUntil": {"N": "0"},
            "nextSendAt": {"N": str(state.resume_at)},
            "failingSince": {"N": str(state.failing_since)},
            "recentMessages": {"N": str(state.pace.messages)},
            "lastMessageAt": {"N": str(state.pace.last_at)},
        }
        statement = self._table.update_if_equal(
            still_leased_by_owner, table_keys.room(room), released
        )
        self._table.execute([statement])

    def _statement(self, delivery: Delivery, now: int) -> Statement:
        attributes: Item = {
            "status": {"S": delivery.status},
            "claimedUntil": {"N": str(delivery.claimed_until)},
            "messageId": {"S": delivery.message_id},
            "lostResponses": {"N": str(delivery.lost_responses)},
            **self._expiry(now),
        }
        return self._table.save_if_version_is(
            delivery.version, _notice_key(delivery.notice), attributes
        )

    def _expiry(self, now: int) -> Item:
        if not self._retention_seconds:
            return {}
        return {"expiresAt": {"N": str(now // 1000 + self._retention_seconds + _MARGIN_SECONDS)}}


def _notice_key(notice: Notice) -> table_keys.Key:
    return table_keys.notice(_subject(notice), notice.room, notice.key.kind, notice.generation)


def _thread_key(notice: Notice) -> table_keys.Key:
    return table_keys.thread(_subject(notice), notice.room, notice.began)


def _subject(notice: Notice) -> str:
    return table_keys.notice_subject(notice.queue, notice.job_id)


def _delivery(notice: Notice, item: Item) -> Delivery:
    return Delivery(
        notice=notice,
        status=DeliveryStatus(item["status"]["S"]),
        claimed_until=_number(item, "claimedUntil"),
        message_id=item["messageId"]["S"],
        lost_responses=_number(item, "lostResponses"),
        version=_number(item, "version"),
    )


_ROOM_ATTRIBUTES = ("nextSendAt", "failingSince", "recentMessages", "lastMessageAt")


def _room(item: Item) -> Room:
    return Room(
        resume_at=_number(item, "nextSendAt"),
        failing_since=_number(item, "failingSince"),
        pace=Pace(_number(item, "recentMessages"), _number(item, "lastMessageAt")),
    )


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
