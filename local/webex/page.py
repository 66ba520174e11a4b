"""The rooms of the stand-in Webex as a web page.

This module generates the HTML of rooms and messages; page.html has the frame and the styles, and
page.js polls for changes. All foreign text is escaped here or in `markdown`, and the
Content-Security-Policy lets the page load and run nothing but its own files. No HTTP.
"""

import itertools
from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path
from urllib.parse import quote

from local.webex.rooms import Message, Room

_FOLDER = Path(__file__).parent
FILES = {"/": _FOLDER / "page.html", "/page.js": _FOLDER / "page.js"}
_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'"
HEADERS = {
    "/": {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY},
    "/page.js": {"Content-Type": "text/javascript; charset=utf-8"},
}
_MAX_MESSAGES = 300


def content(rooms: Iterable[Room], selected: str, version: int) -> dict[str, object]:
    """Return what page.js displays: the list of rooms and the newest messages of one room.

    `version` changes whenever the content does.
    """
    by_id = {room.id: room for room in rooms}
    room = by_id.get(selected) or next(iter(by_id.values()))
    return {
        "version": version,
        "room": room.id,
        "title": room.title,
        "rooms": "".join(_room(other, current=other is room) for other in by_id.values()),
        "messages": _messages(list(room.messages.values())[-_MAX_MESSAGES:]),
    }


def _room(room: Room, *, current: bool) -> str:
    last = next(reversed(room.messages.values()), None)
    preview = f"{_name(last.email)}: {last.text}" if last else "No messages yet"
    attribute = ' aria-current="true"' if current else ""
    return (
        f'<a class="room" href="#{quote(room.id)}"{attribute}>{_avatar(room.title)}'
        f"<span><b>{escape(room.title)}</b><small>{escape(preview[:120])}</small></span></a>"
    )


def _messages(messages: list[Message]) -> str:
    """Return the threads, with a heading for each day."""
    ids = {message.id for message in messages}
    firsts = [message for message in messages if message.parent_id not in ids]
    by_day = itertools.groupby(firsts, lambda message: f"{_local(message.created):%A, %-d %B}")
    return "".join(
        f'<h2 class="day">{day}</h2>' + "".join(_thread(first, messages) for first in of_day)
        for day, of_day in by_day
    )


def _thread(first: Message, messages: list[Message]) -> str:
    replies = "".join(_message(reply) for reply in messages if reply.parent_id == first.id)
    indented = f'<div class="replies">{replies}</div>' if replies else ""
    return f'<section class="thread">{_message(first)}{indented}</section>'


def _message(message: Message) -> str:
    name = _name(message.email)
    notes = f"<time>{_local(message.created):%H:%M}</time>"
    if message.mentions:
        mentioned = escape(", ".join(message.mentions))
        notes += f' <span class="notifies">notifies {mentioned}</span>'
    files = "".join(f'<p class="file">{escape(file)}</p>' for file in message.files)
    return (
        f'<article class="message" id="{escape(message.id)}">{_avatar(name)}<div>'
        f'<header><b>{escape(name)}</b> <small class="bot">Bot</small> {notes}</header>'
        f'<div class="text">{message.rendered.html}</div>{files}</div></article>'
    )


def _local(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp).astimezone()


def _name(email: str) -> str:
    return email.partition("@")[0]


def _avatar(name: str) -> str:
    return f'<span class="avatar" aria-hidden="true">{escape(name[:1].upper())}</span>'
