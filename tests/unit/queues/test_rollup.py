"""Hours that add up: percentiles within their bound, and sums that no order changes."""

import math
from collections import Counter
from collections.abc import Sequence
from functools import cache

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bench.workload import bodies, merged, observations
from chalicelib.jobs.durations import durations
from chalicelib.jobs.job import Job
from chalicelib.queues.histogram import RELATIVE_ERROR, Histogram
from chalicelib.queues.rollup import Rollup, total

MONTHS = 90 * 86_400_000
Durations = st.lists(st.integers(0, MONTHS), min_size=1)


@given(st.lists(Durations, min_size=1, max_size=5), st.integers(1, 100))
def test_percentiles_of_added_hours_are_within_the_bound_of_the_true_ones(
    hours: list[list[int]], percent: int
) -> None:
    added = sum(map(Histogram.of, hours), Histogram())

    of_all = sorted(duration for hour in hours for duration in hour)
    true = of_all[max(1, math.ceil(len(of_all) * percent / 100)) - 1]
    found = added.percentile(percent)
    assert found is not None
    assert abs(found - true) <= RELATIVE_ERROR * true * (1 + 1e-9)


@given(Durations, Durations)
def test_histograms_add_up_in_any_order(one: list[int], other: list[int]) -> None:
    whole = Histogram.of(one + other)

    assert Histogram.of(one) + Histogram.of(other) == whole
    assert Histogram.of(other) + Histogram.of(one) == whole
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Histogram) == whole


def test_no_durations_have_no_percentiles() -> None:
    assert Histogram().percentile(50) is None
    assert Histogram.of([0, 0]).percentile(99) == 0


@cache
def ended() -> Sequence[Job]:
    return [job for job in merged(observations(bodies(300, seed=7))).values() if job.is_over]


@given(st.lists(st.integers(0, 4), min_size=len(ended()), max_size=len(ended())), st.randoms())
def test_hours_together_are_what_all_their_jobs_are(hours: list[int], jitter: object) -> None:
    jobs = list(ended())
    jitter.shuffle(jobs)  # type: ignore[attr-defined]
    parts = [[job for job, of in zip(jobs, hours, strict=True) if of == hour] for hour in range(5)]

    whole = total(map(Rollup.of, parts))

    assert whole == Rollup.of(ended())
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Rollup) == whole


def test_an_array_is_one_job_that_ended_and_each_of_its_children_ran() -> None:
    array = next(job for job in ended() if job.is_parent and job.details.array)
    children = [job for job in ended() if job.job_id.startswith(f"{array.job_id}:")]

    rollup = Rollup.of([array, *children])

    assert rollup.succeeded + rollup.failed == 1
    assert rollup.causes == Counter({"CHILD_FAILED": rollup.failed} if rollup.failed else {})
    ran = [job for job in children if durations(job, 0).running_seconds is not None]
    assert sum(rollup.run.buckets.values()) == len(ran) > 0
    assert rollup.usage == Rollup.of(children).usage != Rollup().usage
    assert Rollup.of([array]).usage == Rollup().usage
