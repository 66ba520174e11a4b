"""Delivers the notices of one room at a time: lease the room, decide, claim, send, mark.

Each notice gets a disposition: acknowledged when it is marked as sent or skipped, dead-lettered
when Webex will never accept it, else retried. So it is sent at least once, and more often only
after a failure between the send and the mark:

    the notifier crashes before the send        the claim expires, then it is retried: sent once
    the notifier crashes before the mark        the claim expires, then it is retried: sent twice
    the response of Webex is lost               retried at increasing intervals: sent once or more

A duplicate is better than a missing notice (docs/adr/0006-claim-send-mark.md). Independent of how
notices are queued and what their messages contain.
"""

import itertools
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.lambda_event import Message
from chalicelib.aws.sqs import Disposition
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import JobStatus
from chalicelib.notices.notice import Notice, NoticeKey, is_too_old
from chalicelib.runtime import Runtime
from chalicelib.webex.client import Refused, RoomGone, Unauthorized, Webex, WebexError
from chalicelib.webex.delivery_table import (
    Delivery,
    DeliveryStatus,
    DeliveryTable,
    Found,
    Room,
)
from chalicelib.webex.markdown import short_form
from chalicelib.webex.records import RecordReader, Records
from chalicelib.webex.retries import (
    disposition_after,
    disposition_for,
    is_response_lost,
    retry_delay,
    room_pause,
)
from chalicelib.webex.text import NoticeContext, NoticeText

LEASE = 150_000
"""Milliseconds of a room's lease and of a claim: longer than the timeout of `on_notices`, so that
their holder has stopped when they expire (tests/unit/webex/test_lease.py)."""
ARRAY_TIMEOUT = 120_000
"""Milliseconds that the notice of an array's end waits for the events of its children."""
_MARK_ATTEMPTS = 5


@dataclass(frozen=True)
class PendingNotice:
    """A notice and the messages that request it."""

    notice: Notice
    messages: tuple[Message, ...]
    queued_at: int
    """When the first of the messages was sent to the queue, in epoch milliseconds."""


@dataclass(frozen=True)
class DueNotice:
    """A notice that is to be sent now, with all that its message is written from."""

    delivery: Delivery
    context: NoticeContext

    @property
    def notice(self) -> Notice:
        return self.delivery.notice

    def claimed(self, delivery: Delivery) -> "ClaimedNotice":
        return ClaimedNotice(delivery, self.context)


class ClaimedNotice(DueNotice):
    """A due notice whose claim was saved: no other notifier sends it until the claim expires."""


@dataclass(frozen=True)
class RoomResult:
    """The result of delivering notices to one room. Results of parts of the work can be added."""

    dispositions: Mapping[NoticeKey, Disposition] = field(default_factory=dict)
    resume_at: int = 0
    """When the room may be sent to again, in epoch milliseconds; 0: at once."""
    messages: int = 0
    sent: int = 0
    skipped: int = 0
    already_done: int = 0
    error: str | None = None
    is_unauthorized: bool = False
    is_failing: bool = False
    """Webex did not accept a message to the room, whatever it contains."""

    def __add__(self, other: "RoomResult") -> "RoomResult":
        return RoomResult(
            dispositions={**self.dispositions, **other.dispositions},
            resume_at=max(self.resume_at, other.resume_at),
            messages=self.messages + other.messages,
            sent=self.sent + other.sent,
            skipped=self.skipped + other.skipped,
            already_done=self.already_done + other.already_done,
            error=other.error or self.error,
            is_unauthorized=self.is_unauthorized or other.is_unauthorized,
            is_failing=self.is_failing or other.is_failing,
        )


class RoomDelivery:
    """Delivers notices to rooms. All state that notifiers share is in the table of deliveries."""

    def __init__(
        self,
        deliveries: DeliveryTable,
        records: RecordReader,
        text: NoticeText,
        webex: Webex,
        *,
        max_age_seconds: float,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._deliveries = deliveries
        self._records = records
        self._text = text
        self._webex = webex
        self._max_age_seconds = max_age_seconds
        self._runtime = runtime

    def is_gathering(self, room: str, notices: int) -> bool:
        """Return whether so many notices of a room would be sent in a digest now."""
        now, state = self._runtime.now_ms(), self._deliveries.room(room)
        return state.resume_at <= now and state.pace.at(now).is_digest(notices)

    def deliver(
        self, room: str, requested: Sequence[PendingNotice], time_left: Callable[[], float]
    ) -> RoomResult:
        """Deliver the notices of one room, and return a disposition for each.

        `time_left` returns the seconds until the work must be finished. Errors of AWS, of Webex
        and of this package are returned, so that they do not affect other rooms.
        """
        now, owner = self._runtime.now_ms(), uuid.uuid4().hex
        notices = [pending.notice for pending in requested]
        try:
            state = self._deliveries.lease_room(room, owner, now=now, until=now + LEASE)
        except (ClientError, BotoCoreError):
            return self._retry(notices, Outcome.OUTAGE)
        if state is None:
            return self._retry(notices, Outcome.BUSY)
        try:
            result = self._deliver_leased(requested, state, time_left)
        except Exception as error:
            # Notices that were sent are marked as sent: they are retried and then acknowledged.
            result = replace(self._retry(notices, Outcome.OUTAGE), error=type(error).__name__)
        self._deliveries.release_room(room, owner, self._after(state, result, now))
        return result

    def _after(self, state: Room, result: RoomResult, began_at: int) -> Room:
        """Return the state of a room after a delivery that began at `began_at`."""
        now, failing_since = self._runtime.now_ms(), state.failing_since
        if result.messages:
            failing_since = 0
        elif result.is_failing and not failing_since:
            failing_since = began_at
        pace = state.pace.at(began_at).after(result.messages, result.sent, now)
        resume_at = max(state.resume_at, result.resume_at, pace.resume_at)
        return Room(resume_at, failing_since, pace)

    def _deliver_leased(
        self, requested: Sequence[PendingNotice], state: Room, time_left: Callable[[], float]
    ) -> RoomResult:
        now = self._runtime.now_ms()
        wait = state.resume_at - now
        if wait > 0:
            disposition = Disposition.retry(wait / 1000)
            return RoomResult({pending.notice.key: disposition for pending in requested})
        due, decided = self._decide(requested, time_left)
        claimed, unclaimed = self._claim(self._with_dependencies(due))
        failing_ms = now - state.failing_since if state.failing_since else 0
        is_digest = state.pace.at(now).is_digest(len(claimed))
        batches = [claimed] if is_digest else _by_first_failure(claimed)
        return decided + unclaimed + self._send_all(batches, time_left, failing_ms / 1000)

    # Decide

    def _decide(
        self, requested: Sequence[PendingNotice], time_left: Callable[[], float]
    ) -> tuple[list[DueNotice], RoomResult]:
        """Return the notices that are due, and the result for the others. When half of the time has
        passed, those that are not decided yet are retried, so that the others can be sent."""
        deadline = time_left() / 2
        notices = [pending.notice for pending in requested]
        found, records = self._deliveries.read(notices), self._records.read(notices)
        due: list[DueNotice] = []
        skipped: list[Delivery] = []
        dispositions: dict[NoticeKey, Disposition] = {}
        for pending in requested:
            if time_left() < deadline:
                retry = disposition_after(Outcome.BUSY, self._runtime.random())
                dispositions[pending.notice.key] = retry
                continue
            match self._decision(pending, found, records):
                case DueNotice() as due_notice:
                    due.append(due_notice)
                case Delivery() as delivery:
                    skipped.append(delivery)
                case Disposition() as disposition:
                    dispositions[pending.notice.key] = disposition
        already_done = sum(disposition.is_ack for disposition in dispositions.values())
        return due, RoomResult(dispositions, already_done=already_done) + self._skip(skipped)

    def _decision(
        self, pending: PendingNotice, found: Found, records: Records
    ) -> DueNotice | Delivery | Disposition:
        """Return the notice if it is due, its delivery if that must be saved as skipped, or else
        its disposition."""
        notice, now = pending.notice, self._runtime.now_ms()
        if outcome := found.unread.get(notice) or records.unread(notice):
            return disposition_after(outcome, self._runtime.random())
        delivery = found.deliveries[notice]
        if delivery.is_done:
            return Disposition.ack()
        if delivery.is_claimed(now):
            return Disposition.retry((delivery.claimed_until - now) / 1000)
        if self._is_too_old(pending, delivery) or records.is_outdated(notice):
            return delivery.skipped()
        try:
            context = self._records.add_array_outcome(records.context(notice))
        except TableUnavailable:
            return disposition_after(Outcome.BUSY, self._runtime.random())
        if _waits_for_children(pending, context, now):
            return Disposition.retry(10 + 10 * self._runtime.random())
        return DueNotice(delivery, context)

    def _is_too_old(self, pending: PendingNotice, delivery: Delivery) -> bool:
        """Return whether a notice was too old when it was queued, so that an outage of Webex makes
        no notice too old."""
        return delivery.status is DeliveryStatus.NEW and is_too_old(
            pending.notice, pending.queued_at, self._max_age_seconds
        )

    def _skip(self, skipped: Sequence[Delivery]) -> RoomResult:
        saved, unsaved = self._deliveries.save(skipped, self._runtime.now_ms())
        acknowledged = {delivery.notice.key: Disposition.ack() for delivery in saved}
        return self._retry_each(unsaved) + RoomResult(acknowledged, skipped=len(saved))

    def _with_dependencies(self, due: Sequence[DueNotice]) -> list[DueNotice]:
        contexts = self._records.add_dependencies([notice.context for notice in due])
        return [
            replace(notice, context=context) for notice, context in zip(due, contexts, strict=True)
        ]

    # Claim

    def _claim(self, due: Sequence[DueNotice]) -> tuple[list[ClaimedNotice], RoomResult]:
        """Return the notices that were claimed, in the order of their changes, and the result for
        those that another notifier has claimed or the table could not save."""
        now = self._runtime.now_ms()
        by_notice = {due_notice.notice: due_notice for due_notice in due}
        claims = [due_notice.delivery.claimed(until=now + LEASE) for due_notice in due]
        saved, unsaved = self._deliveries.save(claims, now)
        claimed = [by_notice[delivery.notice].claimed(delivery) for delivery in saved]
        return sorted(claimed, key=lambda claimed: claimed.notice.at), self._retry_each(unsaved)

    # Send and mark

    def _send_all(
        self,
        batches: Sequence[Sequence[ClaimedNotice]],
        time_left: Callable[[], float],
        failing_seconds: float,
    ) -> RoomResult:
        """Send each batch as one message, and mark its notices as soon as it is sent.
        `failing_seconds` is how long all messages to the room have failed before."""
        result = RoomResult()
        for position, batch in enumerate(batches):
            unsent = list(itertools.chain.from_iterable(batches[position:]))
            try:
                message_id = self._send(batch, time_left)
            except Refused as error:
                result += self._give_up(batch, [], error, failing_seconds)
            except WebexError as error:
                rest = unsent[len(batch) :]
                return result + self._give_up(batch, rest, error, failing_seconds)
            except (ClientError, BotoCoreError) as error:
                retried = self._retry([claimed.notice for claimed in unsent], Outcome.OUTAGE)
                return result + replace(retried, error=type(error).__name__)
            else:
                result += self._mark(batch, message_id)
        return result

    def _send(self, batch: Sequence[ClaimedNotice], time_left: Callable[[], float]) -> str:
        """Send one message and return its id. Raise WebexError if Webex did not accept it."""
        notice, is_digest = batch[0].notice, len(batch) > 1
        markdown = self._write(batch)
        thread = None if is_digest else self._deliveries.thread(notice)
        try:
            message_id = self._post(notice.room, markdown, thread, time_left)
        except RoomGone:
            if thread is None:
                raise
            message_id = self._post_differently(notice.room, markdown, thread, time_left)
        except Refused:
            message_id = self._post_differently(notice.room, markdown, thread, time_left)
        if not is_digest and thread is None:
            self._deliveries.start_thread(notice, message_id, self._runtime.now_ms())
        return message_id

    def _post_differently(
        self, room: str, markdown: str, thread: str | None, time_left: Callable[[], float]
    ) -> str:
        """Post a message that Webex did not accept: outside its thread, whose first message may
        have been deleted in the room, or else in a short form. Raise WebexError if Webex does not
        accept that either."""
        if thread is not None:
            with suppress(Refused):
                return self._post(room, markdown, None, time_left)
        return self._post(room, short_form(markdown), None, time_left)

    def _write(self, batch: Sequence[ClaimedNotice]) -> str:
        """Return the message's markdown. Raise Refused for a defect, so that it affects no other
        notice of the room."""
        try:
            if len(batch) > 1:
                return self._text.digest([claimed.context for claimed in batch])
            return self._text.message(self._records.add_description(batch[0].context))
        except (ClientError, BotoCoreError):
            raise
        except Exception as error:
            raise Refused(f"the message can't be written: {type(error).__name__}") from error

    def _post(
        self, room: str, markdown: str, thread: str | None, time_left: Callable[[], float]
    ) -> str:
        """Post a message, with retries while Webex is unavailable. Raise the last WebexError."""
        attempt = 1
        while True:
            try:
                return self._webex.post_message(
                    room, markdown, parent_id=thread, time_left=time_left
                )
            except WebexError as error:
                delay = retry_delay(error, attempt, time_left(), self._runtime.random())
                if delay is None:
                    raise
            self._runtime.sleep(delay)
            attempt += 1

    def _mark(self, batch: Sequence[ClaimedNotice], message_id: str) -> RoomResult:
        """Mark notices as sent. One that can't be marked is retried when its claim has expired."""
        unmarked = [claimed.delivery.sent(message_id) for claimed in batch]
        for _ in range(_MARK_ATTEMPTS):
            _, unsaved = self._deliveries.save(unmarked, self._runtime.now_ms())
            unmarked = [delivery for delivery in unmarked if delivery.notice in unsaved]
            if not unmarked:
                break
            self._runtime.sleep(self._runtime.random())
        dispositions = {claimed.notice.key: Disposition.ack() for claimed in batch}
        retry = Disposition.retry(LEASE / 1000)
        dispositions |= {delivery.notice.key: retry for delivery in unmarked}
        return RoomResult(dispositions, messages=1, sent=len(batch))

    def _give_up(
        self,
        failed: Sequence[ClaimedNotice],
        rest: Sequence[ClaimedNotice],
        error: WebexError,
        failing_seconds: float,
    ) -> RoomResult:
        """Return the result for the notices of a message that was not sent, and for the rest of the
        room, of which nothing was sent. Release the claims, so that the next delivery need not wait
        for them to expire, and count a lost response."""
        now, jitter = self._runtime.now_ms(), self._runtime.random()
        sent = [claimed.delivery for claimed in failed]
        if is_response_lost(error):
            sent = [delivery.response_lost() for delivery in sent]
        others = [claimed.delivery for claimed in rest]
        self._deliveries.save([delivery.released() for delivery in (*sent, *others)], now)
        pause = room_pause(error, failing_seconds)
        lost_responses = {delivery.notice.key: delivery.lost_responses for delivery in sent}
        lost_responses |= {delivery.notice.key: 0 for delivery in others}
        return RoomResult(
            {
                key: disposition_for(error, lost, jitter).not_before(pause)
                for key, lost in lost_responses.items()
            },
            resume_at=now + round(pause * 1000),
            error=f"{type(error).__name__}: {error}",
            is_unauthorized=isinstance(error, Unauthorized),
            is_failing=pause > 0,
        )

    def _retry(self, notices: Iterable[Notice], outcome: Outcome) -> RoomResult:
        """Return the result for notices that are retried together, because of one outcome."""
        disposition = disposition_after(outcome, self._runtime.random())
        return RoomResult({notice.key: disposition for notice in notices})

    def _retry_each(self, outcomes: Mapping[Notice, Outcome]) -> RoomResult:
        return RoomResult(
            {
                notice.key: disposition_after(outcome, self._runtime.random())
                for notice, outcome in outcomes.items()
            }
        )


def _by_first_failure(claimed: Sequence[ClaimedNotice]) -> list[list[ClaimedNotice]]:
    """Return the batches of single messages: a notice for itself, but the jobs that failed because
    of one job together, and with that job if it is among them."""
    batches: dict[NoticeKey | str, list[ClaimedNotice]] = {}
    for each in claimed:
        dependency = each.context.dependency
        first = dependency.job_id if dependency else each.notice.job_id
        is_failure = each.notice.kind == JobStatus.FAILED
        batches.setdefault(str(first) if is_failure else each.notice.key, []).append(each)
    return list(batches.values())


def _waits_for_children(pending: PendingNotice, context: NoticeContext, now: int) -> bool:
    """Return whether the end of an array waits for events of its children, which may arrive after
    its own."""
    outcome = context.array_outcome
    is_incomplete = outcome is not None and outcome.unrecorded > 0
    return is_incomplete and now - pending.queued_at < ARRAY_TIMEOUT
