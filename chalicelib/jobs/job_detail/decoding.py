"""Decodes a detail without the fields whose values are invalid.

Ids, the status, and attempts with their dates decide whether a detail can be read. Any other field
only describes the job: an invalid one costs itself, not the event.
"""

import re
from collections.abc import Callable
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
_TYPES: Final[dict[str, type | tuple[type, ...]]] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


def decode_leniently(
    detail: Any, shape: type[_S], convert: Callable[[Any, type[_S]], _S]
) -> tuple[_S, tuple[str, ...]]:
    """Return the detail, which this changes, and the names of the invalid fields that were left
    out of it.

    Raises msgspec.ValidationError if a field is invalid that decides whether it can be read.
    """
    invalid: list[str] = []
    while True:
        try:
            return convert(detail, shape), tuple(invalid)
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
    """Remove a field. The path does not name the entry of a mapping: remove those entries whose
    type is the invalid one."""
    parent, last = None, None
    value = detail
    for step in _STEP.finditer(path):
        parent, last = value, step
        if step["any"]:
            return _remove_entries(value, message)
        value = value[int(step["index"]) if step["index"] else step["name"]]
    if last is None:
        return False
    del parent[int(last["index"]) if last["index"] else last["name"]]  # type: ignore[index]
    return True


def _remove_entries(mapping: dict[str, Any], message: str) -> bool:
    found = _GOT.search(message)
    kind = _TYPES.get(found["type"]) if found else None
    invalid = [
        name
        for name, value in mapping.items()
        if kind is None
        or (isinstance(value, kind) and (kind is bool or value not in (True, False)))
    ]
    for name in invalid:
        del mapping[name]
    return bool(invalid)
