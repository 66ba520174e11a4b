"""Reconciliation completes the records of a simulated workload after events were dropped: with a
real table, and an HTTP server in place of Batch."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from chalicelib.api.representation.job import Related, job_body
from chalicelib.jobs.prices import Prices
from local.simulator.comparison import find_mismatch
from local.workload import Workload
from tests.support.simulation.dropped_events import (
    ended_workload,
    record_some_events,
    wrong_records,
)
from tests.support.sweep_harness import SweepHarness


def fewest_calls(work: Workload, to_describe: list[str]) -> int:
    """Return the fewest calls that list the root jobs of each queue in pages of 100, and describe
    jobs in hundreds and service jobs one by one."""
    roots: dict[str, int] = {}
    for record in work.expected.values():
        if record.parent_id is None:
            roots[record.queue] = roots.get(record.queue, 0) + 1
    service = sum(work.expected[job_id].queue == "training" for job_id in to_describe)
    pages = sum(math.ceil(count / 100) for count in roots.values())
    return pages + math.ceil((len(to_describe) - service) / 100) + service


def represented(harness: SweepHarness, job_id: str) -> dict[str, Any]:
    """Return the job as the API represents it."""
    table, job = harness.recorder.table, harness.recorder.job(job_id)
    related = Related(table.describe(job), table.preemptions(job_id))
    body = job_body(job, related, Prices(), harness.now)
    response: dict[str, Any] = json.loads(msgspec.json.encode(body))
    return response


def test_two_runs_complete_all_records_after_a_fifth_of_the_events_was_dropped(
    harness: SweepHarness,
) -> None:
    work = ended_workload(800)
    record_some_events(harness, work, 0.8)
    to_describe = wrong_records(harness, work.expected)

    first = harness.reconcile()
    first_calls = sum(harness.batch.calls.values())
    second = harness.reconcile()
    second_calls = sum(harness.batch.calls.values()) - first_calls

    assert wrong_records(harness, work.expected) == []
    assert len(to_describe) > 80
    assert sum(work.expected[job_id].queue == "training" for job_id in to_describe) > 2
    assert first.repaired + first.discovered + second.discovered >= len(to_describe)
    assert first_calls <= 1.2 * fewest_calls(work, to_describe)
    assert second_calls <= 5 + 1, "the second run lists each of the five queues"


def test_two_runs_complete_service_jobs_and_their_preemptions(harness: SweepHarness) -> None:
    work = ended_workload(150, seed=5, training_only=True)
    record_some_events(harness, work, 0.8)

    for _ in range(2):
        harness.reconcile(calls=400)

    mismatches = [
        find_mismatch(represented(harness, job_id), record, events_dropped=True)
        for job_id, record in work.expected.items()
    ]
    assert [mismatch for mismatch in mismatches if mismatch] == []
    assert len({preemption.job_id for preemption in work.preemptions}) > 20


def test_all_jobs_of_a_watched_queue_without_any_event_are_discovered(
    harness: SweepHarness,
) -> None:
    work = ended_workload(600)
    record_some_events(harness, work, 1.0, except_queue="spot")

    for _ in range(2):
        harness.reconcile(queues=["spot"])

    assert wrong_records(harness, work.expected) == []


def test_two_concurrent_runs_complete_all_records(harness: SweepHarness) -> None:
    work = ended_workload(600)
    record_some_events(harness, work, 0.7)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: harness.reconcile(), range(2)))
    harness.reconcile()

    assert wrong_records(harness, work.expected) == []


def test_throttling_delays_the_runs_and_loses_no_job(harness: SweepHarness) -> None:
    work = ended_workload(600)
    record_some_events(harness, work, 0.7)
    attempts_to_list_queues = 6
    harness.batch.throttle(attempts_to_list_queues + 6)

    tallies = [harness.reconcile() for _ in range(4)]

    assert wrong_records(harness, work.expected) == []
    assert sum(tally.throttled for tally in tallies) == 6
    assert tallies[0].left
    assert len(harness.slept) >= 8


def test_a_run_never_makes_more_calls_than_it_may(harness: SweepHarness) -> None:
    record_some_events(harness, ended_workload(600), 0.5)
    attempts_to_list_queues = 6
    harness.batch.throttle(attempts_to_list_queues + 2)

    tally = harness.reconcile(calls=4)

    assert (tally.calls, tally.left) == (4, True)
    made = harness.batch.throttled + harness.batch.calls.total()
    assert made == attempts_to_list_queues + 4
