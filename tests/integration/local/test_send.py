"""`python -m local.send`: what a file must hold, what is said when it can't be sent, retries."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local import send
from local.lifecycles import envelope, workload
from local.ports import free_port
from local.send import Bus, LocalStackError, UnusableFile, entry_of, main, read_entry

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ARN = "arn:aws:batch:us-east-1:000000000000:job/4c75"
DETAIL = {"jobId": "4c75", "jobArn": ARN, "status": "RUNNING"}


class EventBridge(ThreadingHTTPServer):
    """PutEvents on the loopback interface: refuses the first `refusals` of all events."""

    def __init__(self, refusals: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _PutEvents)
        self.refusals = refusals
        self.accepted: list[dict[str, Any]] = []
        self.calls: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _PutEvents(BaseHTTPRequestHandler):
    server: EventBridge

    def do_POST(self) -> None:
        entries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Entries"]
        self.server.calls.append(len(entries))
        answers = [self._answer(entry) for entry in entries]
        failed = sum("ErrorCode" in answer for answer in answers)
        body = json.dumps({"FailedEntryCount": failed, "Entries": answers}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _answer(self, entry: dict[str, Any]) -> dict[str, str]:
        if self.server.refusals > 0:
            self.server.refusals -= 1
            return {"ErrorCode": "ThrottlingException", "ErrorMessage": "slow down"}
        self.server.accepted.append(entry)
        return {"EventId": "e"}

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def eventbridge(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventBridge]:
    monkeypatch.setattr(send, "PAUSES", (0.0, 0.0, 0.0))
    with EventBridge() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "event.json"


def written(file: Path, content: Any) -> Path:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


# ------------------------------------------------------------------ the file


def test_a_whole_event_keeps_its_time_type_resources_and_detail(file: Path):
    event = {
        "source": "aws.batch",
        "detail-type": "Batch Job Queue Blocked",
        "time": "2026-11-24T03:55:00Z",
        "resources": [ARN, "arn:aws:batch:us-east-1:000000000000:job-queue/q"],
        "detail": DETAIL,
    }

    entry = read_entry(written(file, event), NOW)

    assert entry["Time"] == datetime(2026, 11, 24, 3, 55, tzinfo=UTC)
    assert entry["DetailType"] == "Batch Job Queue Blocked"
    assert entry["Resources"] == event["resources"]
    assert json.loads(entry["Detail"]) == DETAIL
    assert entry["Source"] == "batchwatch.simulated"


def test_a_bare_detail_is_a_change_of_state_and_dated_now(file: Path):
    entry = read_entry(written(file, DETAIL), NOW)

    assert entry["Time"] == NOW
    assert entry["DetailType"] == "Batch Job State Change"
    assert entry["Resources"] == [ARN]
    assert json.loads(entry["Detail"]) == DETAIL


def test_a_simulated_event_in_a_file_is_sent_as_it_is_simulated(file: Path):
    event = workload(1, 1, 1_780_000_000_000).events[0]

    read = read_entry(written(file, envelope(event)), NOW)

    simulated = entry_of(event)
    assert read == {**simulated, "Time": simulated["Time"].replace(microsecond=0)}


def test_events_of_another_type_need_no_job(file: Path):
    preempted = {"detail-type": "Batch Service Job Preemption Started", "detail": {}}

    assert read_entry(written(file, preempted), NOW)["Detail"] == "{}"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not JSON: Expecting property name"),
        ("", "not JSON: Expecting value"),
        ("[" * 100_000, "not JSON: maximum recursion"),
        ([DETAIL], "must hold one JSON object"),
        ({"status": "RUNNING"}, "no jobId"),
        ({"detail-type": "Batch Job State Change", "detail": {}}, "no jobId"),
        ({"detail": DETAIL}, "no jobId"),
        ({"jobId": 5}, "no jobId"),
        ({"detail-type": "Batch Job State Change", "detail": "{}"}, "its detail an object"),
        ({"detail-type": 1, "detail": DETAIL}, "its detail-type must be text"),
        ({"detail-type": "x", "detail": {}, "time": "noon"}, "not like 2026-11-24T03:55:00Z"),
        ({"detail-type": "x", "detail": {}, "resources": "arn"}, "must be a list of ARNs"),
    ],
)
def test_a_file_that_holds_no_event_says_why(file: Path, content: Any, why: str):
    with pytest.raises(UnusableFile, match=why) as caught:
        read_entry(written(file, content), NOW)

    assert str(caught.value).startswith(f"{file}: ")


def test_a_file_that_is_not_there_or_not_text_says_so(file: Path):
    with pytest.raises(UnusableFile, match="No such file"):
        read_entry(file, NOW)
    with pytest.raises(UnusableFile, match="Is a directory"):
        read_entry(file.parent, NOW)

    file.write_bytes(b"\xff\x00\xfe")
    with pytest.raises(UnusableFile, match="not JSON"):
        read_entry(file, NOW)


# ------------------------------------------------------------------ the bus


def test_events_are_put_ten_a_call(eventbridge: EventBridge):
    entries = [entry_of(event) for event in workload(1, 20, 0).events][:25]

    Bus(eventbridge.url).put(entries)

    assert eventbridge.calls == [10, 10, 5]
    assert [e["Detail"] for e in eventbridge.accepted] == [e["Detail"] for e in entries]


def test_only_what_was_refused_is_put_again(eventbridge: EventBridge):
    entries = [entry_of(event) for event in workload(1, 20, 0).events][:10]
    eventbridge.refusals = 3

    Bus(eventbridge.url).put(entries)

    assert eventbridge.calls == [10, 3]
    assert {e["Detail"] for e in eventbridge.accepted} == {e["Detail"] for e in entries}


def test_what_is_refused_for_good_is_an_error_that_quotes_the_reason(eventbridge: EventBridge):
    eventbridge.refusals = 100
    [first, *_] = workload(1, 1, 0).events

    with pytest.raises(LocalStackError, match=r"refuses 1 of 1 events: \w+: slow down"):
        Bus(eventbridge.url).put([entry_of(first)])

    assert eventbridge.calls == [1, 1, 1]


# ------------------------------------------------------------------ the command


def test_it_says_what_was_sent_and_how_to_look_at_the_job(
    eventbridge: EventBridge,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv("BATCHWATCH_TOKEN", raising=False)
    monkeypatch.setenv("STATE_DIR", "my state")
    written(file, {**DETAIL, "jobId": "4c75:12#1"})

    code = main([str(file), "--aws-url", eventbridge.url, "--api-url", "http://127.0.0.1:8000"])

    out = capsys.readouterr().out
    assert code == 0
    assert len(eventbridge.accepted) == 1
    assert "Batch Job State Change, status RUNNING" in out
    assert "batchwatch.simulated, as AWS lets nobody publish under aws.*" in out
    assert out.endswith(
        """curl -H "Authorization: Bearer $(cat 'my state/token')" """
        "http://127.0.0.1:8000/jobs/4c75%3A12%231\n"
    )


def test_the_file_may_be_named_in_the_environment_as_make_does(
    eventbridge: EventBridge, file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("EVENT", str(written(file, DETAIL)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", eventbridge.url)

    assert main([]) == 0


def test_a_bus_that_does_not_answer_is_one_clear_line(
    file: Path, capsys: pytest.CaptureFixture[str]
):
    url = f"http://127.0.0.1:{free_port()}"

    code = main([str(written(file, DETAIL)), "--aws-url", url])

    assert code == 1
    expected = f"error: nothing answers at {url} : start it with `make run`\n"
    assert capsys.readouterr().err == expected


def test_an_url_that_is_none_is_one_clear_line(file: Path, capsys: pytest.CaptureFixture[str]):
    code = main([str(written(file, DETAIL)), "--aws-url", "localhost"])

    assert code == 1
    assert capsys.readouterr().err == "error: not a URL: localhost\n"


def test_a_file_that_cannot_be_used_is_one_clear_line(
    file: Path, capsys: pytest.CaptureFixture[str]
):
    assert main([str(file)]) == 1
    assert capsys.readouterr().err == f"error: {file}: No such file or directory\n"


@pytest.mark.parametrize("arguments", [[], ["--unknown"], ["a.json", "b.json"]])
def test_unusable_arguments_are_refused(arguments: list[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("EVENT", raising=False)

    with pytest.raises(SystemExit, match="2"):
        main(arguments)
