"""A real browser, headless: Chromium, told what to do over Chrome's DevTools protocol.

The protocol goes through a pipe (`--remote-debugging-pipe`), so all that is needed is a Chromium or
Chrome of this machine: no driver, no port, no package.
https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)

_PATIENCE = 30
"""Seconds until something that does not happen fails a test: far more than it takes."""

Message = dict[str, Any]


class Browser:
    """One process for many pages, each of which is a stranger to the others: `page`."""

    def __init__(self, folder: Path) -> None:
        if PROGRAM is None:
            raise FileNotFoundError(f"no browser here: none of {', '.join(NAMES)}")
        command = [
            PROGRAM,
            *("--headless", "--remote-debugging-pipe", f"--user-data-dir={folder}"),
            *("--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--no-proxy-server"),
            *(["--no-sandbox"] if os.geteuid() == 0 else []),
        ]
        told, self._to = os.pipe()
        self._from, says = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (told, says)]
        self._process = subprocess.Popen(
            ["bash", "-c", 'exec "${@:3}" 3<&$1 4>&$2', "bash", *map(str, ends), *command],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (told, says, *ends):
            os.close(end)
        self._numbers = itertools.count(1)
        self._unread = b""
        self._events: list[Message] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.ask("Browser.close")
            self._process.wait(_PATIENCE)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    @contextmanager
    def page(self, *, dark: bool = False, width: int = 1280, height: int = 900) -> Iterator["Page"]:
        context = self.ask("Target.createBrowserContext")["browserContextId"]
        target = self.ask("Target.createTarget", url="about:blank", browserContextId=context)
        session = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page = Page(self, session["sessionId"], dark=dark, width=width, height=height)
        yield page
        self.ask("Target.disposeBrowserContext", browserContextId=context)

    def ask(self, method: str, session: str | None = None, **parameters: Any) -> Message:
        """What the browser answers; the events that come before are kept for `events`."""
        number = next(self._numbers)
        asked = {"id": number, "method": method, "params": parameters}
        message = json.dumps(asked | ({"sessionId": session} if session else {}))
        os.write(self._to, message.encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                return dict(told["result"])
            self._events.append(told)

    def events(self, session: str) -> list[Message]:
        """Those of a page since the last call."""
        mine = [event for event in self._events if event.get("sessionId") == session]
        self._events = [event for event in self._events if event.get("sessionId") != session]
        return mine

    def _next(self) -> Message:
        deadline = time.monotonic() + _PATIENCE
        while b"\0" not in self._unread:
            left = max(0, deadline - time.monotonic())
            ready, _, _ = select.select([self._from], [], [], left)
            if not ready:
                raise TimeoutError("the browser does not answer")
            part = os.read(self._from, 1 << 16)
            if not part:
                raise TimeoutError("the browser ended")
            self._unread += part
        message, self._unread = self._unread.split(b"\0", 1)
        return dict(json.loads(message))


class Page:
    """What a person sees and does. `errors` are what the browser complained of, `hosts` those that
    it asked, `dialogs` what popped up."""

    def __init__(
        self, browser: Browser, session: str, *, dark: bool, width: int, height: int
    ) -> None:
        self._browser = browser
        self._session = session
        self._events: list[Message] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")
        phone = width < 600
        self._ask(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", features=[scheme])

    # What a person does

    def open(self, url: str) -> None:
        self._ask("Page.navigate", url=url)

    def type(self, label: str, text: str) -> None:
        """Into the field of that label, in place of what was there."""
        self.wait_for(f"fieldOf({json.dumps(label)})")
        self.run(f"fieldOf({json.dumps(label)}).select()")
        self._ask("Input.insertText", text=text)

    def press(self, key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self._ask(
                "Input.dispatchKeyEvent",
                **{"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, **typed},
            )

    def enter(self) -> None:
        self.press("Enter", 13, "\r")

    def tab(self) -> None:
        self.press("Tab", 9)

    def click(self, words: str) -> None:
        """On the link, button or choice that says so, or is labelled so."""
        self.wait_for(f"toClick({json.dumps(words)})")
        self.run(f"toClick({json.dumps(words)}).click()")

    # What a person sees

    @property
    def text(self) -> str:
        return str(self.run("document.body?.innerText ?? ''"))

    @property
    def address(self) -> str:
        return str(self.run("location.href"))

    def wait_for_text(self, *words: str) -> None:
        for one in words:
            self.wait_for(f"document.body?.innerText.includes({json.dumps(one)})")

    def wait_for(self, condition: str) -> None:
        """Until the expression is true in the page."""
        deadline = time.monotonic() + _PATIENCE
        while not self.run(f"!!({condition})"):
            assert time.monotonic() < deadline, f"never true: {condition}\n\n{self.text}"
            time.sleep(0.02)

    def run(self, expression: str) -> Any:
        """The value of an expression, or of its promise, in the page."""
        told = self._ask(
            "Runtime.evaluate",
            expression=f"{_FINDERS}\n{expression}",
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def picture(self) -> bytes:
        """All of the page as PNG."""
        shot = self._ask("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    # What happened behind it

    @property
    def errors(self) -> list[str]:
        """Refused requests aside: browsers log those as well."""
        return [
            str(event["params"])
            for event in self._seen()
            if event["method"] == "Runtime.exceptionThrown"
            or (event["method"] == "Runtime.consoleAPICalled")
            or (
                event["method"] == "Log.entryAdded"
                and event["params"]["entry"]["source"] != "network"
            )
        ]

    @property
    def dialogs(self) -> list[Message]:
        return [e for e in self._seen() if e["method"] == "Page.javascriptDialogOpening"]

    @property
    def requests(self) -> list[str]:
        return [
            str(event["params"]["request"]["url"])
            for event in self._seen()
            if event["method"] == "Network.requestWillBeSent"
        ]

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(url).netloc for url in self.requests}

    def _seen(self) -> list[Message]:
        self.run("0")
        self._events += self._browser.events(self._session)
        return self._events

    def _ask(self, method: str, **parameters: Any) -> Message:
        return self._browser.ask(method, self._session, **parameters)


_FINDERS = """
var says = (element, words) => words === (element.ariaLabel ?? element.innerText ?? "").trim();
var toClick = (words) => [...document.querySelectorAll("a, button, label:has(input)")]
  .find((element) => says(element, words) && element.checkVisibility());
var fieldOf = (label) => [...document.querySelectorAll("input, select")].find((field) =>
  [field, ...(field.labels ?? [])].some((one) =>
    label === (one.ariaLabel ?? one.firstChild?.textContent.trim())));
"""
