"""Whatever others wrote is shown, and does nothing."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.webex.markdown import LIMIT, Item, fitted, link, listed, plain, strong
from tests.support.injection_samples import INJECTIONS, texts
from tests.support.rendering import UNSEEN, autolinks, rendered


@pytest.mark.parametrize("text", INJECTIONS)
def test_hostile_text_is_only_text(text: str) -> None:
    said = f"It said: {plain(text)}"

    assert rendered(said).structure == ("paragraph_open", "text", "paragraph_close")
    assert autolinks(said) == []


def test_a_mention_is_broken_in_every_reading() -> None:
    assert plain("<@all>") == f"&lt;@{UNSEEN}all&gt;"


@pytest.mark.parametrize("dot", [".", "\u3002", "\uff0e", "\uff61"])
def test_every_dot_of_an_address_is_broken(dot: str) -> None:
    assert plain(f"a{dot}b") == f"a{dot}{UNSEEN}b"


@given(text=texts())
def test_any_text_is_only_text(text: str) -> None:
    said = f"It said: {plain(text)}."

    assert rendered(said).structure == ("paragraph_open", "text", "paragraph_close")
    assert autolinks(said) == []


@given(text=texts())
def test_any_name_can_be_bold_between_words(text: str) -> None:
    said = f"Job {strong(text)} failed in {strong(text)}: why"

    assert rendered(said).structure == rendered("Job **a** failed in **b**: why").structure


@given(label=texts())
def test_any_label_stays_within_its_link(label: str) -> None:
    said = rendered(f"See {link(plain(label) or 'x', 'https://a.example/b')}, please")

    assert said.links == ("https://a.example/b",)
    assert said.structure == rendered("See [x](https://a.example/b), please").structure


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
def test_text_looks_as_it_was_written(text: str) -> None:
    shown = rendered(plain(text)).text.replace(UNSEEN, "")

    assert shown == text


@pytest.mark.parametrize(
    "code", [0x00, 0x07, 0x1B, 0x7F, 0x9B, 0xAD, 0x200F, 0x202E, 0x2066, 0xFEFF]
)
def test_what_can_not_be_seen_is_left_out(code: int) -> None:
    assert plain(f"ab{chr(code)}cd") == "abcd"


@pytest.mark.parametrize("space", ["\n", "\r\n", "\t", "  ", "\u2028", "\u2029", "\x85", "\v"])
def test_text_is_one_line(space: str) -> None:
    assert plain(f" ab{space}cd{space}") == "ab cd"


@pytest.mark.parametrize("code", [0xD800, 0xE000])
def test_what_is_no_character_is_replaced(code: int) -> None:
    assert plain(f"a{chr(code)}b") == "a\ufffdb"


def test_marks_do_not_tower_over_the_lines_above() -> None:
    assert plain("Z" + "\u0335" * 50 + "algo") == "Z" + "\u0335" * 3 + "algo"


@pytest.mark.parametrize(
    ("text", "cut"),
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
def test_a_cut_halves_nothing_that_is_seen_as_one(text: str, cut: str) -> None:
    assert plain(text, 4) == cut


@given(text=texts(), characters=st.integers(1, 50))
def test_a_cut_text_is_as_short_as_asked(text: str, characters: int) -> None:
    shown = rendered(f"x {plain(text, characters)}").text.removeprefix("x").strip()

    assert len(unicodedata.normalize("NFC", shown.replace(UNSEEN, ""))) <= characters


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
def test_an_address_that_could_mislead_is_no_link(address: str | None) -> None:
    assert link("Job", address) is None


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000/#/jobs/a%3A1", "https://a.example"])
def test_a_plain_address_is_a_link(address: str) -> None:
    assert link("Job", address) == f"[Job]({address})"


def test_a_list_that_fits_is_whole() -> None:
    assert listed([Item("3"), Item("17"), Item("40-62", 23)], 100) == "3, 17, 40-62"


def test_what_does_not_fit_is_counted() -> None:
    items = [Item("a" * 30), Item("b" * 30, 5), Item("c" * 30, 300), Item("d" * 30, 7)]

    assert listed(items, 95) == f"{'a' * 30}, {'b' * 30} … and 307 more"


def test_a_list_of_which_nothing_fits_is_empty() -> None:
    assert listed([Item("a" * 30)], 20) == ""


@given(
    items=st.lists(st.builds(Item, st.text(min_size=1), st.integers(1, 10_000))),
    room=st.integers(0, 300),
)
@example(items=[Item("é" * 10)], room=19)
def test_a_list_keeps_to_its_room(items: list[Item], room: int) -> None:
    assert len(listed(items, room).encode()) <= room


def test_the_longest_block_goes_first_and_the_first_never() -> None:
    head, long, longest = "a" * 4_000, "b" * 2_000, "c" * 3_000

    assert fitted([head, longest, long, "", "d"]) == f"{head}\n\n{long}\n\nd"


@given(blocks=st.lists(st.text(max_size=4_000), max_size=5))
def test_what_is_fitted_is_within_the_limit(blocks: list[str]) -> None:
    assert len(fitted(["head", *blocks]).encode()) <= LIMIT
