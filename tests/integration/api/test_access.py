"""Access to the API: tokens, their queues, and responses to invalid and oversized requests."""

import logging
import random
import re
import sys
from fnmatch import fnmatchcase

import pytest

from chalicelib import telemetry
from local.aws import ROOT
from tests.support.api_harness import Api
from tests.support.builders import a_body, a_job_id, an_attempt

QUEUES = ["gpu", "gpu-large", "spot-1", "spot-2", "team-a.high", "team_b"]
TOKENS = 300

DOCUMENTED = re.findall(
    r"^\| `(/\S*)` \| (\d{3}) \| (.*) \|$",
    (ROOT / "docs" / "api.md").read_text(),
    re.MULTILINE,
)


def test_a_failed_authentication_is_counted_without_logging_the_token(
    api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Another test of this process may have imported the logger, with a stdout of its own.
    monkeypatch.setattr(telemetry.logger().registered_handler, "stream", sys.stdout)

    for token in ("guess-4711", None):
        api.get("/jobs", token=token)

    output = capsys.readouterr().out
    assert '"AuthenticationsFailed":[1.0]' in output
    assert '"message":"authentication_failed"' in output
    assert "guess-4711" not in output


def test_each_request_is_a_log_line_without_values(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    api.record(a_body(jobId="4c75", status="RUNNING"))
    caplog.set_level(logging.INFO, "batchwatch")
    caplog.clear()

    body = api.response("/jobs/4c75").body
    api.get("/jobs/secret-4711?wait=x")
    api.response("/", token=None)

    lines = [vars(each) for each in caplog.records if each.message == "request_served"]
    assert [
        (line["method"], line["route"], line["status"], line.get("token")) for line in lines
    ] == [
        ("GET", "/jobs/{job_id}", 200, "all"),
        ("GET", "/jobs/{job_id}", 400, "all"),
        ("GET", "/", 200, None),
    ]
    assert [line["tableRequests"] > 0 for line in lines] == [True, False, False]
    assert all(0 <= line["milliseconds"] < 60_000 for line in lines)
    assert lines[0]["bytes"] == len(body)
    assert "4711" not in caplog.text


@pytest.mark.parametrize("path", ["/jobs", "/jobs/unknown", "/health", "/openapi.json"])
def test_every_response_has_the_security_headers(api: Api, path: str) -> None:
    headers = api.response(path).headers

    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize(("path", "status", "message"), DOCUMENTED)
def test_an_invalid_request_gets_the_documented_response(
    api: Api, path: str, status: str, message: str
) -> None:
    api.record(a_body(jobId="4c75", container={}))

    answer = api.get(path)

    assert answer.status == int(status)
    beginning = message.removesuffix("…").rstrip(" ,").removesuffix(",")
    assert answer.body["Message"].startswith(beginning)
    assert message.endswith("…") or answer.body["Message"] == message


def test_the_documentation_lists_eighteen_invalid_requests() -> None:
    assert len(DOCUMENTED) == 18


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/jobs?queue=" + "x" * 2_001, {}, 400, "InvalidParameterError"),
        ("/jobs?" + "&".join(["status=" + "x" * 1_900] * 4), {}, 414, "URITooLongError"),
        ("/jobs/" + "x" * 6_001, {}, 414, "URITooLongError"),
        ("/jobs/" + "x" * 200, {}, 404, "InvalidJobIdError"),
        ("/jobs", {"accept": "x" * 4_001}, 431, "HeaderTooLargeError"),
        ("/jobs/4c75", {"if_none_match": "x" * 4_001}, 431, "HeaderTooLargeError"),
    ],
)
def test_an_oversized_request_is_refused(
    api: Api, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    response = api.response(path, **headers)

    assert response.status_code == status
    assert response.json_body["Code"] == code


def test_no_token_sees_anything_outside_of_its_queues(api: Api) -> None:
    """Tests every route, and the page tokens of a token for all queues, with hundreds of scopes."""
    chance = random.Random(7)
    parts = [*QUEUES, "*", "gpu*", "spot-?", "team*", "[gs]*", "*-*", "none", "GPU", "gpu-*", ""]
    scopes = {f"token {n}": chance.sample(parts, chance.randint(0, 3)) for n in range(TOKENS)}
    api.allow_each(scopes)
    jobs = {queue: a_job_id() for queue in QUEUES}
    for queue, job_id in jobs.items():
        arn = f"arn:aws:batch:us-east-1:000000000000:job-queue/{queue}"
        fields = {"jobQueue": arn, "status": "FAILED", "attempts": [an_attempt()], "container": {}}
        api.record(
            a_body(jobId=job_id, arrayProperties={"size": 1}, **fields),
            a_body(jobId=f"{job_id}:0", **fields),
        )
    lists = ["/jobs?status=FAILED&limit=3", "/jobs?name=al&limit=3"]
    lists += [f"{path}&nextToken={api.get(path).body['nextToken']}" for path in lists]

    with api.cached_reads():
        for token, globs in scopes.items():
            covered = {q for q in QUEUES if any(fnmatchcase(q, glob) for glob in globs)}
            pages = [api.get(path, token=token).body["jobs"] for path in lists]
            queue, job_id = chance.choice(list(jobs.items()))
            routes = [f"/jobs/{job_id}", f"/jobs/{job_id}%3A0", f"/jobs/{job_id}/children"]
            statuses = [api.get(route, token=token).status for route in routes]
            log = api.get(f"/jobs/{job_id}/logs", token=token).body["Message"]

            assert {job["jobQueue"] for page in pages for job in page} <= covered
            assert {job["jobQueue"] for job in pages[0]} == covered or len(pages[0]) == 3
            assert statuses == [200 if queue in covered else 404] * 3
            assert (log == f"job {job_id} not found") == (queue not in covered)
