"""Markdown for Webex, in which nothing does anything that we did not write.

Names and reasons come from whoever submits jobs, and from their containers. They are shown as
they are, in one line, and are no mention, link, heading, list, code, emphasis or HTML, whatever
they contain: `<@all>` would page a room, and an address would be a link that looks like ours.

Pure: knows nothing of jobs and notices.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

LIMIT: Final = 7_439
"""The most bytes of UTF-8 that Webex takes as a message."""

LINE_BREAK: Final = "  \n"


def plain(text: str, characters: int = 700) -> str:
    """Foreign text as it looks, cut to so many characters. Not for the beginning of a line, where
    markdown gives a meaning to letters and digits as well ("1. ")."""
    shown = _cut(_visible(text), characters)
    return _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), _unlinked(shown))


def shown_name(text: str) -> str:
    """A foreign name: cut to what AWS Batch allows, and something in any case."""
    return plain(text, _LONGEST_NAME) or "(no name)"


def strong(text: str) -> str:
    """A foreign name, in bold."""
    return f"**{shown_name(text)}**"


def link(label: str, address: str | None) -> str | None:
    """A link of ours; `label` is markdown. None for an address that could be mistaken for other
    markdown, or that does not begin with a plain host: parts of it may come from events."""
    if address is None or len(address) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        return None
    return f"[{label}]({address})"


class Item(NamedTuple):
    """Of a list that may be cut: markdown, and how many things it stands for."""

    text: str
    stands_for: int = 1


def listed(items: Sequence[Item], room: int) -> str:
    """As many of the items as fit into `room` bytes, and the rest counted, as in "3, 17, 40 … and
    312 more"; nothing if not even one fits."""
    whole = ", ".join(item.text for item in items)
    if size(whole) <= room:
        return whole
    left, shown = sum(item.stands_for for item in items), ""
    for item in items:
        longer = f"{shown}, {item.text}" if shown else item.text
        if size(longer) + _MORE > room:
            break
        shown, left = longer, left - item.stands_for
    return f"{shown} … and {left:,} more" if shown else ""


def fitted(blocks: Iterable[str]) -> str:
    """The blocks as one message within the limit: the first, and of the others as many as fit;
    the longest goes first."""
    first, *others = (block for block in blocks if block)
    while others and size("\n\n".join([first, *others])) > LIMIT:
        others.remove(max(others, key=size))
    return "\n\n".join([first, *others])


def size(text: str) -> int:
    """In bytes of UTF-8, which is what Webex counts."""
    return len(text.encode())


_MORE: Final = len(" … and 10,000,000 more".encode())
_LONGEST_NAME: Final = 128
_LONGEST_ADDRESS: Final = 1_000
_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9/._~%$&#=?:+-]*)?")

_MARKUP: Final = re.compile(r"[\\`*_~\[\]<>&]")
_ENTITIES: Final = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}

# A space that can't be seen, where a client would take words for the address of a page, a mailbox
# or a person. Escapes don't help there: clients look for addresses in what is shown.
_UNSEEN: Final = "\u200b"
_LINKED: Final = re.compile(
    r"[.\u3002\uff0e\uff61](?=\w)|(?i:www)(?=\.)|/(?=/)|[@\uff20]|(?i:mailto|tel|sip):"
)

_MOST_MARKS: Final = 3
"""On one letter: enough for any script, too few to grow over the lines above and below."""
_FLAG_LETTERS: Final = "".join(map(chr, range(0x1F1E6, 0x1F200)))


def _unlinked(text: str) -> str:
    return _LINKED.sub(lambda found: found[0] + _UNSEEN, text)


def _visible(text: str) -> str:
    """In one line, without what can't be seen: control characters, marks that change the
    direction of writing, joiners."""
    kept, marks = [], 0
    for character in unicodedata.normalize("NFC", text):
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if category in ("Cs", "Co"):
            kept.append("\ufffd")
        elif marks <= _MOST_MARKS and (character.isspace() or category not in ("Cc", "Cf")):
            kept.append(character)
    return " ".join("".join(kept).split())


def _cut(text: str, characters: int) -> str:
    if len(text) <= characters:
        return text
    end = characters - 1
    while end > 0 and _belongs_to_the_one_before(text, end):
        end -= 1
    return f"{text[:end].rstrip()}…"


def _belongs_to_the_one_before(text: str, position: int) -> bool:
    """Whether a cut before `position` would halve something that is seen as one: a letter with an
    accent, a hand with its skin, a flag (two letters of their own kind)."""
    character = text[position]
    if character in _FLAG_LETTERS:
        before = text[:position]
        return (len(before) - len(before.rstrip(_FLAG_LETTERS))) % 2 == 1
    return unicodedata.category(character)[0] == "M" or "\U0001f3fb" <= character <= "\U0001f3ff"
