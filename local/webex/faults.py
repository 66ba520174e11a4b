"""Errors that a test scripts for the next requests."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """A received request, without its token.

    `body` is the decoded JSON, or None. `status` is the status of the response; None while there
    is none, or if the connection was closed without one.
    """

    method: str
    path: str
    query: dict[str, str]
    body: Any
    status: int | None = None


@dataclass(frozen=True)
class Fault:
    """An error in the response to one request.

    With `status`, `body` or `cut` the request has no effect, unless `accepted` is set.

        Fault(status=429, retry_after="194")  rejected
        Fault(status=503, accepted=True)      posted, in spite of the status
        Fault(seconds=5)                      posted at once, with a late response
        Fault(cut=True)                       connection closed without a response
        Fault(cut=True, accepted=True)        the same after posting
        Fault(body=b"<html>")                 a body that is not JSON
        Fault(stalls=True)                    posted, but only half of the response is sent
    """

    status: int | None = None
    retry_after: str | None = None
    body: bytes | None = None
    seconds: float = 0.0
    accepted: bool = False
    cut: bool = False
    stalls: bool = False

    @property
    def rejects(self) -> bool:
        return not self.accepted and (self.cut or self.status is not None or self.body is not None)


def is_post(request: Request) -> bool:
    return (request.method, request.path) == ("POST", "/v1/messages")


class FaultScript:
    """The faults to come, in order. Not thread-safe."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []

    def add(self, fault: Fault, times: float, matching: Callable[[Request], bool]) -> None:
        self._entries.append(_Entry(fault, times, matching))

    def clear(self) -> None:
        self._entries.clear()

    def next(self, request: Request) -> Fault:
        """Return the fault for this request, and count it as used."""
        for entry in self._entries:
            if entry.left > 0 and entry.matching(request):
                entry.left -= 1
                return entry.fault
        return Fault()


@dataclass
class _Entry:
    fault: Fault
    left: float
    matching: Callable[[Request], bool]
