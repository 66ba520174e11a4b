"""A stand-in for AWS Batch's API: an HTTP server on this machine, for `make run` and the tests.

    with BatchServer(port) as batch:
        batch.put(details)                    # the current state of each job, as in its last event
        batch.throttle(3)                     # reject the next three calls
        …                                     # a boto3 client with endpoint_url=batch.url
        batch.calls                           # the number of calls of each operation

    POST /v1/describejobs          POST /v1/listjobs
    POST /v1/describeservicejob    POST /v1/listservicejobs
    POST /v1/describejobqueues     POST /v1/describecomputeenvironments
    POST /v1/getjobqueuesnapshot   POST /v1/describeserviceenvironments
    PUT  /jobs                     adds or replaces jobs from another process

As in Batch, the operations for jobs don't return service jobs and the others return nothing else,
and a job is deleted seven days after its end. The server validates what Batch validates (numbers of
ids, page sizes, filters). It shares no code with chalicelib, so that a defect of the product can't
be repeated here. It listens on the loopback interface only.
"""

import base64
import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.ports import LOOPBACK
from local.process import LocalError
from local.workload import TERMINAL, Detail
from local.workload.events import ACCOUNT, REGION

RETENTION_MS = 7 * 86_400_000
"""How long Batch keeps a job after its end."""
MAX_DESCRIBED = 100
"""The most ids of a DescribeJobs call."""
MAX_LISTED, MAX_LISTED_WITH_FILTERS = 1_000, 100
"""The largest pages of ListJobs. Pages of ListServiceJobs are as small without filters."""
MAX_AT_HEAD = 100
"""The most jobs of a GetJobQueueSnapshot."""
_JOBS_PER_PUT = 200

_LIST_PARENTS = ("jobQueue", "arrayJobId", "multiNodeJobId")
_SUMMARY_FIELDS = (
    *("jobArn", "jobId", "jobName", "jobDefinition", "createdAt", "startedAt", "stoppedAt"),
    *("status", "statusReason", "shareIdentifier", "isCancelled", "isTerminated"),
)
_NESTED_SUMMARY_FIELDS = {
    "container": ("exitCode", "reason"),
    "arrayProperties": ("size", "index"),
    "nodeProperties": ("numNodes",),
}
_SERVICE_SUMMARY_FIELDS = (
    *("jobArn", "jobId", "jobName", "createdAt", "scheduledAt", "startedAt", "stoppedAt"),
    *("status", "statusReason", "shareIdentifier", "isTerminated"),
    *("serviceJobType", "latestAttempt", "quotaShareName"),
)
_Filters = dict[str, Callable[[Detail, str], bool]]
_FILTERS: _Filters = {
    "BEFORE_CREATED_AT": lambda job, value: job["createdAt"] < int(value),
    "AFTER_CREATED_AT": lambda job, value: job["createdAt"] > int(value),
    "JOB_NAME": lambda job, value: _matches(job["jobName"].lower(), value.lower()),
    "JOB_DEFINITION": lambda job, value: _matches(job["jobDefinition"], value),
    "SHARE_IDENTIFIER": lambda job, value: job.get("shareIdentifier") == value,
}
_FILTERS_WITH_STATUS = ("SHARE_IDENTIFIER", "QUOTA_SHARE_NAME")
"""The filters that can be combined with jobStatus. Batch ignores it beside the others."""
_SERVICE_FILTERS: _Filters = {
    name: _FILTERS[name] for name in _FILTERS if name != "JOB_DEFINITION"
} | {"QUOTA_SHARE_NAME": lambda job, value: job.get("quotaShareName") == value}


class ClientException(Exception):
    """Batch's error for an invalid request; the message is returned to the client."""


class BatchServer:
    """`clock` returns epoch seconds. With a `state_file`, the jobs are kept between runs.

    Operations in `refused` are not permitted. While `is_wrong_region` is set, no job is found, as
    in a region without the jobs.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        clock: Callable[[], float] = time.time,
        state_file: Path | None = None,
    ) -> None:
        try:
            self._server = _HttpServer(self, port)
        except OSError as error:
            raise LocalError(f"port {port} can't be used: {error.strerror}") from error
        self.url = f"http://{LOOPBACK}:{self._server.server_port}"
        self.calls: Counter[str] = Counter()
        self.throttled = 0
        self.refused: set[str] = set()
        self.is_wrong_region = False
        self._clock = clock
        self._state_file = state_file
        self._jobs: dict[str, Detail] = _load(state_file) if state_file else {}
        self._queues: dict[str, Detail] = {}
        self._environments: dict[str, Detail] = {}
        self._service_environments: dict[str, Detail] = {}
        self._consumables: dict[str, Detail] = {}
        self._shares: dict[str, list[Detail]] = {}
        self._used_by_share: dict[str, list[Detail]] = {}
        self._calls_to_throttle = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="batch", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        if self._state_file:
            with self._lock:
                self._state_file.write_text(json.dumps(self._jobs))

    def put(self, details: Iterable[Detail]) -> None:
        """Add or replace jobs, without the tag `resourceArn`, which only events contain."""
        with self._lock:
            for detail in details:
                tags = {k: v for k, v in detail.get("tags", {}).items() if k != "resourceArn"}
                self._jobs[detail["jobId"]] = {**detail, "tags": tags}

    def put_queue(self, name: str, *environments: Detail, **fields: Any) -> None:
        """Add or replace a queue and its compute environments (`an_environment`)."""
        with self._lock:
            self._environments |= {each["computeEnvironmentName"]: each for each in environments}
            self._queues[name] = {
                "jobQueueName": name,
                "jobQueueArn": _arn("job-queue", name),
                "state": "ENABLED",
                "status": "VALID",
                "statusReason": "JobQueue Healthy",
                "priority": 1,
                "computeEnvironmentOrder": [
                    {"order": number, "computeEnvironment": each["computeEnvironmentArn"]}
                    for number, each in enumerate(environments, 1)
                ],
                **fields,
            }

    def delete_queue(self, name: str) -> None:
        with self._lock:
            del self._queues[name]

    def put_service_environment(self, name: str, **fields: Any) -> str:
        """Add or replace a service environment, and return its ARN."""
        environment = {
            "serviceEnvironmentName": name,
            "serviceEnvironmentArn": _arn("service-environment", name),
            "serviceEnvironmentType": "SAGEMAKER_TRAINING",
            "state": "ENABLED",
            "status": "VALID",
            "capacityLimits": [{"maxCapacity": 4, "capacityUnit": "NUM_INSTANCES"}],
            **fields,
        }
        with self._lock:
            self._service_environments[name] = environment
        return str(environment["serviceEnvironmentArn"])

    def put_consumable_resource(self, name: str, *, total: int, in_use: int) -> None:
        """Add or replace a consumable resource."""
        with self._lock:
            self._consumables[name] = {
                "consumableResourceName": name,
                "consumableResourceArn": _arn("consumable-resource", name),
                "totalQuantity": total,
                "inUseQuantity": in_use,
                "availableQuantity": total - in_use,
                "resourceType": "REPLENISHABLE",
                "createdAt": round(self._clock() * 1000),
            }

    def put_quota_share(
        self, queue: str, name: str, *, limit: int, in_use: float, **fields: Any
    ) -> None:
        """Add a quota share of ml.m5.large instances to a queue of service jobs."""
        unit = "ml.m5.large"
        share = {
            "quotaShareName": name,
            "quotaShareArn": _arn("job-queue", f"{queue}/quota-share/{name}"),
            "jobQueueArn": _arn("job-queue", queue),
            "capacityLimits": [{"maxCapacity": limit, "capacityUnit": unit}],
            "resourceSharingConfiguration": {"strategy": "RESERVE"},
            "state": "ENABLED",
            "status": "VALID",
            **fields,
        }
        used = {
            "quotaShareName": name,
            "capacityUsage": [{"capacityUnit": unit, "quantity": float(in_use)}],
        }
        with self._lock:
            self._shares.setdefault(queue, []).append(share)
            self._used_by_share.setdefault(queue, []).append(used)

    def throttle(self, calls: float) -> None:
        """Reject the next `calls` calls (math.inf: all) with TooManyRequestsException."""
        with self._lock:
            self._calls_to_throttle = calls

    def respond(self, path: str, request: Any) -> tuple[int, Detail]:
        """Return the HTTP status and the body of a response."""
        operation, method = _OPERATIONS[path]
        with self._lock:
            if self._calls_to_throttle > 0:
                self._calls_to_throttle -= 1
                self.throttled += 1
                return 429, {"__type": "TooManyRequestsException", "message": "Too Many Requests"}
            self.calls[operation] += 1
            if operation in self.refused:
                message = f"not authorized to perform: batch:{operation}"
                return 403, {"__type": "AccessDeniedException", "message": message}
            try:
                return 200, method(self, request)
            except ClientException as error:
                return 400, {"__type": "ClientException", "message": str(error)}

    def describe_jobs(self, request: Detail) -> Detail:
        ids = request.get("jobs") or []
        if not 1 <= len(ids) <= MAX_DESCRIBED:
            raise ClientException(f"jobs must contain 1 to {MAX_DESCRIBED} ids, not {len(ids)}")
        jobs = self._existing(service=False)
        return {"jobs": [jobs[job_id] for job_id in dict.fromkeys(ids) if job_id in jobs]}

    def describe_service_job(self, request: Detail) -> Detail:
        job = self._existing(service=True).get(request.get("jobId", ""))
        if job is None:
            raise ClientException(f"service job {request.get('jobId')} not found")
        return job

    def list_jobs(self, request: Detail) -> Detail:
        max_size = MAX_LISTED_WITH_FILTERS if request.get("filters") else MAX_LISTED
        jobs = _filtered(self._listed(request), request, _FILTERS)
        return _page(jobs, request, max_size, _summary)

    def list_service_jobs(self, request: Detail) -> Detail:
        if not request.get("jobQueue"):
            raise ClientException("jobQueue is required")
        in_queue = _in_queue(self._existing(service=True).values(), request["jobQueue"])
        jobs = _filtered(in_queue, request, _SERVICE_FILTERS)
        return _page(jobs, request, MAX_LISTED_WITH_FILTERS, _service_summary)

    def describe_job_queues(self, request: Detail) -> Detail:
        return {"jobQueues": _named(self._queues, request, "jobQueues")}

    def describe_compute_environments(self, request: Detail) -> Detail:
        found = _named(self._environments, request, "computeEnvironments")
        return {"computeEnvironments": found}

    def describe_service_environments(self, request: Detail) -> Detail:
        found = _named(self._service_environments, request, "serviceEnvironments")
        return {"serviceEnvironments": found}

    def get_job_queue_snapshot(self, request: Detail) -> Detail:
        """Return the first RUNNABLE jobs, the oldest first, and what quota shares use."""
        name = request.get("jobQueue", "").rpartition("/")[2]
        if name not in self._queues:
            raise ClientException(f"job queue {name} not found")
        jobs = [job for job in _in_queue(self._jobs.values(), name) if job["status"] == "RUNNABLE"]
        first = sorted(jobs, key=lambda job: (job["createdAt"], job["jobId"]))[:MAX_AT_HEAD]
        front = [
            {"jobArn": _arn("job", job["jobId"]), "earliestTimeAtPosition": job["createdAt"]}
            for job in first
        ]
        now = round(self._clock() * 1000)
        used = self._used_by_share.get(name, [])
        return {
            "frontOfQueue": {"jobs": front, "lastUpdatedAt": now},
            "queueUtilization": {
                "quotaShareUtilization": {"topCapacityUtilization": used},
                "lastUpdatedAt": now,
            },
        }

    def describe_consumable_resource(self, request: Detail) -> Detail:
        name = request.get("consumableResource", "").rpartition("/")[2]
        if name not in self._consumables:
            raise ClientException(f"consumable resource {name} not found")
        return self._consumables[name]

    def list_quota_shares(self, request: Detail) -> Detail:
        return {"quotaShares": self._shares.get(request["jobQueue"].rpartition("/")[2], [])}

    def _listed(self, request: Detail) -> list[Detail]:
        parents = [name for name in _LIST_PARENTS if request.get(name)]
        if len(parents) != 1:
            raise ClientException(f"exactly one of {', '.join(_LIST_PARENTS)} is required")
        value = request[parents[0]]
        jobs = self._existing(service=False).values()
        if parents == ["jobQueue"]:
            return _in_queue((job for job in jobs if not _is_child(job)), value)
        separator = ":" if parents == ["arrayJobId"] else "#"
        return [job for job in jobs if job["jobId"].startswith(value + separator)]

    def _existing(self, *, service: bool) -> dict[str, Detail]:
        """Delete expired jobs, and return the remaining jobs or service jobs by id."""
        oldest = self._clock() * 1000 - RETENTION_MS
        for job_id, job in list(self._jobs.items()):
            if job["status"] in TERMINAL and job.get("stoppedAt", oldest) < oldest:
                del self._jobs[job_id]
        jobs = {} if self.is_wrong_region else self._jobs
        return {job_id: job for job_id, job in jobs.items() if ("serviceJobType" in job) == service}


_OPERATIONS: dict[str, tuple[str, Callable[[BatchServer, Detail], Detail]]] = {
    "/v1/describejobs": ("DescribeJobs", BatchServer.describe_jobs),
    "/v1/listjobs": ("ListJobs", BatchServer.list_jobs),
    "/v1/describeservicejob": ("DescribeServiceJob", BatchServer.describe_service_job),
    "/v1/listservicejobs": ("ListServiceJobs", BatchServer.list_service_jobs),
    "/v1/describejobqueues": ("DescribeJobQueues", BatchServer.describe_job_queues),
    "/v1/describecomputeenvironments": (
        "DescribeComputeEnvironments",
        BatchServer.describe_compute_environments,
    ),
    "/v1/describeserviceenvironments": (
        "DescribeServiceEnvironments",
        BatchServer.describe_service_environments,
    ),
    "/v1/describeconsumableresource": (
        "DescribeConsumableResource",
        BatchServer.describe_consumable_resource,
    ),
    "/v1/listquotashares": ("ListQuotaShares", BatchServer.list_quota_shares),
    "/v1/getjobqueuesnapshot": ("GetJobQueueSnapshot", BatchServer.get_job_queue_snapshot),
}


def an_environment(
    name: str, *, desired: int = 16, most: int = 256, kind: str = "EC2", **fields: Any
) -> Detail:
    """Return a managed compute environment with its desired and maximum vCPUs. Environments of
    Fargate have no desired vCPUs."""
    is_fargate = kind.startswith("FARGATE")
    return {
        "computeEnvironmentName": name,
        "computeEnvironmentArn": _arn("compute-environment", name),
        "type": "MANAGED",
        "state": "ENABLED",
        "status": "VALID",
        "statusReason": "ComputeEnvironment Healthy",
        "computeResources": {
            "type": kind,
            **({} if is_fargate else {"minvCpus": 0, "desiredvCpus": desired}),
            "maxvCpus": most,
            "subnets": ["subnet-0123"],
        },
        **fields,
    }


def batch_url_file(state_dir: Path) -> Path:
    """Return the path of the file in which `make run` stores the URL of the stand-in."""
    return state_dir / "batch-url"


def put_jobs(url: str, details: Sequence[Detail]) -> None:
    """Add or replace jobs in the stand-in at a URL. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for first in range(0, len(details), _JOBS_PER_PUT):
        body = json.dumps(details[first : first + _JOBS_PER_PUT]).encode()
        request = urllib.request.Request(f"{url}/jobs", data=body, method="PUT")
        opener.open(request, timeout=30).close()


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:batch:{REGION}:{ACCOUNT}:{kind}/{name}"


def _named(resources: dict[str, Detail], request: Detail, field: str) -> list[Detail]:
    """Return the requested resources by name or ARN, or all if none is requested."""
    names = request.get(field) or list(resources)
    if len(names) > MAX_DESCRIBED:
        raise ClientException(f"{field} must contain at most {MAX_DESCRIBED} names")
    found = (resources.get(name.rpartition("/")[2]) for name in names)
    return [resource for resource in found if resource]


def _is_child(job: Detail) -> bool:
    """Return whether the job is a child of an array or a node of a multi-node job."""
    return ":" in job["jobId"] or "#" in job["jobId"]


def _in_queue(jobs: Iterable[Detail], queue: str) -> list[Detail]:
    name = queue.rpartition("/")[2]
    return [job for job in jobs if job["jobQueue"].rpartition("/")[2] == name]


def _in_status(jobs: Iterable[Detail], request: Detail) -> list[Detail]:
    """Return the jobs in the requested status, by default RUNNING."""
    status = request.get("jobStatus") or "RUNNING"
    return [job for job in jobs if job["status"] == status]


def _filtered(jobs: list[Detail], request: Detail, supported: _Filters) -> list[Detail]:
    """Return the jobs that match the filters, which apply to every status but not to children, and
    the status where it applies."""
    filters = request.get("filters") or []
    if filters:
        jobs = [job for job in jobs if _is_child(job) or _matches_filter(job, filters, supported)]
    if not filters or (request.get("jobStatus") and filters[0]["name"] in _FILTERS_WITH_STATUS):
        jobs = _in_status(jobs, request)
    return jobs


def _matches_filter(job: Detail, filters: Sequence[Detail], supported: _Filters) -> bool:
    if len(filters) != 1 or filters[0].get("name") not in supported:
        raise ClientException(f"filters must contain one filter, of {', '.join(supported)}")
    [requested] = filters
    return any(supported[requested["name"]](job, value) for value in requested["values"])


def _page(
    jobs: Iterable[Detail], request: Detail, max_size: int, summary: Callable[[Detail], Detail]
) -> Detail:
    """Return a page of summaries, newest first."""
    size = request.get("maxResults") or max_size
    if not 1 <= size <= max_size:
        raise ClientException(f"maxResults must be 1 to {max_size}")
    by_key = {(-job["createdAt"], job["jobId"]): job for job in jobs}
    keys = sorted(by_key)
    if request.get("nextToken"):
        last = _decode_token(request["nextToken"])
        keys = [key for key in keys if key > last]
    page = {"jobSummaryList": [summary(by_key[key]) for key in keys[:size]]}
    return page | ({"nextToken": _encode_token(keys[size - 1])} if len(keys) > size else {})


def _service_summary(job: Detail) -> Detail:
    return {name: job[name] for name in _SERVICE_SUMMARY_FIELDS if name in job}


def _matches(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _summary(job: Detail) -> Detail:
    summary = {name: job[name] for name in _SUMMARY_FIELDS if name in job}
    for part, names in _NESTED_SUMMARY_FIELDS.items():
        if job.get(part):
            summary[part] = {name: job[part][name] for name in names if name in job[part]}
    return summary


def _encode_token(key: tuple[int, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(key).encode()).decode()


def _decode_token(token: str) -> tuple[int, str]:
    try:
        created, job_id = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise ClientException("nextToken is invalid") from error
    return created, job_id


def _load(state_file: Path) -> dict[str, Detail]:
    try:
        jobs: dict[str, Detail] = json.loads(state_file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LocalError(
            f"{state_file} is not a state file of the local AWS Batch: remove it"
        ) from error
    return jobs


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, batch: BatchServer, port: int) -> None:
        self.batch = batch
        super().__init__((LOOPBACK, port), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore the error: the client closed the connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_PUT(self) -> None:
        details = self._body()
        if self.path == "/jobs" and isinstance(details, list):
            self.server.batch.put(details)
            self._send(200, {})
        else:
            self._send(404, {})

    def do_POST(self) -> None:
        request = self._body()
        if self.path in _OPERATIONS and isinstance(request, dict):
            self._send(*self.server.batch.respond(self.path, request))
        else:
            self._send(404, {"__type": "UnknownOperationException"})

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _body(self) -> Any:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with suppress(ValueError):
            return json.loads(raw)
        return None

    def _send(self, status: int, response: Detail) -> None:
        body = json.dumps({k: v for k, v in response.items() if k != "__type"}).encode()
        self.send_response(status)
        if "__type" in response:
            self.send_header("x-amzn-ErrorType", response["__type"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
