"""`python -m local.simulate`: what it sends, how it judges, and what it says when it can't.

The way through the rule, the queue and the table is not walked here.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local import simulate
from local.lifecycles import Truth, workload
from local.ports import free_port
from local.send import LocalStackError
from local.simulate import (
    Api,
    Mistake,
    check,
    compare,
    disordered,
    fast_motion,
    main,
    mistake_in,
    report,
    until,
)

NOW = 1_790_000_000_000
JOB_ID = "4c75:12"


def a_truth(**changes: Any) -> Truth:
    facts: dict[str, Any] = {
        "job_id": JOB_ID,
        "job_name": "align-reads",
        "queue": "spot",
        "status": "FAILED",
        "history": (
            ("RUNNABLE", None),
            ("STARTING", 1),
            ("RUNNING", 1),
            ("RUNNABLE", 2),
            ("FAILED", 1),
        ),
        "exit_codes": (None,),
        "cause": "CANCELLED",
        "parent_id": "4c75",
        "index": 12,
    }
    return Truth(**facts | changes)


def a_job(truth: Truth, **changes: Any) -> dict[str, Any]:
    """The job as a perfect API shows it."""
    attempts = [{"exitCode": code, "stoppedAt": "2026-11-24"} for code in truth.exit_codes]
    job = {
        "jobId": truth.job_id,
        "status": truth.status,
        "history": [{"status": s, "attempt": a, "at": "2026-11-24"} for s, a in truth.history],
        "attempts": attempts,
        "failure": truth.cause and {"cause": truth.cause, "explanation": "…"},
    }
    return job | changes


class ApiServer(ThreadingHTTPServer):
    """Answers each path with its next answer, the last for ever; any other with 404."""

    request_queue_size = 100

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.authorizations: set[str | None] = set()


class _Answer(BaseHTTPRequestHandler):
    server: ApiServer

    def do_GET(self) -> None:
        self.server.authorizations.add(self.headers["Authorization"])
        answers = self.server.answers.get(self.path, [(404, {})])
        code, answer = answers[0] if len(answers) == 1 else answers.pop(0)
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    monkeypatch.setattr(simulate, "SECOND_THOUGHTS", (0.0, 0.0, 0.0))
    with ApiServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def api(server: ApiServer) -> Api:
    return Api(server.url, "a-token")


def quiet(text: str) -> None:
    pass


# ------------------------------------------------------------------ what is sent


def test_a_workload_ends_now_and_tells_of_nothing_later():
    jobs = until(NOW, seed=3, jobs=100)

    assert jobs.events[-1].at == NOW
    times = [e.detail.get("stoppedAt", e.detail["createdAt"]) for e in jobs.events]
    assert max(times) <= NOW + 300


def test_events_are_sent_as_they_come_unless_asked_otherwise():
    events = workload(1, 50, NOW).events

    assert disordered(events, 1, shuffle=False, duplicate=False) == events


def test_shuffled_events_are_all_there_in_another_order():
    events = workload(1, 50, NOW).events

    shuffled = disordered(events, 1, shuffle=True, duplicate=False)

    assert shuffled != events
    assert sorted(shuffled, key=lambda event: event.at) == events


def test_about_half_of_the_events_are_sent_twice():
    events = workload(1, 500, NOW).events

    times_sent = Counter(map(id, disordered(events, 1, shuffle=True, duplicate=True)))

    assert set(times_sent.values()) == {1, 2}
    assert 0.4 < sum(n == 2 for n in times_sent.values()) / len(events) < 0.6


def test_the_feed_passes_an_hour_in_seconds():
    [*events] = fast_motion(workload(1, 5, 0).events, start=NOW, speed=240)

    hours = (events[-1].at - NOW) * 240 / 3_600_000
    assert 0.5 < hours < 24
    assert all(NOW - 10 <= event.detail["createdAt"] <= event.at + 10 for event in events)


# ------------------------------------------------------------------ how it judges


def test_a_right_record_is_no_mistake():
    for truth in workload(1, 200, NOW).truth.values():
        assert mistake_in(a_job(truth), truth) is None


def test_a_running_attempt_in_the_answer_is_no_finished_one():
    truth = a_truth()
    attempts = [*a_job(truth)["attempts"], {"exitCode": None, "stoppedAt": None}]

    assert mistake_in(a_job(truth, attempts=attempts), truth) is None


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"status": "RUNNING"}, "status expected FAILED, seen RUNNING"),
        ({"history": []}, r"history expected \['RUNNABLE -', .*'FAILED 1'\], seen \[\]"),
        ({"history": None}, "history expected"),
        ({"attempts": []}, r"exit codes expected \[None\], seen \[\]"),
        ({"failure": None}, "cause expected CANCELLED, seen None"),
        ({"failure": {"cause": "TIMEOUT"}}, "cause expected CANCELLED, seen TIMEOUT"),
    ],
)
def test_a_mistake_names_the_job_and_what_differs(changes: dict[str, Any], line: str):
    truth = a_truth()

    mistake = mistake_in(a_job(truth, **changes), truth)

    assert mistake is not None
    assert not mistake.missing
    assert mistake.line.startswith(f"{JOB_ID}: ")
    assert re.search(line, mistake.line)


def test_a_job_is_asked_for_by_its_encoded_id_and_with_the_token(server: ApiServer, api: Api):
    truth = a_truth(job_id="4c75:1#2")
    server.answers["/jobs/4c75%3A1%232"] = [(200, a_job(truth))]

    assert check(api, truth) is None
    assert server.authorizations == {"Bearer a-token"}


def test_a_job_that_the_api_does_not_know_is_missing(api: Api):
    mistake = check(api, a_truth())

    assert mistake == Mistake(
        JOB_ID, True, f"{JOB_ID}: expected FAILED, but the API knows no such job"
    )


@pytest.mark.parametrize(
    ("code", "answer", "line"),
    [
        (502, {}, "the API answers with 502"),
        (200, b"<html>", "the answer is not JSON"),
        (200, [], "the answer is no job"),
    ],
)
def test_an_answer_that_is_none_is_a_mistake_of_that_job_only(
    server: ApiServer, api: Api, code: int, answer: Any, line: str
):
    server.answers["/jobs/4c75%3A12"] = [(code, answer)]

    assert check(api, a_truth()) == Mistake(JOB_ID, False, f"{JOB_ID}: {line}")


def test_a_job_that_is_right_at_second_sight_is_right(server: ApiServer, api: Api):
    truth = a_truth()
    unfinished = a_job(truth, status="RUNNING")
    server.answers["/jobs/4c75%3A12"] = [(502, {}), (200, unfinished), (200, a_job(truth))]

    assert compare(api, [truth], quiet) == []


def test_all_jobs_are_compared(server: ApiServer, api: Api):
    truths = [a_truth(job_id=f"job-{number}") for number in range(50)]
    for truth in truths[:-3]:
        server.answers[f"/jobs/{truth.job_id}"] = [(200, a_job(truth))]

    mistakes = compare(api, truths, quiet)

    assert [mistake.job_id for mistake in mistakes] == ["job-47", "job-48", "job-49"]


def test_the_verdict_is_the_last_line_after_ten_mistakes_at_most():
    mistakes = [Mistake(f"job-{n}", n < 4, f"job-{n}: …") for n in range(15)]

    *lines, verdict = report(2_000, mistakes).splitlines()

    assert verdict == "2000 jobs, 4 missing, 11 wrong"
    assert lines == [mistake.line for mistake in mistakes[:10]]
    assert report(2_000, []) == "2000 jobs, 0 missing, 0 wrong"


# ------------------------------------------------------------------ what it says when it can't


@pytest.mark.parametrize("code", [401, 403])
def test_a_refused_token_is_one_clear_line(
    server: ApiServer, capsys: pytest.CaptureFixture[str], code: int
):
    server.answers["/jobs/none-yet"] = [(code, {})]

    exit_code = main(["--api-url", server.url, "--token", "wrong"])

    error = capsys.readouterr().err
    assert exit_code == 1
    assert error.startswith(f"error: {server.url} refuses the token ({code})")
    assert error.count("\n") == 1
    assert "wrong" not in error


def test_an_api_that_does_not_answer_is_one_clear_line(capsys: pytest.CaptureFixture[str]):
    url = f"http://127.0.0.1:{free_port()}"

    code = main(["--api-url", url, "--token", "t"])

    assert code == 1
    expected = f"error: nothing answers at {url} : start it with `make run`\n"
    assert capsys.readouterr().err == expected


def test_a_local_aws_that_does_not_answer_is_one_clear_line(
    server: ApiServer, capsys: pytest.CaptureFixture[str]
):
    url = f"http://127.0.0.1:{free_port()}"

    code = main(["--api-url", server.url, "--aws-url", url, "--token", "t"])

    assert code == 1
    expected = f"error: nothing answers at {url} : start it with `make run`\n"
    assert capsys.readouterr().err == expected


def test_no_token_is_one_clear_line_that_names_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("BATCHWATCH_TOKEN", raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))

    assert main([]) == 1
    assert str(tmp_path / "token") in capsys.readouterr().err


def test_the_token_of_make_run_is_used(
    server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("BATCHWATCH_TOKEN", raising=False)
    monkeypatch.setenv("STATE_DIR", str(tmp_path))
    (tmp_path / "token").write_text("from-make-run\n")
    nowhere = f"http://127.0.0.1:{free_port()}"

    main(["--api-url", server.url, "--aws-url", nowhere])

    assert server.authorizations == {"Bearer from-make-run"}


def test_an_url_that_is_none_is_refused():
    with pytest.raises(LocalStackError, match="not a URL: localhost"):
        Api("localhost", "t")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--unknown"],
        ["--jobs", "0"],
        ["--jobs", "many"],
        ["--jobs", "-5"],
        ["--rate", "0"],
        ["--rate", "nan"],
        ["--timeout", "soon"],
        ["--seed", "x"],
    ],
)
def test_unusable_arguments_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert arguments[0] in capsys.readouterr().err


def test_make_gives_the_options_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("JOBS", "a few")

    with pytest.raises(SystemExit, match="2"):
        main([])

    assert "argument --jobs: 'a few' is not a whole number above 0" in capsys.readouterr().err


def test_what_only_a_dropped_event_told_may_be_missing_but_not_the_end_and_nothing_untrue():
    truth = a_truth()
    history = [{"status": "RUNNING", "attempt": 1}, {"status": "FAILED", "attempt": 1}]

    assert mistake_in(a_job(truth, history=history), truth, dropping=True) is None
    for wrong in (history[:1], [{"status": "PENDING", "attempt": None}, *history], history[::-1]):
        assert mistake_in(a_job(truth, history=wrong), truth, dropping=True)


def test_a_share_of_the_events_is_dropped_the_same_for_the_same_seed():
    events = workload(1, 300, NOW).events

    left = simulate.kept(events, 1, 0.2)

    assert 0.7 < len(left) / len(events) < 0.9
    assert left == simulate.kept(events, 1, 0.2)
    assert simulate.kept(events, 1, 0) == events
