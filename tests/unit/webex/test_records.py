"""The failed children of an array whose causes are read for its last notice."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.webex.records import MAX_SAMPLE, sample_of


@given(count=st.integers(0, 10_000))
def test_a_sample_is_small_and_evenly_distributed(count: int) -> None:
    sample = sample_of(range(count))

    assert min(count, MAX_SAMPLE // 2) <= len(sample) <= MAX_SAMPLE
    assert len({after - before for before, after in pairwise(sample)}) <= 1
