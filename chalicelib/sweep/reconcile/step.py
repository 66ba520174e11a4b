"""The step of the sweep that reconciles: connects the parts of each run and reports its tally."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import telemetry
from chalicelib.aws.lambda_event import without_reserve
from chalicelib.jobs.job_index import JobIndex
from chalicelib.jobs.job_table import JobTable
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.recording.ingest import Ingest
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.sweep.batch_api import BatchApi, BatchRefused, BatchStopped, CallBudget
from chalicelib.sweep.reconcile.checkpoint_table import CheckpointTable
from chalicelib.sweep.reconcile.checkpoints import Checkpoints
from chalicelib.sweep.reconcile.discovery import Discovery
from chalicelib.sweep.reconcile.in_flight import InFlightJobs
from chalicelib.sweep.reconcile.lost_jobs import LostJobs
from chalicelib.sweep.reconcile.missing_children import MissingChildren
from chalicelib.sweep.reconcile.reconciler import Reconciler, ReconcileTally
from chalicelib.sweep.reconcile.run import RunStart
from chalicelib.sweep.reconcile.silent_jobs import SilentJobs
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient

_RESERVE_SECONDS = 10.0
_LISTING_CALLS = 10
"""Calls that list job queues, a hundred each. `calls` does not include them."""


class ReconcileLimits(NamedTuple):
    """`silent_after` is REPAIR_AFTER: milliseconds by status of the index. `is_recorded` returns
    whether the stage records a job queue. `calls` is the number of calls of Batch's API per run."""

    silent_after: Mapping[str, int]
    is_recorded: Callable[[str], bool]
    calls: int


@dataclass(frozen=True, kw_only=True)
class ReconcileStep:
    """`report` receives the tally of each run, including a run that raises an error."""

    batch: "BatchClient"
    jobs: JobTable
    index: JobIndex
    registry: QueueRegistry
    checkpoints: CheckpointTable
    ingest: Ingest
    redaction: Redaction
    limits: ReconcileLimits
    report: Callable[[ReconcileTally], None]
    runtime: Runtime = Runtime()

    def run(self, time_left: Callable[[], float], since: int | None = None) -> ReconcileTally:
        """Reconcile as many jobs as the calls and the time allow.

        With `since` (epoch milliseconds), restart: describe every job that has not ended, and list
        all jobs created since then, without waiting for their events. Without it, resume.

        Raises BatchRefused at once if Batch refuses to describe jobs, and after all other work if
        it refuses to list queues.
        """
        tally = ReconcileTally()
        budget = CallBudget(self.limits.calls, without_reserve(time_left, _RESERVE_SECONDS))
        try:
            self._reconcile(since, budget, tally)
        finally:
            self.report(tally)
        return tally

    def _reconcile(self, since: int | None, budget: CallBudget, tally: ReconcileTally) -> None:
        start = RunStart(self.runtime.now_ms(), is_restart=since is not None)
        registered = self._registered_queues()
        api = BatchApi(self.batch, budget, self.redaction, self.runtime)
        queues = list(filter(self.limits.is_recorded, self._queues(registered, budget.time_left)))
        checkpoints = Checkpoints(self.checkpoints, queues)
        if since is not None:
            checkpoints.restart(since, start.now)
        jobs, index = self.jobs, self.index
        missing_children = MissingChildren(self.checkpoints, jobs, index, queues, start)
        discovery = Discovery(api, jobs, checkpoints, missing_children, registered, start)
        silent_jobs = SilentJobs(index, checkpoints, self.limits.silent_after, start)
        Reconciler(
            api=api,
            ingest=self.ingest,
            checkpoints=checkpoints,
            in_flight=InFlightJobs(self.checkpoints, jobs, start.now),
            sources=(silent_jobs, discovery, missing_children),
            lost_jobs=LostJobs(jobs, index, self.ingest, api, queues, start.now),
            tally=tally,
        ).run()
        if discovery.refusal:
            raise discovery.refusal

    def _queues(self, registered: Iterable[str], time_left: Callable[[], float]) -> list[str]:
        """Return the queues of recorded jobs and those that exist, by name. In the latter, there
        may be jobs of which no event has arrived."""
        budget = CallBudget(_LISTING_CALLS, time_left)
        try:
            existing = BatchApi(self.batch, budget, self.redaction, self.runtime).all_queues()
        except (BatchRefused, BatchStopped) as error:
            telemetry.warning(LogEvent.QUEUES_NOT_LISTED, error=str(error))
            existing = []
        else:
            recorded = set(filter(self.limits.is_recorded, existing))
            self.registry.mark_gone({queue for queue in registered if queue not in recorded})
        return sorted({*registered, *existing})

    def _registered_queues(self) -> dict[str, bool]:
        """Return the queues of recorded jobs, and whether each contains service jobs."""
        service_queues = self.registry.service_queues()
        return {queue: queue in service_queues for queue in self.registry.names()}
