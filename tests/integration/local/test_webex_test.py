"""`make webex-test` against the stand-in Webex: one message, or one line with the problem."""

import json
import math
import socket
from collections.abc import Iterator

import pytest

from infra.errors import run_command
from local.aws import LocalAws, Resources
from local.bot import webex_test
from local.ports import LOOPBACK, free_port
from local.webex import ROOM, TOKEN, Fault, WebexServer


@pytest.fixture
def server() -> Iterator[WebexServer]:
    with WebexServer(free_port()) as server:
        yield server


@pytest.fixture(autouse=True)
def _environment(server: WebexServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROOM", "STAGE", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", LOOPBACK)
    monkeypatch.setenv("WEBEX_API_URL", server.api_url)
    monkeypatch.setenv("WEBEX_TOKEN", TOKEN)


class Output:
    """The exit code of the command, and what it printed."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.code = run_command(lambda: webex_test.main(arguments))
        self.out, self.error = capsys.readouterr()


def problem(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run the command, and return the one line of its error."""
    output = Output(capsys, *(arguments or ("--room", ROOM)))
    assert (output.code, output.out) == (1, "")
    assert output.error.startswith("error: ")
    assert output.error.count("\n") == 1
    assert TOKEN not in output.error
    return output.error


def test_the_message_is_posted_and_its_id_is_printed(
    server: WebexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(capsys, "--room", ROOM)

    [message] = server.messages()
    assert (output.code, output.error) == (0, "")
    assert message.id in output.out
    assert message.mentions == ()


def test_the_room_can_be_in_the_environment_as_make_sets_it(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOM", ROOM)

    assert Output(capsys).code == 0
    assert len(server.messages()) == 1


def test_the_token_can_be_in_the_secret_of_a_stage(
    aws: LocalAws,
    resources: Resources,
    server: WebexServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WEBEX_TOKEN")
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    assert "has no webexToken: run make webex-token STAGE=local" in problem(
        capsys, "--room", ROOM, "--stage", "local"
    )

    aws.secretsmanager.put_secret_value(
        SecretId=resources.webex_secret_id, SecretString=json.dumps({"webexToken": TOKEN})
    )
    assert Output(capsys, "--room", ROOM, "--stage", "local").code == 0

    aws.secretsmanager.put_secret_value(
        SecretId=resources.webex_secret_id, SecretString=f"[{TOKEN}"
    )
    assert "is not a JSON object" in problem(capsys, "--room", ROOM, "--stage", "local")

    aws.secretsmanager.delete_secret(
        SecretId=resources.webex_secret_id, ForceDeleteWithoutRecovery=True
    )
    assert "deploy the stage first" in problem(capsys, "--room", ROOM, "--stage", "local")


def test_a_missing_room_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert "ROOM is missing: make webex-test ROOM=" in problem(capsys, "--room", "")


def test_a_missing_token_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBEX_TOKEN")

    assert "no token: set WEBEX_TOKEN, or STAGE" in problem(capsys)


def test_an_unknown_stage_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBEX_TOKEN")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert "not 'nowhere'" in problem(capsys, "--room", ROOM, "--stage", "nowhere")


def test_a_rejected_token_is_explained(
    server: WebexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.revoke_token()

    assert "rejected the token" in problem(capsys)


def test_a_missing_room_and_a_room_without_the_bot_are_explained(
    server: WebexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add_room("theirs", "Others", members=[])

    for room in ("nowhere", "theirs"):
        assert "Add the bot to the room" in problem(capsys, "--room", room)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(status=400), "the room's id is malformed"),
        (Fault(status=429, retry_after="194"), "Try again in 194 s"),
        (Fault(status=503), "Webex reported an error"),
        (Fault(status=302), "is not Webex, but perhaps a proxy"),
        (Fault(body=b"<html>Log in</html>"), "is not Webex, but perhaps a proxy"),
        (Fault(cut=True), "closed before a response. The message may have been posted"),
    ],
)
def test_an_error_of_webex_is_explained(
    server: WebexServer, fault: Fault, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script(fault, times=math.inf)

    assert why in problem(capsys)
    assert len(server.requests) == 1


def test_the_tracking_id_is_printed(
    server: WebexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script(Fault(status=500))

    assert "(tracking id LOCAL_" in problem(capsys)


def test_a_timeout_is_explained(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webex_test, "TIMEOUT_SECONDS", 3.0)
    server.script(Fault(seconds=600))

    error = problem(capsys)

    assert "did not respond in time" in error
    assert "may have been posted" in error


def test_a_refused_connection_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", f"http://{LOOPBACK}:{free_port()}/v1")

    error = problem(capsys)

    assert "refused the connection" in error
    assert "may have been posted" not in error


def test_a_host_name_that_can_not_be_resolved_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("WEBEX_API_URL", "https://webex.invalid/v1")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert "The host name of https://webex.invalid/v1 can't be resolved" in problem(capsys)


def test_a_proxy_that_rejects_the_connection_is_explained(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", "https://webex.invalid/v1")

    for port in (server.port, free_port()):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{port}")

        assert "The proxy rejected the connection" in problem(capsys)


def test_a_failed_tls_connection_is_explained(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", server.api_url.replace("http:", "https:"))

    assert "REQUESTS_CA_BUNDLE" in problem(capsys)


def test_an_invalid_url_is_explained(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", "webexapis.com/v1")

    assert "WEBEX_API_URL is not a URL: webexapis.com/v1" in problem(capsys)
