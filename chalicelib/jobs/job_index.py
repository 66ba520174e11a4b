"""Lists jobs: by status and time, by name, and by their parent.

The API, the sweep and the notifier read these lists. Index by-status contains the whole record;
index by-name contains keys only, and its jobs are read from the table. An index is spread over
`SHARDS` partitions for each queue and status: a list queries all of them at once and merges the
rows, so its cost does not depend on the number of jobs.

Single jobs are read through `job_table`; `table_keys` contains the keys.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import TERMINAL, Job, listed_status
from chalicelib.jobs.job_table import JobTable, job_of
from chalicelib.table_keys import BY_NAME, BY_STATUS, LAST_SORT, SHARDS, Index

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef

_T = TypeVar("_T")
_U = TypeVar("_U")

_CONCURRENT_QUERIES = 16
_CHILDREN_EXAMINED = 1_000
"""Items that a query for children of some statuses reads: about the megabyte that it may."""
_NAMED_EXAMINED = 100
_ENDED_PER_QUERY = 500
_LAST_MOMENT = 999_999_999_999_999
"""Epoch milliseconds, with as many digits as the keys have."""


class StatusPartition(NamedTuple):
    """The part of index by-status for one queue and one of LISTED_STATUSES: its roots or its
    `members`, which are children and nodes."""

    queue: str
    status: str
    members: bool = False

    def shards(self) -> list[str]:
        """Return the partition keys of all shards."""
        return [
            table_keys.status_partition(self.queue, self.status, shard, members=self.members)
            for shard in range(SHARDS)
        ]


class TimeRange(NamedTuple):
    """A range of times in epoch milliseconds: `since` is included, `until` is not."""

    since: int = 0
    until: int = _LAST_MOMENT

    def includes(self, job: Job) -> bool:
        """Return whether the job entered its status within the range."""
        return self.since <= job.since < self.until


ANY_TIME = TimeRange()


class Page(NamedTuple):
    """Jobs in the order of their list.

    The next page is what follows after the sort key `last`; None on the last page. A page that is
    short or even empty need not be the last one.
    """

    jobs: list[Job]
    last: str | None


class IndexRow(NamedTuple):
    """A job and its sort key in index by-status, which is the order of several partitions."""

    sort: str
    job: Job


class IndexRows(NamedTuple):
    """Rows, and whether the partition has more of them."""

    rows: list[IndexRow]
    has_more: bool


class Count(NamedTuple):
    """A number of jobs; if it is not exact, there are more."""

    jobs: int
    is_exact: bool


class JobIndex:
    def __init__(self, client: "DynamoDBClient", table: str, jobs: JobTable) -> None:
        self._client = client
        self._table = table
        self._jobs = jobs
        # The pool is kept because starting its threads takes as long as their queries.
        self._threads = ThreadPoolExecutor(_CONCURRENT_QUERIES)

    # By status

    def newest(
        self,
        partitions: Iterable[StatusPartition],
        *,
        limit: int,
        after: str | None = None,
        window: TimeRange = ANY_TIME,
    ) -> Page:
        """Return the page after the one whose `last` is `after`: the jobs that entered their
        status last come first. One query for each shard of each partition."""
        first = table_keys.sortable_time(window.since)
        end = min(table_keys.sortable_time(window.until), after or LAST_SORT)
        if end <= first:
            return Page([], None)
        shards = [shard for each in dict.fromkeys(partitions) for shard in each.shards()]
        between = first, table_keys.just_before(end)
        read = partial(self._read_by_status, between=between, limit=_share(limit))
        rows, last = _merge(self._at_once(read, shards), limit, newest_first=True)
        by_job: dict[str, _Row] = {}
        for row in rows:
            # A job that changes status between two queries is in both results. Keep the newer row.
            by_job.setdefault(row.job_id, row)
        return Page(self._visible(row.item for row in by_job.values()), last)

    def oldest_in_status(
        self, partition: StatusPartition, *, before: int, after: str, limit: int
    ) -> IndexRows:
        """Return at most `limit` jobs that entered their status before a time (epoch milliseconds),
        the oldest first, starting after the row whose `sort` is `after`."""
        between = table_keys.just_after(after), table_keys.sortable_time(before)
        read = partial(self._read_by_status, between=between, limit=_share(limit), forward=True)
        rows, last = _merge(self._at_once(read, partition.shards()), limit, newest_first=False)
        jobs = [IndexRow(row.sort, job) for row in rows if (job := job_of(row.item))]
        return IndexRows(jobs, last is not None)

    def count(
        self,
        partitions: Sequence[StatusPartition],
        *,
        at_most: int,
        before: int = _LAST_MOMENT,
    ) -> dict[StatusPartition, Count]:
        """Count the jobs that entered each of these partitions before a time (epoch milliseconds).

        A count reads the record of every job that it counts, so it stops at about `at_most`.
        """
        share = at_most // SHARDS
        shards = [(each, shard) for each in partitions for shard in each.shards()]
        counted = self._at_once(lambda shard: self._count(shard[1], share, before), shards)
        counts = dict.fromkeys(partitions, Count(0, True))
        for (each, _), shard in zip(shards, counted, strict=True):
            known = counts[each]
            counts[each] = Count(known.jobs + shard.jobs, known.is_exact and shard.is_exact)
        return counts

    def ended(self, queue: str, window: TimeRange) -> Iterator[Job]:
        """Yield all jobs of a queue that ended in a time range, children and nodes included, the
        last one first. Pages are read as the iterator advances."""
        shards = [
            shard
            for status in TERMINAL
            for members in (False, True)
            for shard in StatusPartition(queue, status, members).shards()
        ]
        first = table_keys.sortable_time(window.since)
        end = table_keys.just_before(table_keys.sortable_time(window.until))
        read = partial(self._read_by_status, limit=_ENDED_PER_QUERY)
        first_pages = self._at_once(lambda shard: read(shard, between=(first, end)), shards)

        def rows(shard: str, page: _ShardRows) -> Iterator[_Row]:
            yield from page.rows
            while page.has_more:
                before = table_keys.just_before(page.rows[-1].sort)
                page = read(shard, between=(first, before))
                yield from page.rows

        merged = heapq.merge(
            *map(rows, shards, first_pages), key=lambda row: row.sort, reverse=True
        )
        for row in merged:
            yield from self._visible([row.item])

    # By name

    def named(
        self,
        prefix: str,
        queues: Iterable[str],
        *,
        limit: int,
        after: str | None = None,
        wanted: Callable[[Job], bool] | None = None,
    ) -> Page:
        """Return the page after the one whose `last` is `after`: root jobs whose names begin with
        `prefix`, by name and then the newest created first.

        One query for each queue and shard, and one read of the records. With `wanted`, examine at
        most a hundred jobs to find `limit` that match.
        """
        examined = _NAMED_EXAMINED if wanted else limit
        shards = [
            table_keys.name_partition(queue, shard, members=False)
            for queue in dict.fromkeys(queues)
            for shard in range(SHARDS)
        ]
        between = table_keys.just_after(after) if after else prefix, prefix + LAST_SORT
        read = partial(self._read_by_name, between=between, limit=_share(examined))
        rows, last = _merge(self._at_once(read, shards), examined, newest_first=False)
        jobs = self._read_jobs([row.job_id for row in rows])
        found = [
            IndexRow(row.sort, job)
            for row in rows
            if (job := jobs.pop(row.job_id, None)) and (wanted is None or wanted(job))
        ]
        if len(found) > limit:
            last = found[limit - 1].sort
        named = [row.job for row in found[:limit] if row.job.details.job_name.startswith(prefix)]
        return Page([job for job in named if not self._jobs.has_expired(job)], last)

    # By parent

    def children_page(
        self,
        parent: Job,
        *,
        limit: int,
        after: str | None = None,
        statuses: Sequence[str] | None = None,
    ) -> Page:
        """Return the page after the one whose `last` is `after`: an array's children or a
        multi-node job's nodes, by index, in one query. `statuses` are of LISTED_STATUSES."""
        if not parent.is_root:
            return Page([], None)
        root = parent.job_id
        members = (table_keys.children if parent.details.nodes is None else table_keys.nodes)(root)
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :root AND begins_with(sk, :members)",
            "ExpressionAttributeValues": {
                ":root": {"S": members.pk},
                ":members": {"S": members.sk},
            },
            "ProjectionExpression": "sk, jobId, #record, #status",
            "ExpressionAttributeNames": {"#record": "record", "#status": "status"},
            "Limit": _CHILDREN_EXAMINED if statuses else limit,
        }
        if after:
            query["ExclusiveStartKey"] = table_keys.job_partition_key(root, after)
        answer = self._client.query(**query)
        last = answer.get("LastEvaluatedKey", {}).get("sk", {}).get("S")
        page: list[Item] = []
        for item in answer["Items"]:
            if statuses and listed_status(item["status"]["S"]) not in statuses:
                continue
            if len(page) == limit:
                last = page[-1]["sk"]["S"]
                break
            page.append(item)
        return Page(self._visible(page), last)

    def children(self, root: str) -> Iterator[Job]:
        """Yield the children of an array, by index: one query for about a thousand of them."""
        children = table_keys.children(root)
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :root AND begins_with(sk, :children)",
            ExpressionAttributeValues={
                ":root": {"S": children.pk},
                ":children": {"S": children.sk},
            },
            ProjectionExpression="jobId, #record",
            ExpressionAttributeNames={"#record": "record"},
        )
        items = (dict(item) for page in pages for item in page["Items"])
        return (job for item in items if (job := job_of(item)))

    def members(self, root: str) -> set[str]:
        """Return the ids of the stored children and nodes of a job."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :root",
            ExpressionAttributeValues={":root": {"S": table_keys.job_partition(root)}},
            ProjectionExpression="jobId",
        )
        job_ids = {item["jobId"]["S"] for page in pages for item in page["Items"] if item}
        return job_ids - {root}

    # Queries

    def _at_once(self, read: Callable[[_T], _U], shards: Iterable[_T]) -> list[_U]:
        futures = [self._threads.submit(read, shard) for shard in shards]
        wait(futures)
        return [future.result() for future in futures]

    def _visible(self, items: Iterable[Item]) -> list[Job]:
        """Return the jobs of items, without those that can't be decoded or have expired."""
        jobs = (job for item in items if (job := job_of(item)))
        return [job for job in jobs if not self._jobs.has_expired(job)]

    def _read_jobs(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Return the jobs that are stored and can be decoded, by id.

        Raises TableUnavailable if DynamoDB returned only a part of them.
        """
        loaded = self._jobs.load(job_ids, consistent=False)
        if not {Outcome.REFUSED}.issuperset(loaded.unread.values()):
            raise TableUnavailable("DynamoDB returned only a part of the jobs: try again")
        return {job_id: stored.job for job_id, stored in loaded.jobs.items()}

    def _count(self, shard: str, at_most: int, before: int) -> Count:
        counted = 0
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": BY_STATUS.name,
            "KeyConditionExpression": (
                f"{BY_STATUS.partition} = :shard AND {BY_STATUS.sort} < :before"
            ),
            "ExpressionAttributeValues": {
                ":shard": {"S": shard},
                ":before": {"S": table_keys.sortable_time(before)},
            },
            "Select": "COUNT",
        }
        while counted < at_most:
            query["Limit"] = at_most - counted
            answer = self._client.query(**query)
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                return Count(counted, True)
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return Count(counted, False)

    def _read_by_status(
        self, shard: str, *, between: tuple[str, str], limit: int, forward: bool = False
    ) -> "_ShardRows":
        rows, has_more = self._query(BY_STATUS, shard, between, limit, forward=forward)
        return _ShardRows([_row_by_status(item) for item in rows], has_more)

    def _read_by_name(self, shard: str, *, between: tuple[str, str], limit: int) -> "_ShardRows":
        rows, has_more = self._query(BY_NAME, shard, between, limit, forward=True)
        return _ShardRows([_row_by_name(item) for item in rows], has_more)

    def _query(
        self, index: Index, shard: str, between: tuple[str, str], limit: int, *, forward: bool
    ) -> tuple[list[Item], bool]:
        """Return items of an index whose sort keys are within `between`, and whether there are
        more of them."""
        answer = self._client.query(
            TableName=self._table,
            IndexName=index.name,
            KeyConditionExpression=(
                f"{index.partition} = :shard AND {index.sort} BETWEEN :first AND :last"
            ),
            ExpressionAttributeValues={
                ":shard": {"S": shard},
                ":first": {"S": between[0]},
                ":last": {"S": between[1]},
            },
            ScanIndexForward=forward,
            Limit=limit,
        )
        return answer["Items"], "LastEvaluatedKey" in answer


class _Row(NamedTuple):
    """A row of an index. `item` contains the record in index by-status only."""

    sort: str
    job_id: str
    item: Item


class _ShardRows(NamedTuple):
    """Rows of one shard, and whether it has more of them."""

    rows: list[_Row]
    has_more: bool


def _row_by_status(item: Item) -> _Row:
    sort = item[BY_STATUS.sort]["S"]
    job_id = table_keys.job_id_of(sort)
    return _Row(sort, job_id, {"jobId": {"S": job_id}, "record": item["record"]})


def _row_by_name(item: Item) -> _Row:
    return _Row(item[BY_NAME.sort]["S"], table_keys.root_of(item), {})


def _share(limit: int) -> int:
    """Return how many rows to read of each shard for a page of `limit`.

    Ids are spread evenly over the shards, so a bit more than an equal share is enough. Of 400,000
    pages, one is short because of it, and the next page continues from there.
    """
    return min(limit, 2 * limit // SHARDS + 8)


def _merge(
    reads: Sequence[_ShardRows], limit: int, *, newest_first: bool
) -> tuple[list[_Row], str | None]:
    """Return the rows of a page, at most `limit`, and the sort key after which the next page
    starts (None on the last page).

    A page ends at the last row of a shard that has more: a row of another shard beyond that one
    may have to come after a row that was not read.
    """
    rows = sorted(
        (row for read in reads for row in read.rows),
        key=lambda row: (row.sort, row.job_id),
        reverse=newest_first,
    )
    ends = [read.rows[-1].sort for read in reads if read.has_more]
    page = rows
    if ends:
        end = max(ends) if newest_first else min(ends)
        page = [row for row in rows if (row.sort >= end if newest_first else row.sort <= end)]
    page = page[:limit]
    return page, page[-1].sort if ends or len(page) < len(rows) else None
