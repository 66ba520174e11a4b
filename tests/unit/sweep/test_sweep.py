"""The sweep: each of its steps has a turn and a share of the time, whatever becomes of others."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from chalicelib.sweep.sweep import Sweep


@dataclass
class Done:
    seconds: float
    since: int | None


class Step:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def run(self, time_left: Callable[[], float], since: int | None) -> Done:
        if self.error:
            raise self.error
        return Done(time_left(), since)


def test_each_step_may_take_half_of_what_is_left_and_the_last_all_of_it() -> None:
    reports: list[str] = []
    sweep = Sweep({"a": Step(), "b": Step(), "c": Step()}, lambda: reports.append("swept"))

    told = sweep.run(lambda: 80, since=17)

    assert {name: done["seconds"] for name, done in told.items()} == {"a": 40, "b": 40, "c": 80}
    assert {done["since"] for done in told.values()} == {17}
    assert reports == ["swept"]


def test_a_step_that_fails_keeps_no_other_from_its_turn_and_fails_the_sweep() -> None:
    turns: list[str] = []

    class Last(Step):
        def run(self, time_left: Callable[[], float], since: int | None) -> Done:
            turns.append("last")
            return super().run(time_left, since)

    with pytest.raises(ExceptionGroup) as raised:
        Sweep(
            {"a": Step(KeyError("a")), "b": Step(OSError("b")), "c": Last()},
            lambda: turns.append("swept"),
        ).run(lambda: 80)

    assert turns == ["last"]
    assert [str(error) for error in raised.value.exceptions] == ["'a'", "b"]


def test_one_step_can_be_asked_for_and_has_all_of_the_time() -> None:
    sweep = Sweep({"a": Step(KeyError("a")), "b": Step(), "c": Step()}, lambda: None)

    assert sweep.run(lambda: 80, only="b") == {"b": {"seconds": 80, "since": None}}
