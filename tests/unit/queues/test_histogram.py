"""Percentiles within their error bound, and histograms that can be added in any order."""

import math

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.queues.histogram import RELATIVE_ERROR, Histogram

MAX_DURATION = 90 * 86_400_000
durations = st.lists(st.integers(0, MAX_DURATION), min_size=1)


@given(st.lists(durations, min_size=1, max_size=5), st.integers(1, 100))
def test_percentiles_of_added_histograms_are_within_the_error_bound(
    hours: list[list[int]], percent: int
) -> None:
    added = sum(map(Histogram.of, hours), Histogram())

    in_order = sorted(duration for hour in hours for duration in hour)
    exact = in_order[max(1, math.ceil(len(in_order) * percent / 100)) - 1]
    estimate = added.percentile(percent)
    assert estimate is not None
    assert abs(estimate - exact) <= RELATIVE_ERROR * exact * (1 + 1e-9)


@given(durations, durations)
def test_histograms_can_be_added_in_any_order_and_survive_encoding(
    first: list[int], second: list[int]
) -> None:
    whole = Histogram.of(first + second)

    assert Histogram.of(first) + Histogram.of(second) == whole
    assert Histogram.of(second) + Histogram.of(first) == whole
    assert msgspec.json.decode(msgspec.json.encode(whole), type=Histogram) == whole


def test_an_empty_histogram_has_no_percentiles_and_durations_may_be_zero() -> None:
    assert Histogram().percentile(50) is None
    assert Histogram.of([0, 0]).percentile(99) == 0
