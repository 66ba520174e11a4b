"""A line of progress on the terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str], None]
"""Receives a line of progress."""


@contextmanager
def progress_line() -> Iterator[Report]:
    """Yield a function that shows progress on stderr.

    On a terminal the line is overwritten and finally erased. Elsewhere a line is printed every
    few seconds.
    """
    is_terminal = sys.stderr.isatty()
    start, end, interval = ("\r", "\033[K", 0.1) if is_terminal else ("", "\n", 5.0)
    last = time.monotonic()

    def report(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= interval:
            last = time.monotonic()
            print(f"{start}{text}", end=end, file=sys.stderr, flush=True)

    try:
        yield report
    finally:
        if is_terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
