"""That every benchmark runs; its figures are for people, and no test depends on how fast it is."""

import subprocess
import sys

from local.aws import ROOT

ROWS = [
    "CPU to read one event",
    "… its decoding alone",
    "… without redaction",
    "… remembering no redacted text",
    "CPU to merge one event into its job",
    "CPU to write and read one record as JSON",
    "CPU to save one record, 25 a request",
    "events recorded in a second of CPU, batches of 500",
    "requests for 10 new jobs",
    "requests for 10 known jobs' next events",
    "requests for 10 duplicates",
    "write units of a job of five events, each event alone",
    "write units of an array's child of four, each event alone",
    "bytes of a job item, median",
    "bytes of a job item, 90th percentile",
    "bytes of a job item, largest",
    "job items above one write unit",
    "time to answer /jobs/{jobId}, 400 jobs",
    "… requests to DynamoDB",
    "time to answer /jobs?queue=…&status=FAILED, 400 jobs",
    "… requests to DynamoDB",
    "import of app.py, with all it needs",
    "… of which our own modules",
]


def test_every_benchmark_gives_its_row() -> None:
    bench = subprocess.run(
        [sys.executable, "-m", "bench", "--quick"], cwd=ROOT, capture_output=True, text=True
    )

    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in bench.stdout.splitlines()]
    assert bench.returncode == 0, bench.stderr
    assert table[0] == ["what", "figure", "comparison", "ratio"]
    assert [what for what, *_ in table[2:]] == ROWS
    assert all(float(ratio) > 0 for *_, ratio in table[2:])
