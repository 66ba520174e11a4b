"""What a new function imports before it can do anything, as Python itself tells it."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial

from bench.report import Row, times
from bench.timing import in_turn
from local.aws import ROOT
from local.process import LocalError

_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")


def rows(environment: Mapping[str, str], rounds: int) -> Iterator[Row]:
    """`environment` is what app.py reads at import, and PATH."""
    seconds = partial(_import_seconds, environment)
    measured = in_turn(
        rounds,
        {
            "app": lambda: seconds("app", of=".*"),
            "ours": lambda: seconds("app", of="app|chalicelib"),
            "boto3": lambda: seconds("boto3", of=".*"),
        },
    )

    def milliseconds(name: str) -> str:
        return f"{measured.seconds(name) * 1e3:.0f} ms"

    for what, name in (
        ("import of app.py, with all it needs", "app"),
        ("… of which our own modules", "ours"),
    ):
        yield Row(
            what,
            milliseconds(name),
            f"{milliseconds('boto3')} boto3 alone",
            times(measured.ratio(name, "boto3")),
        )


def _import_seconds(environment: Mapping[str, str], module: str, of: str) -> float:
    """What modules whose first name matches `of` take by themselves when a new process imports
    `module`."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    told = process.stderr.splitlines()
    if process.returncode:
        raise LocalError(f"{module} can't be imported: {told[-1]}")
    lines = [found for found in map(_LINE.match, told) if found]
    return sum(int(line[1]) for line in lines if re.fullmatch(of, line[4].partition(".")[0])) / 1e6
