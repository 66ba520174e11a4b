"""The sweep runs each of its steps with a share of the time, whether or not others fail."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from chalicelib.sweep.sweep import Sweep, SweepTally
from chalicelib.telemetry import Tally


@dataclass
class StepTally(Tally):
    seconds: float
    since: int | None


class Step:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def run(self, time_left: Callable[[], float], since: int | None) -> StepTally:
        if self.error:
            raise self.error
        return StepTally(time_left(), since)


def test_each_step_may_use_half_of_the_remaining_time_and_the_last_one_all_of_it() -> None:
    reports: list[Tally] = []
    sweep = Sweep({"a": Step(), "b": Step(), "c": Step()}, reports.append)

    tallies = sweep.run(lambda: 80, since=17)

    seconds = {name: tally["seconds"] for name, tally in tallies.items()}
    assert seconds == {"a": 40, "b": 40, "c": 80}
    assert {tally["since"] for tally in tallies.values()} == {17}
    assert reports == [SweepTally()]


def test_a_failing_step_does_not_stop_the_others_and_fails_the_sweep_at_the_end() -> None:
    calls: list[str] = []

    class LastStep(Step):
        def run(self, time_left: Callable[[], float], since: int | None) -> StepTally:
            calls.append("last step")
            return super().run(time_left, since)

    steps = {"a": Step(KeyError("a")), "b": Step(OSError("b")), "c": LastStep()}

    with pytest.raises(ExceptionGroup) as raised:
        Sweep(steps, lambda tally: calls.append("swept")).run(lambda: 80)

    assert calls == ["last step"]
    assert [str(error) for error in raised.value.exceptions] == ["'a'", "b"]


def test_a_single_step_can_be_run_and_may_use_all_of_the_time() -> None:
    sweep = Sweep({"a": Step(KeyError("a")), "b": Step(), "c": Step()}, lambda tally: None)

    assert sweep.run(lambda: 80, only="b") == {"b": {"seconds": 80, "since": None}}
