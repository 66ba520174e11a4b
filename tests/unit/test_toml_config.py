"""A setting that is a TOML file: where its text comes from."""

from pathlib import Path

import pytest

from chalicelib.errors import SettingsError
from chalicelib.toml_config import text_of


def read(path: str) -> str:
    return f"read from {path}"


@pytest.mark.parametrize("text", ["[[rule]]", " [[rule]] # x", "# mine\n[[rule]]\non = ['FAILED']"])
def test_it_can_be_given_as_they_are(text: str) -> None:
    assert text_of(text, read, "rules") == text


@pytest.mark.parametrize("path", ["notices.toml", "/etc/[x]/notices.toml\n"])
def test_it_can_be_given_as_a_path(path: str) -> None:
    assert text_of(path, read, "rules") == f"read from {path.strip()}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "none.toml")

    with pytest.raises(SettingsError, match=f"^notice rules: can't read {path}: No such file"):
        text_of(path, lambda path: Path(path).read_text(), "notice rules")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match=f"^notice rules: {path} is not UTF-8 text"):
        text_of(str(path), lambda path: Path(path).read_text(encoding="utf-8"), "notice rules")
