"""Messages about array jobs: the first failed child, and the end with all children counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from chalicelib.jobs import failure
from chalicelib.jobs.array_summary import Summary
from chalicelib.jobs.durations import durations
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import Job, JobId, JobStatus
from chalicelib.notices.notice import CHILD_FAILED
from chalicelib.text_format import duration, index_ranges
from chalicelib.webex.markdown import ListItem, escape, join_items
from chalicelib.webex.text.layout import MessageLayout, lines
from chalicelib.webex.text.phrases import (
    MAX_LIST_BYTES,
    TIMES,
    after_colon,
    causes_in_short,
    failure_in_short,
    headline,
    job_name,
    queue_name,
    sign,
    why,
)


@dataclass(frozen=True, slots=True)
class ArrayOutcome:
    """The results of an array's children.

    `failed_indexes` are in ascending order. `causes` counts a sample of the failed children by
    cause in words, the most frequent first. `unrecorded` children have no record of their end, so
    that they may be among the failed ones and are missing in both.
    """

    size: int
    succeeded: int
    failed: int
    failed_indexes: tuple[int, ...] = ()
    causes: Mapping[str, int] = field(default_factory=dict)
    unrecorded: int = 0

    @classmethod
    def of(cls, size: int, summary: Summary, sample: Iterable[Job] = ()) -> Self:
        """Return the outcome from an array's summary and a sample of its failed children, which
        provides the causes. The indexes are those of the summary."""
        failed = summary.counts.get(JobStatus.FAILED, 0)
        return cls(
            size,
            summary.counts.get(JobStatus.SUCCEEDED, 0),
            failed,
            summary.failed,
            dict(Counter(map(failure_in_short, sample)).most_common()),
            unrecorded=max(0, size - summary.ended) + max(0, failed - len(summary.failed)),
        )

    @property
    def without_result(self) -> int:
        """Return the number of children whose end is not recorded."""
        return max(0, self.size - self.succeeded - self.failed)


def child_failed(child: Job, array_size: int | None, layout: MessageLayout) -> str:
    """Return the message about the first failed child of an array that is still running."""
    index = JobId.parse(child.job_id).index
    among = f"of {array_size:,} child jobs" if array_size else "child job"
    return layout.job_message(
        f"{sign(CHILD_FAILED)} Child {index} of {job_name(child)} failed in {queue_name(child)}"
        f"{after_colon(why(child))}",
        escape(failure.failure_of(child.details).explanation),
        f"This is the first {among} known to have failed. "
        "Another notice follows when the array job ends.",
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


def _short_result(job: Job, outcome: ArrayOutcome) -> str:
    if not outcome.failed:
        failed = job.status == JobStatus.FAILED
        return failure_in_short(job) if failed else f"all {outcome.size:,} child jobs"
    own_cause = f"{failure_in_short(job)}; " if _own_failure(job) else ""
    causes = {escape(cause): count for cause, count in outcome.causes.items()}
    count = f"{outcome.failed:,} of {outcome.size:,} child jobs"
    return f"{own_cause}{count} failed{causes_in_short(causes, ' ({})')}"


def _own_failure(job: Job) -> str:
    """Return why the array itself failed, or "" if it failed because of its children."""
    if job.status != JobStatus.FAILED:
        return ""
    found = failure.failure_of(job.details)
    if found.cause in (Cause.CHILD_FAILED, Cause.UNKNOWN):
        return ""
    return escape(found.explanation)


def _results(outcome: ArrayOutcome) -> Iterator[str]:
    if outcome.failed or outcome.without_result:
        missing = outcome.without_result
        rest = f", {missing:,} with no recorded result" if missing else ""
        yield f"{outcome.succeeded:,} succeeded, {outcome.failed:,} failed{rest}"
    if outcome.failed_indexes:
        items = [ListItem(*found) for found in index_ranges(outcome.failed_indexes)]
        missing = outcome.failed - len(outcome.failed_indexes)
        rest = f"; {missing:,} more not recorded" if missing > 0 else ""
        indexes = join_items(items, MAX_LIST_BYTES) + rest
        is_one = outcome.failed == 1
        yield f"Failed child: index {indexes}" if is_one else f"Failed indexes: {indexes}"
    if len(outcome.causes) > 1:
        causes = [
            ListItem(f"{count:,}{TIMES} {escape(cause)}") for cause, count in outcome.causes.items()
        ]
        sampled = sum(outcome.causes.values())
        of_sample = f" of {sampled:,} of them" if sampled < outcome.failed else ""
        yield f"Causes{of_sample}: {join_items(causes, MAX_LIST_BYTES)}"
