"""Reads the snapshots of queues by which a sweep opens and resolves incidents.

The number of requests depends on the number of queues and not on the number of jobs. This module
does not decide anything: `chalicelib.queues` contains the rules.
"""

import math
from collections.abc import Callable, Mapping
from functools import partial

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import TERMINAL, Description, JobStatus
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.jobs.job_table import JobTable
from chalicelib.jobs.waiting.queue_environment import QueueEnvironment
from chalicelib.queues.blocked import STARTED, Blocked, current_block, last_start, obstructed
from chalicelib.queues.environment_table import EnvironmentTable
from chalicelib.queues.incidents import Snapshot
from chalicelib.queues.missing_events import MAX_DELIVERY_MS, MissingEvents, detect_missing_events
from chalicelib.queues.state import QueueState
from chalicelib.queues.state_table import QueueStateTable, StoredState
from chalicelib.queues.stuck.overdue import StuckJob
from chalicelib.queues.stuck.reporting import MAX_EXAMINED, ReportedJob
from chalicelib.sweep.watch.overdue_reader import OverdueReader
from chalicelib.telemetry import LogEvent

_MAX_CHANGES_EXAMINED = 20
_CHANGED = (JobStatus.RUNNABLE, JobStatus.RUNNING, *TERMINAL)


class SnapshotReader:
    """Reader of queues. `limits` are the times after which jobs are overdue."""

    def __init__(
        self,
        jobs: JobTable,
        index: JobIndex,
        states: QueueStateTable,
        environments: EnvironmentTable,
        overdue: OverdueReader,
    ) -> None:
        self._jobs = jobs
        self._index = index
        self._states = states
        self._environments = environments
        self._overdue = overdue

    def read_all(
        self,
        queues: Mapping[str, StoredState],
        environments: Mapping[str, QueueEnvironment],
        now: int,
        time_left: Callable[[], float],
    ) -> dict[str, Snapshot]:
        """Return a snapshot of each queue as of `now` (epoch milliseconds), without queues that
        can't be read, or for which no time is left. The next run reads them. `environments` are
        those that Batch has described in this run."""
        self._overdue.start_run()
        snapshots: dict[str, Snapshot] = {}
        for queue, stored in queues.items():
            if time_left() <= 0:
                break
            try:
                snapshots[queue] = self._read(queue, stored, environments.get(queue), now)
            except (ClientError, BotoCoreError, TableUnavailable) as error:
                telemetry.warning(LogEvent.QUEUE_NOT_WATCHED, queue=queue, error=str(error))
        return snapshots

    def _read(
        self, queue: str, stored: StoredState, environment: QueueEnvironment | None, now: int
    ) -> Snapshot:
        state = stored.state_or_initial(now)
        overdue, counts, waiting = self._overdue.read(
            queue, state, now, partial(self._room, queue, environment)
        )
        unblocked_at, blocked = self._block(queue, state, environment, now)
        return Snapshot(
            overdue=overdue.after_block(unblocked_at),
            counts=counts,
            reported=[self._reported(job) for job in state.stuck],
            unblocked_at=unblocked_at,
            blocked=blocked,
            head=self._jobs.get(blocked.job_id) if blocked and blocked.job_id else None,
            waiting=waiting,
            missing_events=self._missing_events(queue, state, stored.last_event_at, now),
        )

    def _room(self, queue: str, environment: QueueEnvironment | None) -> float:
        """Return how many vCPUs the jobs that run and the next one can request together before jobs
        wait for the end of others: none at all if the environments are at their limit, or if what
        jobs need was in use in the last sweep; infinite if nothing is known to be full."""
        if environment is None:
            return math.inf
        if environment.is_at_limit:
            return -math.inf
        stored = self._environments.load([queue])[queue].environment
        return -math.inf if stored and stored.is_exhausted else environment.room

    def _reported(self, stuck: StuckJob) -> ReportedJob:
        root = self._jobs.get(stuck.job_id)
        return ReportedJob(stuck, root, self._jobs.describe(root) if root else Description())

    # Blocked queue

    def _block(
        self, queue: str, state: QueueState, environment: QueueEnvironment | None, now: int
    ) -> tuple[int, Blocked | None]:
        """Return up to when blocked events are irrelevant, and the block in effect. Jobs are only
        read if the queue may be blocked."""
        previous, obstacle = state.blocked, environment.obstacle if environment else None
        if previous and previous.obstacle and not obstacle:
            # The obstacle is gone, unless Batch could not be asked about it.
            return (now, None) if environment else (state.unblocked_at, previous)
        events = self._states.blocked_events(queue, state.unblocked_at)
        if not (events or previous):
            started_at = state.unblocked_at
            return started_at, obstructed(None, obstacle, started_at, now) if obstacle else None
        since = previous.since if previous else events[-1].at
        partitions = [
            StatusPartition(queue, status, members)
            for status in (*STARTED, *TERMINAL)
            for members in (False, True)
        ]
        started = self._index.newest(partitions, limit=MAX_EXAMINED, window=TimeRange(since=since))
        unblocked_at = max(state.unblocked_at, last_start(started.jobs))
        if obstacle:
            return unblocked_at, obstructed(previous, obstacle, unblocked_at, now)
        return unblocked_at, current_block(previous, events, unblocked_at)

    # Missing events

    def _missing_events(
        self, queue: str, state: QueueState, last_event_at: int, now: int
    ) -> MissingEvents | None:
        """Return the incident that is open. Jobs are only read if no event arrived for a while."""
        if state.missing_events:
            return state.missing_events if last_event_at <= state.missing_events.since else None
        since = max(last_event_at, state.watched_since)
        if now - since <= MAX_DELIVERY_MS:
            return None
        changed = self._index.newest(
            [StatusPartition(queue, status) for status in _CHANGED],
            limit=_MAX_CHANGES_EXAMINED,
            window=TimeRange(since=since),
        )
        return detect_missing_events(
            changed.jobs, watched_since=state.watched_since, last_event_at=last_event_at, now=now
        )
