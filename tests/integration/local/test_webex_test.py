"""`make webex-test`: one notice, or one line that says what is wrong. Never to the real Webex."""

import json
import math
import socket
from collections.abc import Iterator

import pytest

from infra.errors import told_plainly
from local import webex_test
from local.aws import LocalAws, Resources
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


class Told:
    """What the command says."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.code = told_plainly(lambda: webex_test.main(arguments))
        self.out, self.error = capsys.readouterr()


def problem(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that an unsuccessful command says."""
    told = Told(capsys, *(arguments or ("--room", ROOM)))
    assert (told.code, told.out) == (1, "")
    assert told.error.startswith("error: ")
    assert told.error.count("\n") == 1
    assert TOKEN not in told.error
    return told.error


def test_the_notice_is_posted_and_the_message_named(
    server: WebexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    told = Told(capsys, "--room", ROOM)

    [message] = server.messages()
    assert (told.code, told.error) == (0, "")
    assert message.id in told.out
    assert message.mentions == ()


def test_the_room_may_be_in_the_environment_as_make_has_it(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROOM", ROOM)

    assert Told(capsys).code == 0
    assert len(server.messages()) == 1


def test_the_token_may_be_in_the_secret_of_a_stage(
    aws: LocalAws,
    resources: Resources,
    server: WebexServer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WEBEX_TOKEN")
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    assert "has no webexToken yet" in problem(capsys, "--room", ROOM, "--stage", "local")

    aws.secretsmanager.put_secret_value(
        SecretId=resources.secret_id, SecretString=json.dumps({"webexToken": TOKEN})
    )
    assert Told(capsys, "--room", ROOM, "--stage", "local").code == 0

    aws.secretsmanager.put_secret_value(SecretId=resources.secret_id, SecretString=f"[{TOKEN}")
    assert "is no JSON object" in problem(capsys, "--room", ROOM, "--stage", "local")

    aws.secretsmanager.delete_secret(SecretId=resources.secret_id, ForceDeleteWithoutRecovery=True)
    assert "is the stage deployed" in problem(capsys, "--room", ROOM, "--stage", "local")


def test_a_room_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert "which room? make webex-test ROOM=" in problem(capsys, "--room", "")


def test_a_token_must_be_somewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBEX_TOKEN")

    assert "no token: set WEBEX_TOKEN, or name the STAGE" in problem(capsys)


def test_a_stage_must_exist(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WEBEX_TOKEN")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    assert "no stage 'nowhere'" in problem(capsys, "--room", ROOM, "--stage", "nowhere")


def test_a_wrong_token(server: WebexServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.revoke_token()

    assert "does not take this token" in problem(capsys)


def test_a_room_that_is_not_there_or_without_the_bot(
    server: WebexServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add_room("theirs", "Others", members=[])

    for room in ("nowhere", "theirs"):
        assert "Add the bot to the room" in problem(capsys, "--room", room)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (Fault(status=400), "the room's id is not one"),
        (Fault(status=429, retry_after="194"), "takes nothing for 194 s"),
        (Fault(status=503), "Webex is in trouble itself"),
        (Fault(status=302), "Something else than Webex answers"),
        (Fault(body=b"<html>Log in</html>"), "Something else than Webex answers"),
        (Fault(cut=True), "broke off. The notice may have arrived all the same"),
    ],
)
def test_what_webex_answers_is_explained(
    server: WebexServer, fault: Fault, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server.script(fault, times=math.inf)

    assert why in problem(capsys)
    assert len(server.requests) == 1


def test_a_tracking_id_is_told(server: WebexServer, capsys: pytest.CaptureFixture[str]) -> None:
    server.script(Fault(status=500))

    assert "(tracking id LOCAL_" in problem(capsys)


def test_an_answer_that_takes_too_long(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webex_test, "PATIENCE_SECONDS", 0.6)
    server.script(Fault(seconds=600))

    said = problem(capsys)

    assert "kept us waiting for too long" in said
    assert "may have arrived all the same" in said


def test_nothing_that_listens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", f"http://{LOOPBACK}:{free_port()}/v1")

    said = problem(capsys)

    assert "Nothing listens at" in said
    assert "may have arrived" not in said


def test_a_name_without_an_address(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("WEBEX_API_URL", "https://webex.invalid/v1")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert "The host of https://webex.invalid/v1 has no address here" in problem(capsys)


def test_a_proxy_that_does_not_let_through(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", "https://webex.invalid/v1")

    for port in (server.port, free_port()):
        monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{port}")

        assert "The proxy does not let us through" in problem(capsys)


def test_tls_that_can_not_be_trusted(
    server: WebexServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", server.api_url.replace("http:", "https:"))

    assert "REQUESTS_CA_BUNDLE" in problem(capsys)


def test_what_is_no_url(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBEX_API_URL", "webexapis.com/v1")

    assert "WEBEX_API_URL is no URL: webexapis.com/v1" in problem(capsys)
