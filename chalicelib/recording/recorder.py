"""The recorder: processes a batch of messages from the events queue.

    read      decode each message, independent of the others
    store     apply the observations and publish their notices (`ingest`); put what never changes
    settle    acknowledge, retry or dead-letter each message

A message is acknowledged only after its effect is stored and its notices are queued. If a message
of the batch has to be retried, the recorder deletes the other messages itself and raises
(docs/adr/0003-delete-then-raise.md). Messages that may crash the function are processed last, one
at a time (`poison_messages`).

Contains the order of these steps only; must not know event formats, table keys or notice rules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.lambda_event import Message, without_reserve
from chalicelib.aws.retries import disposition_for
from chalicelib.aws.sqs import Disposition, MessageQueue, Settled
from chalicelib.errors import MalformedEvent, MessagesLeft
from chalicelib.jobs.job import Observation
from chalicelib.jobs.job_table import JobTable
from chalicelib.jobs.preemption import Preemption
from chalicelib.queues.blocked import BlockedEvent
from chalicelib.queues.state_table import QueueStateTable
from chalicelib.recording.event import EventReader, OtherEvent
from chalicelib.recording.ingest import Applied, Ingest
from chalicelib.recording.poison_messages import FATAL_CRASHES, TRUSTED_RECEIVES, PoisonMessages
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent, Tally, count, seconds


class Unreadable(NamedTuple):
    """Why a message contains no event."""

    reason: str


Event = Observation | Preemption | BlockedEvent | OtherEvent | Unreadable


class _Batch(NamedTuple):
    """The event in each message, and the events to store, observations by job id."""

    events: Mapping[Message, Event]
    observations: Mapping[str, Sequence[Observation]]
    preemptions: Sequence[Preemption]
    blocked_events: Sequence[BlockedEvent]

    @classmethod
    def of(cls, events: Mapping[Message, Event]) -> Self:
        observations: dict[str, list[Observation]] = {}
        for event in events.values():
            if isinstance(event, Observation):
                observations.setdefault(event.job_id, []).append(event)
        preemptions = [event for event in events.values() if isinstance(event, Preemption)]
        blocked_events = [event for event in events.values() if isinstance(event, BlockedEvent)]
        return cls(events, observations, preemptions, blocked_events)

    @property
    def queues(self) -> set[str]:
        """The names of the job queues whose events arrived."""
        observed = (o.details.queue for of_job in self.observations.values() for o in of_job)
        return {*observed, *(event.queue for event in self.blocked_events)}

    @property
    def times(self) -> list[int]:
        """The times of the job events, in epoch milliseconds."""
        return [o.details.time for of_job in self.observations.values() for o in of_job]


class _Stored(NamedTuple):
    """What became of a batch's events, jobs by id, and the number of notices queued."""

    jobs: Mapping[str, Applied]
    preemptions: Mapping[Preemption, Outcome]
    blocked_events: Mapping[BlockedEvent, Outcome]
    notices: int

    def outcome(self, event: Observation | Preemption | BlockedEvent) -> Outcome:
        match event:
            case Observation():
                return self.jobs[event.job_id].outcome
            case Preemption():
                return self.preemptions[event]
            case BlockedEvent():
                return self.blocked_events[event]

    @property
    def met_outage(self) -> bool:
        outcomes = {applied.outcome for applied in self.jobs.values()}
        outcomes |= {*self.preemptions.values(), *self.blocked_events.values()}
        return Outcome.OUTAGE in outcomes


class _Processed(NamedTuple):
    dispositions: Mapping[Message, Disposition]
    met_outage: bool


@dataclass(kw_only=True)
class RecordingTally(Tally):
    """Figures of one batch, in messages; `conflicts` counts saves that another consumer's save made
    fail.

    Preemptions are written without reading them first, so `recorded` includes duplicates of them.
    """

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
    """Why messages were dead-lettered."""

    def add_stored(self, batch: _Batch, stored: _Stored, now: float) -> None:
        for job_id, applied in stored.jobs.items():
            if applied.outcome is Outcome.SAVED:
                self.recorded += applied.news
                self.unchanged += len(batch.observations[job_id]) - applied.news
            self.conflicts += applied.conflicts
        self.recorded += sum(stored.outcome(e) is Outcome.SAVED for e in batch.preemptions)
        self.blocked += sum(stored.outcome(e) is Outcome.SAVED for e in batch.blocked_events)
        self.other += sum(isinstance(event, OtherEvent) for event in batch.events.values())
        self.notices += stored.notices
        if batch.times:
            age = round(now - min(batch.times) / 1000)
            self.oldest_event_age = max(self.oldest_event_age or 0, age)

    def add_settled(self, dispositions: Iterable[Disposition], settled: Settled) -> None:
        self.quarantined += len(settled.dead_lettered)
        self.handed_back += len(settled.retried)
        self.reasons |= {d.reason for d in dispositions if d.reason is not None}


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Records batches; one instance serves all invocations of a function. `report` receives the
    tally of each batch, also of one that raises MessagesLeft."""

    reader: EventReader
    ingest: Ingest
    jobs: JobTable
    queue_states: QueueStateTable
    events_queue: MessageQueue
    poison_messages: PoisonMessages
    report: Callable[[RecordingTally], None]
    runtime: Runtime = Runtime()

    def record(self, messages: Sequence[Message], time_left: Callable[[], float]) -> None:
        """Record a batch. `time_left` returns the seconds until Lambda stops the function.

        Raises MessagesLeft, after it has deleted the other messages, if some have to be retried.
        """
        tally = RecordingTally(received=len(messages))
        time_left = without_reserve(time_left)
        trusted = [m for m in messages if m.receive_count <= TRUSTED_RECEIVES]
        suspected = [m for m in messages if m.receive_count > TRUSTED_RECEIVES]

        processed = self._process(trusted, time_left, tally)
        self._settle(processed.dispositions, tally, lambda_deletes=not suspected)
        self._process_one_by_one(suspected, time_left, tally)

        self.report(tally)
        if tally.handed_back:
            raise MessagesLeft(
                f"{tally.handed_back} of {len(messages)} messages returned to the queue for retry"
            )

    def _process(
        self, messages: Iterable[Message], time_left: Callable[[], float], tally: RecordingTally
    ) -> _Processed:
        """Store what the messages contain, and decide what to do with each message."""
        batch = _Batch.of({message: self._read(message) for message in messages})
        stored = self._store(batch, time_left)
        tally.add_stored(batch, stored, self.runtime.now())
        dispositions = {m: self._disposition(event, stored) for m, event in batch.events.items()}
        return _Processed(dispositions, stored.met_outage)

    def _read(self, message: Message) -> Event:
        try:
            return self.reader.read(message.body)
        except MalformedEvent as error:
            return Unreadable(str(error))
        except Exception as error:
            # A defect in batchwatch must not block the other messages of the batch.
            return Unreadable(f"batchwatch could not read it: {type(error).__name__}")

    def _store(self, batch: _Batch, time_left: Callable[[], float]) -> _Stored:
        applied = self.ingest.apply(batch.observations, time_left)
        published = self.ingest.publish(
            {
                job_id: batch.observations[job_id]
                for job_id, of_job in applied.items()
                if of_job.outcome is Outcome.SAVED
            }
        )
        applied |= {
            job_id: Applied(Outcome.BUSY, conflicts=applied[job_id].conflicts)
            for job_id in published.unsent
        }
        stored = _Stored(
            applied,
            self.jobs.put_preemptions(batch.preemptions),
            self.queue_states.put_blocked_events(batch.blocked_events),
            published.notices,
        )
        if not stored.met_outage:
            self.queue_states.touch(batch.queues)
        return stored

    def _disposition(self, event: Event, stored: _Stored) -> Disposition:
        match event:
            case Unreadable(reason):
                return Disposition.dead_letter(reason)
            case OtherEvent():
                return Disposition.ack()
            case _:
                return disposition_for(stored.outcome(event), self.runtime.random())

    def _process_one_by_one(
        self, messages: Sequence[Message], time_left: Callable[[], float], tally: RecordingTally
    ) -> None:
        """Process messages that may crash the function, those without a crash first, and settle
        each before the next. In an outage or without time left, retry the rest later."""
        crashes, unread = self.poison_messages.crashes([m.message_id for m in messages])
        self._retry_later(
            {m: unread[m.message_id] for m in messages if m.message_id in unread}, tally
        )
        known = [message for message in messages if message.message_id in crashes]
        ordered = sorted(known, key=lambda message: crashes[message.message_id])
        for position, message in enumerate(ordered, 1):
            outage = self._process_alone(message, crashes[message.message_id], time_left, tally)
            if outage or time_left() <= 0:
                outcome = Outcome.OUTAGE if outage else Outcome.BUSY
                self._retry_later(dict.fromkeys(ordered[position:], outcome), tally)
                return

    def _process_alone(
        self, message: Message, crashes: int, time_left: Callable[[], float], tally: RecordingTally
    ) -> bool:
        """Process and settle a message while it is marked. Return whether there is an outage."""
        if crashes >= FATAL_CRASHES:
            reason = f"the function crashed {crashes} times while processing this message alone"
            self._settle({message: Disposition.dead_letter(reason)}, tally)
            return False
        try:
            self.poison_messages.mark(message.message_id, crashes + 1)
        except (ClientError, BotoCoreError):
            self._retry_later({message: Outcome.OUTAGE}, tally)
            return True
        processed = self._process([message], time_left, tally)
        self._settle(processed.dispositions, tally)
        self.poison_messages.clear(message.message_id)
        return processed.met_outage

    def _retry_later(self, outcomes: Mapping[Message, Outcome], tally: RecordingTally) -> None:
        jitter = self.runtime.random
        self._settle({m: disposition_for(of, jitter()) for m, of in outcomes.items()}, tally)

    def _settle(
        self,
        dispositions: Mapping[Message, Disposition],
        tally: RecordingTally,
        *,
        lambda_deletes: bool = False,
    ) -> None:
        settled = self.events_queue.settle(dispositions, lambda_deletes=lambda_deletes)
        tally.add_settled(dispositions.values(), settled)
