"""The file of `make send` and `make explain-rules`: an event, or only its detail."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.send import UnusableFile, read_entry
from local.simulator.bus import entry_of
from local.workload import envelope, workload

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ARN = "arn:aws:batch:us-east-1:000000000000:job/4c75"
DETAIL = {"jobId": "4c75", "jobArn": ARN, "status": "RUNNING"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "event.json"


def write(file: Path, content: Any) -> Path:
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_an_event_keeps_its_time_type_resources_and_detail(file: Path) -> None:
    event = {
        "source": "aws.batch",
        "detail-type": "Batch Job Queue Blocked",
        "time": "2026-11-24T03:55:00Z",
        "resources": [ARN, "arn:aws:batch:us-east-1:000000000000:job-queue/q"],
        "detail": DETAIL,
    }

    entry = read_entry(write(file, event), NOW)

    assert entry["Time"] == datetime(2026, 11, 24, 3, 55, tzinfo=UTC)
    assert entry["DetailType"] == "Batch Job Queue Blocked"
    assert entry["Resources"] == event["resources"]
    assert json.loads(entry["Detail"]) == DETAIL
    assert entry["Source"] == "batchwatch.simulated"


def test_a_detail_alone_is_a_status_change_with_the_current_time(file: Path) -> None:
    entry = read_entry(write(file, DETAIL), NOW)

    assert entry["Time"] == NOW
    assert entry["DetailType"] == "Batch Job State Change"
    assert entry["Resources"] == [ARN]
    assert json.loads(entry["Detail"]) == DETAIL


def test_a_simulated_event_in_a_file_is_read_as_it_is_simulated(file: Path) -> None:
    event = workload(1, 1, 1_780_000_000_000).events[0]

    read = read_entry(write(file, envelope(event)), NOW)

    simulated = entry_of(event)
    assert read == {**simulated, "Time": simulated["Time"].replace(microsecond=0)}


def test_an_event_of_another_type_needs_no_job_id(file: Path) -> None:
    preempted = {"detail-type": "Batch Service Job Preemption Started", "detail": {}}

    assert read_entry(write(file, preempted), NOW)["Detail"] == "{}"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON: Expecting property name"),
        ("", "not JSON: Expecting value"),
        ("[" * 100_000, "not JSON: maximum recursion"),
        ([DETAIL], "must contain one JSON object"),
        ({"status": "RUNNING"}, "jobId not found"),
        ({"detail-type": "Batch Job State Change", "detail": {}}, "jobId not found"),
        ({"detail": DETAIL}, "jobId not found"),
        ({"jobId": 5}, "jobId not found"),
        ({"detail-type": "Batch Job State Change", "detail": "{}"}, "detail an object"),
        ({"detail-type": 1, "detail": DETAIL}, "detail-type must be a string"),
        (
            {"detail-type": "x", "detail": {}, "time": "noon"},
            "time must be a time such as 2026-11-24T03:55:00Z, not 'noon'",
        ),
        ({"detail-type": "x", "detail": {}, "resources": "arn"}, "must be a list of ARNs"),
    ],
)
def test_the_error_for_a_file_without_an_event_contains_file_and_problem(
    file: Path, content: Any, problem: str
) -> None:
    with pytest.raises(UnusableFile, match=problem) as caught:
        read_entry(write(file, content), NOW)

    assert str(caught.value).startswith(f"{file}: ")


def test_a_missing_file_a_folder_and_a_binary_file_are_unusable(file: Path) -> None:
    with pytest.raises(UnusableFile, match="No such file"):
        read_entry(file, NOW)
    with pytest.raises(UnusableFile, match="Is a directory"):
        read_entry(file.parent, NOW)

    file.write_bytes(b"\xff\x00\xfe")
    with pytest.raises(UnusableFile, match="not JSON"):
        read_entry(file, NOW)
