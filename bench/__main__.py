"""`python -m bench`: runs the benchmarks, tells on stderr how far it is, and prints the table."""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench import cold_start, listing, reading, recording
from bench.report import Row, table
from local.aws import LocalAws
from local.ports import free_port
from local.process import LocalError


@dataclass(frozen=True)
class Sizes:
    """How much of everything: enough to tell, or hardly enough to run."""

    rounds: int = 7
    jobs: int = 500
    """Whose events are read, merged and recorded."""
    records: int = 100
    sized: int = 2_000
    """Jobs whose items are weighed, and among which lives of a kind are looked for."""
    lives: int = 20
    requested: int = 100
    """Messages of each kind whose requests are counted."""
    few: int = 1_000
    many: int = 200_000
    """Jobs in the tables that the API answers from."""


_QUICK = Sizes(rounds=1, jobs=150, records=25, sized=400, lives=1, requested=10, few=50, many=400)
"""Among fewer jobs there are no service jobs."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes: figures that mean nothing"
    )
    sizes = _QUICK if parser.parse_args().quick else Sizes()
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            LocalAws(free_port(), Path(folder), keep=False) as aws,
        ):
            print(table(_rows(aws, sizes)))
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _rows(aws: LocalAws, sizes: Sizes) -> list[Row]:
    environment = {**aws.environment_for(os.environ), **aws.create_resources().environment}
    os.environ.clear()
    os.environ.update(environment)  # what the app's clients are built by
    parts: dict[str, Callable[[], Iterable[Row]]] = {
        "reading events": lambda: reading.rows(sizes.jobs, sizes.rounds),
        "writing records down": lambda: reading.record_rows(sizes.jobs, sizes.rounds),
        "saving records": lambda: recording.save_rows(aws, sizes.records, sizes.rounds),
        "recording batches": lambda: recording.batch_rows(aws, sizes.jobs, sizes.rounds),
        "counting requests": lambda: recording.request_rows(aws, sizes.requested),
        "counting write units": lambda: recording.write_unit_rows(aws, sizes.lives, sizes.sized),
        "weighing items": lambda: reading.size_rows(sizes.sized),
        "answering": lambda: listing.rows(aws, sizes.few, sizes.many, sizes.rounds),
        "importing": lambda: cold_start.rows(environment, sizes.rounds),
    }
    rows: list[Row] = []
    for number, (name, measured) in enumerate(parts.items(), 1):
        print(f"{number}/{len(parts)} {name} …", file=sys.stderr, flush=True)
        rows += measured()
    return rows


if __name__ == "__main__":
    sys.exit(main())
