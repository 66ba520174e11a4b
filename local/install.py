"""Installation of what a make target needs, if it is not installed.

    python3 local/install.py run|deploy|dev

This script runs with the system's Python before any package is installed, so it imports the
standard library only. Each virtual environment has a lock, so that two `make` processes in one
checkout take turns, and a stamp that is written last: an environment without a stamp was
interrupted and is created again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import venv
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_RUN = ("requirements.txt", "requirements-run.txt")
_COLLECTING = re.compile(r"\s*Collecting ([A-Za-z0-9_.-]+)")


@dataclass(frozen=True)
class Environment:
    """A virtual environment and the requirement files that it needs."""

    folder: str
    title: str
    files: tuple[str, ...]


_LOCAL_AWS = Environment(".venv-aws", "the local AWS", ("requirements-aws.txt",))
TARGETS = {
    "run": (Environment(".venv", "batchwatch", _RUN), _LOCAL_AWS),
    "deploy": (Environment(".venv", "batchwatch", _RUN),),
    "dev": (Environment(".venv", "the tools", (*_RUN, "requirements-dev.txt")), _LOCAL_AWS),
}


class InstallError(Exception):
    """A failed installation, with what to do about it."""


class Progress:
    """A line that shows the current package of each installation.

    It is shown on a terminal only, where it is overwritten. Notes are printed everywhere.
    """

    def __init__(self) -> None:
        self._is_terminal = sys.stdout.isatty()
        self._lock = threading.Lock()
        self._shown: dict[str, str] = {}

    def show(self, title: str, text: str) -> None:
        with self._lock:
            self._shown[title] = text
            if self._is_terminal:
                line = " · ".join(f"{name}: {shown}" for name, shown in self._shown.items())
                width = shutil.get_terminal_size().columns - 1
                print(f"\r\033[K{line[:width]}", end="", flush=True)

    def note(self, line: str) -> None:
        with self._lock:
            print(f"\r\033[K{line}" if self._is_terminal else line, flush=True)

    def finish(self, title: str) -> None:
        with self._lock:
            self._shown.pop(title, None)


def install(environments: Sequence[Environment], progress: Progress) -> None:
    """Install outdated environments in parallel. Raise InstallError."""
    _check_python()
    with contextlib.ExitStack() as stack:
        locks = [stack.enter_context(_locked(each, progress)) for each in environments]
        outdated = [environment for environment in environments if not _is_current(environment)]
        if not outdated:
            return
        began = time.monotonic()
        titles = " and ".join(environment.title for environment in outdated)
        progress.note(f"Installing {titles} (once, about a minute) …")
        for environment in outdated:
            _prepare(environment)
        # One pip serves all environments, which saves installing it in each.
        python = ROOT / environments[0].folder / "bin" / "python"
        with ThreadPoolExecutor(len(outdated)) as threads:
            installations: list[_Installation] = []
            try:
                for environment in outdated:
                    installations.append(_Installation(environment, python, locks))
                list(threads.map(lambda pip: pip.finish(progress), installations))
            except BaseException:
                for installation in installations:
                    installation.stop()
                raise
        progress.note(f"Installed {titles} in {time.monotonic() - began:.0f} s.")


@contextlib.contextmanager
def _locked(environment: Environment, progress: Progress) -> Iterator[int]:
    """Lock the environment and yield the lock's file descriptor."""
    with (ROOT / f"{environment.folder}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note(f"Waiting for another make that installs into {environment.folder} …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def _prepare(environment: Environment) -> None:
    """Create the environment, again if an earlier installation was interrupted."""
    folder = ROOT / environment.folder
    if _stamped(environment) is None:
        with_pip = environment.folder == ".venv"
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=with_pip).create(folder)
    _stamp(environment).unlink(missing_ok=True)


class _Installation:
    """A running pip that installs an environment."""

    def __init__(self, environment: Environment, python: Path, locks: Sequence[int]) -> None:
        """Start the pip of an interpreter. It inherits the locks: if this process is killed, the
        next one waits until pip has ended."""
        self._environment = environment
        target = ROOT / environment.folder / "bin" / "python"
        files = [argument for file in environment.files for argument in ("-r", str(ROOT / file))]
        command = [str(python), "-m", "pip", "--python", str(target), "install", *files]
        self._process = subprocess.Popen(
            [*command, "--no-input", "--disable-pip-version-check", "--progress-bar", "off"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=locks,
            start_new_session=True,
        )

    def stop(self) -> None:
        """Terminate pip and the process that pip starts to install for another interpreter."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)

    def finish(self, progress: Progress) -> None:
        """Show pip's progress until it has ended, and write the stamp. Raise InstallError."""
        title = self._environment.title
        count = 0
        output: list[str] = []
        with self._process as process:
            for line in process.stdout or ():
                output.append(line.rstrip())
                if found := _COLLECTING.match(line):
                    count += 1
                    progress.show(title, f"{count} packages, {found[1]}")
                elif line.startswith("Installing collected"):
                    progress.show(title, f"unpacking {count} packages")
        progress.finish(title)
        if process.returncode != 0:
            lines = "\n  ".join(output[-8:])
            raise InstallError(f"pip could not install {title}:\n  {lines}")
        _write_stamp(self._environment)


def _is_current(environment: Environment) -> bool:
    return {_digest(file) for file in environment.files} <= (_stamped(environment) or set())


def _write_stamp(environment: Environment) -> None:
    digests = sorted(_digest(file) for file in environment.files)
    temporary = _stamp(environment).with_suffix(".new")
    temporary.write_text(json.dumps({"python": sys.version, "files": digests}))
    temporary.replace(_stamp(environment))


def _stamped(environment: Environment) -> set[str] | None:
    """Return the digests of the installed requirement files, or None without a valid stamp."""
    try:
        return set(json.loads(_stamp(environment).read_text())["files"])
    except (OSError, ValueError, KeyError):
        return None


def _stamp(environment: Environment) -> Path:
    return ROOT / environment.folder / "installed.json"


def _digest(file: str) -> str:
    return hashlib.sha256((ROOT / file).read_bytes()).hexdigest()


def _check_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        found = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise InstallError(
            f"Python 3.11 or later is required, but {sys.executable} is {found}."
            " Set another interpreter, such as PYTHON=python3.12"
        )
    try:
        import ensurepip  # noqa: F401
    except ImportError as error:
        raise InstallError(
            f"{sys.executable} has no venv module. On Debian and Ubuntu: apt install python3-venv"
        ) from error


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1] not in TARGETS:
        print(f"usage: python3 local/install.py {'|'.join(TARGETS)}", file=sys.stderr)
        return 2
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        install(TARGETS[sys.argv[1]], Progress())
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The next make installs again.", file=sys.stderr)
        return 130
    return 0


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Stop the installation, which no further signal interrupts."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
