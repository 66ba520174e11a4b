"""Child processes that don't outlive this process.

Each child leads its own session, so that Ctrl-C in a terminal reaches only this process, which
then stops its children in order. If this process ends without stopping a child (SIGKILL, a
crash), a watchdog stops the child and everything that the child started.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from infra.errors import CommandError

_START = 'echo $$ >&0; exec "$@" </dev/null'
"""Shell script: write the process id to standard input, the watchdog's pipe, and run a command
under that id. The child is thus registered even if this process is interrupted meanwhile."""

_WATCHDOG = """
read -r child || exit
read -r end_of_input
kill -TERM "$child"
checks=$(($1 * 5))
while [ "$checks" -gt 0 ] && kill -0 "$child"; do
    sleep 0.2
    checks=$((checks - 1))
done
kill -KILL "-$child"
"""
"""Shell script: read the child's process id, wait until the pipe is closed, which the kernel does
when this process ends, then stop the child as `Process.stop` does. $1 is the time limit."""


class LocalError(CommandError):
    """A problem that prevents the local stack from running, reported in one line."""


class Process:
    """A program that runs from the construction of this object until `stop` or the end of a
    `with` block. Its output goes to a log file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
        stop_timeout: int = 10,
    ) -> None:
        """`stop_timeout` is the number of seconds from SIGTERM to SIGKILL."""
        self.name = name
        self.log = log
        self._stop_timeout = stop_timeout
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(stop_timeout)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _START, "start", *command],
                cwd=folder,
                env=environment,
                stdin=self._watchdog.stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code when the process has ended. Raise subprocess.TimeoutExpired."""
        return self._process.wait(timeout)

    def finish(self) -> None:
        """Wait until the process has ended. Raise LocalError if its exit code is not 0."""
        if self.wait() != 0:
            raise self._ended()

    def check(self) -> None:
        """Raise LocalError if the process has ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def stop(self) -> None:
        """Send SIGTERM and wait; then kill what is left of the process and its descendants."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(self._stop_timeout)
            except subprocess.TimeoutExpired:
                print(
                    f"warning: {self.name} did not stop within {self._stop_timeout} s and was"
                    " killed; unsaved data is lost",
                    file=sys.stderr,
                )
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._watchdog.kill()
        self._watchdog.communicate()

    def _ended(self) -> LocalError:
        lines = self.log.read_text(errors="replace").splitlines()[-10:]
        return LocalError(
            f"{self.name} ended with exit code {self._process.returncode}; "
            + "\n  ".join([f"the end of {self.log}:", *lines])
        )


def wait_for(process: Process, url: str, seconds: float = 120.0) -> None:
    """Wait until the URL responds, with any status. Raise LocalError if the process ends first
    or the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        process.check()
        try:
            urllib.request.urlopen(url, timeout=seconds).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.02)
    raise LocalError(
        f"{process.name} did not respond within {seconds:.0f} s; see its log {process.log}"
    )
