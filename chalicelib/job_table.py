"""The repository: jobs in one DynamoDB table.

    pk               sk              what
    JOB#<root id>    JOB             a job; children and nodes beside it, one item collection
                     CHILD#00012     a child of an array
                     NODE#003        a node of a multi-node job
                     SPEC#<digest>   a description: addressed by its content, so never changed
    QUEUES           <name>          a job queue that was heard of, so that nothing needs a Scan

    index by-status  <queue>#<status>#<shard>  by  <since>#<job id>        with the record
    index by-name    <queue>#<shard>           by  <job name>#<created>    keys only

A job item is keys, `version`, index attributes and `record`, the whole job as JSON. `jobId`,
`jobName`, `status` and `changedAt` stand beside it for people who read the table in the console.
Children and nodes are indexed apart from roots: an array of 10,000 is one row of a list.

Descriptions are put blindly, as PartiQL has no upsert; records are saved on the condition that
their version is still the one that was read. Knows the table's keys and the job; knows nothing of
messages, retries or HTTP.
"""

import logging
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chalicelib.dynamodb import Item, Key, Outcome, Table, key_of
from chalicelib.job import Description, Details, Job, JobId, JobStatus, Transition

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_log = logging.getLogger("batchwatch.job_table")

SHARDS = 8
"""Partitions of an index for one queue and status: one takes 1,000 writes a second. Stored keys
depend on it, so a change needs every job item rewritten."""

_INDEXED_STATUSES = frozenset(JobStatus)
_OTHER = "OTHER"
LISTED_STATUSES = (*JobStatus, _OTHER)

_REFERENCES_REMEMBERED = 10_000
_CONCURRENT_QUERIES = 16
_AFTER_ALL = "~"
"""Sorts behind every `<since>#<job id>`, which begin with a digit."""


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


class Place(NamedTuple):
    """Where the index by status is read: one queue, one of LISTED_STATUSES."""

    queue: str
    status: str


class Page(NamedTuple):
    """Jobs, newest `since` first. `last` is where the next page begins, None after the last."""

    jobs: list[Job]
    last: str | None


class JobTable:
    """`clock` gives epoch seconds; it decides which jobs have expired."""

    def __init__(
        self,
        client: "DynamoDBClient",
        name: str,
        *,
        retention_days: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._name = name
        self._table = Table(client, name)
        self._retention_seconds = retention_days * 86_400
        self._clock = clock
        self._written: set[Key] = set()

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
            try:
                loaded.jobs[job_id] = _stored_job(item)
            except msgspec.DecodeError:
                _log.error("record_unreadable", extra={"jobId": job_id})
                loaded.unread[job_id] = Outcome.REFUSED
        return loaded

    def save(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """What became of each job: first what the records refer to, then the records, 25 a call,
        each on the condition that `stored` is still what the table holds."""
        outcomes = self._put_references(changes)
        statements = {
            change.job.job_id: self._statement(change)
            for change in changes
            if change.job.job_id not in outcomes
        }
        if Outcome.OUTAGE in outcomes.values():
            return outcomes | dict.fromkeys(statements, Outcome.OUTAGE)
        saved = self._table.execute(list(statements.values()))
        return outcomes | {job_id: saved[key] for job_id, (key, _) in statements.items()}

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
        queue = {"pk": {"S": "QUEUES"}, "sk": {"S": change.job.queue}}
        if not change.stored and key_of(queue) not in self._written:
            yield queue
        if change.description:
            key, expiry = description_key(change.job), self._expiry(change.job)
            stored = change.stored and change.stored.job.details.description
            known = stored == change.job.details.description or key_of(key) in self._written
            if expiry or not known:
                record = msgspec.json.encode(change.description).decode()
                yield {**key, "record": {"S": record}, **expiry}

    def _statement(self, change: Change) -> tuple[Key, Item]:
        """Inserts a job that is new, updates one whose version is still the one that was read."""
        key = job_key(change.job.job_id)
        attributes = job_attributes(change.job) | self._expiry(change.job)
        if change.stored is None:
            return self._table.insert_if_absent(key | attributes | _version(1))
        lapsed = change.stored.job.is_terminal and not change.job.is_terminal
        return self._table.update_if(
            _version(change.stored.version),
            key,
            attributes | _version(change.stored.version + 1),
            ("expiresAt",) if lapsed else (),
        )

    def _expiry(self, job: Job) -> Item:
        if not (self._retention_seconds and job.is_terminal):
            return {}
        return {"expiresAt": {"N": str(job.since // 1000 + self._retention_seconds)}}

    # Reading

    def get(self, job_id: str) -> Job | None:
        """The job as it is now; None if there is none, or none any more."""
        answer = self._client.get_item(
            TableName=self._name, Key=job_key(job_id), ConsistentRead=True
        )
        job = _stored_job(answer["Item"]).job if "Item" in answer else None
        return None if job is None or self._has_expired(job) else job

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
            ProjectionExpression="jobId, #record, #version",
            ExpressionAttributeNames={"#record": "record", "#version": "version"},
        )
        return (_stored_job(item).job for page in pages for item in page["Items"])

    def queues(self) -> list[str]:
        """The names of the job queues that were ever heard of."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._name,
            KeyConditionExpression="pk = :queues",
            ExpressionAttributeValues={":queues": {"S": "QUEUES"}},
        )
        return [item["sk"]["S"] for page in pages for item in page["Items"]]

    def newest(self, places: Iterable[Place], *, limit: int, after: str | None = None) -> Page:
        """Root jobs at these places, at most `limit`, behind the page whose `last` is `after`.

        One query for each place and shard, merged. A query that has more to give ends what can
        be told: rows of others that are older than its last may come behind rows not yet read.
        """
        partitions = [
            _status_key("", place.queue, place.status, shard)
            for place in dict.fromkeys(places)
            for shard in range(SHARDS)
        ]
        read = partial(self._read_partition, limit=limit, before=after or _AFTER_ALL)
        with ThreadPoolExecutor(_CONCURRENT_QUERIES) as threads:
            answers = list(threads.map(read, partitions))
        rows = sorted((row for rows, _ in answers for row in rows), reverse=True)
        horizon = max((rows[-1].sort for rows, more in answers if more), default="")
        told = [row for row in rows if row.sort >= horizon][:limit]
        last = told[-1].sort if told and (horizon or len(told) < len(rows)) else None
        jobs = [_job(row.job_id, row.record) for row in told]
        return Page([job for job in jobs if not self._has_expired(job)], last)

    def _read_partition(
        self, partition: str, *, limit: int, before: str
    ) -> "tuple[list[_Row], bool]":
        answer = self._client.query(
            TableName=self._name,
            IndexName="by-status",
            KeyConditionExpression="statusKey = :partition AND statusSort < :before",
            ExpressionAttributeValues={":partition": {"S": partition}, ":before": {"S": before}},
            ScanIndexForward=False,
            Limit=limit,
        )
        rows = [_Row(item["statusSort"]["S"], item["record"]["S"]) for item in answer["Items"]]
        return rows, "LastEvaluatedKey" in answer

    def _has_expired(self, job: Job) -> bool:
        """TTL deletes within days, so what has expired may still be there."""
        expiry = self._expiry(job)
        return bool(expiry) and int(expiry["expiresAt"]["N"]) <= self._clock()

    def answers(self) -> bool:
        """Raises botocore's error if the table can't be read."""
        self._client.get_item(TableName=self._name, Key={"pk": {"S": "-"}, "sk": {"S": "-"}})
        return True


class _Row(NamedTuple):
    """A row of the index by status; `sort` is `<since>#<job id>`, and a node's id holds a `#`."""

    sort: str
    record: str

    @property
    def job_id(self) -> str:
        return self.sort.partition("#")[2]


# Keys and mapping


def job_key(job_id: str) -> Item:
    parsed = JobId.parse(job_id)
    sort = {"": "JOB", ":": f"CHILD#{parsed.index:05}", "#": f"NODE#{parsed.index:03}"}
    return {"pk": {"S": f"JOB#{parsed.root}"}, "sk": {"S": sort[parsed.separator]}}


def description_key(job: Job) -> Item:
    root = JobId.parse(job.job_id).root
    return {"pk": {"S": f"JOB#{root}"}, "sk": {"S": f"SPEC#{job.details.description}"}}


def job_attributes(job: Job) -> Item:
    """All of a job item but its key, version and expiry."""
    details, shard = job.details, zlib.crc32(job.job_id.encode()) % SHARDS
    family = "" if job.is_root else "CHILDREN#"
    return {
        "record": {"S": msgspec.json.encode(_Record(details, job.history)).decode()},
        "jobId": {"S": job.job_id},
        "jobName": {"S": details.job_name},
        "status": {"S": job.status},
        "changedAt": {"S": _iso(job.since)},
        "statusKey": {"S": _status_key(family, job.queue, job.status, shard)},
        "statusSort": {"S": f"{job.since:015}#{job.job_id}"},
        "nameKey": {"S": f"{family}{job.queue}#{shard}"},
        "nameSort": {"S": f"{details.job_name}#{details.created_at or 0:015}"},
    }


def _status_key(family: str, queue: str, status: str, shard: int) -> str:
    indexed = status if status in _INDEXED_STATUSES else _OTHER
    return f"{family}{queue}#{indexed}#{shard}"


class _Record(msgspec.Struct, frozen=True, array_like=True):
    details: Details
    history: tuple[Transition, ...]


def _job(job_id: str, record: str) -> Job:
    """Raises msgspec.DecodeError if the record is not one of ours."""
    known = msgspec.json.decode(record, type=_Record)
    return Job(job_id, known.details, known.history)


def _stored_job(item: Mapping[str, Any]) -> StoredJob:
    job = _job(item["jobId"]["S"], item["record"]["S"])
    return StoredJob(job, int(item["version"]["N"]))


def _version(number: int) -> Item:
    return {"version": {"N": str(number)}}


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
