"""A batch of messages becomes records: read, load, merge, save, announce, settle.

Every message ends one of three ways: its effect is stored and its notices are queued, it lies in
the dead-letter queue with a reason, or it comes again. Only the first two leave the events queue.
A batch in which some must come again deletes the others itself and raises
(docs/adr/0003-delete-then-raise.md).

Knows the order of the steps. What a message says is `event`'s, what a job is `job`'s, how they
get into the table and onto the notices queue `ingest`'s.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.lambda_event import Message, without_reserve
from chalicelib.aws.sqs import MessageQueue
from chalicelib.errors import MalformedEvent, MessagesLeft
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.job import Observation
from chalicelib.jobs.job_table import Change, JobTable, StoredJob
from chalicelib.jobs.preemption import Preemption
from chalicelib.notices.rules import Rules
from chalicelib.queues.blocked import BlockedEvent
from chalicelib.queues.state_table import QueueStateTable
from chalicelib.recording.event import EventReader, OtherEvent
from chalicelib.recording.ingest import Ingest, merge
from chalicelib.recording.poison_messages import PoisonMessages
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent, Tally, count, seconds

TRUSTED_RECEIVES = 3
"""A message that came more often may be what kills the function: it is handled last, alone."""
FATAL_CRASHES = 2
"""One death may be an accident between a mark and its removal; two are the message's doing."""
_UNSTORABLE = "its record can't be stored"


def hand_back_delay(outcome: Outcome, jitter: float) -> int:
    """Seconds until a message comes again: minutes in an outage, for each return is counted."""
    shortest, longest = (120, 300) if outcome is Outcome.OUTAGE else (5, 30)
    return round(shortest + jitter * (longest - shortest))


@dataclass(kw_only=True)
class RecordingTally(Tally):
    """What became of a batch, in messages. `recorded` counts every preemption, for they are put
    unread; `blocked` counts blocked_events of blocked queues, `conflicts` saves that came too late.
    `oldest_event_age` is in seconds, `reasons` are those of the quarantined."""

    EVENT = LogEvent.BATCH_RECORDED

    received: int = count("Received")
    recorded: int = count("Recorded")
    unchanged: int = count("Unchanged")
    blocked: int = count("QueueBlockedEvents")
    other: int = count("OtherEvents")
    quarantined: int = count("Quarantined")
    handed_back: int = count("HandedBack")
    conflicts: int = count("Conflicts")
    notices: int = count("NoticesQueued")
    oldest_event_age: int | None = seconds("OldestEventAge")
    reasons: set[str] = field(default_factory=set)


@dataclass
class _Told:
    """What a batch tells of one job; `news` counts the events that told something new."""

    messages: list[Message] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    news: int = 0

    def add(self, message: Message, seen: Observation) -> None:
        self.messages.append(message)
        self.observations.append(seen)

    def merge(self, stored: StoredJob | None) -> Change | None:
        change, self.news = merge(stored, self.observations)
        return change


class Recorder:
    """Records batches; one instance serves a function's whole life. `report` gets each batch's
    tally, also of a batch that raises."""

    def __init__(
        self,
        reader: EventReader,
        table: JobTable,
        arrays: ArrayTable,
        queues: QueueStateTable,
        queue: MessageQueue,
        suspects: PoisonMessages,
        rules: Rules,
        notices: MessageQueue,
        report: Callable[[RecordingTally], None],
        runtime: Runtime = Runtime(),
    ) -> None:
        self._reader = reader
        self._table = table
        self._queues = queues
        self._queue = queue
        self._suspects = suspects
        self._report = report
        self._archive = Ingest(table, arrays, rules, notices, runtime)
        self._runtime = runtime

    def record(self, messages: Sequence[Message], time_left: Callable[[], float]) -> None:
        """Records what it can. `time_left` gives the seconds until the function is killed.

        Raises MessagesLeft, with the others deleted, if some messages must come again.
        """
        tally = RecordingTally(received=len(messages))
        time_left = without_reserve(time_left)
        trusted = [m for m in messages if m.receive_count <= TRUSTED_RECEIVES]
        suspected = [m for m in messages if m.receive_count > TRUSTED_RECEIVES]

        outcomes = self._handle(trusted, time_left, tally)
        if suspected or any(outcome is not Outcome.SAVED for outcome in outcomes.values()):
            self._settle(outcomes, tally)
        self._handle_alone(suspected, time_left, tally)

        self._report(tally)
        if tally.handed_back:
            raise MessagesLeft(f"{tally.handed_back} of {len(messages)} messages come again")

    def _handle(
        self, messages: Sequence[Message], time_left: Callable[[], float], tally: RecordingTally
    ) -> dict[Message, Outcome]:
        """What became of each message. SAVED: it may leave the queue."""
        told: dict[str, _Told] = {}
        preemptions: dict[Message, Preemption] = {}
        blocked_events: dict[Message, BlockedEvent] = {}
        outcomes: dict[Message, Outcome] = {}
        reasons: dict[Message, str] = {}
        for message in messages:
            try:
                event = self._reader.read(message.body)
            except MalformedEvent as error:
                reasons[message] = str(error)
            except Exception as error:
                # A defect of ours must not hold up the message's batch mates.
                reasons[message] = f"batchwatch could not read it: {type(error).__name__}"
            else:
                if isinstance(event, OtherEvent):
                    outcomes[message] = Outcome.SAVED
                    tally.other += 1
                elif isinstance(event, Preemption):
                    preemptions[message] = event
                elif isinstance(event, BlockedEvent):
                    blocked_events[message] = event
                else:
                    told.setdefault(event.job_id, _Told()).add(message, event)

        saved, conflicts = self._archive.save(
            {job_id: of_job.merge for job_id, of_job in told.items()}, time_left
        )
        tally.conflicts += conflicts
        announced = self._archive.publish(
            {
                job_id: of_job.observations
                for job_id, of_job in told.items()
                if saved[job_id] is Outcome.SAVED
            }
        )
        tally.notices += announced.notices
        saved |= dict.fromkeys(announced.unsent, Outcome.BUSY)
        _count(told, saved, tally, self._runtime.now())
        for job_id, outcome in saved.items():
            if outcome is Outcome.REFUSED:
                reasons |= dict.fromkeys(told[job_id].messages, _UNSTORABLE)
            else:
                outcomes |= dict.fromkeys(told[job_id].messages, outcome)
        for message, outcome in self._put(preemptions, blocked_events, tally).items():
            if outcome is Outcome.REFUSED:
                reasons[message] = _UNSTORABLE
            else:
                outcomes[message] = outcome
        if Outcome.OUTAGE not in outcomes.values():
            self._queues.touch(_queues(told, blocked_events))
        return outcomes | self._quarantine(reasons, tally)

    def _put(
        self,
        preemptions: Mapping[Message, Preemption],
        blocked_events: Mapping[Message, BlockedEvent],
        tally: RecordingTally,
    ) -> dict[Message, Outcome]:
        """Puts what never changes, whatever is stored."""
        put = self._table.put_preemptions(preemptions.values())
        preempted = {message: put[preemption] for message, preemption in preemptions.items()}
        saw = self._queues.put_blocked_events(blocked_events.values())
        seen = {message: saw[blocked_event] for message, blocked_event in blocked_events.items()}
        tally.recorded += sum(outcome is Outcome.SAVED for outcome in preempted.values())
        tally.blocked += sum(outcome is Outcome.SAVED for outcome in seen.values())
        return preempted | seen

    def _handle_alone(
        self, messages: Sequence[Message], time_left: Callable[[], float], tally: RecordingTally
    ) -> None:
        """Handles suspects one by one, those that no function died on first, and settles each
        before the next is touched."""
        crashes, unknown = self._suspects.crashes([message.message_id for message in messages])
        self._settle({m: unknown[m.message_id] for m in messages if m.message_id in unknown}, tally)
        known = [message for message in messages if message.message_id in crashes]
        waiting = sorted(known, key=lambda message: crashes[message.message_id])
        for position, message in enumerate(waiting, 1):
            outcome = self._handle_suspect(message, crashes[message.message_id], time_left, tally)
            self._settle({message: outcome}, tally)
            if outcome is Outcome.OUTAGE or time_left() <= 0:
                rest = Outcome.OUTAGE if outcome is Outcome.OUTAGE else Outcome.BUSY
                self._settle(dict.fromkeys(waiting[position:], rest), tally)
                return

    def _handle_suspect(
        self, message: Message, crashes: int, time_left: Callable[[], float], tally: RecordingTally
    ) -> Outcome:
        if crashes >= FATAL_CRASHES:
            reason = f"the function died on it {crashes} times, handling it alone"
            return self._quarantine({message: reason}, tally)[message]
        try:
            self._suspects.mark(message.message_id, crashes + 1)
        except (ClientError, BotoCoreError):
            return Outcome.OUTAGE
        outcome = self._handle([message], time_left, tally)[message]
        with contextlib.suppress(ClientError, BotoCoreError):
            self._suspects.clear(message.message_id)
        return outcome

    def _quarantine(
        self, reasons: Mapping[Message, str], tally: RecordingTally
    ) -> dict[Message, Outcome]:
        unsent = self._queue.quarantine(reasons)
        tally.quarantined += len(reasons) - len(unsent)
        tally.reasons |= set(reasons.values())
        return {
            message: Outcome.BUSY if message in unsent else Outcome.SAVED for message in reasons
        }

    def _settle(self, outcomes: Mapping[Message, Outcome], tally: RecordingTally) -> None:
        """Deletes what is done and hands back the rest."""
        left = {
            message: hand_back_delay(outcome, self._runtime.random())
            for message, outcome in outcomes.items()
            if outcome is not Outcome.SAVED
        }
        tally.handed_back += len(left)
        self._queue.delete([message for message in outcomes if message not in left])
        self._queue.hand_back(left)


def _queues(told: Mapping[str, _Told], blocked_events: Mapping[Message, BlockedEvent]) -> set[str]:
    of_jobs = {seen.details.queue for of_job in told.values() for seen in of_job.observations}
    return of_jobs | {blocked_event.queue for blocked_event in blocked_events.values()}


def _count(
    told: Mapping[str, _Told],
    outcomes: Mapping[str, Outcome],
    tally: RecordingTally,
    now: float,
) -> None:
    for job_id, of_job in told.items():
        if outcomes[job_id] is Outcome.SAVED:
            tally.recorded += of_job.news
            tally.unchanged += len(of_job.messages) - of_job.news
        for seen in of_job.observations:
            age = round(now - seen.details.time / 1000)
            tally.oldest_event_age = max(tally.oldest_event_age or 0, age)
