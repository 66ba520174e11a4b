"""`make backfill`: how it calls the sweep, and what it says when it can't."""

from typing import Any

import pytest

from infra.backfill import day, sweeps
from infra.errors import Refused
from local.aws import LocalAws
from tests.support.lambda_server import FunctionServer


def test_it_begins_anew_once_and_goes_on_until_nothing_is_left() -> None:
    details: list[Any] = []

    def sweep(event: Any) -> Any:
        details.append(event["detail"])
        return {"repair": {"left": len(details) < 3}}

    with FunctionServer({"sweep": sweep}) as functions:
        told = list(sweeps(functions.client, "jobs", 17, "repair"))

    assert len(told) == 3
    assert details == [{"step": "repair", "since": 17}] + 2 * [{"step": "repair"}]


def test_a_sweep_that_fails_is_told_in_a_line() -> None:
    def sweep(event: Any) -> Any:
        raise RuntimeError("Batch refuses: AccessDenied")

    with (
        FunctionServer({"sweep": sweep}) as functions,
        pytest.raises(Refused, match="sweep failed: Batch refuses"),
    ):
        list(sweeps(functions.client, "jobs", 17, "repair"))


def test_a_stage_that_is_not_there_is_told_in_a_line(aws: LocalAws) -> None:
    with pytest.raises(Refused, match="no sweep for nowhere here"):
        list(sweeps(aws.client("lambda"), "nowhere", 17, "repair"))


def test_a_day_is_midnight_in_utc_unless_it_says_otherwise() -> None:
    assert day("2026-11-01") == 1_793_491_200_000
    assert day("2026-11-01T01:00:00+01:00") == day("2026-11-01")
    with pytest.raises(Refused, match="SINCE='soon' is no date"):
        day("soon")
