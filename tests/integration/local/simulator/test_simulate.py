"""`make simulate`: requests to the API, and error messages.

Sending through the rule, the queue and the table is not tested here.
"""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.ports import free_port
from local.simulator import comparison
from local.simulator.__main__ import main
from local.simulator.api_client import ApiClient
from local.simulator.comparison import Mismatch, check, compare
from local.simulator.local_stack import LocalStackError
from tests.support.simulation.expected_jobs import JOB_ID, a_record, a_response


class ApiServer(ThreadingHTTPServer):
    """Serves `responses` per path, one after the other and the last one repeatedly. Other paths
    return 404."""

    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.responses: dict[str, list[tuple[int, Any]]] = {}
        self.authorizations: set[str | None] = set()


class _Handler(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self.server.authorizations.add(self.headers["Authorization"])
        responses = self.server.responses.get(self.path, [(404, {})])
        status, content = responses[0] if len(responses) == 1 else responses.pop(0)
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(comparison, "RECHECK_DELAYS", (0.0, 0.0, 0.0))
    with ApiServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def api(server: ApiServer) -> ApiClient:
    return ApiClient(server.url, "a-token")


def ignore(line: str) -> None:
    pass


# Requests


def test_a_job_is_requested_with_its_encoded_id_and_the_token(
    server: ApiServer, api: ApiClient
) -> None:
    record = a_record(job_id="4c75:1#2")
    server.responses["/jobs/4c75%3A1%232"] = [(200, a_response(record))]

    assert check(api, record) is None
    assert server.authorizations == {"Bearer a-token"}


def test_a_404_is_a_missing_job(api: ApiClient) -> None:
    mismatch = check(api, a_record())

    assert mismatch == Mismatch(JOB_ID, True, f"{JOB_ID}: not found, expected FAILED")


@pytest.mark.parametrize(
    ("status", "content", "line"),
    [
        (502, {}, "the API responded with status 502"),
        (200, b"<html>", "the response is not JSON"),
        (200, [], "the response is not a JSON object"),
    ],
)
def test_an_unexpected_response_is_a_mismatch_of_that_job(
    server: ApiServer, api: ApiClient, status: int, content: Any, line: str
) -> None:
    server.responses["/jobs/4c75%3A12"] = [(status, content)]

    assert check(api, a_record()) == Mismatch(JOB_ID, False, f"{JOB_ID}: {line}")


def test_a_job_that_becomes_correct_is_not_a_mismatch(server: ApiServer, api: ApiClient) -> None:
    record = a_record()
    unfinished = a_response(record, status="RUNNING")
    server.responses["/jobs/4c75%3A12"] = [(502, {}), (200, unfinished), (200, a_response(record))]

    assert compare(api, [record], ignore) == []


def test_all_jobs_are_compared(server: ApiServer, api: ApiClient) -> None:
    records = [a_record(job_id=f"job-{number}") for number in range(50)]
    for record in records[:-3]:
        server.responses[f"/jobs/{record.job_id}"] = [(200, a_response(record))]

    mismatches = compare(api, records, ignore)

    assert [mismatch.job_id for mismatch in mismatches] == ["job-47", "job-48", "job-49"]


# Errors


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_token_is_reported_in_one_line_without_the_token(
    server: ApiServer, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    server.responses["/jobs/none-yet"] = [(status, {})]

    exit_code = main(["--api-url", server.url, "--token", "wrong"])

    error = capsys.readouterr().err
    assert exit_code == 1
    assert error.startswith(f"error: {server.url} rejected the token ({status})")
    assert error.count("\n") == 1
    assert "wrong" not in error


def test_an_api_that_does_not_run_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    exit_code = main(["--api-url", url, "--token", "t"])

    assert exit_code == 1
    expected = f"error: no response from {url} : start the local stack with `make run`\n"
    assert capsys.readouterr().err == expected


def test_a_local_aws_that_does_not_run_is_reported_in_one_line(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    exit_code = main(["--api-url", server.url, "--aws-url", url, "--token", "t"])

    assert exit_code == 1
    expected = f"error: no response from {url} : start the local stack with `make run`\n"
    assert capsys.readouterr().err == expected


def test_a_missing_token_is_reported_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BATCHWATCH_TOKEN", raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))

    assert main([]) == 1
    assert str(tmp_path / "token") in capsys.readouterr().err


def test_the_token_of_make_run_is_the_default(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BATCHWATCH_TOKEN", raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    (tmp_path / "token").write_text("from-make-run\n")
    not_running = f"http://127.0.0.1:{free_port()}"

    main(["--api-url", server.url, "--aws-url", not_running])

    assert server.authorizations == {"Bearer from-make-run"}


def test_an_invalid_url_is_refused() -> None:
    with pytest.raises(LocalStackError, match="--api-url must be a URL, not 'localhost'"):
        ApiClient("localhost", "t")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--unknown"], "unrecognized arguments: --unknown"),
        (["--jobs", "0"], "JOBS must be a whole number above 0, such as 2000, not '0'"),
        (["--jobs", "many"], "JOBS must be"),
        (["--jobs", "-5"], "JOBS must be"),
        (["--rate", "0"], "RATE must be a number of events per second above 0, such as 50"),
        (["--rate", "nan"], "RATE must be"),
        (["--timeout", "soon"], "--timeout must be"),
        (["--seed", "x"], "SEED must be a whole number such as 17, not 'x'"),
        (["--drop", "2"], "DROP must be a share from 0 to 1, such as 0.2, not '2'"),
        (["--drop", "half"], "DROP must be"),
    ],
)
def test_an_invalid_argument_is_refused_with_an_example(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert message in capsys.readouterr().err


def test_options_can_be_environment_variables(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOBS", "a few")

    with pytest.raises(SystemExit, match="2"):
        main([])

    error = capsys.readouterr().err
    assert "argument --jobs: JOBS must be a whole number above 0, such as 2000" in error
