"""Reads the snapshots of queues by which a sweep opens and resolves incidents.

The number of requests depends on the number of queues and not on the number of jobs. This module
does not decide anything: `chalicelib.queues` contains the rules.
"""

from collections.abc import Callable, Iterator, Mapping

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import TERMINAL, Description, Job, JobStatus
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.jobs.job_table import JobTable
from chalicelib.queues.blocked import STARTED, Blocked, current_block, last_start
from chalicelib.queues.incidents import ReportedJob, Snapshot
from chalicelib.queues.missing_events import MAX_DELIVERY_MS, MissingEvents, detect_missing_events
from chalicelib.queues.state import QueueState
from chalicelib.queues.state_table import QueueStateTable, StoredState
from chalicelib.queues.stuck import MIN_RUNNING_LIMIT_MS, StuckJob, StuckJobs
from chalicelib.sweep.watch.run_times import RunTimes
from chalicelib.telemetry import LogEvent

MAX_EXAMINED = 100
"""Maximum number of jobs that are read of a queue and status, the longest in it first."""
_MAX_COUNTED = 100_000
"""Maximum count of stuck jobs of one status."""
_MAX_CHANGES_EXAMINED = 20
_CHANGED = (JobStatus.RUNNABLE, JobStatus.RUNNING, *TERMINAL)


class SnapshotReader:
    """Reader of queues. `stuck_after` contains, for each status that a job can be stuck in, after
    how many milliseconds it is."""

    def __init__(
        self,
        jobs: JobTable,
        index: JobIndex,
        states: QueueStateTable,
        run_times: RunTimes,
        stuck_after: Mapping[str, int],
    ) -> None:
        self._jobs = jobs
        self._index = index
        self._states = states
        self._run_times = run_times
        self._stuck_after = stuck_after

    def read_all(
        self, queues: Mapping[str, StoredState], now: int, time_left: Callable[[], float]
    ) -> dict[str, Snapshot]:
        """Return a snapshot of each queue as of `now` (epoch milliseconds), without queues that
        can't be read, or for which no time is left. The next run reads them."""
        self._run_times.start_run()
        snapshots: dict[str, Snapshot] = {}
        for queue, stored in queues.items():
            if time_left() <= 0:
                break
            try:
                snapshots[queue] = self._read(queue, stored, now)
            except (ClientError, BotoCoreError, TableUnavailable) as error:
                telemetry.warning(LogEvent.QUEUE_NOT_WATCHED, queue=queue, error=str(error))
        return snapshots

    def _read(self, queue: str, stored: StoredState, now: int) -> Snapshot:
        state = stored.state_or_initial(now)
        stuck, counts = self._stuck(queue, now)
        unblocked_at, blocked = self._block(queue, state)
        return Snapshot(
            stuck=stuck,
            counts=counts,
            reported=[self._reported(job) for job in state.stuck],
            unblocked_at=unblocked_at,
            blocked=blocked,
            head=self._jobs.get(blocked.job_id) if blocked else None,
            missing_events=self._missing_events(queue, state, stored.last_event_at, now),
        )

    # Stuck jobs

    def _stuck(self, queue: str, now: int) -> tuple[StuckJobs, dict[str, int]]:
        """Return the stuck jobs that were read, and the number of all stuck jobs by status."""
        jobs: list[Job] = []
        truncated: set[str] = set()
        for status, age in self._stuck_after.items():
            for members in (False, True):
                oldest, has_more = self._oldest(StatusPartition(queue, status, members), now - age)
                jobs += oldest
                if has_more and not members:
                    truncated.add(status)
        stuck = StuckJobs.among([*jobs, *self._running_too_long(queue, now)])
        counts = stuck.counts()
        for status in truncated & counts.keys():
            counts[status] = self._count(StatusPartition(queue, status), now)
        return stuck, counts

    def _running_too_long(self, queue: str, now: int) -> Iterator[Job]:
        """Yield jobs that have been RUNNING for much longer than others of their name ran."""
        running = StatusPartition(queue, JobStatus.RUNNING)
        oldest, _ = self._oldest(running, now - MIN_RUNNING_LIMIT_MS)
        for job in oldest:
            limit = self._run_times.running_limit_ms(queue, job.details.job_name)
            if limit is not None and now - job.since > limit:
                yield job

    def _oldest(self, partition: StatusPartition, before: int) -> tuple[list[Job], bool]:
        """Return the jobs that entered their status before a time, and whether there are more."""
        rows, has_more = self._index.oldest_in_status(
            partition, before=before, after="", limit=MAX_EXAMINED
        )
        return [row.job for row in rows], has_more

    def _count(self, partition: StatusPartition, now: int) -> int:
        before = now - self._stuck_after[partition.status]
        return self._index.count([partition], at_most=_MAX_COUNTED, before=before)[partition].jobs

    def _reported(self, stuck: StuckJob) -> ReportedJob:
        root = self._jobs.get(stuck.job_id)
        return ReportedJob(stuck, root, self._jobs.describe(root) if root else Description())

    # Blocked queue

    def _block(self, queue: str, state: QueueState) -> tuple[int, Blocked | None]:
        """Return up to when blocked events are irrelevant, and the block in effect. Jobs are only
        read if the queue may be blocked."""
        events = self._states.blocked_events(queue, state.unblocked_at)
        if not (events or state.blocked):
            return state.unblocked_at, None
        since = state.blocked.since if state.blocked else events[-1].at
        partitions = [
            StatusPartition(queue, status, members)
            for status in (*STARTED, *TERMINAL)
            for members in (False, True)
        ]
        started = self._index.newest(partitions, limit=MAX_EXAMINED, window=TimeRange(since=since))
        unblocked_at = max(state.unblocked_at, last_start(started.jobs))
        return unblocked_at, current_block(state.blocked, events, unblocked_at)

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
