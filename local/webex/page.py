"""The rooms of the stand-in Webex as a web page.

This module generates the HTML of messages; page.html has the frame and the styles, and page.js
polls for changes. All foreign text in HTML is escaped here or in `markdown`, and the
Content-Security-Policy lets the page load and run nothing but its own files. No HTTP.
"""

from collections.abc import Iterable
from datetime import datetime
from html import escape
from pathlib import Path

from local.webex.rooms import Message, Room

_FOLDER = Path(__file__).parent
FILES = {"/": _FOLDER / "page.html", "/page.js": _FOLDER / "page.js"}
_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'"
HEADERS = {
    "/": {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY},
    "/page.js": {"Content-Type": "text/javascript; charset=utf-8"},
}
_MAX_MESSAGES = 300


def changes(rooms: Iterable[Room], selected: str, after: str) -> dict[str, object]:
    """Return what page.js displays: the list of rooms, and the messages of one room that were
    posted after the message `after`, or the newest ones if the room does not contain it."""
    by_id = {room.id: room for room in rooms}
    room = by_id.get(selected) or next(iter(by_id.values()))
    messages = list(room.messages.values())
    is_complete = after not in room.messages
    first = -_MAX_MESSAGES if is_complete else list(room.messages).index(after) + 1
    return {
        "room": room.id,
        "title": room.title,
        "rooms": [_room(each) for each in by_id.values()],
        "isComplete": is_complete,
        "last": messages[-1].id if messages else "",
        "messages": [_entry(message) for message in messages[first:]],
    }


def _room(room: Room) -> dict[str, str]:
    last = next(reversed(room.messages.values()), None)
    preview = f"{_name(last.email)}: {last.text}" if last else "No messages yet"
    return {"id": room.id, "title": room.title, "preview": preview[:120]}


def _entry(message: Message) -> dict[str, str | None]:
    return {
        "id": message.id,
        "parent": message.parent_id,
        "day": f"{_local(message.created):%A, %-d %B}",
        "html": _message(message),
    }


def _message(message: Message) -> str:
    name = _name(message.email)
    notes = f"<time>{_local(message.created):%H:%M}</time>"
    if message.mentions:
        mentioned = escape(", ".join(message.mentions))
        notes += f' <span class="notifies">notifies {mentioned}</span>'
    files = "".join(f'<p class="file">{escape(file)}</p>' for file in message.files)
    return (
        f'<article class="message" id="{escape(message.id)}">'
        f'<span class="avatar" aria-hidden="true">{escape(name[:1].upper())}</span><div>'
        f'<header><b>{escape(name)}</b> <small class="bot">Bot</small> {notes}</header>'
        f'<div class="text">{message.rendered.html}</div>{files}</div></article>'
    )


def _local(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp).astimezone()


def _name(email: str) -> str:
    return email.partition("@")[0]
