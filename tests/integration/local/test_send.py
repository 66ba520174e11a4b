"""`make send`: PutEvents calls and retries, and what the command prints."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.ports import free_port
from local.send import main
from local.simulator import bus
from local.simulator.bus import Bus, entry_of
from local.simulator.local_stack import LocalStackError
from local.workload import workload

DETAIL = {"jobId": "4c75", "status": "RUNNING"}


class EventBridge(ThreadingHTTPServer):
    """PutEvents on the loopback interface. It rejects the first `rejections` events."""

    def __init__(self, rejections: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _PutEvents)
        self.rejections = rejections
        self.accepted: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _PutEvents(BaseHTTPRequestHandler):
    server: EventBridge

    def do_POST(self) -> None:
        entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
        self.server.calls.append(len(entries))
        results = [self._put(entry) for entry in entries]
        failed = sum("ErrorCode" in result for result in results)
        body = json.dumps({"FailedEntryCount": failed, "Entries": results}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _put(self, entry: dict[str, Any]) -> dict[str, str]:
        if self.server.rejections > 0:
            self.server.rejections -= 1
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
        self.server.accepted.append(entry)
        return {"EventId": "e"}

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def eventbridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventBridge]:
    monkeypatch.setattr(bus, "RETRY_DELAYS", (0.0, 0.0, 0.0))
    with EventBridge() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(DETAIL))
    return file


# The bus


def test_ten_events_are_sent_per_call(eventbridge: EventBridge) -> None:
    entries = [entry_of(event) for event in workload(1, 20, 0).events][:25]

    Bus(eventbridge.url).put(entries)

    assert eventbridge.calls == [10, 10, 5]
    assert [e["Detail"] for e in eventbridge.accepted] == [e["Detail"] for e in entries]


def test_only_rejected_events_are_sent_again(eventbridge: EventBridge) -> None:
    entries = [entry_of(event) for event in workload(1, 20, 0).events][:10]
    eventbridge.rejections = 3

    Bus(eventbridge.url).put(entries)

    assert eventbridge.calls == [10, 3]
    assert {e["Detail"] for e in eventbridge.accepted} == {e["Detail"] for e in entries}


def test_the_error_after_the_last_retry_contains_the_reason(eventbridge: EventBridge) -> None:
    eventbridge.rejections = 100
    [first, *_] = workload(1, 1, 0).events

    with pytest.raises(LocalStackError, match=r"rejected 1 of 1 events: \w+: slow down"):
        Bus(eventbridge.url).put([entry_of(first)])

    assert eventbridge.calls == [1, 1, 1]


# The command


def test_it_prints_what_was_sent_and_the_command_that_shows_the_job(
    eventbridge: EventBridge,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BATCHWATCH_TOKEN", raising=False)
    monkeypatch.setenv("STATE_DIR", "my state")
    file.write_text(json.dumps({**DETAIL, "jobId": "4c75:12#1"}))

    exit_code = main(
        [str(file), "--aws-url", eventbridge.url, "--api-url", "http://127.0.0.1:8000"]
    )

    out = capsys.readouterr().out
    assert exit_code == 0
    assert len(eventbridge.accepted) == 1
    assert "Batch Job State Change, status RUNNING" in out
    assert "batchwatch.simulated, because AWS reserves sources that begin with aws." in out
    assert out.endswith(
        """curl -H "Authorization: Bearer $(cat 'my state/token')" """
        "http://127.0.0.1:8000/jobs/4c75%3A12%231\n"
    )


def test_the_file_can_be_an_environment_variable(
    eventbridge: EventBridge, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENT", str(file))
    monkeypatch.setenv("AWS_ENDPOINT_URL", eventbridge.url)

    assert main([]) == 0


def test_a_bus_that_does_not_run_is_reported_in_one_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    exit_code = main([str(file), "--aws-url", url])

    assert exit_code == 1
    expected = f"error: no response from {url} : start the local stack with `make run`\n"
    assert capsys.readouterr().err == expected


def test_an_invalid_url_is_reported_in_one_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main([str(file), "--aws-url", "localhost"])

    assert exit_code == 1
    expected = "error: AWS_ENDPOINT_URL must be a URL, not 'localhost'\n"
    assert capsys.readouterr().err == expected


def test_a_missing_file_is_reported_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.json"

    assert main([str(missing)]) == 1
    assert capsys.readouterr().err == f"error: {missing}: No such file or directory\n"


def test_a_call_without_a_file_is_refused_with_an_example(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("EVENT", raising=False)

    with pytest.raises(SystemExit, match="2"):
        main([])

    assert "EVENT must be a file, such as make send EVENT=event.json" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--unknown"], ["a.json", "b.json"]])
def test_invalid_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
