"""A local AWS that has answered before: each call goes to the real one once, and is answered from
memory from then on.

DynamoDB finds a page in any table as fast as in a small one, but the local AWS walks the whole
table for each query of an index. With its answers replayed, what is left is our own time, over
real HTTP.
"""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.ports import LOOPBACK

_PASSED_ON = ("Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Target")
_MOST_SECONDS = 120


@contextmanager
def replay(endpoint: str) -> Iterator[str]:
    """The endpoint that answers as the one that is given has. Takes only what DynamoDB's client
    asks: a POST whose answer depends on operation and body."""
    with _Server(endpoint) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://{LOOPBACK}:{server.server_port}"
        finally:
            server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self._real = endpoint
        self._answers: dict[tuple[str, bytes], bytes] = {}

    def answer(self, headers: dict[str, str], body: bytes) -> bytes:
        call = headers["X-Amz-Target"], body
        if call not in self._answers:
            request = urllib.request.Request(self._real, body, headers)
            with urllib.request.urlopen(request, timeout=_MOST_SECONDS) as told:
                self._answers[call] = told.read()
        return self._answers[call]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: self.headers[name] for name in _PASSED_ON}
        answer = self.server.answer(headers, body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass
