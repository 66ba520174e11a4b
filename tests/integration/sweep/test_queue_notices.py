"""What is wrong with a queue, from the sweep that finds it to the message that a person reads."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

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


class Site:
    """A recorder, sweeps and notifiers, around one clock."""

    def __init__(
        self, aws: LocalAws, resources: Resources, batch: BatchServer, webex: WebexServer
    ) -> None:
        self.office = NotifierHarness(aws, resources, webex, RULES)
        self.watch = SweepHarness(aws, resources, batch, self.office.rules)
        self.watch.now = NOON

    def touch(self, status: str, at: int, **fields: Any) -> None:
        detail = a_detail(status=status, **fields)
        self.watch.batch.put([detail])
        self.watch.stand.record([a_body(**detail, at=at)])

    def tell(self) -> list[str]:
        """First lines of what the room has been told since the last time."""
        before = len(self.office.texts())
        self.watch.look()
        self.office.now = self.watch.now / 1000
        self.office.deliver_all()
        return [rendered(text).text.splitlines()[0] for text in self.office.texts()[before:]]


@pytest.fixture
def site(aws: LocalAws, resources: Resources) -> Iterator[Site]:
    with BatchServer(clock=lambda: NOON / 1000) as batch, WebexServer(free_port()) as webex:
        yield Site(aws, resources, batch, webex)


def test_a_crowd_and_its_end_are_one_thread(site: Site) -> None:
    jobs = [a_job_id() for _ in range(5)]
    for job_id in jobs:
        site.touch("RUNNABLE", NOON - 2 * HOUR, jobId=job_id, statusReason=NO_CAPACITY)
    begun = site.tell()
    site.watch.now += HOUR
    for job_id in jobs:
        site.touch("RUNNING", site.watch.now, jobId=job_id)
    ended = site.tell()

    assert begun == ["⏳ 5 jobs are stuck in high-priority: AWS has no capacity for it"]
    assert ended == ["👍 Queue high-priority no longer has stuck jobs. The incident lasted 1 h."]
    first, second = site.office.webex.messages()
    assert second.parent_id == first.id


def test_a_blocked_queue_and_its_release_are_told(site: Site) -> None:
    job_id = a_job_id()
    site.touch("RUNNABLE", NOON, jobId=job_id, jobName="merge")
    event = an_event(jobId=job_id, jobName="merge", statusReason=NO_CAPACITY)
    site.watch.stand.record([json.dumps(event | {"detail-type": "Batch Job Queue Blocked"})])
    site.watch.now += 20 * MINUTE
    begun = site.tell()
    site.touch("STARTING", site.watch.now, jobId=job_id)
    ended = site.tell()

    assert begun == ["⛔ Queue high-priority is blocked by job merge: AWS has no capacity for it"]
    assert ended == ["👍 Queue high-priority is no longer blocked. The incident lasted 20 min."]


def test_a_block_that_is_over_before_it_could_be_told_is_told_by_its_end_only(site: Site) -> None:
    job_id = a_job_id()
    site.touch("RUNNABLE", NOON, jobId=job_id)
    event = an_event(jobId=job_id, statusReason=NO_CAPACITY)
    site.watch.stand.record([json.dumps(event | {"detail-type": "Batch Job Queue Blocked"})])
    site.watch.now += 20 * MINUTE
    site.watch.look()
    site.touch("STARTING", site.watch.now, jobId=job_id)

    assert site.tell() == [
        "👍 Queue high-priority is no longer blocked. The incident lasted 20 min."
    ]


def test_a_stuck_job_and_its_recovery_are_told_in_its_thread(site: Site) -> None:
    job_id = a_job_id()
    site.touch("RUNNABLE", NOON - 2 * HOUR, jobId=job_id, statusReason=NO_CAPACITY)
    stuck = site.tell()
    site.touch("STARTING", NOON, jobId=job_id)
    recovered = site.tell()

    assert stuck == [
        "⏳ align has been RUNNABLE in high-priority for 2 h: AWS has no capacity for it"
    ]
    assert recovered == ["👍 align is no longer stuck in high-priority: it is STARTING"]
    first, second = site.office.webex.messages()
    assert second.parent_id == first.id


def test_a_notice_of_a_queue_that_is_none_is_put_aside(site: Site) -> None:
    body = {"room": "r", "kind": "FAILED", "generation": 0, "at": NOON, "queue": "gpu"}
    site.office.post(json.dumps(body))

    site.office.deliver_all()

    (letter,) = site.office.dead_letters()
    assert (
        letter["MessageAttributes"]["Reason"]["StringValue"]
        == "the message is not a batchwatch notice"
    )
