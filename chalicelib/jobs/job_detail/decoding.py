"""Decodes a detail without the fields whose values are invalid.

Ids, the status, and attempts with their dates decide whether a detail can be read. Any other field
only describes the job: an invalid one costs itself, not the event.
"""

import re
from typing import Any, Final, TypeVar

import msgspec

MAX_INVALID_FIELDS: Final = 50
"""A detail with more invalid fields is refused as a whole."""

_S = TypeVar("_S")

_DECISIVE: Final = re.compile(
    r"\$(\.(jobId|jobName|jobQueue|status|preemptedJobArn))?"
    r"|\$\.(preemptionSummary\.)?(attempts|eksAttempts|recentPreemptedAttempts|latestAttempt)"
    r"(\[\d+\])?(\.(startedAt|stoppedAt))?"
    r"|\$\.preemptionSummary(\.preemptedAttemptCount)?"
)
"""Paths of the fields that decide whether a detail can be read."""

_STEP: Final = re.compile(r"\.(?P<name>\w+)|\[(?P<index>\d+)\]|(?P<any>\[\.\.\.\])")
_PATH: Final = re.compile(r" - at `(?P<path>\$[^`]*)`$")
_GOT: Final = re.compile(r"got `(?P<type>\w+)`")
_TYPES: Final[dict[str, type]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def decode_detail(detail: Any, shape: type[_S]) -> tuple[_S, tuple[str, ...]]:
    """Return the detail, and the names of the invalid fields that were removed from it.

    Raises msgspec.ValidationError if a field is invalid that decides whether it can be read.
    """
    invalid: list[str] = []
    while True:
        try:
            return msgspec.convert(detail, shape), tuple(invalid)
        except msgspec.ValidationError as error:
            path = _invalid_path(str(error))
            if len(invalid) >= MAX_INVALID_FIELDS or not _remove(detail, path, str(error)):
                raise
            invalid.append(path.removeprefix("$."))


def _invalid_path(message: str) -> str:
    """Return the path of the invalid field, or "$" if a decisive field is invalid."""
    found = _PATH.search(message)
    path = found["path"] if found else "$"
    return "$" if _DECISIVE.fullmatch(path) else path


def _remove(detail: Any, path: str, message: str) -> bool:
    """Remove a field; return False if there is no such field."""
    *parents, last = [detail, *_STEP.finditer(path)]
    if not parents:
        return False
    value = parents.pop(0)
    for step in parents:
        value = value[_key(step)]
    if last["any"]:
        return _remove_entries(value, message)
    del value[_key(last)]
    return True


def _key(step: re.Match[str]) -> str | int:
    return int(step["index"]) if step["index"] else step["name"]


def _remove_entries(mapping: dict[str, object], message: str) -> bool:
    """Remove the entries of a mapping that have the invalid type: a path does not name them."""
    found = _GOT.search(message)
    kind = _TYPES.get(found["type"]) if found else None
    invalid = [name for name, value in mapping.items() if kind in (None, type(value))]
    for name in invalid:
        del mapping[name]
    return bool(invalid)
