"""Which events make a notice, which notices are one, and until when they are worth a message."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from chalicelib.jobs.job import Job, Observation
from chalicelib.notices.notice import (
    CHILD_FAILED,
    Notice,
    distinct,
    is_old_news,
    is_outdated,
    notices_for,
    notices_of_queue,
)
from chalicelib.notices.rules import EVENTS, Rules
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from local.lifecycles import workload
from tests.support.builders import ACCOUNT, NOON, SOURCE, an_attempt, an_event, bodies_of

reader = EventReader((SOURCE,), ACCOUNT, Redaction())

FAILURES = Rules.parse("[[rule]]\non = ['FAILED']", "room")
EVERYTHING = Rules.parse(f"[[rule]]\non = {list(EVENTS)}", "room")


def seen(**fields: Any) -> Observation:
    return read(json.dumps(an_event(**fields)))


def read(body: str) -> Observation:
    observation = reader.read(body)
    assert isinstance(observation, Observation)
    return observation


def a_job(**fields: Any) -> Job:
    return Job.first_seen(seen(**fields))


def a_notice(**fields: Any) -> Notice:
    same = {"room": "room", "job_id": "j-1", "kind": "FAILED", "generation": 1, "at": NOON}
    return Notice(**{**same, "queue": "high-priority", **fields})


# ------------------------------------------------------------------ from an event to notices


def test_a_failed_job_is_told_where_a_rule_asks_for_it() -> None:
    event = seen(
        jobId="j-1",
        status="FAILED",
        attempts=[an_attempt()],
        at=NOON + 3_000,
        stoppedAt=NOON + 2_500,
    )

    assert notices_for(event, FAILURES) == (
        Notice(
            room="room",
            job_id="j-1",
            kind="FAILED",
            generation=0,
            at=NOON + 2_500,
            queue="high-priority",
        ),
    )


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNABLE", "RUNNING", "SUCCEEDED"])
def test_what_no_rule_asks_for_is_not_told(status: str) -> None:
    assert notices_for(seen(status=status), FAILURES) == ()


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNABLE", "RUNNING", "SUCCEEDED"])
def test_any_status_can_be_asked_for(status: str) -> None:
    assert [notice.kind for notice in notices_for(seen(status=status), EVERYTHING)] == [status]


def test_a_failed_attempt_that_is_tried_again_is_no_failure() -> None:
    retried = seen(status="RUNNABLE", attempts=[an_attempt(container={"exitCode": 1})])

    assert notices_for(retried, FAILURES) == ()


def test_a_job_is_told_in_each_room_that_wants_it() -> None:
    rules = Rules.parse(
        """
        [[rule]]
        on = ["FAILED"]
        room = "a"
        [[rule]]
        on = ["FAILED"]
        tags = {project = "atlas"}
        jobs = ["al*"]
        room = "b"
        [[rule]]
        on = ["FAILED"]
        queues = ["gpu"]
        room = "c"
        """,
        None,
    )
    event = seen(status="FAILED", jobName="align", tags={"project": "atlas"})

    assert [notice.room for notice in notices_for(event, rules)] == ["a", "b"]


def test_a_child_that_fails_is_a_warning_of_its_array() -> None:
    event = seen(jobId="j-1:17", status="FAILED", attempts=[an_attempt()] * 2)

    assert notices_for(event, FAILURES) == (a_notice(kind=CHILD_FAILED, generation=0, child=17),)


@pytest.mark.parametrize("status", ["RUNNABLE", "RUNNING", "SUCCEEDED"])
def test_a_child_that_does_not_fail_is_not_told(status: str) -> None:
    assert notices_for(seen(jobId="j-1:17", status=status), EVERYTHING) == ()


def test_a_child_that_fails_is_told_only_where_failures_are_asked_for() -> None:
    rules = Rules.parse("[[rule]]\non = ['SUCCEEDED', 'RUNNING', 'STUCK']", "room")

    assert notices_for(seen(jobId="j-1:17", status="FAILED"), rules) == ()


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED"])
def test_a_node_is_never_told_by_itself(status: str) -> None:
    assert notices_for(seen(jobId="j-1#1", status=status), EVERYTHING) == ()


def test_a_multi_node_job_is_told() -> None:
    event = seen(jobId="j-1", status="FAILED", nodeProperties={"numNodes": 2})

    assert [notice.job_id for notice in notices_for(event, FAILURES)] == ["j-1"]


def test_silent_rules_make_no_notices() -> None:
    assert notices_for(seen(status="FAILED"), Rules(())) == ()


def test_an_event_that_is_replayed_later_is_as_old_as_the_end_that_it_tells_of() -> None:
    replayed = seen(status="FAILED", stoppedAt=NOON, at=NOON + 30 * 86_400_000)

    assert notices_for(replayed, FAILURES)[0].at == NOON


def test_an_event_without_an_end_is_as_old_as_itself() -> None:
    running = seen(status="RUNNING", startedAt=NOON, at=NOON + 5_000)

    assert notices_for(running, EVERYTHING)[0].at == NOON + 5_000


def test_a_retry_is_not_as_old_as_the_attempt_before_it() -> None:
    retried = seen(status="RUNNABLE", stoppedAt=NOON, at=NOON + 5_000, attempts=[an_attempt()])

    assert notices_for(retried, EVERYTHING)[0].at == NOON + 5_000


def test_a_queues_notice_names_no_job() -> None:
    (notice,) = notices_of_queue("EVENTS_MISSING", "gpu", ["room"], began=NOON, at=NOON)

    assert json.loads(msgspec.json.encode(notice)) == {
        "room": "room",
        "kind": "EVENTS_MISSING",
        "generation": NOON,
        "at": NOON,
        "queue": "gpu",
    }


# ------------------------------------------------------------------ which are one


def test_a_notice_lies_on_the_queue_as_json_without_words() -> None:
    notice = a_notice(kind=CHILD_FAILED, generation=0, child=17)

    body = msgspec.json.encode(notice)

    assert json.loads(body) == {
        "room": "room",
        "jobId": "j-1",
        "kind": "CHILD_FAILED",
        "generation": 0,
        "at": NOON,
        "queue": "high-priority",
        "child": 17,
    }
    assert msgspec.json.decode(body, type=Notice) == notice


@pytest.mark.parametrize("change", [{"at": NOON + 1}, {"queue": "q"}, {"child": 3}])
def test_when_and_where_do_not_make_another_notice(change: dict[str, Any]) -> None:
    assert a_notice(**change).key == a_notice().key


@pytest.mark.parametrize(
    "change", [{"room": "r"}, {"job_id": "j-2"}, {"kind": "STUCK"}, {"generation": 2}]
)
def test_another_room_job_kind_or_generation_is_another_notice(change: dict[str, Any]) -> None:
    assert a_notice(**change).key != a_notice().key


def test_each_episode_of_each_queue_is_another_notice() -> None:
    keys = {
        notices_of_queue("EVENTS_MISSING", queue, ["room"], began=began, at=NOON + 1)[0].key
        for queue in ("gpu", "cpu")
        for began in (NOON, NOON + 1)
    }

    assert len(keys) == 4


def test_equal_notices_of_a_batch_are_one_the_first() -> None:
    first, other, again = a_notice(at=NOON), a_notice(kind="STUCK"), a_notice(at=NOON + 1)

    assert distinct([first, other, again]) == (first, other)


def test_however_many_children_fail_in_a_batch_their_array_warns_once() -> None:
    failures = [seen(jobId=f"j-1:{index}", status="FAILED") for index in range(1_000)]

    notices = distinct(notice for event in failures for notice in notices_for(event, FAILURES))

    assert [(notice.kind, notice.job_id) for notice in notices] == [(CHILD_FAILED, "j-1")]


def test_no_simulated_life_makes_more_notices_than_its_root_has_transitions() -> None:
    work = replace(workload(7, 400, NOON), preemptions=[])
    roots = {job_id for job_id, truth in work.truth.items() if truth.parent_id is None}

    notices = distinct(
        notice for body in bodies_of(work) for notice in notices_for(read(body), EVERYTHING)
    )

    told = {(notice.job_id, notice.kind) for notice in notices if notice.kind != CHILD_FAILED}
    assert told == {
        (job_id, status) for job_id in roots for status, _ in work.truth[job_id].history
    }
    assert {notice.job_id for notice in notices if notice.kind == CHILD_FAILED} == {
        truth.parent_id
        for truth in work.truth.values()
        if truth.status == "FAILED" and ":" in truth.job_id
    }


# ------------------------------------------------------------------ until when


def test_a_status_is_told_while_the_job_is_in_it() -> None:
    assert not is_outdated(a_notice(kind="RUNNING", generation=0), a_job(status="RUNNING"))


@pytest.mark.parametrize(
    "now",
    [
        {"status": "STARTING"},
        {"status": "SUCCEEDED", "attempts": [an_attempt()]},
        {"status": "RUNNABLE", "attempts": [an_attempt()]},
    ],
)
def test_a_status_that_was_left_is_not_told(now: dict[str, Any]) -> None:
    assert is_outdated(a_notice(kind="RUNNABLE", generation=0), a_job(**now))


@pytest.mark.parametrize("kind", ["SUCCEEDED", "FAILED", "RECOVERED"])
def test_an_end_and_a_recovery_are_always_told(kind: str) -> None:
    assert not is_outdated(a_notice(kind=kind, generation=0), a_job(status="FAILED"))
    assert not is_outdated(a_notice(kind=kind, generation=0), a_job(status="RUNNING"))


@pytest.mark.parametrize(
    ("now", "outdated"),
    [
        ({"status": "RUNNABLE", "at": NOON - 3_600_000}, False),
        ({"status": "RUNNING", "at": NOON + 1_000}, True),
        ({"status": "FAILED", "at": NOON - 1_000}, True),
        ({"status": "RUNNABLE", "at": NOON - 1_000, "attempts": [an_attempt()]}, True),
    ],
)
def test_what_is_stuck_is_told_until_it_moves(now: dict[str, Any], outdated: bool) -> None:
    notice = a_notice(kind="STUCK", generation=0, at=NOON)

    assert is_outdated(notice, a_job(**now)) == outdated


@pytest.mark.parametrize(("status", "outdated"), [("PENDING", False), ("FAILED", True)])
def test_an_array_that_has_ended_needs_no_warning(status: str, outdated: bool) -> None:
    warning = a_notice(kind=CHILD_FAILED, generation=0, child=3)

    assert is_outdated(warning, a_job(status=status)) == outdated


def test_a_warning_of_an_array_of_which_only_a_child_was_heard_is_told() -> None:
    assert not is_outdated(a_notice(kind=CHILD_FAILED, generation=0, child=3), None)


@pytest.mark.parametrize(("age", "old"), [(86_400_000, False), (86_400_001, True), (-5_000, False)])
def test_what_is_older_than_the_limit_is_old_news(age: int, old: bool) -> None:
    assert is_old_news(a_notice(at=NOON), NOON + age, 86_400) == old
