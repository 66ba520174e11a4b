"""Lists jobs: by status and time, by name, and by their parent.

The API, the sweep and the notifier read these lists. Index by-status contains the whole record; the
other two contain keys, and their jobs are read from the table in one request. A list queries all
partitions that it needs at once and merges the rows, so its cost does not depend on the number of
jobs, except that a list of one active status reads the keys of the queue's other active jobs.

Single jobs are read through `job_table`; `table_keys` contains the keys.
"""

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import (
    LISTED_ACTIVE,
    LISTED_ENDED,
    LISTED_STATUSES,
    OTHER,
    TERMINAL,
    Job,
    listed_status,
)
from chalicelib.jobs.job_table import JobTable, job_of
from chalicelib.table_keys import (
    BY_ACTIVITY,
    BY_NAME,
    BY_STATUS,
    LAST_SORT,
    SHARDS,
    Index,
)

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
_KEYS_PER_QUERY = 2_000
_MAX_QUERIES = 150
"""Queries of a list of some active statuses: they read the keys of 300,000 jobs."""
_LAST_MOMENT = 999_999_999_999_999
"""Epoch milliseconds, with as many digits as the keys have."""


class StatusPartition(NamedTuple):
    """The jobs of one queue in one of LISTED_STATUSES: its roots or its `members`, which are
    children and nodes."""

    queue: str
    status: str
    members: bool = False


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
    """A job and its sort key, which is the order of several partitions."""

    sort: str
    job: Job


class IndexRows(NamedTuple):
    """Rows, and the sort key after which the next ones follow; None if there are no more."""

    rows: list[IndexRow]
    last: str | None


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
        status last come first. For each queue and all of its statuses, two queries."""
        first = table_keys.sortable_time(window.since)
        end = min(table_keys.sortable_time(window.until), after or LAST_SORT)
        if end <= first:
            return Page([], None)
        between = first, table_keys.just_before(end)
        wanted = set(partitions)
        reads = self._at_once(lambda source: self._read(source, between, limit), _sources(wanted))
        rows, last = _merge(reads, limit, newest_first=True)
        jobs = (row.job for row in self._with_jobs(rows) if _partition(row.job) in wanted)
        return Page(self._unexpired(jobs), last)

    def oldest_in_status(
        self, partition: StatusPartition, *, before: int, after: str, limit: int
    ) -> IndexRows:
        """Return at most `limit` jobs that entered their status before a time (epoch milliseconds),
        the oldest first, starting after the row whose `sort` is `after`."""
        between = table_keys.just_after(after), table_keys.sortable_time(before)
        reads = self._at_once(
            lambda source: self._read(source, between, limit, forward=True), _sources([partition])
        )
        rows, last = _merge(reads, limit, newest_first=False)
        found = self._with_jobs(rows)
        return IndexRows([row for row in found if _partition(row.job) == partition], last)

    def count(
        self,
        partitions: Sequence[StatusPartition],
        *,
        at_most: int,
        before: int = _LAST_MOMENT,
    ) -> dict[StatusPartition, Count]:
        """Count the jobs that entered each of these statuses before a time (epoch milliseconds),
        to about `at_most` of each."""
        sources = [(each, source) for each in partitions for source in _sources([each])]
        counted = self._at_once(lambda pair: self._count(pair[1], at_most, before), sources)
        counts = dict.fromkeys(partitions, Count(0, True))
        for (each, _), part in zip(sources, counted, strict=True):
            known = counts[each]
            counts[each] = Count(known.jobs + part.jobs, known.is_exact and part.is_exact)
        return counts

    def ended(self, queue: str, window: TimeRange) -> Iterator[Job]:
        """Yield all jobs of a queue that ended in a time range, children and nodes included, the
        last one first. Pages are read as the iterator advances."""
        sources = _sources(
            StatusPartition(queue, status, members)
            for status in TERMINAL
            for members in (False, True)
        )
        first = table_keys.sortable_time(window.since)
        end = table_keys.just_before(table_keys.sortable_time(window.until))
        first_pages = self._at_once(
            lambda source: self._read(source, (first, end), _ENDED_PER_QUERY), sources
        )

        def rows(source: _Source, page: _Rows) -> Iterator[_Row]:
            yield from page.rows
            while page.last is not None:
                before = table_keys.just_before(page.last)
                page = self._read(source, (first, before), _ENDED_PER_QUERY)
                yield from page.rows

        merged = heapq.merge(
            *map(rows, sources, first_pages), key=lambda row: row.sort, reverse=True
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

        One query for each queue, and one read of the records. With `wanted`, examine at most a
        hundred jobs to find `limit` that match.
        """
        examined = _NAMED_EXAMINED if wanted else limit
        sources = [
            _Source(BY_NAME, table_keys.name_partition(queue)) for queue in dict.fromkeys(queues)
        ]
        between = table_keys.just_after(after) if after else prefix, prefix + LAST_SORT
        reads = self._at_once(
            lambda source: self._read(source, between, examined, forward=True), sources
        )
        rows, last = _merge(reads, examined, newest_first=False)
        jobs = self._read_jobs([row.job_id for row in rows])
        found = [
            IndexRow(row.sort, job)
            for row in rows
            if (job := jobs.pop(row.job_id, None)) and (wanted is None or wanted(job))
        ]
        if len(found) > limit:
            last = found[limit - 1].sort
        named = [row.job for row in found[:limit] if row.job.details.job_name.startswith(prefix)]
        return Page(self._unexpired(named), last)

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

    def _at_once(self, read: Callable[[_T], _U], sources: Iterable[_T]) -> list[_U]:
        """Return the results of all reads. The first one that fails cancels those not begun."""
        futures = [self._threads.submit(read, source) for source in sources]
        done, left = wait(futures, return_when=FIRST_EXCEPTION)
        for future in left:
            future.cancel()
        for future in done:
            future.result()
        return [future.result() for future in futures]

    def _visible(self, items: Iterable[Item]) -> list[Job]:
        """Return the jobs of items, without those that can't be decoded or have expired."""
        return self._unexpired(job for item in items if (job := job_of(item)))

    def _unexpired(self, jobs: Iterable[Job]) -> list[Job]:
        return [job for job in jobs if not self._jobs.has_expired(job)]

    def _with_jobs(self, rows: Sequence["_Row"]) -> list[IndexRow]:
        """Return rows with their jobs, each job once. Leave out jobs that can't be decoded."""
        first: dict[str, _Row] = {}
        for row in rows:
            # A job that changes status between two queries is in both results.
            first.setdefault(row.job_id, row)
        without_record = [row.job_id for row in first.values() if "record" not in row.item]
        jobs = self._read_jobs(without_record) if without_record else {}
        found = [(row, jobs.get(row.job_id) or job_of(row.item)) for row in first.values()]
        return [IndexRow(row.sort, job) for row, job in found if job]

    def _read_jobs(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Return the jobs that are stored and can be decoded, by id.

        Raises TableUnavailable if DynamoDB returned only a part of them.
        """
        loaded = self._jobs.load(job_ids, consistent=False)
        if not {Outcome.REFUSED}.issuperset(loaded.unread.values()):
            raise TableUnavailable("DynamoDB returned only a part of the jobs: try again")
        return {job_id: stored.job for job_id, stored in loaded.jobs.items()}

    def _count(self, source: "_Source", at_most: int, before: int) -> Count:
        counted = 0
        query = self._query(source, ("0", table_keys.sortable_time(before)))
        query["Select"] = "COUNT"
        query["Limit"] = _KEYS_PER_QUERY
        for _ in range(_MAX_QUERIES):
            answer = self._client.query(**query)
            counted += answer["Count"]
            if counted > at_most:
                break
            if "LastEvaluatedKey" not in answer:
                return Count(counted, True)
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return Count(min(counted, at_most), False)

    def _read(
        self,
        source: "_Source",
        between: tuple[str, str],
        limit: int,
        *,
        forward: bool = False,
    ) -> "_Rows":
        """Return at most `limit` rows whose sort keys are within `between`. Of some statuses,
        there may be fewer than `limit` although others follow."""
        query = self._query(source, between)
        query["ScanIndexForward"] = forward
        query["Limit"] = _KEYS_PER_QUERY if source.statuses else limit
        rows: list[_Row] = []
        for _ in range(_MAX_QUERIES):
            answer = self._client.query(**query)
            rows += (_row(source.gsi, item) for item in answer["Items"])
            following = answer.get("LastEvaluatedKey")
            if len(rows) > limit:
                return _Rows(rows[:limit], rows[limit - 1].sort)
            if following is None:
                return _Rows(rows, None)
            if len(rows) == limit:
                break
            query["ExclusiveStartKey"] = following
        return _Rows(rows, following[source.gsi.sort]["S"] if following else None)

    def _query(self, source: "_Source", between: tuple[str, str]) -> "QueryInputTypeDef":
        index = source.gsi
        values: Item = {
            ":partition": {"S": source.partition},
            ":first": {"S": between[0]},
            ":last": {"S": between[1]},
        }
        query: QueryInputTypeDef = {
            "TableName": self._table,
            "IndexName": index.name,
            "KeyConditionExpression": (
                f"{index.partition} = :partition AND {index.sort} BETWEEN :first AND :last"
            ),
            "ExpressionAttributeValues": values,
        }
        if source.statuses is not None:
            query["FilterExpression"], wanted = _status_filter(source.statuses)
            query["ExpressionAttributeNames"] = {"#status": "status"}
            values |= wanted
        return query


def _partition(job: Job) -> StatusPartition:
    return StatusPartition(job.queue, listed_status(job.status), not job.is_root)


class _Source(NamedTuple):
    """A partition of an index, and which statuses of its jobs are wanted (None: all)."""

    gsi: Index
    partition: str
    statuses: frozenset[str] | None = None


def _sources(partitions: Iterable[StatusPartition]) -> list[_Source]:
    """Return what to query for these jobs: as few partitions as contain all of them."""
    statuses: dict[tuple[str, bool], set[str]] = {}
    for queue, status, members in partitions:
        statuses.setdefault((queue, members), set()).add(status)
    return [
        source
        for (queue, members), wanted in statuses.items()
        for source in (_of_members if members else _of_roots)(queue, frozenset(wanted))
    ]


def _of_members(queue: str, wanted: frozenset[str]) -> Iterator[_Source]:
    for status in sorted(wanted):
        for shard in range(SHARDS):
            yield _Source(BY_STATUS, table_keys.members_partition(queue, status, shard))


def _of_roots(queue: str, wanted: frozenset[str]) -> Iterator[_Source]:
    if active := wanted.intersection(LISTED_ACTIVE):
        partition = table_keys.activity_partition(queue, ended=False)
        yield _Source(BY_ACTIVITY, partition, None if active.issuperset(LISTED_ACTIVE) else active)
    if wanted.issuperset(LISTED_ENDED):
        yield _Source(BY_ACTIVITY, table_keys.activity_partition(queue, ended=True))
        return
    for status in sorted(wanted.intersection(LISTED_ENDED)):
        yield _Source(BY_STATUS, table_keys.status_partition(queue, status))


def _status_filter(statuses: frozenset[str]) -> tuple[str, Item]:
    """Return the condition that `#status` is one of LISTED_STATUSES, and its values."""
    named = set(LISTED_STATUSES) - statuses if OTHER in statuses else statuses
    values: Item = {
        f":status{number}": {"S": status} for number, status in enumerate(sorted(named))
    }
    is_one = f"#status IN ({', '.join(values)})"
    return f"NOT {is_one}" if OTHER in statuses else is_one, values


class _Row(NamedTuple):
    """A row of an index. `item` contains the record in index by-status only."""

    sort: str
    job_id: str
    item: Item


class _Rows(NamedTuple):
    """Rows of one partition, and the sort key after which the next ones follow; None if there are
    no more."""

    rows: list[_Row]
    last: str | None


def _row(index: Index, item: Item) -> _Row:
    sort = item[index.sort]["S"]
    job_id = table_keys.root_of(item) if index is BY_NAME else table_keys.job_id_of(sort)
    return _Row(sort, job_id, item | {"jobId": {"S": job_id}})


def _merge(
    reads: Sequence[_Rows], limit: int, *, newest_first: bool
) -> tuple[list[_Row], str | None]:
    """Return the rows of a page, at most `limit`, and the sort key after which the next page
    starts (None on the last page).

    A page ends where the first of its partitions does that has more: a row of another partition
    beyond that may have to come after a row that was not read.
    """
    rows = sorted(
        (row for read in reads for row in read.rows),
        key=lambda row: (row.sort, row.job_id),
        reverse=newest_first,
    )
    ends = [read.last for read in reads if read.last is not None]
    end = (max if newest_first else min)(ends) if ends else None
    if end is not None:
        rows = [row for row in rows if (row.sort >= end if newest_first else row.sort <= end)]
    return rows[:limit], rows[limit - 1].sort if len(rows) > limit else end
