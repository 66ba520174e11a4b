"""A stand-in for the whole API under a stage path, for what the page shows: the page's real files,
and answers that the test says."""

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


class PageServer:
    """`answers` are bodies by path, without the stage, and any token is let in. A number is a
    status; what is not there is refused as API Gateway refuses a route that it does not have."""

    def __init__(self, answers: Mapping[str, Any]) -> None:
        dashboard, told = Dashboard(), {"jobs": NO_JOBS, **answers}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path.removeprefix(STAGE)
                if path == "":
                    self._send(respond(dashboard.page(STAGE), {}))
                elif path.startswith("assets/"):
                    self._send(respond(dashboard.asset(*path.split("/")[1:]), {}))
                else:
                    self._send(_answer(told.get(path, HTTPStatus.FORBIDDEN)))

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


def _answer(body: Any) -> Response:
    if isinstance(body, int):
        text = {"message": "Missing Authentication Token"} if body == HTTPStatus.FORBIDDEN else {}
        return Response(json.dumps(text), {"Content-Type": "application/json"}, body)
    return Response(json.dumps(body), {"Content-Type": "application/json"}, HTTPStatus.OK)
