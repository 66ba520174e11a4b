"""The routes of queues: what the sweep counted, within the scope of the token."""

import csv
import io
import json
from typing import Any

import pytest

from chalicelib import table_keys
from chalicelib.api.access import Scope
from chalicelib.api.formats.media import TEXT, encode
from chalicelib.api.parameters.page_token import PageTokens
from chalicelib.api.parameters.queries import QueuesQuery
from chalicelib.api.queues import Queues
from chalicelib.aws.dynamodb import Table
from chalicelib.jobs.prices import Prices
from chalicelib.jobs.waiting.queue_environment import (
    ConsumableResource,
    Environment,
    HeadJob,
    QueueEnvironment,
    QueueHead,
    QuotaShare,
)
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stats_table import QueueStatsTable
from chalicelib.queues.stuck.bulk_incident import BulkIncident, NamedJob
from chalicelib.queues.stuck.overdue import StuckJob
from chalicelib.runtime import Runtime
from chalicelib.sweep.count.queue_counter import QueueCounter
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id, a_service_body
from tests.support.recorder_harness import RecorderHarness

HOUR = 3_600_000
ALL = Scope(("*",))
DEFINITION_OF = "arn:aws:batch:us-east-1:000000000000:job-definition/{}".format
QUEUE_OF = "arn:aws:batch:us-east-1:000000000000:job-queue/{}".format
CONTAINER = {
    "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}]
}
PRICES = Prices.parse('[[prices]]\nqueues = ["high-*"]\nvcpuHour = 0.04\ngbHour = 0.005')


def counted(harness: RecorderHarness, prices: Prices = PRICES) -> Queues:
    """Return the queues after a sweep at noon."""
    table = QueueStatsTable(harness.dynamodb, harness.resources.jobs_table)
    noon = Runtime(now=lambda: NOON / 1000)
    counter = QueueCounter(harness.index, harness.registry, table, lambda tally: None, runtime=noon)
    counter.run(lambda: 100)
    environments = harness.container.environment_table
    tokens = PageTokens(lambda: b"key")
    return Queues(
        harness.registry, table, harness.queues, environments, prices, tokens, runtime=noon
    )


def ended(status: str, *, ran: int, age: int = 0, **fields: Any) -> str:
    """Return an event of a job that waited for one hour, ran for `ran` hours and ended `age` hours
    before noon."""
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


def test_a_queue_has_its_counts_and_the_results_of_its_last_day(harness: RecorderHarness) -> None:
    """2 vCPUs and 4 GB for 3 + 1 hours are 8 vCPU-hours at 0.04 and 16 GB-hours at 0.005."""
    harness.record(
        [
            ended("SUCCEEDED", ran=3),
            ended("FAILED", ran=1, jobDefinition=DEFINITION_OF("align:7")),
            ended("SUCCEEDED", ran=5, age=48),
            a_body(status="RUNNABLE"),
        ]
    )

    queue = counted(harness).get("high-priority", ALL)

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
    assert day.definitions == {"align": 1}
    assert (day.usage.vcpu_hours, day.usage.gb_hours, day.usage.wasted.vcpu_hours) == (8, 16, 2)
    assert day.cost
    assert (day.cost.estimate, day.cost.wasted, day.cost.currency) == (0.4, 0.1, "USD")
    assert day.wait_seconds
    assert day.run_seconds
    assert day.wait_seconds.p50 == pytest.approx(3_600, rel=0.05)
    assert [day.run_seconds.p50, day.run_seconds.p99] == pytest.approx([3_600, 10_800], rel=0.05)


def test_a_queue_has_24_hours_and_30_days_oldest_first(harness: RecorderHarness) -> None:
    harness.record([ended("SUCCEEDED", ran=1, age=age) for age in (0, 0, 23, 24, 29 * 24, 40 * 24)])

    queue = counted(harness).get("high-priority", ALL)

    hours, days = queue.hours, queue.days
    assert (len(hours), len(days)) == (24, 30)
    assert (hours[-1].hour, hours[-1].succeeded) == ("2026-05-28T20:00:00.000Z", 2)
    assert (hours[0].hour, hours[0].succeeded) == ("2026-05-27T21:00:00.000Z", 1)
    assert [hour.wait_seconds is None for hour in hours] == [False, *[True] * 22, False]
    assert (days[-1].day, days[-1].succeeded) == ("2026-05-28", 2)
    assert (days[-2].succeeded, days[0].day, days[0].succeeded) == (2, "2026-04-29", 1)
    assert days[-1].wait_seconds
    assert days[-3].wait_seconds is None
    assert days[-1].cost
    assert days[-1].cost.estimate == 2 * 0.1


def test_the_cost_is_unknown_if_no_usage_is_recorded(harness: RecorderHarness) -> None:
    """The events of a service job contain no resources, yet the job does cost something."""
    harness.record([a_service_body(status="SUCCEEDED", at=NOON - HOUR, stoppedAt=NOON - HOUR)])

    day = counted(harness).get("training", ALL).last_day

    assert (day.succeeded, day.cost) == (1, None)


def test_a_queue_that_was_not_counted_yet_has_no_as_of(api: Api) -> None:
    api.record(a_body())

    [queue] = api.get("/queues").body["queues"]

    assert queue == {
        "jobQueue": "high-priority",
        **dict.fromkeys(("asOf", "counts", "oldestWaiting", "lastDay", "dayBefore", "blocked")),
        "countsAreAtLeast": False,
        "incidents": [],
        "hours": [],
    }
    [row] = csv.DictReader(io.StringIO(api.response("/queues", accept="text/csv").body.decode()))
    assert (row["RUNNABLE"], row["failed"]) == ("", "")
    text = api.response("/queues", accept="text/plain").body.decode().splitlines()
    assert text[1].split() == ["high-priority", "-", "-", "-", "-"]


def test_a_queue_has_its_oldest_waiting_job_its_hours_and_the_day_before(
    harness: RecorderHarness,
) -> None:
    harness.record([ended("SUCCEEDED", ran=1, age=age) for age in (0, 0, 23, 24, 25, 48)])
    harness.record([ended("FAILED", ran=1, age=age) for age in (1, 47)])
    harness.record([a_body(at=NOON - hours * HOUR) for hours in (2, 5, 3)])
    harness.record([a_body(status="RUNNING", at=NOON - 9 * HOUR)])

    counted(harness)
    [queue] = counted(harness).page(QueuesQuery(), ALL).queues

    assert queue.oldest_waiting == "2026-05-28T15:26:40.000Z"
    assert [hour.hour for hour in queue.hours[:2]] == [
        "2026-05-27T21:00:00.000Z",
        "2026-05-27T22:00:00.000Z",
    ]
    ends = [(hour.succeeded, hour.failed) for hour in queue.hours]
    assert (len(ends), ends[0], ends[-2], ends[-1]) == (24, (1, 0), (0, 1), (2, 0))
    assert queue.day_before is not None
    assert (queue.day_before.succeeded, queue.day_before.failed) == (2, 1)


def test_open_incidents_are_listed_the_gravest_first(harness: RecorderHarness) -> None:
    bulk = BulkIncident(
        status="RUNNABLE",
        cause="no capacity",
        since=NOON,
        jobs=61,
        longest=NamedJob("4c75", "align"),
        longest_since=NOON - 5 * HOUR,
        reported_at=NOON,
        reported_jobs=12,
    )
    state = QueueState(
        watched_since=0,
        blocked=Blocked(since=NOON - HOUR, last_seen=NOON, job_id="77ab", job_name="head"),
        missing_events=MissingEvents(since=NOON, last_event_at=NOON - 3 * HOUR, changes=4),
        bulk_incidents=(bulk,),
        stuck=(
            StuckJob(job_id="9e01", status="RUNNING", generation=0),
            StuckJob(job_id="9e02", status="RUNNING", generation=0),
        ),
    )
    harness.record([a_body()])
    harness.queues.save("high-priority", state, 0)

    queues = counted(harness).page(QueuesQuery(), ALL)

    [queue] = queues.queues
    assert [
        (each.kind, each.since, each.status, each.jobs, each.job_id) for each in queue.incidents
    ] == [
        ("QUEUE_BLOCKED", "2026-05-28T19:26:40.000Z", None, None, "77ab"),
        ("EVENTS_MISSING", "2026-05-28T17:26:40.000Z", None, None, None),
        ("STUCK", "2026-05-28T15:26:40.000Z", "RUNNABLE", 61, "4c75"),
        ("STUCK", None, "RUNNING", 1, "9e01"),
        ("STUCK", None, "RUNNING", 1, "9e02"),
    ]
    assert [each.reported_jobs for each in queue.incidents] == [None, None, 12, None, None]
    row = encode(queues, TEXT).splitlines()[1]
    assert row.endswith(
        "  blocked; events are missing; 61 stuck in RUNNABLE: no capacity; 2 stuck in RUNNING"
    )


def test_a_blocked_queue_explains_why(harness: RecorderHarness) -> None:
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"
    blocked = Blocked(
        since=NOON - HOUR, last_seen=NOON, job_id="4c75", job_name="align", reason=reason
    )
    harness.record([a_body()])
    harness.queues.save("high-priority", QueueState(watched_since=0, blocked=blocked), 0)

    [listed] = counted(harness).page(QueuesQuery(), ALL).queues
    alone = counted(harness).get("high-priority", ALL)

    assert listed.blocked == alone.blocked
    assert listed.blocked is not None
    assert listed.blocked.since == "2026-05-28T19:26:40.000Z"
    assert listed.blocked.last_seen == "2026-05-28T20:26:40.000Z"
    assert (listed.blocked.reason, listed.blocked.job_id) == (reason, "4c75")
    assert listed.blocked.cause == "no instance type is large enough for the job"


def test_a_token_sees_its_queues_and_gets_a_404_for_all_others(api: Api) -> None:
    api.allow("spot only", ["spot-*"])
    api.record(a_body(jobQueue=QUEUE_OF("spot-1")), a_body(jobQueue=QUEUE_OF("gpu")))

    listed = api.get("/queues", token="spot only").body["queues"]

    assert [queue["jobQueue"] for queue in listed] == ["spot-1"]
    assert api.get("/queues/spot-1", token="spot only").status == 200
    not_covered, unknown = (
        api.get(f"/queues/{name}", token="spot only") for name in ("gpu", "spot-2")
    )
    assert (not_covered.status, unknown.status) == (404, 404)
    assert not_covered.body["Message"] == "queue gpu not found"
    assert unknown.body["Message"] == "queue spot-2 not found"


def test_queues_after_the_500th_are_on_another_page(harness: RecorderHarness, api: Api) -> None:
    names = [f"q-{number:03}" for number in range(501)]
    rows = [table_keys.registered_queue(name) for name in [*names, "other"]]
    Table(harness.dynamodb, harness.resources.jobs_table).put(rows)
    api.allow("q", ["q-*"])

    first = api.response("/queues", token="q")
    page = json.loads(first.body)
    token = page["nextToken"]
    last = api.get(f"/queues?nextToken={token}", token="q").body

    assert [queue["jobQueue"] for queue in page["queues"]] == names[:500]
    assert [queue["jobQueue"] for queue in last["queues"]] == names[500:]
    assert last["nextToken"] is None
    assert first.headers["X-Next-Token"] == token
    assert first.headers["Link"] == f'<?nextToken={token}>; rel="next"'
    text = api.response("/queues", token="q", accept="text/plain").body.decode()
    assert text.endswith(f"Next page: nextToken={token}\n")


def test_a_page_token_of_queues_is_signed_and_bound_to_the_route(api: Api) -> None:
    for path in ("/queues", "/jobs"):
        answer = api.get(f"{path}?nextToken={api.container.page_tokens.issue('q', 'other')}")

        assert (answer.status, answer.body["Parameter"]) == (400, "nextToken")


def test_a_queue_takes_no_parameters(api: Api) -> None:
    answer = api.get("/queues/high?status=FAILED")

    assert (answer.status, answer.body["Message"]) == (
        400,
        "status: unknown parameter; this route has no parameters",
    )


@pytest.mark.parametrize("jobs", [1, 300])
def test_the_number_of_requests_does_not_depend_on_the_number_of_jobs(api: Api, jobs: int) -> None:
    api.record(*(ended("FAILED", ran=1, age=n % 90) for n in range(jobs)), a_body())
    api.count()

    assert api.requests("/queues") == {"Query": 1, "BatchGetItem": 2}
    expected = {"Query": 2, "GetItem": 1, "BatchGetItem": 3}
    assert api.requests("/queues/high-priority") == expected


def test_a_sweep_counts_the_jobs_of_a_queue(api: Api) -> None:
    api.record(a_body(status="RUNNING"), a_body(status="RUNNING"))

    api.count()

    [queue] = api.get("/queues").body["queues"]
    assert queue["counts"]["RUNNING"] == 2
    assert queue["asOf"] is not None


# As text and CSV


def test_queues_are_a_table_as_text(harness: RecorderHarness) -> None:
    harness.record([ended("SUCCEEDED", ran=3), a_body(status="RUNNABLE")])
    harness.record([ended("FAILED", ran=1, jobDefinition=DEFINITION_OF("align:7"))])
    invalid = Environment(name="spot-b", status="INVALID", reason="CLIENT_ERROR - no such role")
    usable = Environment(name="spot-a", type="SPOT", desired_vcpus=8, max_vcpus=64)
    environment = QueueEnvironment(
        as_of=NOON,
        environments=(usable, invalid),
        consumables=(ConsumableResource("licence", 0, 10),),
        shares=(QuotaShare(name="team-a", unit="ml.m5.large", in_use=3, most=4),),
    )
    head = QueueHead(NOON, tuple(HeadJob(a_job_id(), NOON - HOUR) for _ in range(7)))
    harness.container.environment_table.put({"high-priority": environment}, {"high-priority": head})

    queues = counted(harness)

    heads, row, *_ = encode(queues.page(QueuesQuery(), ALL), TEXT).splitlines()
    assert heads.split() == [
        *("QUEUE", "WAITING", "RUNNING", "SUCCEEDED", "FAILED", "WAIT", "RUN", "COST"),
        "PROBLEM",
    ]
    assert row.split()[:5] == ["high-priority", "1", "0", "1", "1"]
    assert row.endswith("0.40 USD")
    page = encode(queues.get("high-priority", ALL), TEXT)
    assert "last 24 h  1 succeeded, 1 failed (1 EXIT_CODE)\n" in page
    assert "cost       about 0.4 USD (estimate), 0.1 of it wasted\n" in page
    assert "failed     1 of align\n" in page
    assert "state      ENABLED, VALID\n" in page
    assert "  spot-a  SPOT  8 of 64       ENABLED, VALID\n" in page
    assert "  spot-b                      ENABLED, INVALID: CLIENT_ERROR - no such role\n" in page
    assert "  licence: 0 of 10 available\n" in page
    assert "  team-a: ENABLED, 3 of 4 ml.m5.large\n" in page
    assert page.count("2026-05-28 19:26:40\n") == 5
    day = page.splitlines()[-1]
    assert day.split()[:3] == ["2026-05-28", "1", "1"]
    assert "  57 min 56 s  57 min 56 s  " in day
    assert max(map(len, page.splitlines())) <= 100


def test_queues_are_available_as_csv(api: Api) -> None:
    api.record(a_body(status="RUNNING"))
    api.count()

    response = api.response("/queues", accept="text/csv")

    [row] = csv.DictReader(io.StringIO(response.body.decode()))
    assert (row["jobQueue"], row["RUNNING"], row["failed"]) == ("high-priority", "1", "0")
    assert api.response("/queues", accept="text/plain").body.startswith(b"QUEUE")
