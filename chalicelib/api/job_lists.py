"""Lists of jobs in pages: all jobs that the scope of a token covers, and the children of a job."""

from chalicelib.api.access import Scope
from chalicelib.api.errors import QueueNotFound
from chalicelib.api.jobs import Jobs
from chalicelib.api.parameters.page_token import PageTokens
from chalicelib.api.parameters.queries import ChildrenQuery, JobsQuery, identity
from chalicelib.api.representation.job import JobPage
from chalicelib.jobs.job import LISTED_STATUSES, Job
from chalicelib.jobs.job_index import JobIndex, Page, StatusPartition
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.runtime import Runtime


class JobLists:
    def __init__(
        self,
        jobs: Jobs,
        index: JobIndex,
        registry: QueueRegistry,
        tokens: PageTokens,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._jobs = jobs
        self._index = index
        self._registry = registry
        self._tokens = tokens
        self._runtime = runtime

    def page(self, query: JobsQuery, scope: Scope) -> JobPage:
        """Return root jobs: by name if the query has a name, otherwise the last change first.

        Raises QueueNotFound and InvalidNextToken.
        """
        after = self._position(query.next_token, identity(query))
        covered = self._queues(query.queue, scope)
        now = self._runtime.now_ms()
        if query.name is not None:
            page = self._index.named(
                query.name, covered, limit=query.limit, after=after, wanted=query.filter(now)
            )
        else:
            partitions = [
                StatusPartition(queue, status)
                for queue in covered
                for status in query.status or LISTED_STATUSES
            ]
            page = self._index.newest(
                partitions, limit=query.limit, after=after, window=query.window(now)
            )
        return self._body(page, identity(query))

    def children(self, parent: Job, query: ChildrenQuery, scope: Scope) -> JobPage:
        """Return the children of an array or the nodes of a multi-node job, by index.

        Raises InvalidNextToken.
        """
        token_query = f"{parent.job_id} {identity(query)}"
        after = self._position(query.next_token, token_query)
        page = self._index.children_page(
            parent, limit=query.limit, after=after, statuses=query.status
        )
        covered = [job for job in page.jobs if scope.covers(job.queue)]
        return self._body(Page(covered, page.last), token_query)

    def _queues(self, queue: str | None, scope: Scope) -> list[str]:
        """Return the named queue, or all queues that the scope covers."""
        if queue is None:
            return [name for name in self._registry.names() if scope.covers(name)]
        if not scope.covers(queue) or not self._registry.contains(queue):
            raise QueueNotFound(queue)
        return [queue]

    def _position(self, token: str | None, token_query: str) -> str | None:
        return None if token is None else self._tokens.position(token, token_query)

    def _body(self, page: Page, token_query: str) -> JobPage:
        token = self._tokens.issue(page.last, token_query) if page.last else None
        return JobPage(self._jobs.summaries(page.jobs), token)
