"""A message as a strict markdown reader displays it.

CommonMark with HTML, tables and strikethrough. Web addresses and mailboxes become links, as chat
clients do it.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

ZERO_WIDTH_SPACE = "\u200b"

_READER = MarkdownIt("commonmark", {"linkify": True, "html": True}).enable(
    ["table", "strikethrough", "linkify"]
)


class Rendered(NamedTuple):
    """A rendered message. Two messages with the same `structure` differ only in their words."""

    structure: tuple[str, ...]
    links: tuple[str, ...]
    text: str


def rendered(markdown: str) -> Rendered:
    tokens = [token for block in _READER.parse(markdown) for token in _flat(block)]
    kinds = ("text" if token.type.startswith("text") else token.type for token in tokens)
    return Rendered(
        structure=tuple(kind for kind, _ in groupby(kinds)),
        links=tuple(str(token.attrs["href"]) for token in tokens if token.type == "link_open"),
        text="".join(_text(token) for token in tokens).strip("\n"),
    )


def autolinks(markdown: str) -> list[str]:
    """Return whatever a client could take for a mention or an address.

    A mention counts wherever it is, escaped or in code too; an address by its first characters.
    """
    text = rendered(markdown).text
    return [
        *re.findall(r"<\W*@", markdown),
        *re.findall(r"@\w+", markdown + text),
        *re.findall(rf"(?i)(?:://|www\.|mailto:)[^\s{ZERO_WIDTH_SPACE}]", text),
    ]


def _text(token: Token) -> str:
    return "\n" if "break" in token.type or token.type == "paragraph_close" else token.content


def _flat(token: Token) -> Iterator[Token]:
    if token.children is None:
        yield token
    else:
        yield from token.children
