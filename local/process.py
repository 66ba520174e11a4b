"""A program that we start and stop: its log, its sudden end, and all that it started in turn.

Each gets a session of its own, so that Ctrl-C in a terminal reaches us alone and we stop things
in order; and so that one signal reaches whatever it left behind.
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
from types import TracebackType
from typing import Self


class LocalError(Exception):
    """What keeps the local stack from running, in a line for the person who started it."""


class Process:
    """Runs from its construction to `stop`, which a `with` block calls by itself."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str],
        log: Path,
        folder: Path | None = None,
    ):
        self.name = name
        self.log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def finish(self) -> None:
        """Waits for its end; LocalError if that is not a good one."""
        if self._process.wait() != 0:
            raise self._ended()

    def check(self) -> None:
        """LocalError if it has ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def stop(self, patience: float = 10.0) -> None:
        """Asks it to end, and after `patience` seconds ends it and every process it started."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(patience)
            except subprocess.TimeoutExpired:
                print(
                    f"warning: {self.name} did not stop within {patience:.0f} s and was killed;"
                    " what it had not saved is lost",
                    file=sys.stderr,
                )
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _ended(self) -> LocalError:
        lines = self.log.read_text(errors="replace").splitlines()[-10:]
        return LocalError(
            f"{self.name} ended with exit code {self._process.returncode}; "
            + "\n  ".join([f"the end of {self.log}:", *lines])
        )


def wait_for(process: Process, url: str, seconds: float = 30.0) -> None:
    """Returns when something answers there, whatever it says."""
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
    raise LocalError(f"{process.name} is silent after {seconds:.0f} s; its log is {process.log}")
