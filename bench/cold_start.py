"""Import times of a new function, as measured by Python's `-X importtime`."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial

from bench.report import Row, formatted_ratio, milliseconds
from bench.timing import measure_in_rounds
from local.aws import ROOT
from local.process import LocalError

_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")
"""Microseconds of a module without its imports, cumulative microseconds, and the module's name."""


def rows(environment: Mapping[str, str], rounds: int) -> Iterator[Row]:
    """Compare with the import of boto3. `environment` is that of a function, with PATH."""
    seconds = partial(_import_seconds, environment)
    measured = measure_in_rounds(
        rounds,
        {
            "app": lambda: seconds("app", of=".*"),
            "ours": lambda: seconds("app", of="app|chalicelib"),
            "boto3": lambda: seconds("boto3", of=".*"),
        },
    )
    for benchmark, name in (
        ("import of app.py and its dependencies", "app"),
        ("… batchwatch's own modules", "ours"),
    ):
        yield Row(
            benchmark,
            milliseconds(measured.seconds(name)),
            f"{milliseconds(measured.seconds('boto3'))} boto3",
            formatted_ratio(measured.ratio(name, "boto3")),
        )


def _import_seconds(environment: Mapping[str, str], module: str, of: str) -> float:
    """Import `module` in a new process, and return the seconds of the modules whose top-level name
    matches `of`."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    output = process.stderr.splitlines()
    if process.returncode:
        raise LocalError(f"can't import {module}: {output[-1]}")
    lines = [line for line in map(_LINE.match, output) if line]
    return sum(int(line[1]) for line in lines if re.fullmatch(of, line[4].partition(".")[0])) / 1e6
