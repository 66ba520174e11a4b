"""What `curl` gets about queues: what the sweep counted, within the scope of a token."""

import csv
import io
from typing import Any

import pytest

from chalicelib.api.access import Scope
from chalicelib.api.formats import TEXT, written
from chalicelib.api.queues import Queues
from chalicelib.jobs.prices import Prices
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.state import QueueState
from chalicelib.queues.stats_table import QueueStatsTable
from chalicelib.runtime import Runtime
from chalicelib.sweep.count import QueueCounter
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id, a_service_body
from tests.support.recorder_harness import RecorderHarness

HOUR = 3_600_000
ALL = Scope(("*",))
QUEUE_OF = "arn:aws:batch:us-east-1:000000000000:job-queue/{}".format
CONTAINER = {
    "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}]
}
NOTHING = {"vcpuHours": 0.0, "gbHours": 0.0, "gpuHours": 0.0}
PRICES = Prices.parse('[[prices]]\nqueues = ["high-*"]\nvcpuHour = 0.04\ngbHour = 0.005')


def counted(stand: RecorderHarness, prices: Prices = PRICES) -> Queues:
    """The API's answers after a sweep at noon."""
    table = QueueStatsTable(stand.dynamodb, stand.resources.jobs_table)
    noon = Runtime(now=lambda: NOON / 1000)
    counter = QueueCounter(stand.index, stand.registry, table, lambda tally: None, runtime=noon)
    counter.run(lambda: 100)
    return Queues(stand.registry, table, stand.queues, prices, runtime=noon)


def ended(status: str, *, ran: int, age: int = 0, **fields: Any) -> str:
    """A job that waited for an hour, and then ran for so many; `age` in hours."""
    stopped = NOON - age * HOUR
    started = stopped - ran * HOUR
    return a_body(
        jobId=a_job_id(),
        status=status,
        at=stopped,
        createdAt=started - HOUR,
        container=CONTAINER,
        attempts=[{"startedAt": started, "stoppedAt": stopped, "container": {"exitCode": 1}}],
        **fields,
    )


def test_a_queue_shows_its_counts_and_what_became_of_its_jobs(stand: RecorderHarness) -> None:
    """2 vCPUs and 4 GB for 3 + 1 hours are 8 vCPU-hours at 0.04 and 16 GB-hours at 0.005."""
    stand.record(
        [
            ended("SUCCEEDED", ran=3),
            ended("FAILED", ran=1),
            ended("SUCCEEDED", ran=5, age=48),
            a_body(status="RUNNABLE"),
        ]
    )

    queue = counted(stand).one("high-priority", {}, ALL)

    day = queue.last_day
    assert (queue.as_of, queue.counts_are_at_least, queue.blocked) == (
        "2026-05-28T20:26:40.000Z",
        False,
        None,
    )
    assert queue.counts == {
        "SUBMITTED": 0,
        "PENDING": 0,
        "RUNNABLE": 1,
        "SCHEDULED": 0,
        "STARTING": 0,
        "RUNNING": 0,
    }
    assert (day.succeeded, day.failed, day.causes) == (1, 1, {"EXIT_CODE": 1})
    assert (day.use.vcpu_hours, day.use.gb_hours, day.use.wasted.vcpu_hours) == (8, 16, 2)
    assert day.cost
    assert (day.cost.estimate, day.cost.wasted, day.cost.currency) == (0.4, 0.1, "USD")
    assert day.wait_seconds
    assert day.run_seconds
    assert day.wait_seconds.p50 == pytest.approx(3_600, rel=0.05)
    assert [day.run_seconds.p50, day.run_seconds.p99] == pytest.approx([3_600, 10_800], rel=0.05)


def test_its_hours_and_days_are_all_there_newest_last(stand: RecorderHarness) -> None:
    stand.record([ended("SUCCEEDED", ran=1, age=age) for age in (0, 0, 23, 24, 29 * 24, 40 * 24)])

    queue = counted(stand).one("high-priority", {}, ALL)

    hours, days = queue.hours, queue.days
    assert (len(hours), len(days)) == (24, 30)
    assert (hours[-1].hour, hours[-1].succeeded) == ("2026-05-28T20:00:00.000Z", 2)
    assert (hours[0].hour, hours[0].succeeded) == ("2026-05-27T21:00:00.000Z", 1)
    assert [hour.wait_seconds is None for hour in hours] == [False, *[True] * 22, False]
    assert (days[-1].day, days[-1].succeeded) == ("2026-05-28", 2)
    assert (days[-2].succeeded, days[0].day, days[0].succeeded) == (2, "2026-04-29", 1)
    assert days[-1].cost
    assert days[-1].cost.estimate == 2 * 0.1


def test_no_cost_is_told_where_no_use_is_known(stand: RecorderHarness) -> None:
    """A service job tells of no resources; its queue cost something all the same."""
    stand.record([a_service_body(status="SUCCEEDED", at=NOON - HOUR, stoppedAt=NOON - HOUR)])

    day = counted(stand).one("training", {}, ALL).last_day

    assert (day.succeeded, day.cost) == (1, None)


def test_a_queue_that_was_not_counted_yet_says_so(api: Api) -> None:
    api.record(a_body())

    [queue] = api.get("/queues").body["queues"]

    assert (queue["jobQueue"], queue["asOf"]) == ("high-priority", None)
    assert queue["lastDay"] == {
        "succeeded": 0,
        "failed": 0,
        "causes": {},
        "waitSeconds": None,
        "runSeconds": None,
        "use": {**NOTHING, "wasted": NOTHING},
        "cost": None,
    }


def test_a_blocked_queue_says_why(stand: RecorderHarness) -> None:
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"
    blocked = Blocked(
        since=NOON - HOUR, last_seen=NOON, job_id="4c75", job_name="align", reason=reason
    )
    stand.record([a_body()])
    stand.queues.save("high-priority", QueueState(watched_since=0, blocked=blocked), 0)

    [listed] = counted(stand).all({}, ALL).queues
    alone = counted(stand).one("high-priority", {}, ALL)

    assert listed.blocked == alone.blocked
    assert listed.blocked is not None
    assert listed.blocked.since == "2026-05-28T19:26:40.000Z"
    assert listed.blocked.last_seen == "2026-05-28T20:26:40.000Z"
    assert (listed.blocked.reason, listed.blocked.job_id) == (reason, "4c75")
    assert listed.blocked.cause == "no instance type is large enough for the job"


def test_a_token_sees_its_own_queues_and_the_others_do_not_exist(api: Api) -> None:
    api.allow("spot only", ["spot-*"])
    api.record(a_body(jobQueue=QUEUE_OF("spot-1")), a_body(jobQueue=QUEUE_OF("gpu")))

    listed = api.get("/queues", token="spot only").body["queues"]

    assert [queue["jobQueue"] for queue in listed] == ["spot-1"]
    assert api.get("/queues/spot-1", token="spot only").status == 200
    unseen, unheard = (api.get(f"/queues/{name}", token="spot only") for name in ("gpu", "spot-2"))
    assert (unseen.status, unheard.status) == (404, 404)
    assert unseen.body["Message"] == "no job of a queue gpu was heard of"
    assert unheard.body["Message"] == "no job of a queue spot-2 was heard of"


def test_a_queue_takes_no_parameters(api: Api) -> None:
    answer = api.get("/queues?status=FAILED")

    assert (answer.status, answer.body["Message"]) == (
        400,
        "status: no such parameter. There is none",
    )


@pytest.mark.parametrize("jobs", [1, 300])
def test_the_requests_are_few_whatever_there_is(api: Api, jobs: int) -> None:
    api.record(*(ended("FAILED", ran=1, age=n % 90) for n in range(jobs)), a_body())
    api.count()

    assert api.requests("/queues") == {"Query": 1, "BatchGetItem": 2}
    assert api.requests("/queues/high-priority") == {"Query": 3, "BatchGetItem": 2}


def test_the_sweep_of_the_app_counts(api: Api) -> None:
    api.record(a_body(status="RUNNING"), a_body(status="RUNNING"))

    api.count()

    [queue] = api.get("/queues").body["queues"]
    assert queue["counts"]["RUNNING"] == 2
    assert queue["asOf"] is not None


# On a terminal, and in a spreadsheet


def test_queues_are_a_table_on_a_terminal(stand: RecorderHarness) -> None:
    stand.record([ended("SUCCEEDED", ran=3), ended("FAILED", ran=1), a_body(status="RUNNABLE")])

    queues = counted(stand)

    heads, row, *_ = written(queues.all({}, ALL), TEXT).splitlines()
    assert heads.split() == [
        *("QUEUE", "WAITING", "RUNNING", "SUCCEEDED", "FAILED", "WAIT", "RUN", "COST")
    ]
    assert row.split()[:5] == ["high-priority", "1", "0", "1", "1"]
    assert row.endswith("0.40 USD")
    page = written(queues.one("high-priority", {}, ALL), TEXT)
    assert "last 24 h  1 succeeded, 1 failed (1 EXIT_CODE)\n" in page
    assert "cost       about 0.4 USD (an estimate), 0.1 of it wasted\n" in page
    assert page.splitlines()[-1].split()[:3] == ["2026-05-28", "1", "1"]


def test_queues_are_csv_for_a_spreadsheet(api: Api) -> None:
    api.record(a_body(status="RUNNING"))
    api.count()

    response = api.response("/queues", accept="text/csv")

    [row] = csv.DictReader(io.StringIO(response.body.decode()))
    assert (row["jobQueue"], row["RUNNING"], row["failed"]) == ("high-priority", "1", "0")
    assert api.response("/queues", accept="text/plain").body.startswith(b"QUEUE")
