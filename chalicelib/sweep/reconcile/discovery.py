"""Source of candidates: jobs that Batch lists and that the table does not contain.

A queue's cursor moves from its newest job back to the creation time at which the previous cursor
started; the first cursor goes back as far as Batch keeps jobs. It is stored after each page.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chalicelib import telemetry
from chalicelib.jobs.job_table import JobTable
from chalicelib.queues.missing_events import MAX_DELIVERY_MS
from chalicelib.sweep.batch_api import (
    RETENTION_MS,
    BatchApi,
    BatchRefused,
    CallBudget,
    ListedJob,
    ListedPage,
)
from chalicelib.sweep.reconcile.checkpoint_table import Cursor
from chalicelib.sweep.reconcile.checkpoints import Checkpoints
from chalicelib.sweep.reconcile.missing_children import MissingChildren
from chalicelib.sweep.reconcile.run import RunStart
from chalicelib.sweep.reconcile.source import Candidate, load_records
from chalicelib.telemetry import LogEvent


class CursorPosition(NamedTuple):
    queue: str
    cursor: Cursor


class Discovery:
    """`registered` contains the queues of recorded jobs, and whether each contains service jobs: a
    queue contains either only service jobs or none.

    `refusal` is the error of a queue that Batch refused to list, unless only that queue is
    concerned. It does not keep the other queues from being listed.
    """

    def __init__(
        self,
        api: BatchApi,
        jobs: JobTable,
        checkpoints: Checkpoints,
        missing_children: MissingChildren,
        registered: Mapping[str, bool],
        start: RunStart,
    ) -> None:
        self.has_more = False
        self.refusal: BatchRefused | None = None
        self._api = api
        self._jobs = jobs
        self._checkpoints = checkpoints
        self._missing_children = missing_children
        self._registered = registered
        self._start = start

    def candidates(self, budget: CallBudget) -> Iterator[Candidate[CursorPosition]]:
        """Yield the jobs of all queues, beginning with the queue whose cursor is the oldest.

        Each queue but the last may use half of the remaining calls, so that a long list of one
        queue does not starve the others.
        """
        queues = sorted(self._checkpoints.queues, key=self._cursor_started_at)
        for behind, queue in zip(reversed(range(len(queues))), queues, strict=True):
            kept_calls = budget.calls_left // 2 if behind else 0
            try:
                yield from self._candidates_of(queue, budget, kept_calls)
            except BatchRefused as error:
                telemetry.warning(LogEvent.QUEUE_NOT_LISTED, queue=queue, reason=str(error))
                if not error.concerns_one_resource:
                    self.refusal = error
                postponed = self._cursor(queue).postponed(self._start.now)
                yield Candidate(position=CursorPosition(queue, postponed))

    def commit(self, candidate: Candidate[CursorPosition]) -> None:
        if candidate.position:
            self._checkpoints.set_cursor(*candidate.position)

    def _cursor_started_at(self, queue: str) -> int:
        cursor = self._checkpoints.cursor(queue)
        return cursor.next_floor if cursor else 0

    def _cursor(self, queue: str) -> Cursor:
        """Return the queue's cursor if it is under way, else a new one that starts at the newest
        job whose events should have arrived."""
        cursor = self._checkpoints.cursor(queue) or Cursor(floor=self._start.now - RETENTION_MS)
        return cursor.started(
            position=self._start.events_due_before, next_floor=self._start.now - MAX_DELIVERY_MS
        )

    def _candidates_of(
        self, queue: str, budget: CallBudget, kept_calls: int
    ) -> Iterator[Candidate[CursorPosition]]:
        cursor = self._cursor(queue)
        created_before = cursor.position or 0
        is_complete = created_before <= cursor.floor
        page: ListedPage | None = None
        while not is_complete:
            if budget.calls_left <= max(kept_calls, budget.reserved):
                self.has_more = True
                return
            page = self._next_page(queue, created_before, page)
            listed = [job for job in page.jobs if (job.created_at or cursor.floor) >= cursor.floor]
            self._missing_children.add_parents(queue, listed)
            for job_id in self._without_record(listed):
                yield Candidate(job_id, is_service=page.is_of_service_jobs)
            is_complete = page.token is None or len(listed) < len(page.jobs)
            dates = [job.created_at for job in page.jobs if job.created_at]
            if dates and not is_complete:
                # The next page may contain other jobs of the same millisecond.
                yield Candidate(position=CursorPosition(queue, cursor.at(dates[-1] + 1)))
        yield Candidate(position=CursorPosition(queue, cursor.completed()))

    def _next_page(self, queue: str, created_before: int, page: ListedPage | None) -> ListedPage:
        """Return the page after `page`, or the first one if it is None."""
        if page:
            service_jobs, token = page.is_of_service_jobs, page.token
        elif queue in self._registered:
            service_jobs, token = self._registered[queue], None
        else:
            return self._first_page_of_either_kind(queue, created_before)
        return self._api.list_jobs(queue, created_before, token, service_jobs=service_jobs)

    def _first_page_of_either_kind(self, queue: str, created_before: int) -> ListedPage:
        """Return the first page of a queue without recorded jobs: its jobs if there are any, else
        its service jobs."""
        try:
            page = self._api.list_jobs(queue, created_before, None, service_jobs=False)
            if page.jobs or page.token:
                return page
        except BatchRefused as error:
            if not error.concerns_one_resource:
                raise
        return self._api.list_jobs(queue, created_before, None, service_jobs=True)

    def _without_record(self, listed: Sequence[ListedJob]) -> list[str]:
        job_ids = [job.job_id for job in listed]
        records = load_records(self._jobs, job_ids)
        return [
            job_id
            for job_id in job_ids
            if job_id not in records.jobs and job_id not in records.unread
        ]
