"""Crashes of a function at one of its requests, after which none of its code runs."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any


class FunctionCrashed(BaseException):
    """Ends the function; not an Exception, so that no code of the function handles it."""


def crash_at(nth: int, run: Callable[[Callable[[], None]], object]) -> int:
    """Run a function and crash it at its nth request or response; -1 is never.

    `run` receives a function that must be called around each request (`call_around_requests`).
    Return the number of these calls.
    """
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == nth:
            raise FunctionCrashed

    with suppress(FunctionCrashed):
        run(count)
    return calls


def call_around_requests(call: Callable[[], None], *clients: Any) -> None:
    """Make boto3 clients call a function before each request and after each response."""
    for client in clients:
        client.meta.events.register("before-send", lambda **_: call())
        client.meta.events.register("after-call", lambda **_: call())
