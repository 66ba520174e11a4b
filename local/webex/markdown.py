"""Markdown as Webex displays it: the `html` and `text` of a message, and the content of the page.

CommonMark. Where Webex's behaviour is undocumented, the more dangerous reading applies, so that
text that is harmless here is harmless in Webex: a mention counts wherever it is, in code and after
a backslash too, and a bare address becomes a link. Webex renders some HTML; here all HTML is
displayed as highlighted text.

No rooms and no messages. https://developer.webex.com/docs/basics#formatting-messages
"""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token

MENTION = re.compile(r"<@(all|person(?:Email|Id):[^>|\n]+)(?:\|([^>\n]*))?>", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'`\ue000-\ue001]*[^\s<>\"'`.,;:!?)\]\ue000-\ue001]"
)
_PLACEHOLDER = re.compile("\ue000([0-9]+)\ue001")
_TAG = re.compile("<[^>]*>")


@dataclass(frozen=True)
class Rendered:
    """A rendered message. `html` is safe to embed in a page, and `text` is `html` without its tags.

    `mentions` are the people whom the message notifies: `all`, `personEmail:…` or `personId:…`.
    """

    html: str
    text: str
    mentions: tuple[str, ...]


@lru_cache(maxsize=4_096)
def render(markdown: str) -> Rendered:
    """Render the markdown of a message."""
    mentions = [found.groups() for found in MENTION.finditer(markdown)]
    pills = [_pill(*mention) for mention in mentions]
    rendered = _RENDERER.render(_with_placeholders(markdown), {"pills": pills})
    text = html.unescape(_TAG.sub("", rendered)).strip()
    return Rendered(rendered, text, tuple(dict.fromkeys(target for target, _ in mentions)))


def render_plain(text: str) -> str:
    """Return the HTML of plain text, in which Webex still turns addresses into links."""
    return f"<p>{_with_links(text)}</p>"


def _link(address: str, label: str) -> str:
    return f"{_link_tag(address)}{html.escape(label)}</a>"


def _link_tag(address: str) -> str:
    return f'<a href="{html.escape(address)}" target="_blank" rel="noreferrer">'


def _with_placeholders(markdown: str) -> str:
    """Replace each mention by its number between two characters that markdown leaves alone."""
    numbers = iter(range(len(markdown)))
    clean = re.sub("[\ue000\ue001]", "\ufffd", markdown)
    return MENTION.sub(lambda _: f"\ue000{next(numbers)}\ue001", clean)


def _pill(target: str, label: str | None) -> str:
    person = target.partition(":")[2] or target
    shown = f"{label} ({person})" if label else person
    return f'<span class="mention">@{html.escape(shown)}</span>'


def _with_pills(escaped: str, pills: Sequence[str]) -> str:
    return _PLACEHOLDER.sub(lambda found: "".join(pills[int(found[1]) :][:1]), escaped)


def _with_links(text: str) -> str:
    """Return the escaped text with a link for each address."""
    parts: list[str] = []
    end = 0
    for found in _ADDRESS.finditer(text):
        address = found[0] if "://" in found[0] else f"http://{found[0]}"
        parts += [html.escape(text[end : found.start()]), _link(address, found[0])]
        end = found.end()
    return "".join([*parts, html.escape(text[end:])])


# Render rules of markdown-it. It passes the renderer as the first argument.

_Env = Mapping[str, Sequence[str]]
"""The argument of MarkdownIt.render that it passes to the rules."""


def _text(_: object, tokens: Sequence[Token], index: int, options: object, env: _Env) -> str:
    link_depth = sum(token.nesting for token in tokens[:index] if token.type.startswith("link_"))
    content = tokens[index].content
    return _with_pills(html.escape(content) if link_depth else _with_links(content), env["pills"])


def _code(_: object, tokens: Sequence[Token], index: int, options: object, env: _Env) -> str:
    return f"<code>{_with_pills(html.escape(tokens[index].content), env['pills'])}</code>"


def _code_block(
    self: object, tokens: Sequence[Token], index: int, options: object, env: _Env
) -> str:
    return f"<pre>{_code(self, tokens, index, options, env)}</pre>\n"


def _link_open(_: object, tokens: Sequence[Token], index: int, options: object, env: _Env) -> str:
    return _link_tag(str(tokens[index].attrGet("href") or ""))


def _image(_: object, tokens: Sequence[Token], index: int, options: object, env: _Env) -> str:
    """Return an image as its source text, because Webex displays no images in markdown."""
    return _with_pills(html.escape(f"![{tokens[index].content}]"), env["pills"])


def _html(_: object, tokens: Sequence[Token], index: int, options: object, env: _Env) -> str:
    escaped = _with_pills(html.escape(tokens[index].content), env["pills"])
    return f'<span class="tag">{escaped}</span>'


def _renderer() -> MarkdownIt:
    markdown = MarkdownIt("commonmark")
    markdown.add_render_rule("text", _text)
    markdown.add_render_rule("code_inline", _code)
    markdown.add_render_rule("fence", _code_block)
    markdown.add_render_rule("code_block", _code_block)
    markdown.add_render_rule("link_open", _link_open)
    markdown.add_render_rule("image", _image)
    markdown.add_render_rule("html_inline", _html)
    markdown.add_render_rule("html_block", _html)
    return markdown


_RENDERER = _renderer()
