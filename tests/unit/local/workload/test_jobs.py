"""Simulated jobs change status, retry and end as jobs in AWS Batch."""

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from local.workload import QUEUES, TERMINAL, SimulatedEvent, Workload, retimed, workload
from tests.support.simulation.simulated_jobs import (
    START,
    attempts_in,
    exit_code_of,
    finished_attempts_in,
    reason_of,
    transition_in,
)

NEXT = {
    None: {"SUBMITTED", "PENDING", "RUNNABLE"},
    "SUBMITTED": {"PENDING", "RUNNABLE"},
    "PENDING": {"RUNNABLE", "SUCCEEDED", "FAILED"},
    "RUNNABLE": {"SCHEDULED", "STARTING", "FAILED"},
    "SCHEDULED": {"STARTING"},
    "STARTING": {"RUNNING", "RUNNABLE", "FAILED"},
    "RUNNING": {"RUNNABLE", "SUCCEEDED", "FAILED"},
}
"""The statuses that can follow each status."""


def test_a_seed_always_produces_the_same_jobs() -> None:
    assert workload(7, 200, START) == workload(7, 200, START)
    assert workload(7, 200, START) != workload(8, 200, START)


def test_another_start_only_changes_the_times() -> None:
    early, late = workload(7, 200, START), workload(7, 200, START + 5_000)

    assert late.expected == early.expected
    assert late.events == [retimed(event, lambda at: at + 5_000) for event in early.events]


@pytest.mark.parametrize("count", [*range(30), 300])
def test_there_are_exactly_as_many_records_as_requested(count: int) -> None:
    for seed in range(10):
        work = workload(seed, count, START)

        assert len(work.expected) == count
        assert {event.job_id for event in work.events} == work.expected.keys()


def test_jobs_are_submitted_to_the_given_queues() -> None:
    mine = "arn:aws:batch:eu-west-1:111122223333:job-queue/mine"

    assert {e.detail["jobQueue"] for e in workload(1, 100, START, [mine]).events} == {mine}
    assert {e.detail["jobQueue"] for e in workload(1, 300, START).events} == set(QUEUES)


def test_events_are_in_order_of_time_from_the_start(work: Workload) -> None:
    times = [event.at for event in work.events]

    assert times == sorted(times)
    assert START - 1_000 < times[0] < START + 10_000


def test_every_event_is_a_status_change(jobs: dict[str, list[SimulatedEvent]]) -> None:
    for events in jobs.values():
        transitions = Counter(transition_in(event) for event in events)

        assert set(transitions.values()) == {1}
        assert all(earlier.at < later.at for earlier, later in pairwise(events))


def test_statuses_follow_each_other_as_in_batch(jobs: dict[str, list[SimulatedEvent]]) -> None:
    for job_id, events in jobs.items():
        statuses = [event.detail["status"] for event in events]

        for before, after in pairwise([None, *statuses]):
            is_restart = "#" in job_id and before == "FAILED" and after == "STARTING"
            assert is_restart or after in NEXT[before], statuses
        assert statuses[-1] in TERMINAL


def test_few_jobs_have_an_event_for_submitted(work: Workload) -> None:
    submitted = [event for event in work.events if event.detail["status"] == "SUBMITTED"]

    assert 0 < len(submitted) < 0.05 * len(work.expected)


def test_only_dependents_and_array_parents_are_pending(work: Workload) -> None:
    for event in work.events:
        if event.detail["status"] == "PENDING":
            is_parent = "size" in event.detail.get("arrayProperties", {})
            assert is_parent or event.detail["dependsOn"]


# Attempts


def test_attempts_do_not_exceed_the_retry_strategy(work: Workload) -> None:
    max_attempts = {event.job_id: max_attempts_of(event.detail) for event in work.events}

    assert all(record.attempts <= max_attempts[job_id] for job_id, record in work.expected.items())
    assert max(record.attempts for record in work.expected.values()) > 3
    assert set(max_attempts.values()) >= {1, 3, 5, 10}


def max_attempts_of(detail: dict[str, Any]) -> int:
    preemptions = detail.get("preemptionConfiguration", {}).get(
        "preemptionRetriesBeforeTermination", -1
    )
    return int(detail["retryStrategy"]["attempts"] + preemptions + 1)


def test_a_strategy_for_lost_hosts_retries_no_other_ending(
    jobs: dict[str, list[SimulatedEvent]],
) -> None:
    for events in jobs.values():
        if events[-1].detail["retryStrategy"].get("evaluateOnExit"):
            retried = finished_attempts_in(events[-1])[:-1]
            if events[-1].detail.get("isCancelled") or "JobStateTimeLimit" in reason_of(events[-1]):
                retried = finished_attempts_in(events[-1])
            assert all(attempt["statusReason"].startswith("Host EC2") for attempt in retried)


def test_timed_out_and_terminated_jobs_are_not_retried(
    jobs: dict[str, list[SimulatedEvent]],
) -> None:
    for job_id, events in jobs.items():
        for earlier, later in pairwise(events):
            if later.detail["status"] in ("RUNNABLE", "STARTING") and "#" not in job_id:
                assert "exceeded timeout" not in reason_of(later)
                assert "Terminated by user" not in reason_of(later)
                assert "isTerminated" not in earlier.detail


def test_an_attempt_whose_image_is_not_found_never_runs(work: Workload) -> None:
    failures = [
        attempt
        for event in work.events
        for attempt in attempts_in(event)
        if attempt.get("statusReason") == "Task failed to start"
    ]

    assert failures
    assert all("startedAt" not in a and exit_code_of(a) is None for a in failures)


def test_the_times_of_a_job_and_its_attempts_are_in_order(
    jobs: dict[str, list[SimulatedEvent]],
) -> None:
    for events in jobs.values():
        for event in events:
            times = [event.detail["createdAt"]]
            for attempt in attempts_in(event):
                times += [attempt[k] for k in ("startedAt", "stoppedAt") if k in attempt]
            assert times == sorted(times)


def test_started_at_of_a_job_is_that_of_its_latest_attempt(
    jobs: dict[str, list[SimulatedEvent]],
) -> None:
    retried = 0
    for events in jobs.values():
        starts = [e.detail["startedAt"] for e in events if e.detail["status"] == "RUNNING"]
        retried += len(starts) > 1

        assert starts == sorted(set(starts))
    assert retried


def test_some_running_events_list_the_running_attempt_and_others_do_not(work: Workload) -> None:
    running = [event for event in work.events if event.detail["status"] == "RUNNING"]

    unfinished = [len(attempts_in(event)) - len(finished_attempts_in(event)) for event in running]

    assert set(unfinished) == {0, 1}
