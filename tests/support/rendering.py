"""How a strict reader of markdown sees a message: CommonMark with HTML, tables, strikethrough, and
bare addresses, of the web and of mailboxes, made into links, as chat clients do."""

import re
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

UNSEEN = "\u200b"

_READER = MarkdownIt("commonmark", {"linkify": True, "html": True}).enable(
    ["table", "strikethrough", "linkify"]
)


class Rendered(NamedTuple):
    """`structure` is all but the text: two messages of one structure differ only in words."""

    structure: tuple[str, ...]
    links: tuple[str, ...]
    text: str


def rendered(markdown: str) -> Rendered:
    tokens = [token for block in _READER.parse(markdown) for token in _flat(block)]
    kinds = ("text" if token.type.startswith("text") else token.type for token in tokens)
    return Rendered(
        structure=tuple(kind for kind, _ in groupby(kinds)),
        links=tuple(str(token.attrs["href"]) for token in tokens if token.type == "link_open"),
        text="".join(_shown(token) for token in tokens).strip("\n"),
    )


def autolinks(markdown: str) -> list[str]:
    """What could page someone or become a link, read as badly as can be: a mention wherever it
    stands, escaped or in code, and an address by its first characters."""
    shown = rendered(markdown).text
    return [
        *re.findall(r"<\W*@", markdown),
        *re.findall(r"@\w+", markdown + shown),
        *re.findall(rf"(?i)(?:://|www\.|mailto:)[^\s{UNSEEN}]", shown),
    ]


def _shown(token: Token) -> str:
    return "\n" if "break" in token.type or token.type == "paragraph_close" else token.content


def _flat(token: Token) -> Iterator[Token]:
    if token.children is None:
        yield token
    else:
        yield from token.children
