"""Health is checked at most every ten seconds."""

from botocore.exceptions import EndpointConnectionError

from chalicelib.api.health import Health, HealthBody
from chalicelib.errors import SecretUnavailable
from chalicelib.runtime import Runtime


def test_health_is_ok_if_all_checks_pass() -> None:
    assert Health([lambda: True, lambda: True]).check() == HealthBody("ok")


def test_health_is_failing_if_a_check_raises() -> None:
    def check() -> None:
        raise EndpointConnectionError(endpoint_url="http://dynamodb")

    assert Health([lambda: True, check]).check() == HealthBody("failing")


def test_health_is_failing_without_the_secret() -> None:
    def check() -> None:
        raise SecretUnavailable("denied")

    assert Health([check]).check() == HealthBody("failing")


def test_the_result_is_cached_for_ten_seconds() -> None:
    now, checks = [0.0], []
    health = Health([lambda: checks.append(now[0])], Runtime(now=lambda: now[0]))

    for seconds in (0, 5, 9.9, 10, 19.9, 20):
        now[0] = seconds
        health.check()

    assert checks == [0, 10, 20]
