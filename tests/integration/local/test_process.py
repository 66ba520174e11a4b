"""Child processes are stopped with their descendants, also when their parent is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.aws import ROOT
from local.process import LocalError, Process

CHILD_WITH_DESCENDANT = """
import json, pathlib, os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN if sys.argv[2] == "ignore" else signal.SIG_DFL)
descendant = subprocess.Popen(["sleep", "1000"])
pids = pathlib.Path(sys.argv[1])
pids.with_suffix(".new").write_text(json.dumps([os.getpid(), descendant.pid]))
pids.with_suffix(".new").rename(pids)
descendant.wait()
"""
PARENT = """
import os, pathlib, sys, time
from local.process import Process
command = [sys.executable, "-c", sys.argv[2], sys.argv[1], sys.argv[3]]
log = pathlib.Path(sys.argv[1]).with_suffix(".log")
process = Process("child", command, environment=os.environ, log=log, stop_timeout=1)
time.sleep(1000)
"""


@contextmanager
def parent_of_a_child(pids: Path, on_sigterm: str) -> Iterator["subprocess.Popen[bytes]"]:
    arguments = [str(pids), CHILD_WITH_DESCENDANT, on_sigterm]
    with subprocess.Popen([sys.executable, "-c", PARENT, *arguments], cwd=ROOT) as parent:
        yield parent


def started(pids: Path) -> set[int]:
    """Return the process ids of the child and its descendant, once both run."""
    while not pids.exists():
        time.sleep(0.05)
    return set(json.loads(pids.read_text()))


def wait_until_gone(pids: set[int]) -> None:
    """Return when none of the processes runs; the test's time limit is the runner's."""
    while any(map(is_running, pids)):
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return state.stdout.strip() != "" and not state.stdout.startswith("Z")


@pytest.mark.parametrize("on_sigterm", ["end", "ignore"])
def test_children_and_their_descendants_end_when_their_parent_is_killed(
    on_sigterm: str, tmp_path: Path
) -> None:
    with parent_of_a_child(tmp_path / "pids", on_sigterm) as parent:
        pids = started(tmp_path / "pids")

        parent.send_signal(signal.SIGKILL)

    wait_until_gone(pids)


def test_stop_ends_a_process_and_its_descendants(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD_WITH_DESCENDANT, str(tmp_path / "pids"), "end"]
    process = Process("it", command, environment=os.environ, log=tmp_path / "log")
    pids = started(tmp_path / "pids")

    process.stop()

    wait_until_gone(pids)
    assert process.wait() == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", CHILD_WITH_DESCENDANT, str(tmp_path / "pids"), "ignore"]
    log = tmp_path / "log"
    process = Process("the child", command, environment=os.environ, log=log, stop_timeout=1)
    pids = started(tmp_path / "pids")

    process.stop()

    wait_until_gone(pids)
    assert process.wait() == -signal.SIGKILL
    assert capsys.readouterr().err.startswith("warning: the child did not stop within 1 s")


def test_the_error_of_a_failed_process_contains_the_end_of_its_log(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo out of paper; exit 3"]

    with (
        Process("the printer", command, environment={}, log=tmp_path / "log") as process,
        pytest.raises(LocalError) as failure,
    ):
        process.finish()

    assert str(failure.value) == (
        f"the printer ended with exit code 3; the end of {tmp_path}/log:\n  out of paper"
    )
