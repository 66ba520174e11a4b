"""From the notices queue into Webex rooms: once, in order, and in spite of everything."""

import json
import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.aws.lambda_event import Message
from chalicelib.webex.client import Unavailable
from chalicelib.webex.notifier import DIGEST_THRESHOLD, lost_delay, send_delay
from local.aws import LocalAws, Resources
from local.ports import free_port
from local.webex import ROOM, Fault, WebexServer
from tests.support.builders import NOON, a_body, a_job_id, a_message, an_attempt
from tests.support.crash_injection import FunctionCrashed
from tests.support.notifier_harness import NotifierHarness

EXITED = "Essential container in task exited"


@pytest.fixture
def webex() -> Iterator[WebexServer]:
    with WebexServer(free_port()) as webex:
        yield webex


@pytest.fixture
def office(aws: LocalAws, resources: Resources, webex: WebexServer) -> NotifierHarness:
    return NotifierHarness(aws, resources, webex)


def a_failure(at: int = NOON, **fields: Any) -> str:
    ended = an_attempt(container={"exitCode": 1}, statusReason=EXITED, stoppedAt=at)
    return a_body(status="FAILED", statusReason=EXITED, attempts=[ended], at=at, **fields)


def test_a_failure_is_told_in_its_room(office: NotifierHarness) -> None:
    office.stand.record([a_failure(jobName="align-reads")])

    office.deliver_all()

    (text,) = office.texts()
    assert "align-reads" in text.splitlines()[0]
    assert "exit code 1" in text.splitlines()[0]


def test_what_no_rule_asks_for_is_not_told(office: NotifierHarness) -> None:
    office.stand.record([a_body(status="RUNNABLE"), a_body(status="STARTING")])

    assert office.deliver_all() == 0


def test_the_same_notice_fifty_times_is_told_once(office: NotifierHarness) -> None:
    body = a_failure()
    for _ in range(50):
        office.stand.record([body])

    while messages := office.receive(50):
        office.at_once(8, messages)
        office.now += 11

    assert len(office.webex.posts) == 1


def test_replies_go_into_the_jobs_thread(office: NotifierHarness) -> None:
    job_id = a_job_id()
    office.stand.record([a_body(jobId=job_id, status="RUNNING", at=NOON)])
    office.deliver_all()
    office.stand.record([a_failure(NOON + 60_000, jobId=job_id)])
    office.deliver_all()

    first, second = office.webex.messages()
    assert first.parent_id is None
    assert second.parent_id == first.id


def test_a_status_that_was_left_is_not_told_but_an_end_always_is(office: NotifierHarness) -> None:
    job_id = a_job_id()
    office.stand.record([a_body(jobId=job_id, status="RUNNING", at=NOON)])
    office.stand.record([a_failure(NOON + 1_000, jobId=job_id)])

    office.deliver_all()

    assert len(office.texts()) == 1
    assert sum(tally.skipped for tally in office.tallies) == 1


def requests_of_a_healthy_send(office: NotifierHarness) -> int:
    count = 0

    def on_request() -> None:
        nonlocal count
        count += 1

    office.stand.record([a_failure()])
    office.deliver(office.notifier(on_request))
    return count


def test_killed_at_any_step_it_tells_at_least_once_and_at_most_twice(
    office: NotifierHarness,
) -> None:
    told: dict[int, int] = {}
    for step in range(requests_of_a_healthy_send(office)):
        before = len(office.webex.messages())
        office.stand.record([a_failure()])
        left = step

        def on_request() -> None:
            nonlocal left
            if left <= 0:
                raise FunctionCrashed
            left -= 1

        with pytest.raises(FunctionCrashed):
            office.deliver(office.notifier(on_request))
        office.now += 151
        office.deliver_all()
        told[step] = len(office.webex.messages()) - before
        office.now += 151

    assert set(told.values()) == {1, 2}


def test_an_hour_without_webex_delays_every_notice_and_loses_none(
    office: NotifierHarness, webex: WebexServer
) -> None:
    webex.stop()
    jobs = [a_job_id() for _ in range(DIGEST_THRESHOLD - 1)]
    notifier = office.notifier()
    office.stand.record([a_failure(NOON + n, jobId=job_id) for n, job_id in enumerate(jobs)])
    for _ in range(60):
        office.deliver(notifier)
        office.now += 60
    assert webex.messages() == []
    webex.start()
    webex.script(
        Fault(status=429, retry_after="194"), Fault(status=429, retry_after="rand(30),add(30)")
    )

    office.deliver_all(notifier)

    assert len(webex.messages()) == len(jobs)
    assert [sum(job_id in text for text in office.texts()) for job_id in jobs] == [1] * len(jobs)


def test_webex_is_left_alone_for_as_long_as_it_asked(
    office: NotifierHarness, webex: WebexServer
) -> None:
    webex.script(Fault(status=429, retry_after="194"))
    office.stand.record([a_failure()])
    notifier = office.notifier()
    office.deliver(notifier)

    office.now += 190
    office.deliver(notifier)
    asked_early = len(webex.posts)
    office.now += 5
    office.deliver(notifier)

    assert asked_early == 1
    assert len(webex.messages()) == 1


def test_the_recorder_does_not_notice_that_webex_is_away(
    office: NotifierHarness, webex: WebexServer
) -> None:
    bodies = [a_failure() for _ in range(20)]
    office.stand.record(bodies)
    healthy = office.stand.requests.copy()
    webex.stop()
    office.stand.requests.clear()
    office.stand.record([a_failure() for _ in range(20)])
    webex.start()

    del healthy["BatchWriteItem"], office.stand.requests["BatchWriteItem"]
    assert office.stand.requests == {
        key: count for key, count in healthy.items() if key != "GetQueueUrl"
    }


def test_a_lost_answer_is_asked_again(office: NotifierHarness, webex: WebexServer) -> None:
    webex.script(Fault(status=503), Fault(cut=True))
    office.stand.record([a_failure()])

    office.deliver_all()

    assert len(webex.messages()) == 1


def test_news_of_last_month_is_recorded_and_not_told(office: NotifierHarness) -> None:
    long_ago = NOON - 30 * 86_400_000
    office.stand.record([a_failure(long_ago + n * 1000) for n in range(50)])

    office.deliver_all()

    assert office.webex.posts == []
    assert sum(tally.skipped for tally in office.tallies) == 50
    marks = [item for item in office.stand.items() if item["sk"]["S"].startswith("NOTICE#")]
    assert {item["state"]["S"] for item in marks} == {"skipped"}


def test_a_storm_becomes_few_messages_that_name_or_count_every_job(office: NotifierHarness) -> None:
    notifier = office.notifier()
    for second in range(20):
        office.stand.record(
            [a_failure(NOON + second * 3_000, jobName=f"job-{second}-{n}") for n in range(50)]
        )
        office.deliver(notifier)
        office.now += 3

    office.deliver_all(notifier)

    assert len(office.webex.messages()) <= 20
    assert sum(tally.sent for tally in office.tallies) == 1_000


def test_a_crowd_takes_what_else_lies_in_the_queue(office: NotifierHarness) -> None:
    now = int(time.time() * 1000)
    office.stand.record([a_failure(now) for _ in range(40)])

    office.deliver(office.notifier(), most=10)

    assert len(office.webex.messages()) == 1
    assert office.tallies[-1].sent == 40


def test_an_array_is_told_at_most_three_times(office: NotifierHarness) -> None:
    root, size = a_job_id(), 10_000
    office.stand.record(
        [a_body(jobId=root, status="PENDING", arrayProperties={"size": size}, jobName="sweep")]
    )
    failed = set(range(40, 63)) | {3, 17} | set(range(9_000, 9_375))
    notifier = office.notifier()
    for start in range(0, size, 500):
        office.stand.record(
            [
                a_failure(jobId=f"{root}:{n}", arrayProperties={"index": n}, jobName="sweep")
                if n in failed
                else a_body(jobId=f"{root}:{n}", status="SUCCEEDED", jobName="sweep")
                for n in range(start, start + 500)
            ]
        )
        office.deliver_all(notifier)
    office.stand.record(
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
    office.deliver_all(notifier)

    warning, end = office.texts()
    assert "sweep" in warning
    assert "3, 17, 40\N{EN DASH}62" in end
    assert "400" in end.splitlines()[0]


def test_the_end_of_an_array_waits_two_minutes_for_its_children(office: NotifierHarness) -> None:
    root = a_job_id()
    office.stand.record(
        [
            a_body(jobId=f"{root}:0", status="SUCCEEDED"),
            a_body(jobId=root, status="SUCCEEDED", arrayProperties={"size": 3}),
        ]
    )
    (message,) = office.receive(10)
    notifier = office.notifier()

    office.invoke(notifier, [message])
    early = office.texts()
    office.now += 121
    office.invoke(notifier, [message])

    assert early == []
    (text,) = office.texts()
    assert "2" in text, "it says how many were not heard of"


def test_a_room_that_is_gone_goes_to_the_dead_letters_and_others_go_on(
    aws: LocalAws, resources: Resources, webex: WebexServer
) -> None:
    rules = '[[rule]]\non = ["FAILED"]\nroom = "gone"\n[[rule]]\non = ["FAILED"]'
    office = NotifierHarness(aws, resources, webex, rules)
    office.stand.record([a_failure()])

    office.deliver_all()

    assert len(office.texts()) == 1
    (letter,) = office.dead_letters()
    assert json.loads(letter["Body"])["room"] == "gone"
    assert "tracking id" in letter["MessageAttributes"]["Reason"]["StringValue"]


def test_a_refused_token_keeps_everything_and_is_counted(
    office: NotifierHarness, webex: WebexServer
) -> None:
    webex.revoke_token()
    office.stand.record([a_failure()])
    notifier = office.notifier()
    office.deliver(notifier)
    webex.add_token("local-webex-token")
    unauthorized = office.tallies[-1].unauthorized

    office.deliver_all(notifier)

    assert unauthorized == 1
    assert len(office.texts()) == 1
    assert office.dead_letters() == []


def test_a_deleted_thread_does_not_lose_its_room(
    office: NotifierHarness, webex: WebexServer
) -> None:
    job_id = a_job_id()
    office.stand.record([a_body(jobId=job_id, status="RUNNING", at=NOON)])
    office.deliver_all()
    with webex.lock:
        webex.rooms[ROOM].messages.clear()
    office.stand.record([a_failure(NOON + 60_000, jobId=job_id)])

    office.deliver_all()

    assert len(office.texts()) == 1


def test_a_notice_that_can_not_be_worded_holds_up_no_other(office: NotifierHarness) -> None:
    broken, sound = a_job_id(), a_job_id()
    office.stand.record([a_failure(NOON, jobId=broken), a_failure(NOON + 1, jobId=sound)])
    for item in office.stand.items():
        if item["pk"]["S"] == f"JOB#{broken}" and item["sk"]["S"].startswith("SPEC#"):
            spoiled = item | {"record": {"S": "no JSON"}}
            office.stand.dynamodb.put_item(
                TableName=office.stand.resources.jobs_table, Item=spoiled
            )

    office.deliver_all()

    assert len(office.texts()) == 1
    (letter,) = office.dead_letters()
    assert json.loads(letter["Body"])["jobId"] == broken


def test_an_outage_of_the_table_delays_and_loses_nothing(office: NotifierHarness) -> None:
    office.stand.record([a_failure()])
    left = 3

    def on_request() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise EndpointConnectionError(endpoint_url="the table's")

    office.deliver(office.notifier(on_request))
    assert office.texts() == []
    office.now += 151

    office.deliver_all()

    assert len(office.texts()) == 1


def test_what_is_no_notice_is_quarantined(office: NotifierHarness) -> None:
    office.invoke(office.notifier(), [a_message("nonsense"), a_message('{"room": 1}')])

    reasons = [
        letter["MessageAttributes"]["Reason"]["StringValue"] for letter in office.dead_letters()
    ]
    assert reasons == ["not a notice of batchwatch"] * 2


def test_answers_that_are_lost_for_an_hour_repeat_a_notice_ever_more_rarely(
    office: NotifierHarness, webex: WebexServer
) -> None:
    webex.script(Fault(cut=True, accepted=True), times=math.inf)
    office.stand.record([a_failure()])
    (message,) = office.receive(1)
    waits: list[int] = []
    notifier = office.notifier()

    for receives in range(1, 8):
        again = Message(
            message.message_id, message.receipt_handle, message.body, receives, message.sent_at
        )
        office.invoke(notifier, [again])
        office.now += lost_delay(receives)
        waits.append(round(lost_delay(receives)))

    assert waits[:3] == [60, 120, 240]
    assert sum(waits) > 3_600
    assert len(webex.messages()) <= 2 * len(waits)


def test_a_notice_about_no_job_holds_up_no_other(office: NotifierHarness) -> None:
    odd = '{"room":"other","jobId":"no such id!","kind":"FAILED","generation":0,"at":0,"queue":"q"}'
    office.stand.record([a_failure()])
    (message,) = office.receive(1)

    office.invoke(office.notifier(), [a_message(odd), message])

    assert len(office.texts()) == 1
    assert len(office.dead_letters()) == 1


def test_arrays_that_end_together_keep_their_counts_and_causes(office: NotifierHarness) -> None:
    roots = {f"sweep-{number}": a_job_id() for number in range(DIGEST_THRESHOLD + 1)}
    for name, root in roots.items():
        failed = a_failure(jobId=f"{root}:0", jobName=name)
        office.stand.record([failed, a_body(jobId=f"{root}:1", status="SUCCEEDED", jobName=name)])
    office.deliver_all()
    for name, root in roots.items():
        array = {"size": 2}
        office.stand.record(
            [a_body(jobId=root, status="FAILED", arrayProperties=array, jobName=name)]
        )

    office.deliver_all()

    digest = office.texts()[-1]
    assert "exit code 1" in digest.splitlines()[0]
    assert "sweep-0 (1 of 2)" in digest


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (Unavailable("503", 503, maybe_sent=True), 3),
        (Unavailable("refused", maybe_sent=False), 3),
        (Unavailable("lost", maybe_sent=True), 2),
    ],
)
def test_webex_is_asked_again_a_few_times_while_there_is_time(
    error: Unavailable, attempts: int
) -> None:
    delays = [send_delay(error, attempt, 100, 1) for attempt in range(1, 4)]

    assert delays[: attempts - 1] == [1.0, 2.0][: attempts - 1]
    assert delays[attempts - 1] is None
    assert send_delay(error, 1, 2, 1) is None
