"""A headless Chromium of this machine, driven by Playwright, which downloads nothing.

Tests find elements by their label, role or text and wait with `expect`. The timeout only limits how
long a failing test takes: no test depends on the speed of the machine.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
EXECUTABLE = next(filter(None, map(shutil.which, NAMES)), None)
SWITCHES = (
    *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
    *("--disable-gpu", "--disable-dev-shm-usage"),
)
TIMEOUT_MS = 120_000

needs_browser = pytest.mark.skipif(
    EXECUTABLE is None and not os.environ.get("CI"),
    reason="Chromium is not installed; in CI (environment variable CI) this is an error",
)

expect.set_options(timeout=TIMEOUT_MS)


@contextmanager
def launched() -> Iterator[Browser]:
    """Launch a browser. Raises FileNotFoundError if no Chromium or Chrome is installed."""
    if EXECUTABLE is None:
        raise FileNotFoundError(f"no browser found: install one of {', '.join(NAMES)}")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=EXECUTABLE,
            args=SWITCHES,
            chromium_sandbox=os.geteuid() != 0,
            timeout=TIMEOUT_MS,
        )
        yield browser
        browser.close()


@dataclass
class Activity:
    """The activity of a page besides displaying its content. `errors` contains all console messages
    and exceptions, except messages about failed requests."""

    errors: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(url).netloc for url in self.requests}

    def _add_message(self, text: str) -> None:
        if not text.startswith("Failed to load resource"):
            self.errors.append(text)


def observe(page: Page) -> Activity:
    """Return the activity of a page from now on."""
    activity = Activity()
    page.set_default_timeout(TIMEOUT_MS)
    page.on("console", lambda message: activity._add_message(message.text))
    page.on("pageerror", lambda error: activity.errors.append(str(error)))
    page.on("dialog", lambda dialog: (activity.dialogs.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda request: activity.requests.append(request.url))
    return activity


def sign_in(page: Page, address: str, token: str = "any") -> None:
    """Open an address, sign in and wait until the view is loaded."""
    page.goto(address)
    enter_token(page, token)
    expect(page.locator("#token, .loading")).to_have_count(0)


def enter_token(page: Page, token: str) -> None:
    page.get_by_label("API token").fill(token)
    page.keyboard.press("Enter")


def findings(page: Page) -> list[str]:
    """Return what axe-core reports: violations of any rule, and contrast that it can't measure.

    Playwright evaluates axe-core through the debugger, so the page keeps its
    Content-Security-Policy.
    """
    report = Axe().run(page).response
    unmeasured = [each for each in report["incomplete"] if each["id"] == "color-contrast"]
    return [
        f"{rule['id']}: {node['html'][:120]}: {node['failureSummary']}"
        for rule in (*report["violations"], *unmeasured)
        for node in rule["nodes"]
    ]
