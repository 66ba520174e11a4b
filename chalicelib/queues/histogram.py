"""A mergeable histogram of durations that answers percentile queries with a bounded relative error.

This is DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
relative-error guarantees", VLDB 2019): the bounds of the buckets grow by a constant factor, so that
each percentile deviates from the exact one by at most RELATIVE_ERROR, whatever the durations are
and however many histograms were added. Pure: no I/O, no clock.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Self

from msgspec import Struct

RELATIVE_ERROR = 0.05
_GROWTH = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
"""The ratio of a bucket's bounds, gamma in the paper."""


class Histogram(Struct, frozen=True, array_like=True):
    """The number of durations by bucket, in the order of buckets. Bucket 0 contains zero, bucket
    n > 0 the milliseconds above _GROWTH ** (n - 2) and up to _GROWTH ** (n - 1)."""

    buckets: dict[int, int] = {}

    @classmethod
    def of(cls, durations: Iterable[int]) -> Self:
        """Count durations in milliseconds."""
        return cls(_sorted(Counter(map(_bucket, durations))))

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(_sorted(Counter(self.buckets) + Counter(other.buckets)))

    def percentile(self, percent: int) -> float | None:
        """Return the milliseconds that `percent` of the durations do not exceed, or None if there
        are no durations."""
        rank = max(1, math.ceil(sum(self.buckets.values()) * percent / 100))
        for bucket, count in self.buckets.items():
            rank -= count
            if rank <= 0:
                return _representative(bucket)
        return None


def _sorted(counts: Counter[int]) -> dict[int, int]:
    return dict(sorted(counts.items()))


def _bucket(milliseconds: int) -> int:
    if milliseconds <= 0:
        return 0
    return 1 + math.ceil(math.log(milliseconds) / math.log(_GROWTH))


def _representative(bucket: int) -> float:
    """Return the value whose relative distance to both bounds of the bucket is the same."""
    return 2 * _GROWTH ** (bucket - 1) / (_GROWTH + 1) if bucket else 0.0
