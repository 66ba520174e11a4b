"""A Webex to talk to on this machine: a real HTTP server, for `make run` and for the tests.

    with WebexServer(port) as webex:
        webex.script(Fault(status=429, retry_after="194"))
        …                                     # post to webex.api_url with the token TOKEN
        webex.messages(), webex.requests      # what is in the room, what was asked

    POST /v1/messages       GET /v1/messages?roomId=&max=    GET, PUT /v1/messages/{id}
    GET  /v1/rooms          GET /v1/people/me                GET / is a page for people

Knows HTTP, tokens and how to fail on request; the rules of rooms and messages are webex_rooms',
the page is webex_page's. It listens on the loopback interface and keeps no token anywhere.
"""

import argparse
import json
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from local import webex_page
from local.ports import LOOPBACK
from local.process import LocalError
from local.webex_rooms import LISTED_DEFAULT, Message, Person, Refusal, Room, Rooms

ROOM = "local-room"
TOKEN = "local-webex-token"
BOT = Person("batchwatch@webex.bot", "batchwatch")

_BODY_BYTES = 1_048_576
_POLL_SECONDS = 0.02

_SUMMARIES = {
    400: "The request could not be understood by the server due to malformed syntax.",
    401: "The request requires a valid access token set in the Authorization request header.",
    404: "The requested resource could not be found.",
    423: "The requested resource is temporarily unavailable.",
    429: "Too many requests have been sent in a given amount of time.",
    503: "The server is overloaded with requests. Try again later.",
}


@dataclass(frozen=True)
class Request:
    """One that was received, without its token. `body` is what its JSON says, None if nothing.
    `status` is what was answered, None while there is no answer, or if there never will be."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int | None = None


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request. With a status, a body or a cut nothing is done for it,
    unless it is `accepted` all the same.

        Fault(status=429, retry_after="194")  refused
        Fault(status=503, accepted=True)      posted, whatever the answer says
        Fault(seconds=5)                      posted at once, answered late
        Fault(cut=True)                       the connection ends without an answer
        Fault(cut=True, accepted=True)        the same after posting
        Fault(body=b"<html>")                 another body than JSON
        Fault(stalls=True)                    posted, but half of the answer never comes
    """

    status: int | None = None
    retry_after: str | None = None
    body: bytes | None = None
    seconds: float = 0.0
    accepted: bool = False
    cut: bool = False
    stalls: bool = False

    @property
    def refuses(self) -> bool:
        return not self.accepted and (self.cut or self.status is not None or self.body is not None)


@dataclass
class _Scripted:
    fault: Fault
    left: float
    matching: Callable[[Request], bool]


def is_post(request: Request) -> bool:
    return (request.method, request.path) == ("POST", "/v1/messages")


class WebexServer:
    """Webex on one port, with the room ROOM, which the BOT is in, and its TOKEN.

    With a `state_file` rooms and messages are there again at the next start. It can be stopped
    and started again on its port, and then has lost nothing.
    """

    def __init__(self, port: int, *, state_file: Path | None = None) -> None:
        self.port = port
        self.api_url = f"http://{LOOPBACK}:{port}/v1"
        self.page_url = f"http://{LOOPBACK}:{port}/"
        self.lock = threading.Condition()
        self.version = 0
        self._state_file = state_file
        self._tokens = {TOKEN: BOT}
        self._requests: list[Request] = []
        self._script: list[_Scripted] = []
        self.rooms = _kept(state_file) if state_file and state_file.exists() else Rooms(_now)
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
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="webex", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Nothing is answered any more, on open connections neither."""
        self._server.close()
        self._thread.join()

    # What a test sets up

    def add_room(self, room_id: str, title: str, members: Sequence[Person] = (BOT,)) -> None:
        with self.lock:
            self.rooms.add(Room(room_id, title, {member.email for member in members}))
            self.changed()

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
        """The next requests that match meet these faults, one after the other, each so many times
        (math.inf: until `unscript`). By default these are posts alone."""
        with self.lock:
            self._script += [_Scripted(fault, times, matching) for fault in faults]

    def unscript(self) -> None:
        """From now on all goes well."""
        with self.lock:
            self._script.clear()

    # What a test looks at

    @property
    def requests(self) -> list[Request]:
        """All that were received, in that order."""
        with self.lock:
            return list(self._requests)

    @property
    def posts(self) -> list[Request]:
        """The attempts to post, successful or not."""
        return [request for request in self.requests if is_post(request)]

    def messages(self, room_id: str = ROOM) -> list[Message]:
        """What was posted in a room, oldest first."""
        with self.lock:
            return [replace(message) for message in self.rooms[room_id].messages.values()]

    def wait_for_posts(self, count: int, seconds: float = 30.0) -> None:
        """Returns once so many posts were received; TimeoutError if they don't come."""
        with self.lock:
            if not self.lock.wait_for(lambda: len(self.posts) >= count, seconds):
                raise TimeoutError(f"{len(self.posts)} posts of {count} in {seconds:g} s")

    # What the handlers of requests need; they hold the lock

    def whose(self, authorization: str) -> Person:
        scheme, _, token = authorization.partition(" ")
        person = self._tokens.get(token.strip()) if scheme.lower() == "bearer" else None
        if person is None:
            raise Refusal(401, _SUMMARIES[401])
        return person

    def received(self, request: Request) -> tuple[int, Fault]:
        """Its number in the log, and what goes wrong with it."""
        self._requests.append(request)
        self.lock.notify_all()
        for scripted in self._script:
            if scripted.left > 0 and scripted.matching(request):
                scripted.left -= 1
                return len(self._requests) - 1, scripted.fault
        return len(self._requests) - 1, Fault()

    def answered(self, number: int, status: int) -> None:
        self._requests[number] = replace(self._requests[number], status=status)

    def changed(self) -> None:
        self.version += 1
        if self._state_file:
            written = self._state_file.with_suffix(".new")
            written.write_text(json.dumps(self.rooms.dump()))
            written.replace(self._state_file)


def _kept(state_file: Path) -> Rooms:
    try:
        return Rooms.load(json.loads(state_file.read_text()), _now)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LocalError(f"{state_file} holds no rooms of the local Webex: remove it") from error


def _now() -> datetime:
    return datetime.now(UTC)


class _HttpServer(ThreadingHTTPServer):
    """Threads that end with the process, and connections that end with the server."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, webex: WebexServer) -> None:
        self.webex = webex
        self.closing = threading.Event()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__((LOOPBACK, webex.port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that leaves early is nothing to report."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()
        with self._open_lock:
            for connection in self._open:
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
            number, fault = webex.received(request)
            status, answer = self._apply(request, fault, tracking_id)
        self.server.closing.wait(fault.seconds)
        if fault.cut or self.server.closing.is_set():
            self._cut()
            return
        with webex.lock:
            webex.answered(number, status)
        headers = {"Content-Type": "application/json;charset=UTF-8", "TrackingID": tracking_id}
        if fault.retry_after is not None:
            headers["Retry-After"] = fault.retry_after
        body = json.dumps(answer).encode() if fault.body is None else fault.body
        self._answer(status, headers, body, stalls=fault.stalls)

    def _apply(
        self, request: Request, fault: Fault, tracking_id: str
    ) -> tuple[int, dict[str, Any]]:
        """The status, and the result or Webex's error form."""
        try:
            result = {} if fault.refuses else self._result(request)
        except Refusal as refusal:
            return refusal.status, _error_form(refusal.status, str(refusal), tracking_id)
        if fault.status is None:
            return 200, result
        return fault.status, _error_form(fault.status, "It was scripted.", tracking_id)

    def _result(self, request: Request) -> dict[str, Any]:
        webex = self.server.webex
        person = webex.whose(self.headers.get("Authorization", ""))
        rooms = webex.rooms
        match request.method, request.path.removeprefix("/v1/").split("/"):
            case "GET", ["people", "me"]:
                return person.as_json()
            case "GET", ["rooms"]:
                return {"items": [room.as_json() for room in rooms.of(person)]}
            case "GET", ["messages"]:
                room_id, limit = request.query.get("roomId", ""), _limit(request.query)
                return {"items": [one.as_json() for one in rooms.latest(person, room_id, limit)]}
            case "GET", ["messages", message_id]:
                return rooms.get(person, message_id).as_json()
            case "POST", ["messages"]:
                message = rooms.post(person, self._object(request))
            case "PUT", ["messages", message_id]:
                message = rooms.edit(person, message_id, self._object(request))
            case _, ["messages"] | ["messages", _] | ["rooms"] | ["people", "me"]:
                raise Refusal(405, "The method is not allowed here.")
            case _:
                raise Refusal(404, _SUMMARIES[404])
        webex.changed()
        return message.as_json()

    def _object(self, request: Request) -> dict[str, Any]:
        if self.headers.get_content_type() != "application/json":
            raise Refusal(415, "The stand-in takes application/json alone.")
        if not isinstance(request.body, dict):
            raise Refusal(400, "The body is no JSON object.")
        return request.body

    def _read_body(self) -> bytes:
        """Nothing of a body that is too long or of no known length; then the connection ends, for
        what is left of it would be taken for the next request."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not 0 <= int(length) <= _BODY_BYTES:
            self.close_connection = True
            return b""
        return self.rfile.read(int(length))

    # The page

    def _serve_page(self, path: str, query: dict[str, str]) -> None:
        webex = self.server.webex
        if path == "/page.json":
            with webex.lock:
                news = webex_page.news(webex.rooms, query.get("room", ROOM), webex.version)
            headers, body = {"Content-Type": "application/json"}, json.dumps(news).encode()
            self._answer(200, headers, body)
        elif path in webex_page.FILES:
            self._answer(200, webex_page.HEADERS[path], webex_page.FILES[path].read_bytes())
        else:
            self._answer(404, {"Content-Type": "text/plain"}, b"There is nothing here.\n")

    # Both

    def _answer(
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


def _limit(query: dict[str, str]) -> int:
    given = query.get("max", str(LISTED_DEFAULT))
    return int(given) if given.isdecimal() else 0


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _error_form(status: int, description: str, tracking_id: str) -> dict[str, Any]:
    return {
        "message": _SUMMARIES.get(status, description),
        "errors": [{"description": description}],
        "trackingId": tracking_id,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.webex", description="A Webex to talk to on this machine."
    )
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--state", type=Path, help="a JSON file that keeps rooms and messages")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        with WebexServer(options.port, state_file=options.state) as webex:
            print(
                f"Webex  {webex.page_url}  WEBEX_API_URL={webex.api_url}  token {TOKEN}", flush=True
            )
            ended.wait()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
