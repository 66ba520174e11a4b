"""The answers about jobs, within the scope of the token that asks."""

import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote

from chalicelib.api.access import Scope
from chalicelib.api.pages import BadPageToken, page_token, place_of
from chalicelib.api.parameters import BadParameter, jobs_query
from chalicelib.api.representation import JobBody, JobPage, job_body, job_summary
from chalicelib.job import JobId
from chalicelib.job_table import LISTED_STATUSES, JobTable, Place


class NoSuchJob(LookupError):
    """There is none, or not for this token: the two can't be told apart."""


class Jobs:
    """`page_key` signs page tokens; `clock` gives epoch seconds."""

    def __init__(
        self,
        table: JobTable,
        page_key: Callable[[], bytes],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._page_key = page_key
        self._clock = clock

    def one(self, job_id: str, scope: Scope) -> JobBody:
        """`job_id` as in the path: some gateways decode it, some don't. Raises NoSuchJob."""
        wanted = unquote(job_id)
        try:
            JobId.parse(wanted)
        except ValueError as error:
            raise NoSuchJob(f"{wanted[:200]!r} {error}") from error
        job = self._table.get(wanted)
        if job is None or not scope.covers(job.queue):
            raise NoSuchJob(f"no job {wanted} was heard of")
        return job_body(job, self._table.describe(job), self._now())

    def page(self, query: Mapping[str, Sequence[str]], scope: Scope) -> JobPage:
        """Raises BadParameter."""
        wanted = jobs_query(query)
        queues = [wanted.queue] if wanted.queue else self._table.queues()
        places = [
            Place(queue, status)
            for queue in queues
            if scope.covers(queue)
            for status in wanted.statuses or LISTED_STATUSES
        ]
        after = None
        if wanted.next_token:
            try:
                after = place_of(wanted.next_token, wanted.identity, self._page_key())
            except BadPageToken as error:
                raise BadParameter("nextToken: is not one of this query's") from error
        page = self._table.newest(places, limit=wanted.limit, after=after)
        return JobPage(
            jobs=[job_summary(job, self._now()) for job in page.jobs],
            next_token=page.last and page_token(page.last, wanted.identity, self._page_key()),
        )

    def _now(self) -> int:
        return int(self._clock() * 1000)
