"""A stand-in for the API under a stage path: the real files of the dashboard, and responses that a
test defines."""

import json
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from chalice.app import Response

from chalicelib.api.dashboard import Dashboard
from chalicelib.api.responses import respond
from local.ports import LOOPBACK

STAGE = "/prod/"
NO_JOBS = {"jobs": [], "nextToken": None}
NO_QUEUES: dict[str, Any] = {"queues": []}


class PageServer:
    """A server of `bodies` by path without the stage; it accepts any token. A number is a status.
    For other paths it responds as API Gateway does for a route that does not exist."""

    def __init__(self, bodies: Mapping[str, Any]) -> None:
        dashboard = Dashboard()
        self.bodies = known = {"jobs": NO_JOBS, "queues": NO_QUEUES, **bodies}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path.removeprefix(STAGE)
                if path == "":
                    self._send(respond(dashboard.page(STAGE), {}))
                elif path.startswith("assets/"):
                    self._send(respond(dashboard.asset(*path.split("/")[1:]), {}))
                else:
                    self._send(_response(known.get(path, HTTPStatus.FORBIDDEN)))

            def _send(self, response: Response) -> None:
                body = response.body.encode()
                self.send_response(response.status_code)
                for name, value in {**response.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://{LOOPBACK}:{self._server.server_port}{STAGE}"

    def __enter__(self) -> Self:
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


def _response(body: Any) -> Response:
    headers: dict[str, str | list[str]] = {"Content-Type": "application/json"}
    if isinstance(body, int):
        text = {"message": "Missing Authentication Token"} if body == HTTPStatus.FORBIDDEN else {}
        return Response(json.dumps(text), headers, body)
    return Response(json.dumps(body), headers, HTTPStatus.OK)
