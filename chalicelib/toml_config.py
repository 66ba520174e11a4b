"""Settings that are a TOML file: a path or the text itself, with tables of one name.

Pure: the caller provides the function that reads a file, and validates the tables.
"""

import re
import string
import tomllib
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final, TypeAlias

from chalicelib.errors import SettingsError

TomlTable: TypeAlias = dict[str, object]

GLOBS: Final = 'a list of globs, such as ["high-*", "gpu"]'
"""The expected value of a field that selects job queues or jobs by name, for error messages."""


_MAX_NAME_CHARACTERS: Final = 128
_NAME_CHARACTERS: Final = f"{string.ascii_letters}{string.digits}-_"
"""The characters that AWS Batch allows in the name of a job queue or a job."""
_GLOB_PART: Final = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)
"""A character class or a single character."""


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


def unmatchable(globs: Iterable[str]) -> Iterator[str]:
    """Yield a problem, with advice, for each glob that no name of a job queue or a job matches."""
    for glob in globs:
        parts = _GLOB_PART.findall(glob)
        impossible = next((part for part in parts if not _matches_a_character(part)), None)
        if impossible is not None:
            yield f"{glob!r} matches no name; {_advice(glob, impossible)}"
        elif sum(part != "*" for part in parts) > _MAX_NAME_CHARACTERS:
            most = f"a name has at most {_MAX_NAME_CHARACTERS} characters"
            yield f"{glob[:40]!r}… matches no name; {most}"


def _matches_a_character(part: str) -> bool:
    return any(fnmatchcase(character, part) for character in _NAME_CHARACTERS)


def _advice(glob: str, impossible: str) -> str:
    if glob.startswith("arn:"):
        return f"use the name at the end of the ARN: {re.split('[:/]', glob.rstrip('/'))[-1]!r}"
    if glob.startswith("!"):
        return "a glob can't exclude names: list the globs of the names to include"
    if impossible.isspace():
        return f"remove the blank: {''.join(glob.split())!r}"
    if impossible in ",;{":
        return 'write several globs as a list, such as ["high-*", "gpu"]'
    return f"names consist of letters, digits, - and _, and {impossible!r} matches none of them"


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
