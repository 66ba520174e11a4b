"""Responses as text for a terminal and as CSV for a spreadsheet."""

import csv
import io

import pytest

from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id, an_attempt

ROOT = "4c7599ae-0a82-49aa-ba5a-4727fcce14a8"


PAGE = """\
align-reads  FAILED

job    4c7599ae-0a82-49aa-ba5a-4727fcce14a8
queue  high-priority
since  2026-05-28 20:28:10 UTC
cause  OUT_OF_MEMORY: The container was killed (exit code 137, SIGKILL), most often because it
       used more memory than it was given. Give the job more, or look for another cause in its
       log.
times  queued 1 min, running 30 s, total 1 min 30 s
usage  0.01667 vCPU-hours; wasted 0.01667 vCPU-hours

History (UTC)
  2026-05-28 20:26:41  RUNNABLE
  2026-05-28 20:28:10  FAILED    attempt 1

Attempts
  1  2026-05-28 20:27:40 to 2026-05-28 20:28:10  exit code 137  OUT_OF_MEMORY

Container
  image        busybox
  command      sh -c run
  vCPUs        2
  environment  K

Tags
  team  genomics
"""


def record_a_failure(api: Api) -> None:
    ended = an_attempt(
        container={"exitCode": 137, "logStreamName": "s"},
        startedAt=NOON + 60_000,
        stoppedAt=NOON + 90_000,
    )
    container = {
        "image": "busybox",
        "command": ["sh", "-c", "run"],
        "environment": [{"name": "K", "value": "V"}],
        "resourceRequirements": [{"type": "VCPU", "value": "2"}],
    }
    fields = {"jobId": ROOT, "jobName": "align-reads", "container": container}
    api.record(
        a_body(**fields, at=NOON + 1_000),
        a_body(
            **fields, status="FAILED", attempts=[ended], at=NOON + 90_000, tags={"team": "genomics"}
        ),
    )


def test_a_list_is_a_table_as_text(api: Api) -> None:
    record_a_failure(api)
    api.record(a_body(jobId="b", jobName="a-name-that-is-longer-than-a-column", at=NOON))

    response = api.response("/jobs", accept="text/plain")

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.body.decode() == (
        "STATUS    SINCE (UTC)       NAME                      QUEUE          JOB ID"
        "                                CHILDREN  CAUSE\n"
        "FAILED    2026-05-28 20:28  align-reads               high-priority  "
        "4c7599ae-0a82-49aa-ba5a-4727fcce14a8            OUT_OF_MEMORY\n"
        "RUNNABLE  2026-05-28 20:26  a-name-that-is-longer-t…  high-priority  b\n"
    )


def test_a_table_ends_with_the_token_of_the_next_page(api: Api) -> None:
    api.record(a_body(), a_body())

    response = api.response("/jobs?limit=1", accept="text/plain")

    token = response.headers["X-Next-Token"]
    assert response.body.decode().endswith(f"\n\nNext page: nextToken={token}\n")
    assert api.response("/jobs?queue=none", accept="text/plain").body == b"No jobs.\n"


def record_an_array(api: Api) -> None:
    array = {"size": 3, "statusSummary": {"FAILED": 0, "RUNNABLE": 3}}
    api.record(
        a_body(jobId=ROOT, status="PENDING", arrayProperties=array),
        *(a_body(jobId=f"{ROOT}:{n}", status="SUCCEEDED", at=NOON + n * 1_000) for n in range(2)),
        a_body(jobId=f"{ROOT}:2", status="RUNNING"),
    )


def test_the_text_of_an_array_has_the_counts_of_its_children(api: Api) -> None:
    record_an_array(api)

    table = api.response("/jobs", accept="text/plain").body.decode()
    page = api.response(f"/jobs/{ROOT}", accept="text/plain").body.decode()

    assert table.endswith(f"{ROOT}  2/3\n")
    assert "\nchildren  3: 1 RUNNING, 2 SUCCEEDED as of 2026-05-28 20:26:41 UTC\n" in page


def test_the_csv_of_an_array_has_the_counts_of_its_children(api: Api) -> None:
    record_an_array(api)

    response = api.response("/jobs", accept="text/csv")

    [row] = csv.DictReader(io.StringIO(response.body.decode()))
    cells = {name: row[name] for name in ("arraySize", "statusSummary", "statusSummaryAsOf")}
    assert cells == {
        "arraySize": "3",
        "statusSummary": "1 RUNNING, 2 SUCCEEDED",
        "statusSummaryAsOf": "2026-05-28T20:26:41.000Z",
    }


def test_a_job_is_a_page_as_text(api: Api) -> None:
    record_a_failure(api)

    page = api.response(f"/jobs/{ROOT}", accept="text/plain").body.decode()

    before_links, _, links = page.partition("\nLinks\n")
    assert before_links == PAGE
    assert links.startswith("  console  https://us-east-1.console.aws.amazon.com/batch/")


def test_a_list_is_available_as_csv(api: Api) -> None:
    record_a_failure(api)

    response = api.response("/jobs", accept="text/csv")

    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    [row] = csv.DictReader(io.StringIO(response.body.decode()))
    assert row["jobId"] == ROOT
    assert row["totalSeconds"] == "90.0"
    assert row["cause"] == "OUT_OF_MEMORY"
    assert (row["vcpuHours"], row["gpuHours"], row["costEstimate"]) == ("0.016667", "0.0", "")


@pytest.mark.parametrize("reason", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1+1", "  =cmd|' /C x'!A0"])
def test_csv_contains_no_formula(api: Api, reason: str) -> None:
    api.record(a_body(statusReason=reason, jobName="=name"))

    [row] = csv.DictReader(io.StringIO(api.response("/jobs", accept="text/csv").body.decode()))

    assert row["statusReason"] == f"'{reason}"
    assert row["jobName"] == "'=name"


def test_text_contains_no_control_characters(api: Api) -> None:
    api.record(a_body(jobId="a", jobName="x\x1b[31m", statusReason="\x1b]0;title\x07\r\nnew"))

    for path in ("/jobs", "/jobs/a"):
        text = api.response(path, accept="text/plain").body.decode()
        assert all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("text/html, image/png", "application/json"),
        ("text/html,*/*;q=0.8", "application/json"),
        ("text/plain", "text/plain; charset=utf-8"),
        ("Text/*", "text/plain; charset=utf-8"),
        ("application/json;q=0.5, text/csv", "text/csv; charset=utf-8"),
        ("text/plain; q=0, text/csv;q=x", "application/json"),
    ],
)
def test_the_accept_header_selects_the_format_and_json_is_the_default(
    api: Api, accept: str, kind: str
) -> None:
    response = api.response("/jobs", accept=accept)

    assert response.headers["Content-Type"] == kind
    assert response.headers["Vary"] == "Accept"


def test_json_ends_with_a_newline(api: Api) -> None:
    api.record(a_body(jobId=a_job_id()))

    for path in ("/jobs", "/health", "/jobs/unknown"):
        assert api.response(path).body.endswith(b"}\n")
