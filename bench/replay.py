"""A proxy that answers a repeated request from memory, without another call of the local AWS.

DynamoDB's time for a page does not depend on the size of the table, but the local AWS scans the
whole table in each query of an index. With cached responses, a measurement includes only the time
of our code and of HTTP.
"""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from local.ports import LOOPBACK

_FORWARDED_HEADERS = ("Authorization", "Content-Type", "X-Amz-Date", "X-Amz-Target")
_TIMEOUT_SECONDS = 120


@contextmanager
def replay(endpoint: str) -> Iterator[str]:
    """Start a proxy in front of `endpoint`, and yield its own endpoint.

    It supports only the requests of DynamoDB's client: a POST whose response depends on the
    operation and the body.
    """
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
        self._endpoint = endpoint
        self._responses: dict[tuple[str, bytes], bytes] = {}

    def response(self, headers: dict[str, str], body: bytes) -> bytes:
        call = headers["X-Amz-Target"], body
        if call not in self._responses:
            request = urllib.request.Request(self._endpoint, body, headers)
            with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
                self._responses[call] = response.read()
        return self._responses[call]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name: self.headers[name] for name in _FORWARDED_HEADERS}
        response = self.server.response(headers, body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, *_: object) -> None:
        pass
