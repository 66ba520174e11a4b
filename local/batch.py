"""A Batch API to talk to on this machine: a real HTTP server, for `make run` and for the tests.

    with BatchServer(port) as batch:
        batch.put(details)                    # the newest state of each job, as an event tells it
        batch.throttle(3)                     # the next three calls are refused
        …                                     # a boto3 client with endpoint_url=batch.url
        batch.calls                           # how often each operation was called

    POST /v1/describejobs          POST /v1/listjobs
    POST /v1/describeservicejob    POST /v1/listservicejobs
    PUT  /jobs                     takes details from another process

As in Batch, the first two know nothing of service jobs, and the others nothing else.

Like Batch it forgets jobs seven days after their end. It checks what Batch checks (ids of a call,
page sizes, filters) and shares no code with chalicelib: a mistake of the product must not be in
here as well. It listens on the loopback interface.
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

from local.job_details import Detail
from local.lifecycles import TERMINAL
from local.ports import LOOPBACK
from local.process import LocalError

KEPT_MS = 7 * 86_400_000
"""How long Batch remembers a job after its end."""
DESCRIBED, LISTED, LISTED_WITH_FILTERS = 100, 1_000, 100
"""The most jobs of a DescribeJobs call, and of a page of ListJobs; ListServiceJobs' pages are as
large as those with filters."""
PUT_AT_ONCE = 200

_BELONGS_TO = ("jobQueue", "arrayJobId", "multiNodeJobId")
_SUMMARY = (
    *("jobArn", "jobId", "jobName", "jobDefinition", "createdAt", "startedAt", "stoppedAt"),
    *("status", "statusReason", "shareIdentifier", "isCancelled", "isTerminated"),
)
_SUMMARY_PARTS = {
    "container": ("exitCode", "reason"),
    "arrayProperties": ("size", "index"),
    "nodeProperties": ("numNodes",),
}
_SERVICE_SUMMARY = (
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
_BY_SHARE = ("SHARE_IDENTIFIER", "QUOTA_SHARE_NAME")
"""The filters beside which a jobStatus counts."""
_SERVICE_FILTERS: _Filters = {
    name: _FILTERS[name] for name in _FILTERS if name != "JOB_DEFINITION"
} | {"QUOTA_SHARE_NAME": lambda job, value: job.get("quotaShareName") == value}


class ClientException(Exception):
    """What Batch says of a request that makes no sense."""


class BatchServer:
    """`clock` gives epoch seconds. With a `state_file` the jobs are there again at the next
    start. While `knows_nothing`, it answers as Batch does in a region without the jobs."""

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
        self.knows_nothing = False
        self._clock = clock
        self._state_file = state_file
        self._jobs: dict[str, Detail] = _kept(state_file) if state_file else {}
        self._to_throttle = 0.0
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
        """Jobs as they are now. DescribeJobs does not show the tag that events carry alone."""
        with self._lock:
            for detail in details:
                tags = {k: v for k, v in detail.get("tags", {}).items() if k != "resourceArn"}
                self._jobs[detail["jobId"]] = {**detail, "tags": tags}

    def throttle(self, calls: float) -> None:
        """The next so many calls (math.inf: all) are too many."""
        with self._lock:
            self._to_throttle = calls

    def answer(self, path: str, request: Any) -> tuple[int, Detail]:
        """The status and the body; what the handler of a request needs."""
        operation, called = _OPERATIONS[path]
        with self._lock:
            if self._to_throttle > 0:
                self._to_throttle -= 1
                self.throttled += 1
                return 429, {"__type": "TooManyRequestsException", "message": "Too Many Requests"}
            self.calls[operation] += 1
            try:
                return 200, called(self, request)
            except ClientException as error:
                return 400, {"__type": "ClientException", "message": str(error)}

    def describe_jobs(self, request: Detail) -> Detail:
        ids = request.get("jobs") or []
        if not 1 <= len(ids) <= DESCRIBED:
            raise ClientException(f"jobs must have 1 to {DESCRIBED} ids, and has {len(ids)}")
        known = self._known(service=False)
        return {"jobs": [known[job_id] for job_id in dict.fromkeys(ids) if job_id in known]}

    def describe_service_job(self, request: Detail) -> Detail:
        job = self._known(service=True).get(request.get("jobId", ""))
        if job is None:
            raise ClientException(f"there is no service job {request.get('jobId')}")
        return job

    def list_jobs(self, request: Detail) -> Detail:
        filters = request.get("filters") or []
        largest = LISTED_WITH_FILTERS if filters else LISTED
        jobs = self._listed(request)
        if filters:
            # A filter counts for every status, and not for children.
            jobs = [job for job in jobs if _is_member(job) or _passes(job, filters, _FILTERS)]
        if not filters or (request.get("jobStatus") and filters[0]["name"] in _BY_SHARE):
            jobs = _of_status(jobs, request)
        return _page(jobs, request, largest, _summary)

    def list_service_jobs(self, request: Detail) -> Detail:
        filters = request.get("filters") or []
        if not request.get("jobQueue"):
            raise ClientException("jobQueue is needed")
        jobs = _of_queue(self._known(service=True).values(), request["jobQueue"])
        if filters:
            jobs = [job for job in jobs if _passes(job, filters, _SERVICE_FILTERS)]
        if not filters or (request.get("jobStatus") and filters[0]["name"] in _BY_SHARE):
            jobs = _of_status(jobs, request)
        return _page(jobs, request, LISTED_WITH_FILTERS, _service_summary)

    def _listed(self, request: Detail) -> list[Detail]:
        wanted = [name for name in _BELONGS_TO if request.get(name)]
        if len(wanted) != 1:
            raise ClientException(f"exactly one of {', '.join(_BELONGS_TO)} is needed")
        value = request[wanted[0]]
        jobs = self._known(service=False).values()
        if wanted == ["jobQueue"]:
            return _of_queue((job for job in jobs if not _is_member(job)), value)
        mark = ":" if wanted == ["arrayJobId"] else "#"
        return [job for job in jobs if job["jobId"].startswith(value + mark)]

    def _known(self, *, service: bool) -> dict[str, Detail]:
        """Those that Batch has not forgotten yet, of one of the two kinds."""
        oldest = self._clock() * 1000 - KEPT_MS
        for job_id, job in list(self._jobs.items()):
            if job["status"] in TERMINAL and job.get("stoppedAt", oldest) < oldest:
                del self._jobs[job_id]
        kept = {} if self.knows_nothing else self._jobs
        return {job_id: job for job_id, job in kept.items() if ("serviceJobType" in job) == service}


_OPERATIONS: dict[str, tuple[str, Callable[[BatchServer, Detail], Detail]]] = {
    "/v1/describejobs": ("DescribeJobs", BatchServer.describe_jobs),
    "/v1/listjobs": ("ListJobs", BatchServer.list_jobs),
    "/v1/describeservicejob": ("DescribeServiceJob", BatchServer.describe_service_job),
    "/v1/listservicejobs": ("ListServiceJobs", BatchServer.list_service_jobs),
}


def batch_url_file(state_dir: Path) -> Path:
    """Where `make run` leaves the address of the stand-in."""
    return state_dir / "batch-url"


def put_jobs(url: str, details: Sequence[Detail]) -> None:
    """Tells the stand-in behind a URL how jobs are now. Raises OSError."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for first in range(0, len(details), PUT_AT_ONCE):
        body = json.dumps(details[first : first + PUT_AT_ONCE]).encode()
        request = urllib.request.Request(f"{url}/jobs", data=body, method="PUT")
        opener.open(request, timeout=30).close()


def _is_member(job: Detail) -> bool:
    """An array's child or a multi-node job's node."""
    return ":" in job["jobId"] or "#" in job["jobId"]


def _of_queue(jobs: Iterable[Detail], queue: str) -> list[Detail]:
    name = queue.rpartition("/")[2]
    return [job for job in jobs if job["jobQueue"].rpartition("/")[2] == name]


def _of_status(jobs: Iterable[Detail], request: Detail) -> list[Detail]:
    """Of those that run, unless another status is asked for."""
    status = request.get("jobStatus") or "RUNNING"
    return [job for job in jobs if job["status"] == status]


def _passes(job: Detail, filters: Sequence[Detail], known: _Filters) -> bool:
    if len(filters) != 1 or filters[0].get("name") not in known:
        raise ClientException(f"one filter at a time, of {', '.join(known)}")
    [one] = filters
    return any(known[one["name"]](job, value) for value in one["values"])


def _page(
    jobs: Iterable[Detail], request: Detail, largest: int, summary: Callable[[Detail], Detail]
) -> Detail:
    """The newest first."""
    size = request.get("maxResults") or largest
    if not 1 <= size <= largest:
        raise ClientException(f"maxResults must be 1 to {largest}")
    found = {(-job["createdAt"], job["jobId"]): job for job in jobs}
    places = sorted(found)
    if request.get("nextToken"):
        after = _place_of(request["nextToken"])
        places = [place for place in places if place > after]
    page = {"jobSummaryList": [summary(found[place]) for place in places[:size]]}
    return page | ({"nextToken": _token(places[size - 1])} if len(places) > size else {})


def _service_summary(job: Detail) -> Detail:
    return {name: job[name] for name in _SERVICE_SUMMARY if name in job}


def _matches(text: str, pattern: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _summary(job: Detail) -> Detail:
    told = {name: job[name] for name in _SUMMARY if name in job}
    for part, names in _SUMMARY_PARTS.items():
        if job.get(part):
            told[part] = {name: job[part][name] for name in names if name in job[part]}
    return told


def _token(place: tuple[int, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _place_of(token: str) -> tuple[int, str]:
    try:
        created, job_id = json.loads(base64.urlsafe_b64decode(token))
    except ValueError as error:
        raise ClientException("nextToken is none of ours") from error
    return created, job_id


def _kept(state_file: Path) -> dict[str, Detail]:
    try:
        jobs: dict[str, Detail] = json.loads(state_file.read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise LocalError(f"{state_file} holds no jobs of the local Batch: remove it") from error
    return jobs


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, batch: BatchServer, port: int) -> None:
        self.batch = batch
        super().__init__((LOOPBACK, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is nothing to report."""


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
            self._send(*self.server.batch.answer(self.path, request))
        else:
            self._send(404, {"__type": "UnknownOperationException"})

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _body(self) -> Any:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with suppress(ValueError):
            return json.loads(raw)
        return None

    def _send(self, status: int, answer: Detail) -> None:
        body = json.dumps({k: v for k, v in answer.items() if k != "__type"}).encode()
        self.send_response(status)
        if "__type" in answer:
            self.send_header("x-amzn-ErrorType", answer["__type"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
