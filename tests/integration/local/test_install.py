"""Environments are installed once, by one `make` at a time, and never left half-installed.

The requirement files contain a wheel that the test builds, so that pip needs no network.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

import pytest

from local.aws import ROOT

WHEEL = "greeting-1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with install.py and requirement files that pip can satisfy offline."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "local").mkdir()
    (folder / "local" / "install.py").write_bytes((ROOT / "local" / "install.py").read_bytes())
    info = "greeting-1.0.dist-info"
    with ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("greeting.py", "WORD = 'hello'\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    for path in ROOT.glob("requirements*.txt"):
        (folder / path.name).write_text("--no-index\n")
    (folder / "requirements.txt").write_text(f"--no-index\n{folder / WHEEL}\n")
    return folder


def start(checkout: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "local/install.py", "deploy"],
        cwd=checkout,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def install(checkout: Path) -> str:
    process = start(checkout)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def test_an_environment_is_installed_once(checkout: Path) -> None:
    first = install(checkout)
    second = install(checkout)

    assert first.startswith("Installing batchwatch (once, about a minute) …\nInstalled batchwatch")
    assert second == ""
    word = "import greeting; print(greeting.WORD)"
    python = checkout / ".venv" / "bin" / "python"
    assert subprocess.check_output([python, "-c", word], text=True) == "hello\n"


def test_a_changed_requirement_is_installed_into_the_same_environment(checkout: Path) -> None:
    install(checkout)
    kept = checkout / ".venv" / "kept"
    kept.touch()
    with (checkout / "requirements-run.txt").open("a") as requirements:
        requirements.write("# changed\n")

    output = install(checkout)

    assert "Installed batchwatch" in output
    assert kept.exists()


def test_an_interrupted_environment_is_built_again(checkout: Path) -> None:
    install(checkout)
    (checkout / ".venv" / "installed.json").unlink()
    half = checkout / ".venv" / "half-installed"
    half.touch()

    install(checkout)

    assert not half.exists()


@contextmanager
def blocked_pip(checkout: Path) -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Yield an installation whose pip waits for the content of a named pipe, and that pipe."""
    fifo = checkout / "requirements.fifo"
    os.mkfifo(fifo)
    original = (checkout / "requirements-run.txt").read_text()
    (checkout / "requirements-run.txt").write_text(f"-r {fifo}\n")
    process = start(checkout)
    with fifo.open("w"):  # opens when pip reads the pipe, so pip is running now
        (checkout / "requirements-run.txt").write_text(original)
        yield process, fifo
    fifo.unlink()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_installation_leaves_no_stamp_and_no_process(
    checkout: Path, number: signal.Signals
) -> None:
    install(checkout)
    with blocked_pip(checkout) as (process, fifo):
        process.send_signal(number)
        output, _ = process.communicate()
        with pytest.raises(OSError, match="No such device"):  # no process reads it any more
            os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)

    assert process.returncode == 130
    assert "Interrupted" in output
    assert not (checkout / ".venv" / "installed.json").exists()


def test_after_a_killed_installation_the_next_one_waits_for_its_pip(checkout: Path) -> None:
    install(checkout)
    with blocked_pip(checkout) as (process, _):
        process.kill()
        process.communicate()
        following = start(checkout)
        assert following.stdout is not None
        waiting = following.stdout.readline()
    output, _ = following.communicate()

    assert waiting == "Waiting for another make that installs into .venv …\n"
    assert following.returncode == 0, output
    assert (checkout / ".venv" / "installed.json").exists()


def test_a_failed_installation_shows_the_end_of_pips_output(checkout: Path) -> None:
    original = (checkout / "requirements-run.txt").read_text()
    (checkout / "requirements-run.txt").write_text("--no-index\nno-such-package\n")

    process = start(checkout)
    output, _ = process.communicate()
    (checkout / "requirements-run.txt").write_text(original)

    assert process.returncode == 1
    assert "error: pip could not install batchwatch:" in output
    assert "No matching distribution found for no-such-package" in output


def test_a_second_make_waits_for_the_first(checkout: Path) -> None:
    install(checkout)
    with (checkout / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = start(checkout)
        assert process.stdout is not None
        waiting = process.stdout.readline()
    process.communicate()

    assert waiting == "Waiting for another make that installs into .venv …\n"
    assert process.returncode == 0
    assert json.loads((checkout / ".venv" / "installed.json").read_text())["files"]
