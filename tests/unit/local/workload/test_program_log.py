"""Simulated attempts write logs that match how they end."""

from typing import Any

from local.workload import SimulatedEvent, workload
from local.workload.program_log import GROUP, log_parts


def parts_of(**detail: Any) -> list[tuple[str, str, str]]:
    """Return the group, the stream and the last line of each log."""
    event = SimulatedEvent(0, "j", {"jobName": "align", "status": "FAILED", **detail})
    return [(part.group, part.stream, part.messages[-1]) for part in log_parts(event)]


def test_an_attempt_ends_with_the_line_of_its_exit_code() -> None:
    ended = {"stoppedAt": 1, "container": {"exitCode": 127, "logStreamName": "s"}}
    options = {"options": {"awslogs-group": "/lab/batch"}}
    container = {"command": ["bwa"], "logConfiguration": options}

    assert parts_of(attempts=[ended]) == [(GROUP, "s", "sh: 1: align: command not found")]
    assert parts_of(attempts=[ended], container=container) == [
        ("/lab/batch", "s", "sh: 1: bwa: command not found")
    ]


def test_a_container_that_never_started_has_no_log() -> None:
    assert parts_of(attempts=[{"stoppedAt": 1, "container": {"reason": "no image"}}]) == []
    assert parts_of(status="RUNNABLE") == []


def test_the_log_of_a_running_job_is_the_beginning_of_its_final_one() -> None:
    streams: dict[str, tuple[str, ...]] = {}
    for event in sorted(workload(7, 40, start=0).all_events, key=lambda event: event.at):
        for part in log_parts(event):
            before = streams.get(part.stream, ())
            assert part.messages[: len(before)] == before or before[: len(part.messages)] == (
                part.messages
            )
            streams[part.stream] = max(before, part.messages, key=len)

    assert len(streams) > 20
