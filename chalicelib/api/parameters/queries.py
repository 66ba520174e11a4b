"""The queries of the API's routes. The fields of each struct are the parameters of the route."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import Struct

from chalicelib.api.parameters.arns import QUEUE_PATTERN, queue_name
from chalicelib.api.parameters.parameter import (
    Incomplete,
    Json,
    Parameter,
    Query,
    capped_number,
    choices,
    number,
    text,
)
from chalicelib.jobs.job import LISTED_STATUSES, Job, listed_status
from chalicelib.jobs.job_detail.fields import MAX_NAME
from chalicelib.jobs.job_index import ANY_TIME, TimeRange


class Time(Struct, frozen=True):
    """A time in a query, in milliseconds: since the epoch, or relative to the request's time."""

    milliseconds: int
    is_relative: bool = False

    @classmethod
    def parse(cls, text: str) -> "Time":
        """Return the time. Raises Incomplete if the text has no sign or no time zone, and
        ValueError if it is not a time."""
        if relative := _RELATIVE.fullmatch(text):
            sign, number, unit = relative.groups()
            if not sign:
                raise Incomplete(f"has no sign; for {text} ago, use -{text}")
            return cls(-int(number) * _UNITS[unit], is_relative=True)
        if absolute := _ABSOLUTE.fullmatch(text):
            day, clock, offset = absolute.groups()
            # A `+` that the client did not encode arrives as a space.
            zone = (offset or "Z").upper().replace(" ", "+")
            moment = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone}")
            if clock and not offset:
                raise Incomplete(f"has no time zone; use {text}Z for UTC, or append an offset")
            return cls(round(moment.timestamp() * 1000))
        raise ValueError

    def at(self, now: int) -> int:
        """Return epoch milliseconds, at least 0; `now` is epoch milliseconds too."""
        return max(0, self.milliseconds + (now if self.is_relative else 0))


_RELATIVE = re.compile(r"(-?)([0-9]{1,6})([smhdw])")
_UNITS: Final[Mapping[str, int]] = {
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
}
_ABSOLUTE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)([Zz]|[+ -][0-9]{2}:[0-9]{2})?)?"
)


def _time(description: str) -> Parameter:
    examples = ["2026-11-24T03:55:00Z", "2026-11-24", "-24h"]
    expected = "a time such as {}, {} or {}".format(*examples)
    schema: Json = {"type": "string", "examples": examples}
    return Parameter(description, expected, schema, Time.parse)


_QUEUE = text(
    "Name or ARN of a job queue",
    expected="a job queue name (1 to 128 letters, digits, dots, dashes and underscores) or its ARN",
    pattern=QUEUE_PATTERN,
    most=300,
    convert=queue_name,
)
_STATUSES = choices(
    "One or more statuses, repeated or separated by commas, in upper or lower case",
    of=LISTED_STATUSES,
)
_NAME = text(
    "Beginning of the job name",
    expected=f"the beginning of a job name (1 to {MAX_NAME} characters)",
    pattern=r"\S",
    most=MAX_NAME,
)
_LIMIT = capped_number("Maximum number of jobs on the page; more than 100 is 100", most=100)
_NEXT_TOKEN = text(
    "The nextToken of the previous page of the same query",
    expected="a nextToken (1 to 2000 characters)",
    pattern=r"\S",
    most=2_000,
)
_WAIT = number(
    "Maximum number of seconds to wait until the job's status changes or, with If-None-Match, until"
    " the job is no longer that version",
    most=25,
)
"""API Gateway ends a request after 29 seconds."""


class NoParameters(Query, frozen=True):
    """The query of a route without parameters."""


class JobsQuery(Query, frozen=True):
    queue: Annotated[str | None, _QUEUE] = None
    status: Annotated[tuple[str, ...] | None, _STATUSES] = None
    name: Annotated[str | None, _NAME] = None
    since: Annotated[Time | None, _time("Jobs that entered their status then or later")] = None
    until: Annotated[Time | None, _time("Jobs that entered their status before")] = None
    limit: Annotated[int, _LIMIT] = 25
    next_token: Annotated[str | None, _NEXT_TOKEN] = None

    def window(self, now: int) -> TimeRange:
        """Return the time range in which the jobs entered their status. `now` is epoch
        milliseconds."""
        return TimeRange(
            self.since.at(now) if self.since else ANY_TIME.since,
            self.until.at(now) if self.until else ANY_TIME.until,
        )

    def filter(self, now: int) -> Callable[[Job], bool] | None:
        """Return a test of a job's status and its time, or None if any job passes."""
        window, statuses = self.window(now), self.status
        if statuses is None and window == ANY_TIME:
            return None
        return lambda job: (
            window.includes(job) and (statuses is None or listed_status(job.status) in statuses)
        )


class ChildrenQuery(Query, frozen=True):
    status: Annotated[tuple[str, ...] | None, _STATUSES] = None
    limit: Annotated[int, _LIMIT] = 25
    next_token: Annotated[str | None, _NEXT_TOKEN] = None


class QueuesQuery(Query, frozen=True):
    next_token: Annotated[str | None, _NEXT_TOKEN] = None


PageQuery = JobsQuery | ChildrenQuery | QueuesQuery


def identity(query: PageQuery) -> str:
    """Return the query without its place in the list. Page tokens are bound to it. A relative time
    is another moment for each page, but the query is the same."""
    place = {"limit": 1, "next_token": None}
    known = {name: value for name, value in place.items() if name in query.__struct_fields__}
    anywhere = msgspec.structs.replace(query, **known)
    return f"{type(query).__name__} {msgspec.json.encode(anywhere).decode()}"


class JobQuery(Query, frozen=True):
    wait: Annotated[int | None, _WAIT] = None


_CONTAINER = text(
    "Name of a container, if the job has several; default: the one that determined the result",
    expected="the name of a container",
    pattern=r"\S",
    most=255,
)


class LogQuery(Query, frozen=True):
    attempt: Annotated[int | None, number("Attempt, from 1; default: the last", most=1_000)] = None
    container: Annotated[str | None, _CONTAINER] = None
    lines: Annotated[int, number("Maximum number of lines", most=1_000)] = 100
