"""Install what `make run`, `make deploy` or `make check` needs, and nothing when it is there.

    python3 local/install.py run|deploy|dev

Runs with the system's Python before any package exists, so it imports the standard library only.
Each environment has a lock, so that two `make` processes in one checkout take turns, and a stamp
that is written last: an environment without its stamp was interrupted and is built again.
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

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
_RUN = ("requirements.txt", "requirements-run.txt")
_COLLECTED = re.compile(r"\s*Collecting ([A-Za-z0-9_.-]+)")


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
    """A failed installation, in words for the person who ran `make`."""


class Progress:
    """One line that shows the package that each installation works on.

    On a terminal the line is overwritten. Elsewhere only its beginning and its end are printed.
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
    """Bring the environments up to date, side by side. Raise InstallError."""
    _check_python()
    with contextlib.ExitStack() as locks:
        for environment in environments:
            locks.enter_context(_locked(environment, progress))
        outdated = [one for one in environments if not _is_current(one)]
        if not outdated:
            return
        began = time.monotonic()
        titles = " and ".join(one.title for one in outdated)
        progress.note(f"Installing {titles} (once, about a minute) …")
        for environment in outdated:
            _prepare(environment)
        pip = ROOT / environments[0].folder / "bin" / "python"
        running: list[subprocess.Popen[str]] = []
        with ThreadPoolExecutor(len(outdated)) as threads:
            try:
                list(threads.map(lambda one: _install(one, pip, progress, running), outdated))
            except BaseException:
                # pip runs in two processes, because it installs for another interpreter.
                for process in running:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGTERM)
                raise
        progress.note(f"Installed {titles} in {time.monotonic() - began:.0f} s.")


@contextlib.contextmanager
def _locked(environment: Environment, progress: Progress) -> Iterator[None]:
    with (ROOT / f"{environment.folder}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note(f"Waiting for another make that installs into {environment.folder} …")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(environment: Environment) -> None:
    """Create the environment, again if an earlier installation was interrupted."""
    folder = ROOT / environment.folder
    if _stamped(environment) is None:
        with_pip = environment.folder == ".venv"
        venv.EnvBuilder(clear=True, symlinks=True, with_pip=with_pip).create(folder)
    _stamp(environment).unlink(missing_ok=True)


def _install(
    environment: Environment,
    pip: Path,
    progress: Progress,
    running: list[subprocess.Popen[str]],
) -> None:
    """Install with the pip of another environment, which saves bootstrapping one in each."""
    python = ROOT / environment.folder / "bin" / "python"
    files = [argument for file in environment.files for argument in ("-r", str(ROOT / file))]
    command = [str(pip), "-m", "pip", "--python", str(python), "install", *files]
    count = 0
    output: list[str] = []
    with subprocess.Popen(
        [*command, "--no-input", "--disable-pip-version-check", "--progress-bar", "off"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        running.append(process)
        for line in process.stdout or ():
            output.append(line.rstrip())
            if found := _COLLECTED.match(line):
                count += 1
                progress.show(environment.title, f"{count} packages, {found[1]}")
            elif line.startswith("Installing collected"):
                progress.show(environment.title, f"unpacking {count} packages")
    progress.finish(environment.title)
    if process.returncode != 0:
        lines = "\n  ".join(output[-8:])
        raise InstallError(f"pip could not install {environment.title}:\n  {lines}")
    digests = sorted(_digest(file) for file in environment.files)
    temporary = _stamp(environment).with_suffix(".new")
    temporary.write_text(json.dumps({"python": sys.version, "files": digests}))
    temporary.replace(_stamp(environment))


def _is_current(environment: Environment) -> bool:
    return {_digest(file) for file in environment.files} <= (_stamped(environment) or set())


def _stamped(environment: Environment) -> set[str] | None:
    """Return the digests of the installed requirement files; None after an interruption."""
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
            " Name another interpreter with PYTHON=python3.12"
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
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        install(TARGETS[sys.argv[1]], Progress())
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. The next make installs again.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    os.environ.pop("PYTHONPATH", None)
    sys.exit(main())
