"""The Webex client against real servers on the loopback interface: what it says of each outcome."""

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
    BYTES_LIMIT,
    RateLimited,
    Refused,
    RoomGone,
    Unauthorized,
    Unavailable,
    Webex,
    WebexError,
    retry_after,
)
from local.ports import LOOPBACK, free_port
from local.webex import ROOM, TOKEN, Fault, WebexServer

SECONDS = 30.0
SLACK = 3.0
"""What a busy machine may add to a wait."""
NOON = 1_795_608_000.0
"""2026-11-25T12:00:00Z"""


class Wire:
    """A server that answers each request with the bytes that it was given, and knows no HTTP.

    A pause between two pieces lasts until the client hangs up or the server is closed.
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
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
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


# ------------------------------------------------------------------ what is posted


def test_a_message_is_posted_as_markdown_and_its_id_returned(
    webex: Webex, server: WebexServer
) -> None:
    message_id = post(webex, "**Ünïcode** 🚀")

    [message] = server.messages()
    assert (message.id, message.markdown) == (message_id, "**Ünïcode** 🚀")
    [request] = server.requests
    assert request.body == {"roomId": ROOM, "markdown": "**Ünïcode** 🚀"}


def test_a_reply_stands_in_the_thread_of_its_parent(webex: Webex, server: WebexServer) -> None:
    first = post(webex)

    post(webex, parent_id=first)

    assert [message.parent_id for message in server.messages()] == [None, first]


def test_text_may_have_just_the_bytes_that_webex_takes(webex: Webex, server: WebexServer) -> None:
    longest = "é" * (BYTES_LIMIT // 2) + "x"

    assert post(webex, longest)
    with pytest.raises(ValueError, match="7439 bytes, not 7440"):
        post(webex, longest + "x")

    assert len(server.requests) == 1


def test_the_token_is_asked_for_at_each_message(server: WebexServer) -> None:
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


def test_a_connection_that_webex_closed_meanwhile_is_opened_anew(
    webex: Webex, server: WebexServer
) -> None:
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


# ------------------------------------------------------------------ what Webex says no to


def test_a_wrong_token_is_unauthorized(server: WebexServer) -> None:
    server.revoke_token()

    error = failure(server.api_url)

    assert isinstance(error, Unauthorized)
    assert error.status == 401
    assert "requires a valid access token" in str(error)


def test_a_room_that_is_not_there_and_one_without_the_bot_are_gone(server: WebexServer) -> None:
    server.add_room("theirs", "Others", members=[])

    for room in ("theirs", "nowhere"):
        error = failure(server.api_url, room=room)

        assert isinstance(error, RoomGone)
        assert error.status == 404


def test_a_message_that_will_never_be_taken_says_why(server: WebexServer) -> None:
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
def test_each_status_has_its_error_with_the_tracking_id(
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
def test_the_answer_to_the_longest_message_is_read_to_its_end(webex: Webex, character: str) -> None:
    assert post(webex, character * (BYTES_LIMIT // len(character.encode())))


@pytest.mark.parametrize("accepted", [True, False])
def test_a_5xx_may_have_taken_the_message(server: WebexServer, accepted: bool) -> None:
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
def test_what_a_proxy_or_the_connection_is_blamed_for_is_no_fault_of_the_message(
    server: WebexServer, status: int
) -> None:
    server.script(Fault(status=status))

    assert not outage(server.api_url).maybe_sent


def test_a_tracking_id_in_the_body_counts_too() -> None:
    with Wire(http(400, b'{"message": "no", "trackingId": "ROUTER_1"}')) as wire:
        assert failure(wire.api_url).tracking_id == "ROUTER_1"


def test_an_answer_without_a_tracking_id_has_none() -> None:
    with Wire(http(400, b'{"trackingId": 7, "errors": [{"description": 8}, 9]}')) as wire:
        assert failure(wire.api_url).tracking_id is None


# ------------------------------------------------------------------ Retry-After


@pytest.mark.parametrize("status", [423, 429])
@pytest.mark.parametrize(
    ("header", "seconds"), [("194", 194.0), ("rand(30),add(30)", 30.0), (None, 30.0)]
)
def test_webex_says_how_long_to_wait(
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
def test_every_form_of_retry_after_is_a_number_of_seconds(
    header: str | None, seconds: float
) -> None:
    assert retry_after(header, NOON) == seconds


@given(st.text() | st.from_regex(r"[A-Za-z]{3}, [0-9]{1,4} [A-Za-z]{3} [0-9:+ -]{0,30}"))
def test_no_retry_after_fails_or_asks_for_more_than_sqs_can_wait(header: str) -> None:
    assert 0 <= retry_after(header, NOON) <= 43_200


# ------------------------------------------------------------------ strange answers


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"\xff\xfe", b"[1]", b"null", b'{"id": 5}', b'{"id": ""}', b"[" * 9999]
)
def test_a_success_that_names_no_message_may_have_sent_it(server: WebexServer, body: bytes) -> None:
    server.script(Fault(body=body, accepted=True))

    error = outage(server.api_url)

    assert (error.status, error.maybe_sent) == (200, True)


def test_an_error_about_a_success_does_not_repeat_the_message(server: WebexServer) -> None:
    server.script(Fault(body=b'{"markdown": "hello"}', accepted=True))

    assert "hello" not in str(outage(server.api_url))


@pytest.mark.parametrize("body", [b"", b"<html>\n Bad  Gateway", b"\xff\xfe", b"[" * 9999])
def test_a_body_that_is_not_json_hides_neither_the_status_nor_the_tracking_id(
    server: WebexServer, body: bytes
) -> None:
    server.script(Fault(status=502, body=body))

    error = outage(server.api_url)

    assert error.status == 502
    assert error.tracking_id
    assert len(str(error)) < 500
    assert b"Gateway" not in body or "Webex answered 502: <html> Bad Gateway" in str(error)


def test_only_so_much_of_a_body_is_read() -> None:
    head = b"HTTP/1.1 503 So\r\nContent-Length: 1000000000\r\n\r\n"

    with Wire(head, *[b"x" * 100_000] * 10_000) as wire:
        error = outage(wire.api_url)

        assert error.status == 503
    assert wire.bytes_sent < 100_000_000


def test_a_body_in_pieces_is_put_together() -> None:
    pieces = [b"%x\r\n%b\r\n" % (len(part), part) for part in (b'{"id', b'": "1', b'7"}', b"")]

    with Wire(b"HTTP/1.1 200 So\r\nTransfer-Encoding: chunked\r\n\r\n", *pieces) as wire:
        assert post(Webex(wire.api_url, lambda: TOKEN)) == "17"


def test_half_an_error_still_tells_its_status(server: WebexServer) -> None:
    server.script(Fault(status=429, retry_after="194", stalls=True))

    error = failure(server.api_url, within=1.0)

    assert isinstance(error, RateLimited)
    assert error.retry_after == 194


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
def test_what_is_no_http_is_an_outage(answer: bytes) -> None:
    with Wire(answer, PAUSE) as wire:
        assert outage(wire.api_url, within=1.0).maybe_sent


# ------------------------------------------------------------------ no answer


@pytest.mark.parametrize("accepted", [True, False])
def test_a_lost_answer_leaves_open_whether_the_message_was_taken(
    server: WebexServer, accepted: bool
) -> None:
    server.script(Fault(cut=True, accepted=accepted))

    error = outage(server.api_url)

    assert (error.status, error.tracking_id, error.maybe_sent) == (None, None, True)
    assert len(server.messages()) == accepted


def test_nothing_is_sent_where_nothing_listens() -> None:
    error = outage(f"http://{LOOPBACK}:{free_port()}/v1")

    assert not error.maybe_sent
    assert "ConnectionRefusedError" in str(error)


def test_nothing_is_sent_to_a_name_without_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    error = outage("https://webex.invalid/v1")

    assert not error.maybe_sent
    assert "Name or service not known" in str(error)


def test_nothing_is_sent_through_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{free_port()}")

    assert not outage("https://webex.invalid/v1").maybe_sent


def test_nothing_is_sent_through_a_proxy_that_refuses(
    server: WebexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOOPBACK}:{server.port}")

    assert not outage("https://webex.invalid/v1").maybe_sent


def test_nothing_is_sent_without_tls(server: WebexServer) -> None:
    error = outage(server.api_url.replace("http:", "https:"))

    assert not error.maybe_sent
    assert server.requests == []


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl to make a certificate")
def test_nothing_is_sent_to_a_server_that_nobody_vouches_for(tmp_path: Path) -> None:
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


def test_what_is_no_url_is_an_outage_too() -> None:
    assert not outage("webexapis.com/v1").maybe_sent


# ------------------------------------------------------------------ the time that is left


def seconds_of(attempt: Callable[[], object]) -> float:
    began = time.monotonic()
    attempt()
    return time.monotonic() - began


def test_a_slow_answer_is_waited_for_as_long_as_there_is_time(
    webex: Webex, server: WebexServer
) -> None:
    server.script(Fault(seconds=0.5))

    assert post(webex) == server.messages()[0].id


def test_a_late_answer_ends_the_attempt_in_time(server: WebexServer) -> None:
    server.script(Fault(seconds=600))

    errors: list[Unavailable] = []
    took = seconds_of(lambda: errors.append(outage(server.api_url, within=0.6)))

    assert took < 0.6 + SLACK
    assert errors[0].maybe_sent
    assert len(server.messages()) == 1


def test_an_answer_that_stops_half_way_ends_the_attempt_in_time(server: WebexServer) -> None:
    server.script(Fault(stalls=True))

    errors: list[Unavailable] = []
    took = seconds_of(lambda: errors.append(outage(server.api_url, within=0.6)))

    assert took < 0.6 + SLACK
    assert errors[0].maybe_sent


def test_an_answer_that_drips_ends_the_attempt_in_time() -> None:
    head = b"HTTP/1.1 200 So\r\nContent-Length: 60000\r\n\r\n"

    with Wire(head, *[b" ", PAUSE] * 6_000) as wire:
        took = seconds_of(lambda: outage(wire.api_url, within=1.0))

    assert took < 1.0 + SLACK


def test_a_server_that_never_gets_to_speak_tls_ends_the_attempt_in_time() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        url = f"https://{LOOPBACK}:{silent.getsockname()[1]}/v1"

        errors: list[Unavailable] = []
        took = seconds_of(lambda: errors.append(outage(url, within=0.6)))

    assert took < 0.6 + SLACK
    assert not errors[0].maybe_sent


@pytest.mark.parametrize("left", [0.0, -1.0, -math.inf])
def test_nothing_is_sent_when_no_time_is_left(server: WebexServer, left: float) -> None:
    with pytest.raises(Unavailable) as caught:
        Webex(server.api_url, lambda: TOKEN).post_message(ROOM, "late", time_left=lambda: left)

    assert not caught.value.maybe_sent
    assert server.requests == []


# ------------------------------------------------------------------ the token


@pytest.mark.parametrize("token", ["", "  \n", "two words", "two\nlines", "schlüssel", "\x00"])
def test_what_can_be_no_token_is_not_sent(server: WebexServer, token: str) -> None:
    with pytest.raises(Unauthorized) as caught:
        post(Webex(server.api_url, lambda: token))

    assert server.requests == []
    assert not token.strip() or token not in str(caught.value)


def test_white_space_around_a_token_does_no_harm(server: WebexServer) -> None:
    assert post(Webex(server.api_url, lambda: f" {TOKEN}\n"))


def test_the_token_is_in_no_representation(webex: Webex) -> None:
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
def test_the_token_is_in_no_error_and_no_log(
    server: WebexServer, fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.script(fault)

    error = failure(server.api_url)

    logging.getLogger("notifier").error("not_sent", exc_info=error)
    told = "".join(
        traceback.TracebackException.from_exception(error, capture_locals=False).format()
    )
    assert TOKEN not in told + repr(error) + repr(vars(error)) + caplog.text


def test_a_tracking_id_that_echoes_the_token_is_masked() -> None:
    with Wire(http(500, b"{}", f"TrackingID: {TOKEN}-1")) as wire:
        assert failure(wire.api_url).tracking_id == "***-1"
