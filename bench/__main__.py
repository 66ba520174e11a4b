"""`python -m bench` runs the benchmarks, with progress on stderr, and prints their table."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import cold_start, parsing, recording, responses, sweeps, write_units
from bench.report import Row, table
from bench.week import messages
from local.aws import LocalAws
from local.ports import free_port
from local.process import LocalError


@dataclass(frozen=True)
class Sizes:
    """Sizes of the workloads."""

    rounds: int = 7
    jobs: int = 500
    """Jobs whose events are parsed, merged and recorded."""
    records: int = 100
    """Records that are saved again."""
    items: int = 2_000
    """Jobs whose items are measured, and among which jobs for write units are selected."""
    write_unit_jobs: int = 20
    messages: int = 100
    """Messages of each kind whose requests are counted."""
    few_jobs: int = 1_000
    many_jobs: int = 100_000
    """Jobs in the tables of the API."""
    waiting_jobs: int = 100_000
    queues: tuple[int, ...] = (1, 20, 50)
    """AWS's default quota is fifty job queues."""
    days: float = 7


_QUICK = Sizes(
    rounds=1,
    jobs=150,
    records=25,
    items=400,
    write_unit_jobs=1,
    messages=10,
    few_jobs=50,
    many_jobs=400,
    waiting_jobs=1_000,
    queues=(1, 2),
    days=0.15,
)
"""Smaller workloads contain no service jobs."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="run with tiny sizes, whose results are meaningless"
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="run the benchmarks whose name contains the text"
    )
    options = parser.parse_args()
    sizes = _QUICK if options.quick else Sizes()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            LocalAws(free_port(), Path(folder), keep=False) as aws,
        ):
            print(table(_rows(aws, sizes, options.only)))
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _rows(aws: LocalAws, sizes: Sizes, only: str) -> list[Row]:
    environment = {**aws.environment_for(os.environ), **aws.create_resources().environment}
    os.environ.clear()
    os.environ.update(environment)  # boto3 reads the endpoint and the credentials from it
    benchmarks: dict[str, Callable[[], Iterable[Row]]] = {
        "parsing events": lambda: parsing.event_rows(sizes.jobs, sizes.rounds),
        "encoding records": lambda: parsing.record_rows(sizes.jobs, sizes.rounds),
        "saving records": lambda: recording.save_rows(aws, sizes.records, sizes.rounds),
        "recording batches": lambda: recording.batch_rows(aws, sizes.jobs, sizes.rounds),
        "counting requests": lambda: recording.request_rows(aws, sizes.messages),
        "counting write units": lambda: write_units.rows(aws, sizes.write_unit_jobs, sizes.items),
        "measuring items": lambda: parsing.size_rows(sizes.items),
        "requesting jobs": lambda: responses.rows(
            aws, sizes.few_jobs, sizes.many_jobs, sizes.queues, sizes.rounds
        ),
        "counting requests of sweeps": lambda: sweeps.rows(aws, sizes.queues, sizes.waiting_jobs),
        "messages of a healthy week": lambda: messages.rows(aws, sizes.days),
        "importing modules": lambda: cold_start.rows(environment, sizes.rounds),
    }
    chosen = {name: measure for name, measure in benchmarks.items() if only in name}
    if not chosen:
        raise LocalError(f"no benchmark contains {only!r}; there are {', '.join(benchmarks)}")
    rows: list[Row] = []
    for number, (name, measure) in enumerate(chosen.items(), 1):
        print(f"{number}/{len(chosen)} {name} …", file=sys.stderr, flush=True)
        rows += measure()
    return rows


if __name__ == "__main__":
    sys.exit(main())
