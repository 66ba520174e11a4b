"""A setting that is a TOML file: a path, or the text itself; and the tables that it is made of.

Pure: whoever reads the setting hands in a way to read a file. What the tables mean, others know.
"""

import tomllib
from collections.abc import Callable
from typing import Any

from chalicelib.errors import SettingsError


def text_of(value: str, read: Callable[[str], str], what: str) -> str:
    """What the value stands for: the text of a file that `read` gets by its path, or, if it begins
    with `[[` or has more than one line, itself. Raises SettingsError, which names `what` it is."""
    if value.lstrip().startswith("[[") or "\n" in value.strip():
        return value
    try:
        return read(value.strip())
    except OSError as error:
        raise SettingsError(f"{what}: can't read {value.strip()}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{what}: {value.strip()} is not UTF-8 text") from error


GLOBS = 'a list of globs, such as ["high-*", "gpu"]'
"""What a field of names of job queues, or of jobs, is expected to be."""


def is_text(value: object) -> bool:
    return isinstance(value, str) and value.strip() != ""


def tables_of(text: str, name: str, what: str) -> tuple[list[Any], list[str]]:
    """The `[[name]]` tables, and what else is wrong with the file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return [], [f"{what}: not TOML: {error}"]
    tables = document.pop(name, [])
    problems = [f"{what}: {other}: expected only [[{name}]] at this level" for other in document]
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        return [], [*problems, f"{what}: {name}: expected [[{name}]], in double brackets"]
    return tables, problems
