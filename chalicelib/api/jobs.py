"""The answers about jobs, within the scope of the token that asks."""

from collections.abc import Callable, Collection
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from chalicelib.api.access import Scope
from chalicelib.api.job_log import JobLog, LogOutOfReach, NoLog
from chalicelib.api.long_poll import LongPollSlots
from chalicelib.api.page_token import BadPageToken, page_token, place_of
from chalicelib.api.parameters import (
    BadParameter,
    Filter,
    PageQuery,
    Query,
    children_query,
    jobs_query,
    logs_query,
    wait_query,
)
from chalicelib.api.representation import (
    JobBody,
    JobPage,
    LogsBody,
    job_body,
    job_summary,
    log_line,
    log_streams,
)
from chalicelib.jobs.array_summary import Summary
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.job import LISTED_STATUSES, Job, JobId, Transition
from chalicelib.jobs.job_index import JobIndex, Page, StatusPartition
from chalicelib.jobs.job_table import JobTable
from chalicelib.jobs.preemption import Preemption
from chalicelib.jobs.prices import Prices
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.runtime import Runtime

_POLL_SECONDS = 1.5


class NoSuchJob(LookupError):
    """There is none, or not for this token: the two can't be told apart."""


class Versioned(NamedTuple):
    """An answer, and what names the state that it shows: of a running job the durations go on, but
    it is the same until something is heard of it, or of an array's children."""

    body: JobBody
    version: str


class _Known(NamedTuple):
    """All that is known of one job: preemptions of a service job, of an array how its children
    fare."""

    job: Job
    preemptions: list[Preemption]
    children: Summary | None

    @property
    def version(self) -> str:
        return sha256(msgspec.json.encode(self)).hexdigest()[:20]


class Jobs:
    """`page_key` signs page tokens."""

    def __init__(
        self,
        table: JobTable,
        index: JobIndex,
        registry: QueueRegistry,
        arrays: ArrayTable,
        log: JobLog,
        long_poll_slots: LongPollSlots,
        prices: Prices,
        page_key: Callable[[], bytes],
        runtime: Runtime = Runtime(),
    ) -> None:
        self._table = table
        self._index = index
        self._registry = registry
        self._arrays = arrays
        self._log = log
        self._long_poll_slots = long_poll_slots
        self._prices = prices
        self._page_key = page_key
        self._runtime = runtime

    def one(
        self, job_id: str, query: Query, scope: Scope, known: Collection[str] = ()
    ) -> Versioned:
        """`job_id` as in the path. If it is to wait: until the job is none of the `known` versions
        or, if none is known, until its status changes. An ended job is not waited for.

        Raises BadParameter, NoSuchJob and AllSlotsTaken.
        """
        seconds = wait_query(query)
        of_job = self._known(self._job(job_id, scope))
        if seconds and not of_job.job.is_terminal and (not known or of_job.version in known):
            of_job = self._awaited(of_job, seconds, known)
        description = self._table.describe(of_job.job)
        body = job_body(*of_job, description, self._prices, self._now())
        return Versioned(body, of_job.version)

    def page(self, query: Query, scope: Scope) -> JobPage:
        """Raises BadParameter."""
        asked = jobs_query(query, self._now())
        after = self._place(asked)
        wanted = asked.filter
        heard_of = [wanted.queue] if wanted.queue else self._registry.names()
        queues = [queue for queue in heard_of if scope.covers(queue)]
        if wanted.name is not None:
            keeps = None if wanted == Filter(wanted.queue, name=wanted.name) else wanted.keeps
            page = self._index.named(
                wanted.name, queues, limit=asked.limit, after=after, wanted=keeps
            )
        else:
            statuses = wanted.statuses or LISTED_STATUSES
            places = [StatusPartition(queue, status) for queue in queues for status in statuses]
            page = self._index.newest(places, limit=asked.limit, after=after, window=wanted.window)
        return self._told(page, asked)

    def children(self, job_id: str, query: Query, scope: Scope) -> JobPage:
        """Raises BadParameter and NoSuchJob."""
        parent = self._job(job_id, scope)
        asked = children_query(query, parent.job_id)
        page = self._index.children_page(
            parent, limit=asked.limit, after=self._place(asked), statuses=asked.filter.statuses
        )
        visible = [job for job in page.jobs if scope.covers(job.queue)]
        return self._told(Page(visible, page.last), asked)

    def logs(self, job_id: str, query: Query, scope: Scope) -> LogsBody:
        """Raises BadParameter, NoSuchJob, NoLog and LogOutOfReach."""
        job = self._job(job_id, scope)
        asked = logs_query(query)
        attempt, group, stream = _log_of(job, asked.attempt)
        lines = self._log.end(group, stream, lines=asked.lines)
        return LogsBody(job.job_id, attempt, group, stream, [log_line(line) for line in lines])

    def _job(self, in_path: str, scope: Scope) -> Job:
        """Some gateways decode what is in the path, some don't. Raises NoSuchJob."""
        job_id = unquote(in_path)
        try:
            JobId.parse(job_id)
        except ValueError as error:
            raise NoSuchJob(f"{job_id[:200]!r} {error}") from error
        job = self._table.get(job_id)
        if job is None or not scope.covers(job.queue):
            raise NoSuchJob(f"no job {job_id} was heard of")
        return job

    def _known(self, job: Job) -> _Known:
        preemptions = self._table.preemptions(job.job_id) if job.is_service else []
        return _Known(job, preemptions, self._arrays.summaries([job]).get(job.job_id))

    def _awaited(self, of_job: _Known, seconds: int, known: Collection[str]) -> _Known:
        """The job when it has changed, or when the time is up."""
        end, latest = self._runtime.now() + seconds, of_job
        with self._long_poll_slots.taken():
            while (left := end - self._runtime.now()) > 0:
                self._runtime.sleep(min(left, _POLL_SECONDS))
                latest = self._known(self._table.get(of_job.job.job_id) or latest.job)
                is_same = (
                    latest.version in known if known else _status(latest.job) == _status(of_job.job)
                )
                if not is_same:
                    break
        return latest

    def _place(self, asked: PageQuery) -> str | None:
        if asked.next_token is None:
            return None
        try:
            return place_of(asked.next_token, asked.identity, self._page_key())
        except BadPageToken as error:
            raise BadParameter("nextToken: is not one of this query's") from error

    def _told(self, page: Page, asked: PageQuery) -> JobPage:
        now, summaries = self._now(), self._arrays.summaries(page.jobs)
        return JobPage(
            jobs=[
                job_summary(job, summaries.get(job.job_id), self._prices, now) for job in page.jobs
            ],
            next_token=page.last and page_token(page.last, asked.identity, self._page_key()),
        )

    def _now(self) -> int:
        return self._runtime.now_ms()


def _status(job: Job) -> tuple[str, Transition]:
    """A retry comes back to a status that the job has had, and UNKNOWN is no transition."""
    return job.status, job.history[-1]


def _log_of(job: Job, wanted: int | None) -> tuple[int, str, str]:
    """An attempt, its log group and its log stream. Raises NoLog and LogOutOfReach."""
    group, streams = job.details.log_group, log_streams(job)
    if job.is_service:
        raise NoLog(
            "a service job has no log of AWS Batch's: SageMaker writes it, to log group"
            " /aws/sagemaker/TrainingJobs, in streams that begin with the training job's name"
        )
    if group is None:
        raise NoLog("the job's log does not go to a CloudWatch log group that Batch tells of")
    if not streams and not job.is_terminal:
        raise LogOutOfReach(f"the job has not started: it is {job.status}, and has no log yet")
    attempt = wanted or max(streams, default=1)
    if streams and attempt not in streams:
        known = ", ".join(map(str, streams))
        raise NoLog(f"attempt: no attempt {attempt} was heard of; there are: {known}")
    stream = streams.get(attempt)
    if stream is None:
        raise NoLog(f"attempt {attempt} has no log stream: its container never started to write")
    return attempt, group, stream
