"""`make run`, for real: on free ports, stopped as a person stops it, and started again."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from local.aws import ROOT, LocalAws
from local.ports import LOOPBACK, free_port
from local.run import only_user_of

COMMAND = [sys.executable, "-m", "local.run"]
UP = re.compile(r"^\d\d:\d\d:\d\d  SUBMITTED", re.MULTILINE)


class Run:
    """One `make run` without the make."""

    def __init__(self, state_dir: Path):
        self.output = state_dir.with_suffix(".out")
        self.port, self.aws_port, self.webex_port = free_port(), free_port(), free_port()
        environment = {
            "PORT": str(self.port),
            "AWS_PORT": str(self.aws_port),
            "WEBEX_PORT": str(self.webex_port),
            "STATE_DIR": str(state_dir),
            "SIMULATE": "0",
        }
        began = time.monotonic()
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                COMMAND, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=output
            )
        self._wait_for_progress()
        self.seconds = time.monotonic() - began
        self.token = (state_dir / "token").read_text()

    def _wait_for_progress(self) -> None:
        deadline = time.monotonic() + 60
        while not UP.search(self.text):
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def get(self, path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return requests.get(f"http://{LOOPBACK}:{self.port}{path}", headers=headers, timeout=30)

    def put_job(self, job_id: str) -> None:
        queue = "arn:aws:batch:us-east-1:000000000000:job-queue/high"
        detail = {"jobId": job_id, "jobName": "n", "jobQueue": queue, "status": "RUNNABLE"}
        entry = {
            "Source": "batchwatch.simulated",
            "DetailType": "Batch Job State Change",
            "Detail": json.dumps(detail),
        }
        LocalAws(self.aws_port, self.output).client("events").put_events(Entries=[entry])
        deadline = time.monotonic() + 30
        while self.get(f"/jobs/{job_id}").status_code != 200:
            assert time.monotonic() < deadline, f"{job_id} was never recorded"
            time.sleep(0.1)

    def descendants(self) -> set[int]:
        lines = subprocess.check_output(["ps", "-A", "-o", "ppid=,pid="], text=True).splitlines()
        pairs = [tuple(map(int, line.split())) for line in lines]
        found = {self.process.pid}
        for _ in pairs:
            found |= {pid for parent, pid in pairs if parent in found}
        return found - {self.process.pid}

    def stop(self, how: signal.Signals) -> int:
        self.process.send_signal(how)
        return self.process.wait(60)


def still_running(pids: set[int]) -> set[int]:
    """Those that have not ended within a few seconds; a process that was killed takes a moment."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        lines = subprocess.check_output(["ps", "-A", "-o", "pid=,stat="], text=True).splitlines()
        alive = {int(pid) for pid, state in map(str.split, lines) if not state.startswith("Z")}
        if not pids & alive:
            return set()
        time.sleep(0.1)
    return pids & alive


@contextmanager
def running(state_dir: Path) -> Iterator[Run]:
    run = Run(state_dir)
    try:
        yield run
    finally:
        run.stop(signal.SIGTERM)


def test_what_was_recorded_is_there_again_at_the_next_start(tmp_path: Path) -> None:
    with running(tmp_path / "state") as first:
        first.put_job("4c75")
        processes = first.descendants()
        assert first.stop(signal.SIGINT) == 0
    left = still_running(processes)

    with running(tmp_path / "state") as second:
        answer = second.get("/jobs/4c75")
        assert second.stop(signal.SIGTERM) == 0

    assert len(processes) >= 3  # the local AWS, a function in it, the API
    assert left == set()
    assert answer.json()["status"] == "RUNNABLE"
    assert second.token == first.token
    assert second.seconds < 10


def test_the_printed_curl_lines_work_as_pasted(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("no curl here")
    with running(tmp_path / "state") as run:
        lines = [line for line in run.text.splitlines() if line.startswith("  curl ")]

        answers = [json.loads(subprocess.check_output(line, shell=True)) for line in lines]

        no_jobs = {"jobs": [], "nextToken": None}
        assert answers == [no_jobs, no_jobs, {"queues": []}]


def test_a_part_that_dies_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    with running(tmp_path / "state") as run:
        processes = run.descendants()
        [api] = subprocess.check_output(
            ["pgrep", "-P", str(run.process.pid), "-f", "chalice"], text=True
        ).split()
        os.kill(int(api), signal.SIGKILL)

        assert run.process.wait(60) == 1

    assert (
        f"error: the API ended with exit code -9; the end of {tmp_path}/state/api.log" in run.text
    )
    assert not still_running(processes)


@pytest.mark.parametrize("variable", ["PORT", "AWS_PORT", "WEBEX_PORT"])
def test_a_taken_port_is_told_in_one_line(variable: str, tmp_path: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        ports = {"PORT": str(free_port()), "AWS_PORT": str(free_port()), variable: str(taken)}
        environment = {**os.environ, **ports, "STATE_DIR": str(tmp_path)}

        run = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"error: port {taken} is taken: choose another one with {variable}=\n"


def test_a_state_folder_has_one_user_at_a_time(tmp_path: Path) -> None:
    ports = {"PORT": str(free_port()), "AWS_PORT": str(free_port())}
    environment = {**os.environ, **ports, "STATE_DIR": str(tmp_path)}
    with only_user_of(tmp_path):
        run = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"error: {tmp_path} is in use by another run")
