"""Settings that are a TOML file: where the text comes from, and which tables it contains."""

from pathlib import Path

import pytest

from chalicelib.errors import SettingsError
from chalicelib.toml_config import tables_of, text_of


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
