"""Stores jobs and reads them by id: the repository that recording writes through.

A job item contains its keys, `version`, the index attributes and `record`, the whole job as JSON.
`jobId`, `jobName`, `status` and `changedAt` are there for people who read the table in the console.
A description and a preemption are addressed by their content, so they never change. Lists are read
by `job_index`; where everything lies is written in `table_keys`.

Records are saved on the condition that their version is still the one that was read (optimistic
locking). Descriptions, preemptions and rows of the queue registry are put unconditionally, because
PartiQL has no upsert. This module doesn't know messages, retries or HTTP.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from chalicelib import table_keys, telemetry
from chalicelib.aws.dynamodb import Item, Key, Outcome, Statement, Table, json_text, key_of
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.job import (
    Attempt,
    Description,
    Details,
    Job,
    JobId,
    Transition,
    TransitionKey,
    listed_status,
)
from chalicelib.jobs.preemption import Preemption
from chalicelib.runtime import Runtime
from chalicelib.telemetry import LogEvent

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

HOLDS_SERVICE_JOBS = "holdsServiceJobs"
"""Attribute of a registry row: it is a queue of service jobs, in which AWS Batch allows no other
jobs."""

_OF_ENDED_JOBS = ("expiresAt", table_keys.BY_STATUS.partition)
"""Attributes that a job loses when an event shows that it has not ended."""
_REFERENCES_REMEMBERED = 10_000
_LONGEST_SECONDS = 60 * 86_400
"""The time by which children, nodes and preemptions may precede the end of their root, which is not
known when they are stored. SageMaker limits a training job to 28 days, and it may wait before."""


class StoredJob(NamedTuple):
    """A job as it was read, and the version of its item, which a save expects to find."""

    job: Job
    version: int


class Loaded(NamedTuple):
    """Jobs by id, and the outcomes of jobs that could not be read. An id in neither was never
    stored."""

    jobs: dict[str, StoredJob]
    unread: dict[str, Outcome]

    def job(self, job_id: str) -> Job | None:
        stored = self.jobs.get(job_id)
        return stored.job if stored else None


class Change(NamedTuple):
    """A job to save in place of `stored` (None for a new job).

    `description` is the one that `job.details.description` refers to; None if it is stored.
    """

    job: Job
    stored: StoredJob | None
    description: Description | None


class JobTable:
    """The jobs of one table. `retention_days` after its end, a job expires; 0 means never.

    A root and its children or nodes expire together. DynamoDB deletes what belongs to a root up to
    60 days later, because an item must not disappear before its root has ended:

        root ends ───── retention ──── not returned any more; DynamoDB deletes root and description
        child ends ─────────── retention and 60 days ────────── DynamoDB deletes the child
    """

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
        self._put_before: set[Key] = set()

    # Writing

    def load(self, job_ids: Collection[str], *, consistent: bool) -> Loaded:
        """Read jobs to change, 100 a call.

        An eventually consistent read is safe: a save over an outdated record conflicts, and an
        observation that leaves the outdated record unchanged leaves its successor unchanged too.
        """
        by_key = {key_of(key): (job_id, key) for job_id in job_ids for key in [job_key(job_id)]}
        items, unread = self._table.read(
            [key for _, key in by_key.values()],
            attributes=("jobId", "record", "version"),
            consistent=consistent,
        )
        loaded = Loaded({}, {by_key[key][0]: outcome for key, outcome in unread.items()})
        for item in items:
            job_id = item["jobId"]["S"]
            if job := job_of(item):
                loaded.jobs[job_id] = StoredJob(job, int(item["version"]["N"]))
            else:
                loaded.unread[job_id] = Outcome.REFUSED
        return loaded

    def save(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """Save jobs and return the outcome of each, by job id.

        First put what records refer to, 25 a call: new descriptions, and the registry row of a new
        job's queue (read by `queues.queue_registry`). They share a BatchWriteItem, so registering
        a queue costs no additional request. Then save the records, 25 a call, each on the
        condition that `stored` is still what the table contains. A job is not saved if what it
        refers to could not be put.
        """
        statements: dict[str, Statement] = {}
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
        self._expire_superseded([c for c in changes if c.job.job_id in statements])
        return outcomes | {job_id: saved[key] for job_id, (key, _) in statements.items()}

    def put_preemptions(self, preemptions: Iterable[Preemption]) -> dict[Preemption, Outcome]:
        """Store preemptions and return the outcome of each.

        A preemption is addressed by its content, so nothing is read first, and its job need not be
        stored yet.
        """
        return self._table.put_each({each: self._preemption_item(each) for each in preemptions})

    def _preemption_item(self, preemption: Preemption) -> Item:
        """Return the item, which expires when its job must have ended: it has no later event."""
        record = json_text("record", preemption)
        digest = sha256(record["record"]["S"].encode()).hexdigest()[:16]
        key = table_keys.preemption(preemption.job_id, preemption.at, digest)
        return key | record | self._expiry_after(preemption.at, _LONGEST_SECONDS)

    def _put_references(self, changes: Sequence[Change]) -> dict[str, Outcome]:
        """Put the descriptions and registry rows that may be new. Return the outcomes of the jobs
        for which that failed. An item that this process has put is not put again."""
        items: dict[Key, Item] = {}
        jobs_by_key: dict[Key, list[str]] = {}
        for change in changes:
            for item in self._references(change):
                items[key_of(item)] = item
                jobs_by_key.setdefault(key_of(item), []).append(change.job.job_id)
        outcomes: dict[str, Outcome] = {}
        for key, outcome in self._table.put(list(items.values())).items():
            if outcome is Outcome.SAVED:
                self._remember(key)
            else:
                outcomes |= dict.fromkeys(jobs_by_key[key], outcome)
        return outcomes

    def _remember(self, key: Key) -> None:
        if len(self._put_before) >= _REFERENCES_REMEMBERED:
            self._put_before.clear()
        self._put_before.add(key)

    def _references(self, change: Change) -> Iterator[Item]:
        row = _registry_row(change.job)
        if not change.stored and key_of(row) not in self._put_before:
            yield row
        if change.description and self._is_description_to_put(change):
            job = change.job
            expiry = self._expiry(job) if job.is_root else self._member_expiry(job)
            yield _description_key(job) | json_text("record", change.description) | expiry

    def _is_description_to_put(self, change: Change) -> bool:
        """Return whether the description may be new, or its expiry changes.

        The members of a job may share the description of their root, which ends last.
        """
        job, before = change.job, change.stored.job if change.stored else None
        is_referenced = before is not None and before.details.description == job.details.description
        was_put = key_of(_description_key(job)) in self._put_before
        if job.is_root:
            is_active_again = before is not None and before.is_over and not job.is_over
            return is_active_again or bool(self._expiry(job)) or not (is_referenced or was_put)
        return not was_put and (not is_referenced or bool(self._expiry(job)))

    def _expire_superseded(self, changes: Iterable[Change]) -> None:
        """Let descriptions expire that another one replaced, unless they are put again."""
        if not self._retention_seconds:
            return
        superseded = [
            (_description_key(change.stored.job), self._member_expiry(change.job))
            for change in changes
            if change.stored
            and change.stored.job.details.description != change.job.details.description
        ]
        self._table.execute([self._table.update_if_equal({}, *each) for each in superseded])

    def _statement(self, change: Change) -> Statement:
        key, before = job_key(change.job.job_id), change.stored
        attributes = job_attributes(change.job) | self._expiry(change.job)
        removals: list[str] = []
        if before is not None and before.job.is_over and not change.job.is_over:
            removals = [name for name in _OF_ENDED_JOBS if name not in attributes]
        return self._table.save_if_version_is(
            before.version if before else 0, key, attributes, removals
        )

    def _expiry(self, job: Job) -> Item:
        """Return when the item of a job that is over expires."""
        if not job.is_over:
            return {}
        return self._expiry_after(job.since) if job.is_root else self._member_expiry(job)

    def _member_expiry(self, job: Job) -> Item:
        """Return when something of a root expires whose end is not known."""
        return self._expiry_after(job.since, _LONGEST_SECONDS)

    def _expiry_after(self, at: int, margin: int = 0) -> Item:
        """Return the expiry after a time (epoch milliseconds), or nothing without a retention."""
        if not self._retention_seconds:
            return {}
        return {"expiresAt": {"N": str(at // 1000 + margin + self._retention_seconds)}}

    # Reading

    def get(self, job_id: str) -> Job | None:
        """Return the current job, or None if it was never stored or has expired: a child or a node
        expires with its root.

        Raises TableUnavailable if its record can't be decoded.
        """
        job = self._read(job_id)
        if job is None or self.has_expired(job):
            return None
        if job.is_root or not self._retention_seconds:
            return job
        root = self._read(JobId.parse(job_id).root)
        return None if root and self.has_expired(root) else job

    def _read(self, job_id: str) -> Job | None:
        answer = self._client.get_item(
            TableName=self._name, Key=job_key(job_id), ConsistentRead=True
        )
        if "Item" not in answer:
            return None
        job = job_of(answer["Item"])
        if job is None:
            raise TableUnavailable(f"the record of job {job_id} has an unknown format")
        return job

    def stored(self, job_ids: Collection[str]) -> dict[str, Job]:
        """Return the jobs that are stored and could be read, by id."""
        loaded = self.load(job_ids, consistent=False)
        return {job_id: stored.job for job_id, stored in loaded.jobs.items()}

    def describe(self, job: Job) -> Description:
        """Return the job's description, an empty one if it is not stored."""
        answer = self._client.get_item(TableName=self._name, Key=_description_key(job))
        record = answer["Item"]["record"]["S"] if "Item" in answer else "{}"
        return msgspec.json.decode(record, type=Description)

    def describe_all(self, jobs: Collection[Job]) -> dict[str, Description]:
        """Return the descriptions of jobs by id. One that is not stored or can't be read is
        missing."""
        keys = {key_of(key): key for key in map(_description_key, jobs)}
        items, _ = self._table.read(
            list(keys.values()), attributes=("pk", "sk", "record"), consistent=False
        )
        found = {
            key_of(item): msgspec.json.decode(item["record"]["S"], type=Description)
            for item in items
        }
        described = {job.job_id: found.get(key_of(_description_key(job))) for job in jobs}
        return {job_id: each for job_id, each in described.items() if each}

    def preemptions(self, job_id: str) -> list[Preemption]:
        """Return the preemptions of a service job, in order of time."""
        items = self._table.items_under(*table_keys.preemptions(job_id))
        return [msgspec.json.decode(item["record"]["S"], type=Preemption) for item in items]

    def has_expired(self, job: Job) -> bool:
        """Return whether a job is past its retention: DynamoDB may delete it days later."""
        expiry = self._expiry(job)
        return bool(expiry) and int(expiry["expiresAt"]["N"]) <= self._runtime.now()

    def answers(self) -> bool:
        """Return True; raise botocore's error if the table can't be read."""
        self._client.get_item(TableName=self._name, Key=table_keys.never_stored())
        return True


# Keys and mapping


def job_key(job_id: str) -> table_keys.Key:
    """Return the key of a job item. Raise ValueError if `job_id` is not a job id."""
    parsed = JobId.parse(job_id)
    match parsed.separator:
        case ":":
            return table_keys.child(parsed.root, parsed.index)
        case "#":
            return table_keys.node(parsed.root, parsed.index)
    return table_keys.job(parsed.root)


def job_attributes(job: Job) -> Item:
    """Return all attributes of a job item except key, version and expiry."""
    texts = {
        "record": _record(job),
        "jobId": job.job_id,
        "jobName": job.details.job_name,
        "status": job.status,
        "changedAt": _iso(job.since),
        **(_keys_of_root(job) if job.is_root else _keys_of_member(job)),
    }
    return {attribute: {"S": text} for attribute, text in texts.items()}


def _keys_of_root(job: Job) -> dict[str, str]:
    """Return the index attributes of a root. While it is active, it is not in by-status."""
    by_name, name = table_keys.BY_NAME, job.details.job_name
    keys = {
        table_keys.BY_ACTIVITY.partition: table_keys.activity_partition(
            job.queue, ended=job.is_over
        ),
        table_keys.BY_ACTIVITY.sort: table_keys.status_sort(job.since, job.job_id),
        by_name.partition: table_keys.name_partition(job.queue),
        by_name.sort: table_keys.name_sort(name, job.details.created_at or 0, job.job_id),
    }
    if job.is_over:
        status = listed_status(job.status)
        keys[table_keys.BY_STATUS.partition] = table_keys.status_partition(job.queue, status)
    return keys


def _keys_of_member(job: Job) -> dict[str, str]:
    status, shard = listed_status(job.status), table_keys.shard_of(job.job_id)
    return {
        table_keys.BY_STATUS.partition: table_keys.members_partition(job.queue, status, shard),
        table_keys.BY_STATUS.sort: table_keys.status_sort(job.since, job.job_id),
    }


def job_of(item: Item) -> Job | None:
    """Return the job of an item, or None if this version can't decode its record.

    One such record must not hide the other jobs of a list.
    """
    job_id = item["jobId"]["S"]
    try:
        record = msgspec.json.decode(item["record"]["S"], type=_Record)
    except msgspec.DecodeError:
        telemetry.error(LogEvent.RECORD_UNREADABLE, jobId=job_id)
        return None
    return Job(job_id, record.details, record.history, record.lost_above)


def _description_key(job: Job) -> table_keys.Key:
    return table_keys.description(JobId.parse(job.job_id).root, job.details.description)


def _registry_row(job: Job) -> Item:
    row = table_keys.registered_queue(job.queue)
    return row | {HOLDS_SERVICE_JOBS: {"BOOL": True}} if job.is_service else row


class _Record(msgspec.Struct, frozen=True, array_like=True):
    details: Details
    history: tuple[Transition, ...]
    lost_above: TransitionKey | None = None


def _record(job: Job) -> str:
    """Return the record as JSON, without trailing fields that have their default, and without
    `lost_above` if there is none: both would make more records cost a second write unit."""
    details = _without_trailing_defaults(job.details)
    if job.details.attempts:
        details[_ATTEMPTS] = [_without_trailing_defaults(each) for each in job.details.attempts]
    history = [_without_trailing_defaults(transition) for transition in job.history]
    record = (details, history, job.lost_above)
    return msgspec.json.encode(record if job.lost_above else record[:2]).decode()


def _without_trailing_defaults(stored: Details | Attempt | Transition) -> list[object]:
    """Return the fields of a struct that is stored as an array up to the last one whose value is
    not its default. A shorter array is decoded to the same struct."""
    values, defaults = list(msgspec.structs.astuple(stored)), _DEFAULTS[type(stored)]
    while values and values[-1] == defaults[len(values) - 1]:
        values.pop()
    return values


_ATTEMPTS = Details.__struct_fields__.index("attempts")
_DEFAULTS = {
    stored: [field.default for field in msgspec.structs.fields(stored)]
    for stored in (Details, Attempt, Transition)
}


def _iso(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
