"""`make backfill`: how it invokes the sweep, and its error messages."""

import json
import re
from typing import Any

import pytest

from infra.backfill import parse_since, sweeps
from infra.errors import CommandError
from local.aws import ROOT, LocalAws
from local.batch import BatchServer
from tests.support.api_harness import Api
from tests.support.lambda_server import FunctionServer
from tests.support.recorder_harness import aws_session


def test_it_restarts_the_step_once_and_invokes_it_until_nothing_is_left() -> None:
    details: list[Any] = []

    def sweep(event: Any) -> Any:
        details.append(event["detail"])
        return {"reconcile": {"left": len(details) < 3}}

    with FunctionServer({"sweep": sweep}) as functions:
        tallies = list(sweeps(functions.client, "jobs", 17, "reconcile"))

    assert len(tallies) == 3
    assert details == [{"step": "reconcile", "since": 17}] + 2 * [{"step": "reconcile"}]


def test_a_failing_sweep_is_reported_in_one_line() -> None:
    def sweep(event: Any) -> Any:
        raise RuntimeError("AWS Batch rejected ListJobs: AccessDeniedException")

    with (
        FunctionServer({"sweep": sweep}) as functions,
        pytest.raises(CommandError, match="sweep failed: AWS Batch rejected ListJobs"),
    ):
        list(sweeps(functions.client, "jobs", 17, "reconcile"))


def test_a_stage_that_is_not_deployed_is_reported_in_one_line(aws: LocalAws) -> None:
    with pytest.raises(CommandError, match="function sweep for table nowhere not found"):
        list(sweeps(aws.client("lambda"), "nowhere", 17, "reconcile"))


def test_a_date_is_midnight_utc_unless_it_has_an_offset() -> None:
    assert parse_since("2026-11-01") == 1_793_491_200_000
    assert parse_since("2026-11-01T01:00:00+01:00") == parse_since("2026-11-01")
    with pytest.raises(CommandError, match="SINCE must be a date such as 2026-11-01, not 'soon'"):
        parse_since("soon")


def test_the_documented_event_runs_every_step_of_a_sweep(api: Api, batch: BatchServer) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    [event] = re.findall(r"echo '([^']+)' \| chalice invoke", page)
    api.container.clients.batch = aws_session().client("batch", endpoint_url=batch.url)

    tallies = api.invoke("sweep", json.loads(event))

    assert list(tallies) == ["reconcile", "watch", "count"]
