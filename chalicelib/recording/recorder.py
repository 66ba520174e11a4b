"""The recorder: processes a batch of messages from the events queue.

    read      decode each message, independent of the others
    store     apply the observations and publish their notices (`ingest`); put preemptions and
              blocked events, which never change
    decide    what to do with each message (pure)
    settle    acknowledge, retry or dead-letter each message

A message is acknowledged only after its effect is stored and its notices are queued. If a message
of the batch has to be retried, the recorder deletes the other messages itself and raises
(docs/adr/0003-delete-then-raise.md). Messages that may crash the function are processed last, one
at a time (`poison_messages`).

Contains the order of these steps; must not contain event formats, table keys or notice rules.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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
from chalicelib.telemetry import LogEvent, Tally, count, ids, seconds


class Malformed(NamedTuple):
    """Why a message contains no event."""

    reason: str


StoredEvent = Observation | Preemption | BlockedEvent
Event = StoredEvent | OtherEvent | Malformed


class _Stored(NamedTuple):
    """The outcomes of storing events, jobs by id, and the number of notices queued."""

    jobs: Mapping[str, Applied]
    preemptions: Mapping[Preemption, Outcome]
    blocked_events: Mapping[BlockedEvent, Outcome]
    notices: int

    def outcome(self, event: StoredEvent) -> Outcome:
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
    """Settled messages, and what was stored of them: nothing if they were settled unread."""

    dispositions: Mapping[Message, Disposition]
    settled: Settled
    events: Mapping[Message, Event]
    stored: _Stored
    met_outage: bool


@dataclass(kw_only=True)
class RecordingTally(Tally):
    """Figures of one batch, in messages, except `conflicts` (saves that another consumer's save
    made fail) and `notices`.

    Preemptions are written without reading them first, so `recorded` includes duplicates of them.
    """

    EVENT = LogEvent.BATCH_RECORDED

    received: int = count("Received")
    recorded: int = count("Recorded")
    unchanged: int = count("Unchanged")
    blocked: int = count("QueueBlockedEvents")
    other: int = count("OtherEvents")
    dead_lettered: int = count("Quarantined")
    retried: int = count("HandedBack")
    conflicts: int = count("Conflicts")
    notices: int = count("NoticesQueued")
    invalid_fields: list[str] = ids("InvalidFields")
    """Names of fields that were left out because their values were invalid."""
    oldest_event_age: int | None = seconds("OldestEventAge")
    reasons: set[str] = field(default_factory=set)
    """Why messages were dead-lettered."""


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """Records batches; one instance serves all invocations of a function.

    `report` receives the tally of every batch, even if `record` raises MessagesLeft.
    """

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
        time_left = without_reserve(time_left)
        trusted = [m for m in messages if m.receive_count <= TRUSTED_RECEIVES]
        suspected = [m for m in messages if m.receive_count > TRUSTED_RECEIVES]

        together = self._process(trusted, time_left, lambda_deletes=not suspected)
        alone = self._process_one_by_one(suspected, time_left)

        tally = _tally([together, *alone], self.runtime.now())
        self.report(tally)
        if tally.retried:
            raise MessagesLeft(
                f"{tally.retried} of {len(messages)} messages returned to the queue for retry"
            )

    def _process(
        self,
        messages: Iterable[Message],
        time_left: Callable[[], float],
        *,
        lambda_deletes: bool = False,
    ) -> _Processed:
        """Read messages, store their events, decide on their dispositions and settle them."""
        events = {message: self._read(message) for message in messages}
        stored = self._store(events.values(), time_left)
        dispositions = {
            message: _disposition(event, stored, self.runtime.random())
            for message, event in events.items()
        }
        settled = self.events_queue.settle(dispositions, lambda_deletes=lambda_deletes)
        return _Processed(dispositions, settled, events, stored, stored.met_outage)

    def _read(self, message: Message) -> Event:
        try:
            return self.reader.read(message.body)
        except MalformedEvent as error:
            return Malformed(str(error))
        except Exception as error:
            # A defect in batchwatch must not block the other messages of the batch.
            return Malformed(f"batchwatch could not read it: {type(error).__name__}")

    def _store(self, events: Collection[Event], time_left: Callable[[], float]) -> _Stored:
        observations = _by_job(events)
        applied = self.ingest.apply(observations, time_left)
        saved = [job_id for job_id, of_job in applied.items() if of_job.outcome is Outcome.SAVED]
        published = self.ingest.publish({job_id: observations[job_id] for job_id in saved})
        for job_id in published.unsent:
            applied[job_id] = Applied(Outcome.BUSY, conflicts=applied[job_id].conflicts)
        preemptions = [event for event in events if isinstance(event, Preemption)]
        blocked_events = [event for event in events if isinstance(event, BlockedEvent)]
        stored = _Stored(
            applied,
            self.jobs.put_preemptions(preemptions),
            self.queue_states.put_blocked_events(blocked_events),
            published.notices,
        )
        if not stored.met_outage:
            self.queue_states.touch(_queues(events))
        return stored

    def _process_one_by_one(
        self, messages: Sequence[Message], time_left: Callable[[], float]
    ) -> Iterator[_Processed]:
        """Process messages that may crash the function, those with the fewest crashes first.

        Each message is settled before the next is read. In an outage or without time left, the
        rest is retried later.
        """
        crashes, unread = self.poison_messages.crashes([m.message_id for m in messages])
        outcomes = {m: unread[m.message_id] for m in messages if m.message_id in unread}
        yield self._settle_unread(self._retry_after(outcomes))
        counted = [message for message in messages if message.message_id in crashes]
        ordered = sorted(counted, key=lambda message: crashes[message.message_id])
        for position, message in enumerate(ordered, 1):
            processed = self._process_alone(message, crashes[message.message_id], time_left)
            yield processed
            if processed.met_outage or time_left() <= 0:
                outcome = Outcome.OUTAGE if processed.met_outage else Outcome.BUSY
                rest = dict.fromkeys(ordered[position:], outcome)
                yield self._settle_unread(self._retry_after(rest))
                return

    def _process_alone(
        self, message: Message, crashes: int, time_left: Callable[[], float]
    ) -> _Processed:
        """Process and settle a message while it is marked."""
        if crashes >= FATAL_CRASHES:
            reason = f"the function crashed {crashes} times while processing this message alone"
            return self._settle_unread({message: Disposition.dead_letter(reason)})
        try:
            self.poison_messages.mark(message.message_id, crashes + 1)
        except (ClientError, BotoCoreError):
            later = self._retry_after({message: Outcome.OUTAGE})
            return self._settle_unread(later)._replace(met_outage=True)
        processed = self._process([message], time_left)
        self.poison_messages.clear(message.message_id)
        return processed

    def _retry_after(self, outcomes: Mapping[Message, Outcome]) -> dict[Message, Disposition]:
        jitter = self.runtime.random
        return {message: disposition_for(of, jitter()) for message, of in outcomes.items()}

    def _settle_unread(self, dispositions: Mapping[Message, Disposition]) -> _Processed:
        settled = self.events_queue.settle(dispositions)
        return _Processed(dispositions, settled, {}, _Stored({}, {}, {}, 0), met_outage=False)


def _by_job(events: Iterable[Event]) -> dict[str, list[Observation]]:
    observations: dict[str, list[Observation]] = {}
    for event in events:
        if isinstance(event, Observation):
            observations.setdefault(event.job_id, []).append(event)
    return observations


def _queues(events: Iterable[Event]) -> set[str]:
    """Return the names of the job queues that sent events. A preemption doesn't name its queue."""
    queues: set[str] = set()
    for event in events:
        if isinstance(event, Observation):
            queues.add(event.details.queue)
        elif isinstance(event, BlockedEvent):
            queues.add(event.queue)
    return queues


def _disposition(event: Event, stored: _Stored, jitter: float) -> Disposition:
    match event:
        case Malformed(reason):
            return Disposition.dead_letter(reason)
        case OtherEvent():
            return Disposition.ack()
        case _:
            return disposition_for(stored.outcome(event), jitter)


def _tally(processed: Sequence[_Processed], now: float) -> RecordingTally:
    acknowledged = Counter(
        type(event)
        for part in processed
        for message, event in part.events.items()
        if part.dispositions[message].is_ack
    )
    jobs = [applied for part in processed for applied in part.stored.jobs.values()]
    news = sum(applied.news for applied in jobs)
    events = [event for part in processed for event in part.events.values()]
    observations = [event for event in events if isinstance(event, Observation)]
    times = [observation.details.time for observation in observations]
    dispositions = [d for part in processed for d in part.dispositions.values()]
    return RecordingTally(
        received=len(dispositions),
        recorded=news + acknowledged[Preemption],
        unchanged=acknowledged[Observation] - news,
        blocked=acknowledged[BlockedEvent],
        other=acknowledged[OtherEvent],
        dead_lettered=sum(len(part.settled.dead_lettered) for part in processed),
        retried=sum(len(part.settled.retried) for part in processed),
        conflicts=sum(applied.conflicts for applied in jobs),
        notices=sum(part.stored.notices for part in processed),
        invalid_fields=[name for each in observations for name in each.invalid_fields],
        oldest_event_age=max(0, round(now - min(times) / 1000)) if times else None,
        reasons={disposition.reason for disposition in dispositions if disposition.reason},
    )
