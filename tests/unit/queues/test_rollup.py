"""Rollups add up: whatever the order, a sum of hours is the rollup of all their jobs."""

import random
from collections import Counter
from collections.abc import Sequence
from functools import cache

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.workload import bodies, merged, observations
from chalicelib.jobs.durations import durations
from chalicelib.jobs.job import Job
from chalicelib.queues.rollup import Rollup, total


@cache
def ended_jobs() -> Sequence[Job]:
    return [job for job in merged(observations(bodies(300, seed=7))).values() if job.is_over]


@given(
    hours=st.lists(st.integers(0, 4), min_size=len(ended_jobs()), max_size=len(ended_jobs())),
    order=st.randoms(),
)
def test_the_sum_of_hours_is_the_rollup_of_all_their_jobs(
    hours: list[int], order: random.Random
) -> None:
    jobs = list(ended_jobs())
    order.shuffle(jobs)
    jobs_by_hour = [
        [job for job, of_job in zip(jobs, hours, strict=True) if of_job == hour]
        for hour in range(5)
    ]

    day = total(map(Rollup.of, jobs_by_hour))

    assert day == Rollup.of(ended_jobs())
    assert msgspec.json.decode(msgspec.json.encode(day), type=Rollup) == day


def test_an_array_ends_once_and_each_of_its_children_runs() -> None:
    array = next(job for job in ended_jobs() if job.is_parent and job.details.array)
    children = [job for job in ended_jobs() if job.job_id.startswith(f"{array.job_id}:")]

    rollup = Rollup.of([array, *children])

    assert rollup.succeeded + rollup.failed == 1
    assert rollup.causes == Counter({"CHILD_FAILED": rollup.failed} if rollup.failed else {})
    ran = [job for job in children if durations(job, 0).running_seconds is not None]
    assert sum(rollup.run.buckets.values()) == len(ran) > 0
    assert rollup.usage == Rollup.of(children).usage != Rollup().usage
    assert Rollup.of([array]).usage == Rollup().usage


def test_the_most_frequent_definitions_of_failed_jobs_are_counted() -> None:
    failed = next(job for job in ended_jobs() if job.status == "FAILED" and job.is_root)
    names = [f"once-{number:02}" for number in range(60)] + ["often"] * 2
    jobs = [
        replace(failed, details=replace(failed.details, job_definition=f"{name}:{number}"))
        for number, name in enumerate(names)
    ]

    definitions = Rollup.of(jobs).definitions

    assert len(definitions) == 50
    assert definitions["often"] == 2
    assert (Rollup.of(jobs) + Rollup.of(jobs)).definitions["often"] == 4
