"""Settings that are a TOML file: a path or the text itself, with tables of one name.

Pure: the caller provides the function that reads a file, and validates the tables.
"""

import tomllib
from collections.abc import Callable
from typing import Final, TypeAlias

from chalicelib.errors import SettingsError

TomlTable: TypeAlias = dict[str, object]

GLOBS: Final = 'a list of globs, such as ["high-*", "gpu"]'
"""The expected value of a field that selects job queues or jobs by name, for error messages."""


def text_of(value: str, read: Callable[[str], str], setting: str) -> str:
    """Return the TOML text of a setting's value.

    A value that begins with `[[` or has several lines is the text itself. Any other value is the
    path of a file, which `read` reads. Raise SettingsError, which names the `setting`, if it can't.
    """
    if value.lstrip().startswith("[[") or "\n" in value.strip():
        return value
    path = value.strip()
    try:
        return read(path)
    except OSError as error:
        raise SettingsError(f"{setting}: can't read {path}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{setting}: {path} is not UTF-8 text") from error


def is_text(value: object) -> bool:
    """Return whether a TOML value is a string with a visible character."""
    return isinstance(value, str) and value.strip() != ""


def tables_of(text: str, name: str, setting: str) -> tuple[list[TomlTable], list[str]]:
    """Return the `[[name]]` tables of a TOML text, and what else is wrong with it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [], [f"{setting}: not TOML: {error}"]
    tables = document.pop(name, [])
    problems = [f"{setting}: {other}: expected only [[{name}]] at this level" for other in document]
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return [], [*problems, f"{setting}: {name}: expected [[{name}]], in double brackets"]
    return tables, problems
