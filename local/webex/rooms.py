"""The rooms of the stand-in Webex, and the rules for messages that batchwatch depends on.

Where Webex's documentation is unclear, the stricter reading applies, so that a message accepted
here is accepted there. One rule is more lenient: a bot may list all messages of a group room, not
only those that mention it.

No HTTP. https://developer.webex.com/docs/api/v1/messages
"""

import base64
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from local.webex.markdown import Rendered, render, render_plain

MAX_TEXT_BYTES = 7_439
DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 50, 1_000
_SAVED_MESSAGES = 1_000
"""The newest messages of a room, which are kept between runs."""

Body = Mapping[str, Any]


class Rejection(Exception):
    """A request that Webex rejects, with the HTTP status; the text is the reason."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status


@dataclass(frozen=True)
class Person:
    """The owner of a token."""

    email: str
    name: str

    @property
    def id(self) -> str:
        return _id("PEOPLE", self.email)

    def as_json(self) -> dict[str, object]:
        names = {"displayName": self.name, "nickName": self.name, "type": "bot"}
        return {"id": self.id, "emails": [self.email], **names}


@dataclass(frozen=True)
class Message:
    """A posted message. `created` is RFC 3339; `parent_id` is the first message of its thread."""

    id: str
    room_id: str
    parent_id: str | None
    email: str
    text: str
    markdown: str | None
    files: list[str]
    created: str

    @property
    def rendered(self) -> Rendered:
        if self.markdown is None:
            return Rendered(render_plain(self.text), self.text, ())
        return render(self.markdown)

    @property
    def mentions(self) -> tuple[str, ...]:
        """Return the mentioned people: `all`, `personEmail:…` or `personId:…`."""
        return self.rendered.mentions

    def as_json(self) -> dict[str, object]:
        groups = [mention for mention in self.mentions if mention.lower() == "all"]
        fields = {
            "id": self.id,
            "parentId": self.parent_id,
            "roomId": self.room_id,
            "roomType": "group",
            "text": self.text,
            "markdown": self.markdown,
            "html": self.rendered.html if self.markdown is not None else None,
            "files": self.files,
            "personId": _id("PEOPLE", self.email),
            "personEmail": self.email,
            "mentionedGroups": ["all"] if groups else None,
            "mentionedPeople": [mention for mention in self.mentions if mention not in groups],
            "created": self.created,
        }
        return {name: value for name, value in fields.items() if value}


@dataclass
class Room:
    """A group room. `members` are e-mail addresses; `messages` are in the order of posting."""

    id: str
    title: str
    members: set[str]
    messages: dict[str, Message] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        return {"id": self.id, "title": self.title, "type": "group", "isLocked": False}


class Rooms:
    """All rooms. `now` returns the time of a new message. Not thread-safe."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._rooms: dict[str, Room] = {}

    def __iter__(self) -> Iterator[Room]:
        return iter(self._rooms.values())

    def __getitem__(self, room_id: str) -> Room:
        return self._rooms[room_id]

    def add(self, room: Room) -> None:
        self._rooms[room.id] = room

    def of(self, person: Person) -> list[Room]:
        return [room for room in self._rooms.values() if person.email in room.members]

    # Requests of a person; each raises Rejection

    def post(self, person: Person, body: Body) -> Message:
        _check(body)
        room = self._room(person, _recipient(body))
        message = Message(
            id=_id("MESSAGE", str(uuid.uuid4())),
            room_id=room.id,
            parent_id=_parent_id(room, body.get("parentId")),
            email=person.email,
            text=_text(body),
            markdown=body.get("markdown"),
            files=_files(body),
            created=self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        room.messages[message.id] = message
        return message

    def get(self, person: Person, message_id: str) -> Message:
        for room in self.of(person):
            if message_id in room.messages:
                return room.messages[message_id]
        raise Rejection(404, "message not found")

    def latest(self, person: Person, room_id: str, limit: int) -> list[Message]:
        """Return the latest messages of a room, the newest first."""
        _require(1 <= limit <= MAX_PAGE_SIZE, f"max must be between 1 and {MAX_PAGE_SIZE}")
        return list(self._room(person, room_id).messages.values())[::-1][:limit]

    def _room(self, person: Person, room_id: str) -> Room:
        room = self._rooms.get(room_id)
        if room is None or person.email not in room.members:
            raise Rejection(404, "Could not find a room with provided ID.")
        return room

    # Persistence

    def dump(self) -> list[dict[str, object]]:
        """Return the rooms, with the latest messages of each, as JSON values."""
        return [
            {
                "id": room.id,
                "title": room.title,
                "members": sorted(room.members),
                "messages": [
                    asdict(message) for message in list(room.messages.values())[-_SAVED_MESSAGES:]
                ],
            }
            for room in self._rooms.values()
        ]

    @classmethod
    def load(cls, dumped: Iterable[dict[str, Any]], now: Callable[[], datetime]) -> Self:
        rooms = cls(now)
        for room in dumped:
            messages = [Message(**message) for message in room["messages"]]
            by_id = {message.id: message for message in messages}
            rooms.add(Room(room["id"], room["title"], set(room["members"]), by_id))
        return rooms


# The rules for a message


def _check(body: Body) -> None:
    for name in ("text", "markdown", "html"):
        text = body.get(name, "")
        _require(isinstance(text, str), f"{name} must be a string")
        size = len(text.encode("utf-8", "surrogatepass"))
        _require(
            size <= MAX_TEXT_BYTES, f"{name} has {size} bytes; the maximum is {MAX_TEXT_BYTES}"
        )
    _require("attachments" not in body, "the stand-in doesn't support attachments")
    _require(
        any(map(body.get, ("text", "markdown", "html", "files"))),
        "one of text, markdown, html and files is required",
    )


def _recipient(body: Body) -> str:
    recipients = [body[key] for key in ("roomId", "toPersonId", "toPersonEmail") if body.get(key)]
    _require(
        len(recipients) == 1, "exactly one of roomId, toPersonId and toPersonEmail is required"
    )
    if not body.get("roomId"):
        raise Rejection(404, "the stand-in supports messages to rooms only")
    return str(body["roomId"])


def _files(body: Body) -> list[str]:
    files = body.get("files", [])
    _require(isinstance(files, list) and len(files) <= 1, "files must be a list of at most one")
    return [str(file) for file in files]


def _parent_id(room: Room, parent_id: object) -> str | None:
    if parent_id is None:
        return None
    parent = room.messages.get(str(parent_id))
    if parent is None:
        raise Rejection(400, "parentId is not a message in this room")
    _require(parent.parent_id is None, "parentId is a reply: use the first message of its thread")
    return parent.id


def _text(body: Body) -> str:
    """Return the plain text of a message: as given, or the markdown's, or else the HTML."""
    from_markdown = render(body.get("markdown") or "").text
    return body.get("text") or from_markdown or body.get("html") or ""


def _require(condition: bool, description: str) -> None:
    if not condition:
        raise Rejection(400, description)


def _id(kind: str, name: str) -> str:
    """Return an id in Webex's format, which is long and opaque."""
    return base64.urlsafe_b64encode(f"ciscospark://us/{kind}/{name}".encode()).decode().rstrip("=")
