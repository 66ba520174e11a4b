"""Whether the table and the queue answer: for load balancers and for people who just deployed."""

from collections.abc import Callable, Sequence
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from chalicelib import telemetry
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent

_CACHED_SECONDS = 10


class HealthBody(Struct, frozen=True):
    status: Literal["ok", "failing"]


class Health:
    """`checks` raise botocore's errors; the answer is kept for ten seconds, as anyone
    may ask."""

    def __init__(
        self, checks: Sequence[Callable[[], object]], runtime: Runtime = Runtime()
    ) -> None:
        self._checks = checks
        self._runtime = runtime
        self._checked = HealthBody("failing")
        self._until = float("-inf")

    def now(self) -> HealthBody:
        if self._runtime.now() >= self._until:
            self._checked = self._check()
            self._until = self._runtime.now() + _CACHED_SECONDS
        return self._checked

    def _check(self) -> HealthBody:
        try:
            for check in self._checks:
                check()
        except (ClientError, BotoCoreError) as error:
            telemetry.error(LogEvent.HEALTH_CHECK_FAILED, error=str(error))
            return HealthBody("failing")
        return HealthBody("ok")
