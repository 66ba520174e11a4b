"""Messages about array jobs: the first failed child, and the end with all children counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from chalicelib.jobs import failure
from chalicelib.jobs.durations import durations
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import Job, JobId, JobStatus
from chalicelib.notices.notice import CHILD_FAILED
from chalicelib.text_format import duration
from chalicelib.webex.markdown import Item, listed, plain
from chalicelib.webex.text.layout import MessageLayout, lines
from chalicelib.webex.text.phrases import (
    MAX_LIST_BYTES,
    TIMES,
    after_colon,
    failure_in_short,
    headline,
    job_name,
    queue_name,
    sign,
    why,
)

_RANGE: Final = "\N{EN DASH}"
_SHORTEST_RANGE: Final = 3


@dataclass(frozen=True, slots=True)
class ArrayOutcome:
    """The results of an array's children.

    `failed_indexes` are in ascending order. `causes` counts the failed children by cause in words,
    the most frequent first.
    """

    size: int
    succeeded: int
    failed: int
    failed_indexes: tuple[int, ...] = ()
    causes: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, size: int, children: Iterable[Job]) -> Self:
        """Count the children that have ended, given in any order."""
        succeeded = 0
        causes: dict[int, str] = {}
        for child in children:
            succeeded += child.status == JobStatus.SUCCEEDED
            if child.status == JobStatus.FAILED:
                causes[JobId.parse(child.job_id).index] = failure_in_short(child)
        by_frequency = dict(Counter(causes.values()).most_common())
        return cls(size, succeeded, len(causes), tuple(sorted(causes)), by_frequency)

    @property
    def without_result(self) -> int:
        """Return the number of children whose end is not recorded."""
        return max(0, self.size - self.succeeded - self.failed)


def first_failure(child: Job, array_size: int | None, layout: MessageLayout) -> str:
    """Return the message about the first failed child of an array that is still running."""
    index = JobId.parse(child.job_id).index
    of_size = f" of {array_size:,}" if array_size else ""
    return layout.job_message(
        f"{sign(CHILD_FAILED)} A child of {job_name(child)} failed in {queue_name(child)}"
        f"{after_colon(why(child))}",
        plain(failure.failure_of(child.details).explanation),
        f"Child {index:,}{of_size} is the first known to have failed. "
        "One more message will tell how all of them ended.",
        child,
    )


def ended(job: Job, outcome: ArrayOutcome, layout: MessageLayout) -> str:
    """Return the message that an array ended, with the results of its children."""
    seconds = durations(job, job.since).total_seconds
    return layout.job_message(
        f"{headline(job)} in {queue_name(job)}: {_short_result(job, outcome)}",
        lines(_own_failure(job), *_results(outcome)),
        f"Took {duration(seconds)}" if seconds is not None else "",
        job,
    )


def index_ranges(indexes: Sequence[int]) -> list[Item]:
    """Return ascending indexes as list items; three or more consecutive ones become a range."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return [item for run in runs for item in _items(run)]


def _items(run: Sequence[int]) -> list[Item]:
    if len(run) < _SHORTEST_RANGE:
        return [Item(str(index)) for index in run]
    return [Item(f"{run[0]}{_RANGE}{run[-1]}", len(run))]


def _short_result(job: Job, outcome: ArrayOutcome) -> str:
    if not outcome.failed:
        failed = job.status == JobStatus.FAILED
        return failure_in_short(job) if failed else f"all {outcome.size:,} children"
    own_cause = f"{failure_in_short(job)}; " if _own_failure(job) else ""
    most_frequent, *others = [plain(cause) for cause in outcome.causes] or [""]
    cause = f", {'most often ' if others else ''}{most_frequent}" if most_frequent else ""
    return f"{own_cause}{outcome.failed:,} of {outcome.size:,} children{cause}"


def _own_failure(job: Job) -> str:
    """Return why the array itself failed, or "" if it failed because of its children."""
    if job.status != JobStatus.FAILED:
        return ""
    found = failure.failure_of(job.details)
    if found.cause in (Cause.CHILD_FAILED, Cause.UNKNOWN):
        return ""
    return plain(found.explanation)


def _results(outcome: ArrayOutcome) -> Iterator[str]:
    if outcome.failed or outcome.without_result:
        missing = outcome.without_result
        rest = f", nothing was heard of {missing:,}" if missing else ""
        yield f"{outcome.succeeded:,} succeeded, {outcome.failed:,} failed{rest}"
    if outcome.failed_indexes:
        yield f"Failed: {listed(index_ranges(outcome.failed_indexes), MAX_LIST_BYTES)}"
    if len(outcome.causes) > 1:
        causes = [
            Item(f"{count:,}{TIMES} {plain(cause)}") for cause, count in outcome.causes.items()
        ]
        yield f"Causes: {listed(causes, MAX_LIST_BYTES)}"
