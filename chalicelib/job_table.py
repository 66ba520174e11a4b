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

What AWS refuses comes back as an `Outcome` for each job, not as an exception, for one batch can
meet several. Knows DynamoDB and the job; knows nothing of messages, retries or HTTP.
"""

import logging
import time
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

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

_READS, _WRITES, _STATEMENTS = 100, 25, 25
"""DynamoDB's limits: keys of a BatchGetItem, requests of a BatchWriteItem, statements of a
BatchExecuteStatement."""

_REFERENCES_REMEMBERED = 10_000
_CONCURRENT_QUERIES = 16
_AFTER_ALL = "~"
"""Sorts behind every `<since>#<job id>`, which begin with a digit."""

_T = TypeVar("_T")
_Item = dict[str, Any]


class Outcome(StrEnum):
    """What became of one job in one call."""

    SAVED = "saved"
    CONFLICT = "conflict"
    """Someone else saved it first: read again, fold again, save again."""
    BUSY = "busy"
    """Throttled, or a passing fault: the same call may succeed in a moment."""
    OUTAGE = "outage"
    """No answer, no permission or no table: nothing succeeds until a person or AWS acts."""
    REFUSED = "refused"
    """DynamoDB will never take this item."""


class StoredJob(NamedTuple):
    """A job and the version of its item, which a save must still find there."""

    job: Job
    version: int


class Loaded(NamedTuple):
    """`jobs` by id. An id that is in neither is a job that was never stored."""

    jobs: dict[str, StoredJob]
    unread: dict[str, Outcome]


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
        self._retention_seconds = retention_days * 86_400
        self._clock = clock
        self._written: set[tuple[str, str]] = set()

    # Writing

    def load(self, job_ids: Collection[str], *, consistent: bool) -> Loaded:
        """The jobs of these ids, 100 a call. A record that is read late does no harm: its save
        conflicts, and what it does not change its successor does not either."""
        loaded = Loaded({}, {})
        for ids in _chunks(list(job_ids), _READS):
            if Outcome.OUTAGE in loaded.unread.values():
                loaded.unread.update(dict.fromkeys(ids, Outcome.OUTAGE))
            else:
                self._load_chunk(ids, consistent, loaded)
        return loaded

    def save(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """What became of each job: first what the records refer to, then the records, 25 a call,
        each on the condition that `stored` is still what the table holds."""
        outcomes = self._put_references(changes)
        ready = [change for change in changes if change.job.job_id not in outcomes]
        for chunk in _chunks(ready, _STATEMENTS):
            if Outcome.OUTAGE in outcomes.values():
                outcomes.update({change.job.job_id: Outcome.OUTAGE for change in chunk})
            else:
                outcomes.update(self._execute(chunk))
        return outcomes

    def _load_chunk(self, ids: Sequence[str], consistent: bool, loaded: Loaded) -> None:
        by_key = {_key_pair(key): job_id for job_id in ids for key in [job_key(job_id)]}
        request: Any = {
            self._name: {
                "Keys": [job_key(job_id) for job_id in ids],
                "ConsistentRead": consistent,
                "ProjectionExpression": "jobId, #record, #version",
                "ExpressionAttributeNames": {"#record": "record", "#version": "version"},
            }
        }
        try:
            answer = self._client.batch_get_item(RequestItems=request)
        except (ClientError, BotoCoreError) as error:
            loaded.unread.update(dict.fromkeys(ids, _outcome_of(error)))
            return
        for item in answer["Responses"].get(self._name, ()):
            job_id = item["jobId"]["S"]
            try:
                loaded.jobs[job_id] = _stored_job(item)
            except msgspec.DecodeError:
                _log.error("record_unreadable", extra={"jobId": job_id})
                loaded.unread[job_id] = Outcome.REFUSED
        for unprocessed in answer.get("UnprocessedKeys", {}).values():
            for key in unprocessed["Keys"]:
                loaded.unread[by_key[_key_pair(key)]] = Outcome.BUSY

    def _put_references(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """Writes the descriptions and queues that may be new; tells of the jobs whose are not
        written. What this process wrote once it does not write again."""
        items: dict[tuple[str, str], _Item] = {}
        wanted_by: dict[tuple[str, str], list[str]] = {}
        for change in changes:
            for item in self._references(change):
                key = _key_pair(item)
                items[key] = item
                wanted_by.setdefault(key, []).append(change.job.job_id)
        outcomes: dict[str, Outcome] = {}
        for chunk in _chunks(list(items), _WRITES):
            for key, outcome in self._put([items[key] for key in chunk]).items():
                outcomes.update(dict.fromkeys(wanted_by[key], outcome))
            if Outcome.OUTAGE in outcomes.values():
                return {change.job.job_id: Outcome.OUTAGE for change in changes}
        return outcomes

    def _references(self, change: Change) -> Iterator[_Item]:
        queue = {"pk": {"S": "QUEUES"}, "sk": {"S": change.job.queue}}
        if not change.stored and _key_pair(queue) not in self._written:
            yield queue
        if change.description:
            key, expiry = description_key(change.job), self._expiry(change.job)
            stored = change.stored and change.stored.job.details.description
            known = stored == change.job.details.description or _key_pair(key) in self._written
            if expiry or not known:
                record = msgspec.json.encode(change.description).decode()
                yield {**key, "record": {"S": record}, **expiry}

    def _put(self, items: Sequence[_Item]) -> dict[tuple[str, str], Outcome]:
        """The items that were not written, by key."""
        requests: Any = {self._name: [{"PutRequest": {"Item": item}} for item in items]}
        try:
            left = self._client.batch_write_item(RequestItems=requests)["UnprocessedItems"]
        except (ClientError, BotoCoreError) as error:
            outcome = _outcome_of(error)
            if outcome is Outcome.REFUSED and len(items) > 1:
                return {key: of for item in items for key, of in self._put([item]).items()}
            return {_key_pair(item): outcome for item in items}
        unwritten = {
            _key_pair(request["PutRequest"]["Item"]) for request in left.get(self._name, ())
        }
        if len(self._written) > _REFERENCES_REMEMBERED:
            self._written.clear()
        self._written.update(key for item in items if (key := _key_pair(item)) not in unwritten)
        return dict.fromkeys(unwritten, Outcome.BUSY)

    def _execute(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        statements: Any = [self._statement(change) for change in changes]
        try:
            answers = self._client.batch_execute_statement(Statements=statements)["Responses"]
        except (ClientError, BotoCoreError) as error:
            outcome = _outcome_of(error)
            if outcome is Outcome.REFUSED and len(changes) > 1:
                return {
                    key: of for change in changes for key, of in self._execute([change]).items()
                }
            return {change.job.job_id: outcome for change in changes}
        return {
            change.job.job_id: _outcome_of_code(answer.get("Error", {}).get("Code"))
            for change, answer in zip(changes, answers, strict=True)
        }

    def _statement(self, change: Change) -> _Item:
        key = job_key(change.job.job_id)
        attributes = job_attributes(change.job) | self._expiry(change.job)
        if change.stored is None:
            return _insert_if_absent(self._name, key | attributes)
        lapsed = change.stored.job.is_terminal and not change.job.is_terminal
        removals = ("expiresAt",) if lapsed else ()
        version = change.stored.version
        return _update_if_version_is(version, self._name, key, attributes, removals)

    def _expiry(self, job: Job) -> _Item:
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


# Conditions, each named for what must hold


def _insert_if_absent(table: str, attributes: _Item) -> _Item:
    attributes = attributes | {"version": {"N": "1"}}
    names = ", ".join(f"'{name}': ?" for name in attributes)
    return {
        "Statement": f'INSERT INTO "{table}" VALUE {{{names}}}',
        "Parameters": list(attributes.values()),
    }


def _update_if_version_is(
    version: int, table: str, key: _Item, attributes: _Item, removals: Iterable[str]
) -> _Item:
    attributes = attributes | {"version": {"N": str(version + 1)}}
    changes = [f'SET "{name}" = ?' for name in attributes]
    changes += [f'REMOVE "{name}"' for name in removals]
    return {
        "Statement": f'UPDATE "{table}" {" ".join(changes)} '
        'WHERE pk = ? AND sk = ? AND "version" = ?',
        "Parameters": [*attributes.values(), *key.values(), {"N": str(version)}],
    }


# Keys and mapping


def job_key(job_id: str) -> _Item:
    parsed = JobId.parse(job_id)
    sort = {"": "JOB", ":": f"CHILD#{parsed.index:05}", "#": f"NODE#{parsed.index:03}"}
    return {"pk": {"S": f"JOB#{parsed.root}"}, "sk": {"S": sort[parsed.separator]}}


def description_key(job: Job) -> _Item:
    root = JobId.parse(job.job_id).root
    return {"pk": {"S": f"JOB#{root}"}, "sk": {"S": f"SPEC#{job.details.description}"}}


def job_attributes(job: Job) -> _Item:
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


def _key_pair(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


# What AWS's errors mean

_OUTCOMES: dict[str | None, Outcome] = {
    None: Outcome.SAVED,
    "ConditionalCheckFailed": Outcome.CONFLICT,
    "DuplicateItem": Outcome.CONFLICT,
    "ItemCollectionSizeLimitExceeded": Outcome.REFUSED,
    "ValidationError": Outcome.REFUSED,
    "ValidationException": Outcome.REFUSED,
    "SerializationException": Outcome.REFUSED,
    "AccessDenied": Outcome.OUTAGE,
    "AccessDeniedException": Outcome.OUTAGE,
    "ResourceNotFound": Outcome.OUTAGE,
    "ResourceNotFoundException": Outcome.OUTAGE,
    "UnrecognizedClientException": Outcome.OUTAGE,
    "ExpiredTokenException": Outcome.OUTAGE,
}
"""A statement's codes and a whole call's. All others (Throttling…, ProvisionedThroughput…,
RequestLimitExceeded, TransactionConflict, InternalServerError …) pass: Outcome.BUSY."""


def _outcome_of_code(code: str | None) -> Outcome:
    return _OUTCOMES.get(code, Outcome.BUSY)


def _outcome_of(error: ClientError | BotoCoreError) -> Outcome:
    """No answer at all, after botocore's own retries, is an outage."""
    if isinstance(error, ClientError):
        code = error.response.get("Error", {}).get("Code", "unknown")
        outcome = _outcome_of_code(code)
    else:
        code, outcome = type(error).__name__, Outcome.OUTAGE
    _log.warning("table_call_failed", extra={"error": code, "outcome": outcome})
    return outcome
