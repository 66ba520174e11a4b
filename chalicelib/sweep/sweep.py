"""What the schedule does, step by step, each of them whatever becomes of the others.

Knows the order of the steps and how they share the time; what a step is for, it knows itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TimeLeft = Callable[[], float]
"""Seconds until a step must be done."""


class Step(Protocol):
    def run(self, time_left: TimeLeft, since: int | None) -> "DataclassInstance":
        """What it did. It goes on where it stopped the last time, or with `since` (epoch
        milliseconds) begins anew."""


class Sweep:
    """`report` is told of each sweep whose steps have all done their work."""

    def __init__(self, steps: Mapping[str, Step], report: Callable[[], None]) -> None:
        self._steps = steps
        self._report = report

    def run(
        self, time_left: TimeLeft, since: int | None = None, only: str | None = None
    ) -> dict[str, Any]:
        """What each step did, by its name, or the one step that is to be taken. A step may take
        half of the time that is left, the last one all of it.

        Raises an ExceptionGroup of what steps raised, when all had their turn.
        """
        steps = {name: step for name, step in self._steps.items() if only in (None, name)}
        told: dict[str, Any] = {}
        failures: list[Exception] = []
        for behind, (name, step) in zip(reversed(range(len(steps))), steps.items(), strict=True):
            kept = time_left() / 2 if behind else 0.0
            try:
                told[name] = asdict(step.run(partial(_less, time_left, kept), since))
            except Exception as error:
                failures.append(error)
        if failures:
            raise ExceptionGroup("steps of the sweep failed", failures)
        self._report()
        return told


def _less(time_left: TimeLeft, kept: float) -> float:
    return time_left() - kept
