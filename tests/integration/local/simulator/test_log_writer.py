"""The logs of simulated jobs are in CloudWatch Logs of the local AWS."""

from typing import Any

from local.aws import LocalAws
from local.simulator.log_writer import LogWriter
from local.workload import SimulatedEvent


def an_event(status: str, **detail: Any) -> SimulatedEvent:
    return SimulatedEvent(0, "j", {"jobName": "align", "status": status, **detail})


def test_a_log_grows_and_is_written_once(aws: LocalAws) -> None:
    client = aws.client("logs")
    running = an_event("RUNNING", container={"logStreamName": "simulated/1"})
    attempt = {"stoppedAt": 1, "container": {"exitCode": 137, "logStreamName": "simulated/1"}}
    failed = an_event("FAILED", attempts=[attempt])
    writer = LogWriter(client)

    for event in (running, running, failed, failed):
        writer.write(event)

    log = client.get_log_events(logGroupName="/aws/batch/job", logStreamName="simulated/1")
    messages = [event["message"] for event in log["events"]]
    assert messages[0].endswith("starting align")
    assert messages.count("Killed") == 1
    assert len(messages) == 4
