"""Paging while events keep arriving: what did not change meanwhile comes exactly once."""

import itertools
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.jobs.job_index import JobIndex, Page, StatusPartition
from chalicelib.table_keys import SHARDS
from tests.support.builders import NOON, a_body, a_job_id
from tests.support.recorder_harness import RecorderHarness

STATUSES = ("RUNNABLE", "RUNNING", "SUCCEEDED")
JOBS = 24

_examples = itertools.count()


class Arrival(NamedTuple):
    job: int
    status: str
    second: int


ARRIVALS = st.builds(
    Arrival, st.integers(0, JOBS - 1), st.sampled_from(STATUSES), st.integers(0, 20)
)
Read = Callable[[JobIndex, str, int, str | None], Page]


def by_time(table: JobIndex, queue: str, limit: int, after: str | None) -> Page:
    places = [StatusPartition(queue, status) for status in STATUSES]
    return table.newest(places, limit=limit, after=after)


def by_name(table: JobIndex, queue: str, limit: int, after: str | None) -> Page:
    return table.named("n", [queue], limit=limit, after=after)


def some_by_name(table: JobIndex, queue: str, limit: int, after: str | None) -> Page:
    return table.named(
        "n", [queue], limit=limit, after=after, wanted=lambda job: job.status != "RUNNING"
    )


@pytest.mark.parametrize("read", [by_time, by_name, some_by_name])
def test_paging_neither_repeats_nor_skips_what_did_not_change(
    harness: RecorderHarness, read: Read
) -> None:
    @settings(max_examples=8, deadline=None, derandomize=True, database=None)
    @given(
        before=st.lists(ARRIVALS, min_size=10, max_size=40),
        meanwhile=st.lists(st.lists(ARRIVALS, max_size=6), max_size=6),
        limit=st.integers(2, 12),
    )
    def holds(before: list[Arrival], meanwhile: list[list[Arrival]], limit: int) -> None:
        queue, ids = f"queue-{next(_examples)}", [a_job_id() for _ in range(JOBS)]
        arrive(harness, queue, ids, before)
        there = read(harness.index, queue, 100, None).jobs
        arrivals = iter(meanwhile)

        page = read(harness.index, queue, limit, None)
        pages = [page.jobs]
        while page.last is not None:
            arrive(harness, queue, ids, next(arrivals, []))
            page = read(harness.index, queue, limit, page.last)
            pages.append(page.jobs)

        told = [job.job_id for page in pages for job in page]
        unchanged = [job.job_id for job in there if harness.job(job.job_id) == job]
        assert [job_id for job_id in told if job_id in unchanged] == unchanged
        assert all(len({job.job_id for job in page}) == len(page) <= limit for page in pages)

    holds()


def arrive(
    harness: RecorderHarness, queue: str, ids: list[str], arrivals: Iterable[Arrival]
) -> None:
    arn = f"arn:aws:batch:us-east-1:000000000000:job-queue/{queue}"
    bodies = [
        a_body(
            jobId=ids[arrival.job],
            jobName=f"n-{arrival.job % 3}",
            jobQueue=arn,
            status=arrival.status,
            at=NOON + arrival.second * 1000,
        )
        for arrival in arrivals
    ]
    if bodies:
        harness.record(bodies)


def test_a_job_that_moves_between_two_reads_of_a_page_is_on_it_once(
    harness: RecorderHarness,
) -> None:
    """All partitions of RUNNABLE are read before it moves, those of RUNNING after."""
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNABLE")])
    places = [
        StatusPartition("high-priority", "RUNNABLE"),
        StatusPartition("high-priority", "RUNNING"),
    ]
    read, moved = itertools.count(1), threading.Event()

    def wait_to_read_running(request: Any, **_: object) -> None:
        if b"#RUNNING#" in request.body:
            assert moved.wait(timeout=30)

    def move(**_: object) -> None:
        if next(read) == SHARDS:
            harness.record([a_body(jobId=job_id, status="RUNNING", at=NOON + 5_000)])
            moved.set()

    harness.dynamodb.meta.events.register("before-send.dynamodb.Query", wait_to_read_running)
    harness.dynamodb.meta.events.register("after-call.dynamodb.Query", move)
    page = harness.index.newest(places, limit=10)

    assert [(job.job_id, job.status) for job in page.jobs] == [(job_id, "RUNNING")]
