"""Which jobs are stuck, and which of them Batch must confirm."""

from typing import Any

import pytest

from chalicelib.jobs.job import ArrayFacts, Details, Job, Transition
from chalicelib.queues.stuck import BulkIncident, StuckJob, StuckJobs, running_limit_ms
from tests.support.builders import NOON

HOUR = 3_600_000


def a_job(
    job_id: str = "j-1", status: str = "RUNNABLE", *, since: int = NOON, **fields: Any
) -> Job:
    details = Details(
        status=status, generation=0, time=since, job_name="n", job_queue="q", **fields
    )
    return Job(job_id, details, (Transition(status, 0, since),))


@pytest.mark.parametrize(
    ("run_times", "limit"),
    [
        ([HOUR] * 9 + [10 * HOUR], 3 * HOUR),
        ([HOUR] * 8 + [10 * HOUR] * 2, 3 * 10 * HOUR),
        ([HOUR / 60] * 5, HOUR),
        ([HOUR] * 4, None),
    ],
)
def test_the_limit_of_running_is_three_times_the_90th_percentile_but_at_least_an_hour(
    run_times: list[float], limit: float | None
) -> None:
    assert running_limit_ms(run_times) == limit


def test_an_array_is_represented_by_its_child_that_has_been_stuck_the_longest() -> None:
    children = [a_job(f"array:{index}", since=NOON - index) for index in range(3)]

    stuck = StuckJobs.among(children)

    assert stuck.jobs == {"array": children[2]}
    assert StuckJob.of(children[2]) == StuckJob(
        job_id="array", status="RUNNABLE", generation=0, child=2
    )


def test_neither_a_node_nor_an_array_that_waits_for_its_children_is_stuck() -> None:
    waiting = a_job("array", "PENDING", array=ArrayFacts(size=3))
    child = a_job("other:0", "PENDING", array=ArrayFacts(index=0))

    stuck = StuckJobs.among([a_job("multi#1"), waiting, child])

    assert stuck.jobs == {"other": child}
    assert stuck.counts() == {"PENDING": 1}


def test_a_few_jobs_are_confirmed_unless_they_were_reported_before_and_many_always() -> None:
    few, many = (
        StuckJobs.among(a_job(f"j-{number}", since=NOON + number) for number in range(count))
        for count in (3, 4)
    )

    assert few.to_confirm({"j-1"}, limit=100) == ["j-0", "j-2"]
    assert many.to_confirm({"j-1"}, limit=100) == ["j-0", "j-1", "j-2", "j-3"]
    assert many.to_confirm(set(), limit=2) == ["j-0", "j-1"]


def test_a_reported_job_is_resolved_when_its_transition_is_no_longer_the_last_one() -> None:
    reported = StuckJob.of(a_job())
    none_stuck, still_stuck = StuckJobs.among([]), StuckJobs.among([a_job()])

    assert not reported.is_resolved(a_job(), none_stuck)
    assert reported.is_resolved(a_job(status="STARTING"), still_stuck)
    assert reported.is_resolved(a_job(status="FAILED"), still_stuck)


def test_a_reported_array_or_unknown_job_is_resolved_when_it_is_no_longer_among_the_stuck() -> None:
    reported = StuckJob.of(a_job("array:7"))
    root = a_job("array", "PENDING", array=ArrayFacts(size=9))

    assert not reported.is_resolved(root, StuckJobs.among([a_job("array:8")]))
    assert reported.is_resolved(root, StuckJobs.among([]))
    assert reported.is_resolved(None, StuckJobs.among([]))


def test_a_bulk_incident_counts_all_jobs_and_the_causes_of_its_sample() -> None:
    no_capacity = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"
    sample = [a_job(f"j-{n}", status_reason=no_capacity if n else None) for n in range(3)]

    incident = BulkIncident.open(NOON, {"RUNNABLE": 2_000}, sample, ("room",))

    assert (incident.jobs, incident.sample_size, incident.longest.job_id) == (2_000, 3, "j-0")
    assert incident.causes == {"AWS has no free capacity": 2, "": 1}
    assert (incident.reason, incident.rooms) == (no_capacity, ("room",))
