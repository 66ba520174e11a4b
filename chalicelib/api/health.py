"""The health of the table, the queues and the secret, for load balancers and after a deployment."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct

from chalicelib import telemetry
from chalicelib.errors import SecretUnavailable
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent
from chalicelib.version import VERSION

_CACHE_SECONDS: Final = 10


class HealthBody(Struct, frozen=True):
    status: Literal["ok", "failing"]
    version: str = VERSION


class Health:
    """`checks` raise botocore's errors or SecretUnavailable. The result is cached for ten seconds,
    because anyone may request it."""

    def __init__(
        self, checks: Sequence[Callable[[], object]], runtime: Runtime = Runtime()
    ) -> None:
        self._checks = checks
        self._runtime = runtime
        self._body = HealthBody("failing")
        self._expires_at = float("-inf")

    def check(self) -> HealthBody:
        if self._runtime.now() >= self._expires_at:
            self._body = self._check()
            self._expires_at = self._runtime.now() + _CACHE_SECONDS
        return self._body

    def _check(self) -> HealthBody:
        try:
            for check in self._checks:
                check()
        except (ClientError, BotoCoreError, SecretUnavailable) as error:
            telemetry.error(LogEvent.HEALTH_CHECK_FAILED, error=str(error))
            return HealthBody("failing")
        return HealthBody("ok")
