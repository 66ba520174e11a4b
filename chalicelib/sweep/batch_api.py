"""Calls Batch's API within a budget: describes and lists jobs and service jobs.

Batch throttles clients that poll its API, which is why batchwatch records events. A run therefore
makes as few calls as it can, never more than its budget allows, and backs off when it is throttled.
Independent of the table, and of why a job is described or listed.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib import telemetry
from chalicelib.errors import MalformedEvent
from chalicelib.jobs.job import Observation, Source
from chalicelib.jobs.job_detail.decoding import decode_detail
from chalicelib.jobs.job_detail.observation import observe
from chalicelib.jobs.job_detail.shapes import JobDetail, ServiceJobDetail
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_batch.type_defs import (
        ComputeEnvironmentDetailTypeDef,
        DescribeConsumableResourceResponseTypeDef,
        JobQueueDetailTypeDef,
        QuotaShareDetailTypeDef,
        ServiceEnvironmentDetailTypeDef,
    )

MAX_DESCRIBED_JOBS = 100
"""The most job ids of a DescribeJobs call. DescribeServiceJob accepts one."""
_MAX_LISTED_QUEUES = 100
RETENTION_MS = 7 * 86_400_000
"""Batch keeps a job at least this long after its end."""
_MAX_ATTEMPTS = 6
_MAX_DELAY_SECONDS = 20.0
_THROTTLED = frozenset({"TooManyRequestsException", "ThrottlingException", "Throttling"})
_NOT_PERMITTED = "AccessDeniedException"
_NO_RESPONSE = "NoResponse"
_TRANSIENT = _THROTTLED | {
    "ServerException",
    "InternalFailure",
    "ServiceUnavailable",
    _NO_RESPONSE,
}
"""Error codes of calls that may succeed when they are retried."""

_T = TypeVar("_T")


class BatchStopped(Exception):
    """No further call can be made in this run: the budget or the time is used up, or Batch keeps
    throttling. The next run continues."""


class BatchRefused(Exception):
    """Batch rejected a call for a reason that a retry can't remove: missing permissions, a wrong
    region, an unknown queue."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code

    @property
    def concerns_one_resource(self) -> bool:
        """Return whether only the job or the queue of this call is the cause, so that calls about
        others may succeed: Batch reports an unknown id as a ClientException."""
        return self.code == "ClientException"


def retry_delay(code: str, attempt: int, time_left: float, jitter: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None if there must not be one.

    `attempt` counts from 1; `jitter`, from 0 to 1, spreads the retries of several callers. The
    first delay is about a second because an immediate retry would be throttled again.
    """
    if code not in _TRANSIENT or attempt >= _MAX_ATTEMPTS:
        return None
    delay = min(_MAX_DELAY_SECONDS, 2.0 ** (attempt - 1)) * (0.5 + jitter / 2)
    return delay if delay < time_left else None


class _ArrayProperties(msgspec.Struct, frozen=True):
    size: int | None = None


class _NodeProperties(msgspec.Struct, frozen=True, rename="camel"):
    num_nodes: int | None = None


class ListedJob(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """The part of a ListJobs or ListServiceJobs summary that discovery needs.

    `created_at` is in epoch milliseconds; 0 if it is missing, which AWS's model allows.
    """

    job_id: str
    created_at: int = 0
    array_properties: _ArrayProperties | None = None
    node_properties: _NodeProperties | None = None

    @property
    def is_parent(self) -> bool:
        return bool(self._size or self._nodes)

    @property
    def children(self) -> list[str]:
        """Return the ids of its array children or its nodes.

        They are derived from the size: ListJobs would need a call for each status, because its
        filters don't apply to children.
        """
        return [
            *(f"{self.job_id}:{index}" for index in range(self._size)),
            *(f"{self.job_id}#{index}" for index in range(self._nodes)),
        ]

    @property
    def _size(self) -> int:
        return (self.array_properties and self.array_properties.size) or 0

    @property
    def _nodes(self) -> int:
        return (self.node_properties and self.node_properties.num_nodes) or 0


class ListedPage(NamedTuple):
    """A page of a queue's jobs or service jobs, newest first. `token` is the next page's; None on
    the last page."""

    jobs: list[ListedJob]
    token: str | None
    is_of_service_jobs: bool


class QueueFront(NamedTuple):
    """The ids of the first RUNNABLE jobs of a queue, at most 100, in the order in which they will
    start, with the time at which each reached at least its position (epoch milliseconds); and what
    quota shares use, by the name of the share and the unit of capacity."""

    jobs: list[tuple[str, int]]
    used_by_share: dict[tuple[str, str], float]


class CallBudget:
    """The calls that one run may make, failed attempts included, and the time it has for them.

    `time_left` returns seconds. `reserved` calls must be left to describe the jobs that the run has
    found so far.
    """

    def __init__(self, limit: int, time_left: Callable[[], float]) -> None:
        self.limit = limit
        self.time_left = time_left
        self.reserved = 1
        self.calls = 0
        self.throttled = 0

    @property
    def calls_left(self) -> int:
        return self.limit - self.calls

    @property
    def is_spent(self) -> bool:
        return self.calls_left <= 0 or self.time_left() <= 0


class BatchApi:
    """One run's access to Batch. Every method raises BatchStopped and BatchRefused."""

    def __init__(
        self,
        client: "BatchClient",
        budget: CallBudget,
        redaction: Redaction,
        runtime: Runtime = Runtime(),
    ) -> None:
        self.budget = budget
        self._client = client
        self._redaction = redaction
        self._runtime = runtime

    def describe(self, job_ids: Sequence[str]) -> dict[str, Observation | None]:
        """Return up to 100 jobs by id; jobs that do not exist in Batch are missing.

        The value is None for a job that Batch returned but that can't be parsed.
        """
        response = self._call(lambda: self._client.describe_jobs(jobs=list(job_ids)))
        return {job["jobId"]: self._observation(job, JobDetail) for job in response["jobs"]}

    def describe_service_job(self, job_id: str) -> dict[str, Observation | None]:
        """Return one service job by its id, in the form of `describe`."""
        try:
            job = self._call(lambda: self._client.describe_service_job(jobId=job_id))
        except BatchRefused as error:
            # Batch has no error code of its own for an unknown id.
            if error.concerns_one_resource:
                return {}
            raise
        return {job_id: self._observation(job, ServiceJobDetail)}

    def describe_queues(self, queues: Sequence[str]) -> Sequence["JobQueueDetailTypeDef"]:
        """Return up to 100 job queues by name; queues that do not exist are missing."""
        response = self._call(lambda: self._client.describe_job_queues(jobQueues=list(queues)))
        return response["jobQueues"]

    def all_queues(self) -> list[str]:
        """Return the names of all job queues: one call for a hundred."""
        names: list[str] = []
        token = ""
        while True:
            call = partial(self._client.describe_job_queues, maxResults=_MAX_LISTED_QUEUES)
            response = self._call(partial(call, nextToken=token) if token else call)
            names += (queue["jobQueueName"] for queue in response["jobQueues"])
            token = response.get("nextToken", "")
            if not token:
                return names

    def describe_compute_environments(
        self, names: Sequence[str]
    ) -> Sequence["ComputeEnvironmentDetailTypeDef"]:
        """Return up to 100 compute environments by name or ARN."""
        response = self._call(
            lambda: self._client.describe_compute_environments(computeEnvironments=list(names))
        )
        return response["computeEnvironments"]

    def describe_service_environments(
        self, names: Sequence[str]
    ) -> Sequence["ServiceEnvironmentDetailTypeDef"]:
        """Return up to 100 service environments by name or ARN."""
        response = self._call(
            lambda: self._client.describe_service_environments(serviceEnvironments=list(names))
        )
        return response["serviceEnvironments"]

    def consumable_resource(self, name: str) -> "DescribeConsumableResourceResponseTypeDef | None":
        """Return a consumable resource by its name, or None if it does not exist."""
        try:
            return self._call(
                lambda: self._client.describe_consumable_resource(consumableResource=name)
            )
        except BatchRefused as error:
            if error.concerns_one_resource:
                return None
            raise

    def quota_shares(self, queue: str) -> Sequence["QuotaShareDetailTypeDef"]:
        """Return the quota shares of a queue of service jobs, at most a hundred."""
        call = partial(self._client.list_quota_shares, jobQueue=queue, maxResults=100)
        return self._call(call)["quotaShares"]

    def front(self, queue: str) -> QueueFront:
        """Return the first RUNNABLE jobs of a queue, and what its quota shares use."""
        response = self._call(lambda: self._client.get_job_queue_snapshot(jobQueue=queue))
        jobs = response.get("frontOfQueue", {}).get("jobs", [])
        shares = response.get("queueUtilization", {}).get("quotaShareUtilization", {})
        return QueueFront(
            [
                (job["jobArn"].rpartition("/")[2], job.get("earliestTimeAtPosition", 0))
                for job in jobs
                if "jobArn" in job
            ],
            {
                (share.get("quotaShareName", ""), used.get("capacityUnit", "")): used["quantity"]
                for share in shares.get("topCapacityUtilization", [])
                for used in share.get("capacityUsage", [])
                if "quantity" in used
            },
        )

    def list_jobs(
        self, queue: str, created_before: int, token: str | None, *, service_jobs: bool
    ) -> ListedPage:
        """Return a page of a queue's jobs, or of its service jobs, in any status.

        They were created before a time (epoch milliseconds), or possibly at that very millisecond.
        Array children and nodes are not included.
        """
        client = self._client
        call = partial(
            client.list_service_jobs if service_jobs else client.list_jobs,
            jobQueue=queue,
            filters=[{"name": "BEFORE_CREATED_AT", "values": [str(created_before)]}],
        )
        response = self._call(partial(call, nextToken=token) if token else call)
        jobs = msgspec.convert(response["jobSummaryList"], list[ListedJob])
        if any(job.created_at > created_before for job in jobs):
            # AWS's documentation of the filter is ambiguous. Fail rather than skip jobs.
            raise BatchRefused("BEFORE_CREATED_AT returned jobs that were created after that time")
        return ListedPage(jobs, response.get("nextToken"), service_jobs)

    def _call(self, call: Callable[[], _T]) -> _T:
        budget = self.budget
        for attempt in itertools.count(1):
            if budget.is_spent:
                break
            budget.calls += 1
            try:
                return call()
            except ClientError as error:
                code = _code_of(error)
                if code not in _TRANSIENT:
                    raise BatchRefused(_rejection(error.operation_name, code), code) from error
            except BotoCoreError:
                code = _NO_RESPONSE
            budget.throttled += code in _THROTTLED
            delay = retry_delay(code, attempt, budget.time_left(), self._runtime.random())
            if delay is None:
                break
            self._runtime.sleep(delay)
        raise BatchStopped

    def _observation(self, job: Mapping[str, object], shape: type[JobDetail]) -> Observation | None:
        """Return what the response shows of a job now; log and return None if it can't be
        parsed."""
        try:
            detail, invalid_fields = decode_detail(dict(job), shape)
            observation = observe(
                detail,
                time=self._runtime.now_ms(),
                source=Source.REPAIR,
                redaction=self._redaction,
            )
            invalid_fields += observation.invalid_fields
            return msgspec.structs.replace(observation, invalid_fields=invalid_fields)
        except (msgspec.ValidationError, MalformedEvent) as error:
            telemetry.error(LogEvent.JOB_UNREADABLE, jobId=job["jobId"], reason=str(error))
            return None


def _rejection(operation: str, code: str) -> str:
    """Return a message that names the permission if it is missing. AWS Batch names the permission
    of each operation like the operation."""
    missing = f"; permission batch:{operation} is missing" if code == _NOT_PERMITTED else ""
    return f"AWS Batch rejected {operation}: {code}{missing}"


def _code_of(error: ClientError) -> str:
    """Return the error's code. A 5xx response with an unknown code, such as a proxy's, counts as
    no response and is retried."""
    code: str = error.response.get("Error", {}).get("Code", "unknown")
    is_server_error = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500
    return _NO_RESPONSE if is_server_error and code not in _TRANSIENT else code
