"""A batch in, records out: through the real table and queues of the local AWS."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.retries import disposition_for, retry_delay
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.job_index import StatusPartition
from chalicelib.runtime import Runtime
from local.aws import LocalAws, Resources
from local.lifecycles import workload
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


def test_a_jobs_events_become_its_record(stand: RecorderHarness) -> None:
    job_id = a_job_id()
    statuses = ["RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    bodies = [a_body(jobId=job_id, status=s, at=NOON + n * 1000) for n, s in enumerate(statuses)]

    tally = stand.record(bodies)

    assert [entry.status for entry in stand.job(job_id).history] == statuses
    assert (tally.received, tally.recorded, tally.unchanged) == (4, 4, 0)


def test_every_simulated_life_is_recorded_as_it_was(stand: RecorderHarness) -> None:
    work = workload(seed=7, jobs=400, start=NOON)
    bodies = bodies_of(work)

    for start in range(0, len(bodies), 500):
        stand.record(bodies[start : start + 500])

    for job_id, truth in work.truth.items():
        job = stand.job(job_id)
        assert [(t.status, t.attempt) for t in job.history] == list(truth.history), job_id
        assert job.queue == truth.queue


def test_no_planted_secret_is_anywhere_in_the_table(
    stand: RecorderHarness, capfd: pytest.CaptureFixture[str]
) -> None:
    work = workload(seed=8, jobs=400, start=NOON)
    bodies = bodies_of(work)

    for start in range(0, len(bodies), 500):
        stand.record(bodies[start : start + 500])

    kept = json.dumps(stand.items(), default=str) + "".join(capfd.readouterr())
    assert any(secret in "".join(bodies) for secret in work.secrets), "secrets were planted"
    assert [secret for secret in work.secrets if secret in kept] == []


def test_a_batch_makes_few_requests(stand: RecorderHarness) -> None:
    jobs = [a_job_id() for _ in range(250)]

    stand.record([a_body(jobId=job_id) for job_id in jobs])

    assert stand.requests["BatchGetItem"] == 3
    assert stand.requests["BatchExecuteStatement"] == 10, "one for 25 records"
    assert stand.requests["BatchWriteItem"] == 12, "250 descriptions, a queue, HEARD"
    assert sum(stand.requests.values()) == 25


def test_a_known_jobs_event_writes_its_record_only(stand: RecorderHarness) -> None:
    job_id = a_job_id()
    stand.record([a_body(jobId=job_id)])
    stand.requests.clear()

    stand.record([a_body(jobId=job_id, status="STARTING")])

    assert stand.requests == {"BatchGetItem": 1, "BatchExecuteStatement": 1}


def test_an_array_is_described_once(stand: RecorderHarness) -> None:
    root = a_job_id()
    container = {"image": "busybox", "command": ["sort", "--all"]}

    stand.record([a_body(jobId=f"{root}:{n}", container=container) for n in range(100)])

    assert sum(item["sk"]["S"].startswith("SPEC#") for item in stand.items()) == 1


def test_duplicates_write_nothing(stand: RecorderHarness) -> None:
    bodies = bodies_of(workload(seed=9, jobs=100, start=NOON))[:500]
    again = [json.dumps(json.loads(body) | {"id": "another"}) for body in bodies]
    stand.record(bodies)
    before = stand.items()
    stand.requests.clear()

    tally = stand.record(again)

    assert tally.unchanged == len(again)
    assert set(stand.requests) == {"BatchGetItem"}
    assert stand.items() == before


_BAD = {
    "not JSON": ("hello", "not JSON"),
    "empty": ("", "empty"),
    "blank": ("  ", "not JSON"),
    "binary": ("\x00\x01\x02\ufffe", "not JSON"),
    "half a character": ('{"a": "\ud800"}', "lone surrogate"),
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
    "a huge number": (a_body(createdAt=10**30), "`$.detail.createdAt`"),
}


def test_bad_messages_are_quarantined_with_reasons_and_hold_nothing_up(
    stand: RecorderHarness,
) -> None:
    good = [a_message() for _ in range(100)]
    bad = {name: a_message(body) for name, (body, _) in _BAD.items()}
    mixed = [message for pair in zip(good, [*bad.values()], strict=False) for message in pair]

    tally = stand.record([*mixed, *good[len(bad) :]])

    assert (tally.recorded, tally.quarantined) == (100, len(_BAD))
    assert len(stand.records()) == 100
    reasons = {
        letter["MessageAttributes"]["MessageId"]["StringValue"]: letter["MessageAttributes"]
        for letter in stand.dead_letters()
    }
    assert len(reasons) == len(_BAD)
    for name, (_, reason) in _BAD.items():
        assert reason in reasons[bad[name].message_id]["Reason"]["StringValue"], name


def test_a_body_too_large_for_the_dead_letter_queue_is_cut_and_its_digest_kept(
    stand: RecorderHarness,
) -> None:
    stand.record(["x" * 1_048_576])

    (letter,) = stand.dead_letters()
    attributes = {name: told["StringValue"] for name, told in letter["MessageAttributes"].items()}
    assert attributes["BodyCut"] == "true"
    assert attributes["BodyBytes"] == "1048576"
    assert len(attributes["BodySha256"]) == 64
    assert len(letter["Body"]) > 1_000_000


def test_events_about_other_things_are_counted_and_let_go(stand: RecorderHarness) -> None:
    other = json.dumps(an_event() | {"detail-type": "Batch Compute Environment", "detail": {}})

    tally = stand.record([other, a_body()])

    assert (tally.other, tally.recorded, tally.quarantined) == (1, 1, 0)


def a_sighting(at: int, **fields: Any) -> str:
    return json.dumps(an_event(at=at, **fields) | {"detail-type": "Batch Job Queue Blocked"})


def test_sightings_of_a_blocked_queue_are_the_same_in_any_order_and_number(
    stand: RecorderHarness,
) -> None:
    same_job = a_job_id()
    bodies = [
        a_sighting(NOON, jobId=same_job, statusReason="CAPACITY --password hunter2"),
        a_sighting(NOON, jobId=same_job, statusReason="UNDETERMINED"),
        a_sighting(NOON + 1_000),
    ]

    tally = stand.record(bodies)
    once = stand.queues.blocked_events("high-priority", 0)
    stand.record([*reversed(bodies), *bodies])

    assert (tally.blocked, tally.recorded) == (3, 0)
    assert stand.queues.blocked_events("high-priority", 0) == once
    assert [seen.at for seen in once] == [NOON + 1_000, NOON, NOON]
    assert "hunter2" not in json.dumps(stand.items())
    assert all("expiresAt" in item for item in stand.items() if "blocked_event" in item)


def test_a_sighting_that_cannot_be_stored_comes_again(aws: LocalAws, resources: Resources) -> None:
    nowhere = RecorderHarness(aws, replace(resources, jobs_table="gone"))

    with pytest.raises(MessagesLeft):
        nowhere.record([a_sighting(NOON)])


def test_that_a_queue_is_heard_of_is_noted_once_a_minute(
    aws: LocalAws, resources: Resources
) -> None:
    clock = {"now": NOON / 1000}
    stand = RecorderHarness(aws, resources, runtime=Runtime(now=lambda: clock["now"]))
    heard = []
    for seconds in (0, 59, 1, 3_600):
        clock["now"] += seconds
        stand.record([a_body()])
        heard.append(stand.queues.load(["high-priority"])["high-priority"].last_event_at - NOON)

    assert heard == [0, 0, 60_000, 3_660_000]


def test_a_record_that_cannot_be_read_quarantines_its_messages_only(stand: RecorderHarness) -> None:
    broken, sound = a_job_id(), a_job_id()
    stand.record([a_body(jobId=broken)])
    stand.aws.dynamodb.update_item(
        TableName=stand.resources.jobs_table,
        Key={"pk": {"S": f"JOB#{broken}"}, "sk": {"S": "JOB"}},
        UpdateExpression="SET #record = :nonsense",
        ExpressionAttributeNames={"#record": "record"},
        ExpressionAttributeValues={":nonsense": {"S": "{}"}},
    )

    tally = stand.record([a_body(jobId=broken, status="RUNNING"), a_body(jobId=sound)])

    assert (tally.quarantined, tally.recorded) == (1, 1)
    assert stand.job(sound).status == "RUNNABLE"


def test_a_job_whose_record_grows_beyond_what_dynamodb_takes_is_quarantined_alone(
    stand: RecorderHarness,
) -> None:
    endless, sound = a_job_id(), a_job_id()
    stand.record([a_body(jobId=endless, status=f"{number:0>190}") for number in range(1_900)])
    more = [a_body(jobId=endless, status=f"{number:x>190}") for number in range(100)]

    tally = stand.record([*more, a_body(jobId=sound)])

    assert (tally.quarantined, tally.recorded) == (100, 1)
    assert len(stand.job(endless).history) == 1_900, "what was stored is unharmed"


def test_only_ended_jobs_expire_with_their_descriptions(
    aws: LocalAws, resources: Resources
) -> None:
    stand = RecorderHarness(aws, resources, retention_days=30)
    ended, running = a_job_id(), a_job_id()

    stand.record([a_body(jobId=running, status="RUNNING"), a_body(jobId=ended, status="RUNNING")])
    stand.record([a_body(jobId=ended, status="FAILED", at=NOON)])

    expiries = {item["pk"]["S"]: item.get("expiresAt") for item in stand.items()}
    assert expiries[f"JOB#{ended}"] == {"N": str(NOON // 1000 + 30 * 86_400)}
    assert expiries[f"JOB#{running}"] is None
    of_ended = [item for item in stand.items() if item["pk"]["S"] == f"JOB#{ended}"]
    assert len(of_ended) == 2
    assert all("expiresAt" in item for item in of_ended)


def test_a_node_that_is_restarted_expires_no_more(aws: LocalAws, resources: Resources) -> None:
    stand = RecorderHarness(aws, resources, retention_days=30)
    node = f"{a_job_id()}#1"
    stand.record([a_body(jobId=node, status="FAILED", attempts=[an_attempt()])])

    stand.record([a_body(jobId=node, status="RUNNABLE", attempts=[an_attempt()] * 2)])

    (item,) = (item for item in stand.items() if item["sk"]["S"] == "NODE#001")
    assert "expiresAt" not in item


def test_an_expired_job_is_not_shown_though_it_may_still_be_there(
    aws: LocalAws, resources: Resources
) -> None:
    stand = RecorderHarness(aws, resources, retention_days=1)
    job_id = a_job_id()
    stand.record([a_body(jobId=job_id, status="FAILED", at=NOON - 5 * 86_400_000)])

    assert stand.table.get(job_id) is None
    assert stand.index.newest([StatusPartition("high-priority", "FAILED")], limit=10).jobs == []


def test_conflicts_are_tried_again_sooner_than_throttling() -> None:
    assert retry_delay(Outcome.CONFLICT, 1, 100, 1) == pytest.approx(0.02)
    assert retry_delay(Outcome.BUSY, 1, 100, 1) == pytest.approx(0.2)
    assert retry_delay(Outcome.BUSY, 5, 100, 1) == pytest.approx(2.0)


def test_nothing_is_tried_again_beyond_the_deadline_or_for_ever() -> None:
    assert retry_delay(Outcome.BUSY, 1, 0.05, 1) is None
    assert retry_delay(Outcome.BUSY, 6, 100, 1) is None
    assert retry_delay(Outcome.CONFLICT, 20, 100, 1) is None
    assert retry_delay(Outcome.OUTAGE, 1, 100, 1) is None
    assert retry_delay(Outcome.REFUSED, 1, 100, 1) is None


def test_in_an_outage_messages_stay_away_for_minutes() -> None:
    assert [disposition_for(Outcome.OUTAGE, jitter).retry_after for jitter in (0, 1)] == [120, 300]
    assert [disposition_for(Outcome.BUSY, jitter).retry_after for jitter in (0, 1)] == [5, 30]


def test_a_message_that_cannot_be_quarantined_comes_again(stand: RecorderHarness) -> None:
    url = stand.aws.queue_url(stand.resources.dead_letter_queue)
    stand.aws.sqs.delete_queue(QueueUrl=url)

    with pytest.raises(MessagesLeft, match="1 of 2 messages returned to the queue for retry"):
        stand.record(["nonsense", a_body()])

    assert stand.tallies[-1].recorded == 1


@pytest.mark.parametrize(
    "time", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "1969-12-31T23:59:59Z"]
)
def test_a_time_that_no_one_can_write_down_holds_nothing_up(
    stand: RecorderHarness, time: str
) -> None:
    odd = json.dumps(an_event() | {"time": time})

    tally = stand.record([odd, a_body(), a_body()])

    assert (tally.recorded, tally.quarantined) == (2, 1)
    assert tally.reasons == {"time is before 1970 or after 9999"}


def test_a_child_that_ends_does_not_let_its_arrays_description_expire(
    aws: LocalAws, resources: Resources
) -> None:
    stand = RecorderHarness(aws, resources, retention_days=1)
    root = a_job_id()

    stand.record([a_body(jobId=f"{root}:0", status="FAILED"), a_body(jobId=root, status="PENDING")])
    while_it_runs = [item for item in stand.items() if item["sk"]["S"].startswith("SPEC#")]
    stand.record([a_body(jobId=root, status="FAILED")])
    at_its_end = [item for item in stand.items() if item["sk"]["S"].startswith("SPEC#")]

    assert ["expiresAt" in item for item in while_it_runs] == [False]
    assert ["expiresAt" in item for item in at_its_end] == [True]


def test_a_job_with_as_much_text_as_an_event_can_hold_is_recorded(stand: RecorderHarness) -> None:
    wide = {f"key-{number}": "\U0001f600" * 1_024 for number in range(100)}
    job_id = a_job_id()

    tally = stand.record([a_body(jobId=job_id, parameters=wide, tags=wide)])

    assert (tally.recorded, tally.quarantined) == (1, 0)
