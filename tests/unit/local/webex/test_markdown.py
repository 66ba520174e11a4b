"""The stand-in Webex displays markdown as Webex does, and never as live HTML."""

import pytest

from local.webex.markdown import render


@pytest.mark.parametrize(
    ("markdown", "expected"),
    [
        ("**b** *i* snake_case_name", "<strong>b</strong> <em>i</em> snake_case_name"),
        ("`a<b`", "<code>a&lt;b</code>"),
        ("# Head", "<h1>Head</h1>"),
        ("- one\n- two", "<li>two</li>"),
        ("> said", "<blockquote>"),
        ("one\ntwo  \nthree", "one\ntwo<br />"),
        ("[a](https://b.c)", '<a href="https://b.c" target="_blank" rel="noreferrer">a</a>'),
        ("see https://b.c/d.", ">https://b.c/d</a>."),
        ("www.b.c", 'href="http://www.b.c"'),
    ],
)
def test_markdown_becomes_the_html_of_webex(markdown: str, expected: str) -> None:
    assert expected in render(markdown).html


@pytest.mark.parametrize(
    "markdown",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick='x'>b</b>",
        "`<script>`",
        "```\n<script>\n```",
        "```<script>\nx\n```",
        "[x](javascript:alert(1))",
        '[x](https://y "<script>")',
        '[x](https://y/"onclick="z)',
        "![<script>](https://y/z.png)",
        "https://y/<script>",
        '<@personEmail:"><script>|<img src=x>',
        '[x](https://y "<@all>")',
        "&#xe000;0&#xe001; \ue0007\ue001",
    ],
)
def test_html_in_a_message_is_escaped(markdown: str) -> None:
    html = render(markdown).html

    assert "<script" not in html
    assert "<img" not in html
    assert "<b " not in html
    assert 'href="javascript' not in html
    assert html.count("<a ") == html.count(' target="_blank" rel="noreferrer">')


@pytest.mark.parametrize(
    "markdown",
    [
        "<@all>",
        "`<@all>`",
        "```\n<@all>\n```",
        r"\<@all>",
        "<@ALL|everybody>",
        "a<@personEmail:ada@example.com>",
        "<@personId:Y2lz|Ada>",
    ],
)
def test_a_mention_counts_wherever_it_is(markdown: str) -> None:
    rendered = render(markdown)

    assert '<span class="mention">@' in rendered.html
    assert len(rendered.mentions) == 1


@pytest.mark.parametrize("markdown", ["&lt;@all>", "< @all>", "@all", "<\u200b@all>", r"<\@all>"])
def test_text_that_resembles_a_mention_notifies_nobody(markdown: str) -> None:
    assert render(markdown).mentions == ()
