"""Paging while events arrive: a job that does not change meanwhile is listed exactly once."""

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.jobs.job_index import JobIndex, Page, StatusPartition
from tests.support.builders import NOON, a_body, a_job_id
from tests.support.recorder_harness import RecorderHarness

STATUSES = ("RUNNABLE", "RUNNING", "SUCCEEDED")
JOBS = 24

_examples = itertools.count()


class ChangeEvent(NamedTuple):
    job: int
    status: str
    second: int


EVENTS = st.builds(
    ChangeEvent, st.integers(0, JOBS - 1), st.sampled_from(STATUSES), st.integers(0, 20)
)
Read = Callable[[JobIndex, str, int, str | None], Page]


def by_time(index: JobIndex, queue: str, limit: int, after: str | None) -> Page:
    partitions = [StatusPartition(queue, status) for status in STATUSES]
    return index.newest(partitions, limit=limit, after=after)


def by_name(index: JobIndex, queue: str, limit: int, after: str | None) -> Page:
    return index.named("n", [queue], limit=limit, after=after)


def some_by_name(index: JobIndex, queue: str, limit: int, after: str | None) -> Page:
    return index.named(
        "n", [queue], limit=limit, after=after, wanted=lambda job: job.status != "RUNNING"
    )


@pytest.mark.parametrize("read", [by_time, by_name, some_by_name])
def test_an_unchanged_job_is_on_exactly_one_page(harness: RecorderHarness, read: Read) -> None:
    @settings(max_examples=8, deadline=None, derandomize=True, database=None)
    @given(
        before=st.lists(EVENTS, min_size=10, max_size=40),
        meanwhile=st.lists(st.lists(EVENTS, max_size=6), max_size=6),
        limit=st.integers(2, 12),
    )
    def holds(before: list[ChangeEvent], meanwhile: list[list[ChangeEvent]], limit: int) -> None:
        queue, ids = f"queue-{next(_examples)}", [a_job_id() for _ in range(JOBS)]
        record_events(harness, queue, ids, before)
        before_paging = read(harness.index, queue, 100, None).jobs
        new_events = iter(meanwhile)

        page = read(harness.index, queue, limit, None)
        pages = [page.jobs]
        while page.last is not None:
            record_events(harness, queue, ids, next(new_events, []))
            page = read(harness.index, queue, limit, page.last)
            pages.append(page.jobs)

        listed = [job.job_id for page in pages for job in page]
        unchanged = [job.job_id for job in before_paging if harness.job(job.job_id) == job]
        assert [job_id for job_id in listed if job_id in unchanged] == unchanged
        assert all(len({job.job_id for job in page}) == len(page) <= limit for page in pages)

    holds()


def record_events(
    harness: RecorderHarness, queue: str, ids: list[str], events: Iterable[ChangeEvent]
) -> None:
    arn = f"arn:aws:batch:us-east-1:000000000000:job-queue/{queue}"
    bodies = [
        a_body(
            jobId=ids[event.job],
            jobName=f"n-{event.job % 3}",
            jobQueue=arn,
            status=event.status,
            at=NOON + event.second * 1000,
        )
        for event in events
    ]
    if bodies:
        harness.record(bodies)


def test_a_job_that_changes_status_during_the_queries_of_a_page_is_listed_once(
    harness: RecorderHarness,
) -> None:
    """The active jobs are queried before the change, those that failed after it."""
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNABLE")])
    partitions = [
        StatusPartition("high-priority", "RUNNABLE"),
        StatusPartition("high-priority", "FAILED"),
    ]
    changed = threading.Event()

    def wait_to_read_failed(request: Any, **_: object) -> None:
        if b"#FAILED" in request.body:
            assert changed.wait(timeout=30)

    def change(**_: object) -> None:
        if not changed.is_set():
            harness.record([a_body(jobId=job_id, status="FAILED", at=NOON + 5_000)])
            changed.set()

    harness.dynamodb.meta.events.register("before-send.dynamodb.Query", wait_to_read_failed)
    harness.dynamodb.meta.events.register("after-call.dynamodb.Query", change)
    page = harness.index.newest(partitions, limit=10)

    assert [(job.job_id, job.status) for job in page.jobs] == [(job_id, "FAILED")]
