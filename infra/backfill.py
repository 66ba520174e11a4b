"""Finds at once what no event told, back to a day: `make backfill STAGE=prod SINCE=2026-11-01`.

It begins steps of a stage's sweep anew and calls each until nothing is left to do, a line a run:
first what finds jobs, then what counts them. Knows how a sweep is called; what its steps do,
chalicelib/repair.py and counting.py know.
"""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from infra import stages
from infra.errors import Refused, told_plainly
from infra.functions import Function, lambda_client

_MOST_RUNS = 10_000
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


def sweeps(client: Any, jobs_table: str, since: int, step: str) -> Iterator[dict[str, Any]]:
    """What each run of one step did, until one has nothing left. `client` is Lambda's, `since` in
    epoch milliseconds. Refused if there is no such function, or it fails."""
    sweep = Function(client, "sweep", jobs_table)
    detail: dict[str, Any] = {"step": step, "since": since}
    for _ in range(_MOST_RUNS):
        told = sweep.call(_EVENT | {"detail": detail})[step]
        yield told
        if not told["left"]:
            return
        detail = {"step": step}
    raise Refused(f"there is still something left after {_MOST_RUNS} runs")


def day(text: str) -> int:
    """Epoch milliseconds of a date or time in ISO 8601, UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refused(f"SINCE={text!r} is no date like 2026-11-01") from error
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make backfill", description="Finds jobs never heard of.")
    parser.add_argument("--stage", required=True)
    parser.add_argument("--since", required=True, help="a date, as 2026-11-01")
    options = parser.parse_args()
    since = day(options.since)
    table = stages.environment_of(options.stage)["JOBS_TABLE"]
    client = lambda_client()
    for told in sweeps(client, table, since, "repair"):
        unknown = len(told["unknown_to_batch"])
        print(
            f"{told['discovered']} jobs found, {told['repaired']} repaired, {told['lost']} lost,"
            f" {unknown} unknown to Batch, {told['calls']} calls",
            flush=True,
        )
    for told in sweeps(client, table, since, "count"):
        print(f"{told['read']} jobs counted, {told['written']} hours and days changed", flush=True)


if __name__ == "__main__":
    sys.exit(told_plainly(main))
