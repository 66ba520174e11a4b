"""The repository: jobs in one DynamoDB table.

    pk               sk              what
    JOB#<root id>    JOB             a job; children and nodes beside it, one item collection
                     CHILD#00012     a child of an array
                     NODE#003        a node of a multi-node job
                     SPEC#<digest>   a description: addressed by its content, so never changed
                     PREEMPTION#<at>#<digest>   a step of a service job's preemption; likewise
    QUEUES           <name>          a job queue that was heard of, so that nothing needs a Scan

    index by-status  <queue>#<status>#<shard>  by  <since>#<job id>        with the record
    index by-name    <queue>#<shard>           by  <job name>#<age>#<digest of the job id>

A job item is keys, `version`, index attributes and `record`, the whole job as JSON. `jobId`,
`jobName`, `status` and `changedAt` stand beside it for people who read the table in the console.
Children and nodes are indexed apart from roots: an array of 10,000 is one row of a list. Index
by-name has keys only; `age` counts down, so that of one name the newest comes first.

Descriptions and preemptions are put blindly, as PartiQL has no upsert; records are saved on the
condition that their version is still the one that was read. Knows the table's keys and the job;
knows nothing of messages, retries or HTTP.
"""

import heapq
import zlib
from base64 import b32encode
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from chalicelib import telemetry
from chalicelib.aws.dynamodb import Item, Key, Outcome, Table, key_of
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import (
    TERMINAL,
    Description,
    Details,
    Job,
    JobId,
    JobStatus,
    Transition,
    TransitionKey,
)
from chalicelib.jobs.preemption import Preemption
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_T = TypeVar("_T")
_U = TypeVar("_U")

SHARDS = 8
"""Partitions of an index for one queue and status: one takes 1,000 writes a second. Stored keys
depend on it, so a change needs every job item rewritten."""

_INDEXED_STATUSES = frozenset(JobStatus)
_OTHER = "OTHER"
LISTED_STATUSES = (*JobStatus, _OTHER)

_REFERENCES_REMEMBERED = 10_000
_CONCURRENT_QUERIES = 16
_CHILDREN_EXAMINED = 1_000
"""In one query for children of some statuses: about the megabyte that a query may read."""
_NAMED_EXAMINED = 100
_HOLDS_SERVICE_JOBS = "holdsServiceJobs"
_LONGEST_SERVICE_SECONDS = 60 * 86_400
"""SageMaker lets a training job run for 28 days, and it may wait before that."""
_ENDED_AT_ONCE = 500
_LAST_CREATED, _LAST_MOMENT = 9_999_999_999_999, 999_999_999_999_999
"""In epoch milliseconds, as many digits as the keys have."""


class StoredJob(NamedTuple):
    """A job and the version of its item, which a save must still find there."""

    job: Job
    version: int


class Loaded(NamedTuple):
    """`jobs` by id. An id that is in neither is a job that was never stored."""

    jobs: dict[str, StoredJob]
    unread: dict[str, Outcome]

    def job(self, job_id: str) -> Job | None:
        stored = self.jobs.get(job_id)
        return stored.job if stored else None


class Change(NamedTuple):
    """A job to save over what was `stored` (None for a new one). `description` is the one that
    its details name; None if it is stored already."""

    job: Job
    stored: StoredJob | None
    description: Description | None


class StatusPartition(NamedTuple):
    """Where the index by status is read: one queue, one of LISTED_STATUSES, and either roots or
    their `members`, which are children and nodes."""

    queue: str
    status: str
    members: bool = False

    def partition(self, shard: int) -> str:
        return _status_key(self.members, self.queue, self.status, shard)


class Count(NamedTuple):
    """`is_all`: there are not more."""

    jobs: int
    is_all: bool


class Waiting(NamedTuple):
    """A job in the index by status, where `sort` is its place in the order of time."""

    sort: str
    job: Job


class TimeRange(NamedTuple):
    """When jobs entered their status, in epoch milliseconds: `since` inclusive, `until` not."""

    since: int = 0
    until: int = _LAST_MOMENT

    def holds(self, job: Job) -> bool:
        return self.since <= job.since < self.until


ANY_TIME = TimeRange()


class Page(NamedTuple):
    """Jobs in the order of their list. `last` is where the next page begins, None after the
    last. A page may be short, or empty, and not be the last."""

    jobs: list[Job]
    last: str | None


class JobTable:
    """The time of `runtime` decides which jobs have expired."""

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        *,
        retention_days: int = 0,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._client = client
        self._name = name
        self._table = Table(client, name)
        self._retention_seconds = retention_days * 86_400
        self._runtime = runtime
        self._written: set[Key] = set()
        # Kept, as starting threads takes as long as what they do.
        self._threads = ThreadPoolExecutor(_CONCURRENT_QUERIES)

    # Writing

    def load(self, job_ids: Collection[str], *, consistent: bool) -> Loaded:
        """The jobs of these ids, 100 a call. A record that is read late does no harm: its save
        conflicts, and what it does not change its successor does not either."""
        by_key = {key_of(key): (job_id, key) for job_id in job_ids for key in [job_key(job_id)]}
        items, left = self._table.read(
            [key for _, key in by_key.values()],
            attributes=("jobId", "record", "version"),
            consistent=consistent,
        )
        loaded = Loaded({}, {by_key[key][0]: outcome for key, outcome in left.items()})
        for item in items:
            job_id = item["jobId"]["S"]
            if job := _readable(job_id, item["record"]["S"]):
                loaded.jobs[job_id] = StoredJob(job, int(item["version"]["N"]))
            else:
                loaded.unread[job_id] = Outcome.REFUSED
        return loaded

    def save(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """What became of each job: first what the records refer to, then the records, 25 a call,
        each on the condition that `stored` is still what the table holds."""
        statements: dict[str, tuple[Key, Item]] = {}
        outcomes: dict[str, Outcome] = {}
        for change in changes:
            try:
                statements[change.job.job_id] = self._statement(change)
            except Exception as error:
                # A defect of ours must not keep the other jobs from being saved.
                telemetry.error(LogEvent.RECORD_UNWRITABLE, error=type(error).__name__)
                outcomes[change.job.job_id] = Outcome.REFUSED
        outcomes |= self._put_references([c for c in changes if c.job.job_id in statements])
        for job_id in outcomes:
            statements.pop(job_id, None)
        if Outcome.OUTAGE in outcomes.values():
            return outcomes | dict.fromkeys(statements, Outcome.OUTAGE)
        saved = self._table.execute(list(statements.values()))
        return outcomes | {job_id: saved[key] for job_id, (key, _) in statements.items()}

    def put_preemptions(self, told: Iterable[Preemption]) -> dict[Preemption, Outcome]:
        """What became of each. It is addressed by its content, so nothing is read before, and the
        job need not have been heard of."""
        return self._table.put_each({one: self._preemption(one) for one in told})

    def _preemption(self, told: Preemption) -> Item:
        """It does not know when its job will end, so it expires when such a job must have ended."""
        record = msgspec.json.encode(told)
        sort = f"PREEMPTION#{_moment(told.at)}#{sha256(record).hexdigest()[:16]}"
        item = {**job_key(told.job_id), "sk": {"S": sort}, "record": {"S": record.decode()}}
        if self._retention_seconds:
            expiry = told.at // 1000 + _LONGEST_SERVICE_SECONDS + self._retention_seconds
            item["expiresAt"] = {"N": str(expiry)}
        return item

    def _put_references(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """Writes the descriptions and queues that may be new; tells of the jobs whose are not
        written. What this process wrote once it does not write again."""
        items: dict[Key, Item] = {}
        wanted_by: dict[Key, list[str]] = {}
        for change in changes:
            for item in self._references(change):
                items[key_of(item)] = item
                wanted_by.setdefault(key_of(item), []).append(change.job.job_id)
        outcomes: dict[str, Outcome] = {}
        for key, outcome in self._table.put(list(items.values())).items():
            if outcome is Outcome.SAVED:
                self._remember(key)
            else:
                outcomes |= dict.fromkeys(wanted_by[key], outcome)
        return outcomes

    def _remember(self, key: Key) -> None:
        if len(self._written) >= _REFERENCES_REMEMBERED:
            self._written.clear()
        self._written.add(key)

    def _references(self, change: Change) -> Iterator[Item]:
        queue = _queue_item(change.job)
        if not change.stored and key_of(queue) not in self._written:
            yield queue
        if change.description:
            key = description_key(change.job)
            # A root ends last, and its children may share its description.
            expiry = self._expiry(change.job) if change.job.is_root else {}
            stored = change.stored and change.stored.job.details.description
            known = stored == change.job.details.description or key_of(key) in self._written
            if expiry or not known:
                record = msgspec.json.encode(change.description).decode()
                yield {**key, "record": {"S": record}, **expiry}

    def _statement(self, change: Change) -> tuple[Key, Item]:
        key, before = job_key(change.job.job_id), change.stored
        attributes = job_attributes(change.job) | self._expiry(change.job)
        lapsed = before is not None and before.job.is_over and not change.job.is_over
        return self._table.save_version(
            key, attributes, before.version if before else 0, ("expiresAt",) if lapsed else ()
        )

    def _expiry(self, job: Job) -> Item:
        if not (self._retention_seconds and job.is_over):
            return {}
        return {"expiresAt": {"N": str(job.since // 1000 + self._retention_seconds)}}

    # Reading

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; None if there is none, or none any more. Raises TableUnavailable
        if its record can't be read."""
        answer = self._client.get_item(
            TableName=self._name, Key=job_key(job_id), ConsistentRead=True
        )
        if "Item" not in answer:
            return None
        job = _readable(job_id, answer["Item"]["record"]["S"])
        if job is None:
            raise TableUnavailable(f"the record of {job_id} is none that this version can read")
        return None if self._has_expired(job) else job

    def describe(self, job: Job) -> Description:
        answer = self._client.get_item(TableName=self._name, Key=description_key(job))
        record = answer["Item"]["record"]["S"] if "Item" in answer else "{}"
        return msgspec.json.decode(record, type=Description)

    def children(self, root: str) -> Iterator[Job]:
        """The children of an array, by index: one query for about a thousand."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="pk = :root AND begins_with(sk, :children)",
            ExpressionAttributeValues={
                ":root": {"S": f"JOB#{root}"},
                ":children": {"S": "CHILD#"},
            },
            ProjectionExpression="jobId, #record",
            ExpressionAttributeNames={"#record": "record"},
        )
        return _all_readable(
            (item["jobId"]["S"], item["record"]["S"]) for page in pages for item in page["Items"]
        )

    def queues(self) -> list[str]:
        """The names of the job queues that were ever heard of."""
        return [item["sk"]["S"] for item in self._queue_items()]

    def service_queues(self) -> set[str]:
        """Those that hold service jobs, and so, in Batch, nothing else."""
        return {item["sk"]["S"] for item in self._queue_items() if _HOLDS_SERVICE_JOBS in item}

    def _queue_items(self) -> Iterator[Mapping[str, Any]]:
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="pk = :queues",
            ExpressionAttributeValues={":queues": {"S": "QUEUES"}},
        )
        return (item for page in pages for item in page["Items"])

    def preemptions(self, job_id: str) -> list[Preemption]:
        """What was told of the preemptions of a service job, in order of time."""
        items = self._table.items_under(job_key(job_id)["pk"]["S"], "PREEMPTION#")
        records = (item["record"]["S"] for item in items)
        return [msgspec.json.decode(record, type=Preemption) for record in records]

    def newest(
        self,
        places: Iterable[StatusPartition],
        *,
        limit: int,
        after: str | None = None,
        window: TimeRange = ANY_TIME,
    ) -> Page:
        """Root jobs at these places, newest `since` first, at most `limit`, behind the page whose
        `last` is `after`: one query for each place and shard, merged."""
        first, end = _moment(window.since), min(_moment(window.until), after or _LAST_CHARACTER)
        if end <= first:
            return Page([], None)
        partitions = [
            place.partition(shard) for place in dict.fromkeys(places) for shard in range(SHARDS)
        ]
        between = first, _just_before(end)
        read = partial(self._read_by_status, between=between, limit=_share(limit))
        rows, last = _merged(self._at_once(read, partitions), limit, newest_first=True)
        # Who moves while the partitions are read is in two of them: the newer row comes first.
        records = {row.job_id: row.record for row in reversed(rows)}
        jobs = _all_readable((one, records[one]) for one in dict.fromkeys(r.job_id for r in rows))
        return Page([job for job in jobs if not self._has_expired(job)], last)

    def named(
        self,
        prefix: str,
        queues: Iterable[str],
        *,
        limit: int,
        after: str | None = None,
        wanted: Callable[[Job], bool] | None = None,
    ) -> Page:
        """Root jobs whose names begin with `prefix`, by name and then newest created first: keys
        from the index, one query for each queue and shard, and their records in one read.

        A page examines at most a hundred jobs to find `limit` that are `wanted`.
        """
        examined = _NAMED_EXAMINED if wanted else limit
        partitions = [
            f"{queue}#{shard}" for queue in dict.fromkeys(queues) for shard in range(SHARDS)
        ]
        between = _just_behind(after) if after else prefix, prefix + _LAST_CHARACTER
        read = partial(self._read_by_name, between=between, limit=_share(examined))
        rows, last = _merged(self._at_once(read, partitions), examined, newest_first=False)
        found = self._records([row.job_id for row in rows])
        told = [
            (row.sort, job)
            for row in rows
            if (job := found.pop(row.job_id, None)) and (wanted is None or wanted(job))
        ]
        if len(told) > limit:
            last = told[limit - 1][0]
        jobs = [job for _, job in told[:limit] if job.details.job_name.startswith(prefix)]
        return Page([job for job in jobs if not self._has_expired(job)], last)

    def children_page(
        self,
        parent: Job,
        *,
        limit: int,
        after: str | None = None,
        statuses: Sequence[str] | None = None,
    ) -> Page:
        """The children of an array, or the nodes of a multi-node job, by index, of these of
        LISTED_STATUSES: one query."""
        root, family = job_key(parent.job_id), "CHILD#" if parent.details.nodes is None else "NODE#"
        if not parent.is_root:
            return Page([], None)
        more: Any = {"ExclusiveStartKey": {**root, "sk": {"S": after}}} if after else {}
        answer = self._client.query(
            TableName=self._name,
            KeyConditionExpression="pk = :root AND begins_with(sk, :family)",
            ExpressionAttributeValues={":root": root["pk"], ":family": {"S": family}},
            ProjectionExpression="sk, jobId, #record, #status",
            ExpressionAttributeNames={"#record": "record", "#status": "status"},
            Limit=_CHILDREN_EXAMINED if statuses else limit,
            **more,
        )
        last = answer.get("LastEvaluatedKey", {}).get("sk", {}).get("S")
        told: list[Any] = []
        for item in answer["Items"]:
            if statuses and listed_status(item["status"]["S"]) not in statuses:
                continue
            if len(told) == limit:
                last = told[-1]["sk"]["S"]
                break
            told.append(item)
        jobs = _all_readable((item["jobId"]["S"], item["record"]["S"]) for item in told)
        return Page([job for job in jobs if not self._has_expired(job)], last)

    def _at_once(self, read: Callable[[_T], _U], partitions: Iterable[_T]) -> list[_U]:
        futures = [self._threads.submit(read, partition) for partition in partitions]
        wait(futures)
        return [future.result() for future in futures]

    def _records(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Those that there are and that can be read. Raises TableUnavailable."""
        loaded = self.load(job_ids, consistent=False)
        if not {Outcome.REFUSED}.issuperset(loaded.unread.values()):
            raise TableUnavailable("the table did not give all the records that were asked for")
        return {job_id: stored.job for job_id, stored in loaded.jobs.items()}

    def _read_by_status(
        self, partition: str, *, between: tuple[str, str], limit: int, forward: bool = False
    ) -> "_Read":
        answer = self._read_index("by-status", "status", partition, between, limit, forward=forward)
        rows = [
            _Row(sort, sort.partition("#")[2], item["record"]["S"])
            for item in answer["Items"]
            for sort in [item["statusSort"]["S"]]
        ]
        return rows, "LastEvaluatedKey" in answer

    def _read_by_name(self, partition: str, *, between: tuple[str, str], limit: int) -> "_Read":
        answer = self._read_index("by-name", "name", partition, between, limit, forward=True)
        rows = [
            _Row(item["nameSort"]["S"], item["pk"]["S"].removeprefix("JOB#"), "")
            for item in answer["Items"]
        ]
        return rows, "LastEvaluatedKey" in answer

    def _read_index(
        self,
        index: str,
        key: str,
        partition: str,
        between: tuple[str, str],
        limit: int,
        *,
        forward: bool,
    ) -> Any:
        first, last = between
        return self._client.query(
            TableName=self._name,
            IndexName=index,
            KeyConditionExpression=f"{key}Key = :partition AND {key}Sort BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":partition": {"S": partition},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            ScanIndexForward=forward,
            Limit=limit,
        )

    def oldest_in_status(
        self, place: StatusPartition, *, before: int, after: str, limit: int
    ) -> tuple[list[Waiting], bool]:
        """Who entered its status before a time (epoch milliseconds), the longest ago first, behind
        the row whose `sort` is `after`; at most `limit`, and whether there are more."""
        partitions = [place.partition(shard) for shard in range(SHARDS)]
        between = _just_behind(after), _moment(before)
        share = _share(limit)
        read = partial(self._read_by_status, between=between, limit=share, forward=True)
        rows, last = _merged(self._at_once(read, partitions), limit, newest_first=False)
        jobs = ((row.sort, _readable(row.job_id, row.record)) for row in rows)
        return [Waiting(sort, job) for sort, job in jobs if job], last is not None

    def count(
        self, places: Sequence[StatusPartition], *, at_most: int, before: int = _LAST_MOMENT
    ) -> dict[StatusPartition, Count]:
        """How many entered each of these places before a time (epoch milliseconds), or a number
        below which there are not: it reads a record for each one that it counts, so not many more
        than `at_most`."""
        share = at_most // SHARDS
        partitions = [(place, shard) for place in places for shard in range(SHARDS)]
        found = self._at_once(
            lambda one: self._count(one[0].partition(one[1]), share, before), partitions
        )
        counts = dict.fromkeys(places, Count(0, True))
        for (place, _), (jobs, is_all) in zip(partitions, found, strict=True):
            counted = counts[place]
            counts[place] = Count(counted.jobs + jobs, counted.is_all and is_all)
        return counts

    def _count(self, partition: str, at_most: int, before: int) -> Count:
        counted = 0
        more: Any = {}
        while counted < at_most:
            answer: Any = self._client.query(
                TableName=self._name,
                IndexName="by-status",
                KeyConditionExpression="statusKey = :partition AND statusSort < :before",
                ExpressionAttributeValues={
                    ":partition": {"S": partition},
                    ":before": {"S": _moment(before)},
                },
                Select="COUNT",
                Limit=at_most - counted,
                **more,
            )
            counted += answer["Count"]
            if "LastEvaluatedKey" not in answer:
                return Count(counted, True)
            more = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
        return Count(counted, False)

    def ended(self, queue: str, window: TimeRange) -> Iterator[Job]:
        """All that ended then, children and nodes too, the last first; read as it is asked for."""
        partitions = [
            StatusPartition(queue, status, members).partition(shard)
            for status in TERMINAL
            for members in (False, True)
            for shard in range(SHARDS)
        ]
        first, end = _moment(window.since), _just_before(_moment(window.until))
        read = partial(self._read_by_status, limit=_ENDED_AT_ONCE)
        beginnings = self._at_once(
            lambda partition: read(partition, between=(first, end)), partitions
        )

        def rows(partition: str, beginning: _Read) -> Iterator[_Row]:
            some, more = beginning
            yield from some
            while more:
                some, more = read(partition, between=(first, _just_before(some[-1].sort)))
                yield from some

        streams = map(rows, partitions, beginnings)
        for row in heapq.merge(*streams, key=lambda row: row.sort, reverse=True):
            job = _readable(row.job_id, row.record)
            if job and not self._has_expired(job):
                yield job

    def members(self, root: str) -> set[str]:
        """The ids of the children and nodes that were heard of."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="pk = :root",
            ExpressionAttributeValues={":root": {"S": f"JOB#{root}"}},
            ProjectionExpression="jobId",
        )
        found = {item["jobId"]["S"] for page in pages for item in page["Items"] if item}
        return found - {root}

    def _has_expired(self, job: Job) -> bool:
        """TTL deletes within days, so what has expired may still be there."""
        expiry = self._expiry(job)
        return bool(expiry) and int(expiry["expiresAt"]["N"]) <= self._runtime.now()

    def answers(self) -> bool:
        """Raises botocore's error if the table can't be read."""
        self._client.get_item(TableName=self._name, Key={"pk": {"S": "-"}, "sk": {"S": "-"}})
        return True


class _Row(NamedTuple):
    """A row of an index, and the record where the index carries it."""

    sort: str
    job_id: str
    record: str


_Read = tuple[list[_Row], bool]
"""What one partition gives, and whether it has more."""


def _share(limit: int) -> int:
    """Rows to ask of each shard for a page of `limit`: more than its share, but no whole page, as
    ids fall evenly on shards. Of 400,000 pages one is short for it, and the next goes on there."""
    return min(limit, 2 * limit // SHARDS + 8)


def _merged(
    reads: Sequence[_Read], limit: int, *, newest_first: bool
) -> tuple[list[_Row], str | None]:
    """At most `limit` rows, and where the next page begins.

    A partition that has more to give ends what can be told: rows of others that are behind its
    last may come behind rows not yet read.
    """
    rows = sorted((row for rows, _ in reads for row in rows), reverse=newest_first)
    ends = [rows[-1].sort for rows, more in reads if more]
    told = rows
    if ends:
        end = max(ends) if newest_first else min(ends)
        told = [row for row in rows if (row.sort >= end if newest_first else row.sort <= end)]
    told = told[:limit]
    return told, told[-1].sort if ends or len(told) < len(rows) else None


# Keys and mapping


def job_key(job_id: str) -> Item:
    parsed = JobId.parse(job_id)
    sort = {"": "JOB", ":": f"CHILD#{parsed.index:05}", "#": f"NODE#{parsed.index:03}"}
    return {"pk": {"S": f"JOB#{parsed.root}"}, "sk": {"S": sort[parsed.separator]}}


def description_key(job: Job) -> Item:
    root = JobId.parse(job.job_id).root
    return {"pk": {"S": f"JOB#{root}"}, "sk": {"S": f"SPEC#{job.details.description}"}}


def _queue_item(job: Job) -> Item:
    item = {"pk": {"S": "QUEUES"}, "sk": {"S": job.queue}}
    return item | {_HOLDS_SERVICE_JOBS: {"BOOL": True}} if job.is_service else item


def job_attributes(job: Job) -> Item:
    """All of a job item but its key, version and expiry."""
    details, shard = job.details, zlib.crc32(job.job_id.encode()) % SHARDS
    return {
        "record": {"S": _record(job)},
        "jobId": {"S": job.job_id},
        "jobName": {"S": details.job_name},
        "status": {"S": job.status},
        "changedAt": {"S": _iso(job.since)},
        "statusKey": {"S": _status_key(not job.is_root, job.queue, job.status, shard)},
        "statusSort": {"S": f"{_moment(job.since)}#{job.job_id}"},
        "nameKey": {"S": f"{_family(not job.is_root)}{job.queue}#{shard}"},
        "nameSort": {"S": _name_sort(job)},
    }


def listed_status(status: str) -> str:
    """Which of LISTED_STATUSES a job of this status is listed under."""
    return status if status in _INDEXED_STATUSES else _OTHER


def _status_key(members: bool, queue: str, status: str, shard: int) -> str:
    return f"{_family(members)}{queue}#{listed_status(status)}#{shard}"


def _family(members: bool) -> str:
    return "CHILDREN#" if members else ""


def _moment(milliseconds: int) -> str:
    return f"{milliseconds:015}"


def _name_sort(job: Job) -> str:
    """40 bits of a digest tell jobs of one name and one millisecond apart, as a page token must:
    the whole id would cost many an item a second write unit."""
    age = _LAST_CREATED - min(job.details.created_at or 0, _LAST_CREATED)
    digest = b32encode(sha256(job.job_id.encode()).digest()[:5]).decode()
    return f"{job.details.job_name}#{age:013}#{digest}"


_LAST_CHARACTER = "\U0010ffff"


def _just_before(sort: str) -> str:
    """Lies between `sort` and every smaller key of the index by status: no job id holds a `~`."""
    return f"{sort[:-1]}{chr(ord(sort[-1]) - 1)}~"


def _just_behind(sort: str) -> str:
    return f"{sort} "


class _Record(msgspec.Struct, frozen=True, array_like=True):
    details: Details
    history: tuple[Transition, ...]
    lost_above: TransitionKey | None = None


def _record(job: Job) -> str:
    """`lost_above` is stored where there is one, for the bytes."""
    known = (job.details, job.history, job.lost_above)
    return msgspec.json.encode(known if job.lost_above else known[:2]).decode()


def _readable(job_id: str, record: str) -> Job | None:
    """None if the record is not one that this version writes, which one job must pay for alone."""
    try:
        known = msgspec.json.decode(record, type=_Record)
    except msgspec.DecodeError:
        telemetry.error(LogEvent.RECORD_UNREADABLE, jobId=job_id)
        return None
    return Job(job_id, known.details, known.history, known.lost_above)


def _all_readable(records: Iterable[tuple[str, str]]) -> Iterator[Job]:
    """Of records beside their job ids."""
    return (job for job_id, record in records if (job := _readable(job_id, record)))


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
