"""The HTTP server of the stand-in Webex: routes, tokens, scripted faults and a log of requests.

It listens on the loopback interface only, and stores no token.
"""

import json
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from local.ports import LOOPBACK
from local.process import LocalError
from local.webex import page
from local.webex.faults import Fault, FaultScript, Request, is_post
from local.webex.rooms import DEFAULT_PAGE_SIZE, Message, Person, Rejection, Room, Rooms

ROOM = "local-room"
TOKEN = "local-webex-token"
BOT = Person("batchwatch@webex.bot", "batchwatch")

_MAX_BODY_BYTES = 1_048_576
_SHUTDOWN_POLL_SECONDS = 0.02

_SUMMARIES = {
    400: "The request could not be understood by the server due to malformed syntax.",
    401: "The request requires a valid access token set in the Authorization request header.",
    404: "The requested resource could not be found.",
    423: "The requested resource is temporarily unavailable.",
    429: "Too many requests have been sent in a given amount of time.",
    503: "The server is overloaded with requests. Try again later.",
}
"""The texts of Webex's own errors."""


class WebexServer:
    """A Webex on one port, with the room ROOM, its member BOT, and BOT's token TOKEN.

    `state_file` keeps rooms and messages for the next start. A stopped server can be started again
    on its port and still has all messages. `clock` returns the time of new messages, in epoch
    seconds.
    """

    def __init__(
        self,
        port: int,
        *,
        state_file: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.port = port
        self.api_url = f"http://{LOOPBACK}:{port}/v1"
        self.page_url = f"http://{LOOPBACK}:{port}/"
        self.lock = threading.Condition()
        self._state_file = state_file
        self._tokens = {TOKEN: BOT}
        self._requests: list[Request] = []
        self._faults = FaultScript()

        def now() -> datetime:
            return datetime.fromtimestamp(clock(), UTC)

        self.rooms = _load(state_file, now) if state_file and state_file.exists() else Rooms(now)
        if ROOM not in {room.id for room in self.rooms}:
            self.add_room(ROOM, "batchwatch")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def start(self) -> None:
        try:
            self._server = _HttpServer(self)
        except OSError as error:
            raise LocalError(f"port {self.port} can't be used: {error.strerror}") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            args=(_SHUTDOWN_POLL_SECONDS,),
            name="webex",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and close open connections without a response."""
        self._server.close()
        self._thread.join()

    # Set up by tests

    def add_room(self, room_id: str, title: str, members: Sequence[Person] = (BOT,)) -> None:
        with self.lock:
            self.rooms.add(Room(room_id, title, {member.email for member in members}))
            self.save()

    def add_token(self, token: str, person: Person = BOT) -> None:
        with self.lock:
            self._tokens[token] = person

    def revoke_token(self, token: str = TOKEN) -> None:
        with self.lock:
            del self._tokens[token]

    def script(
        self,
        *faults: Fault,
        times: float = 1,
        matching: Callable[[Request], bool] = is_post,
    ) -> None:
        """Apply the faults, in this order, to the next matching requests, by default to posts.

        Each fault applies to `times` requests (math.inf: until `unscript`).
        """
        with self.lock:
            for fault in faults:
                self._faults.add(fault, times, matching)

    def unscript(self) -> None:
        """Discard the remaining faults."""
        with self.lock:
            self._faults.clear()

    # Read by tests

    @property
    def requests(self) -> list[Request]:
        """Return all requests in the order in which they were received."""
        with self.lock:
            return list(self._requests)

    @property
    def posts(self) -> list[Request]:
        """Return all requests to post a message, successful or not."""
        return [request for request in self.requests if is_post(request)]

    def messages(self, room_id: str = ROOM) -> list[Message]:
        """Return the messages of a room, the oldest first."""
        with self.lock:
            return list(self.rooms[room_id].messages.values())

    def wait_for_posts(self, count: int, seconds: float = 30.0) -> None:
        """Wait until `count` posts were received. Raise TimeoutError after `seconds`."""
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.posts) >= count, seconds):
                raise TimeoutError(f"{len(self.posts)} of {count} posts received in {seconds:g} s")

    # Called by the request handlers, which hold the lock

    def person_of(self, authorization: str) -> Person:
        """Return the owner of the token in an Authorization header. Raise Rejection."""
        scheme, _, token = authorization.partition(" ")
        person = self._tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if person is None:
            raise Rejection(401, _SUMMARIES[401])
        return person

    def log(self, request: Request) -> tuple[int, Fault]:
        """Add a request to the log. Return its position there, and the fault to apply to it."""
        self._requests.append(request)
        self.lock.notify_all()
        return len(self._requests) - 1, self._faults.next(request)

    def log_status(self, position: int, status: int) -> None:
        self._requests[position] = replace(self._requests[position], status=status)

    def save(self) -> None:
        """Write the rooms to the state file, if there is one."""
        if self._state_file:
            written = self._state_file.with_suffix(".new")
            written.write_text(json.dumps(self.rooms.dump()))
            written.replace(self._state_file)


def _load(state_file: Path, now: Callable[[], datetime]) -> Rooms:
    try:
        return Rooms.load(json.loads(state_file.read_text()), now)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(
            f"{state_file} doesn't contain rooms of the local Webex: remove it"
        ) from error


class _HttpServer(ThreadingHTTPServer):
    """A server whose threads end with the process, and whose connections end with the server."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, webex: WebexServer) -> None:
        self.webex = webex
        self.closing = threading.Event()
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__((LOOPBACK, webex.port), _Handler)

    def process_request(self, request: Any, client_address: object) -> None:
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: object) -> None:
        """Ignore clients that disconnect early; print any other error."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._connections_lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _handle(self) -> None:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        if address.path == "/v1" or address.path.startswith("/v1/"):
            self._serve_api(unquote(address.path), query)
        else:
            self._serve_page(address.path, query)

    # The API

    def _serve_api(self, path: str, query: dict[str, str]) -> None:
        webex, tracking_id = self.server.webex, f"LOCAL_{uuid.uuid4()}"
        request = Request(self.command, path, query, _json(self._read_body()))
        with webex.lock:
            position, fault = webex.log(request)
            status, response = self._apply(request, fault, tracking_id)
        self.server.closing.wait(fault.seconds)
        if fault.cut or self.server.closing.is_set():
            self._cut()
            return
        with webex.lock:
            webex.log_status(position, status)
        headers = {"Content-Type": "application/json;charset=UTF-8", "TrackingID": tracking_id}
        if fault.retry_after is not None:
            headers["Retry-After"] = fault.retry_after
        body = json.dumps(response).encode() if fault.body is None else fault.body
        self._respond(status, headers, body, stalls=fault.stalls)

    def _apply(
        self, request: Request, fault: Fault, tracking_id: str
    ) -> tuple[int, dict[str, object]]:
        """Return the status and the body of the response."""
        try:
            result = {} if fault.rejects else self._result(request)
        except Rejection as rejection:
            return rejection.status, _error(rejection.status, str(rejection), tracking_id)
        if fault.status is None:
            return 200, result
        return fault.status, _error(fault.status, "A scripted fault.", tracking_id)

    def _result(self, request: Request) -> dict[str, object]:
        webex = self.server.webex
        person = webex.person_of(self.headers.get("Authorization", ""))
        rooms = webex.rooms
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "GET", ["people", "me"]:
                return person.as_json()
            case "GET", ["rooms"]:
                return {"items": [room.as_json() for room in rooms.of(person)]}
            case "GET", ["messages"]:
                room_id, limit = request.query.get("roomId", ""), _page_size(request.query)
                latest = rooms.latest(person, room_id, limit)
                return {"items": [message.as_json() for message in latest]}
            case "GET", ["messages", message_id]:
                return rooms.get(person, message_id).as_json()
            case "POST", ["messages"]:
                message = rooms.post(person, self._json_object(request))
                webex.save()
                return message.as_json()
            case _, ["messages"] | ["messages", _] | ["rooms"] | ["people", "me"]:
                raise Rejection(405, "Method not allowed.")
            case _:
                raise Rejection(404, _SUMMARIES[404])

    def _json_object(self, request: Request) -> dict[str, object]:
        if self.headers.get_content_type() != "application/json":
            raise Rejection(415, "The stand-in accepts application/json only.")
        if not isinstance(request.body, dict):
            raise Rejection(400, "The body must be a JSON object.")
        return request.body

    def _read_body(self) -> bytes:
        """Return the body, or nothing of a body that is too long or of unknown length.

        In that case the connection is closed, as its rest would be taken for the next request.
        """
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not 0 <= int(length) <= _MAX_BODY_BYTES:
            self.close_connection = True
            return b""
        return self.rfile.read(int(length))

    # The page

    def _serve_page(self, path: str, query: dict[str, str]) -> None:
        webex = self.server.webex
        if path == "/page.json":
            with webex.lock:
                changes = page.changes(webex.rooms, query.get("room", ROOM), query.get("after", ""))
            body = json.dumps(changes).encode()
            etag = f'"{sha256(body).hexdigest()}"'
            headers = {"ETag": etag, "Cache-Control": "no-cache"}
            if self.headers.get("If-None-Match") == etag:
                self._respond(304, headers, b"")
            else:
                self._respond(200, headers | {"Content-Type": "application/json"}, body)
        elif path in page.FILES:
            self._respond(200, page.HEADERS[path], page.FILES[path].read_bytes())
        else:
            self._respond(404, {"Content-Type": "text/plain"}, b"Not found.\n")

    # Both

    def _respond(
        self, status: int, headers: dict[str, str], body: bytes, *, stalls: bool = False
    ) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        if stalls:
            self.wfile.write(body[: len(body) // 2])
            self.server.closing.wait()
            self._cut()
        else:
            self.wfile.write(body)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def _page_size(query: dict[str, str]) -> int:
    value = query.get("max", str(DEFAULT_PAGE_SIZE))
    return int(value) if value.isdecimal() else 0


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _error(status: int, description: str, tracking_id: str) -> dict[str, object]:
    return {
        "message": _SUMMARIES.get(status, description),
        "errors": [{"description": description}],
        "trackingId": tracking_id,
    }
