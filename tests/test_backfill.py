"""`make backfill`: how it calls the sweep, and what it says when it can't."""

import io
import json
from typing import Any

import pytest

from infra.backfill import day, sweeps
from infra.errors import Refused
from local.aws import LocalAws


class Functions:
    """Lambda with one function, as far as backfill speaks to it; answers with one run after the
    other, and keeps what it was told."""

    def __init__(self, *runs: dict[str, Any], error: bool = False) -> None:
        self.runs = list(runs)
        self.details: list[dict[str, Any]] = []
        self._error = {"FunctionError": "Unhandled"} if error else {}

    def get_paginator(self, operation: str) -> "Functions":
        return self

    def paginate(self) -> list[dict[str, Any]]:
        variables = {"JOBS_TABLE": "jobs"}
        one = {"FunctionName": "f", "Handler": "app.sweep", "Environment": {"Variables": variables}}
        return [{"Functions": [one]}]

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        self.details.append(json.loads(Payload)["detail"])
        return {"Payload": io.BytesIO(json.dumps(self.runs.pop(0)).encode()), **self._error}


def test_it_begins_anew_once_and_goes_on_until_nothing_is_left() -> None:
    functions = Functions(*({"repair": {"left": left}} for left in (True, True, False)))

    assert len(list(sweeps(functions, "jobs", 17))) == 3
    assert functions.details == [{"since": 17}, {}, {}]


def test_a_sweep_that_fails_is_told_in_a_line() -> None:
    failing = Functions({"errorMessage": "Batch refuses: AccessDenied"}, error=True)

    with pytest.raises(Refused, match="the sweep failed: Batch refuses"):
        list(sweeps(failing, "jobs", 17))


def test_a_stage_that_is_not_there_is_told_in_a_line(aws: LocalAws) -> None:
    with pytest.raises(Refused, match="no sweep for nowhere here"):
        list(sweeps(aws.client("lambda"), "nowhere", 17))


def test_a_day_is_midnight_in_utc_unless_it_says_otherwise() -> None:
    assert day("2026-11-01") == 1_793_491_200_000
    assert day("2026-11-01T01:00:00+01:00") == day("2026-11-01")
    with pytest.raises(Refused, match="SINCE='soon' is no date"):
        day("soon")
