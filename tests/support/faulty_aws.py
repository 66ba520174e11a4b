"""A faulty network: a real HTTP proxy on the loopback interface, in front of the local AWS.

    with FaultyAws(aws.endpoint) as faulty:
        stand = RecorderHarness(aws, resources, endpoint=faulty.endpoint)
        faulty.follow(at({3: cut, 5: lost}))

The plan is asked about every call to DynamoDB and SQS. It names the fault that the call meets, or
None: it goes through. A fault makes the answer, and may have the call carried out before.

    throttled, broken, refused   AWS says no: too much at once, an error of its own, no permission
    cut                          the connection ends before the call arrives
    lost                         the call is carried out, but the connection ends before the answer:
                                 a timeout, without the waiting
    partly()                     of a batch some is carried out, and AWS gives back the rest

Knows AWS's JSON protocol as far as batchwatch uses it; nothing of what the calls are about.
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
    """`service` is DynamoDB or AmazonSQS. `position` counts the calls since the plan was made,
    `nth` those of the same operation; from 1."""

    service: str
    operation: str
    position: int
    nth: int
    body: bytes


class Answer(NamedTuple):
    status: int
    body: bytes


Forward = Callable[[bytes], Answer]
"""Has the call carried out, with this body."""

Fault = Callable[[Call, Forward], Answer | None]
"""Returns what the caller gets to see; None: the connection ends."""

Plan = Callable[[Call], Fault | None]


# What a call may meet


def throttled(call: Call, forward: Forward) -> Answer:
    return _error(400, "ProvisionedThroughputExceededException")


def broken(call: Call, forward: Forward) -> Answer:
    return _error(500, "InternalServerError")


def refused(call: Call, forward: Forward) -> Answer:
    return _error(400, "AccessDeniedException")


def cut(call: Call, forward: Forward) -> None:
    return None


def lost(call: Call, forward: Forward) -> None:
    forward(call.body)


def partly(left: Callable[[int, bytes], bool] = lambda position, _: position % 2 == 0) -> Fault:
    """Leaves undone what `left` picks of a batch, by position (from 0) and JSON; every second
    entry, unless told otherwise. A call that is no batch is throttled."""

    def fault(call: Call, forward: Forward) -> Answer:
        request = json.loads(call.body)
        entries = _entries(request)
        undone = [left(position, json.dumps(e).encode()) for position, e in enumerate(entries)]
        if not entries:
            return throttled(call, forward)
        if not any(undone):
            return forward(call.body)
        rest = copy.deepcopy(request)
        _entries(rest)[:] = compress(entries, undone)
        entries[:] = compress(entries, map(not_, undone))

        done = forward(json.dumps(request).encode()) if entries else Answer(200, b"{}")

        if done.status != 200:
            return done
        told = _give_back(call.operation, json.loads(done.body), rest, undone)
        return Answer(200, json.dumps(told).encode())

    return fault


def _error(status: int, code: str) -> Answer:
    """Without the checksum that DynamoDB sends in x-amz-crc32; SDKs check only what is there."""
    told = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "by plan"}
    return Answer(status, json.dumps(told).encode())


def _entries(request: dict[str, Any]) -> list[Any]:
    """The parts of a batch, in the list that holds them; an empty one if the call is no batch."""
    entries: list[Any] = request.get("Statements") or request.get("Entries") or []
    for of_the_table in request.get("RequestItems", {}).values():
        entries = of_the_table["Keys"] if isinstance(of_the_table, dict) else of_the_table
    return entries


def _give_back(
    operation: str, told: dict[str, Any], rest: dict[str, Any], undone: Sequence[bool]
) -> dict[str, Any]:
    """The answer to the part that is done, as AWS would give it for the whole."""
    match operation:
        case "BatchGetItem":
            return {"Responses": {}, **told, "UnprocessedKeys": rest["RequestItems"]}
        case "BatchWriteItem":
            return {**told, "UnprocessedItems": rest["RequestItems"]}
        case "BatchExecuteStatement":
            answers = iter(told.get("Responses", ()))
            busy = {"Error": {"Code": "ThrottlingError", "Message": "by plan"}}
            return {"Responses": [busy if is_left else next(answers) for is_left in undone]}
        case _:
            failed = [{"Id": entry["Id"], "Code": "by plan"} for entry in rest["Entries"]]
            return {**told, "Failed": [*told.get("Failed", ()), *failed]}


# When a call meets it


def healthy(call: Call) -> None:
    return None


def at(faults: Mapping[int, Fault]) -> Plan:
    """By position."""
    return lambda call: faults.get(call.position)


def on(operation: str, fault: Fault, *, nth: int | None = None) -> Plan:
    """Every call of this operation, or only its nth."""
    return lambda call: fault if call.operation == operation and nth in (None, call.nth) else None


def outage(fault: Fault, *, since: int = 1) -> Plan:
    """DynamoDB's, from one position on; the queues still work."""
    return lambda call: fault if call.service == "DynamoDB" and call.position >= since else None


def killing(pid: int, operation: str, poison: bytes) -> Plan:
    """The process dies at once when it calls this operation with these bytes."""

    def plan(call: Call) -> Fault | None:
        if call.operation != operation or poison not in call.body:
            return None
        os.kill(pid, signal.SIGKILL)
        return cut

    return plan


class FaultyAws(ThreadingHTTPServer):
    """The proxy; it listens on a free port for as long as its `with` block lasts."""

    def __init__(self, behind: str) -> None:
        super().__init__((LOOPBACK, 0), _Connection)
        self.behind = urlsplit(behind).netloc
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
        """From now on, and begins to count anew."""
        with self._lock:
            self.plan = plan
            self.calls: list[str] = []

    def meet(self, target: str, body: bytes) -> tuple[Call, Fault | None]:
        """`target` as in the header X-Amz-Target: DynamoDB_20120810.PutItem."""
        api, _, operation = target.partition(".")
        with self._lock:
            self.calls.append(operation)
            position, nth = len(self.calls), self.calls.count(operation)
            call = Call(api.partition("_")[0], operation, position, nth, body)
            return call, self.plan(call)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a killed process hangs up on us
            super().handle_error(request, client_address)


class _Connection(BaseHTTPRequestHandler):
    server: FaultyAws
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._behind = http.client.HTTPConnection(self.server.behind, timeout=30)

    def finish(self) -> None:
        self._behind.close()
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call, fault = self.server.meet(self.headers["X-Amz-Target"], body)
        answer = fault(call, self._forward) if fault else self._forward(body)
        if answer is None:
            self.close_connection = True
            return
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: a call that failed is part of the plan."""

    def _forward(self, body: bytes) -> Answer:
        headers = {name: value for name, value in self.headers.items() if name != "Content-Length"}
        self._behind.request("POST", self.path, body, headers)
        answer = self._behind.getresponse()
        return Answer(answer.status, answer.read())
