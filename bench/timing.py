"""Compares the durations of alternatives on a machine that is busy with other work.

Each round measures every alternative once and gives one ratio. Whatever slows the machine for a
while slows all alternatives of the round, so the median of the ratios is stable.
"""

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median

Measure = Callable[[], float]
"""Does its work once and returns the seconds that it took."""


class Measured:
    """The seconds of each alternative in each round."""

    def __init__(self, rounds: list[dict[str, float]]) -> None:
        self._rounds = rounds

    def seconds(self, name: str) -> float:
        return median(round_[name] for round_ in self._rounds)

    def ratio(self, name: str, to: str) -> float:
        return median(round_[name] / round_[to] for round_ in self._rounds)


def measure_in_rounds(rounds: int, measures: Mapping[str, Measure]) -> Measured:
    """Measure all alternatives in each round. A first round fills caches and is not counted."""
    measured = [{name: measure() for name, measure in measures.items()} for _ in range(rounds + 1)]
    return Measured(measured[1:])


def cpu_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time of this process, which excludes the time that it waits."""
    return _elapsed(time.process_time, work)


def wall_seconds(work: Callable[[], object]) -> float:
    return _elapsed(time.perf_counter, work)


def _elapsed(clock: Callable[[], float], work: Callable[[], object]) -> float:
    gc.collect()
    start = clock()
    work()
    return clock() - start
