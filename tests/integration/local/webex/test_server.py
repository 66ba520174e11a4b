"""The stand-in Webex: the rules that it shares with Webex, scripted faults, and its page."""

import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from chalicelib.webex.limits import MAX_MESSAGE_BYTES
from local.aws import ROOT
from local.ports import LOOPBACK, free_port
from local.process import LocalError
from local.webex import BOT, ROOM, TOKEN, Fault, WebexServer
from local.webex.rooms import MAX_TEXT_BYTES


class Client:
    """A client of the API."""

    def __init__(self, server: WebexServer, token: str = TOKEN) -> None:
        self._url = server.api_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str) -> requests.Response:
        return self._session.get(self._url + path, params=query, timeout=30)

    def post(self, **body: Any) -> requests.Response:
        return self._session.post(f"{self._url}/messages", json={"roomId": ROOM} | body, timeout=30)

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self._url + path, timeout=30, **options)


def get_page(url: str, **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=headers, timeout=30)


@pytest.fixture
def server() -> Iterator[WebexServer]:
    with WebexServer(free_port()) as server:
        yield server


@pytest.fixture
def client(server: WebexServer) -> Client:
    return Client(server)


# Messages


def test_a_posted_message_is_returned_with_text_and_mentions(client: Client) -> None:
    posted = client.post(markdown="**now**, <@all>").json()

    assert posted["text"] == "now, @all"
    assert posted["mentionedGroups"] == ["all"]
    assert posted["personEmail"] == BOT.email
    assert client.get(f"/messages/{posted['id']}").json() == posted
    assert client.get("/messages", roomId=ROOM).json() == {"items": [posted]}


def test_messages_are_listed_newest_first(client: Client) -> None:
    for text in ("one", "two", "three"):
        client.post(text=text)

    listed = client.get("/messages", roomId=ROOM, max="2").json()["items"]

    assert [message["text"] for message in listed] == ["three", "two"]
    assert client.get("/messages", roomId=ROOM, max="1001").status_code == 400


@pytest.mark.parametrize("name", ["text", "markdown", "html"])
def test_a_text_over_the_byte_limit_is_rejected(client: Client, name: str) -> None:
    longest = "é" * (MAX_TEXT_BYTES // 2) + "x"

    assert client.post(**{name: longest}).status_code == 200
    assert client.post(**{name: longest + "x"}).status_code == 400


def test_the_byte_limit_is_the_one_that_notices_are_written_for() -> None:
    assert MAX_MESSAGE_BYTES == MAX_TEXT_BYTES


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({}, "one of text, markdown, html and files is required"),
        ({"text": "x", "roomId": None}, "exactly one of roomId"),
        ({"text": "x", "toPersonEmail": "a@b.c"}, "exactly one of roomId"),
        ({"text": 5}, "text must be a string"),
        ({"text": "x", "parentId": "unknown"}, "not a message in this room"),
        ({"text": "x", "attachments": []}, "doesn't support attachments"),
        ({"text": "x", "files": ["a", "b"]}, "a list of at most one"),
    ],
)
def test_an_invalid_message_is_a_400_with_the_reason(
    client: Client, body: dict[str, Any], reason: str
) -> None:
    response = client.post(**body)

    assert response.status_code == 400
    assert reason in response.json()["errors"][0]["description"]


def test_a_reply_must_refer_to_the_first_message_of_a_thread_in_its_room(
    client: Client, server: WebexServer
) -> None:
    server.add_room("other", "Other")
    first = client.post(text="first").json()["id"]

    reply = client.post(text="reply", parentId=first)

    assert reply.json()["parentId"] == first
    assert client.post(text="x", parentId=first, roomId="other").status_code == 400
    assert client.post(text="x", parentId=reply.json()["id"]).status_code == 400


# Access


def test_a_room_is_not_found_by_non_members(client: Client, server: WebexServer) -> None:
    server.add_room("theirs", "Theirs", members=[])

    assert client.post(text="x", roomId="theirs").status_code == 404
    assert client.get("/messages", roomId="theirs").status_code == 404
    assert [room["id"] for room in client.get("/rooms").json()["items"]] == [ROOM]


def test_an_unknown_token_is_a_401_in_the_form_of_webex(server: WebexServer) -> None:
    response = Client(server, "wrong").get("/people/me")

    assert response.status_code == 401
    assert set(response.json()) == {"message", "errors", "trackingId"}
    assert response.json()["trackingId"] == response.headers["TrackingID"]


def test_people_me_returns_the_owner_of_the_token(client: Client) -> None:
    assert client.get("/people/me").json()["emails"] == [BOT.email]


def test_the_log_of_requests_contains_no_token(client: Client, server: WebexServer) -> None:
    client.post(text="x")

    assert TOKEN not in repr(server.requests)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/messages", {"data": "text=x"}, 415),
        ("POST", "/messages", {"data": "{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/messages", {"json": []}, 400),
        ("DELETE", "/messages", {}, 405),
        ("PUT", "/messages/unknown", {"json": {"roomId": ROOM, "text": "x"}}, 405),
        ("GET", "/nothing", {}, 404),
        ("GET", "/messages/unknown", {}, 404),
    ],
)
def test_every_error_has_a_tracking_id(
    client: Client, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    response = client.send(method, path, **options)

    assert response.status_code == status
    assert response.headers["TrackingID"]


# Faults


def test_faults_apply_in_order_and_to_posts_only(client: Client, server: WebexServer) -> None:
    server.script(Fault(status=429, retry_after="194"), times=2)
    server.script(Fault(status=503))

    assert client.get("/rooms").status_code == 200
    responses = [client.post(text="x") for _ in range(4)]

    assert [response.status_code for response in responses] == [429, 429, 503, 200]
    assert responses[0].headers["Retry-After"] == "194"
    assert len(server.messages()) == 1


def test_a_fault_applies_to_matching_requests_until_it_is_discarded(
    client: Client, server: WebexServer
) -> None:
    server.script(
        Fault(status=503), times=math.inf, matching=lambda request: request.body["text"] == "bad"
    )

    statuses = [client.post(text=text).status_code for text in ("bad", "good", "bad")]

    assert statuses == [503, 200, 503]
    server.unscript()
    assert client.post(text="bad").status_code == 200


def test_the_log_contains_the_status_of_each_response(client: Client, server: WebexServer) -> None:
    server.script(Fault(cut=True, accepted=True))
    with pytest.raises(requests.ConnectionError):
        client.post(text="lost")
    client.post(text="found")

    server.wait_for_posts(2)

    assert [(post.body["text"], post.status) for post in server.posts] == [
        ("lost", None),
        ("found", 200),
    ]
    assert [message.text for message in server.messages()] == ["lost", "found"]


def test_waiting_for_posts_times_out(server: WebexServer) -> None:
    with pytest.raises(TimeoutError, match="0 of 1 posts"):
        server.wait_for_posts(1, seconds=0.01)


# Start and stop


def test_a_restarted_server_keeps_its_messages(client: Client, server: WebexServer) -> None:
    client.post(text="before")

    server.stop()
    with pytest.raises(requests.ConnectionError):
        client.post(text="meanwhile")
    server.start()

    client.post(text="after")
    assert [message.text for message in server.messages()] == ["before", "after"]


def test_the_state_file_keeps_rooms_and_messages_but_no_token(tmp_path: Path) -> None:
    state = tmp_path / "webex.json"
    with WebexServer(free_port(), state_file=state) as server:
        first = Client(server).post(markdown="**one**", files=["a.png"]).json()["id"]
        Client(server).post(text="two", parentId=first)
        before = server.messages()

    with WebexServer(free_port(), state_file=state) as server:
        assert server.messages() == before
    assert TOKEN not in state.read_text()


def test_an_invalid_state_file_is_named_in_the_error(tmp_path: Path) -> None:
    state = tmp_path / "webex.json"
    state.write_text(json.dumps({"rooms": 5}))

    with pytest.raises(LocalError, match=r"webex\.json doesn't contain rooms"):
        WebexServer(free_port(), state_file=state)


def test_the_command_serves_until_it_receives_sigterm() -> None:
    command = [sys.executable, "-m", "local.webex", "--port", str(free_port())]

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        page = process.stdout.readline().split()[1]
        assert get_page(page).ok
        process.send_signal(signal.SIGTERM)

    assert process.returncode == 0


def test_the_command_reports_a_port_in_use_in_one_line(server: WebexServer) -> None:
    command = [sys.executable, "-m", "local.webex", "--port", str(server.port)]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr == f"error: port {server.port} can't be used: Address already in use\n"


# The page


def test_the_page_displays_rooms_threads_and_mentions(client: Client, server: WebexServer) -> None:
    server.add_room("other", "<Other>")
    first = client.post(markdown="first").json()["id"]
    client.post(markdown="second, <@all>")
    client.post(markdown="a reply", parentId=first)

    content = get_page(f"{server.page_url}page.json").json()

    assert content["title"] == "batchwatch"
    assert [room["title"] for room in content["rooms"]] == ["batchwatch", "<Other>"]
    assert [message["parent"] for message in content["messages"]] == [None, None, first]
    assert '<span class="notifies">notifies all</span>' in content["messages"][1]["html"]


def test_the_page_receives_only_new_messages(client: Client, server: WebexServer) -> None:
    first = client.post(markdown="first").json()["id"]
    second = client.post(markdown="second").json()["id"]
    address = f"{server.page_url}page.json?room={ROOM}&after="

    after_first, after_second, unknown = (
        get_page(address + after) for after in (first, second, "unknown")
    )

    assert [message["id"] for message in after_first.json()["messages"]] == [second]
    assert after_second.json()["messages"] == []
    assert [message["id"] for message in unknown.json()["messages"]] == [first, second]
    assert [each.json()["isComplete"] for each in (after_first, unknown)] == [False, True]
    unchanged = get_page(address + second, **{"If-None-Match": after_second.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_the_page_can_load_and_run_only_its_own_files(server: WebexServer) -> None:
    page, script = get_page(server.page_url), get_page(f"{server.page_url}page.js")

    assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
    assert script.ok
    assert "https://" not in page.text + script.text
    assert f"http://{LOOPBACK}" not in page.text
    assert get_page(f"{server.page_url}other").status_code == 404
