"""Runs the steps of the sweep: an error in one step does not keep the others from running.

Contains the order of the steps and how they share the time; must not depend on what a step does.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Protocol

from chalicelib.telemetry import LogEvent, Tally, count


@dataclass(kw_only=True)
class SweepTally(Tally):
    """A sweep whose steps all succeeded. An alarm watches for its absence."""

    EVENT = LogEvent.SWEEP_COMPLETED

    swept: int = count("Swept", default=1)


TimeLeft = Callable[[], float]
"""Returns the seconds until a step must have finished."""


class Step(Protocol):
    def run(self, time_left: TimeLeft, since: int | None) -> Tally:
        """Resume where the previous run stopped, or restart with `since` (epoch milliseconds), and
        return the run's tally."""


class Sweep:
    """`report` is called after each run in which no step failed."""

    def __init__(self, steps: Mapping[str, Step], report: Callable[[Tally], None]) -> None:
        self._steps = steps
        self._report = report

    def run(
        self, time_left: TimeLeft, since: int | None = None, only: str | None = None
    ) -> dict[str, object]:
        """Run all steps, or `only` the one of that name, and return their tallies by name.

        Each step may use half of the time that is left, and the last one all of it. Raises an
        ExceptionGroup of the steps' errors after all of them have run.
        """
        steps = {name: step for name, step in self._steps.items() if only in (None, name)}
        tallies: dict[str, object] = {}
        errors: list[Exception] = []
        for behind, (name, step) in zip(reversed(range(len(steps))), steps.items(), strict=True):
            reserved = time_left() / 2 if behind else 0.0
            try:
                tallies[name] = asdict(step.run(partial(_less, time_left, reserved), since))
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("steps of the sweep failed", errors)
        self._report(SweepTally())
        return tallies


def _less(time_left: TimeLeft, reserved: float) -> float:
    return time_left() - reserved
