"""Sends a batch of notices to Webex: read the batch, deliver room by room, settle the messages.

A message leaves the notices queue when its notice is marked as sent or skipped, or when it is in
the dead-letter queue with a reason; else SQS delivers it again. Webex has no effect on recording,
which is the work of another queue and another function.

Independent of how a notice is sent (`room_delivery`) and what its message contains (`text`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from chalicelib.aws.lambda_event import Message, without_reserve
from chalicelib.aws.sqs import Disposition, MessageQueue, Settled
from chalicelib.errors import MessagesLeft
from chalicelib.notices.notice import Notice, NoticeKey
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent, Tally, count, seconds
from chalicelib.webex.room_delivery import PendingNotice, RoomDelivery, RoomResult

MAX_BATCH = 6_000
"""Messages that one invocation processes for a digest: those of ten minutes, the longest pause of a
room, with ten failures a second."""

_GATHERING = 0.75
"""The part of the time that is left for sending when no more messages are received."""


@dataclass(kw_only=True)
class NoticeTally(Tally):
    """The figures of one batch: `received`, `dead_lettered` and `retried` count messages of the
    notices queue, `messages` those in Webex rooms, and the other counts notices.

    `already_done` are duplicates of notices that were sent or skipped before. `unauthorized` counts
    the rooms for which Webex rejected the token. `oldest_notice_age` is how long the oldest of the
    retried messages has been in the queue, which SQS does not report of messages that were received
    three times. `errors` are by room.
    """

    EVENT = LogEvent.NOTICES_DELIVERED

    received: int = count("NoticesReceived")
    sent: int = count("NoticesSent")
    messages: int = count("WebexMessages")
    skipped: int = count("NoticesSkipped")
    already_done: int = count("NoticesRepeated")
    dead_lettered: int = count("NoticesQuarantined")
    retried: int = count("NoticesHandedBack")
    unauthorized: int = count("WebexUnauthorized")
    oldest_notice_age: int | None = seconds("OldestNoticeAge")
    errors: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """The notices of a batch of messages by room, and the messages that contain none."""

    rooms: Mapping[str, Sequence[PendingNotice]]
    malformed: Sequence[Message]

    @classmethod
    def read(cls, messages: Sequence[Message], now: int) -> "Batch":
        """Decode the messages, and merge those that request the same notice. `now` is the queueing
        time, in epoch milliseconds, of messages without one."""
        rooms: dict[str, dict[NoticeKey, PendingNotice]] = {}
        malformed: list[Message] = []
        for message in messages:
            try:
                notice = Notice.decode(message.body)
            except ValueError:
                malformed.append(message)
                continue
            queued_at = now if message.sent_at is None else message.sent_at
            requested = rooms.setdefault(notice.room, {})
            pending = requested.get(notice.key, PendingNotice(notice, (), queued_at))
            requested[notice.key] = replace(
                pending,
                messages=(*pending.messages, message),
                queued_at=min(pending.queued_at, queued_at),
            )
        return cls({room: list(found.values()) for room, found in rooms.items()}, malformed)

    def dispositions(self, results: Mapping[str, RoomResult]) -> dict[Message, Disposition]:
        """Return the disposition of each message, given the results by room."""
        malformed = Disposition.dead_letter("the message is not a batchwatch notice")
        return dict.fromkeys(self.malformed, malformed) | {
            message: results[room].dispositions[pending.notice.key]
            for room, requested in self.rooms.items()
            for pending in requested
            for message in pending.messages
        }


class Notifier:
    """Processes batches of the notices queue. One instance serves all invocations of a Lambda
    environment. `report` receives the tally of each batch, including those that raise."""

    def __init__(
        self,
        queue: MessageQueue,
        rooms: RoomDelivery,
        report: Callable[[NoticeTally], None],
        runtime: Runtime = Runtime(),
    ) -> None:
        self._queue = queue
        self._rooms = rooms
        self._report = report
        self._runtime = runtime

    def notify(self, messages: Sequence[Message], time_left: Callable[[], float]) -> None:
        """Send the notices of a batch. `time_left` returns the seconds until Lambda stops the
        function.

        Raise MessagesLeft if some messages of the batch must be retried; the others have been
        deleted then.
        """
        time_left = without_reserve(time_left)
        batch = self._read(messages, time_left)

        results = {
            room: self._rooms.deliver(room, requested, time_left)
            for room, requested in batch.rooms.items()
        }

        settled = self._queue.settle(batch.dispositions(results))
        self._report(_tally(results, settled, self._runtime.now_ms()))
        if left := set(settled.retried) & set(messages):
            raise MessagesLeft(
                f"{len(left)} of {len(messages)} messages returned to the queue for retry"
            )

    def _read(self, messages: Sequence[Message], time_left: Callable[[], float]) -> Batch:
        """Read a batch; if a room needs a digest, receive more messages for it, so that a digest
        does not depend on how few messages Lambda delivers at a time."""
        batch = Batch.read(messages, self._runtime.now_ms())
        if not any(self._rooms.is_gathering(room, len(each)) for room, each in batch.rooms.items()):
            return batch
        deadline = time_left() * _GATHERING
        more = self._queue.receive(MAX_BATCH - len(messages), lambda: time_left() > deadline)
        return Batch.read([*messages, *more], self._runtime.now_ms())


def _tally(results: Mapping[str, RoomResult], settled: Settled, now: int) -> NoticeTally:
    total = sum(results.values(), RoomResult())
    sent_at = [message.sent_at for message in settled.retried if message.sent_at is not None]
    return NoticeTally(
        received=len(settled.acknowledged) + len(settled.retried) + len(settled.dead_lettered),
        sent=total.sent,
        messages=total.messages,
        skipped=total.skipped,
        already_done=total.already_done,
        dead_lettered=len(settled.dead_lettered),
        retried=len(settled.retried),
        unauthorized=sum(result.is_unauthorized for result in results.values()),
        oldest_notice_age=max(0, (now - min(sent_at)) // 1000) if sent_at else None,
        errors={room: result.error for room, result in results.items() if result.error},
    )
