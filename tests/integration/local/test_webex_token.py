"""`make webex-token` stores a token that Webex accepts, and keeps the rest of the secret."""

import json
from collections.abc import Iterator

import pytest

from infra.errors import run_command
from local.aws import LocalAws, Resources
from local.bot import webex_token
from local.ports import LOOPBACK, free_port
from local.webex import TOKEN, WebexServer

STAGE = ("--stage", "local")


@pytest.fixture(autouse=True)
def _environment(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NO_PROXY", LOOPBACK)
    with WebexServer(free_port()) as server:
        monkeypatch.setenv("WEBEX_API_URL", server.api_url)
        yield


def secret_of(aws: LocalAws, resources: Resources) -> dict[str, object]:
    value = aws.secretsmanager.get_secret_value(SecretId=resources.webex_secret_id)["SecretString"]
    secret: dict[str, object] = json.loads(value)
    return secret


def test_an_accepted_token_is_stored_and_the_rest_is_kept(
    aws: LocalAws,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = secret_of(aws, resources)
    monkeypatch.setenv("WEBEX_TOKEN", f" {TOKEN}\n")

    code = run_command(lambda: webex_token.main(STAGE))

    assert code == 0
    assert secret_of(aws, resources) == before | {"webexToken": TOKEN}
    assert TOKEN not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("token", "problem"),
    [("unknown-token", "Webex rejected the token"), ("two words", "invalid characters")],
)
def test_a_token_that_is_not_accepted_changes_nothing(
    aws: LocalAws,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    token: str,
    problem: str,
) -> None:
    before = secret_of(aws, resources)
    monkeypatch.setenv("WEBEX_TOKEN", token)

    code = run_command(lambda: webex_token.main(STAGE))

    error = capsys.readouterr().err
    assert (code, error.count("\n")) == (1, 1)
    assert problem in error
    assert token not in error
    assert secret_of(aws, resources) == before


def test_an_unreachable_webex_changes_nothing(
    aws: LocalAws,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = secret_of(aws, resources)
    monkeypatch.setenv("WEBEX_TOKEN", TOKEN)
    monkeypatch.setenv("WEBEX_API_URL", f"http://{LOOPBACK}:{free_port()}/v1")

    assert run_command(lambda: webex_token.main(STAGE)) == 1

    assert "refused the connection. Check WEBEX_API_URL" in capsys.readouterr().err
    assert secret_of(aws, resources) == before
