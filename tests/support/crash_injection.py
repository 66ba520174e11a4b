"""A function that dies at one of its requests: nothing of it runs any more."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any


class FunctionCrashed(BaseException):
    """The function died here."""


def killed_at(nth: int, run: Callable[[Callable[[], None]], object]) -> int:
    """Runs a function that calls what it is given around each of its requests, and dies at the
    nth of these calls (-1: never). How many there were."""
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
    """Before each request of these boto3 clients, and after each answer."""
    for client in clients:
        client.meta.events.register("before-send", lambda **_: call())
        client.meta.events.register("after-call", lambda **_: call())
