"""The page of the stand-in Webex in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from local.ports import free_port
from local.webex import ROOM, TOKEN, WebexServer
from tests.support.dashboard.browser import findings, needs_browser, observe

pytestmark = needs_browser


@pytest.fixture
def server() -> Iterator[WebexServer]:
    with WebexServer(free_port()) as server:
        yield server


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own; the test fails if the page logs an error."""
    with browser.new_context() as context:
        page = context.new_page()
        activity = observe(page)
        yield page
        assert activity.errors == []


def post(server: WebexServer, **body: str | None) -> str:
    """Post a message and return its id."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {TOKEN}"
        address = f"{server.api_url}/messages"
        response = session.post(address, json={"roomId": ROOM} | body, timeout=30)
        return str(response.json()["id"])


def test_new_messages_are_added_and_what_is_selected_stays(page: Page, server: WebexServer) -> None:
    first = post(server, markdown="**first** message")
    transferred: list[str] = []
    page.on("response", lambda response: transferred.append(response.text()))
    page.goto(server.page_url)
    page.locator(".message strong").select_text()

    post(server, markdown="second")
    post(server, markdown="a reply", parentId=first)
    expect(page.locator("#rooms small")).to_have_text("batchwatch: a reply")

    assert page.evaluate("String(getSelection())") == "first"
    expect(page.locator(".text")).to_have_text(["first message", "a reply", "second"])
    expect(page.locator(".replies .text")).to_have_text(["a reply"])
    expect(page.locator(".day")).to_have_count(1)
    assert sum("<strong>first</strong>" in text for text in transferred) == 1


def test_a_room_is_chosen_and_its_messages_replace_those_of_the_other(
    page: Page, server: WebexServer
) -> None:
    server.add_room("other/room", "<Other>")
    post(server, markdown="here")
    post(server, markdown="there", roomId="other/room")
    page.goto(server.page_url)
    expect(page.locator(".text")).to_have_text(["here"])

    page.get_by_role("link", name="<Other>").click()

    expect(page.locator(".text")).to_have_text(["there"])
    expect(page.locator(".room[aria-current]")).to_contain_text("<Other>")
    expect(page.locator("#title")).to_have_text("<Other>")


def test_the_page_reports_a_stopped_server_and_continues_with_the_next_one(
    page: Page, server: WebexServer
) -> None:
    post(server, markdown="before")
    page.goto(server.page_url)
    expect(page.locator(".text")).to_have_text(["before"])

    server.stop()
    expect(page.get_by_text("The local Webex isn't responding")).to_be_visible()
    with WebexServer(server.port) as restarted:
        post(restarted, markdown="after")
        expect(page.locator(".text")).to_have_text(["after"])
        expect(page.get_by_text("The local Webex isn't responding")).to_be_hidden()
    server.start()


@pytest.mark.parametrize("width", [1280, 375])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(
    browser: Browser, server: WebexServer, scheme: Any, width: int
) -> None:
    server.add_room("empty", "Empty")
    first = post(server, markdown="❌ **align** [failed](https://example.com): `exit code 1`")
    post(server, markdown="> a reply", parentId=first)
    screen: Any = {"viewport": {"width": width, "height": 900}, "is_mobile": width < 600}
    with browser.new_context(color_scheme=scheme, **screen) as context:
        page = context.new_page()
        page.goto(server.page_url)
        expect(page.locator(".text")).to_have_count(2)

        assert findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
