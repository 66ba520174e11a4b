"""A faulty network: an HTTP proxy on the loopback interface, in front of the local AWS.

    with FaultyAws(aws.endpoint) as faulty:
        harness = RecorderHarness(aws, resources, endpoint=faulty.endpoint)
        faulty.follow(at({3: connection_cut, 5: response_lost}))

The plan is called with every call to DynamoDB and SQS. It returns the fault that the call meets, or
None to forward the call. A fault makes the response, and can forward all or part of the call.

    throttled, internal_error, access_denied    AWS rejects the call
    connection_cut                              the connection ends before the call arrives
    response_lost                               the call is executed, but the connection ends before
                                                the response: a timeout without the wait
    partial_failure()                           part of a batch is executed, and AWS returns the
                                                rest as unprocessed

Contains AWS's JSON protocol as far as batchwatch uses it; must not depend on what is stored.
"""

import copy
import http.client
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import compress
from operator import not_
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from local.ports import LOOPBACK


class Call(NamedTuple):
    """A call to AWS. `service` is DynamoDB or AmazonSQS. `position` counts the calls since the plan
    was set, and `nth` the calls of the same operation; both from 1."""

    service: str
    operation: str
    position: int
    nth: int
    body: bytes


class Response(NamedTuple):
    status: int
    body: bytes


Forward = Callable[[bytes], Response]
"""Executes the call with this body."""

Fault = Callable[[Call, Forward], Response | None]
"""Returns the response for the caller, or None to end the connection."""

Plan = Callable[[Call], Fault | None]


# Faults


def throttled(call: Call, forward: Forward) -> Response:
    return _error(400, "ProvisionedThroughputExceededException")


def internal_error(call: Call, forward: Forward) -> Response:
    return _error(500, "InternalServerError")


def access_denied(call: Call, forward: Forward) -> Response:
    return _error(400, "AccessDeniedException")


def connection_cut(call: Call, forward: Forward) -> None:
    return None


def response_lost(call: Call, forward: Forward) -> None:
    forward(call.body)


def partial_failure(
    fails: Callable[[int, bytes], bool] = lambda position, _: position % 2 == 0,
) -> Fault:
    """Return a fault that executes a batch without the entries for which `fails`, given position
    (from 0) and JSON, returns True: by default every second entry. Other calls are throttled."""

    def fault(call: Call, forward: Forward) -> Response:
        request = json.loads(call.body)
        entries = _entries(request)
        failed = [fails(position, json.dumps(e).encode()) for position, e in enumerate(entries)]
        if not entries:
            return throttled(call, forward)
        if not any(failed):
            return forward(call.body)
        rest = copy.deepcopy(request)
        _entries(rest)[:] = compress(entries, failed)
        entries[:] = compress(entries, map(not_, failed))

        done = forward(json.dumps(request).encode()) if entries else Response(200, b"{}")

        if done.status != 200:
            return done
        response = _with_failures(call.operation, json.loads(done.body), rest, failed)
        return Response(200, json.dumps(response).encode())

    return fault


def _error(status: int, code: str) -> Response:
    """Return an error response. DynamoDB's checksum header x-amz-crc32 is left out, and SDKs then
    don't check it."""
    error = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "by plan"}
    return Response(status, json.dumps(error).encode())


def _entries(request: dict[str, Any]) -> list[Any]:
    """Return the list of a batch's entries, or an empty list if the call is not a batch."""
    entries: list[Any] = request.get("Statements") or request.get("Entries") or []
    for of_the_table in request.get("RequestItems", {}).values():
        entries = of_the_table["Keys"] if isinstance(of_the_table, dict) else of_the_table
    return entries


def _with_failures(
    operation: str, response: dict[str, Any], rest: dict[str, Any], failed: Sequence[bool]
) -> dict[str, Any]:
    """Return AWS's response for the whole batch, given the response for the executed part."""
    match operation:
        case "BatchGetItem":
            return {"Responses": {}, **response, "UnprocessedKeys": rest["RequestItems"]}
        case "BatchWriteItem":
            return {**response, "UnprocessedItems": rest["RequestItems"]}
        case "BatchExecuteStatement":
            executed = iter(response.get("Responses", ()))
            busy = {"Error": {"Code": "ThrottlingError", "Message": "by plan"}}
            return {"Responses": [busy if has_failed else next(executed) for has_failed in failed]}
        case _:
            errors = [{"Id": entry["Id"], "Code": "by plan"} for entry in rest["Entries"]]
            return {**response, "Failed": [*response.get("Failed", ()), *errors]}


# Plans


def healthy(call: Call) -> None:
    return None


def at(faults: Mapping[int, Fault]) -> Plan:
    """Return the plan with faults by position."""
    return lambda call: faults.get(call.position)


def on(operation: str, fault: Fault, *, nth: int | None = None) -> Plan:
    """Return the plan with a fault for every call of an operation, or only for the nth."""
    return lambda call: fault if call.operation == operation and nth in (None, call.nth) else None


def outage(fault: Fault, *, since: int = 1) -> Plan:
    """Return the plan with a fault for every call to DynamoDB from a position; SQS works."""
    return lambda call: fault if call.service == "DynamoDB" and call.position >= since else None


def kill_process(pid: int, operation: str, poison: bytes) -> Plan:
    """Return the plan that kills a process when it calls the operation with a body that contains
    `poison`."""

    def plan(call: Call) -> Fault | None:
        if call.operation != operation or poison not in call.body:
            return None
        os.kill(pid, signal.SIGKILL)
        return connection_cut

    return plan


class FaultyAws(ThreadingHTTPServer):
    """The proxy. It listens on a free port for the duration of its `with` block."""

    def __init__(self, endpoint: str) -> None:
        super().__init__((LOOPBACK, 0), _Connection)
        self.upstream = urlsplit(endpoint).netloc
        self.endpoint = f"http://{LOOPBACK}:{self.server_port}"
        self._lock = threading.Lock()
        self.follow(healthy)

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        super().__exit__(kind, error, trace)

    def follow(self, plan: Plan) -> None:
        """Set the plan and restart the counts of calls."""
        with self._lock:
            self.plan = plan
            self.calls: list[str] = []

    def meet(self, target: str, body: bytes) -> tuple[Call, Fault | None]:
        """Return the call and its fault. `target` is the header X-Amz-Target, such as
        DynamoDB_20120810.PutItem."""
        api, _, operation = target.partition(".")
        with self._lock:
            self.calls.append(operation)
            position, nth = len(self.calls), self.calls.count(operation)
            call = Call(api.partition("_")[0], operation, position, nth, body)
            return call, self.plan(call)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # of a killed process
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    server: FaultyAws
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._upstream = http.client.HTTPConnection(self.server.upstream, timeout=30)

    def finish(self) -> None:
        self._upstream.close()
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call, fault = self.server.meet(self.headers["X-Amz-Target"], body)
        response = fault(call, self._forward) if fault else self._forward(body)
        if response is None:
            self.close_connection = True
            return
        self.send_response(response.status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no access log."""

    def _forward(self, body: bytes) -> Response:
        headers = {name: value for name, value in self.headers.items() if name != "Content-Length"}
        self._upstream.request("POST", self.path, body, headers)
        response = self._upstream.getresponse()
        return Response(response.status, response.read())
