"""The Webex client against servers on loopback: requests, errors, deadlines and the token."""

import logging
import math
import shutil
import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.webex.client import (
    RateLimited,
    Refused,
    RoomGone,
    Unauthorized,
    Unavailable,
    Webex,
    WebexError,
    retry_after,
)
from chalicelib.webex.limits import MAX_MESSAGE_BYTES
from local.ports import LOOPBACK, free_port
from local.webex import ROOM, TOKEN, Fault, WebexServer

SECONDS = 30.0
SLACK = 20.0
"""Seconds that a busy machine may add to a timeout; the servers below stall for longer."""
TIME_TO_RESPOND = 3.0
"""Seconds for an attempt that must reach the server, a third of them for each phase."""
NOON = 1_795_608_000.0
"""2026-11-25T12:00:00Z, in epoch seconds."""


class Wire:
    """A server that responds to each request with fixed bytes, whether they are HTTP or not.

    A PAUSE between two pieces lasts until the client disconnects or the server is closed.
    """

    def __init__(self, *pieces: bytes, context: ssl.SSLContext | None = None) -> None:
        self.pieces = pieces
        self.connections = 0
        self.bytes_sent = 0
        self._context = context
        self._closing = threading.Event()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = self._listener.getsockname()[1]
        self.api_url = f"http://{LOOPBACK}:{self.port}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            if self._context:
                connection = self._context.wrap_socket(connection, server_side=True)
            while self._read_request(connection):
                for piece in self.pieces:
                    self._send(connection, piece)

    def _read_request(self, connection: socket.socket) -> bytes:
        received = b""
        while not received.endswith(b"}"):
            chunk = connection.recv(65_536)
            if not chunk:
                return b""
            received += chunk
        return received

    def _send(self, connection: socket.socket, piece: bytes) -> None:
        if piece is not PAUSE:
            connection.sendall(piece)
            self.bytes_sent += len(piece)
        elif self._closing.wait(0.05):
            raise OSError("closing")


PAUSE = b"a moment"


def http(status: int, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} So", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", LOOPBACK)


@pytest.fixture
def server() -> Iterator[WebexServer]:
    with WebexServer(free_port()) as server:
        yield server


@pytest.fixture
def webex(server: WebexServer) -> Webex:
    return Webex(server.api_url, lambda: TOKEN)


def post(
    webex: Webex, markdown: str = "hello", *, room: str = ROOM, within: float = SECONDS, **more: Any
) -> str:
    deadline = time.monotonic() + within
    return webex.post_message(room, markdown, time_left=lambda: deadline - time.monotonic(), **more)


def failure(api_url: str, within: float = SECONDS, **more: Any) -> WebexError:
    with pytest.raises(WebexError) as caught:
        post(Webex(api_url, lambda: TOKEN), within=within, **more)
    return caught.value


def outage(api_url: str, within: float = SECONDS) -> Unavailable:
    error = failure(api_url, within)
    assert isinstance(error, Unavailable)
    return error


# ------------------------------------------------------------------ requests


def test_a_message_is_posted_as_markdown_and_its_id_is_returned(
    webex: Webex, server: WebexServer
) -> None:
    message_id = post(webex, "**Ünïcode** 🚀")

    [message] = server.messages()
    assert (message.id, message.markdown) == (message_id, "**Ünïcode** 🚀")
    [request] = server.requests
    assert request.body == {"roomId": ROOM, "markdown": "**Ünïcode** 🚀"}


def test_a_reply_is_posted_with_the_id_of_its_parent(webex: Webex, server: WebexServer) -> None:
    first = post(webex)

    post(webex, parent_id=first)

    assert [message.parent_id for message in server.messages()] == [None, first]


def test_a_message_of_more_bytes_than_webex_accepts_is_not_sent(
    webex: Webex, server: WebexServer
) -> None:
    longest = "é" * (MAX_MESSAGE_BYTES // 2) + "x"

    assert post(webex, longest)
    with pytest.raises(ValueError, match="7439 bytes, not 7440"):
        post(webex, longest + "x")

    assert len(server.requests) == 1


def test_the_token_is_read_again_for_each_message(server: WebexServer) -> None:
    tokens = iter(["revoked", TOKEN])
    webex = Webex(server.api_url, lambda: next(tokens))

    with pytest.raises(Unauthorized):
        post(webex)

    assert post(webex)


def test_messages_share_a_connection() -> None:
    with Wire(http(200, b'{"id": "1"}')) as wire:
        webex = Webex(wire.api_url, lambda: TOKEN)

        assert [post(webex), post(webex), post(webex)] == ["1", "1", "1"]

    assert wire.connections == 1


def test_a_connection_that_webex_has_closed_is_replaced(webex: Webex, server: WebexServer) -> None:
    post(webex)
    server.stop()
    server.start()

    post(webex)

    assert len(server.messages()) == 2


def test_a_proxy_is_used(server: WebexServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", f"http://{LOOPBACK}:{server.port}")

    post(Webex("http://webex.invalid/v1", lambda: TOKEN))

    assert len(server.messages()) == 1


def test_a_netrc_does_not_replace_the_token(
    webex: Webex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {LOOPBACK} login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))

    assert post(webex)


# ------------------------------------------------------------------ errors of Webex


def test_a_wrong_token_is_unauthorized(server: WebexServer) -> None:
    server.revoke_token()

    error = failure(server.api_url)

    assert isinstance(error, Unauthorized)
    assert error.status == 401
    assert "requires a valid access token" in str(error)


def test_a_missing_room_and_a_room_without_the_bot_are_gone(server: WebexServer) -> None:
    server.add_room("theirs", "Others", members=[])

    for room in ("theirs", "nowhere"):
        error = failure(server.api_url, room=room)

        assert isinstance(error, RoomGone)
        assert error.status == 404


def test_a_refused_message_has_the_reason_of_webex(server: WebexServer) -> None:
    error = failure(server.api_url, parent_id="unknown")

    assert isinstance(error, Refused)
    assert "parentId is not a message in this room" in str(error)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Refused),
        (401, Unauthorized),
        (403, RoomGone),
        (404, RoomGone),
        (405, Refused),
        (409, Refused),
        (413, Refused),
        (415, Refused),
        (423, RateLimited),
        (429, RateLimited),
        (500, Unavailable),
        (502, Unavailable),
        (503, Unavailable),
        (504, Unavailable),
    ],
)
def test_each_status_has_its_own_error_with_the_tracking_id(
    server: WebexServer, status: int, kind: type[WebexError]
) -> None:
    server.script(Fault(status=status))

    error = failure(server.api_url)

    assert type(error) is kind
    assert error.status == status
    assert error.tracking_id
    assert error.tracking_id.startswith("LOCAL_")
    assert error.tracking_id in str(error)


@pytest.mark.parametrize("character", ["<", "\x07", "é", "語", "🚀"])
def test_the_response_to_the_longest_message_is_read_completely(
    webex: Webex, character: str
) -> None:
    assert post(webex, character * (MAX_MESSAGE_BYTES // len(character.encode())))


@pytest.mark.parametrize("accepted", [True, False])
def test_after_a_5xx_the_message_may_have_been_posted(server: WebexServer, accepted: bool) -> None:
    server.script(Fault(status=503, accepted=accepted))

    assert outage(server.api_url).maybe_sent
    assert len(server.messages()) == accepted


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: WebexServer, status: int) -> None:
    elsewhere = f"Location: {server.api_url}/messages"

    with Wire(http(status, b"", elsewhere)) as wire:
        error = outage(wire.api_url)

    assert (error.status, error.maybe_sent) == (status, False)
    assert server.requests == []


@pytest.mark.parametrize("status", [407, 408])
def test_a_status_about_the_proxy_or_the_connection_is_an_outage(
    server: WebexServer, status: int
) -> None:
    server.script(Fault(status=status))

    assert not outage(server.api_url).maybe_sent


def test_the_tracking_id_can_be_in_the_body() -> None:
    with Wire(http(400, b'{"message": "no", "trackingId": "ROUTER_1"}')) as wire:
        assert failure(wire.api_url).tracking_id == "ROUTER_1"


def test_the_tracking_id_is_none_if_the_response_has_no_valid_one() -> None:
    with Wire(http(400, b'{"trackingId": 7, "errors": [{"description": 8}, 9]}')) as wire:
        assert failure(wire.api_url).tracking_id is None


# ------------------------------------------------------------------ Retry-After


@pytest.mark.parametrize("status", [423, 429])
@pytest.mark.parametrize(
    ("header", "seconds"), [("194", 194.0), ("rand(30),add(30)", 30.0), (None, 30.0)]
)
def test_a_rate_limit_has_the_seconds_of_its_retry_after(
    server: WebexServer, status: int, header: str | None, seconds: float
) -> None:
    server.script(Fault(status=status, retry_after=header))

    error = failure(server.api_url)

    assert isinstance(error, RateLimited)
    assert error.retry_after == seconds
    assert server.messages() == []


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        ("1.5", 1.5),
        (" 7 ", 7),
        ("+7", 7),
        ("-5", 0),
        ("43200", 43_200),
        ("43201", 43_200),
        ("9" * 400, 43_200),
        ("Wed, 25 Nov 2026 12:03:14 GMT", 194),
        ("Wed, 25 Nov 2026 13:03:14 +0100", 194),
        ("Wed, 25 Nov 2026 12:03:14 -0000", 194),
        ("Wed, 25 Nov 2026 11:00:00 GMT", 0),
        ("Wed, 25 Nov 2099 12:00:00 GMT", 43_200),
        ("Wed, 99 Nov 2026 12:00:00 GMT", 30),
        ("rand(30),add(30)", 30),
        ("30, 30", 30),
        ("nan", 30),
        ("inf", 30),
        ("1e3", 30),
        ("0x10", 30),
        ("soon", 30),
        ("", 30),
        (None, 30),
    ],
)
def test_every_form_of_retry_after_is_parsed_as_seconds(header: str | None, seconds: float) -> None:
    assert retry_after(header, NOON) == seconds


@given(st.text() | st.from_regex(r"[A-Za-z]{3}, [0-9]{1,4} [A-Za-z]{3} [0-9:+ -]{0,30}"))
def test_any_retry_after_is_between_zero_and_twelve_hours(header: str) -> None:
    assert 0 <= retry_after(header, NOON) <= 43_200


# ------------------------------------------------------------------ unexpected responses


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"[1]", b"null", b'{"id": 5}', b'{"id": ""}', b"[" * 9999]
)
def test_after_a_success_without_a_message_id_the_message_may_have_been_posted(
    server: WebexServer, body: bytes
) -> None:
    server.script(Fault(body=body, accepted=True))

    error = outage(server.api_url)

    assert (error.status, error.maybe_sent) == (200, True)


def test_the_error_for_a_success_does_not_quote_the_message(server: WebexServer) -> None:
    server.script(Fault(body=b'{"markdown": "hello"}', accepted=True))

    assert "hello" not in str(outage(server.api_url))


@pytest.mark.parametrize("body", [b"", b"<html>\n Bad  Gateway", b"\xff\xfe", b"[" * 9999])
def test_an_error_without_a_json_body_has_the_status_and_the_tracking_id(
    server: WebexServer, body: bytes
) -> None:
    server.script(Fault(status=502, body=body))

    error = outage(server.api_url)

    assert error.status == 502
    assert error.tracking_id
    assert len(str(error)) < 500
    assert b"Gateway" not in body or "Webex returned 502: <html> Bad Gateway" in str(error)


def test_a_huge_body_is_not_read_completely() -> None:
    head = b"HTTP/1.1 503 So\r\nContent-Length: 1000000000\r\n\r\n"

    with Wire(head, *[b"x" * 100_000] * 10_000) as wire:
        error = outage(wire.api_url)

        assert error.status == 503
    assert wire.bytes_sent < 100_000_000


def test_a_chunked_body_is_reassembled() -> None:
    pieces = [b"%x\r\n%b\r\n" % (len(part), part) for part in (b'{"id', b'": "1', b'7"}', b"")]

    with Wire(b"HTTP/1.1 200 So\r\nTransfer-Encoding: chunked\r\n\r\n", *pieces) as wire:
        assert post(Webex(wire.api_url, lambda: TOKEN)) == "17"


def test_an_incomplete_error_has_the_status_and_the_retry_after(server: WebexServer) -> None:
    server.script(Fault(status=429, retry_after="194", stalls=True))

    error = failure(server.api_url, within=TIME_TO_RESPOND)

    assert isinstance(error, RateLimited)
    assert error.retry_after == 194


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
def test_a_response_that_is_not_http_is_an_outage(answer: bytes) -> None:
    with Wire(answer, PAUSE) as wire:
        assert outage(wire.api_url, within=TIME_TO_RESPOND).maybe_sent


# ------------------------------------------------------------------ no response


@pytest.mark.parametrize("accepted", [True, False])
def test_after_a_lost_response_the_message_may_have_been_posted(
    server: WebexServer, accepted: bool
) -> None:
    server.script(Fault(cut=True, accepted=accepted))

    error = outage(server.api_url)

    assert (error.status, error.tracking_id, error.maybe_sent) == (None, None, True)
    assert len(server.messages()) == accepted


def test_nothing_is_sent_when_the_connection_is_refused() -> None:
    error = outage(f"http://{LOOPBACK}:{free_port()}/v1")

    assert not error.maybe_sent
    assert "ConnectionRefusedError" in str(error)


def test_nothing_is_sent_when_the_host_can_not_be_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    error = outage("https://webex.invalid/v1")

    assert not error.maybe_sent
    assert "Name or service not known" in str(error)


def test_nothing_is_sent_when_the_proxy_can_not_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{free_port()}")

    assert not outage("https://webex.invalid/v1").maybe_sent


def test_nothing_is_sent_when_the_proxy_rejects_the_connection(
    server: WebexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{server.port}")

    assert not outage("https://webex.invalid/v1").maybe_sent


def test_nothing_is_sent_when_tls_fails(server: WebexServer) -> None:
    error = outage(server.api_url.replace("http:", "https:"))

    assert not error.maybe_sent
    assert server.requests == []


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_nothing_is_sent_to_a_server_with_an_untrusted_certificate(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1"
        f" -subj /CN={LOOPBACK} -addext subjectAltName=IP:{LOOPBACK}"
    )
    subprocess.run(
        [*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    with Wire(http(200, b'{"id": "1"}'), context=context) as wire:
        error = outage(wire.api_url.replace("http:", "https:"))

    assert not error.maybe_sent
    assert "CERTIFICATE_VERIFY_FAILED" in str(error)
    assert wire.bytes_sent == 0


def test_an_invalid_url_is_an_outage() -> None:
    assert not outage("webexapis.com/v1").maybe_sent


# ------------------------------------------------------------------ deadlines


def seconds_of(attempt: Callable[[], object]) -> float:
    start = time.monotonic()
    attempt()
    return time.monotonic() - start


def test_a_slow_response_is_received_within_the_time_left(
    webex: Webex, server: WebexServer
) -> None:
    server.script(Fault(seconds=0.5))

    assert post(webex) == server.messages()[0].id


def test_an_attempt_without_a_response_ends_in_time(server: WebexServer) -> None:
    server.script(Fault(seconds=600))

    errors: list[Unavailable] = []
    elapsed = seconds_of(lambda: errors.append(outage(server.api_url, within=TIME_TO_RESPOND)))

    assert elapsed < TIME_TO_RESPOND + SLACK
    assert errors[0].maybe_sent
    assert len(server.messages()) == 1


def test_an_attempt_with_an_incomplete_response_ends_in_time(server: WebexServer) -> None:
    server.script(Fault(stalls=True))

    errors: list[Unavailable] = []
    elapsed = seconds_of(lambda: errors.append(outage(server.api_url, within=TIME_TO_RESPOND)))

    assert elapsed < TIME_TO_RESPOND + SLACK
    assert errors[0].maybe_sent


def test_an_attempt_with_a_very_slow_response_ends_in_time() -> None:
    head = b"HTTP/1.1 200 So\r\nContent-Length: 60000\r\n\r\n"

    with Wire(head, *[b" ", PAUSE] * 6_000) as wire:
        elapsed = seconds_of(lambda: outage(wire.api_url, within=1.0))

    assert elapsed < 1.0 + SLACK


def test_an_attempt_without_a_tls_handshake_ends_in_time() -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:
        url = f"https://{LOOPBACK}:{listener.getsockname()[1]}/v1"

        errors: list[Unavailable] = []
        elapsed = seconds_of(lambda: errors.append(outage(url, within=0.6)))

    assert elapsed < 0.6 + SLACK
    assert not errors[0].maybe_sent


@pytest.mark.parametrize("left", [0.0, -1.0, -math.inf])
def test_nothing_is_sent_when_no_time_is_left(server: WebexServer, left: float) -> None:
    with pytest.raises(Unavailable) as caught:
        Webex(server.api_url, lambda: TOKEN).post_message(ROOM, "late", time_left=lambda: left)

    assert not caught.value.maybe_sent
    assert server.requests == []


# ------------------------------------------------------------------ the token


@pytest.mark.parametrize("token", ["", "  \n", "two words", "two\nlines", "schlüssel", "\x00"])
def test_a_malformed_token_is_not_sent(server: WebexServer, token: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        post(Webex(server.api_url, lambda: token))

    assert server.requests == []
    assert not token.strip() or token not in str(caught.value)


def test_white_space_around_a_token_is_removed(server: WebexServer) -> None:
    assert post(Webex(server.api_url, lambda: f" {TOKEN}\n"))


def test_no_representation_contains_the_token(webex: Webex) -> None:
    assert TOKEN not in repr(webex) + str(webex) + str(vars(webex))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=401),
        Fault(status=429, retry_after=TOKEN),
        Fault(status=400, body=b'{"message": "Bearer %b"}' % TOKEN.encode()),
        Fault(status=400, body=b'{"trackingId": "%b"}' % TOKEN.encode()),
        Fault(status=502, body=b"you sent Bearer %b" % TOKEN.encode()),
        Fault(cut=True),
        Fault(body=TOKEN.encode()),
    ],
)
def test_no_error_and_no_log_contains_the_token(
    server: WebexServer, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(fault)

    error = failure(server.api_url)

    logging.getLogger("notifier").error("not_sent", exc_info=error)
    formatted = "".join(
        traceback.TracebackException.from_exception(error, capture_locals=False).format()
    )
    assert TOKEN not in formatted + repr(error) + repr(vars(error)) + caplog.text


def test_a_tracking_id_that_echoes_the_token_is_masked() -> None:
    with Wire(http(500, b"{}", f"TrackingID: {TOKEN}-1")) as wire:
        assert failure(wire.api_url).tracking_id == "***-1"
