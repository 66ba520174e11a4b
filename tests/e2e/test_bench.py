"""Every benchmark runs. Its results are for people: no test depends on the speed of a machine."""

import subprocess
import sys

from local.aws import ROOT

BENCHMARKS = [
    "CPU time to parse an event",
    "… decoding only",
    "… without redaction",
    "… without the cache of redacted texts",
    "CPU time to merge an event into its job",
    "CPU time to encode and decode a record as JSON",
    "CPU time to save a record, 25 per request",
    "events recorded per second of CPU time, in batches of 500",
    "requests for 10 new jobs",
    "requests for 10 second events of jobs",
    "requests for 10 duplicates",
    "write units of a job with five events, one event per batch",
    "write units of an array child with four, one event per batch",
    "bytes of a job item, median",
    "bytes of a job item, 90th percentile",
    "bytes of a job item, largest",
    "job items larger than a write unit",
    "response time of GET /jobs/{jobId}, 400 jobs",
    "… requests to DynamoDB",
    "response time of GET /jobs?queue=…&status=FAILED, 400 jobs",
    "… requests to DynamoDB",
    "response time of GET /queues/{queue}, 400 jobs",
    "… requests to DynamoDB",
    *(
        f"response time of GET {path}, 2 queues, 400 jobs"
        for path in (
            "/jobs",
            "/jobs?status=FAILED",
            "/jobs?status=RUNNING",
            "/jobs?name=align-1",
            "/queues",
        )
    ),
    "requests of a sweep over 2 queues",
    "requests of a sweep with 1,000 RUNNABLE jobs",
    "messages of 0.15 healthy days",
    "import of app.py and its dependencies",
    "… batchwatch's own modules",
    "first response of the API after the import",
    "… with the start of the process",
    "first response of the authorizer after the import",
    "… with the start of the process",
]


def test_every_benchmark_prints_its_row() -> None:
    bench = subprocess.run(
        [sys.executable, "-m", "bench", "--quick"], cwd=ROOT, capture_output=True, text=True
    )

    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in bench.stdout.splitlines()]
    assert bench.returncode == 0, bench.stderr
    assert table[0] == ["benchmark", "result", "comparison", "ratio"]
    assert [benchmark for benchmark, *_ in table[2:]] == BENCHMARKS
    assert all(float(ratio) > 0 for *_, ratio in table[2:])
