"""Query parameters, checked: what is wrong is told by name, a misspelled one included."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
from msgspec import Struct

from chalicelib.jobs.job import LISTED_STATUSES, Job, listed_status
from chalicelib.jobs.job_index import ANY_TIME, TimeRange

MOST_JOBS, USUAL_JOBS = 100, 25
MOST_LINES, USUAL_LINES = 1_000, 100
MOST_ATTEMPTS = 1_000
MOST_WAIT = 25
"""Seconds: API Gateway ends a request after 29."""
LONGEST_NAME = 200
"""Characters, as many as the record keeps. DynamoDB refuses keys of more than 1,024 bytes."""
_LONGEST_VALUE = 2_000

Query = Mapping[str, Sequence[str]]
"""Each parameter's values, in order."""


class BadParameter(ValueError):
    """Names the parameter and what is wrong with it."""


class Filter(Struct, frozen=True):
    """Which jobs are asked for: those that meet all of it. None stands for all."""

    queue: str | None = None
    statuses: tuple[str, ...] | None = None
    name: str | None = None
    window: TimeRange = ANY_TIME

    def keeps(self, job: Job) -> bool:
        listed = self.statuses is None or listed_status(job.status) in self.statuses
        return listed and self.window.includes(job)


class PageQuery(Struct, frozen=True):
    """`identity` is what a page token is bound to: the query as it was asked, without the place
    in it. Its relative times mean another window with each page, but still the same query."""

    filter: Filter
    limit: int
    next_token: str | None
    identity: str


def jobs_query(query: Query, now: int) -> PageQuery:
    """`now` in epoch milliseconds. Raises BadParameter."""
    known = ("queue", "status", "name", "since", "until", "limit", "nextToken")
    _refuse_unknown(query, known)
    window = TimeRange(
        _moment(query, "since", now, ANY_TIME.since), _moment(query, "until", now, ANY_TIME.until)
    )
    wanted = Filter(_queue(query), _statuses(query), _name(query), window)
    times = _one(query, "since"), _one(query, "until")
    return _page_query(query, wanted, "jobs", wanted.queue, wanted.name, *times)


def children_query(query: Query, job_id: str) -> PageQuery:
    """Raises BadParameter."""
    _refuse_unknown(query, ("status", "limit", "nextToken"))
    return _page_query(query, Filter(statuses=_statuses(query)), "children", job_id)


def wait_query(query: Query) -> int:
    """Seconds. Raises BadParameter."""
    _refuse_unknown(query, ("wait",))
    return _number(query, "wait", 0, MOST_WAIT)


class LogsQuery(Struct, frozen=True):
    """`attempt` counts from 1; None for the last."""

    attempt: int | None
    lines: int


def logs_query(query: Query) -> LogsQuery:
    """Raises BadParameter."""
    _refuse_unknown(query, ("attempt", "lines"))
    attempt = _number(query, "attempt", 0, MOST_ATTEMPTS)
    return LogsQuery(attempt or None, _number(query, "lines", USUAL_LINES, MOST_LINES))


def no_query(query: Query) -> None:
    """Raises BadParameter."""
    _refuse_unknown(query, ())


def _page_query(query: Query, wanted: Filter, *asked: str | None) -> PageQuery:
    identity = msgspec.json.encode([*asked, wanted.statuses]).decode()
    return PageQuery(
        wanted, _number(query, "limit", USUAL_JOBS, MOST_JOBS), _one(query, "nextToken"), identity
    )


def _refuse_unknown(query: Query, known: Sequence[str]) -> None:
    for name, values in query.items():
        if name not in known:
            there = f"are: {', '.join(known)}" if known else "is none"
            raise BadParameter(f"{name[:100]}: no such parameter. There {there}")
        if any(len(value) > _LONGEST_VALUE for value in values):
            raise BadParameter(f"{name}: longer than {_LONGEST_VALUE} characters")


def _one(query: Query, name: str) -> str | None:
    values = query.get(name, ())
    if len(values) > 1:
        raise BadParameter(f"{name}: given {len(values)} times, expected once")
    if values and not values[0].strip():
        raise BadParameter(f"{name}: is empty")
    return values[0].strip() if values else None


def _queue(query: Query) -> str | None:
    """Its name becomes part of a key, so it must be one."""
    name = _one(query, "queue")
    if name is not None and not re.fullmatch("[A-Za-z0-9_.-]{1,128}", name):
        raise BadParameter(f"queue: {name[:50]!r} is not the name of a job queue")
    return name


def _name(query: Query) -> str | None:
    name = _one(query, "name")
    if name is not None and len(name) > LONGEST_NAME:
        raise BadParameter(f"name: longer than {LONGEST_NAME} characters")
    return name


def _statuses(query: Query) -> tuple[str, ...] | None:
    """Repeated, or a comma list, in any case."""
    if "status" not in query:
        return None
    wanted = [part.strip().upper() for value in query["status"] for part in value.split(",")]
    for status in wanted:
        if status not in LISTED_STATUSES:
            known = ", ".join(LISTED_STATUSES)
            raise BadParameter(f"status: {status[:50]!r} is none of {known}")
    return tuple(sorted(set(wanted)))


def _number(query: Query, name: str, usual: int, most: int) -> int:
    text = _one(query, name)
    if text is None:
        return usual
    if not (re.fullmatch("[0-9]{1,4}", text) and 1 <= int(text) <= most):
        raise BadParameter(f"{name}: {text[:50]!r} is not a number from 1 to {most}")
    return int(text)


def _moment(query: Query, name: str, now: int, default: int) -> int:
    """Epoch milliseconds. A space stands for the `+` that it was before it came in a URL."""
    text = _one(query, name)
    if text is None:
        return default
    if relative := _RELATIVE.fullmatch(text):
        return max(0, now - int(relative[1]) * _UNITS[relative[2]])
    if absolute := _ABSOLUTE.fullmatch(text):
        day, clock, offset = absolute.groups()
        zone = (offset or "Z").upper().replace(" ", "+")
        with suppress(ValueError):
            moment = datetime.fromisoformat(f"{day}T{clock or '00:00:00'}{zone}")
            return max(0, round(moment.timestamp() * 1000))
    raise BadParameter(
        f"{name}: {text[:50]!r} is no time like 2026-11-24T03:55:00Z or 2026-11-24,"
        " nor like -30m, -24h or -7d"
    )


_RELATIVE = re.compile(r"-([0-9]{1,6})([smhdw])")
_UNITS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_ABSOLUTE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?)([Zz]|[+ -][0-9]{2}:[0-9]{2}))?"
)
