"""Query parameters, checked: what is wrong is told by name, a misspelled one included."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from chalicelib.job_table import LISTED_STATUSES

MOST_JOBS, USUAL_JOBS = 100, 25
_LONGEST_VALUE = 2_000

Query = Mapping[str, Sequence[str]]
"""Each parameter's values, in order."""


class BadParameter(ValueError):
    """Names the parameter and what is wrong with it."""


class JobsQuery(Struct, frozen=True):
    """`queue` and `statuses` are None for all."""

    queue: str | None
    statuses: tuple[str, ...] | None
    limit: int
    next_token: str | None

    @property
    def identity(self) -> str:
        """What a page token is bound to: the query without the place in it."""
        return f"jobs {self.queue} {self.statuses}"


def jobs_query(query: Query) -> JobsQuery:
    """Raises BadParameter."""
    _refuse_unknown(query, known=("queue", "status", "limit", "nextToken"))
    return JobsQuery(
        queue=_one(query, "queue"),
        statuses=_statuses(query),
        limit=_limit(query),
        next_token=_one(query, "nextToken"),
    )


def _refuse_unknown(query: Query, known: Sequence[str]) -> None:
    for name, values in query.items():
        if name not in known:
            raise BadParameter(f"{name[:100]}: no such parameter. There are: {', '.join(known)}")
        if any(len(value) > _LONGEST_VALUE for value in values):
            raise BadParameter(f"{name}: longer than {_LONGEST_VALUE} characters")


def _one(query: Query, name: str) -> str | None:
    values = query.get(name, ())
    if len(values) > 1:
        raise BadParameter(f"{name}: given {len(values)} times, expected once")
    if values and not values[0].strip():
        raise BadParameter(f"{name}: is empty")
    return values[0].strip() if values else None


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


def _limit(query: Query) -> int:
    text = _one(query, "limit")
    if text is None:
        return USUAL_JOBS
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MOST_JOBS):
        raise BadParameter(f"limit: {text[:50]!r} is not a number from 1 to {MOST_JOBS}")
    return int(text)
