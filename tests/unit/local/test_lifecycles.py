"""The simulated lives keep AWS Batch's rules, and the truth about them is true."""

import json
import math
import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from local.lifecycles import (
    QUEUES,
    SimulatedEvent,
    Truth,
    Workload,
    envelope,
    job_arn,
    retimed,
    workload,
)

START = 1_780_000_000_000
TERMINAL = {"SUCCEEDED", "FAILED"}
NEXT = {
    None: {"SUBMITTED", "PENDING", "RUNNABLE"},
    "SUBMITTED": {"PENDING", "RUNNABLE"},
    "PENDING": {"RUNNABLE", "SUCCEEDED", "FAILED"},
    "RUNNABLE": {"SCHEDULED", "STARTING", "FAILED"},
    "SCHEDULED": {"STARTING"},
    "STARTING": {"RUNNING", "RUNNABLE", "FAILED"},
    "RUNNING": {"RUNNABLE", "SUCCEEDED", "FAILED"},
}
CAUSES = {
    "EXIT_CODE",
    "OUT_OF_MEMORY",
    "TIMEOUT",
    "SPOT_INTERRUPTION",
    "IMAGE_PULL",
    "DEPENDENCY_FAILED",
    "CHILD_FAILED",
    "CANCELLED",
    "TERMINATED",
    "TIME_LIMIT",
    "PREEMPTED",
    "UNKNOWN",
}


@pytest.fixture(scope="module", params=range(4))
def lived(request: pytest.FixtureRequest) -> Workload:
    return workload(request.param, 1_000, START)


@pytest.fixture(scope="module")
def lives(lived: Workload) -> dict[str, list[SimulatedEvent]]:
    return by_job(lived.events)


@pytest.fixture(scope="module")
def many() -> list[Truth]:
    """The truth about enough jobs for rare things to have happened."""
    return [truth for seed in range(4) for truth in workload(seed, 2_000, START).truth.values()]


@pytest.fixture(scope="module")
def restarted(many: list[Truth]) -> list[Truth]:
    """Nodes that had ended when the main node was retried."""
    return [truth for truth in many if {("FAILED", 1), ("STARTING", 2)} <= set(truth.history)]


def by_job(events: list[SimulatedEvent]) -> dict[str, list[SimulatedEvent]]:
    lives = defaultdict(list)
    for event in events:
        lives[event.job_id].append(event)
    return dict(lives)


def attempts_of(event: SimulatedEvent) -> list[dict[str, Any]]:
    preempted = event.detail.get("preemptionSummary", {}).get("recentPreemptedAttempts", [])
    listed = [*event.detail["attempts"], *event.detail.get("eksAttempts", [])]
    if not preempted:
        return listed
    return sorted([*listed, *preempted], key=lambda attempt: attempt.get("stoppedAt", math.inf))


def finished_of(event: SimulatedEvent) -> list[dict[str, Any]]:
    return [attempt for attempt in attempts_of(event) if "stoppedAt" in attempt]


def exit_code_of(attempt: dict[str, Any]) -> int | None:
    tasks = attempt.get("taskProperties", [attempt])
    containers = [c for task in tasks for c in task.get("containers", [])] or [
        attempt.get("container", {})
    ]
    return containers[0].get("exitCode")


def transition_of(event: SimulatedEvent) -> tuple[int, str]:
    return len(finished_of(event)), event.detail["status"]


def test_a_seed_gives_the_same_lives_for_ever():
    assert workload(7, 200, START) == workload(7, 200, START)
    assert workload(7, 200, START) != workload(8, 200, START)


def test_another_start_moves_the_same_lives_in_time():
    early, late = workload(7, 200, START), workload(7, 200, START + 5_000)

    assert late.truth == early.truth
    assert late.events == [retimed(event, lambda at: at + 5_000) for event in early.events]


@pytest.mark.parametrize("jobs", [*range(30), 300])
def test_there_are_exactly_as_many_records_as_asked_for(jobs: int):
    for seed in range(10):
        lived = workload(seed, jobs, START)

        assert len(lived.truth) == jobs
        assert {event.job_id for event in lived.events} == lived.truth.keys()


def test_events_come_in_order_of_time_from_the_start_on(lived: Workload):
    times = [event.at for event in lived.events]

    assert times == sorted(times)
    assert START - 1_000 < times[0] < START + 10_000


def test_every_event_is_a_change_of_state(lives: dict[str, list[SimulatedEvent]]):
    for events in lives.values():
        transitions = Counter(transition_of(event) for event in events)

        assert set(transitions.values()) == {1}
        assert all(earlier.at < later.at for earlier, later in pairwise(events))


def test_lives_follow_the_rules_of_batch(lives: dict[str, list[SimulatedEvent]]):
    for job_id, events in lives.items():
        statuses = [event.detail["status"] for event in events]

        for before, after in pairwise([None, *statuses]):
            restarts = "#" in job_id and before == "FAILED" and after == "STARTING"
            assert restarts or after in NEXT[before], statuses
        assert statuses[-1] in TERMINAL


def test_submitted_is_seldom_heard_of(lived: Workload):
    heard = [event for event in lived.events if event.detail["status"] == "SUBMITTED"]

    assert 0 < len(heard) < 0.05 * len(lived.truth)


def test_only_dependents_and_array_parents_are_pending(lived: Workload):
    for event in lived.events:
        if event.detail["status"] == "PENDING":
            is_parent = "size" in event.detail.get("arrayProperties", {})
            assert is_parent or event.detail["dependsOn"]


def test_attempts_never_outnumber_the_retry_strategy(lived: Workload):
    allowed = {e.job_id: allowed_by(e.detail) for e in lived.events}

    assert all(truth.attempts <= allowed[job_id] for job_id, truth in lived.truth.items())
    assert max(truth.attempts for truth in lived.truth.values()) > 3
    assert set(allowed.values()) >= {1, 3, 5, 10}


def allowed_by(detail: dict[str, Any]) -> int:
    preemptions = detail.get("preemptionConfiguration", {}).get(
        "preemptionRetriesBeforeTermination", -1
    )
    return int(detail["retryStrategy"]["attempts"] + preemptions + 1)


def test_a_rule_for_lost_hosts_retries_nothing_else(lives: dict[str, list[SimulatedEvent]]):
    for events in lives.values():
        if events[-1].detail["retryStrategy"].get("evaluateOnExit"):
            retried = finished_of(events[-1])[:-1]
            if events[-1].detail.get("isCancelled") or "JobStateTimeLimit" in reason_of(events[-1]):
                retried = finished_of(events[-1])
            assert all(attempt["statusReason"].startswith("Host EC2") for attempt in retried)


def reason_of(event: SimulatedEvent) -> str:
    return str(event.detail.get("statusReason", ""))


def test_timed_out_and_terminated_jobs_are_not_retried(lives: dict[str, list[SimulatedEvent]]):
    for job_id, events in lives.items():
        for earlier, later in pairwise(events):
            if later.detail["status"] in ("RUNNABLE", "STARTING") and "#" not in job_id:
                assert "exceeded timeout" not in reason_of(later)
                assert "Terminated by user" not in reason_of(later)
                assert "isTerminated" not in earlier.detail


def test_an_image_that_cannot_be_pulled_never_runs(lived: Workload):
    failures = [
        attempt
        for event in lived.events
        for attempt in attempts_of(event)
        if attempt.get("statusReason") == "Task failed to start"
    ]

    assert failures
    assert all("startedAt" not in a and exit_code_of(a) is None for a in failures)


def test_times_are_in_order(lives: dict[str, list[SimulatedEvent]]):
    for events in lives.values():
        for event in events:
            marks = [event.detail["createdAt"]]
            for attempt in attempts_of(event):
                marks += [attempt[k] for k in ("startedAt", "stoppedAt") if k in attempt]
            assert marks == sorted(marks)


def test_the_top_level_start_moves_with_each_attempt(lives: dict[str, list[SimulatedEvent]]):
    restarted = 0
    for events in lives.values():
        running = [e.detail["startedAt"] for e in events if e.detail["status"] == "RUNNING"]
        restarted += len(running) > 1

        assert running == sorted(set(running))
    assert restarted


def test_some_running_events_list_the_open_attempt_and_others_do_not(lived: Workload):
    running = [event for event in lived.events if event.detail["status"] == "RUNNING"]

    listed = [len(attempts_of(event)) - len(finished_of(event)) for event in running]

    assert set(listed) == {0, 1}


def test_events_of_all_kinds_are_told(lived: Workload):
    details = [event.detail for event in lived.events]

    for field in ("eksProperties", "ecsProperties", "nodeProperties", "nodeDetails"):
        assert any(field in detail for detail in details)
    assert any("size" in detail.get("arrayProperties", {}) for detail in details)
    assert any("index" in detail.get("arrayProperties", {}) for detail in details)
    assert any(detail.get("platformCapabilities") == ["FARGATE"] for detail in details)
    containers = [detail["container"] for detail in details if detail.get("container")]
    assert {"logConfiguration" in container for container in containers} == {True, False}
    requirements = [r for c in containers for r in c.get("resourceRequirements", [])]
    assert {r["type"] for r in requirements} == {"VCPU", "MEMORY", "GPU"}


def test_events_of_2017_have_numbers_and_neither_arn_nor_tags(lived: Workload):
    old = [event for event in lived.events if "vcpus" in event.detail.get("container", {})]

    assert old
    for event in old:
        assert not {"jobArn", "tags", "eksAttempts"} & event.detail.keys()
        assert isinstance(event.detail["container"]["memory"], int)
        assert job_arn(event.detail).endswith(f":000000000000:job/{event.job_id}")


def test_details_are_what_the_batch_api_describes(lived: Workload):
    job_detail = botocore.session.get_session().get_service_model("batch").shape_for("JobDetail")
    validator = ParamValidator()

    for event in [e for e in lived.events if not is_service(e)][::7]:
        # The model calls startedAt required, and yet no job that never ran has one.
        detail = {"startedAt": START, **event.detail}
        report = validator.validate(detail, job_detail)
        assert not report.has_errors(), report.generate_report()


def test_job_names_keep_to_the_letters_that_batch_allows(lived: Workload):
    assert all(re.fullmatch(r"[\w-]{1,128}", truth.job_name) for truth in lived.truth.values())


# ------------------------------------------------------------------ families


def test_an_array_parent_ends_after_its_children_and_as_they_did(
    lived: Workload, lives: dict[str, list[SimulatedEvent]]
):
    parents = [e[-1] for e in lives.values() if "size" in e[-1].detail.get("arrayProperties", {})]

    assert parents
    for parent in parents:
        size = parent.detail["arrayProperties"]["size"]
        children = [lived.truth[f"{parent.job_id}:{index}"] for index in range(size)]
        told = Counter(parent.detail["arrayProperties"]["statusSummary"])
        truth = lived.truth[parent.job_id]

        assert 2 <= size <= 10_000
        assert all(lives[child.job_id][-1].at < parent.at for child in children)
        assert +told == Counter(child.status for child in children)
        assert truth.cause == ("CHILD_FAILED" if told["FAILED"] else None)
        assert [status for status, _ in truth.history][-2:] == ["PENDING", truth.status]


def test_children_and_nodes_know_their_parent_and_index(lived: Workload):
    members = [truth for truth in lived.truth.values() if re.search("[:#]", truth.job_id)]

    assert members
    for truth in lived.truth.values():
        root, _, index = truth.job_id.replace("#", ":").partition(":")
        family = (root, int(index)) if truth in members else (None, None)
        assert (truth.parent_id, truth.index) == family


def test_a_child_carries_the_arn_of_its_parent_in_its_tags(lived: Workload):
    for event in lived.events:
        if "index" in event.detail.get("arrayProperties", {}):
            parent_arn = event.detail["jobArn"].rpartition(":")[0]
            assert event.detail["tags"]["resourceArn"] == parent_arn


def test_the_main_node_fares_as_its_parent_does(lived: Workload):
    parents = {e.job_id for e in lived.events if "nodeProperties" in e.detail}

    assert parents
    for parent in map(lived.truth.__getitem__, parents):
        main = lived.truth[f"{parent.job_id}#0"]
        assert (main.status, main.exit_codes, main.cause) == (
            parent.status,
            parent.exit_codes,
            parent.cause,
        )


def test_a_main_nodes_retry_restarts_nodes_that_had_failed(restarted: list[Truth]):
    assert any(node.status == "SUCCEEDED" and node.cause is None for node in restarted)
    assert all("#" in node.job_id and node.index for node in restarted)


def test_dependents_wait_for_all_and_fail_with_the_first(
    lived: Workload, lives: dict[str, list[SimulatedEvent]]
):
    dependents = [events for events in lives.values() if events[0].detail.get("dependsOn")]

    causes = Counter[str | None]()
    for events in dependents:
        needed = [lives[need["jobId"]][-1] for need in events[0].detail["dependsOn"]]
        failures = [need.at for need in needed if need.detail["status"] == "FAILED"]
        resolved = min(failures) if failures else max(need.at for need in needed)
        went_on = [e.at for e in events if e.detail["status"] not in ("SUBMITTED", "PENDING")]
        cause = lived.truth[events[0].job_id].cause
        causes[cause] += 1

        assert 1 <= len(needed) <= 20
        if cause != "CANCELLED":
            assert went_on[0] > resolved
            assert bool(failures) == (cause == "DEPENDENCY_FAILED")

    assert causes["DEPENDENCY_FAILED"]
    assert causes[None]


# ------------------------------------------------------------------ service jobs


def is_service(event: SimulatedEvent) -> bool:
    return event.detail_type == "Batch Service Job State Change"


def test_a_training_queue_holds_service_jobs_and_no_other_does(lived: Workload):
    for event in lived.events:
        assert is_service(event) == ("training" in event.detail["jobQueue"])
        assert is_service(event) == ("serviceJobType" in event.detail)
        assert (":service-job/" in job_arn(event.detail)) == is_service(event)


def test_a_service_job_is_scheduled_before_it_starts(lives: dict[str, list[SimulatedEvent]]):
    for events in lives.values():
        statuses = [event.detail["status"] for event in events]
        assert statuses.count("SCHEDULED") == is_service(events[0]) * statuses.count("STARTING")


def test_service_details_are_what_the_batch_api_describes(lived: Workload):
    model = botocore.session.get_session().get_service_model("batch")
    described = model.shape_for("DescribeServiceJobResponse")
    trained = [event for event in lived.events if is_service(event)]

    assert trained
    for event in trained:
        report = ParamValidator().validate({"startedAt": START, **event.detail}, described)
        assert not report.has_errors(), report.generate_report()


def test_each_preemption_is_told_in_two_steps_and_in_the_jobs_own_events(
    lived: Workload, lives: dict[str, list[SimulatedEvent]]
):
    steps: dict[str, Counter[str]] = defaultdict(Counter)
    for told in lived.preemptions:
        assert job_arn(told.detail).endswith(f":service-job/{told.job_id}")
        assert not {"jobId", "jobQueue", "jobName"} & told.detail.keys()
        steps[told.job_id][told.detail_type.rpartition(" ")[2]] += 1

    assert steps
    for job_id, events in lives.items():
        summary = events[-1].detail.get("preemptionSummary", {"preemptedAttemptCount": 0})
        count = summary["preemptedAttemptCount"]
        assert (steps[job_id]["Started"], steps[job_id]["Completed"]) == (count, count)


# ------------------------------------------------------------------ truth


def test_the_truth_is_what_the_events_tell(lived: Workload, lives: dict[str, list[SimulatedEvent]]):
    for job_id, events in lives.items():
        truth, last = lived.truth[job_id], events[-1]

        assert truth.status == last.detail["status"]
        assert truth.job_name == last.detail["jobName"]
        assert truth.queue == last.detail["jobQueue"].rpartition("/")[2]
        assert truth.exit_codes == tuple(map(exit_code_of, finished_of(last)))
        assert sorted(truth.history, key=str) == sorted(map(history_entry, events), key=str)
        assert (truth.cause is None) == (truth.status == "SUCCEEDED")


def history_entry(event: SimulatedEvent) -> tuple[str, int | None]:
    generation, status = transition_of(event)
    if status in TERMINAL:
        return status, generation or None
    has_begun = generation or status in ("SCHEDULED", "STARTING", "RUNNING")
    return status, generation + 1 if has_begun else None


def test_history_is_chronological_but_for_restarted_nodes(
    lived: Workload, lives: dict[str, list[SimulatedEvent]]
):
    for job_id, events in lives.items():
        truth = lived.truth[job_id]
        if sum(status in TERMINAL for status, _ in truth.history) == 1:
            assert truth.history == tuple(map(history_entry, events))


def test_a_restarted_nodes_failure_stands_after_the_attempt_that_followed(
    restarted: list[Truth],
):
    for node in restarted:
        place = node.history.index
        assert place(("STARTING", 1)) < place(("STARTING", 2)) < place(("FAILED", 1))
        assert node.history[-1] == (node.status, node.attempts)


def test_every_cause_of_failure_occurs_and_no_other(many: list[Truth]):
    assert {truth.cause for truth in many} == CAUSES | {None}


# ------------------------------------------------------------------ secrets


def test_every_secret_is_really_in_an_event_and_no_other_is(lived: Workload):
    text = json.dumps([event.detail for event in lived.events])

    assert len(lived.secrets) > 100
    assert set(re.findall(r"SECRET-[0-9a-f]+", text)) == lived.secrets


def test_secrets_are_in_environments_commands_parameters_and_reasons(lived: Workload):
    found = Counter[str]()
    for event in lived.events:
        found.update(places_of_secrets(event.detail))

    assert found.keys() >= {"environment", "env", "command", "args", "parameters", "reason"}


def places_of_secrets(value: Any, place: str = "") -> set[str]:
    if isinstance(value, dict):
        inner = [(place if key in ("name", "value") else key, v) for key, v in value.items()]
        inner = [("parameters" if place == "parameters" else key, v) for key, v in inner]
    elif isinstance(value, list):
        inner = [(place, item) for item in value]
    else:
        return {place} if "SECRET-" in str(value) else set()
    return {found for key, item in inner for found in places_of_secrets(item, key)}


# ------------------------------------------------------------------ envelopes and clocks


def test_an_envelope_is_cut_to_the_second_and_names_the_job():
    event = workload(1, 1, START).events[0]

    whole = envelope(event, source="aws.batch", account="111122223333", region="eu-west-1", id="i")

    assert whole["detail"] is event.detail
    assert whole["resources"] == [event.detail["jobArn"]]
    assert re.fullmatch(r"2026-05-28T20:26:4\dZ", whole["time"])
    assert {key: whole[key] for key in ("version", "id", "detail-type", "account", "region")} == {
        "version": "0",
        "id": "i",
        "detail-type": "Batch Job State Change",
        "account": "111122223333",
        "region": "eu-west-1",
    }


def test_an_envelope_without_a_given_id_has_its_own_and_always_the_same():
    events = workload(1, 50, START).events

    ids = [envelope(event)["id"] for event in events]

    assert len(set(ids)) == len(events)
    assert ids == [envelope(event)["id"] for event in events]


def test_another_clock_moves_every_time_and_nothing_else():
    for event in workload(3, 300, START).events:
        moved = retimed(event, lambda at: at - START)

        assert str(START)[:5] not in re.sub(r'"[^"]*"', "", json.dumps(moved.detail))
        assert retimed(moved, lambda at: at + START) == event


def test_jobs_go_to_the_queues_that_were_asked_for():
    mine = "arn:aws:batch:eu-west-1:111122223333:job-queue/mine"

    assert {e.detail["jobQueue"] for e in workload(1, 100, START, [mine]).events} == {mine}
    assert {e.detail["jobQueue"] for e in workload(1, 300, START).events} == set(QUEUES)
