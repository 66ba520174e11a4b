"""Which notices an observation requests, which of them are the same, and when they expire."""

import json
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from chalicelib.jobs.job import Job, Observation
from chalicelib.notices.notice import (
    CHILD_FAILED,
    RESOLUTIONS,
    Notice,
    distinct,
    incident_notices,
    is_outdated,
    is_too_old,
    notices_for,
)
from chalicelib.notices.rules import EVENTS, Rules
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from local.workload import workload
from tests.support.builders import ACCOUNT, NOON, SOURCE, an_attempt, an_event, bodies_of

reader = EventReader((SOURCE,), ACCOUNT, Redaction())

FAILURES = Rules.parse("[[rule]]\non = ['FAILED']", "room")
EVERYTHING = Rules.parse(f"[[rule]]\non = {list(EVENTS)}", "room")


def observed(**fields: Any) -> Observation:
    return read(json.dumps(an_event(**fields)))


def read(body: str) -> Observation:
    observation = reader.read(body)
    assert isinstance(observation, Observation)
    return observation


def a_job(**fields: Any) -> Job:
    return Job.from_observation(observed(**fields))


def a_notice(**fields: Any) -> Notice:
    defaults = {"room": "room", "job_id": "j-1", "kind": "FAILED", "generation": 1, "at": NOON}
    return Notice(**{**defaults, "queue": "high-priority", **fields})


# ------------------------------------------------------------------ from an event to notices


def test_a_failed_job_is_announced_in_the_room_of_a_matching_rule() -> None:
    event = observed(
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
def test_a_status_that_no_rule_lists_requests_no_notice(status: str) -> None:
    assert notices_for(observed(status=status), FAILURES) == ()


@pytest.mark.parametrize("status", ["SUBMITTED", "RUNNABLE", "RUNNING", "SUCCEEDED"])
def test_a_rule_can_list_any_status(status: str) -> None:
    assert [notice.kind for notice in notices_for(observed(status=status), EVERYTHING)] == [status]


def test_a_failed_attempt_that_is_retried_is_not_announced_as_failed() -> None:
    retried = observed(status="RUNNABLE", attempts=[an_attempt(container={"exitCode": 1})])

    assert notices_for(retried, FAILURES) == ()


def test_a_job_is_announced_in_each_room_of_a_matching_rule() -> None:
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
    event = observed(status="FAILED", jobName="align", tags={"project": "atlas"})

    assert [notice.room for notice in notices_for(event, rules)] == ["a", "b"]


def test_a_failed_child_requests_an_early_warning_of_its_array() -> None:
    event = observed(jobId="j-1:17", status="FAILED", attempts=[an_attempt()] * 2)

    assert notices_for(event, FAILURES) == (a_notice(kind=CHILD_FAILED, generation=0, child=17),)


@pytest.mark.parametrize(
    "reason", ["Canceled by user: x", "Terminated by user: x", "wrong samples"]
)
def test_a_child_that_a_person_ended_requests_no_early_warning(reason: str) -> None:
    ended = observed(jobId="j-1:17", status="FAILED", statusReason=reason)
    array = observed(jobId="j-1", status="FAILED", statusReason=reason)

    assert notices_for(ended, FAILURES) == ()
    assert len(notices_for(array, FAILURES)) == 1


@pytest.mark.parametrize("status", ["RUNNABLE", "RUNNING", "SUCCEEDED"])
def test_a_child_that_has_not_failed_requests_no_notice(status: str) -> None:
    assert notices_for(observed(jobId="j-1:17", status=status), EVERYTHING) == ()


def test_a_failed_child_requests_no_notice_unless_a_rule_lists_failed() -> None:
    rules = Rules.parse("[[rule]]\non = ['SUCCEEDED', 'RUNNING', 'STUCK']", "room")

    assert notices_for(observed(jobId="j-1:17", status="FAILED"), rules) == ()


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "FAILED"])
def test_a_node_of_a_multi_node_job_requests_no_notice(status: str) -> None:
    assert notices_for(observed(jobId="j-1#1", status=status), EVERYTHING) == ()


def test_a_multi_node_job_is_announced() -> None:
    event = observed(jobId="j-1", status="FAILED", nodeProperties={"numNodes": 2})

    assert [notice.job_id for notice in notices_for(event, FAILURES)] == ["j-1"]


def test_empty_rules_request_no_notice() -> None:
    assert notices_for(observed(status="FAILED"), Rules(())) == ()


def test_the_notice_of_a_replayed_end_has_the_time_of_the_end() -> None:
    replayed = observed(status="FAILED", stoppedAt=NOON, at=NOON + 30 * 86_400_000)

    assert notices_for(replayed, FAILURES)[0].at == NOON


def test_the_notice_of_a_running_job_has_the_time_of_the_event() -> None:
    running = observed(status="RUNNING", startedAt=NOON, at=NOON + 5_000)

    assert notices_for(running, EVERYTHING)[0].at == NOON + 5_000


def test_the_notice_of_a_retry_does_not_have_the_time_of_the_attempt_before_it() -> None:
    retried = observed(status="RUNNABLE", stoppedAt=NOON, at=NOON + 5_000, attempts=[an_attempt()])

    assert notices_for(retried, EVERYTHING)[0].at == NOON + 5_000


def test_the_notice_of_an_incident_has_no_job_id() -> None:
    (notice,) = incident_notices("EVENTS_MISSING", "gpu", ["room"], opened_at=NOON, at=NOON)

    assert json.loads(msgspec.json.encode(notice)) == {
        "room": "room",
        "kind": "EVENTS_MISSING",
        "generation": NOON,
        "at": NOON,
        "queue": "gpu",
    }


# ------------------------------------------------------------------ which are the same


def test_a_notice_is_queued_as_json_without_free_text() -> None:
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


@pytest.mark.parametrize(
    "change",
    [
        {"room": 1},
        {"kind": None},
        {"jobId": "no such id!"},
        {"jobId": "j-1", "child": -1},
        {"jobId": None},
        {"jobId": None, "kind": "STUCK"},
    ],
)
def test_an_invalid_notice_is_not_decoded(change: dict[str, Any]) -> None:
    valid = {"room": "r", "jobId": "j-1", "kind": "FAILED", "generation": 0, "at": 0, "queue": "q"}

    assert Notice.decode(json.dumps(valid)).job_id == "j-1"
    with pytest.raises(ValueError, match=r"\S"):
        Notice.decode(json.dumps(valid | change))


@pytest.mark.parametrize("body", ["", "nonsense", "[]", "[" * 100_000, '{"room": "r"}'])
def test_a_body_that_is_not_a_notice_is_not_decoded(body: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Notice.decode(body)


@pytest.mark.parametrize("kind", [name for kinds in RESOLUTIONS.items() for name in kinds])
def test_the_notice_of_an_incident_is_decoded_without_a_job_id(kind: str) -> None:
    (notice,) = incident_notices(kind, "gpu", ["room"], opened_at=NOON, at=NOON)

    assert Notice.decode(msgspec.json.encode(notice).decode()) == notice


@pytest.mark.parametrize("change", [{"at": NOON + 1}, {"queue": "q"}, {"child": 3}])
def test_notices_that_differ_in_time_queue_or_child_are_the_same(change: dict[str, Any]) -> None:
    assert a_notice(**change).key == a_notice().key


@pytest.mark.parametrize(
    "change", [{"room": "r"}, {"job_id": "j-2"}, {"kind": "STUCK"}, {"generation": 2}]
)
def test_notices_that_differ_in_room_job_kind_or_generation_are_different(
    change: dict[str, Any],
) -> None:
    assert a_notice(**change).key != a_notice().key


def test_each_incident_of_each_queue_has_its_own_notice() -> None:
    keys = {
        incident_notices("EVENTS_MISSING", queue, ["room"], opened_at=opened_at, at=NOON + 1)[0].key
        for queue in ("gpu", "cpu")
        for opened_at in (NOON, NOON + 1)
    }

    assert len(keys) == 4


def test_of_equal_notices_the_first_is_kept() -> None:
    first, other, again = a_notice(at=NOON), a_notice(kind="STUCK"), a_notice(at=NOON + 1)

    assert distinct([first, other, again]) == (first, other)


def test_many_failed_children_in_a_batch_request_one_early_warning() -> None:
    failures = [observed(jobId=f"j-1:{index}", status="FAILED") for index in range(1_000)]

    notices = distinct(notice for event in failures for notice in notices_for(event, FAILURES))

    assert [(notice.kind, notice.job_id) for notice in notices] == [(CHILD_FAILED, "j-1")]


def test_a_simulated_workload_requests_one_notice_for_each_transition_of_a_root() -> None:
    work = replace(workload(7, 400, NOON), preemptions=[])
    roots = {job_id for job_id, truth in work.expected.items() if truth.parent_id is None}

    notices = distinct(
        notice for body in bodies_of(work) for notice in notices_for(read(body), EVERYTHING)
    )

    of_roots = {(n.job_id, n.kind) for n in notices if n.kind != CHILD_FAILED}
    assert of_roots == {
        (job_id, status) for job_id in roots for status, _ in work.expected[job_id].history
    }
    assert {notice.job_id for notice in notices if notice.kind == CHILD_FAILED} == {
        truth.parent_id
        for truth in work.expected.values()
        if truth.status == "FAILED" and ":" in truth.job_id
    }


# ------------------------------------------------------------------ when they expire


def test_a_status_is_not_outdated_while_the_job_is_in_it() -> None:
    assert not is_outdated(a_notice(kind="RUNNING", generation=0), a_job(status="RUNNING"))


@pytest.mark.parametrize(
    "state",
    [
        {"status": "STARTING"},
        {"status": "SUCCEEDED", "attempts": [an_attempt()]},
        {"status": "RUNNABLE", "attempts": [an_attempt()]},
    ],
)
def test_a_status_that_the_job_has_left_is_outdated(state: dict[str, Any]) -> None:
    assert is_outdated(a_notice(kind="RUNNABLE", generation=0), a_job(**state))


@pytest.mark.parametrize("kind", ["SUCCEEDED", "FAILED", "RECOVERED"])
def test_a_terminal_status_and_a_recovery_are_never_outdated(kind: str) -> None:
    assert not is_outdated(a_notice(kind=kind, generation=0), a_job(status="FAILED"))
    assert not is_outdated(a_notice(kind=kind, generation=0), a_job(status="RUNNING"))


@pytest.mark.parametrize(
    ("state", "outdated"),
    [
        ({"status": "RUNNABLE", "at": NOON - 3_600_000}, False),
        ({"status": "RUNNING", "at": NOON + 1_000}, True),
        ({"status": "FAILED", "at": NOON - 1_000}, True),
        ({"status": "RUNNABLE", "at": NOON - 1_000, "attempts": [an_attempt()]}, True),
    ],
)
def test_a_stuck_notice_is_outdated_when_the_job_has_changed_its_status(
    state: dict[str, Any], outdated: bool
) -> None:
    notice = a_notice(kind="STUCK", generation=0, at=NOON)

    assert is_outdated(notice, a_job(**state)) == outdated


@pytest.mark.parametrize(("status", "outdated"), [("PENDING", False), ("FAILED", True)])
def test_an_early_warning_is_outdated_when_the_array_has_ended(status: str, outdated: bool) -> None:
    warning = a_notice(kind=CHILD_FAILED, generation=0, child=3)

    assert is_outdated(warning, a_job(status=status)) == outdated


def test_an_early_warning_is_not_outdated_when_only_a_child_of_the_array_is_recorded() -> None:
    assert not is_outdated(a_notice(kind=CHILD_FAILED, generation=0, child=3), None)


@pytest.mark.parametrize(
    ("age", "expected"), [(86_400_000, False), (86_400_001, True), (-5_000, False)]
)
def test_a_notice_is_too_old_beyond_the_limit(age: int, expected: bool) -> None:
    assert is_too_old(a_notice(at=NOON), NOON + age, 86_400) == expected
