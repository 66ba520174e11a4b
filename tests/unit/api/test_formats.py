"""Bodies as text and CSV, and the choice between the formats."""

import csv
import io
from textwrap import wrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.formats.media import CSV, JSON, TEXT, encode, negotiate, offered
from chalicelib.api.representation.job import (
    JobBody,
    JobPage,
    JobSummary,
    Related,
    job_body,
    job_summary,
)
from chalicelib.api.representation.log import LogBody, LogLineBody
from chalicelib.api.representation.queue import QueueBody, QueueList
from chalicelib.jobs.array_summary import Summary
from chalicelib.jobs.job import Description, Job, Observation
from chalicelib.jobs.prices import Prices
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, NOON, SOURCE, a_body, an_attempt

JOB_ID = "4c7599ae-0a82-49aa-ba5a-4727fcce14a8"
EVENTS = EventReader((SOURCE,), ACCOUNT, Redaction())

PAGE = """\
align-reads  FAILED

job    4c7599ae-0a82-49aa-ba5a-4727fcce14a8
queue  high-priority
since  2026-05-28 20:28:10 UTC
cause  {cause}
times  queued 59 s, running 30 s, total 1 min 30 s
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


def record(*events: str) -> tuple[Job, Description]:
    """Return the job that these events describe, and its last description."""
    job: Job | None = None
    for event in events:
        observation = EVENTS.read(event)
        assert isinstance(observation, Observation)
        job = job.observe(observation) if job else Job.from_observation(observation)
    assert job is not None
    return job, observation.description


def body(*events: str, children: Summary | None = None) -> JobBody:
    job, description = record(*events)
    return job_body(job, Related(description, children=children), Prices(), NOON)


def summary(*events: str, children: Summary | None = None) -> JobSummary:
    job, _ = record(*events)
    return job_summary(job, children, Prices(), NOON)


def failed_job() -> list[str]:
    attempt = an_attempt(
        container={
            "exitCode": 137,
            "reason": "OOMKilled",
            "logStreamName": "s",
        },
        startedAt=NOON + 60_000,
        stoppedAt=NOON + 90_000,
    )
    container = {
        "image": "busybox",
        "command": ["sh", "-c", "run"],
        "environment": [{"name": "K", "value": "V"}],
        "resourceRequirements": [{"type": "VCPU", "value": "2"}],
    }
    fields = {"jobId": JOB_ID, "jobName": "align-reads", "container": container}
    ended = {"status": "FAILED", "attempts": [attempt], "tags": {"team": "genomics"}}
    return [a_body(**fields, at=NOON + 1_000), a_body(**fields, **ended, at=NOON + 90_000)]


def rows(page: JobPage) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(encode(page, CSV))))


# Text


def test_a_list_is_a_table() -> None:
    running = a_body(jobId="b", jobName="a-name-that-is-longer-than-a-column", at=NOON)
    page = JobPage([summary(*failed_job()), summary(running)], None)

    assert encode(page, TEXT) == (
        "STATUS    SINCE (UTC)  CAUSE          NAME                  JOB ID\n"
        "FAILED    05-28 20:28  OUT_OF_MEMORY  align-reads           "
        "4c7599ae-0a82-49aa-ba5a-4727fcce14a8\n"
        "RUNNABLE  05-28 20:26                 a-name-that-is-long…  b\n"
    )


@given(
    jobs=st.lists(
        st.tuples(
            st.text(min_size=1, max_size=128).filter(str.strip),
            st.from_regex(r"[a-z]{1,60}", fullmatch=True),
            st.sampled_from(["SUBMITTED", "FAILED"]),
            st.sampled_from(["", ":9999", "#12"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_a_table_fits_a_terminal(jobs: list[tuple[str, str, str, str]]) -> None:
    summaries = [
        summary(a_body(jobName=name, jobQueue=queue, status=status, jobId=f"{JOB_ID}{child}"))
        for name, queue, status, child in jobs
    ]

    table = encode(JobPage(summaries, None), TEXT)

    assert max(map(len, table.splitlines())) <= 100
    assert all(job.job_id in table for job in summaries)


def test_an_exit_code_is_a_cause_and_several_queues_have_a_column() -> None:
    failed = a_body(
        status="FAILED", attempts=[an_attempt(container={"exitCode": 127})], jobQueue="spot"
    )

    heads, row, _ = encode(JobPage([summary(failed), summary(a_body())], None), TEXT).splitlines()

    assert heads.split() == ["STATUS", "SINCE", "(UTC)", "CAUSE", "NAME", "QUEUE", "JOB", "ID"]
    assert "EXIT 127" in row
    assert " spot " in row


def test_a_table_ends_with_the_token_of_the_next_page() -> None:
    page = JobPage([summary(a_body())], "abc")

    assert encode(page, TEXT).endswith("\n\nNext page: nextToken=abc\n")
    assert encode(JobPage([], "abc"), TEXT) == "No jobs on this page.\n\nNext page: nextToken=abc\n"
    assert encode(JobPage([], None), TEXT) == "No jobs.\n"


def test_a_job_is_a_page() -> None:
    job = body(*failed_job())
    assert job.failure is not None

    page, _, links = encode(job, TEXT).partition("\nLinks\n")

    cause = wrap(f"OUT_OF_MEMORY: {job.failure.explanation}", 98 - len("cause  "))
    assert page == PAGE.format(cause="\n       ".join(cause))
    assert links.startswith("  console  https://us-east-1.console.aws.amazon.com/batch/")


def test_the_children_of_an_array_are_counted() -> None:
    children = Summary({"RUNNING": 1, "SUCCEEDED": 2}, NOON + 1_000)
    array = a_body(jobId=JOB_ID, status="PENDING", arrayProperties={"size": 3})

    table = encode(JobPage([summary(array, children=children)], None), TEXT)
    page = encode(body(array, children=children), TEXT)

    assert table.splitlines()[1].startswith("PENDING 2/3  ")
    assert "\nchildren  3: 1 RUNNING, 2 SUCCEEDED as of 2026-05-28 20:26:41 UTC\n" in page


def test_a_log_is_its_messages() -> None:
    assert log_text("one", "", "two") == "one\n\ntwo\n"


def test_a_log_keeps_the_lines_of_a_message() -> None:
    assert log_text("one\n\n  two\r\nthree\n", "four") == "one\n\n  two\nthree\nfour\n"


def test_each_state_of_a_progress_bar_is_a_line() -> None:
    assert log_text("\r 10 %\r100 %") == " 10 %\n100 %\n"


@pytest.mark.parametrize(
    "coloured",
    [
        *(
            "\x1b[1;31merror\x1b[0m",
            "\x1b[38:2::255:0:0merror\x1b[m",
            "\x9b31merror",
            "error\x1b[K",
        ),
        *("\x1b]0;title\x07error", "\x1b]8;;https://a.example\x1b\\error\x1b]8;;\x1b\\"),
        *("\x1b(Berror", "\x1b=error\x1bM", "\x1b7error\x1b8"),
    ],
)
def test_a_log_has_no_colours(coloured: str) -> None:
    assert log_text(coloured) == "error\n"


@pytest.mark.parametrize("text", ["\x1b", "\x1b[31", "\x1b]0;title", "\x07", "\x00", "\x7f"])
def test_an_incomplete_sequence_has_no_effect_on_a_terminal(text: str) -> None:
    assert log_text(text) == text.replace(text[0], "\ufffd") + "\n"


def log_text(*messages: str) -> str:
    lines = [LogLineBody("2026-05-28T20:26:40.000Z", message) for message in messages]
    return encode(LogBody("4c75", 1, "group", "stream", lines), TEXT)


def test_text_contains_no_control_characters() -> None:
    event = a_body(jobId="a", jobName="x\x1b[31m", statusReason="\x1b]0;title\x07\r\nnew")

    for value in (JobPage([summary(event)], None), body(event)):
        text = encode(value, TEXT)
        assert all(character.isprintable() or character == "\n" for character in text)


# CSV


def test_a_list_is_a_spreadsheet() -> None:
    [row] = rows(JobPage([summary(*failed_job())], None))

    assert row["jobId"] == JOB_ID
    assert row["totalSeconds"] == "90.0"
    assert row["cause"] == "OUT_OF_MEMORY"
    assert (row["vcpuHours"], row["gpuHours"], row["costEstimate"]) == ("0.016667", "0.0", "")


def test_the_children_of_an_array_have_columns() -> None:
    children = Summary({"RUNNING": 1, "SUCCEEDED": 2}, NOON + 1_000)
    array = a_body(jobId=JOB_ID, status="PENDING", arrayProperties={"size": 3})

    [row] = rows(JobPage([summary(array, children=children)], None))

    cells = {name: row[name] for name in ("arraySize", "statusSummary", "statusSummaryAsOf")}
    assert cells == {
        "arraySize": "3",
        "statusSummary": "1 RUNNING, 2 SUCCEEDED",
        "statusSummaryAsOf": "2026-05-28T20:26:41.000Z",
    }


@pytest.mark.parametrize(
    ("reason", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("  =cmd|' /C x'!A0", "'  =cmd|' /C x'!A0"),
        ("\t=1+1", "' =1+1"),
        ("a\r\n=1+1", "a  =1+1"),
        ("a;=1+1", "'a;=1+1"),
        ("a; =1+1", "'a; =1+1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("a = b; c - d", "a = b; c - d"),
        ("exit\x1b[31m code", "exit [31m code"),
    ],
)
def test_csv_contains_no_formula_and_no_control_character(reason: str, cell: str) -> None:
    [row] = rows(JobPage([summary(a_body(statusReason=reason, jobName="=name"))], None))

    assert row["statusReason"] == cell
    assert row["jobName"] == "'=name"


# The choice


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("text/html, image/png", JSON),
        ("text/html,*/*;q=0.8", JSON),
        ("text/plain", TEXT),
        ("Text/*", TEXT),
        ("application/json;q=0.5, text/csv", CSV),
        ("text/plain; q=0, text/csv;q=x", JSON),
    ],
)
def test_the_accept_header_selects_the_format_and_json_is_the_default(
    accept: str, media_type: str
) -> None:
    assert negotiate(accept, JobPage([], None)) == media_type


def test_a_format_that_is_not_offered_is_not_selected() -> None:
    assert negotiate("text/csv", body(a_body())) == JSON
    assert negotiate("text/plain", {"openapi": "3.1.0"}) == JSON


def test_lists_are_available_as_csv_and_all_bodies_of_jobs_and_queues_as_text() -> None:
    assert {body: offered(body) for body in (JobPage, QueueList)} == {
        JobPage: (JSON, TEXT, CSV),
        QueueList: (JSON, TEXT, CSV),
    }
    assert {offered(body) for body in (JobBody, LogBody, QueueBody)} == {(JSON, TEXT)}


def test_json_ends_with_a_newline() -> None:
    assert encode(JobPage([], None), JSON) == '{"jobs":[],"nextToken":null}\n'
