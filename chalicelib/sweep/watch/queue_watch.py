"""The sweep's step that finds stuck jobs, blocked queues and queues whose events are missing.

A run gathers a snapshot of each queue, asks Batch to confirm the stuck jobs that it is about to
report, decides which incidents are opened and resolved, and applies the new states. This module
contains only the order of these steps.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chalicelib.jobs.job import Job
from chalicelib.queues.environment_table import EnvironmentTable
from chalicelib.queues.incidents import IncidentPolicy, Incidents, Snapshot
from chalicelib.queues.state import QueueState
from chalicelib.runtime import Runtime
from chalicelib.sweep.watch.confirmation import BatchConfirmation
from chalicelib.sweep.watch.environment_reader import EnvironmentReader
from chalicelib.sweep.watch.outbox import Applied, Outbox
from chalicelib.sweep.watch.snapshots import SnapshotReader
from chalicelib.sweep.watch.waiting_reader import WaitingReader
from chalicelib.telemetry import LogEvent, Tally, count


@dataclass(kw_only=True)
class WatchTally(Tally):
    """Figures of a run. `stuck` counts jobs, an array as one; `queues`, `blocked` and
    `events_missing` count queues; `calls` are calls of Batch's API. `left`: some queues were not
    watched completely."""

    EVENT = LogEvent.QUEUES_WATCHED

    queues: int = count("QueuesWatched")
    stuck: int = count("JobsStuck")
    blocked: int = count("QueuesBlocked")
    events_missing: int = count("EventsMissing")
    notices: int = count("WatchNoticesQueued")
    calls: int = count("WatchBatchCalls")
    left: bool = False

    def add(self, snapshot: Snapshot, state: QueueState, applied: Applied) -> None:
        """Add the findings and the notices of a queue."""
        self.queues += 1
        self.stuck += sum({**snapshot.overdue.counts(), **snapshot.counts}.values())
        self.blocked += state.blocked is not None
        self.events_missing += state.missing_events is not None
        self.notices += applied.notices
        self.left |= not applied.is_complete


class QueueWatch:
    """The step `watch` of the sweep. `list_queues` returns the names of the queues to watch, which
    may contain duplicates. `report` receives the tally of each run, even if it raises."""

    def __init__(
        self,
        list_queues: Callable[[], Iterable[str]],
        environments: EnvironmentReader,
        waiting: WaitingReader,
        environment_table: EnvironmentTable,
        snapshots: SnapshotReader,
        confirmation: BatchConfirmation,
        policy: IncidentPolicy,
        outbox: Outbox,
        report: Callable[[WatchTally], None],
        runtime: Runtime = Runtime(),
    ) -> None:
        self._list_queues = list_queues
        self._environments = environments
        self._waiting = waiting
        self._environment_table = environment_table
        self._snapshots = snapshots
        self._confirmation = confirmation
        self._policy = policy
        self._outbox = outbox
        self._report = report
        self._runtime = runtime

    def run(self, time_left: Callable[[], float], since: int | None = None) -> WatchTally:
        """Watch all queues. `since` has no effect, because a run only reads the present."""
        tally = WatchTally()
        try:
            self._watch(time_left, tally)
        finally:
            self._report(tally)
        return tally

    def _watch(self, time_left: Callable[[], float], tally: WatchTally) -> None:
        now = self._runtime.now_ms()
        queues = list(dict.fromkeys(self._list_queues()))
        stored = self._outbox.load(queues)
        run = self._environments.start_run(time_left)
        environments = self._environments.environments(run, stored)
        snapshots = self._snapshots.read_all(stored, environments, now, time_left)
        waiting = {queue: each.waiting for queue, each in snapshots.items() if each.waiting}
        self._environment_table.put(*self._waiting.read(run, environments, waiting))
        states = {queue: stored[queue].state_or_initial(now) for queue in snapshots}
        incidents = {queue: Incidents(queue, self._policy, now) for queue in snapshots}
        jobs = _fewest_first(
            incidents[queue].to_confirm(states[queue], snapshot)
            for queue, snapshot in snapshots.items()
        )
        described = self._confirmation.describe(jobs, time_left)
        tally.calls = described.calls + run.calls
        tally.left = len(snapshots) < len(queues) or not described.is_complete
        for queue, snapshot in snapshots.items():
            state = incidents[queue].next_state(states[queue], snapshot, described.jobs)
            applied = self._outbox.apply(queue, stored[queue], state)
            tally.add(snapshot, state, applied)


def _fewest_first(by_queue: Iterable[list[Job]]) -> list[Job]:
    """Return the jobs to ask Batch about. Queues with few such jobs come first, so that a queue
    with many does not use up the calls."""
    return [job for jobs in sorted(by_queue, key=len) for job in jobs]
