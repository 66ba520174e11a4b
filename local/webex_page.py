"""The page of the stand-in Webex: rooms, threads and cards as a person sees them in Webex.

Makes HTML of what is in the rooms; webex_page.html has the frame and the looks, webex_page.js
fetches the news. Whatever somebody wrote is escaped here or in webex_markdown, and the policy in
HEADERS lets the page load and run nothing but itself. Knows nothing of how it is served.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from local.webex_markdown import link, render_card_text
from local.webex_rooms import Message, Room

_HERE = Path(__file__).parent
FILES = {"/": _HERE / "webex_page.html", "/webex_page.js": _HERE / "webex_page.js"}
_POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'"
HEADERS = {
    "/": {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": _POLICY},
    "/webex_page.js": {"Content-Type": "text/javascript; charset=utf-8"},
}
_SHOWN = 300
"""Messages of a room on the page, the newest."""

Element = Mapping[str, Any]


def news(rooms: Iterable[Room], selected: str, version: int) -> dict[str, Any]:
    """What the page shows now. `version` changes with anything on it."""
    by_id = {room.id: room for room in rooms}
    room = by_id.get(selected) or next(iter(by_id.values()))
    return {
        "version": version,
        "room": room.id,
        "title": room.title,
        "rooms": "".join(_room(one, chosen=one is room) for one in by_id.values()),
        "messages": _messages(list(room.messages.values())[-_SHOWN:]),
    }


def _room(room: Room, *, chosen: bool) -> str:
    last = next(reversed(room.messages.values()), None)
    snippet = f"{_name(last.email)}: {last.text}" if last else "No messages yet"
    current = ' aria-current="true"' if chosen else ""
    return (
        f'<a class="room" href="#{quote(room.id)}"{current}>{_avatar(room.title)}'
        f"<span><b>{escape(room.title)}</b><small>{escape(snippet[:120])}</small></span></a>"
    )


# Messages


def _messages(messages: list[Message]) -> str:
    """By day, each followed by its replies."""
    ids = {message.id for message in messages}
    firsts = [message for message in messages if message.parent_id not in ids]
    by_day = itertools.groupby(firsts, lambda message: f"{_when(message.created):%A, %-d %B}")
    return "".join(
        f'<h2 class="day">{day}</h2>' + "".join(_thread(first, messages) for first in of_day)
        for day, of_day in by_day
    )


def _thread(first: Message, messages: list[Message]) -> str:
    replies = "".join(_message(one) for one in messages if one.parent_id == first.id)
    indented = f'<div class="replies">{replies}</div>' if replies else ""
    return f'<section class="thread">{_message(first)}{indented}</section>'


def _message(message: Message) -> str:
    name = _name(message.email)
    notes = [f"<time>{_when(message.created):%H:%M}</time>"]
    if message.updated:
        notes.append("<small>edited</small>")
    if message.mentions:
        notes.append(f'<span class="pages">pages {escape(", ".join(message.mentions))}</span>')
    files = "".join(f'<p class="file">{escape(file)}</p>' for file in message.files)
    return (
        f'<article class="message" id="{escape(message.id)}">{_avatar(name)}<div>'
        f'<header><b>{escape(name)}</b> <small class="bot">Bot</small> {" ".join(notes)}</header>'
        f"{_content(message)}{files}</div></article>"
    )


def _content(message: Message) -> str:
    text = f'<div class="text">{message.rendered.html}</div>'
    if message.card is None:
        return text
    return (
        f"{card(message.card)}<details><summary>what a client without cards shows</summary>"
        f"{text}</details>"
    )


def _when(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp).astimezone()


def _name(email: str) -> str:
    return email.partition("@")[0]


def _avatar(name: str) -> str:
    return f'<span class="avatar" aria-hidden="true">{escape(name[:1].upper())}</span>'


# Adaptive Cards: https://adaptivecards.io/explorer/


def card(content: Element) -> str:
    body, actions = _elements(content.get("body")), _actions(content.get("actions"))
    return f'<div class="card">{body}{actions}</div>'


def _elements(elements: object) -> str:
    return "".join(_element(one) for one in _dicts(elements))


def _element(element: Element) -> str:
    """One element; what Webex would not show catches the eye."""
    kind = str(element.get("type"))
    shown = _ELEMENTS.get(kind, _unknown)(element)
    classes = _classes(element, spacing=_SPACINGS, separator=(True,))
    return f'<div class="element {kind if kind in _ELEMENTS else ""} {classes}">{shown}</div>'


def _text_block(element: Element) -> str:
    classes = _classes(
        element,
        size=("small", "medium", "large", "extralarge"),
        weight=("lighter", "bolder"),
        color=("dark", "light", "accent", "good", "warning", "attention"),
        fontType=("monospace",),
        horizontalAlignment=("center", "right"),
        isSubtle=(True,),
        wrap=(True,),
    )
    return f'<div class="text {classes}">{render_card_text(str(element.get("text", "")))}</div>'


def _fact_set(element: Element) -> str:
    return "".join(
        f"<dt>{render_card_text(str(fact.get('title', '')))}</dt>"
        f"<dd>{render_card_text(str(fact.get('value', '')))}</dd>"
        for fact in _dicts(element.get("facts"))
    ).join(("<dl>", "</dl>"))


def _container(element: Element) -> str:
    return (
        f'<div class="{_classes(element, style=_STYLES)}">{_elements(element.get("items"))}</div>'
    )


def _column_set(element: Element) -> str:
    columns = "".join(_column(column) for column in _dicts(element.get("columns")))
    return f'<div class="columns {_classes(element, style=_STYLES)}">{columns}</div>'


def _column(column: Element) -> str:
    width = str(column.get("width", "stretch"))
    if width.removesuffix("px").isdecimal():
        flex = f"0 0 {width}" if width.endswith("px") else f"{width} 1 0"
    else:
        flex = "0 1 auto" if width == "auto" else "1 1 0"
    classes = _classes(
        column, style=_STYLES, spacing=_SPACINGS, verticalContentAlignment=("center", "bottom")
    )
    shown = _elements(column.get("items"))
    return f'<div class="column {classes}" style="flex: {flex}">{shown}</div>'


def _action_set(element: Element) -> str:
    return _actions(element.get("actions"))


def _actions(actions: object) -> str:
    buttons = "".join(_action(action) for action in _dicts(actions))
    return f'<div class="actions">{buttons}</div>' if buttons else ""


def _action(action: Element) -> str:
    title, address = str(action.get("title", "")), str(action.get("url", ""))
    style = _classes(action, style=("positive", "destructive"))
    is_link = action.get("type") == "Action.OpenUrl" and address.startswith(("https:", "http:"))
    if not is_link:
        return _unknown(action)
    return f'<span class="button {style}">{link(address, title)}</span>'


def _unknown(element: Element) -> str:
    described = f"{element.get('type')}: {element.get('altText') or element.get('title') or ''}"
    return f'<span class="unknown">{escape(described)}</span>'


_STYLES = ("emphasis", "good", "attention", "warning", "accent")
_SPACINGS = ("none", "small", "medium", "large", "extralarge", "padding")
_ELEMENTS: dict[str, Callable[[Element], str]] = {
    "TextBlock": _text_block,
    "FactSet": _fact_set,
    "Container": _container,
    "ColumnSet": _column_set,
    "ActionSet": _action_set,
}


def _classes(element: Element, **known: tuple[object, ...]) -> str:
    """`size-large wrap-true …`: of the named properties those with a value that is known."""
    found = []
    for name, values in known.items():
        value = element.get(name)
        value = value.lower() if isinstance(value, str) else value
        if value in values:
            found.append(f"{name}-{value}".lower())
    return " ".join(found)


def _dicts(elements: object) -> list[Element]:
    return [one for one in elements if isinstance(one, dict)] if isinstance(elements, list) else []
