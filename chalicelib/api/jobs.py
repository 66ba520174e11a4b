"""A job: its body, with long polling, and its log. A job that the scope of the token does not
cover is not found."""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Final, NamedTuple
from urllib.parse import unquote

import msgspec

from chalicelib.api.access import Scope
from chalicelib.api.errors import InvalidJobId, JobNotFound
from chalicelib.api.job_log import JobLog, locate
from chalicelib.api.long_poll import LongPollSlots
from chalicelib.api.parameters import arns
from chalicelib.api.parameters.queries import JobQuery, LogQuery
from chalicelib.api.representation.body import Versioned
from chalicelib.api.representation.job import (
    JobBody,
    JobSummary,
    Related,
    job_body,
    job_summary,
)
from chalicelib.api.representation.log import LogBody, log_body
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.array_summary import Summary
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.dependencies import Load, dependencies, first_failures, is_dependent
from chalicelib.jobs.job import Job, JobId, JobStatus, Transition
from chalicelib.jobs.job_table import JobTable
from chalicelib.jobs.preemption import Preemption
from chalicelib.jobs.prices import Prices
from chalicelib.queues.environment_table import EnvironmentTable, StoredEnvironment
from chalicelib.runtime import Runtime

_POLL_SECONDS: Final = 1.5


class _Snapshot(NamedTuple):
    """A job with the preemptions of a service job and the summary of an array's children."""

    job: Job
    preemptions: list[Preemption]
    children: Summary | None

    @property
    def version(self) -> str:
        return sha256(msgspec.json.encode(self)).hexdigest()[:20]

    @property
    def entered(self) -> tuple[str, Transition]:
        """The status and the last transition: a retry enters the same status again, and UNKNOWN is
        not a transition, so that neither alone shows that the status was entered."""
        return self.job.status, self.job.history[-1]


class Jobs:
    def __init__(
        self,
        table: JobTable,
        arrays: ArrayTable,
        environments: EnvironmentTable,
        log: JobLog,
        long_poll_slots: LongPollSlots,
        prices: Prices,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._table = table
        self._arrays = arrays
        self._environments = environments
        self._log = log
        self._long_poll_slots = long_poll_slots
        self._prices = prices
        self._runtime = runtime

    def find(self, job_in_path: str, scope: Scope) -> Job:
        """Return the job of an id or an ARN. Some gateways decode the path and some don't.

        Raises JobNotFound and InvalidJobId.
        """
        job_id = arns.job_id(unquote(job_in_path))
        try:
            JobId.parse(job_id)
        except ValueError as error:
            raise InvalidJobId(job_id, str(error)) from error
        job = self._table.get(job_id)
        if job is None or not scope.covers(job.queue):
            raise JobNotFound(job_id)
        return job

    def get(
        self,
        job: Job,
        query: JobQuery,
        known: Collection[str] = (),
        scope: Scope | None = None,
    ) -> Versioned[JobBody]:
        """Return the job. With `wait`, first wait until its version is not one that the client has
        or, if the client has no version, until its status changes. Don't wait for a job that has
        ended. Jobs that it depends on are described if `scope` covers them.

        Raises AllSlotsTaken and TableUnavailable.
        """
        snapshot = self._snapshot(job)
        if query.wait and not job.is_terminal and (not known or snapshot.version in known):
            snapshot = self._wait(snapshot, query.wait, known)
        related = self._related(snapshot, self._loader(scope))
        body = job_body(snapshot.job, related, self._prices, self._runtime.now_ms())
        return Versioned(body, snapshot.version)

    def summaries(self, jobs: Sequence[Job]) -> list[JobSummary]:
        children, now = self._arrays.summaries(jobs), self._runtime.now_ms()
        return [job_summary(job, children.get(job.job_id), self._prices, now) for job in jobs]

    def log(self, job: Job, query: LogQuery) -> LogBody:
        """Return the end of an attempt's log.

        Raises LogNotFound, AttemptNotFound and LogUnavailable.
        """
        driver = None if job.log_group else self._table.describe(job).log_driver
        location = locate(job, query.attempt, query.container, driver)
        return log_body(job.job_id, location, self._log.tail(location, lines=query.lines))

    def _related(self, snapshot: _Snapshot, load: Load) -> Related:
        job, preemptions, children = snapshot
        description = self._table.describe(job)
        dependents = {job.job_id: description} if is_dependent(job) else {}
        first = first_failures(dependents, load, self._table.describe_all)
        return Related(
            description,
            preemptions,
            children,
            *self._environment(job),
            dependencies=dependencies(description, load),
            first_failure=first.get(job.job_id),
        )

    def _environment(self, job: Job) -> StoredEnvironment:
        """Return what AWS Batch reports of the job's queue, if the job waits there."""
        if job.status != JobStatus.RUNNABLE:
            return StoredEnvironment()
        return self._environments.load([job.queue])[job.queue]

    def _loader(self, scope: Scope | None) -> Load:
        """Return a function that reads the jobs that a scope covers."""

        def load(job_ids: Collection[str]) -> dict[str, Job]:
            loaded = self._table.load(job_ids, consistent=False)
            if loaded.unread:
                raise TableUnavailable("DynamoDB returned only a part of the jobs: try again")
            jobs = {job_id: stored.job for job_id, stored in loaded.jobs.items()}
            return {i: job for i, job in jobs.items() if scope and scope.covers(job.queue)}

        return load

    def _snapshot(self, job: Job) -> _Snapshot:
        preemptions = self._table.preemptions(job.job_id) if job.is_service else []
        return _Snapshot(job, preemptions, self._arrays.summary(job))

    def _wait(self, first: _Snapshot, seconds: int, known: Collection[str]) -> _Snapshot:
        """Wait until the job has changed, at most `seconds`, and return it."""
        end, latest = self._runtime.now() + seconds, first
        with self._long_poll_slots.acquire():
            while (left := end - self._runtime.now()) > 0:
                self._runtime.sleep(min(left, _POLL_SECONDS))
                latest = self._snapshot(self._table.get(first.job.job_id) or latest.job)
                has_changed = (
                    latest.version not in known if known else latest.entered != first.entered
                )
                if has_changed:
                    break
        return latest
