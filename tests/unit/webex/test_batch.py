"""How a batch of messages becomes notices by room, and the results become dispositions."""

import json
from typing import Any

from chalicelib.aws.lambda_event import Message
from chalicelib.aws.sqs import Disposition, Settled
from chalicelib.webex.notifier import Batch, _tally
from chalicelib.webex.room_delivery import RoomResult
from tests.support.builders import NOON

NOTICE = {"room": "a", "jobId": "j-1", "kind": "FAILED", "generation": 0, "at": NOON, "queue": "q"}


def message(receives: int = 1, sent_at: int | None = NOON, **fields: Any) -> Message:
    return Message("id", "handle", json.dumps(NOTICE | fields), receives, sent_at)


def test_notices_are_grouped_by_room_in_the_order_of_the_messages() -> None:
    messages = [message(room="b"), message(), message(room="b", jobId="j-2")]

    batch = Batch.read(messages, NOON)

    assert {
        room: [pending.notice.job_id for pending in requested]
        for room, requested in batch.rooms.items()
    } == {"b": ["j-1", "j-2"], "a": ["j-1"]}


def test_messages_that_request_the_same_notice_are_merged() -> None:
    later, earlier = message(1, NOON + 5), message(3, NOON + 2)

    batch = Batch.read([later, earlier], NOON)

    (pending,) = batch.rooms["a"]
    assert pending.messages == (later, earlier)
    assert pending.queued_at == NOON + 2


def test_a_message_without_a_sent_time_counts_as_sent_now() -> None:
    (pending,) = Batch.read([message(sent_at=None)], NOON + 7).rooms["a"]

    assert pending.queued_at == NOON + 7


def test_each_message_gets_the_disposition_of_its_notice() -> None:
    malformed, first, duplicate, other = (
        message(room=1),
        message(),
        message(),
        message(room="b"),
    )
    batch = Batch.read([malformed, first, duplicate, other], NOON)
    (in_a,), (in_b,) = batch.rooms["a"], batch.rooms["b"]
    results = {
        "a": RoomResult({in_a.notice.key: Disposition.ack()}),
        "b": RoomResult({in_b.notice.key: Disposition.retry(30)}),
    }

    assert batch.dispositions(results) == {
        malformed: Disposition.dead_letter("the message is not a batchwatch notice"),
        first: Disposition.ack(),
        duplicate: Disposition.ack(),
        other: Disposition.retry(30),
    }


def test_results_of_parts_of_a_rooms_work_add_up() -> None:
    (pending, other) = Batch.read([message(), message(jobId="j-2")], NOON).rooms["a"]
    sent = RoomResult({pending.notice.key: Disposition.ack()}, messages=1, sent=1, resume_at=7)
    unsent = RoomResult({other.notice.key: Disposition.retry(30)}, error="RoomGone: no such room")

    assert sent + unsent == RoomResult(
        {pending.notice.key: Disposition.ack(), other.notice.key: Disposition.retry(30)},
        messages=1,
        sent=1,
        resume_at=7,
        error="RoomGone: no such room",
    )


def test_the_oldest_retried_notice_is_reported() -> None:
    old, new, sent = message(9, NOON - 7_200_000), message(1, NOON), message(1, NOON - 9_000_000)

    tally = _tally({}, Settled([sent], [new, old], []), NOON)

    assert tally.oldest_notice_age == 7_200
    assert _tally({}, Settled([sent], [], []), NOON).oldest_notice_age is None
