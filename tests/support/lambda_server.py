"""A stand-in for Lambda's API: an HTTP server that runs Python functions."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import boto3

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

Handler = Callable[[Any], Any]


class FunctionServer(ThreadingHTTPServer):
    """Lists and invokes `functions`, which have their names in app.py and use the table `jobs`. An
    exception of a function becomes a FunctionError, as in Lambda."""

    def __init__(self, functions: dict[str, Handler]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.functions = functions

    @property
    def client(self) -> "LambdaClient":
        session = boto3.Session("local", "local", region_name="us-east-1")
        return session.client("lambda", endpoint_url=f"http://127.0.0.1:{self.server_port}")

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FunctionServer

    def do_GET(self) -> None:
        environment = {"Variables": {"JOBS_TABLE": "jobs"}}
        functions = [
            {"FunctionName": f"app-{name}", "Handler": f"app.{name}", "Environment": environment}
            for name in self.server.functions
        ]
        self._send({"Functions": functions})

    def do_POST(self) -> None:
        name = self.path.split("/")[-2].removeprefix("app-")
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            self._send(self.server.functions[name](event))
        except Exception as error:
            failure = {"errorMessage": str(error), "errorType": type(error).__name__}
            self._send(failure, {"X-Amz-Function-Error": "Unhandled"})

    def _send(self, content: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
