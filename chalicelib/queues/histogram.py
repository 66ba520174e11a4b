"""How often durations of which length occurred: few numbers, that add up, and still tell
percentiles.

Buckets grow by the same factor, so that a percentile is at most ACCURACY away from the true one,
whatever the durations are, and however many histograms were added. Pure.
"""

import math
from collections import Counter
from collections.abc import Iterable
from typing import Self

from msgspec import Struct

ACCURACY = 0.05
"""As a share of the true percentile."""
_GROWTH = (1 + ACCURACY) / (1 - ACCURACY)


class Histogram(Struct, frozen=True, array_like=True):
    """Counts by bucket. Bucket 0 is no time at all, bucket n the milliseconds above _GROWTH to the
    power of n - 2, up to that of n - 1."""

    buckets: dict[int, int] = {}

    @classmethod
    def of(cls, durations: Iterable[int]) -> Self:
        """In milliseconds."""
        return cls(_sorted(Counter(map(_bucket, durations))))

    def __add__(self, other: "Histogram") -> "Histogram":
        return Histogram(_sorted(Counter(self.buckets) + Counter(other.buckets)))

    def percentile(self, percent: int) -> float | None:
        """Milliseconds that this share of the durations did not exceed; None if there are none."""
        place = max(1, math.ceil(sum(self.buckets.values()) * percent / 100))
        for bucket, count in self.buckets.items():
            place -= count
            if place <= 0:
                return _middle(bucket)
        return None


def _sorted(counts: Counter[int]) -> dict[int, int]:
    return dict(sorted(counts.items()))


def _bucket(milliseconds: int) -> int:
    if milliseconds <= 0:
        return 0
    return 1 + math.ceil(math.log(milliseconds) / math.log(_GROWTH))


def _middle(bucket: int) -> float:
    """As far from the bucket's one end as from the other, as a share of each."""
    return 2 * _GROWTH ** (bucket - 1) / (_GROWTH + 1) if bucket else 0.0
