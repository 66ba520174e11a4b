"""Notices become messages in Webex rooms: claim, send, mark.

A notice leaves its queue when it is marked as told or skipped, or when it lies in the dead-letter
queue with the reason. Only the holder of a room's lease sends to it, so that the order within a
job, digests and Webex's rate limits hold across all notifiers. Whatever Webex does, recording goes
on: it is another queue's and another function's work.

    dies before the send    the claim runs out, the notice comes again: told once
    dies after the send     the mark is missing: told twice
    Webex's answer is lost  nobody knows: told again, at ever longer intervals

Knows the order of the steps. Who is told what is `notice`'s, the words are `notice_text`'s, the
marks `notice_ledger`'s.
"""

import dataclasses
import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.lambda_event import Message, without_reserve
from chalicelib.aws.sqs import Disposition, MessageQueue
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.job import Job, JobId, is_terminal
from chalicelib.jobs.job_index import JobIndex
from chalicelib.jobs.job_table import JobTable, Loaded
from chalicelib.notices.notice import (
    RESOLUTIONS,
    Notice,
    NoticeKey,
    is_outdated,
    is_too_old,
)
from chalicelib.notices.rules import QUEUE_BLOCKED, STUCK
from chalicelib.queues.state import QueueState
from chalicelib.queues.state_table import QueueStateTable, StoredState
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent, Tally, count
from chalicelib.webex.client import (
    RateLimited,
    Refused,
    RoomGone,
    Unauthorized,
    Unavailable,
    Webex,
    WebexError,
)
from chalicelib.webex.delivery_table import DeliveryTable, Entry, State
from chalicelib.webex.text import ArrayOutcome, NoticeContext, NoticeText

LEASE = 150_000
"""Milliseconds, more than the function may run: a lease that runs out had its holder die."""
DIGEST_THRESHOLD = 5
"""More notices than this for one room at once become one digest."""
DIGEST_PAUSE = 10_000
"""Milliseconds that a room is left in peace after a digest, so that a storm becomes few."""
MAX_DIGEST = 500
"""Notices that one invocation gathers for a digest."""
ARRAY_PATIENCE = 120_000
"""Milliseconds that the end of an array waits for its children's own events."""
_OUTAGE_PAUSE = 30_000
"""Milliseconds that a room is left alone when Webex does not answer."""
_MARK_ATTEMPTS = 5
_LONGEST_HIDING = 43_200
"""Seconds: SQS hides no message for longer than 12 hours."""


class Fate(NamedTuple):
    """What becomes of a notice: settled (told, or needless), back in `seconds`, or dead for a
    `reason`."""

    settled: bool = False
    seconds: int = 0
    reason: str = ""

    @classmethod
    def back_in(cls, seconds: float) -> "Fate":
        return cls(seconds=min(_LONGEST_HIDING, max(1, round(seconds))))


SETTLED = Fate(settled=True)


def _disposition(fate: Fate) -> Disposition:
    if fate.reason:
        return Disposition.dead_letter(fate.reason)
    return Disposition.retry(fate.seconds) if fate.seconds else Disposition.ack()


def send_delay(error: Unavailable, attempt: int, time_left: float, jitter: float) -> float | None:
    """Seconds to wait before Webex, unavailable at `attempt` (from 1), is asked again; None: the
    notice had better come again. What may have arrived is repeated once only."""
    attempts = 2 if is_lost(error) else 3
    delay = 2.0 ** (attempt - 1) * (0.5 + jitter / 2)
    return delay if attempt < attempts and delay < time_left / 4 else None


def is_lost(error: WebexError) -> bool:
    """Whether the answer is missing, and the message may be in the room."""
    return isinstance(error, Unavailable) and error.maybe_sent and error.status is None


def lost_delay(receives: int) -> float:
    """Seconds until a notice whose answer was lost is told again, perhaps once more than enough:
    the more often it came, the longer, from a minute to twelve hours."""
    return 30.0 * 2.0 ** min(receives, 11)


@dataclass(kw_only=True)
class NoticeTally(Tally):
    """What became of a batch of notices. `trouble` tells what Webex did not take, by room."""

    EVENT = LogEvent.NOTICES_DELIVERED

    received: int = count("NoticesReceived")
    sent: int = count("NoticesSent")
    messages: int = count("WebexMessages")
    skipped: int = count("NoticesSkipped")
    repeated: int = count("NoticesRepeated")
    quarantined: int = count("NoticesQuarantined")
    handed_back: int = count("NoticesHandedBack")
    unauthorized: int = count("WebexUnauthorized")
    trouble: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a notifier works with."""

    jobs: JobTable
    index: JobIndex
    queues: QueueStateTable
    ledger: DeliveryTable
    queue: MessageQueue
    webex: Webex
    text: NoticeText
    max_age_seconds: float
    runtime: Runtime = Runtime()

    def later(self, outcome: Outcome) -> Fate:
        """For what DynamoDB did not do, or someone else does."""
        shortest, longest = (120, 300) if outcome is Outcome.OUTAGE else (3, 10)
        return Fate.back_in(shortest + self.runtime.random() * (longest - shortest))


class PendingNotice(NamedTuple):
    """A notice, the messages that ask for it, and when the first was put on the queue."""

    notice: Notice
    messages: list[Message]
    queued_at: int


class ClaimedNotice(NamedTuple):
    """A notice to be told now, claimed by `entry`, and what is known of what it is about: `job` is
    the child that an early warning or a stuck array is about, else the root; of a queue `state` is
    that of its incidents, and `job` the one that blocks it."""

    notice: Notice
    receives: int
    entry: Entry
    job: Job | None
    array_size: int | None
    outcome: ArrayOutcome | None
    state: QueueState | None


class Notifier:
    """Tells rooms; one instance serves a function's whole life. `report` gets each batch's tally,
    also of a batch that raises."""

    def __init__(self, parts: Parts, report: Callable[[NoticeTally], None]) -> None:
        self._parts = parts
        self._report = report

    def notify(self, messages: Sequence[Message], time_left: Callable[[], float]) -> None:
        """Tells what it can. `time_left` gives the seconds until the function is killed.

        Raises MessagesLeft, with the others deleted, if some of them must come again.
        """
        tally = NoticeTally()
        time_left = without_reserve(time_left)
        rooms, broken = self._gather(messages)
        fates = dict.fromkeys(broken, Fate(reason="not a notice of batchwatch"))
        for room, asked in rooms.items():
            told = self._tell_room(room, asked, time_left, tally)
            fates |= {message: told[one.notice.key] for one in asked for message in one.messages}
        back = self._settle(fates, tally)
        self._report(tally)
        if left := back & set(messages):
            raise MessagesLeft(f"{len(left)} of {len(messages)} notices come again")

    def _gather(
        self, messages: Sequence[Message]
    ) -> tuple[dict[str, list[PendingNotice]], list[Message]]:
        """Notices by room, and what is none. A crowd draws more from the queue, so that its digest
        does not depend on how few messages the poller brings at a time."""
        rooms, broken = _read(messages, self._parts.runtime.now_ms())
        if any(len(asked) > DIGEST_THRESHOLD for asked in rooms.values()):
            more = self._parts.queue.take(MAX_DIGEST - len(messages))
            rooms, broken = _read([*messages, *more], self._parts.runtime.now_ms())
        return rooms, broken

    def _tell_room(
        self,
        room: str,
        asked: Sequence[PendingNotice],
        time_left: Callable[[], float],
        tally: NoticeTally,
    ) -> dict[NoticeKey, Fate]:
        """Tells one room, alone among all notifiers."""
        parts, owner, now = self._parts, uuid.uuid4().hex, self._parts.runtime.now_ms()
        keys = [one.notice.key for one in asked]
        try:
            lease = parts.ledger.lease_room(room, owner, now, now + LEASE)
        except (ClientError, BotoCoreError):
            return dict.fromkeys(keys, parts.later(Outcome.OUTAGE))
        if not lease.ours:
            return dict.fromkeys(keys, parts.later(Outcome.BUSY))
        telling = RoomDelivery(parts, room, time_left, tally, pause=lease.free_at)
        try:
            if lease.free_at > now:
                return dict.fromkeys(keys, Fate.back_in((lease.free_at - now) / 1000))
            return telling.tell(asked)
        except Exception as error:
            # What was told is marked: it comes again to be found so. The other rooms go on.
            tally.trouble[room] = type(error).__name__
            return dict.fromkeys(keys, parts.later(Outcome.OUTAGE))
        finally:
            parts.ledger.leave_room(room, owner, telling.pause)

    def _settle(self, fates: Mapping[Message, Fate], tally: NoticeTally) -> set[Message]:
        """Deletes the settled, buries the dead, hands back the rest; those that come again."""
        settled = self._parts.queue.settle({m: _disposition(fate) for m, fate in fates.items()})
        tally.received = len(fates)
        tally.handed_back = len(settled.retried)
        tally.quarantined = len(settled.dead_lettered)
        return set(settled.retried)


class RoomDelivery:
    """One room, under its lease. `pause` is until when it is to be left in peace (epoch ms)."""

    def __init__(
        self,
        parts: Parts,
        room: str,
        time_left: Callable[[], float],
        tally: NoticeTally,
        pause: int,
    ) -> None:
        self._parts = parts
        self._room = room
        self._time_left = time_left
        self._tally = tally
        self.pause = pause

    def tell(self, asked: Sequence[PendingNotice]) -> dict[NoticeKey, Fate]:
        due, fates = self._decide(asked)
        due, lost = self._claim(due)
        return fates | lost | self._send_all(due)

    def _decide(
        self, asked: Sequence[PendingNotice]
    ) -> tuple[list[ClaimedNotice], dict[NoticeKey, Fate]]:
        """The notices to be told, and the fates of those that are not."""
        parts, now = self._parts, self._parts.runtime.now_ms()
        entries, unread = parts.ledger.read([one.notice for one in asked])
        records = self._load([one.notice for one in asked])
        due: list[ClaimedNotice] = []
        fates: dict[NoticeKey, Fate] = {}
        skips: list[Entry] = []
        for one in asked:
            notice, key = one.notice, one.notice.key
            if trouble := unread.get(notice) or records.trouble(notice):
                fates[key] = parts.later(trouble)
            elif standing := _standing(entries[notice], now):
                fates[key] = standing
                self._tally.repeated += standing.settled
            elif self._is_needless(one, entries[notice], records):
                skips.append(entries[notice]._replace(state=State.SKIPPED, until=0))
            else:
                job, size = records.job(notice), records.array_size(notice)
                outcome = self._outcome(notice, size)
                if outcome and outcome.without_result and now - one.queued_at < ARRAY_PATIENCE:
                    fates[key] = Fate.back_in(10 + 10 * parts.runtime.random())
                else:
                    receives = max(message.receive_count for message in one.messages)
                    state = records.state(notice)
                    due.append(
                        ClaimedNotice(notice, receives, entries[notice], job, size, outcome, state)
                    )
        return due, fates | self._skip(skips)

    def _load(self, notices: Sequence[Notice]) -> "_Records":
        queues = {notice.queue for notice in notices if notice.job_id is None}
        records = _Records(self._parts.queues.load(queues), Loaded({}, {}))
        needed = {job_id for notice in notices for job_id in records.needed(notice)}
        return records._replace(jobs=self._parts.jobs.load(needed, consistent=True))

    def _is_needless(self, one: PendingNotice, entry: Entry, records: "_Records") -> bool:
        """Old news is told by its age when it was queued: an outage of Webex makes nothing old."""
        old = is_too_old(one.notice, one.queued_at, self._parts.max_age_seconds)
        return (old and entry.state is State.NEW) or records.are_past(one.notice)

    def _outcome(self, notice: Notice, size: int | None) -> ArrayOutcome | None:
        """How an array's children fared, if its end is to be told."""
        if size is None or notice.job_id is None or not is_terminal(notice.kind):
            return None
        return ArrayOutcome.of(size, self._parts.index.children(notice.job_id))

    def _skip(self, entries: Sequence[Entry]) -> dict[NoticeKey, Fate]:
        outcomes = self._parts.ledger.write(entries, self._parts.runtime.now_ms())
        saved = [notice for notice, outcome in outcomes.items() if outcome is Outcome.SAVED]
        self._tally.skipped += len(saved)
        return {
            notice.key: SETTLED if outcome is Outcome.SAVED else self._parts.later(outcome)
            for notice, outcome in outcomes.items()
        }

    def _claim(
        self, due: Sequence[ClaimedNotice]
    ) -> tuple[list[ClaimedNotice], dict[NoticeKey, Fate]]:
        """Those that are ours to tell, in the order of what happened, and the fates of others."""
        now = self._parts.runtime.now_ms()
        claims = {
            one.notice: one._replace(
                entry=one.entry._replace(state=State.CLAIMED, until=now + LEASE)
            )
            for one in due
        }
        outcomes = self._parts.ledger.write([one.entry for one in claims.values()], now)
        ours = [
            one._replace(entry=one.entry.written())
            for notice, one in claims.items()
            if outcomes[notice] is Outcome.SAVED
        ]
        lost = {
            notice.key: self._parts.later(outcome)
            for notice, outcome in outcomes.items()
            if outcome is not Outcome.SAVED
        }
        return sorted(ours, key=lambda one: one.notice.at), lost

    def _send_all(self, due: Sequence[ClaimedNotice]) -> dict[NoticeKey, Fate]:
        """Sends one by one, or a crowd as one digest, and marks each as soon as it is sent."""
        batches = [list(due)] if len(due) > DIGEST_THRESHOLD else [[one] for one in due]
        fates: dict[NoticeKey, Fate] = {}
        while batches:
            try:
                message_id = self._send(batches[0])
            except Refused as error:
                fates |= self._give_up(batches.pop(0), Fate(reason=str(error)), error)
            except WebexError as error:
                rest = [one for batch in batches for one in batch]
                return fates | self._give_up(rest, self._consequence(error), error)
            else:
                fates |= self._mark(batches.pop(0), message_id)
        if len(due) > DIGEST_THRESHOLD:
            self.pause = self._parts.runtime.now_ms() + DIGEST_PAUSE
        return fates

    def _send(self, due: Sequence[ClaimedNotice]) -> str:
        """Posts one message and returns its id. Raises WebexError."""
        markdown = self._compose(due)
        thread = self._parts.ledger.thread(due[0].notice) if len(due) == 1 else None
        try:
            message_id = self._post(markdown, thread)
        except (RoomGone, Refused):
            if thread is None:
                raise
            # Someone may have deleted the message that started the thread.
            message_id = self._post(markdown, None)
        if len(due) == 1 and thread is None:
            self._parts.ledger.start_thread(due[0].notice, message_id, self._parts.runtime.now_ms())
        return message_id

    def _post(self, markdown: str, thread: str | None) -> str:
        """Asks again while Webex is unavailable, as long as there is time."""
        post = self._parts.webex.post_message
        for attempt in itertools.count(1):
            try:
                return post(self._room, markdown, parent_id=thread, time_left=self._time_left)
            except Unavailable as error:
                delay = send_delay(error, attempt, self._time_left(), self._parts.runtime.random())
                if delay is None:
                    raise
                self._parts.runtime.sleep(delay)
        raise AssertionError("itertools.count ended")

    def _compose(self, due: Sequence[ClaimedNotice]) -> str:
        try:
            return self._words(due)
        except (ClientError, BotoCoreError):
            raise
        except Exception as error:
            # A defect of ours must not hold up the room's other notices.
            raise Refused(f"batchwatch could not word it: {type(error).__name__}") from error

    def _words(self, due: Sequence[ClaimedNotice]) -> str:
        contexts = [
            NoticeContext(
                notice=one.notice,
                job=one.job,
                array_size=one.array_size,
                array_outcome=one.outcome,
                queue_state=one.state,
            )
            for one in due
        ]
        if len(contexts) > 1:
            return self._parts.text.digest(contexts)
        (context,) = contexts
        if job := context.described_job:
            description = self._parts.jobs.describe(job)
            context = dataclasses.replace(context, description=description)
        return self._parts.text.message(context)

    def _mark(self, told: Sequence[ClaimedNotice], message_id: str) -> dict[NoticeKey, Fate]:
        """What can't be marked comes again when its claim has run out."""
        self._tally.messages += 1
        self._tally.sent += len(told)
        unmarked = [
            one.entry._replace(state=State.SENT, until=0, message_id=message_id) for one in told
        ]
        for _ in range(_MARK_ATTEMPTS):
            outcomes = self._parts.ledger.write(unmarked, self._parts.runtime.now_ms())
            unmarked = [one for one in unmarked if outcomes[one.notice] is not Outcome.SAVED]
            if not unmarked:
                break
            self._parts.runtime.sleep(self._parts.runtime.random())
        fates = {one.notice.key: SETTLED for one in told}
        again = Fate.back_in(LEASE / 1000)
        return fates | {entry.notice.key: again for entry in unmarked}

    def _give_up(
        self, due: Sequence[ClaimedNotice], fate: Fate, error: WebexError
    ) -> dict[NoticeKey, Fate]:
        """Frees the claims, so that whoever gets the notices next need not wait for them."""
        self._tally.trouble[self._room] = f"{type(error).__name__}: {error}"
        freed = [one.entry._replace(until=0) for one in due]
        self._parts.ledger.write(freed, self._parts.runtime.now_ms())
        if is_lost(error):
            return {one.notice.key: Fate.back_in(lost_delay(one.receives)) for one in due}
        return {one.notice.key: fate for one in due}

    def _consequence(self, error: WebexError) -> Fate:
        """What becomes of all that could not be sent to the room."""
        if isinstance(error, RoomGone):
            return Fate(reason=str(error))
        if isinstance(error, RateLimited):
            self.pause = self._parts.runtime.now_ms() + round(error.retry_after * 1000)
            return Fate.back_in(error.retry_after)
        if isinstance(error, Unauthorized):
            self._tally.unauthorized += 1
            return Fate.back_in(300 + 300 * self._parts.runtime.random())
        self.pause = self._parts.runtime.now_ms() + _OUTAGE_PAUSE
        return Fate.back_in(_OUTAGE_PAUSE / 1000 * (1 + self._parts.runtime.random()))


def _read(
    messages: Sequence[Message], now: int
) -> tuple[dict[str, list[PendingNotice]], list[Message]]:
    """Notices by room, each with all the messages that ask for it; and what is none."""
    rooms: dict[str, dict[NoticeKey, PendingNotice]] = {}
    broken: list[Message] = []
    for message in messages:
        try:
            notice = msgspec.json.decode(message.body, type=Notice)
            _check(notice)
        except (ValueError, RecursionError):
            broken.append(message)
            continue
        queued_at = now if message.sent_at is None else message.sent_at
        asked = rooms.setdefault(notice.room, {})
        known = asked.setdefault(notice.key, PendingNotice(notice, [], queued_at))
        known.messages.append(message)
        asked[notice.key] = known._replace(queued_at=min(known.queued_at, queued_at))
    return {room: list(asked.values()) for room, asked in rooms.items()}, broken


def _check(notice: Notice) -> None:
    """Raises ValueError for what only looks like a notice."""
    if notice.job_id is not None:
        JobId.parse(str(_about(notice, None)))
    elif notice.kind not in {*RESOLUTIONS, *RESOLUTIONS.values()}:
        raise ValueError("not about a queue")


class _Records(NamedTuple):
    """What decides about notices, and what their words are made from: the records of jobs, and what
    is known of the queues that some are about themselves."""

    known: Mapping[str, StoredState]
    jobs: Loaded

    def needed(self, notice: Notice) -> list[str]:
        """The ids of jobs."""
        return [one for one in (notice.job_id, _about(notice, self.state(notice))) if one]

    def state(self, notice: Notice) -> QueueState | None:
        known = self.known.get(notice.queue) if notice.job_id is None else None
        return known.state if known else None

    def job(self, notice: Notice) -> Job | None:
        about = _about(notice, self.state(notice))
        return self.jobs.job(about) if about else None

    def array_size(self, notice: Notice) -> int | None:
        root = self.jobs.job(notice.job_id) if notice.job_id else None
        return root.details.array.size if root and root.details.array else None

    def trouble(self, notice: Notice) -> Outcome | None:
        """Why something can't be read, if so."""
        if notice.job_id is None and notice.queue not in self.known:
            return Outcome.BUSY
        unread = (self.jobs.unread.get(job_id) for job_id in self.needed(notice))
        return next((outcome for outcome in unread if outcome), None)

    def are_past(self, notice: Notice) -> bool:
        """Whether nobody cares for the notice any more."""
        if notice.kind in RESOLUTIONS:
            state = self.state(notice)
            return state is None or not state.has_open_incident(notice)
        root = self.jobs.job(notice.job_id) if notice.job_id else None
        return is_outdated(notice, self.job(notice) if notice.kind == STUCK else root)


def _about(notice: Notice, state: QueueState | None) -> str | None:
    """The id of the job whose record the message is made from."""
    if notice.job_id is None:
        blocked = state.blocked if state and notice.kind == QUEUE_BLOCKED else None
        return blocked.job_id if blocked else None
    return notice.job_id if notice.child is None else f"{notice.job_id}:{notice.child}"


def _standing(entry: Entry, now: int) -> Fate | None:
    """The fate of what was told, or is being told by someone else; None if it is open."""
    if entry.state in (State.SENT, State.SKIPPED):
        return SETTLED
    if entry.state is State.CLAIMED and entry.until > now:
        return Fate.back_in((entry.until - now) / 1000)
    return None
