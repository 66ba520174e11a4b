"""Reading the secret: how soon a change is effective, and what an error contains."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from botocore.exceptions import EndpointConnectionError

from chalicelib.aws.secret import CACHED_SECONDS, LAST_GOOD_SECONDS, Secret
from chalicelib.errors import SecretUnavailable
from chalicelib.runtime import Runtime
from local.aws import LocalAws, Resources


def test_a_changed_secret_is_read_when_the_cached_text_expires(
    aws: LocalAws, resources: Resources
) -> None:
    now = [1_000.0]
    secret = Secret(aws.secretsmanager, resources.secret_id, Runtime(now=lambda: now[0]))
    put(aws, resources, "old")
    assert secret.text() == "old"

    put(aws, resources, "new")
    now[0] += CACHED_SECONDS - 1
    before = secret.text()
    now[0] += 1

    assert (before, secret.text()) == ("old", "new")


def test_an_expired_text_is_not_used_when_the_secret_is_gone(
    aws: LocalAws, resources: Resources
) -> None:
    now = [1_000.0]
    secret = Secret(aws.secretsmanager, resources.secret_id, Runtime(now=lambda: now[0]))
    put(aws, resources, "4711")
    secret.text()
    aws.secretsmanager.delete_secret(SecretId=resources.secret_id, ForceDeleteWithoutRecovery=True)

    now[0] += CACHED_SECONDS

    with pytest.raises(SecretUnavailable) as raised:
        secret.text()
    assert "4711" not in str(raised.value)


def test_a_binary_secret_is_an_error_that_names_it(aws: LocalAws) -> None:
    aws.secretsmanager.create_secret(Name="binary", SecretBinary=b"4711")

    with pytest.raises(SecretUnavailable, match=r"^binary has no SecretString$"):
        Secret(aws.secretsmanager, "binary").text()


def test_the_text_is_not_in_the_repr(aws: LocalAws, resources: Resources) -> None:
    put(aws, resources, "4711")
    secret = Secret(aws.secretsmanager, resources.secret_id)

    assert secret.text() == "4711"
    assert repr(secret) == f"Secret({resources.secret_id!r})"


def test_the_last_text_is_used_for_some_minutes_while_secrets_manager_fails(
    aws: LocalAws, resources: Resources
) -> None:
    now = [1_000.0]
    secret = Secret(aws.secretsmanager, resources.secret_id, Runtime(now=lambda: now[0]))
    put(aws, resources, "good")
    secret.text()

    with unreachable(aws):
        now[0] += LAST_GOOD_SECONDS - 1
        during = secret.text()
        now[0] += CACHED_SECONDS
        with pytest.raises(SecretUnavailable):
            secret.text()
    put(aws, resources, "new")

    assert (during, secret.text()) == ("good", "new")


def test_without_a_text_an_outage_is_an_error(aws: LocalAws, resources: Resources) -> None:
    with unreachable(aws), pytest.raises(SecretUnavailable):
        Secret(aws.secretsmanager, resources.secret_id).text()


@contextmanager
def unreachable(aws: LocalAws) -> Iterator[None]:
    """Make requests to Secrets Manager fail, as when it can't be reached."""

    def fail(**_: object) -> None:
        raise EndpointConnectionError(endpoint_url="http://secretsmanager")

    events = aws.secretsmanager.meta.events
    events.register("before-call.secretsmanager.GetSecretValue", fail)
    yield
    events.unregister("before-call.secretsmanager.GetSecretValue", fail)


def put(aws: LocalAws, resources: Resources, text: str) -> None:
    aws.secretsmanager.put_secret_value(SecretId=resources.secret_id, SecretString=text)
