"""How much longer one thing takes than another, on a machine that is never quiet.

All that is compared is measured in turn, round after round, and each round gives a ratio of its
own: what slows the machine for a while slows both sides of it.
"""

import gc
import time
from collections.abc import Callable, Mapping
from statistics import median

Measure = Callable[[], float]
"""Does its work once, and returns the seconds that count."""


class Measured:
    """The seconds of each measure, by round."""

    def __init__(self, rounds: list[dict[str, float]]) -> None:
        self._rounds = rounds

    def seconds(self, name: str) -> float:
        return median(measured[name] for measured in self._rounds)

    def ratio(self, name: str, to: str) -> float:
        return median(measured[name] / measured[to] for measured in self._rounds)


def in_turn(rounds: int, measures: Mapping[str, Measure]) -> Measured:
    """A first round, which fills caches, does not count."""
    measured = [{name: measure() for name, measure in measures.items()} for _ in range(rounds + 1)]
    return Measured(measured[1:])


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of this process alone; what it waits for costs nothing."""
    return _by(time.process_time, work)


def seconds(work: Callable[[], object]) -> float:
    """By the clock on the wall."""
    return _by(time.perf_counter, work)


def _by(clock: Callable[[], float], work: Callable[[], object]) -> float:
    gc.collect()
    start = clock()
    work()
    return clock() - start
