"""Markdown for Webex, in which text from events has no effect.

Whoever submits a job chooses its name, and its containers choose their reasons. This text is
displayed as it is, on one line. It never becomes a mention, link, heading, list, code, emphasis or
HTML: `<@all>` would notify the whole room, and an address would look like one of our links.

Pure: no jobs and no notices.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.webex.limits import MAX_MESSAGE_BYTES

LINE_BREAK: Final = "  \n"


def escape(text: str, max_characters: int = 700) -> str:
    """Return markdown that displays the text literally, truncated to `max_characters`.

    Don't place it at the beginning of a line, where letters and digits can be markup ("1. ").
    """
    visible = _truncate(_visible(text), max_characters)
    return _MARKUP.sub(
        lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), _break_addresses(visible)
    )


def escape_name(text: str) -> str:
    """Return an escaped name, truncated to the longest that AWS Batch allows; never empty."""
    return escape(text, _MAX_NAME_CHARACTERS) or "(no name)"


def bold_name(text: str) -> str:
    """Return an escaped name in bold."""
    return f"**{escape_name(text)}**"


def link(label: str, address: str | None) -> str | None:
    """Return a link; `label` is markdown.

    Parts of the address may come from events. Return None unless it begins with a plain host name
    and contains no character that is markup.
    """
    if address is None or len(address) > _MAX_ADDRESS_CHARACTERS or not _ADDRESS.fullmatch(address):
        return None
    return f"[{label}]({address})"


@dataclass(frozen=True, slots=True)
class ListItem:
    """An item of a list that may be truncated: its markdown, and how many entries it represents."""

    text: str
    count: int = 1


def join_items(items: Sequence[ListItem], max_bytes: int, max_items: int | None = None) -> str:
    """Return the items that fit, at most `max_items` of them, and the number of the others, as in
    "3, 17, 40 … and 312 more".

    Return "" if not even the first item fits.
    """
    complete = ", ".join(item.text for item in items)
    if byte_size(complete) <= max_bytes and len(items) == len(items[:max_items]):
        return complete
    omitted, shown = sum(item.count for item in items), ""
    for item in items[:max_items]:
        longer = f"{shown}, {item.text}" if shown else item.text
        if byte_size(longer) + _MORE_BYTES > max_bytes:
            break
        shown, omitted = longer, omitted - item.count
    return f"{shown} … and {omitted:,} more" if shown else ""


def join_blocks(blocks: Iterable[str]) -> str:
    """Return the blocks as one message of at most MAX_MESSAGE_BYTES as HTML.

    The longest blocks are omitted until the message fits, but never the first block.
    """
    first, *others = (block for block in blocks if block)
    while others and html_size("\n\n".join([first, *others])) > MAX_MESSAGE_BYTES:
        others.remove(max(others, key=byte_size))
    return "\n\n".join([first, *others])


def short_form(markdown: str) -> str:
    """Return the first lines of a message, without links: Webex may reject a message because of its
    length or of an address in it. Of the first line, nothing is omitted but links."""
    first, *others = _LINK.sub(r"\1", markdown).split("\n")
    shown = [first]
    for line in others:
        if byte_size("\n".join([*shown, line])) > _MAX_SHORT_BYTES:
            return "\n".join([*shown, "…"])
        shown.append(line)
    return "\n".join(shown)


def byte_size(text: str) -> int:
    """Return the length in bytes of UTF-8, the unit of Webex's limit."""
    return len(text.encode())


def html_size(markdown: str) -> int:
    """Return an upper bound for the bytes of the HTML that Webex makes of our markdown."""
    return (
        byte_size(markdown)
        + _LINK_TAGS * len(_LINK.findall(markdown))
        + _BOLD_TAGS * (markdown.count("**") // 2)
        + _LINE_TAGS * (markdown.count("\n") + 1)
        + _ENTITY * len(_UNESCAPED.findall(markdown))
    )


_LINK_TAGS: Final = 30
"""`<a href="…">…</a>` has 11 bytes more than a link in markdown; public measurements found up to
28, so Webex seems to add attributes."""
_BOLD_TAGS: Final = byte_size("<strong></strong>") - byte_size("****")
_ENTITY: Final = byte_size("&quot;") - 1
_UNESCAPED: Final = re.compile(r'"|&(?!(?:amp|lt|gt);)')
_LINE_TAGS: Final = byte_size("<ul>\n<li>\n</li>\n</ul>")
_LINK: Final = re.compile(r"(?<!\\)\[((?:\\.|[^\]\\])*)\]\([^()\s]*\)")
_MAX_SHORT_BYTES: Final = 2_000
_MORE_BYTES: Final = byte_size(" … and 10,000,000 more")
_MAX_NAME_CHARACTERS: Final = 128
_MAX_ADDRESS_CHARACTERS: Final = 1_000
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9/._~%$&#=?:+-]*)?")

_MARKUP: Final = re.compile(r"[\\`*_~\[\]<>&]")
_ENTITIES: Final = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}

# Clients turn web addresses, mailboxes and people's names in the displayed text into links, so
# escaping the markdown doesn't prevent it. A zero-width space inside the address does.
_ZERO_WIDTH_SPACE: Final = "\u200b"
_ADDRESS_PARTS: Final = re.compile(
    r"[.\u3002\uff0e\uff61](?=\w)|(?i:www)(?=\.)|/(?=/)|[@\uff20]|(?i:mailto|tel|sip):"
)

_MAX_MARKS: Final = 3
"""Combining marks on one letter: enough for any script, too few to overlap the lines around."""
_FLAG_LETTERS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))


def _break_addresses(text: str) -> str:
    return _ADDRESS_PARTS.sub(lambda found: found[0] + _ZERO_WIDTH_SPACE, text)


def _visible(text: str) -> str:
    """Return the text on one line, without control characters, joiners and direction marks."""
    kept, marks = [], 0
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if category in ("Cs", "Co"):
            kept.append("\ufffd")
        elif marks <= _MAX_MARKS and (character.isspace() or category not in ("Cc", "Cf")):
            kept.append(character)
    return " ".join("".join(kept).split())


def _truncate(text: str, max_characters: int) -> str:
    if len(text) <= max_characters:
        return text
    end = max_characters - 1
    while end > 0 and _splits_a_symbol(text, end):
        end -= 1
    return f"{text[:end].rstrip()}…"


def _splits_a_symbol(text: str, position: int) -> bool:
    """Return whether a cut before `position` splits a letter from its accent, an emoji from its
    skin tone, or the two letters of a flag."""
    character = text[position]
    if character in _FLAG_LETTERS:
        before = text[:position]
        return (len(before) - len(before.rstrip(_FLAG_LETTERS))) % 2 == 1
    return unicodedata.category(character)[0] == "M" or "\U0001f3fb" <= character <= "\U0001f3ff"
