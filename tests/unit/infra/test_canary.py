"""The errors of the canary."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from infra.canary import source_in, wait_for_job
from infra.errors import CommandError


@pytest.fixture
def url() -> Iterator[str]:
    """The address of an API that has no job, and rejects the token `wrong`."""

    class Api(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_wrong = self.headers["Authorization"] == "Bearer wrong"
            self.send_response(403 if is_wrong else 404)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_the_source_is_one_that_aws_does_not_reserve() -> None:
    assert source_in("aws.batch,batchwatch.canary") == "batchwatch.canary"
    with pytest.raises(CommandError, match=r"add a source, such as aws\.batch,batchwatch\.canary"):
        source_in("aws.batch")


def test_a_job_that_is_not_recorded_is_reported(url: str) -> None:
    with pytest.raises(CommandError, match="job 4c75 not found after 0 seconds"):
        wait_for_job(url, "bw_token", "4c75", seconds=0)


def test_a_rejected_token_is_reported(url: str) -> None:
    with pytest.raises(CommandError, match="the API responded with status 403"):
        wait_for_job(url, "wrong", "4c75")


def test_an_api_without_a_response_is_reported() -> None:
    with pytest.raises(CommandError, match="no response from http://"):
        wait_for_job("http://127.0.0.1:1", "bw_token", "4c75")
