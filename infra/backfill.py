"""Finds the jobs that no event reported since a date: `make backfill STAGE=prod SINCE=2026-11-01`.

It restarts two steps of a stage's sweep, first `reconcile`, then `count`, and invokes each until it
has nothing left to do. It prints one line per invocation.
"""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra import stages
from infra.errors import CommandError, run_command
from infra.functions import Function, lambda_client

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_MAX_INVOCATIONS = 10_000
RECONCILE, COUNT = "reconcile", "count"
"""Steps of the sweep (chalicelib.sweep.sweep)."""
_EVENT = {
    "version": "0",
    "id": "backfill",
    "detail-type": "Backfill",
    "source": "batchwatch",
    "account": "",
    "time": "1970-01-01T00:00:00Z",
    "region": "",
    "resources": [],
}


def sweeps(
    client: "LambdaClient", jobs_table: str, since: int, step: str
) -> Iterator[dict[str, Any]]:
    """Restart one step of the sweep at `since` (epoch milliseconds) and invoke it until it has
    nothing left to do; yield the tally of each run.

    Raises CommandError if the stage has no such function here, or if the function fails.
    """
    sweep = Function(client, "sweep", jobs_table)
    detail: dict[str, Any] = {"step": step, "since": since}
    for _ in range(_MAX_INVOCATIONS):
        tally = sweep.call(_EVENT | {"detail": detail})[step]
        yield tally
        if not tally["left"]:
            return
        detail = {"step": step}
    raise CommandError(f"the step {step} still has work left after {_MAX_INVOCATIONS} invocations")


def parse_since(text: str) -> int:
    """Return the epoch milliseconds of an ISO 8601 date or time, in UTC unless it has an offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"SINCE must be a date such as 2026-11-01, not {text!r}") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make backfill", description="Finds the jobs that no event reported since a date."
    )
    parser.add_argument("--stage", required=True)
    parser.add_argument("--since", required=True, help="a date such as 2026-11-01")
    options = parser.parse_args()
    since = parse_since(options.since)
    table = stages.environment_of(options.stage)["JOBS_TABLE"]
    client = lambda_client()
    for tally in sweeps(client, table, since, RECONCILE):
        print(
            f"{tally['discovered']} jobs discovered, {tally['repaired']} repaired,"
            f" {tally['lost']} marked UNKNOWN, {len(tally['unknown_to_batch'])} missing in"
            f" AWS Batch, {tally['calls']} API calls",
            flush=True,
        )
    for tally in sweeps(client, table, since, COUNT):
        print(f"{tally['read']} jobs counted, {tally['written']} rollups changed", flush=True)


if __name__ == "__main__":
    sys.exit(run_command(main))
