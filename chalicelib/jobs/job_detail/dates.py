"""Decides which dates of a detail are possible, so that durations, usage and costs rely on them.

Pure: all times are epoch milliseconds.
"""

from typing import Final, NamedTuple

EARLIEST: Final = 1_388_534_400_000
"""2014 in UTC. AWS Batch is younger: an earlier date is wrong, such as one in seconds."""
_CLOCK_DIFFERENCE: Final = 86_400_000
"""A day. No date of a job is later than this after the time at which it was reported."""


class Dates(NamedTuple):
    """The possible dates of a job or an attempt, and the names of the impossible ones."""

    started_at: int | None = None
    stopped_at: int | None = None
    created_at: int | None = None
    invalid: tuple[str, ...] = ()


def dates_of_job(
    created_at: int | None,
    started_at: int | None,
    stopped_at: int | None,
    *,
    time: int,
    has_ended: bool,
) -> Dates:
    """Return the dates of a job that was reported at `time`.

    A job that has not ended may still list the end of an earlier attempt, so that only its start is
    relied on. If a job that has ended stopped before it started, neither date is relied on.
    """
    given = {"createdAt": created_at, "startedAt": started_at, "stoppedAt": stopped_at}
    invalid = _impossible(given, time)
    if not invalid and _is_reversed(started_at, stopped_at):
        invalid = ("startedAt", "stoppedAt") if has_ended else ("stoppedAt",)
    kept = {name: None if name in invalid else at for name, at in given.items()}
    return Dates(kept["startedAt"], kept["stoppedAt"], kept["createdAt"], invalid)


def dates_of_attempt(started_at: int | None, stopped_at: int | None, *, time: int) -> Dates:
    """Return the dates of an attempt.

    The end is kept where it is possible, because an attempt without an end is still running. An
    attempt without a possible end has no dates, so that it does not seem to run for ever.
    """
    invalid = _impossible({"startedAt": started_at, "stoppedAt": stopped_at}, time)
    if "stoppedAt" in invalid:
        return Dates(invalid=invalid)
    if "startedAt" in invalid or _is_reversed(started_at, stopped_at):
        return Dates(None, stopped_at, invalid=("startedAt",))
    return Dates(started_at, stopped_at)


def is_possible(at: int, time: int) -> bool:
    """Return whether a date that was reported at `time` can be one of AWS Batch."""
    return EARLIEST <= at <= time + _CLOCK_DIFFERENCE


def _impossible(dates: dict[str, int | None], time: int) -> tuple[str, ...]:
    return tuple(name for name, at in dates.items() if at is not None and not is_possible(at, time))


def _is_reversed(started_at: int | None, stopped_at: int | None) -> bool:
    return started_at is not None and stopped_at is not None and stopped_at < started_at
