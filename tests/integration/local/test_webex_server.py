"""The stand-in Webex: the rules that it shares with Webex, its faults, and its page."""

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

from local import webex_markdown
from local.aws import ROOT
from local.ports import LOOPBACK, free_port
from local.process import LocalError
from local.webex import BOT, ROOM, TOKEN, Fault, WebexServer
from local.webex_page import card
from local.webex_rooms import BYTES_LIMIT, CARD, Person

A_CARD = {"contentType": CARD, "content": {"type": "AdaptiveCard", "version": "1.3", "body": []}}


class Client:
    """Asks as `curl` would."""

    def __init__(self, server: WebexServer, token: str = TOKEN) -> None:
        self._url = server.api_url
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def get(self, path: str, **query: str) -> requests.Response:
        return self._session.get(self._url + path, params=query, timeout=30)

    def post(self, **body: Any) -> requests.Response:
        return self._session.post(f"{self._url}/messages", json={"roomId": ROOM} | body, timeout=30)

    def put(self, message_id: str, **body: Any) -> requests.Response:
        url = f"{self._url}/messages/{message_id}"
        return self._session.put(url, json={"roomId": ROOM} | body, timeout=30)

    def send(self, method: str, path: str, **more: Any) -> requests.Response:
        return self._session.request(method, self._url + path, timeout=30, **more)


def look(url: str) -> requests.Response:
    """As a browser would."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=30)


@pytest.fixture
def server() -> Iterator[WebexServer]:
    with WebexServer(free_port()) as server:
        yield server


@pytest.fixture
def client(server: WebexServer) -> Client:
    return Client(server)


# ------------------------------------------------------------------ messages


def test_a_message_is_answered_and_found_as_webex_shows_it(client: Client) -> None:
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
def test_a_text_has_so_many_bytes_at_most(client: Client, name: str) -> None:
    longest = "é" * (BYTES_LIMIT // 2) + "x"

    assert client.post(**{name: longest}).status_code == 200
    assert client.post(**{name: longest + "x"}).status_code == 400


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({}, "there is no message"),
        ({"text": "x", "roomId": None}, "one of roomId"),
        ({"text": "x", "toPersonEmail": "a@b.c"}, "one of roomId"),
        ({"text": 5}, "text must be text"),
        ({"text": "x", "parentId": "unknown"}, "no message of this room"),
        ({"text": "x", "attachments": []}, "a list of one"),
        ({"text": "x", "attachments": [A_CARD, A_CARD]}, "a list of one"),
        ({"text": "x", "attachments": [A_CARD | {"contentType": "x/y"}]}, "contentType"),
        ({"text": "x", "attachments": [A_CARD | {"content": {}}]}, "must be an AdaptiveCard"),
        ({"attachments": [A_CARD]}, "a card needs text or markdown"),
        ({"text": "x", "files": ["a", "b"]}, "a list of one at most"),
    ],
)
def test_what_makes_no_sense_is_a_400_that_says_why(
    client: Client, body: dict[str, Any], why: str
) -> None:
    answer = client.post(**body)

    assert answer.status_code == 400
    assert why in answer.json()["errors"][0]["description"]


def test_a_reply_answers_the_first_message_of_a_thread_in_its_own_room(
    client: Client, server: WebexServer
) -> None:
    server.add_room("other", "Other")
    first = client.post(text="first").json()["id"]

    reply = client.post(text="reply", parentId=first)

    assert reply.json()["parentId"] == first
    assert client.post(text="x", parentId=first, roomId="other").status_code == 400
    assert client.post(text="x", parentId=reply.json()["id"]).status_code == 400


def test_a_message_can_be_edited_ten_times(client: Client) -> None:
    message_id = client.post(text="0").json()["id"]

    statuses = [client.put(message_id, markdown=f"*{edit}*").status_code for edit in range(11)]

    assert statuses == [200] * 10 + [400]
    assert client.get(f"/messages/{message_id}").json()["text"] == "9"


def test_cards_files_and_the_messages_of_others_stay_as_they_are(
    client: Client, server: WebexServer
) -> None:
    other = Person("ada@example.com", "Ada")
    server.add_token("hers", other)
    server.add_room(ROOM, "batchwatch", members=[BOT, other])
    card_id = client.post(text="x", attachments=[A_CARD]).json()["id"]
    file_id = client.post(files=["https://example.com/a.png"]).json()["id"]
    hers = Client(server, "hers").post(text="x").json()["id"]

    assert [client.put(one, text="y").status_code for one in (card_id, file_id)] == [400, 400]
    assert client.put(hers, text="y").status_code == 403


# ------------------------------------------------------------------ access


def test_only_members_know_of_a_room(client: Client, server: WebexServer) -> None:
    server.add_room("theirs", "Theirs", members=[])

    assert client.post(text="x", roomId="theirs").status_code == 404
    assert client.get("/messages", roomId="theirs").status_code == 404
    assert [room["id"] for room in client.get("/rooms").json()["items"]] == [ROOM]


def test_without_the_token_there_is_only_webexs_error(server: WebexServer) -> None:
    answer = Client(server, "wrong").get("/people/me")

    assert answer.status_code == 401
    assert set(answer.json()) == {"message", "errors", "trackingId"}
    assert answer.json()["trackingId"] == answer.headers["TrackingID"]


def test_the_token_says_who_asks(client: Client) -> None:
    assert client.get("/people/me").json()["emails"] == [BOT.email]


def test_the_token_is_not_in_the_log_of_requests(client: Client, server: WebexServer) -> None:
    client.post(text="x")

    assert TOKEN not in repr(server.requests)


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("POST", "/messages", {"data": "text=x"}, 415),
        ("POST", "/messages", {"data": "{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "/messages", {"json": []}, 400),
        ("DELETE", "/messages", {}, 405),
        ("GET", "/nothing", {}, 404),
        ("GET", "/messages/unknown", {}, 404),
    ],
)
def test_every_answer_has_a_tracking_id(
    client: Client, method: str, path: str, more: dict[str, Any], status: int
) -> None:
    answer = client.send(method, path, **more)

    assert answer.status_code == status
    assert answer.headers["TrackingID"]


# ------------------------------------------------------------------ what goes wrong on request


def test_faults_come_one_after_the_other_and_for_posts_alone(
    client: Client, server: WebexServer
) -> None:
    server.script(Fault(status=429, retry_after="194"), times=2)
    server.script(Fault(status=503))

    assert client.get("/rooms").status_code == 200
    answers = [client.post(text="x") for _ in range(4)]

    assert [answer.status_code for answer in answers] == [429, 429, 503, 200]
    assert answers[0].headers["Retry-After"] == "194"
    assert len(server.messages()) == 1


def test_a_fault_can_be_meant_for_some_and_last_for_ever(
    client: Client, server: WebexServer
) -> None:
    server.script(
        Fault(status=503), times=math.inf, matching=lambda request: request.body["text"] == "bad"
    )

    assert [client.post(text=text).status_code for text in ("bad", "good", "bad")] == [
        503,
        200,
        503,
    ]

    server.unscript()
    assert client.post(text="bad").status_code == 200


def test_the_log_tells_what_was_answered(client: Client, server: WebexServer) -> None:
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


def test_posts_that_do_not_come_are_not_waited_for_for_ever(server: WebexServer) -> None:
    with pytest.raises(TimeoutError, match="0 posts of 1"):
        server.wait_for_posts(1, seconds=0.01)


# ------------------------------------------------------------------ from start to end


def test_a_stopped_server_answers_nobody_and_started_again_has_lost_nothing(
    client: Client, server: WebexServer
) -> None:
    client.post(text="before")

    server.stop()
    with pytest.raises(requests.ConnectionError):
        client.post(text="meanwhile")
    server.start()

    client.post(text="after")
    assert [message.text for message in server.messages()] == ["before", "after"]


def test_rooms_and_messages_are_kept_in_a_file(tmp_path: Path) -> None:
    state = tmp_path / "webex.json"
    with WebexServer(free_port(), state_file=state) as server:
        first = Client(server).post(markdown="**one**", attachments=[A_CARD]).json()["id"]
        Client(server).post(text="two", parentId=first)
        before = server.messages()

    with WebexServer(free_port(), state_file=state) as server:
        assert server.messages() == before
    assert TOKEN not in state.read_text()


def test_a_file_that_holds_something_else_is_named(tmp_path: Path) -> None:
    state = tmp_path / "webex.json"
    state.write_text(json.dumps({"rooms": 5}))

    with pytest.raises(LocalError, match=r"webex\.json holds no rooms"):
        WebexServer(free_port(), state_file=state)


def test_as_a_command_it_serves_until_it_is_asked_to_stop() -> None:
    command = [sys.executable, "-m", "local.webex", "--port", str(free_port())]

    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        page = process.stdout.readline().split()[1]
        assert look(page).ok
        process.send_signal(signal.SIGTERM)

    assert process.returncode == 0


def test_a_port_that_is_taken_is_told_in_one_line(server: WebexServer) -> None:
    command = [sys.executable, "-m", "local.webex", "--port", str(server.port)]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr == f"error: port {server.port} can't be used: Address already in use\n"


# ------------------------------------------------------------------ what people see


def shown(markdown: str) -> str:
    return webex_markdown.render(markdown).html


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**b** *i* snake_case_name", "<strong>b</strong> <em>i</em> snake_case_name"),
        ("`a<b`", "<code>a&lt;b</code>"),
        ("# Head", "<h1>Head</h1>"),
        ("- one\n- two", "<li>two</li>"),
        ("> said", "<blockquote>"),
        ("one\ntwo  \nthree", "one\ntwo<br />"),
        ("[a](https://b.c)", '<a href="https://b.c" target="_blank" rel="noreferrer">a</a>'),
        ("see https://b.c/d.", ">https://b.c/d</a>."),
        ("www.b.c", 'href="http://www.b.c"'),
    ],
)
def test_markdown_is_shown_as_webex_shows_it(markdown: str, expected: str) -> None:
    assert expected in shown(markdown)


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick='x'>b</b>",
        "`<script>`",
        "```\n<script>\n```",
        "```<script>\nx\n```",
        "[x](javascript:alert(1))",
        '[x](https://y "<script>")',
        '[x](https://y/"onclick="z)',
        "![<script>](https://y/z.png)",
        "https://y/<script>",
        '<@personEmail:"><script>|<img src=x>',
        '[x](https://y "<@all>")',
        "&#xe000;0&#xe001; \ue0007\ue001",
    ],
)
def test_nothing_that_was_written_becomes_html(markdown: str) -> None:
    html = shown(markdown)

    assert "<script" not in html
    assert "<img" not in html
    assert "<b " not in html
    assert 'href="javascript' not in html
    assert html.count("<a ") == html.count(' target="_blank" rel="noreferrer">')


@pytest.mark.parametrize(
    "markdown",
    [
        "<@all>",
        "`<@all>`",
        "```\n<@all>\n```",
        r"\<@all>",
        "<@ALL|everybody>",
        "a<@personEmail:ada@example.com>",
        "<@personId:Y2lz|Ada>",
    ],
)
def test_a_mention_is_seen_wherever_it_stands(markdown: str) -> None:
    rendered = webex_markdown.render(markdown)

    assert '<span class="mention">@' in rendered.html
    assert len(rendered.mentions) == 1


@pytest.mark.parametrize("markdown", ["&lt;@all>", "< @all>", "@all", "<\u200b@all>", r"<\@all>"])
def test_what_only_looks_like_a_mention_is_none(markdown: str) -> None:
    assert webex_markdown.render(markdown).mentions == ()


def test_a_card_is_shown_with_its_links_and_without_anything_alive() -> None:
    html = card(
        {
            "body": [
                {"type": "TextBlock", "text": "**Failed** <b>", "size": "Large", "wrap": True},
                {"type": "FactSet", "facts": [{"title": "Queue", "value": "<i>high</i>"}]},
                {
                    "type": "ColumnSet",
                    "columns": [{"width": 2, "items": [{"type": "TextBlock", "text": "left"}]}],
                },
                {"type": "Container", "style": 'attention"><b', "items": [5, None]},
                {"type": "<Image>", "url": "https://example.com/x.png"},
            ],
            "actions": [
                {"type": "Action.OpenUrl", "title": "Log", "url": "https://example.com/?a&b"},
                {"type": "Action.OpenUrl", "title": "Bad", "url": "javascript:alert(1)"},
            ],
        }
    )

    assert '<div class="text size-large wrap-true"><p><strong>Failed</strong> &lt;b&gt;</p>' in html
    assert "&lt;i&gt;high&lt;/i&gt;" in html
    assert 'style="flex: 2 1 0"' in html
    assert 'href="https://example.com/?a&amp;b"' in html
    assert '<span class="unknown">Action.OpenUrl: Bad</span>' in html
    assert '<span class="unknown">&lt;Image&gt;: </span>' in html
    assert "<b" not in html.replace("<br", "")


def test_the_page_shows_rooms_threads_and_whom_a_message_pages(
    client: Client, server: WebexServer
) -> None:
    server.add_room("other", "<Other>")
    first = client.post(markdown="first").json()["id"]
    client.post(markdown="second, <@all>")
    client.post(markdown="a reply", parentId=first)

    news = look(f"{server.page_url}page.json").json()

    assert news["title"] == "batchwatch"
    assert "&lt;Other&gt;" in news["rooms"]
    order = [news["messages"].index(text) for text in ("first", "a reply", "second")]
    assert order == sorted(order)
    assert '<span class="pages">pages all</span>' in news["messages"]


def test_the_page_can_load_and_run_nothing_but_itself(server: WebexServer) -> None:
    page, script = look(server.page_url), look(f"{server.page_url}webex_page.js")

    assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "https://" not in page.text + script.text
    assert f"http://{LOOPBACK}" not in page.text
    assert look(f"{server.page_url}other").status_code == 404
