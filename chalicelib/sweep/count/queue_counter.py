"""The sweep's step that counts the active jobs of each queue, and summarizes those that ended.

Rollups are recomputed and never incremented (docs/adr/0012): a run may be interrupted anywhere, or
overlap with another one, and the next run stores the same numbers. This module contains the order
of queues and stages; `queue_pass` contains what is done for one queue.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from chalicelib.aws.lambda_event import without_reserve
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job_index import JobIndex
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.queues.rollup import DAY_MS, HOUR_MS
from chalicelib.queues.stats import HourCursor
from chalicelib.queues.stats_table import QueueStatsTable, StatsConflict
from chalicelib.runtime import Runtime
from chalicelib.sweep.count.queue_pass import CountRun, QueuePass
from chalicelib.sweep.count.read_budget import ReadBudget
from chalicelib.sweep.count.windows import REST, WINDOWS, first_hour_from
from chalicelib.telemetry import LogEvent, Tally, count

_RESERVE_SECONDS = 10.0
_MAX_RESTART_ATTEMPTS = 10


@dataclass(frozen=True, kw_only=True)
class CountLimits:
    """Limits of a run. `max_counted`: a larger count of one queue and status is reported as "at
    least" this. `max_jobs_read`: the number of ended jobs after which a run stops; each queue can
    use a share of it.
    """

    max_counted: int = 10_000
    max_jobs_read: int = 250_000


@dataclass(kw_only=True)
class CountTally(Tally):
    """Figures of a run. `counted` are active jobs, `read` ended jobs, `written` rollups that
    differed from what was stored. `left`: another run should follow at once, because more is
    due."""

    EVENT = LogEvent.QUEUES_COUNTED

    queues: int = count("QueuesCounted")
    counted: int = count("WaitingJobsCounted")
    read: int = count("EndedJobsRead")
    written: int = count("HoursWritten")
    left: bool = False


class QueueCounter:
    """The step `count` of the sweep. `report` receives the tally of each run, even if it raises."""

    def __init__(
        self,
        index: JobIndex,
        registry: QueueRegistry,
        table: QueueStatsTable,
        report: Callable[[CountTally], None],
        *,
        retention_days: int = 0,
        limits: CountLimits = CountLimits(),
        runtime: Runtime = Runtime(),
    ) -> None:
        self._index = index
        self._registry = registry
        self._table = table
        self._report = report
        self._retention_ms = retention_days * DAY_MS
        self._limits = limits
        self._runtime = runtime

    def run(self, time_left: Callable[[], float], since: int | None = None) -> CountTally:
        """Count and summarize as much as the time allows, the queue whose counts are the oldest
        first. With `since` (epoch milliseconds), recompute all hours from then on.

        Raises TableUnavailable.
        """
        seconds_left = without_reserve(time_left, _RESERVE_SECONDS)
        queues = self._registry.current()
        claims = len(queues) * len(WINDOWS)
        budget = ReadBudget(seconds_left, self._limits.max_jobs_read, claims)
        passes: list[QueuePass] = []
        left = False
        try:
            if since is not None:
                for queue in queues:
                    self._restart(queue, since)
            run = self._new_run(budget)
            passes += [QueuePass(run, queue) for queue in queues]
            left = _run_stages(passes)
        finally:
            tally = CountTally(
                queues=sum(queue_pass.is_counted for queue_pass in passes),
                counted=sum(queue_pass.counted for queue_pass in passes),
                read=budget.jobs_read,
                written=sum(queue_pass.written for queue_pass in passes),
                left=left,
            )
            self._report(tally)
        return tally

    def _new_run(self, budget: ReadBudget) -> CountRun:
        now = self._runtime.now_ms()
        oldest = now - self._retention_ms + HOUR_MS if self._retention_ms else 0
        return CountRun(
            index=self._index,
            table=self._table,
            budget=budget,
            now=now,
            oldest=first_hour_from(oldest),
            max_counted=self._limits.max_counted,
        )

    def _restart(self, queue: str, since: int) -> None:
        """Make all hours from `since` on due. Hours that no pass has reached yet remain due."""
        for _ in range(_MAX_RESTART_ATTEMPTS):
            stats, version = self._table.load(queue)
            rest = stats.cursors.get(REST, HourCursor())
            floor = since if rest.is_complete else min(rest.floor, since)
            restarted = replace(stats, cursors={REST: HourCursor(floor=floor)})
            try:
                self._table.save(queue, restarted, version)
            except StatsConflict:
                continue
            return
        raise TableUnavailable(
            f"could not restart the rollups of queue {queue}: other runs keep saving its statistics"
        )


def _run_stages(passes: Sequence[QueuePass]) -> bool:
    """Run each stage for all queues, and return whether more is due."""
    remaining = sorted(passes, key=lambda queue_pass: queue_pass.as_of)
    for stage in (QueuePass.update_counts, QueuePass.recompute_older_hours):
        remaining = [queue_pass for queue_pass in remaining if queue_pass.run_stage(stage)]
    return any(queue_pass.is_unfinished for queue_pass in remaining)
