"""The Container: every part is built once, and its dependents use the part that replaced it."""

from functools import cache, cached_property

import boto3
import pytest

from chalicelib.aws.clients import Clients
from chalicelib.bootstrap import Container
from chalicelib.errors import SettingsError
from chalicelib.runtime import Runtime
from chalicelib.settings import Settings
from tests.support.builders import REQUIRED_SETTINGS

PARTS = [name for name, part in vars(Container).items() if isinstance(part, cached_property)]
MIDNIGHT = Runtime(now=lambda: 0.0)


def a_container(**environment: str) -> Container:
    """A container whose clients never send a request."""
    settings = Settings.from_environment(REQUIRED_SETTINGS | environment)
    return Container(settings, Clients(session()), MIDNIGHT)


@cache
def session() -> boto3.Session:
    """One session, because loading the models of a service takes most of a test's time."""
    return boto3.Session(
        aws_access_key_id="none", aws_secret_access_key="none", region_name="us-east-1"
    )


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_built_once(name: str) -> None:
    container = a_container(ACCOUNT_ID="123456789012")

    assert getattr(container, name) is getattr(container, name)


@pytest.mark.parametrize("name", PARTS)
def test_every_part_with_a_runtime_has_that_of_the_container(name: str) -> None:
    part = getattr(a_container(ACCOUNT_ID="123456789012"), name)

    attributes = vars(part).values() if hasattr(part, "__dict__") else ()
    assert all(value is MIDNIGHT for value in attributes if isinstance(value, Runtime))


def test_a_replaced_part_is_used_by_the_parts_that_depend_on_it() -> None:
    container = a_container()
    tallies: list[object] = []
    container.report = tallies.append

    container.sweep.run(lambda: 100, only="no step of this name")

    assert len(tallies) == 1


@pytest.mark.parametrize(
    ("environment", "secret"),
    [({}, "secret"), ({"WEBEX_SECRET_ID": "secret/webex"}, "secret/webex")],
)
def test_the_webex_token_has_its_own_secret_or_that_of_the_api(
    environment: dict[str, str], secret: str
) -> None:
    container = a_container(**environment)

    assert repr(container.webex_secret) == f"Secret({secret!r})"
    assert repr(container.secret) == "Secret('secret')"


def test_events_are_only_recorded_for_a_known_account() -> None:
    container = a_container()
    with pytest.raises(SettingsError, match=r"^ACCOUNT_ID is not set"):
        _ = container.recorder

    container.account_id = "123456789012"

    assert container.recorder


@pytest.mark.parametrize(
    ("variable", "text"),
    [("NOTICE_RULES", "[[rule]]\non = ['EXPLODED']"), ("PRICES", "[[price]]\nvcpu = 'free'")],
)
def test_wrong_rules_or_prices_stop_the_start(variable: str, text: str) -> None:
    with pytest.raises(SettingsError):
        a_container(**{variable: text})
