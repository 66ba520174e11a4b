"""Markdown as Webex shows it, for the stand-in's `html` and `text` and for its page.

CommonMark. Where Webex does not say what it does, the reading that hurts more is taken, so that
what is harmless here is harmless there: a mention counts wherever it stands, in code and behind a
backslash too, and a bare address becomes a link. HTML, some of which Webex honours, is shown as
text that catches the eye. Knows nothing of rooms or messages.
https://developer.webex.com/docs/basics#formatting-messages
"""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

MENTION = re.compile(r"<@(all|person(?:Email|Id):[^>|\n]+)(?:\|([^>\n]*))?>", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'`\ue000-\ue001]*[^\s<>\"'`.,;:!?)\]\ue000-\ue001]"
)
_MARK = re.compile("\ue000([0-9]+)\ue001")
_TAG = re.compile("<[^>]*>")


@dataclass(frozen=True)
class Rendered:
    """`html` can be put into a page as it is; `text` is what is left of it without the tags.
    `mentions` are whom the message would page, `all` or `personEmail:…` or `personId:…`."""

    html: str
    text: str
    mentions: tuple[str, ...]


@lru_cache(maxsize=4_096)
def render(markdown: str) -> Rendered:
    """A whole message."""
    mentions = [found.groups() for found in MENTION.finditer(markdown)]
    pills = [_pill(*mention) for mention in mentions]
    shown = _MESSAGE.render(_marked(markdown), {"pills": pills})
    text = html.unescape(_TAG.sub("", shown)).strip()
    return Rendered(shown, text, tuple(dict.fromkeys(target for target, _ in mentions)))


def render_card_text(text: str) -> str:
    """A text of an Adaptive Card, which knows emphasis, lists and links, and no mentions.
    https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features"""
    return str(_CARD_TEXT.render(text, {"pills": ()}))


def render_plain(text: str) -> str:
    """Text without markdown; Webex makes links of addresses even there."""
    return f"<p>{_with_links(text)}</p>"


def link(address: str, shown: str) -> str:
    return f"{_link_start(address)}{html.escape(shown)}</a>"


def _link_start(address: str) -> str:
    return f'<a href="{html.escape(address)}" target="_blank" rel="noreferrer">'


def _marked(markdown: str) -> str:
    """Each mention replaced by its number between two marks, which mean nothing in markdown."""
    numbers = iter(range(len(markdown)))
    clean = re.sub("[\ue000\ue001]", "\ufffd", markdown)
    return MENTION.sub(lambda _: f"\ue000{next(numbers)}\ue001", clean)


def _pill(target: str, label: str | None) -> str:
    who = target.partition(":")[2] or target
    shown = f"{label} ({who})" if label else who
    return f'<span class="mention">@{html.escape(shown)}</span>'


def _with_pills(escaped: str, pills: Sequence[str]) -> str:
    return _MARK.sub(lambda mark: "".join(pills[int(mark[1]) :][:1]), escaped)


def _with_links(text: str) -> str:
    """Escaped, with a link at each address."""
    parts: list[str] = []
    end = 0
    for found in _ADDRESS.finditer(text):
        address = found[0] if "://" in found[0] else f"http://{found[0]}"
        parts += [html.escape(text[end : found.start()]), link(address, found[0])]
        end = found.end()
    return "".join([*parts, html.escape(text[end:])])


# How markdown-it shows the parts of a message, where its own way is not the one wanted here


def _text(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    inside_link = sum(token.nesting for token in tokens[:at] if token.type.startswith("link_"))
    shown = html.escape(tokens[at].content) if inside_link else _with_links(tokens[at].content)
    return _with_pills(shown, env["pills"])


def _code(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return f"<code>{_with_pills(html.escape(tokens[at].content), env['pills'])}</code>"


def _code_block(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return f"<pre>{_code(self, tokens, at, options, env)}</pre>\n"


def _link_open(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    return _link_start(str(tokens[at].attrGet("href") or ""))


def _image(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    """Webex shows no images of a message's markdown."""
    return _with_pills(html.escape(f"![{tokens[at].content}]"), env["pills"])


def _tag(self: Any, tokens: Sequence[Token], at: int, options: Any, env: Any) -> str:
    shown = _with_pills(html.escape(tokens[at].content), env["pills"])
    return f'<span class="tag">{shown}</span>'


def _renderer(preset: str, *rules: str) -> MarkdownIt:
    markdown = MarkdownIt(preset).enable(rules)
    markdown.add_render_rule("text", _text)
    markdown.add_render_rule("code_inline", _code)
    markdown.add_render_rule("fence", _code_block)
    markdown.add_render_rule("code_block", _code_block)
    markdown.add_render_rule("link_open", _link_open)
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("html_inline", _tag)
    markdown.add_render_rule("html_block", _tag)
    return markdown


_MESSAGE = _renderer("commonmark")
_CARD_TEXT = _renderer("zero", "emphasis", "link", "list", "escape", "newline")
