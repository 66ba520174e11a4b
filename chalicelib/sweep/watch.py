"""Watches the job queues: jobs that are stuck, queues that are blocked, events that don't arrive.

A run gathers what the table shows of each queue, asks Batch about the jobs that it is about to tell
of, decides (`incidents`), and applies: the queue's new state is written with what is to be told in
it, then the notices are queued, then they are taken out of it. Whoever finds notices in a state
queues them. So runs may be cut off anywhere, or be two at once:

    cut off before the write    nothing has happened
    cut off after it            the next run queues the notices
    two at once                 one write succeeds, the other run leaves the queue alone

Knows the order of the steps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.aws.dynamodb import Outcome, chunks
from chalicelib.aws.sqs import MessageQueue
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.durations import durations
from chalicelib.jobs.job import TERMINAL, Description, Job, JobStatus, Observation
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.jobs.job_table import JobTable, StoredJob
from chalicelib.notices.rules import Rules
from chalicelib.queues.blocked import Blocked, current_block, last_start
from chalicelib.queues.incidents import IncidentPolicy, Incidents, ReportedJob, Snapshot
from chalicelib.queues.missing_events import (
    MAX_DELIVERY_MS,
    MissingEvents,
    detect_missing_events,
)
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.queues.state import QueueState
from chalicelib.queues.state_table import QueueStateTable, StoredState
from chalicelib.queues.stuck import MIN_RUNNING_LIMIT_MS, StuckJob, StuckJobs, running_limit_ms
from chalicelib.recording.ingest import Decision, Ingest, merge
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.sweep.batch_api import DESCRIBED, BatchApi, BatchRefused, BatchStopped, observations
from chalicelib.telemetry import LogEvent, Tally, count

EXAMINED = 100
"""The most jobs of a queue and status that a run looks at, the longest there first."""
NAMES = 10
"""The most job names of a run whose usual time is looked up."""
_USUAL_KEPT_SECONDS = 3_600
_USUAL_REMEMBERED = 1_000
_COUNTED = 100_000
"""Of one status: of more stuck jobs this many are told."""
_CHANGES_EXAMINED = 20
_CHANGING = (JobStatus.RUNNABLE, JobStatus.RUNNING, *TERMINAL)
_MOVED = (JobStatus.SCHEDULED, JobStatus.STARTING, JobStatus.RUNNING, *TERMINAL)


@dataclass(kw_only=True)
class WatchTally(Tally):
    """What a run found, in jobs (an array is one) and queues; `calls` are calls of Batch's API.
    `left`: some of the queues could not be watched to the end."""

    EVENT = LogEvent.QUEUES_WATCHED

    queues: int = count("QueuesWatched")
    stuck: int = count("JobsStuck")
    blocked: int = count("QueuesBlocked")
    events_missing: int = count("EventsMissing")
    notices: int = count("WatchNoticesQueued")
    calls: int = count("WatchBatchCalls")
    left: bool = False


class WatchLimits(NamedTuple):
    """`ages` in milliseconds, after which a job is stuck, by status of the index; `blocked_after`
    likewise; `queues` are watched though nothing was heard of them; `calls` of Batch's API a
    run."""

    ages: Mapping[str, int]
    blocked_after: int
    queues: Sequence[str]
    calls: int


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What it works with. `batch` is boto3's client."""

    batch: Any
    table: JobTable
    index: JobIndex
    registry: QueueRegistry
    queues: QueueStateTable
    ingest: Ingest
    notices: MessageQueue
    rules: Rules
    redaction: Redaction
    limits: WatchLimits
    runtime: Runtime = Runtime()


class QueueWatch:
    """`report` gets each run's tally, also of one that raises."""

    def __init__(self, parts: Parts, report: Callable[[WatchTally], None]) -> None:
        self._parts = parts
        self._report = report
        self._usual = _UsualTimes(parts)

    def run(self, time_left: Callable[[], float], since: int | None = None) -> WatchTally:
        """Watches all queues, now; it has nothing to begin anew with `since`."""
        tally = WatchTally()
        try:
            _Run(self._parts, self._usual, tally, time_left).watch()
        finally:
            self._report(tally)
        return tally


class _Run:
    def __init__(
        self,
        parts: Parts,
        usual: "_UsualTimes",
        tally: WatchTally,
        time_left: Callable[[], float],
    ) -> None:
        self._parts = parts
        self._usual = usual
        self._tally = tally
        self._time_left = time_left
        self._now = parts.runtime.now_ms()

    def watch(self) -> None:
        parts = self._parts
        queues = list(dict.fromkeys([*parts.registry.names(), *parts.limits.queues]))
        self._usual.begin()
        known = parts.queues.load(queues)
        self._tally.left = len(known) < len(queues)
        seen = {queue: one for queue in known if (one := self._look_at(queue, known[queue]))}
        asked = self._ask(_to_ask(known, seen))
        for queue, one in seen.items():
            state = self._state(known[queue])
            policy = IncidentPolicy(rules=parts.rules, blocked_after=parts.limits.blocked_after)
            incidents = Incidents(queue, policy, self._now)
            self._apply(queue, known[queue], incidents.next_state(state, one, asked), one)

    # Gather

    def _look_at(self, queue: str, known: StoredState) -> Snapshot | None:
        """None if the table does not show it all now: the next run looks again."""
        if self._time_left() <= 0:
            self._tally.left = True
            return None
        try:
            return self._seen(queue, known)
        except (ClientError, BotoCoreError, TableUnavailable) as error:
            telemetry.warning(LogEvent.QUEUE_NOT_WATCHED, queue=queue, error=str(error))
            self._tally.left = True
            return None

    def _seen(self, queue: str, known: StoredState) -> Snapshot:
        state = self._state(known)
        found, counts = self._stuck(queue)
        moved_at, blocked = self._blocked(queue, state)
        return Snapshot(
            stuck=found,
            counts=counts,
            reported=[self._told(one) for one in state.stuck],
            unblocked_at=moved_at,
            blocked=blocked,
            head=self._parts.table.get(blocked.job_id) if blocked else None,
            missing_events=self._silence(queue, state, known.last_event_at),
        )

    def _state(self, known: StoredState) -> QueueState:
        return known.state or QueueState(watched_since=self._now)

    def _told(self, one: StuckJob) -> ReportedJob:
        job = self._parts.table.get(one.job_id)
        return ReportedJob(one, job, self._parts.table.describe(job) if job else Description())

    def _stuck(self, queue: str) -> tuple[StuckJobs, Mapping[str, int]]:
        """Who is stuck, and how many there are by status."""
        index, jobs, more = self._parts.index, [], set()
        for status, age in self._parts.limits.ages.items():
            before = self._now - age
            for members in (False, True):
                place = StatusPartition(queue, status, members)
                rows, is_cut = index.oldest_in_status(
                    place, before=before, after="", limit=EXAMINED
                )
                jobs += [row.job for row in rows]
                if is_cut and not members:
                    more.add(status)
        found = StuckJobs.among([*jobs, *self._overrunning(queue)])
        counts = found.counts()
        for status in more & counts.keys():
            before = self._now - self._parts.limits.ages[status]
            place = StatusPartition(queue, status)
            counts[status] = index.count([place], at_most=_COUNTED, before=before)[place].jobs
        return found, counts

    def _overrunning(self, queue: str) -> Iterator[Job]:
        """Those that run for much longer than jobs of their name do."""
        before = self._now - MIN_RUNNING_LIMIT_MS
        running = StatusPartition(queue, JobStatus.RUNNING)
        rows, _ = self._parts.index.oldest_in_status(
            running, before=before, after="", limit=EXAMINED
        )
        for job in (row.job for row in rows):
            longest = self._usual.longest_run(queue, job.details.job_name)
            if longest is not None and self._now - job.since > longest:
                yield job

    def _blocked(self, queue: str, state: QueueState) -> tuple[int, Blocked | None]:
        """When the queue moved last, as far as that counts, and the block that goes on."""
        blocked_events = self._parts.queues.blocked_events(queue, state.unblocked_at)
        if not (blocked_events or state.blocked):
            return state.unblocked_at, None
        since = state.blocked.since if state.blocked else blocked_events[-1].at
        places = [
            StatusPartition(queue, status, members)
            for status in _MOVED
            for members in (False, True)
        ]
        moved = self._parts.index.newest(places, limit=EXAMINED, window=TimeRange(since=since))
        moved_at = max(state.unblocked_at, last_start(moved.jobs))
        return moved_at, current_block(state.blocked, blocked_events, moved_at)

    def _silence(self, queue: str, state: QueueState, last_event_at: int) -> MissingEvents | None:
        if state.missing_events:
            return state.missing_events if last_event_at <= state.missing_events.since else None
        since = max(last_event_at, state.watched_since)
        if self._now - since <= MAX_DELIVERY_MS:
            return None
        places = [StatusPartition(queue, status) for status in _CHANGING]
        jobs = self._parts.index.newest(
            places, limit=_CHANGES_EXAMINED, window=TimeRange(since=since)
        ).jobs
        return detect_missing_events(
            jobs, watched_since=state.watched_since, last_event_at=last_event_at, now=self._now
        )

    # Ask

    def _ask(self, job_ids: Sequence[str]) -> dict[str, Observation]:
        """What Batch says of them. Those that are still what their record says are recorded anew,
        for the reason that Batch gives now; the others are found by repair, which also tells what
        they have become."""
        parts, told = self._parts, dict[str, Observation]()
        api = BatchApi(parts.batch, parts.limits.calls, self._time_left, parts.runtime)
        try:
            for some in chunks(job_ids, DESCRIBED):
                observed = observations(api.describe(some), self._now, parts.redaction)
                told |= {seen.job_id: seen for seen in observed}
        except (BatchStopped, BatchRefused):
            self._tally.left = True
        self._tally.calls = api.calls
        observed_jobs = {job_id: [observation] for job_id, observation in told.items()}
        parts.ingest.apply(observed_jobs, self._time_left, decide=_merge_same_transition)
        return told

    # Apply

    def _apply(self, queue: str, known: StoredState, state: QueueState, seen: Snapshot) -> None:
        self._tally.queues += 1
        self._tally.stuck += sum(seen.counts.values())
        self._tally.blocked += state.blocked is not None
        self._tally.events_missing += state.missing_events is not None
        ledger, version = self._parts.queues, known.version
        if state != known.state:
            if ledger.save(queue, state, version) is not Outcome.SAVED:
                self._tally.left = True
                return
            version += 1
        if not state.outbox:
            return
        bodies = [msgspec.json.encode(notice).decode() for notice in state.outbox]
        if self._parts.notices.send(bodies):
            self._tally.left = True
            return
        self._tally.notices += len(bodies)
        ledger.save(queue, msgspec.structs.replace(state, outbox=()), version)


class _UsualTimes:
    """How long jobs of a name usually run, remembered for an hour over the runs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._known: dict[tuple[str, str], tuple[float, float | None]] = {}
        self._left = NAMES

    def begin(self) -> None:
        """A run may look up so many names again."""
        self._left = NAMES

    def longest_run(self, queue: str, name: str) -> float | None:
        """Milliseconds; None: nobody can tell, or not in this run."""
        now = self._parts.runtime.now()
        looked_up, longest = self._known.get((queue, name), (0.0, None))
        if now - looked_up < _USUAL_KEPT_SECONDS or self._left == 0:
            return longest
        self._left -= 1
        if len(self._known) >= _USUAL_REMEMBERED:
            self._known.clear()
        longest = running_limit_ms(list(self._runs(queue, name)))
        self._known[queue, name] = now, longest
        return longest

    def _runs(self, queue: str, name: str) -> Iterator[float]:
        """Of those of the newest hundred that succeeded: who fails at once says nothing."""
        page = self._parts.index.named(
            name,
            [queue],
            limit=EXAMINED,
            wanted=lambda job: (job.details.job_name, job.status) == (name, JobStatus.SUCCEEDED),
        )
        for job in page.jobs:
            seconds = durations(job, job.since).running_seconds
            if seconds is not None:
                yield 1000 * seconds / max(1, job.details.generation)


def _to_ask(known: Mapping[str, StoredState], seen: Mapping[str, Snapshot]) -> list[str]:
    """The ids of jobs, those of the queues with few of them first."""
    by_queue: list[list[str]] = []
    for queue, one in seen.items():
        state = known[queue].state
        if not (state and state.bulk_incident):
            told = {told.job_id for told in state.stuck} if state else set()
            by_queue.append(one.stuck.to_confirm(told, EXAMINED))
    return [job_id for of_queue in sorted(by_queue, key=len) for job_id in of_queue]


def _merge_same_transition(
    stored: StoredJob | None, observations: Sequence[Observation]
) -> Decision:
    """Return the decision to add observations of the stored transition that contain anything new;
    no change for any other transition."""
    if stored is None:
        return Decision()
    job = stored.job
    new = [
        observation
        for observation in observations
        if observation.details.entered == job.details.entered
        and not job.says_nothing_new(observation.details)
    ]
    return merge(stored, new)
