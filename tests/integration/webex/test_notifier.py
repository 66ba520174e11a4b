"""The notifier against a local AWS and a stand-in Webex: delivery, duplicates, failures, pacing."""

import json
import math
import time
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from msgspec.structs import replace

from chalicelib.errors import MessagesLeft
from chalicelib.webex.pacing import DIGEST_THRESHOLD, QUIET
from local.aws import LocalAws, Resources
from local.webex import ROOM, Fault, WebexServer
from tests.support.builders import NOON, a_body, a_job_id, a_message, an_attempt
from tests.support.crash_injection import FunctionCrashed
from tests.support.notifier_harness import NotifierHarness

EXITED = "Essential container in task exited"


@pytest.fixture
def harness(aws: LocalAws, resources: Resources, webex: WebexServer) -> NotifierHarness:
    return NotifierHarness(aws, resources, webex)


def a_failure(at: int = NOON, **fields: Any) -> str:
    ended = an_attempt(container={"exitCode": 1}, statusReason=EXITED, stoppedAt=at)
    return a_body(status="FAILED", statusReason=EXITED, attempts=[ended], at=at, **fields)


def test_a_failed_job_is_announced_in_its_room(harness: NotifierHarness) -> None:
    harness.recorder.record([a_failure(jobName="align-reads")])

    harness.deliver_all()

    (text,) = harness.texts()
    assert "align-reads" in text.splitlines()[0]
    assert "exit code 1" in text.splitlines()[0]


def test_a_status_that_no_rule_lists_is_not_announced(harness: NotifierHarness) -> None:
    harness.recorder.record([a_body(status="RUNNABLE"), a_body(status="STARTING")])

    assert harness.deliver_all() == 0


def test_a_notice_that_is_queued_fifty_times_is_sent_once(harness: NotifierHarness) -> None:
    body = a_failure()
    for _ in range(50):
        harness.recorder.record([body])

    while messages := harness.receive(50):
        harness.invoke_concurrently(8, messages)
        harness.now += 11

    assert len(harness.webex.posts) == 1


def test_later_messages_about_a_job_reply_to_its_first(harness: NotifierHarness) -> None:
    job_id = a_job_id()
    harness.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON)])
    harness.deliver_all()
    harness.recorder.record([a_failure(NOON + 60_000, jobId=job_id)])
    harness.deliver_all()

    first, second = harness.webex.messages()
    assert first.parent_id is None
    assert second.parent_id == first.id


def test_a_status_that_the_job_has_left_is_skipped_and_its_end_is_sent(
    harness: NotifierHarness,
) -> None:
    job_id = a_job_id()
    harness.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON)])
    harness.recorder.record([a_failure(NOON + 1_000, jobId=job_id)])

    harness.deliver_all()

    assert len(harness.texts()) == 1
    assert sum(tally.skipped for tally in harness.tallies) == 1


def requests_of_one_delivery(harness: NotifierHarness) -> int:
    count = 0

    def on_request() -> None:
        nonlocal count
        count += 1

    harness.recorder.record([a_failure()])
    harness.deliver(harness.notifier(on_request))
    return count


def test_a_notifier_that_crashes_at_any_request_sends_at_least_once_and_at_most_twice(
    harness: NotifierHarness,
) -> None:
    sent: dict[int, int] = {}
    for step in range(requests_of_one_delivery(harness)):
        before = len(harness.webex.messages())
        harness.recorder.record([a_failure()])
        left = step

        def on_request() -> None:
            nonlocal left
            if left <= 0:
                raise FunctionCrashed
            left -= 1

        with pytest.raises(FunctionCrashed):
            harness.deliver(harness.notifier(on_request))
        harness.now += 151
        harness.deliver_all()
        sent[step] = len(harness.webex.messages()) - before
        harness.now += QUIET / 1000

    assert set(sent.values()) == {1, 2}


def test_an_outage_of_webex_for_an_hour_delays_notices_and_loses_none(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    webex.stop()
    jobs = [a_job_id() for _ in range(DIGEST_THRESHOLD - 1)]
    notifier = harness.notifier()
    harness.recorder.record([a_failure(NOON + n, jobId=job_id) for n, job_id in enumerate(jobs)])
    for _ in range(60):
        harness.deliver(notifier)
        harness.now += 60
    assert webex.messages() == []
    webex.start()
    webex.script(
        Fault(status=429, retry_after="194"), Fault(status=429, retry_after="rand(30),add(30)")
    )

    harness.deliver_all(notifier)

    assert len(webex.messages()) == len(jobs)
    assert [sum(job_id in text for text in harness.texts()) for job_id in jobs] == [1] * len(jobs)


def test_nothing_is_sent_to_a_rate_limited_room_before_the_retry_after(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    webex.script(Fault(status=429, retry_after="194"))
    harness.recorder.record([a_failure()])
    notifier = harness.notifier()
    harness.deliver(notifier)

    harness.now += 190
    harness.deliver(notifier)
    posts_within_the_limit = len(webex.posts)
    harness.now += 5
    harness.deliver(notifier)

    assert posts_within_the_limit == 1
    assert len(webex.messages()) == 1


def test_an_outage_of_webex_does_not_change_the_requests_of_the_recorder(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    bodies = [a_failure() for _ in range(20)]
    harness.recorder.record(bodies)
    healthy = harness.recorder.requests.copy()
    webex.stop()
    harness.recorder.requests.clear()
    harness.recorder.record([a_failure() for _ in range(20)])
    webex.start()

    del healthy["BatchWriteItem"], harness.recorder.requests["BatchWriteItem"]
    assert harness.recorder.requests == {
        key: count for key, count in healthy.items() if key != "GetQueueUrl"
    }


def test_a_message_is_retried_after_an_error_and_a_lost_response(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    webex.script(Fault(status=503), Fault(cut=True))
    harness.recorder.record([a_failure()])

    harness.deliver_all()

    assert len(webex.messages()) == 1


def test_notices_about_events_of_last_month_are_skipped(harness: NotifierHarness) -> None:
    last_month = NOON - 30 * 86_400_000
    harness.recorder.record([a_failure(last_month + n * 1000) for n in range(50)])

    harness.deliver_all()

    assert harness.webex.posts == []
    assert sum(tally.skipped for tally in harness.tallies) == 50
    deliveries = [
        item for item in harness.recorder.items() if item["sk"]["S"].startswith("NOTICE#")
    ]
    assert {item["status"]["S"] for item in deliveries} == {"skipped"}


def test_a_burst_of_a_thousand_failures_becomes_few_digests(harness: NotifierHarness) -> None:
    notifier = harness.notifier()
    for second in range(0, 60, 15):
        harness.recorder.record(
            [a_failure(NOON + second * 1_000, jobName=f"job-{second}-{n}") for n in range(250)]
        )
        harness.deliver(notifier)
        harness.now += 15

    harness.deliver_all(notifier, step=60)

    assert len(harness.webex.messages()) <= 4
    assert sum(tally.sent for tally in harness.tallies) == 1_000


def test_a_slow_storm_of_an_hour_is_few_messages(harness: NotifierHarness) -> None:
    """The first failure is sent at once, and each of the others within ten minutes."""
    notifier = harness.notifier()
    for minute in range(60):
        harness.recorder.record([a_failure(NOON + minute * 60_000 + n) for n in range(2)])
        harness.deliver(notifier)
        assert harness.texts()
        harness.now += 60
    of_storm = len(harness.webex.messages())

    harness.deliver_all(notifier, step=600)

    assert of_storm <= 20
    assert sum(tally.sent for tally in harness.tallies) == 120


def test_a_notice_after_a_quiet_quarter_of_an_hour_is_sent_at_once(
    harness: NotifierHarness,
) -> None:
    harness.recorder.record([a_failure() for _ in range(DIGEST_THRESHOLD + 1)])
    harness.deliver()
    harness.recorder.record([a_failure()])
    harness.deliver()
    paused = len(harness.webex.messages())
    harness.deliver_all(step=11)
    harness.now += QUIET / 1000

    harness.recorder.record([a_failure(NOON + QUIET) for _ in range(2)])
    harness.deliver()

    assert paused == 1
    assert len(harness.webex.messages()) == 4


def test_a_failed_dependency_and_what_depends_on_it_are_one_message(
    harness: NotifierHarness,
) -> None:
    prepare, merge = a_job_id(), a_job_id()
    because = {"status": "FAILED", "statusReason": "Dependent Job failed"}
    harness.recorder.record(
        [
            a_failure(jobId=prepare, jobName="prepare"),
            a_body(jobId=merge, jobName="merge", dependsOn=[{"jobId": prepare}], **because),
            *(
                a_body(jobName=f"report-{n}", dependsOn=[{"jobId": merge}], **because)
                for n in range(30)
            ),
        ]
    )

    harness.deliver()

    [text] = harness.texts()
    assert "**prepare** failed" in text.replace("\u200b", "")
    assert "**31 jobs that depend on it** failed too" in text.splitlines()[0]


def test_a_few_failures_because_of_one_are_one_message_and_others_are_their_own(
    harness: NotifierHarness,
) -> None:
    prepare = a_job_id()
    because = {"status": "FAILED", "statusReason": "Dependent Job failed"}
    harness.recorder.record(
        [
            a_failure(jobId=prepare, jobName="prepare"),
            a_body(jobName="merge", dependsOn=[{"jobId": prepare}], **because),
            a_failure(jobName="other"),
        ]
    )

    harness.deliver()

    first, second = sorted(harness.texts(), key=lambda text: "other" in text)
    assert "**1 job that depends on it** failed too" in first
    assert "**other** failed" in second


def test_failures_because_of_a_job_that_was_reported_before_are_one_message(
    harness: NotifierHarness,
) -> None:
    prepare = a_job_id()
    because = {"status": "FAILED", "statusReason": "Dependent Job failed"}
    harness.recorder.record([a_failure(jobId=prepare, jobName="prepare")])
    harness.deliver_all()
    harness.recorder.record(
        [a_body(jobName=f"report-{n}", dependsOn=[{"jobId": prepare}], **because) for n in range(3)]
    )

    harness.deliver()

    _, text = harness.texts()
    assert text.startswith(
        "❌ **3 jobs** failed in **high-priority**: dependency prepare failed: exit code 1"
    )


def test_a_digest_includes_the_other_messages_of_the_queue(harness: NotifierHarness) -> None:
    now = int(time.time() * 1000)
    harness.recorder.record([a_failure(now) for _ in range(40)])

    harness.deliver(harness.notifier(), most=10)

    assert len(harness.webex.messages()) == 1
    assert harness.tallies[-1].sent == 40


def test_an_array_of_ten_thousand_children_gets_a_warning_and_a_summary(
    harness: NotifierHarness,
) -> None:
    root, size = a_job_id(), 10_000
    harness.recorder.record(
        [a_body(jobId=root, status="PENDING", arrayProperties={"size": size}, jobName="sweep")]
    )
    failed = set(range(40, 63)) | {3, 17} | set(range(9_000, 9_375))
    notifier = harness.notifier()
    for start in range(0, size, 500):
        harness.recorder.record(
            [
                a_failure(jobId=f"{root}:{n}", arrayProperties={"index": n}, jobName="sweep")
                if n in failed
                else a_body(jobId=f"{root}:{n}", status="SUCCEEDED", jobName="sweep")
                for n in range(start, start + 500)
            ]
        )
        harness.deliver_all(notifier)
    harness.recorder.record(
        [
            a_body(
                jobId=root,
                status="FAILED",
                statusReason="Array Child Job failed",
                arrayProperties={"size": size},
                jobName="sweep",
            )
        ]
    )
    harness.deliver_all(notifier)

    warning, end = harness.texts()
    assert "sweep" in warning
    assert "3, 17, 40\N{EN DASH}62" in end
    assert "400" in end.splitlines()[0]


def test_the_notice_of_an_arrays_end_waits_two_minutes_for_events_of_its_children(
    harness: NotifierHarness,
) -> None:
    root = a_job_id()
    harness.recorder.record(
        [
            a_body(jobId=f"{root}:0", status="SUCCEEDED"),
            a_body(jobId=root, status="SUCCEEDED", arrayProperties={"size": 3}),
        ]
    )
    (message,) = harness.receive(10)
    notifier = harness.notifier()

    harness.invoke(notifier, [message])
    early = harness.texts()
    harness.now += 121
    harness.invoke(notifier, [message])

    assert early == []
    (text,) = harness.texts()
    assert "2" in text, "the number of children without a result"


def test_notices_that_are_not_read_in_half_of_the_time_are_returned_to_the_queue(
    harness: NotifierHarness,
) -> None:
    harness.recorder.record([a_failure(NOON + n) for n in range(3)])
    messages, left = harness.receive(3), [100.0, 100.0, 100.0]

    with pytest.raises(MessagesLeft):
        harness.notifier().notify(messages, lambda: left.pop() if left else 40.0)

    assert len(harness.texts()) == 1
    assert harness.tallies[-1].retried == 2


def test_notices_of_a_missing_room_are_dead_lettered_and_other_rooms_are_delivered(
    aws: LocalAws, resources: Resources, webex: WebexServer
) -> None:
    rules = '[[rule]]\non = ["FAILED"]\nroom = "gone"\n[[rule]]\non = ["FAILED"]'
    harness = NotifierHarness(aws, resources, webex, rules)
    harness.recorder.record([a_failure()])

    harness.deliver_all()

    assert len(harness.texts()) == 1
    (letter,) = harness.dead_letters()
    assert json.loads(letter["Body"])["room"] == "gone"
    assert "tracking id" in letter["MessageAttributes"]["Reason"]["StringValue"]


def test_notices_are_kept_and_counted_while_webex_rejects_the_token(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    webex.revoke_token()
    harness.recorder.record([a_failure()])
    notifier = harness.notifier()
    harness.deliver(notifier)
    webex.add_token("local-webex-token")
    unauthorized = harness.tallies[-1].unauthorized

    harness.deliver_all(notifier)

    assert unauthorized == 1
    assert len(harness.texts()) == 1
    assert harness.dead_letters() == []


def test_a_message_is_sent_although_the_first_of_its_thread_was_deleted(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    job_id = a_job_id()
    harness.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON)])
    harness.deliver_all()
    with webex.lock:
        webex.rooms[ROOM].messages.clear()
    harness.recorder.record([a_failure(NOON + 60_000, jobId=job_id)])

    harness.deliver_all()

    assert len(harness.texts()) == 1


def test_a_message_that_webex_rejects_is_sent_in_a_short_form_without_links(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    webex.script(Fault(status=400))
    harness.recorder.record([a_failure(jobName="align [1](x)")])

    harness.deliver_all()

    [text] = harness.texts()
    assert "align" in text
    assert "](" not in text.replace("\\]", "")
    assert len(webex.posts) == 2
    assert harness.dead_letters() == []


def test_a_message_that_webex_rejects_twice_is_dead_lettered(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    webex.script(Fault(status=400), times=2)
    harness.recorder.record([a_failure(), a_failure(at=NOON + 1_000)])

    harness.deliver_all()

    assert (len(harness.texts()), len(harness.dead_letters())) == (1, 1)


def test_a_notice_whose_message_can_not_be_written_is_dead_lettered_alone(
    harness: NotifierHarness,
) -> None:
    unreadable_job, other_job = a_job_id(), a_job_id()
    harness.recorder.record(
        [a_failure(NOON, jobId=unreadable_job), a_failure(NOON + 1, jobId=other_job)]
    )
    for item in harness.recorder.items():
        if item["pk"]["S"] == f"JOB#{unreadable_job}" and item["sk"]["S"].startswith("SPEC#"):
            unreadable = item | {"record": {"S": "not JSON"}}
            harness.recorder.dynamodb.put_item(
                TableName=harness.recorder.resources.jobs_table, Item=unreadable
            )

    harness.deliver_all()

    assert len(harness.texts()) == 1
    (letter,) = harness.dead_letters()
    assert json.loads(letter["Body"])["jobId"] == unreadable_job


def test_an_outage_of_the_table_delays_notices_and_loses_none(harness: NotifierHarness) -> None:
    harness.recorder.record([a_failure()])
    left = 3

    def on_request() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise EndpointConnectionError(endpoint_url="the table's")

    harness.deliver(harness.notifier(on_request))
    assert harness.texts() == []
    harness.now += 151

    harness.deliver_all()

    assert len(harness.texts()) == 1


def test_a_message_that_is_not_a_notice_is_dead_lettered(harness: NotifierHarness) -> None:
    harness.invoke(harness.notifier(), [a_message("nonsense"), a_message('{"room": 1}')])

    reasons = [
        letter["MessageAttributes"]["Reason"]["StringValue"] for letter in harness.dead_letters()
    ]
    assert reasons == ["the message is not a batchwatch notice"] * 2


@pytest.mark.parametrize(
    "fault",
    [Fault(cut=True, accepted=True), Fault(status=504, accepted=True), Fault(status=502)],
)
def test_a_quarter_of_an_hour_of_lost_responses_posts_a_message_few_times(
    harness: NotifierHarness, webex: WebexServer, fault: Fault
) -> None:
    webex.script(fault, times=math.inf)
    harness.recorder.record([a_failure()])
    (message,) = harness.receive(1)

    harness.redeliver(message, seconds=900)

    assert 4 <= len(webex.posts) <= 6


def test_a_failing_room_is_asked_less_often_and_recovers_within_a_tenth_of_the_outage(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    harness.recorder.record([a_failure()])
    (message,) = harness.receive(1)
    webex.script(Fault(status=429, retry_after="1"), times=math.inf)
    harness.redeliver(message, seconds=6 * 3_600)
    posts_while_failing = len(webex.posts)
    webex.unscript()
    ended_at = harness.now

    first = harness.redeliver(message, seconds=3_600)
    delay = harness.now - ended_at
    webex.script(Fault(status=429, retry_after="1"))
    harness.recorder.record([a_failure()])
    harness.deliver_all(step=2)

    assert posts_while_failing < 150
    assert first.is_ack
    assert delay <= 6 * 3_600 / 10
    assert len(harness.texts()) == 2, "the room's pause starts at one second again"


def test_a_lost_response_after_an_outage_delays_a_notice_by_less_than_two_minutes(
    harness: NotifierHarness, webex: WebexServer
) -> None:
    harness.recorder.record([a_failure()])
    (message,) = harness.receive(1)
    webex.script(Fault(status=503), times=math.inf)
    harness.redeliver(message, seconds=600)
    webex.unscript()
    webex.script(Fault(cut=True))
    ended_at = harness.now

    last = harness.redeliver(replace(message, receive_count=400), seconds=3_600)

    assert last.is_ack
    assert harness.now - ended_at < 120


def test_a_notice_with_an_invalid_job_id_is_dead_lettered_alone(harness: NotifierHarness) -> None:
    invalid = (
        '{"room":"other","jobId":"no such id!","kind":"FAILED","generation":0,"at":0,"queue":"q"}'
    )
    harness.recorder.record([a_failure()])
    (message,) = harness.receive(1)

    harness.invoke(harness.notifier(), [a_message(invalid), message])

    assert len(harness.texts()) == 1
    assert len(harness.dead_letters()) == 1


def test_a_digest_of_arrays_contains_their_counts_and_causes(harness: NotifierHarness) -> None:
    roots = {f"sweep-{number}": a_job_id() for number in range(DIGEST_THRESHOLD + 1)}
    for name, root in roots.items():
        failed = a_failure(jobId=f"{root}:0", jobName=name)
        harness.recorder.record(
            [failed, a_body(jobId=f"{root}:1", status="SUCCEEDED", jobName=name)]
        )
    harness.deliver_all()
    for name, root in roots.items():
        array = {"size": 2}
        harness.recorder.record(
            [a_body(jobId=root, status="FAILED", arrayProperties=array, jobName=name)]
        )

    harness.deliver_all()

    digest = harness.texts()[-1]
    assert "exit code 1" in digest.splitlines()[0]
    assert "sweep-0 (1 of 2)" in digest
