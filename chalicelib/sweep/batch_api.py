"""Batch's own API, for what no event told: jobs and service jobs, described and listed, within an
allowance.

Batch throttles whoever polls it, which is why batchwatch listens to events; so a run asks with as
few calls as it can, never makes more than it is allowed, and waits longer and longer when Batch
asks it to. Knows the API and its limits; knows nothing of the table or of what is asked for.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.errors import MalformedEvent
from chalicelib.jobs import job_detail
from chalicelib.jobs.job import Observation, Source
from chalicelib.jobs.job_detail import JobDetail, ServiceJobDetail
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent

DESCRIBED = 100
"""Most ids of a DescribeJobs call; DescribeServiceJob takes one."""
_TRIES = 6
_LONGEST_SECONDS = 20.0
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
_NO_ANSWER = "NoAnswer"
_PASSING = _THROTTLED | {"ServerException", "InternalFailure", "ServiceUnavailable", _NO_ANSWER}
"""The codes that waiting helps against. All others need a person."""


class BatchStopped(Exception):
    """Nothing more is to be asked in this run: the allowance or the time is used up, or Batch
    is too busy. What is left is for the next run."""


class BatchRefused(Exception):
    """Batch will not answer until a person acts: permissions, the region, an unknown queue."""

    def __init__(self, reason: str, code: str = "") -> None:
        super().__init__(reason)
        self.code = code

    @property
    def is_of_one_request(self) -> bool:
        """Most often about a job or a queue that is gone; Batch may answer others."""
        return self.code == "ClientException"


def retry_delay(code: str, attempt: int, time_left: float, jitter: float) -> float | None:
    """Seconds to wait before the call after `attempt` (from 1) is made again; None: give up.

    A throttled caller that comes back at once is throttled again, so the first wait is about a
    second; `jitter` from 0 to 1 spreads callers.
    """
    if code not in _PASSING or attempt >= _TRIES:
        return None
    delay = min(_LONGEST_SECONDS, 2.0 ** (attempt - 1)) * (0.5 + jitter / 2)
    return delay if delay < time_left else None


class ListedJob(msgspec.Struct, rename="camel"):
    """What ListJobs or ListServiceJobs tells of a job: enough to know whether it was heard of.
    AWS's model does not promise `created_at`; 0 without one."""

    job_id: str
    created_at: int = 0
    array_properties: "_Size | None" = None
    node_properties: "_Size | None" = None

    @property
    def has_members(self) -> bool:
        return bool(self.array_properties or self.node_properties)

    @property
    def members(self) -> list[str]:
        """The ids of its children or nodes. They follow from the size, so nothing lists them:
        ListJobs would take a call for each status, as its filters don't count for children."""
        children = (self.array_properties or _Size()).size or 0
        nodes = (self.node_properties or _Size()).num_nodes or 0
        return [
            *(f"{self.job_id}:{index}" for index in range(children)),
            *(f"{self.job_id}#{index}" for index in range(nodes)),
        ]


class _Size(msgspec.Struct, rename="camel"):
    size: int | None = None
    num_nodes: int | None = None


class ListedPage(NamedTuple):
    """Newest first. `token` is where the next page begins, None after the last."""

    jobs: list[ListedJob]
    token: str | None


class BatchApi:
    """One run's allowance: at most so many `calls`, tries that failed included, and for as long
    as `time_left` says."""

    def __init__(
        self,
        client: Any,
        calls: int,
        time_left: Callable[[], float],
        runtime: Runtime = Runtime(),
    ) -> None:
        self.calls = 0
        self.throttled = 0
        self._client = client
        self._allowed = calls
        self._time_left = time_left
        self._runtime = runtime

    @property
    def calls_left(self) -> int:
        return self._allowed - self.calls

    @property
    def is_spent(self) -> bool:
        return self.calls_left <= 0 or self._time_left() <= 0

    def describe(self, job_ids: Sequence[str]) -> dict[str, JobDetail | None]:
        """Up to a hundred jobs as they are, by id, without those that Batch does not know; None
        for one that can't be read, which says no more than that Batch knows it.

        Raises BatchStopped and BatchRefused, as they all do.
        """
        answer = self._call(self._client.describe_jobs, jobs=list(job_ids))
        return {job["jobId"]: _detail(job, JobDetail) for job in answer["jobs"]}

    def describe_service_job(self, job_id: str) -> dict[str, JobDetail | None]:
        """The like of one service job: a call each."""
        try:
            answer = self._call(self._client.describe_service_job, jobId=job_id)
        except BatchRefused as error:
            # There is no code of its own for an id that it does not know.
            if error.is_of_one_request:
                return {}
            raise
        return {job_id: _detail(answer, ServiceJobDetail)}

    def list_before(
        self, queue: str, before: int, token: str | None, *, service: bool
    ) -> ListedPage:
        """A queue's jobs, or its service jobs, in any status, that were created before a time
        (epoch milliseconds), perhaps also those of that very time; neither children nor nodes."""
        filters = [{"name": "BEFORE_CREATED_AT", "values": [str(before)]}]
        further = {"nextToken": token} if token else {}
        call = self._client.list_service_jobs if service else self._client.list_jobs
        answer = self._call(call, jobQueue=queue, filters=filters, **further)
        jobs = msgspec.convert(answer["jobSummaryList"], list[ListedJob])
        if any(job.created_at > before for job in jobs):
            # AWS's documentation of the filter can be read both ways. Better stop than skip jobs.
            raise BatchRefused("Batch answers BEFORE_CREATED_AT with jobs created after it")
        return ListedPage(jobs, answer.get("nextToken"))

    def _call(self, call: Callable[..., Any], **request: Any) -> Any:
        for attempt in itertools.count(1):
            if self.is_spent:
                break
            self.calls += 1
            try:
                return call(**request)
            except ClientError as error:
                code = _code_of(error)
                if code not in _PASSING:
                    raise BatchRefused(f"Batch refuses: {code}", code) from error
            except BotoCoreError:
                code = _NO_ANSWER
            self.throttled += code in _THROTTLED
            delay = retry_delay(code, attempt, self._time_left(), self._runtime.random())
            if delay is None:
                break
            self._runtime.sleep(delay)
        raise BatchStopped


def observations(
    answers: Mapping[str, JobDetail | None], now: int, redaction: Redaction
) -> Iterator[Observation]:
    """What Batch says of jobs `now` (epoch milliseconds), of those that can be read."""
    for job_id, detail in answers.items():
        try:
            if detail is not None:
                yield job_detail.observe(
                    detail, time=now, source=Source.REPAIR, redaction=redaction
                )
        except MalformedEvent as error:
            telemetry.error(LogEvent.JOB_UNREADABLE, jobId=job_id, reason=str(error))


def _code_of(error: ClientError) -> str:
    """A server's error passes, whatever it is called; a proxy's has no name."""
    code: str = error.response.get("Error", {}).get("Code", "unknown")
    is_servers = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return _NO_ANSWER if is_servers and code not in _PASSING else code


def _detail(job: Any, shape: type[JobDetail]) -> JobDetail | None:
    try:
        return msgspec.convert(job, shape)
    except msgspec.ValidationError as error:
        telemetry.error(LogEvent.JOB_UNREADABLE, jobId=job["jobId"], reason=str(error))
        return None
