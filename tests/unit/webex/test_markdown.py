"""Text from events is displayed literally and has no effect."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chalicelib.webex.limits import MAX_MESSAGE_BYTES
from chalicelib.webex.markdown import (
    ListItem,
    bold_name,
    byte_size,
    escape,
    escape_name,
    html_size,
    join_blocks,
    join_items,
    link,
    short_form,
)
from tests.support.rendering import ZERO_WIDTH_SPACE, autolinks, rendered
from tests.support.samples.injection_samples import INJECTIONS, texts

# Escaping


@pytest.mark.parametrize("text", INJECTIONS)
def test_an_injection_sample_is_displayed_as_text(text: str) -> None:
    message = f"Reason: {escape(text)}"

    assert rendered(message).structure == ("paragraph_open", "text", "paragraph_close")
    assert autolinks(message) == []


def test_a_mention_is_neither_markup_nor_an_address() -> None:
    assert escape("<@all>") == f"&lt;@{ZERO_WIDTH_SPACE}all&gt;"


@pytest.mark.parametrize("dot", [".", "\u3002", "\uff0e", "\uff61"])
def test_each_kind_of_dot_in_an_address_is_followed_by_a_zero_width_space(dot: str) -> None:
    assert escape(f"a{dot}b") == f"a{dot}{ZERO_WIDTH_SPACE}b"


@given(text=texts())
def test_any_text_is_displayed_as_text(text: str) -> None:
    message = f"Reason: {escape(text)}."

    assert rendered(message).structure == ("paragraph_open", "text", "paragraph_close")
    assert autolinks(message) == []


@given(text=texts())
def test_any_name_can_be_bold_between_words(text: str) -> None:
    message = f"Job {bold_name(text)} failed in {bold_name(text)}: why"

    assert rendered(message).structure == rendered("Job **a** failed in **b**: why").structure


@given(label=texts())
def test_any_label_stays_inside_its_link(label: str) -> None:
    message = rendered(f"See {link(escape(label) or 'x', 'https://a.example/b')}, please")

    assert message.links == ("https://a.example/b",)
    assert message.structure == rendered("See [x](https://a.example/b), please").structure


@pytest.mark.parametrize(
    "text",
    [
        "align_reads-2 *.bam [x] `a` \\n ~5 #1 a|b !",
        "a < b && c > d &lt; e",
        "<@all> ada@example.com",
        "https://a.example/x?y=1#z, www.a.example and lab/bwa:2.2.1",
        "naïve 東京 עברית 👩🏽 🇫🇷 é",
    ],
)
def test_text_is_displayed_as_it_was_written(text: str) -> None:
    shown = rendered(escape(text)).text.replace(ZERO_WIDTH_SPACE, "")

    assert shown == text


@pytest.mark.parametrize(
    "code", [0x00, 0x07, 0x1B, 0x7F, 0x9B, 0xAD, 0x200F, 0x202E, 0x2066, 0xFEFF]
)
def test_invisible_characters_are_removed(code: int) -> None:
    assert escape(f"ab{chr(code)}cd") == "abcd"


@pytest.mark.parametrize("space", ["\n", "\r\n", "\t", "  ", "\u2028", "\u2029", "\x85", "\v"])
def test_text_becomes_one_line(space: str) -> None:
    assert escape(f" ab{space}cd{space}") == "ab cd"


@pytest.mark.parametrize("code", [0xD800, 0xE000])
def test_a_code_point_without_a_character_is_replaced(code: int) -> None:
    assert escape(f"a{chr(code)}b") == "a\ufffdb"


def test_a_letter_keeps_at_most_three_combining_marks() -> None:
    assert escape("Z" + "\u0335" * 50 + "algo") == "Z" + "\u0335" * 3 + "algo"


@pytest.mark.parametrize(
    ("text", "truncated"),
    [
        ("abcd", "abcd"),
        ("abcde", "abc…"),
        ("ab cde", "ab…"),
        ("abcx\u0335y", "abc…"),
        ("ab👋🏽d", "ab…"),
        ("ab🇫🇷d", "ab…"),
        ("a🇫🇷🇩🇪", "a🇫🇷…"),
        ("😀" * 300, "😀😀😀…"),
    ],
)
def test_truncation_splits_no_accented_letter_emoji_or_flag(text: str, truncated: str) -> None:
    assert escape(text, 4) == truncated


@given(text=texts(), max_characters=st.integers(1, 50))
def test_truncated_text_has_at_most_the_requested_length(text: str, max_characters: int) -> None:
    shown = rendered(f"x {escape(text, max_characters)}").text.removeprefix("x").strip()

    characters = unicodedata.normalize("NFC", shown.replace(ZERO_WIDTH_SPACE, ""))
    assert len(characters) <= max_characters


# Links


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "javascript:alert(1)",
        "https://a.example/x)",
        "https://a.example/<b>",
        "https://a.example/a b",
        "https://ada@b.example/",
        "https://a.example?.console.aws.amazon.com/batch",
        "https://a.example\\.console.aws.amazon.com/batch",
        "https://a.example/" + "x" * 1_000,
    ],
)
def test_a_misleading_address_is_not_linked(address: str | None) -> None:
    assert link("Job", address) is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/#/jobs/a%3A1", "https://a.example"])
def test_a_plain_address_is_linked(address: str) -> None:
    assert link("Job", address) == f"[Job]({address})"


# Limits


def test_a_list_that_fits_is_complete() -> None:
    items = [ListItem("3"), ListItem("17"), ListItem("40-62", 23)]

    assert join_items(items, 100) == "3, 17, 40-62"


def test_items_that_do_not_fit_are_counted() -> None:
    items = [
        ListItem("a" * 30),
        ListItem("b" * 30, 5),
        ListItem("c" * 30, 300),
        ListItem("d" * 30, 7),
    ]

    assert join_items(items, 95) == f"{'a' * 30}, {'b' * 30} … and 307 more"


def test_a_list_is_empty_if_no_item_fits() -> None:
    assert join_items([ListItem("a" * 30)], 20) == ""


@given(
    items=st.lists(st.builds(ListItem, st.text(min_size=1), st.integers(1, 10_000))),
    max_bytes=st.integers(0, 300),
)
@example(items=[ListItem("é" * 10)], max_bytes=19)
def test_a_list_never_exceeds_its_limit(items: list[ListItem], max_bytes: int) -> None:
    assert len(join_items(items, max_bytes).encode()) <= max_bytes


def test_the_longest_block_is_omitted_but_never_the_first() -> None:
    head, long, longest = "a" * 4_000, "b" * 2_000, "c" * 3_000

    assert join_blocks([head, longest, long, "", "d"]) == f"{head}\n\n{long}\n\nd"


@given(blocks=st.lists(st.text(max_size=4_000), max_size=5))
def test_joined_blocks_never_exceed_the_limit(blocks: list[str]) -> None:
    assert len(join_blocks(["head", *blocks]).encode()) <= MAX_MESSAGE_BYTES


@given(
    names=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=60),
    address=st.sampled_from(["https://batch.example/prod/#/jobs/4c75", "https://a/"]),
)
def test_the_html_of_a_message_is_no_larger_than_estimated(names: list[str], address: str) -> None:
    linked = [f"- **{escape_name(name)}**: [{escape_name(name)}]({address})" for name in names]
    message = join_blocks(["❌ **9 jobs** failed", "\n".join(linked), f"Ended  \n[Log]({address})"])

    assert byte_size(MarkdownIt().render(message)) <= html_size(message)


@pytest.mark.parametrize("character", list("\"'<>&*@|é"))
def test_the_length_of_the_html_includes_entities(character: str) -> None:
    address = "https://x.example/?" + "a=1&" * 50
    message = f'Reason: "{escape(character * 300)}" {link("Log", address)}'

    assert byte_size(MarkdownIt().render(message)) <= html_size(message)


def test_the_short_form_has_no_links_and_whole_lines() -> None:
    message = (
        "❌ [**align**](https://x.example/#/jobs/1) failed: \\[1\\](x)  \nlogs: [log](https://a/b)"
    )
    long = "\n".join([message, *["line " * 20] * 100])

    assert short_form(message) == "❌ **align** failed: \\[1\\](x)  \nlogs: log"
    assert byte_size(short_form(long)) <= 2_010
    assert short_form(long).endswith("line \n…")
    assert short_form("a" * 3_000) == "a" * 3_000
