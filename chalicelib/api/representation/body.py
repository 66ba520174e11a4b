"""The base of all bodies: camelCase names, times in RFC 3339, and versions."""

from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct

B = TypeVar("B")


class Body(Struct, frozen=True, rename="camel"):
    pass


class Versioned(NamedTuple, Generic[B]):
    """A body and its version. The version of a running job stays the same while
    its durations grow, until an event of the job or of an array's children is recorded."""

    body: B
    version: str


def rfc3339(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def rfc3339_or_none(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else rfc3339(milliseconds)
