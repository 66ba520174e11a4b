"""`make run` on free ports: start, stop, restart, and errors."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from local.aws import ROOT, LocalAws
from local.ports import LOOPBACK, free_port, is_taken
from local.process import Process
from local.run import state_lock

COMMAND = [sys.executable, "-m", "local.run"]
STATUS_LINE = re.compile(r"^\d\d:\d\d:\d\d  \d queues?[,:] ", re.MULTILINE)
TIMEOUT_SECONDS = 300
"""Until a test fails because something does not happen; far more than it takes."""


class Run:
    """One `make run` without make, and without simulated jobs."""

    def __init__(self, state_dir: Path) -> None:
        self.port, self.aws_port, self.webex_port = free_port(), free_port(), free_port()
        environment = {
            "PORT": str(self.port),
            "AWS_PORT": str(self.aws_port),
            "WEBEX_PORT": str(self.webex_port),
            "STATE_DIR": str(state_dir),
            "SIMULATE": "0",
        }
        self._state_dir = state_dir
        self._log = state_dir.with_suffix(".out")
        self.process = Process(
            "make run", COMMAND, environment=os.environ | environment, log=self._log, folder=ROOT
        )

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def token(self) -> str:
        return (self._state_dir / "token").read_text()

    def wait_until_started(self) -> None:
        self.wait_for_output(lambda text: bool(STATUS_LINE.search(text)))

    def wait_for_output(self, is_expected: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while not is_expected(self.output):
            self.process.check()
            assert time.monotonic() < deadline, self.output
            time.sleep(0.05)

    def get(self, path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"http://{LOOPBACK}:{self.port}{path}"
        return requests.get(url, headers=headers, timeout=TIMEOUT_SECONDS)

    def record_job(self, job_id: str) -> None:
        queue = "arn:aws:batch:us-east-1:000000000000:job-queue/high"
        detail = {"jobId": job_id, "jobName": "n", "jobQueue": queue, "status": "RUNNABLE"}
        entry = {
            "Source": "batchwatch.simulated",
            "DetailType": "Batch Job State Change",
            "Detail": json.dumps(detail),
        }
        LocalAws(self.aws_port, self._log).client("events").put_events(Entries=[entry])
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while self.get(f"/jobs/{job_id}").status_code != 200:
            assert time.monotonic() < deadline, f"{job_id} was not recorded"
            time.sleep(0.1)

    def descendants(self) -> set[int]:
        lines = subprocess.check_output(["ps", "-A", "-o", "ppid=,pid="], text=True).splitlines()
        pairs = [tuple(map(int, line.split())) for line in lines]
        found = {self.process.pid}
        for _ in pairs:
            found |= {pid for parent, pid in pairs if parent in found}
        return found - {self.process.pid}

    def ports_in_use(self) -> list[int]:
        return [port for port in (self.port, self.aws_port, self.webex_port) if is_taken(port)]

    def signal(self, number: signal.Signals) -> int:
        """Send a signal, wait for the end and return the exit code."""
        os.kill(self.process.pid, number)
        return self.process.wait(TIMEOUT_SECONDS)


@contextmanager
def started(state_dir: Path) -> Iterator[Run]:
    run = Run(state_dir)
    with run.process:
        run.wait_until_started()
        yield run


def wait_until_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while left := pids & running_processes():
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.1)


def running_processes() -> set[int]:
    lines = subprocess.check_output(["ps", "-A", "-o", "pid=,stat="], text=True).splitlines()
    return {int(pid) for pid, state in map(str.split, lines) if not state.startswith("Z")}


def test_recorded_jobs_and_the_token_are_kept_for_the_next_start(tmp_path: Path) -> None:
    with started(tmp_path / "state") as first:
        first.record_job("4c75")
        token, processes = first.token, first.descendants()
        assert first.signal(signal.SIGINT) == 0
    wait_until_gone(processes)

    with started(tmp_path / "state") as second:
        response = second.get("/jobs/4c75")
        assert second.token == token
        assert second.signal(signal.SIGTERM) == 0

    assert len(processes) >= 3, "the local AWS, a function in it, and the API"
    assert response.json()["status"] == "RUNNABLE"


def test_a_killed_run_leaves_no_process_and_keeps_recorded_jobs(tmp_path: Path) -> None:
    with started(tmp_path / "state") as first:
        first.record_job("4c75")
        processes = first.descendants()
        first.signal(signal.SIGKILL)
        wait_until_gone(processes)

    with started(tmp_path / "state") as second:
        assert second.get("/jobs/4c75").json()["status"] == "RUNNABLE"


@pytest.mark.parametrize("step", ["Starting the local AWS", "Packaging the app"])
def test_a_run_that_is_interrupted_while_it_starts_leaves_nothing(
    step: str, tmp_path: Path
) -> None:
    run = Run(tmp_path / "state")
    with run.process:
        run.wait_for_output(lambda text: step in text)

        assert run.signal(signal.SIGINT) == 0

    assert run.output.endswith("\nStopped.\n")
    assert run.ports_in_use() == []


def test_the_printed_curl_commands_work(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with started(tmp_path / "state") as run:
        commands = [line for line in run.output.splitlines() if line.startswith("  curl ")]

        responses = [json.loads(subprocess.check_output(line, shell=True)) for line in commands]

        no_jobs = {"jobs": [], "nextToken": None}
        assert responses == [no_jobs, no_jobs, {"queues": [], "nextToken": None}]


def test_a_canary_is_recorded_and_returned(tmp_path: Path) -> None:
    with started(tmp_path / "state") as run:
        api = {"URL": f"http://{LOOPBACK}:{run.port}", "TOKEN": run.token}
        aws = LocalAws(run.aws_port, tmp_path).environment_for(os.environ)

        output = subprocess.check_output(
            [sys.executable, "-m", "infra.canary", "--stage", "local"],
            env={**aws, **api},
            cwd=ROOT,
            text=True,
        )

        assert re.search(r"^job \S+ in queue canary recorded and returned after", output)


def test_the_error_for_a_part_that_has_ended_contains_the_end_of_its_log(tmp_path: Path) -> None:
    with started(tmp_path / "state") as run:
        processes = run.descendants()
        [api] = subprocess.check_output(
            ["pgrep", "-P", str(run.process.pid), "-f", "chalice"], text=True
        ).split()
        os.kill(int(api), signal.SIGKILL)

        assert run.process.wait(TIMEOUT_SECONDS) == 1

    log = tmp_path / "state" / "api.log"
    assert f"error: the API ended with exit code -9; the end of {log}" in run.output
    wait_until_gone(processes)


@pytest.mark.parametrize("variable", ["PORT", "AWS_PORT", "WEBEX_PORT"])
def test_a_port_in_use_is_reported_in_one_line_with_an_example(
    variable: str, tmp_path: Path
) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        ports = {"PORT": str(free_port()), "AWS_PORT": str(free_port()), variable: str(taken)}
        environment = {**os.environ, **ports, "STATE_DIR": str(tmp_path)}

        run = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert (run.returncode, run.stdout) == (1, "")
    message = rf"error: port {taken} is in use: set {variable} to another port, such as {variable}="
    assert re.fullmatch(message + r"\d+\n", run.stderr)


def test_a_state_folder_can_be_used_by_one_run_at_a_time(tmp_path: Path) -> None:
    ports = {"PORT": str(free_port()), "AWS_PORT": str(free_port())}
    environment = {**os.environ, **ports, "STATE_DIR": str(tmp_path)}
    with state_lock(tmp_path):
        run = subprocess.run(COMMAND, cwd=ROOT, env=environment, capture_output=True, text=True)

    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith(f"error: STATE_DIR {tmp_path} is in use by another `make run`")
