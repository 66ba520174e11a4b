"""The recorder with the table and queues of the local AWS: batches in, records out."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.errors import MessagesLeft
from chalicelib.jobs.job_index import StatusPartition
from chalicelib.jobs.job_table import Change
from chalicelib.runtime import Runtime
from local.aws import LocalAws, Resources
from local.workload import workload
from tests.support.builders import (
    NOON,
    a_body,
    a_job_id,
    a_message,
    an_attempt,
    an_event,
    bodies_of,
)
from tests.support.recorder_harness import RecorderHarness

DAY = 86_400


def test_the_events_of_a_job_are_stored_as_its_history(harness: RecorderHarness) -> None:
    job_id = a_job_id()
    statuses = ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    bodies = [a_body(jobId=job_id, status=s, at=NOON + n * 1000) for n, s in enumerate(statuses)]

    tally = harness.record(bodies)

    assert [entry.status for entry in harness.job(job_id).history] == statuses
    assert (tally.received, tally.recorded, tally.unchanged) == (4, 4, 0)


def test_every_simulated_job_is_recorded_with_its_true_history(harness: RecorderHarness) -> None:
    work = workload(seed=7, jobs=400, start=NOON)
    bodies = bodies_of(work)

    for start in range(0, len(bodies), 500):
        harness.record(bodies[start : start + 500])

    for job_id, truth in work.expected.items():
        job = harness.job(job_id)
        assert [(t.status, t.attempt) for t in job.history] == list(truth.history), job_id
        assert job.queue == truth.queue


def test_no_planted_secret_is_stored_or_printed(
    harness: RecorderHarness, capfd: pytest.CaptureFixture[str]
) -> None:
    work = workload(seed=8, jobs=400, start=NOON)
    bodies = bodies_of(work)

    for start in range(0, len(bodies), 500):
        harness.record(bodies[start : start + 500])

    stored_or_printed = json.dumps(harness.items(), default=str) + "".join(capfd.readouterr())
    assert any(secret in "".join(bodies) for secret in work.secrets), "no secrets were planted"
    assert [secret for secret in work.secrets if secret in stored_or_printed] == []


def test_a_batch_of_new_jobs_needs_few_requests(harness: RecorderHarness) -> None:
    jobs = [a_job_id() for _ in range(250)]

    harness.record([a_body(jobId=job_id) for job_id in jobs])

    assert harness.requests["BatchGetItem"] == 3
    assert harness.requests["BatchExecuteStatement"] == 10, "one for each 25 records"
    assert harness.requests["BatchWriteItem"] == 12, (
        "250 descriptions, the queue and its last event"
    )
    assert sum(harness.requests.values()) == 25


def test_an_event_of_a_known_job_writes_only_its_record(harness: RecorderHarness) -> None:
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id)])
    harness.requests.clear()

    harness.record([a_body(jobId=job_id, status="STARTING")])

    assert harness.requests == {"BatchGetItem": 1, "BatchExecuteStatement": 1}


def test_the_children_of_an_array_share_one_description(harness: RecorderHarness) -> None:
    root = a_job_id()
    container = {"image": "busybox", "command": ["sort", "--all"]}

    harness.record([a_body(jobId=f"{root}:{n}", container=container) for n in range(100)])

    assert sum(item["sk"]["S"].startswith("SPEC#") for item in harness.items()) == 1


def test_duplicates_write_nothing(harness: RecorderHarness) -> None:
    bodies = bodies_of(workload(seed=9, jobs=100, start=NOON))[:500]
    again = [json.dumps(json.loads(body) | {"id": "another"}) for body in bodies]
    harness.record(bodies)
    before = harness.items()
    harness.requests.clear()

    tally = harness.record(again)

    assert tally.unchanged == len(again)
    assert set(harness.requests) == {"BatchGetItem"}
    assert harness.items() == before


_BAD = {
    "not JSON": ("hello", "not JSON"),
    "empty": ("", "empty"),
    "blank": ("  ", "not JSON"),
    "binary": ("\x00\x01\x02\ufffe", "not JSON"),
    "lone surrogate": ('{"a": "\ud800"}', "lone surrogate"),
    "null": ("null", "Expected `object`, got `null`"),
    "a list": ("[]", "Expected `object`, got `array`"),
    "a number": ("17", "Expected `object`, got `int`"),
    "NaN": ('{"time": NaN}', "not JSON"),
    "nested 10,000 deep": ('{"x":' * 10_000 + "1" + "}" * 10_000, "nested too deeply"),
    "1 MB": ("x" * 1_048_576, "not JSON"),
    "1 MB of JSON": (json.dumps({"x": "é" * 524_000}), "missing required field"),
    "no detail": (json.dumps({**an_event(), "detail": None}), "at `$.detail`"),
    "wrong source": (json.dumps({**an_event(), "source": "aws.ec2"}), "source is not one of"),
    "wrong account": (json.dumps({**an_event(), "account": "1"}), "account is not 000000000000"),
    "wrong time": (json.dumps({**an_event(), "time": 7}), "`$.time`"),
    "no job id": (a_body(jobId=None), "`$.detail.jobId`"),
    "empty job id": (a_body(jobId=""), "jobId is not a Batch job id"),
    "wrong type": (a_body(attempts="none"), "`$.detail.attempts`"),
    "no status": (a_body(status=""), "status is empty"),
    "no queue": (a_body(jobQueue="?"), "jobQueue is neither"),
    "a number as job id": (a_body(jobId=10**30), "`$.detail.jobId`"),
}


def test_malformed_messages_are_dead_lettered_with_reasons_and_delay_no_others(
    harness: RecorderHarness,
) -> None:
    good = [a_message() for _ in range(100)]
    bad = {name: a_message(body) for name, (body, _) in _BAD.items()}
    mixed = [message for pair in zip(good, [*bad.values()], strict=False) for message in pair]

    tally = harness.record([*mixed, *good[len(bad) :]])

    assert (tally.recorded, tally.dead_lettered) == (100, len(_BAD))
    assert len(harness.records()) == 100
    reasons = {
        letter["MessageAttributes"]["MessageId"]["StringValue"]: letter["MessageAttributes"]
        for letter in harness.dead_letters()
    }
    assert len(reasons) == len(_BAD)
    for name, (_, reason) in _BAD.items():
        assert reason in reasons[bad[name].message_id]["Reason"]["StringValue"], name


def test_an_impossible_date_costs_the_date_and_not_the_event(harness: RecorderHarness) -> None:
    tally = harness.record([a_body(jobId="huge", createdAt=10**30)])

    assert (tally.recorded, tally.dead_lettered) == (1, 0)
    assert harness.job("huge").details.created_at is None


def test_a_body_too_large_for_the_dead_letter_queue_is_cut_and_its_digest_added(
    harness: RecorderHarness,
) -> None:
    harness.record(["x" * 1_048_576])

    (letter,) = harness.dead_letters()
    attributes = {n: a["StringValue"] for n, a in letter["MessageAttributes"].items()}
    assert attributes["BodyCut"] == "true"
    assert attributes["BodyBytes"] == "1048576"
    assert len(attributes["BodySha256"]) == 64
    assert len(letter["Body"]) > 1_000_000


def test_events_of_other_types_are_counted_and_acknowledged(harness: RecorderHarness) -> None:
    other = json.dumps(an_event() | {"detail-type": "Batch Compute Environment", "detail": {}})

    tally = harness.record([other, a_body()])

    assert (tally.other, tally.recorded, tally.dead_lettered) == (1, 1, 0)


def a_blocked_body(at: int, **fields: Any) -> str:
    return json.dumps(an_event(at=at, **fields) | {"detail-type": "Batch Job Queue Blocked"})


def test_blocked_events_are_stored_once_in_any_order_and_number(
    harness: RecorderHarness,
) -> None:
    same_job = a_job_id()
    bodies = [
        a_blocked_body(NOON, jobId=same_job, statusReason="CAPACITY --password hunter2"),
        a_blocked_body(NOON, jobId=same_job, statusReason="UNDETERMINED"),
        a_blocked_body(NOON + 1_000),
    ]

    tally = harness.record(bodies)
    stored = harness.queues.blocked_events("high-priority", 0)
    harness.record([*reversed(bodies), *bodies])

    assert (tally.blocked, tally.recorded) == (3, 0)
    assert harness.queues.blocked_events("high-priority", 0) == stored
    assert [event.at for event in stored] == [NOON + 1_000, NOON, NOON]
    assert "hunter2" not in json.dumps(harness.items())
    assert all("expiresAt" in item for item in harness.items() if "blocked_event" in item)


def test_a_blocked_event_that_cannot_be_stored_is_retried(
    aws: LocalAws, resources: Resources
) -> None:
    nowhere = RecorderHarness(aws, replace(resources, jobs_table="gone"))

    with pytest.raises(MessagesLeft):
        nowhere.record([a_blocked_body(NOON)])


def test_the_time_of_a_queues_last_event_is_stored_at_most_once_a_minute(
    aws: LocalAws, resources: Resources
) -> None:
    clock = {"now": NOON / 1000}
    harness = RecorderHarness(aws, resources, runtime=Runtime(now=lambda: clock["now"]))
    stored = []
    for seconds in (0, 59, 1, 3_600):
        clock["now"] += seconds
        harness.record([a_body()])
        stored.append(harness.queues.load(["high-priority"])["high-priority"].last_event_at - NOON)

    assert stored == [0, 0, 60_000, 3_660_000]


def test_only_the_messages_of_an_unreadable_record_are_dead_lettered(
    harness: RecorderHarness,
) -> None:
    unreadable, readable = a_job_id(), a_job_id()
    harness.record([a_body(jobId=unreadable)])
    harness.aws.dynamodb.update_item(
        TableName=harness.resources.jobs_table,
        Key={"pk": {"S": f"JOB#{unreadable}"}, "sk": {"S": "JOB"}},
        UpdateExpression="SET #record = :nonsense",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":nonsense": {"S": "{}"}},
    )

    tally = harness.record([a_body(jobId=unreadable, status="RUNNING"), a_body(jobId=readable)])

    assert (tally.dead_lettered, tally.recorded) == (1, 1)
    assert harness.job(readable).status == "RUNNABLE"


def test_only_the_messages_of_a_record_over_dynamodbs_size_limit_are_dead_lettered(
    harness: RecorderHarness,
) -> None:
    huge, small = a_job_id(), a_job_id()
    harness.record([a_body(jobId=huge, status=f"{number:0>190}") for number in range(1_900)])
    more = [a_body(jobId=huge, status=f"{number:x>190}") for number in range(100)]

    tally = harness.record([*more, a_body(jobId=small)])

    assert (tally.dead_lettered, tally.recorded) == (100, 1)
    assert len(harness.job(huge).history) == 1_900, "the stored record is unchanged"


def test_only_ended_jobs_expire_and_their_descriptions_with_them(
    aws: LocalAws, resources: Resources
) -> None:
    harness = RecorderHarness(aws, resources, retention_days=30)
    ended, running = a_job_id(), a_job_id()

    harness.record([a_body(jobId=running, status="RUNNING"), a_body(jobId=ended, status="RUNNING")])
    harness.record([a_body(jobId=ended, status="FAILED", at=NOON)])

    expiries = {item["pk"]["S"]: item.get("expiresAt") for item in harness.items()}
    assert expiries[f"JOB#{ended}"] == {"N": str(NOON // 1000 + 30 * 86_400)}
    assert expiries[f"JOB#{running}"] is None
    of_ended = [item for item in harness.items() if item["pk"]["S"] == f"JOB#{ended}"]
    assert len(of_ended) == 2
    assert all("expiresAt" in item for item in of_ended)


def test_a_restarted_node_no_longer_expires(aws: LocalAws, resources: Resources) -> None:
    harness = RecorderHarness(aws, resources, retention_days=30)
    node = f"{a_job_id()}#1"
    harness.record([a_body(jobId=node, status="FAILED", attempts=[an_attempt()])])

    harness.record([a_body(jobId=node, status="RUNNABLE", attempts=[an_attempt()] * 2)])

    (item,) = (item for item in harness.items() if item["sk"]["S"] == "NODE#001")
    assert "expiresAt" not in item


def test_an_expired_job_is_not_returned_before_dynamodb_deletes_it(
    aws: LocalAws, resources: Resources
) -> None:
    harness = RecorderHarness(aws, resources, retention_days=1)
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="FAILED", at=NOON - 5 * 86_400_000)])

    assert harness.table.get(job_id) is None
    assert harness.index.newest([StatusPartition("high-priority", "FAILED")], limit=10).jobs == []


def test_a_message_that_cannot_be_dead_lettered_is_retried(harness: RecorderHarness) -> None:
    url = harness.aws.queue_url(harness.resources.dead_letter_queue)
    harness.aws.sqs.delete_queue(QueueUrl=url)

    with pytest.raises(MessagesLeft, match="1 of 2 messages returned to the queue for retry"):
        harness.record(["nonsense", a_body()])

    assert harness.tallies[-1].recorded == 1


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "1969-12-31T23:59:59Z"]
)
def test_an_event_with_a_time_out_of_range_delays_no_others(
    harness: RecorderHarness, time: str
) -> None:
    invalid = json.dumps(an_event() | {"time": time})

    tally = harness.record([invalid, a_body(), a_body()])

    assert (tally.recorded, tally.dead_lettered) == (2, 1)
    assert tally.reasons == {"time is before 1970 or after 9999"}


def test_a_child_and_the_description_outlast_their_array(
    aws: LocalAws, resources: Resources
) -> None:
    harness = RecorderHarness(aws, resources, retention_days=1)
    root = a_job_id()

    harness.record([a_body(jobId=root, status="PENDING", arrayProperties={"size": 2})])
    harness.record([a_body(jobId=f"{root}:0", status="FAILED")])
    while_running = expiries(harness)
    harness.record([a_body(jobId=root, status="FAILED", arrayProperties={"size": 2})])
    after_its_end = expiries(harness)

    end = NOON // 1000 + DAY
    assert while_running["CHILD#00000"] == end + 60 * DAY
    assert while_running["SPEC"] in (None, end + 60 * DAY)
    assert after_its_end["JOB"] == after_its_end["SPEC"] == end
    assert after_its_end["CHILD#00000"] == end + 60 * DAY


def test_a_late_event_of_a_child_does_not_keep_the_description_for_ever(
    aws: LocalAws, resources: Resources
) -> None:
    root = a_job_id()
    RecorderHarness(aws, resources, retention_days=1).record([a_body(jobId=root, status="FAILED")])

    late = RecorderHarness(aws, resources, retention_days=1)
    late.record([a_body(jobId=f"{root}:1", status="RUNNABLE", at=NOON - 60_000)])

    expiry = expiries(late)["SPEC"]
    assert expiry is not None
    assert expiry >= NOON // 1000 + DAY


def test_the_description_of_a_node_expires(aws: LocalAws, resources: Resources) -> None:
    harness = RecorderHarness(aws, resources, retention_days=1)
    root = a_job_id()

    harness.record([a_body(jobId=f"{root}#1", status="RUNNING", container={"image": "worker:1"})])
    harness.record([a_body(jobId=f"{root}#1", status="FAILED", container={"image": "worker:1"})])

    assert expiries(harness)["SPEC"] == NOON // 1000 + 61 * DAY


def test_a_child_is_returned_as_long_as_its_array(aws: LocalAws, resources: Resources) -> None:
    harness = RecorderHarness(aws, resources, retention_days=1)
    root, now = a_job_id(), round(time.time()) * 1000
    child = f"{root}:0"
    harness.record([a_body(jobId=child, status="FAILED", at=now - 5 * DAY * 1000)])
    harness.record([a_body(jobId=root, status="PENDING", at=now - 5 * DAY * 1000)])

    while_running = harness.table.get(child)
    harness.record([a_body(jobId=root, status="FAILED", at=now - 2 * DAY * 1000)])

    assert while_running is not None
    assert harness.table.get(child) is None


def test_the_description_of_a_job_that_is_active_again_does_not_expire(
    aws: LocalAws, resources: Resources
) -> None:
    harness = RecorderHarness(aws, resources, retention_days=1)
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNABLE")])
    stored = harness.table.load([job_id], consistent=True).jobs[job_id]
    description = harness.table.describe(stored.job)
    harness.table.save([Change(stored.job.lost(), stored, description)])
    lost = expiries(harness)

    harness.record([a_body(jobId=job_id, status="RUNNING", at=NOON + 1_000)])

    assert set(lost.values()) == {NOON // 1000 + DAY}
    assert expiries(harness) == {"JOB": None, "SPEC": None}


def test_a_description_that_another_one_replaced_expires(
    aws: LocalAws, resources: Resources
) -> None:
    harness = RecorderHarness(aws, resources, retention_days=1)
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNABLE")])
    (first,) = (item["sk"]["S"] for item in harness.items() if item["sk"]["S"].startswith("SPEC"))

    harness.record([a_body(jobId=job_id, status="RUNNING", schedulingPriority=9)])

    found = {item["sk"]["S"]: "expiresAt" in item for item in harness.items()}
    assert found.pop(first)
    assert set(found.values()) == {False}


def expiries(harness: RecorderHarness) -> dict[str, int | None]:
    """Return the expiry of each item of a job by its sort key, or by its kind."""
    items = ((item["sk"]["S"], item.get("expiresAt", {}).get("N")) for item in harness.items())
    return {
        sort.partition("#")[0] if sort.startswith(("JOB", "SPEC")) else sort: at and int(at)
        for sort, at in items
        if sort.startswith(("JOB", "SPEC", "CHILD"))
    }


def test_a_job_with_as_much_text_as_an_event_can_contain_is_recorded(
    harness: RecorderHarness,
) -> None:
    wide = {f"key-{number}": "\U0001f600" * 1_024 for number in range(100)}
    job_id = a_job_id()

    tally = harness.record([a_body(jobId=job_id, parameters=wide, tags=wide)])

    assert (tally.recorded, tally.dead_lettered) == (1, 0)
