"""Incidents of a queue, from the sweep that finds them to the message in the Webex room."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib.queues.state import QueueState
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from local.ports import free_port
from local.webex import WebexServer
from tests.support.builders import NOON, a_body, a_detail, a_job_id, an_event
from tests.support.notifier_harness import NotifierHarness
from tests.support.rendering import rendered
from tests.support.sweep_harness import HOUR, MINUTE, SweepHarness

RULES = '[[rule]]\non = ["STUCK", "RECOVERED", "QUEUE_BLOCKED", "EVENTS_MISSING"]'
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none of type [p4d.24xlarge]"
NO_LONGER_BLOCKED = "👍 Queue high-priority is no longer blocked. The incident lasted 20 min."


class Stage:
    """A recorder, sweeps and a notifier with one clock."""

    def __init__(
        self, aws: LocalAws, resources: Resources, batch: BatchServer, webex: WebexServer
    ) -> None:
        self.notifier = NotifierHarness(aws, resources, webex, RULES)
        self.sweeps = SweepHarness(aws, resources, batch, self.notifier.rules)
        self.sweeps.now = NOON
        state = QueueState(watched_since=NOON - 30 * 24 * HOUR)
        self.sweeps.recorder.queues.save("high-priority", state, 0)

    def put_job(self, status: str, at: int, **fields: Any) -> None:
        """Put a job that entered its status at this time into Batch and the table."""
        detail = a_detail(status=status, **fields)
        self.sweeps.batch.put([detail])
        self.sweeps.recorder.record([a_body(**detail, at=at)])

    def send_blocked_event(self, **fields: Any) -> None:
        event = an_event(statusReason=NO_CAPACITY, **fields)
        self.sweeps.recorder.record(
            [json.dumps(event | {"detail-type": "Batch Job Queue Blocked"})]
        )

    def sweep_and_notify(self) -> list[str]:
        """Return the first lines of the messages that this sends to the room."""
        before = len(self.notifier.texts())
        self.sweeps.watch_queues()
        self.notifier.now = self.sweeps.now / 1000
        self.notifier.deliver_all()
        return [rendered(text).text.splitlines()[0] for text in self.notifier.texts()[before:]]


@pytest.fixture
def stage(aws: LocalAws, resources: Resources) -> Iterator[Stage]:
    with BatchServer(clock=lambda: NOON / 1000) as batch, WebexServer(free_port()) as webex:
        yield Stage(aws, resources, batch, webex)


def test_a_bulk_incident_and_its_resolution_are_one_thread(stage: Stage) -> None:
    job_ids = [a_job_id() for _ in range(5)]
    for job_id in job_ids:
        stage.put_job("RUNNABLE", NOON - 2 * HOUR, jobId=job_id, statusReason=NO_CAPACITY)
    opened = stage.sweep_and_notify()
    stage.sweeps.now += HOUR
    for job_id in job_ids:
        stage.put_job("RUNNING", stage.sweeps.now, jobId=job_id)
    resolved = stage.sweep_and_notify()

    assert opened == ["⏳ 5 jobs are stuck in RUNNABLE in high-priority: AWS has no free capacity"]
    assert resolved == [
        "👍 Queue high-priority no longer has jobs that are stuck in RUNNABLE. "
        "The incident lasted 1 h."
    ]
    first, second = stage.notifier.webex.messages()
    assert second.parent_id == first.id


def test_a_blocked_queue_and_its_resolution_are_sent(stage: Stage) -> None:
    job_id = a_job_id()
    stage.put_job("RUNNABLE", NOON, jobId=job_id, jobName="merge")
    stage.send_blocked_event(jobId=job_id, jobName="merge")
    stage.sweeps.now += 20 * MINUTE
    opened = stage.sweep_and_notify()
    stage.put_job("STARTING", stage.sweeps.now, jobId=job_id)
    resolved = stage.sweep_and_notify()

    assert opened == ["⛔ Queue high-priority is blocked by job merge: AWS has no free capacity"]
    assert resolved == [NO_LONGER_BLOCKED]


def test_of_a_block_that_ends_before_its_notice_is_sent_only_the_resolution_is_sent(
    stage: Stage,
) -> None:
    job_id = a_job_id()
    stage.put_job("RUNNABLE", NOON, jobId=job_id)
    stage.send_blocked_event(jobId=job_id)
    stage.sweeps.now += 20 * MINUTE
    stage.sweeps.watch_queues()
    stage.put_job("STARTING", stage.sweeps.now, jobId=job_id)

    assert stage.sweep_and_notify() == [NO_LONGER_BLOCKED]


def test_a_stuck_job_and_its_recovery_are_sent_to_one_thread(stage: Stage) -> None:
    job_id = a_job_id()
    stage.put_job("RUNNABLE", NOON - 2 * HOUR, jobId=job_id, statusReason=NO_CAPACITY)
    stuck = stage.sweep_and_notify()
    stage.put_job("STARTING", NOON, jobId=job_id)
    recovered = stage.sweep_and_notify()

    assert stuck == [
        "⏳ align has been RUNNABLE in high-priority for 2 h: AWS has no free capacity"
    ]
    assert recovered == ["👍 align is no longer stuck in high-priority: it is STARTING"]
    first, second = stage.notifier.webex.messages()
    assert second.parent_id == first.id


def test_a_notice_about_a_queue_with_the_kind_of_a_job_is_dead_lettered(stage: Stage) -> None:
    body = {"room": "r", "kind": "FAILED", "generation": 0, "at": NOON, "queue": "gpu"}
    stage.notifier.post(json.dumps(body))

    stage.notifier.deliver_all()

    (letter,) = stage.notifier.dead_letters()
    assert (
        letter["MessageAttributes"]["Reason"]["StringValue"]
        == "the message is not a batchwatch notice"
    )
