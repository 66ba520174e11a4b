"""Formats times and durations for people, in a given time zone and in English. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo
from typing import Final, NamedTuple


def duration(seconds: float) -> str:
    """Return a duration in its two largest units: "45 s", "4 min 5 s", "1 h 12 min", "3 d 4 h"."""
    whole, minutes, hours = round(seconds), round(seconds / 60), round(seconds / 3600)
    if whole < 1:
        return "less than 1 s"
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _two_units(whole, 60, "min", "s")
    return (
        _two_units(minutes, 60, "h", "min") if minutes < 1440 else _two_units(hours, 24, "d", "h")
    )


class Moment(NamedTuple):
    """A time to the minute, formatted as "Tue 24 Nov 2026, 04:55 CET"."""

    day: str
    clock: str
    zone: str

    @classmethod
    def of(cls, at: int, zone: tzinfo) -> "Moment":
        """Return the moment of a time in epoch milliseconds."""
        local = datetime.fromtimestamp(min(at, _MAX_TIME) / 1000, zone)
        name = local.tzname() or ""
        return cls(
            f"{_DAYS[local.weekday()]} {local.day} {_MONTHS[local.month - 1]} {local.year}",
            f"{local:%H:%M}",
            f"UTC{name}" if name.startswith(("+", "-")) else name,
        )

    def __str__(self) -> str:
        return f"{self.day}, {self.clock} {self.zone}".rstrip()


def span(times: Iterable[int], zone: tzinfo) -> str:
    """Return the range of times in epoch milliseconds: "Tue 24 Nov 2026, 04:55 to 05:10 CET"."""
    ordered = sorted(times)
    first, last = Moment.of(ordered[0], zone), Moment.of(ordered[-1], zone)
    if first == last:
        return str(first)
    if (first.day, first.zone) == (last.day, last.zone):
        return f"{first.day}, {first.clock} to {last.clock} {last.zone}".rstrip()
    return f"{first} to {last}"


class IndexRange(NamedTuple):
    """Consecutive indexes as text, and how many there are."""

    text: str
    size: int


def index_ranges(indexes: Sequence[int]) -> list[IndexRange]:
    """Return ascending indexes; three or more consecutive ones become a range: "40–62"."""  # noqa: RUF002
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return [found for run in runs for found in _ranges(run)]


def _ranges(run: Sequence[int]) -> list[IndexRange]:
    if len(run) < _SHORTEST_RANGE:
        return [IndexRange(str(index), 1) for index in run]
    return [IndexRange(f"{run[0]}\N{EN DASH}{run[-1]}", len(run))]


_SHORTEST_RANGE: Final = 3
_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_MAX_TIME: Final = 253_402_128_000_000
"""30 December 9999: a day later is beyond the last year of `datetime` in some time zones."""


def _two_units(amount: int, size: int, large: str, small: str) -> str:
    whole, rest = divmod(amount, size)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
