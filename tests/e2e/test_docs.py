"""The shell commands of the documentation, as they are printed, against the API on this machine."""

import csv
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.api import Api as Served
from local.aws import ROOT, LocalAws, Resources
from local.ports import free_port
from local.stacks import kept_token
from tests.support.builders import NOON, a_body, a_job_id, an_attempt
from tests.support.recorder_harness import RecorderHarness
from tests.support.samples.log_samples import write

pytestmark = pytest.mark.skipif(
    "CI" not in os.environ and not all(map(shutil.which, ("bash", "curl", "jq"))),
    reason="the examples need bash, curl and jq",
)

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
EXAMPLES = BLOCK.findall((ROOT / "docs" / "api.md").read_text())
README_EXAMPLES = [
    block for block in BLOCK.findall((ROOT / "README.md").read_text()) if block.startswith("curl")
]
FUNCTION = EXAMPLES[0].splitlines()[0]
FAILED_JOBS = 130


def example(name: str) -> str:
    """Return the example that defines a function."""
    [block] = [block for block in EXAMPLES if f"{name}() {{" in block]
    return str(block)


@dataclass(frozen=True)
class Shell:
    """Runs examples with the variables that the documentation names."""

    folder: Path
    variables: dict[str, str]

    def run(self, commands: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            ["bash", "-c", f"set -u\n{FUNCTION}\n{commands}"],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], **self.variables, **variables},
            capture_output=True,
            text=True,
        )


@pytest.fixture
def shell(
    aws: LocalAws, resources: Resources, harness: RecorderHarness, tmp_path: Path
) -> Iterator[Shell]:
    ids = {name: a_job_id() for name in ("ID", "ARRAY", "NODES")}
    ended = [an_attempt(container={"exitCode": 1, "logStreamName": "align/default/1"})]
    harness.record(
        [
            a_body(
                jobId=ids["ID"],
                status="FAILED",
                at=NOON + 1,
                attempts=ended,
                container={"image": "align:1"},
            ),
            a_body(jobId=ids["ARRAY"], arrayProperties={"size": 13}),
            a_body(jobId=f"{ids['ARRAY']}:12", status="FAILED"),
            a_body(jobId=ids["NODES"], nodeProperties={"numNodes": 2}),
            a_body(jobId=f"{ids['NODES']}#1"),
            *(a_body(status="FAILED", jobName=f"failed-{n}") for n in range(FAILED_JOBS)),
        ]
    )
    write(aws, "align/default/1", ["the input is empty"])
    token = kept_token(aws, resources.secret_id, tmp_path / "token")
    with Served(free_port(), aws, token, tmp_path / "api.log") as served:
        yield Shell(tmp_path, {"URL": served.url, "TOKEN": token, **ids})


def test_the_examples_run_as_they_are_printed(shell: Shell) -> None:
    for block in EXAMPLES:
        if "wait_for_job" not in block:
            run = shell.run(f"set -e\n{block}")
            assert (run.returncode, run.stderr) == (0, ""), block + run.stdout
    for block in README_EXAMPLES:
        for command in block.splitlines():
            run = shell.run(command.replace("4c7599ae-0a82-49aa-ba5a-4727fcce14a8", "$ID"))
            assert run.returncode == 0, command
            assert '"RequestId"' not in run.stdout, command

    lines = (shell.folder / "failed.jsonl").read_text().splitlines()
    rows = list(csv.DictReader((shell.folder / "failed.csv").open()))
    names = {json.loads(line)["jobName"] for line in lines}
    assert len(lines) == len(rows) == FAILED_JOBS + 1
    assert names == {row["jobName"] for row in rows}


def test_the_loops_over_pages_fail_if_the_api_does(shell: Shell) -> None:
    for name in ("all_failed", "all_failed_csv"):
        run = shell.run(example(name), TOKEN="wrong")

        assert run.returncode == 1, name
        assert "403" in run.stderr or "401" in run.stderr, name


def test_waiting_for_a_job_succeeds_only_if_the_job_does(
    shell: Shell, harness: RecorderHarness
) -> None:
    succeeded, lost = a_job_id(), a_job_id()
    harness.record([a_body(jobId=succeeded, status="SUCCEEDED")])
    wait = example("wait_for_job")

    runs = {
        "succeeded": shell.run(wait, ID=succeeded),
        "failed": shell.run(wait),
        "not found": shell.run(wait, ID=lost),
        "wrong token": shell.run(wait, TOKEN="wrong"),
        "unreachable": shell.run(wait.replace("--retry 9", ""), URL="http://127.0.0.1:1"),
    }

    assert {name: run.returncode for name, run in runs.items()} == {
        "succeeded": 0,
        "failed": 1,
        **dict.fromkeys(("not found", "wrong token", "unreachable"), 2),
    }
    assert runs["failed"].stderr.startswith("FAILED: ")
    assert all(run.stderr for name, run in runs.items() if name != "succeeded")
