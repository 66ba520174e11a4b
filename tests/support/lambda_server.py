"""A stand-in for Lambda's API: real HTTP, and Python functions behind it."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import boto3

Handler = Callable[[Any], Any]


class FunctionServer(ThreadingHTTPServer):
    """Lists and calls `functions`, by their names in app.py, all of the table `jobs`. What one
    raises is told as Lambda tells it."""

    def __init__(self, functions: dict[str, Handler]) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.functions = functions

    @property
    def client(self) -> Any:
        session: Any = boto3.Session("local", "local", region_name="us-east-1")
        return session.client("lambda", endpoint_url=f"http://127.0.0.1:{self.server_port}")

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: FunctionServer

    def do_GET(self) -> None:
        environment = {"Variables": {"JOBS_TABLE": "jobs"}}
        listed = [
            {"FunctionName": f"app-{name}", "Handler": f"app.{name}", "Environment": environment}
            for name in self.server.functions
        ]
        self._send({"Functions": listed})

    def do_POST(self) -> None:
        name = self.path.split("/")[-2].removeprefix("app-")
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self._send(self.server.functions[name](event))
        except Exception as error:
            told = {"errorMessage": str(error), "errorType": type(error).__name__}
            self._send(told, {"X-Amz-Function-Error": "Unhandled"})

    def _send(self, answer: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
