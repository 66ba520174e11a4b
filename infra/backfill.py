"""Finds at once what no event told, back to a day: `make backfill STAGE=prod SINCE=2026-11-01`.

It begins the sweep of a stage anew and calls it until nothing is left to do, a line a run. Knows
how a sweep is called; what it does, chalicelib/repair.py knows.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config

from infra import stages
from infra.errors import Refused, told_plainly

SWEEP_TIMEOUT = 240
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


def sweeps(client: Any, jobs_table: str, since: int) -> Iterator[dict[str, Any]]:
    """What each run did, until one has nothing left. `client` is Lambda's, `since` in epoch
    milliseconds. Refused if there is no such function, or it fails."""
    function = _function(client, jobs_table)
    detail: dict[str, int] = {"since": since}
    for _ in range(_MOST_RUNS):
        answer = client.invoke(
            FunctionName=function, Payload=json.dumps(_EVENT | {"detail": detail}).encode()
        )
        told = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise Refused(f"the sweep failed: {told.get('errorMessage', 'its log says why')}")
        repaired = told["repair"]
        yield repaired
        if not repaired["left"]:
            return
        detail = {}
    raise Refused(f"there is still something left after {_MOST_RUNS} runs")


def _function(client: Any, jobs_table: str) -> str:
    for page in client.get_paginator("list_functions").paginate():
        for one in page["Functions"]:
            variables = one.get("Environment", {}).get("Variables", {})
            if one.get("Handler") == "app.sweep" and variables.get("JOBS_TABLE") == jobs_table:
                return str(one["FunctionName"])
    raise Refused(f"no sweep for {jobs_table} here: is the stage deployed, and in this region?")


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
    # A run takes minutes; asked again meanwhile, Lambda would start another one.
    patient = Config(read_timeout=SWEEP_TIMEOUT + 30, retries={"total_max_attempts": 1})

    for told in sweeps(boto3.client("lambda", config=patient), table, since):
        unknown = len(told["strangers"])
        print(
            f"{told['discovered']} jobs found, {told['repaired']} repaired, {told['lost']} lost,"
            f" {unknown} unknown to Batch, {told['calls']} calls",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(told_plainly(main))
