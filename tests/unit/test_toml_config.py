"""Settings that are a TOML file: where the text comes from, and which tables it contains."""

from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.errors import SettingsError
from chalicelib.toml_config import tables_of, text_of, unmatchable


def read(path: str) -> str:
    return f"the text of {path}"


@pytest.mark.parametrize("text", ["[[rule]]", " [[rule]] # x", "# mine\n[[rule]]\non = ['FAILED']"])
def test_the_value_can_be_the_text(text: str) -> None:
    assert text_of(text, read, "rules") == text


@pytest.mark.parametrize("path", ["notices.toml", "/etc/[x]/notices.toml\n"])
def test_the_value_can_be_a_path(path: str) -> None:
    assert text_of(path, read, "rules") == f"the text of {path.strip()}"


def test_the_error_for_a_missing_file_names_it(tmp_path: Path) -> None:
    path = str(tmp_path / "none.toml")

    with pytest.raises(SettingsError, match=f"^notice rules: can't read {path}: No such file"):
        text_of(path, lambda path: Path(path).read_text(), "notice rules")


def test_the_error_for_a_binary_file_names_it(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match=f"^notice rules: {path} is not UTF-8 text"):
        text_of(str(path), lambda path: Path(path).read_text(encoding="utf-8"), "notice rules")


def test_tables_of_the_name_are_returned_in_order() -> None:
    assert tables_of("[[rule]]\na = 1\n[[rule]]\na = 2", "rule", "rules") == (
        [{"a": 1}, {"a": 2}],
        [],
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[rule", "rules: not TOML: "),
        ("[rule]\na = 1", "rules: rule: expected [[rule]], in double brackets"),
        ("[[rule]]\n[other]", "rules: other: expected only [[rule]] at this level"),
    ],
)
def test_what_is_wrong_with_the_file_is_reported(text: str, problem: str) -> None:
    _, problems = tables_of(text, "rule", "rules")

    assert [found.startswith(problem) for found in problems] == [True]


_NAMES = st.text("abcXYZ019-_", min_size=1, max_size=128)


@given(name=_NAMES, data=st.data())
def test_a_glob_that_matches_a_name_is_accepted(name: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(name) - 1))
    pattern = data.draw(st.sampled_from(["*", "?", f"[{name[position]}]", "[!.]"]))
    glob = f"{name[:position]}{pattern}{name[position + 1 :]}"

    assert fnmatchcase(name, glob)
    assert list(unmatchable([name, glob])) == []


@pytest.mark.parametrize(
    ("glob", "advice"),
    [
        (
            "arn:aws:batch:eu-west-1:1:job-queue/gpu-*",
            "use the name at the end of the ARN: 'gpu-*'",
        ),
        ("!gpu", "a glob can't exclude names: list the globs of the names to include"),
        (" gpu", "remove the blank: 'gpu'"),
        ("gpu,cpu", 'write several globs as a list, such as ["high-*", "gpu"]'),
        ("{gpu}", 'write several globs as a list, such as ["high-*", "gpu"]'),
        ("gpu.*", "names consist of letters, digits, - and _, and '.' matches none of them"),
        ("[gpu", "names consist of letters, digits, - and _, and '[' matches none of them"),
        ("[.:]x", "names consist of letters, digits, - and _, and '[.:]' matches none of them"),
    ],
)
def test_a_glob_that_no_name_can_match_gets_advice(glob: str, advice: str) -> None:
    assert list(unmatchable(["*", glob])) == [f"{glob!r} matches no name; {advice}"]


def test_a_glob_that_is_longer_than_any_name_is_a_problem() -> None:
    (problem,) = unmatchable(["?" * 129, f"{'?' * 128}*"])

    assert problem.endswith("matches no name; a name has at most 128 characters")
