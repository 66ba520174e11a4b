"""The rooms of the stand-in Webex and the rules of its messages, as far as batchwatch meets them.

Where the documentation leaves something open the stricter reading is taken: what passes here must
pass there. It is kinder in one point, as a bot in a group room may list all messages, and not only
those that mention it. Knows nothing of HTTP. https://developer.webex.com/docs/api/v1/messages
"""

import base64
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

from local import webex_markdown

BYTES_LIMIT = 7_439
EDITS_LIMIT = 10
CARD = "application/vnd.microsoft.card.adaptive"
CARD_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
LISTED_DEFAULT, LISTED_LIMIT = 50, 1_000
_KEPT = 1_000
"""Messages of a room that outlive a run."""

Body = Mapping[str, Any]


class Refusal(Exception):
    """What Webex says no to: the HTTP status, and why."""

    def __init__(self, status: int, description: str) -> None:
        super().__init__(description)
        self.status = status


@dataclass(frozen=True)
class Person:
    """Whom a token belongs to."""

    email: str
    name: str

    @property
    def id(self) -> str:
        return _id("PEOPLE", self.email)

    def as_json(self) -> dict[str, Any]:
        names = {"displayName": self.name, "nickName": self.name, "type": "bot"}
        return {"id": self.id, "emails": [self.email], **names}


@dataclass
class Message:
    """What somebody posted; `markdown`, `card` and `parent_id` are None where there is none."""

    id: str
    room_id: str
    parent_id: str | None
    email: str
    text: str
    markdown: str | None
    card: dict[str, Any] | None
    files: list[str]
    created: str
    updated: str | None = None
    edits: int = 0

    @property
    def rendered(self) -> webex_markdown.Rendered:
        if self.markdown is None:
            return webex_markdown.Rendered(webex_markdown.render_plain(self.text), self.text, ())
        return webex_markdown.render(self.markdown)

    @property
    def mentions(self) -> tuple[str, ...]:
        """Whom it pages: `all`, `personEmail:…`, `personId:…`."""
        return self.rendered.mentions

    def as_json(self) -> dict[str, Any]:
        everybody = [one for one in self.mentions if one.lower() == "all"]
        attachments = [{"contentType": CARD, "content": self.card}] if self.card else None
        shown = {
            "id": self.id,
            "parentId": self.parent_id,
            "roomId": self.room_id,
            "roomType": "group",
            "text": self.text,
            "markdown": self.markdown,
            "html": self.rendered.html if self.markdown is not None else None,
            "files": self.files,
            "attachments": attachments,
            "personId": _id("PEOPLE", self.email),
            "personEmail": self.email,
            "mentionedGroups": ["all"] if everybody else None,
            "mentionedPeople": [one for one in self.mentions if one not in everybody],
            "created": self.created,
            "updated": self.updated,
        }
        return {name: value for name, value in shown.items() if value}


@dataclass
class Room:
    """`members` are e-mail addresses; `messages` are in the order in which they came."""

    id: str
    title: str
    members: set[str]
    messages: dict[str, Message] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, "title": self.title, "type": "group", "isLocked": False}


class Rooms:
    """`now` gives the time of a message. Not for several threads at once."""

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

    # What a person can ask for; each raises Refusal

    def post(self, person: Person, body: Body) -> Message:
        _check_texts(body)
        card = _card(body)
        room = self._room(person, _recipient(body))
        parent_id = _parent(room, body.get("parentId"))
        message = Message(
            id=_id("MESSAGE", str(uuid.uuid4())),
            room_id=room.id,
            parent_id=parent_id,
            email=person.email,
            text=_text(body),
            markdown=body.get("markdown"),
            card=card,
            files=_files(body),
            created=self._timestamp(),
        )
        room.messages[message.id] = message
        return message

    def edit(self, person: Person, message_id: str, body: Body) -> Message:
        message = self.get(person, message_id)
        _check_texts(body)
        _require(body.get("roomId") == message.room_id, "roomId is not the room of the message")
        _require(not message.card and not message.files, "messages with cards or files stay")
        _require(bool(body.get("text") or body.get("markdown")), "there is no text")
        _require(message.edits < EDITS_LIMIT, f"a message can be edited {EDITS_LIMIT} times")
        if message.email != person.email:
            raise Refusal(403, "only its author can edit a message")
        message.text, message.markdown = _text(body), body.get("markdown")
        message.updated = self._timestamp()
        message.edits += 1
        return message

    def get(self, person: Person, message_id: str) -> Message:
        for room in self.of(person):
            if message_id in room.messages:
                return room.messages[message_id]
        raise Refusal(404, "there is no such message")

    def latest(self, person: Person, room_id: str, limit: int) -> list[Message]:
        """Newest first."""
        _require(1 <= limit <= LISTED_LIMIT, f"max must be 1 to {LISTED_LIMIT}")
        return list(self._room(person, room_id).messages.values())[::-1][:limit]

    def _room(self, person: Person, room_id: str) -> Room:
        room = self._rooms.get(room_id)
        if room is None or person.email not in room.members:
            raise Refusal(404, "Could not find a room with provided ID.")
        return room

    def _timestamp(self) -> str:
        return self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")

    # Keeping

    def dump(self) -> list[dict[str, Any]]:
        """What JSON can hold of them: of each room the latest messages."""
        return [
            {
                "id": room.id,
                "title": room.title,
                "members": sorted(room.members),
                "messages": [asdict(one) for one in list(room.messages.values())[-_KEPT:]],
            }
            for room in self._rooms.values()
        ]

    @classmethod
    def load(cls, dumped: Iterable[dict[str, Any]], now: Callable[[], datetime]) -> Self:
        rooms = cls(now)
        for one in dumped:
            messages = [Message(**message) for message in one["messages"]]
            by_id = {message.id: message for message in messages}
            rooms.add(Room(one["id"], one["title"], set(one["members"]), by_id))
        return rooms


# The rules of a message


def _recipient(body: Body) -> str:
    given = [body[key] for key in ("roomId", "toPersonId", "toPersonEmail") if body.get(key)]
    _require(len(given) == 1, "one of roomId, toPersonId and toPersonEmail must be given")
    if not body.get("roomId"):
        raise Refusal(404, "the stand-in has rooms and no people to write to")
    return str(body["roomId"])


def _check_texts(body: Body) -> None:
    for name in ("text", "markdown", "html"):
        text = body.get(name, "")
        _require(isinstance(text, str), f"{name} must be text")
        size = len(text.encode("utf-8", "surrogatepass"))
        _require(size <= BYTES_LIMIT, f"{name} has {size} bytes, which is over {BYTES_LIMIT}")


def _card(body: Body) -> dict[str, Any] | None:
    attachments = body.get("attachments")
    if attachments is None:
        _require(any(map(body.get, ("text", "markdown", "html", "files"))), "there is no message")
        return None
    _require(
        isinstance(attachments, list) and len(attachments) == 1, "attachments must be a list of one"
    )
    [attachment] = attachments
    _require(
        isinstance(attachment, dict) and attachment.get("contentType") == CARD,
        f"the contentType of an attachment must be {CARD}",
    )
    card = attachment.get("content")
    _require(
        isinstance(card, dict) and card.get("type") == "AdaptiveCard",
        "the content of an attachment must be an AdaptiveCard",
    )
    _require(card.get("version") in CARD_VERSIONS, "the version of a card must be 1.3 at most")
    _require(bool(body.get("text") or body.get("markdown")), "a card needs text or markdown too")
    return dict(card)


def _files(body: Body) -> list[str]:
    files = body.get("files", [])
    _require(isinstance(files, list) and len(files) <= 1, "files must be a list of one at most")
    return [str(file) for file in files]


def _parent(room: Room, parent_id: object) -> str | None:
    if parent_id is None:
        return None
    parent = room.messages.get(str(parent_id))
    if parent is None:
        raise Refusal(400, "parentId is no message of this room")
    _require(parent.parent_id is None, "parentId is itself a reply: name the first of the thread")
    return parent.id


def _text(body: Body) -> str:
    """What clients show that know no rich text, made from the markdown unless it is given. The
    stand-in takes html for text, too."""
    rendered = webex_markdown.render(body.get("markdown") or "")
    return body.get("text") or rendered.text or body.get("html") or ""


def _require(holds: bool, description: str) -> None:
    if not holds:
        raise Refusal(400, description)


def _id(kind: str, name: str) -> str:
    """Of Webex's form, so that nothing takes it for something shorter or prettier."""
    return base64.urlsafe_b64encode(f"ciscospark://us/{kind}/{name}".encode()).decode().rstrip("=")
