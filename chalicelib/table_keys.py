"""All keys of the one DynamoDB table. No other module builds a partition key or a sort key.

    pk              sk                                 item                    repository
    JOB#<root>      JOB                                job without a parent    JobTable
                    CHILD#<index>                      child of an array       JobTable
                    NODE#<index>                       node of a multi-node    JobTable
                                                       job
                    SPEC#<digest>                      description of jobs     JobTable
                    PREEMPTION#<time>#<digest>         preemption of a         JobTable
                                                       service job
                    SUMMARY#<block>                    states of 500 children  ArrayTable
                    NOTICE#<room>#<kind>#<generation>  notice about a job      DeliveryTable
                    THREAD#<room>                      thread of a job         DeliveryTable
    QUEUE#<queue>   STATE                              incidents and outbox    QueueStateTable
                    ENVIRONMENT                        what Batch reports of   EnvironmentTable
                                                       queue and environments
                    HEAD                               its first jobs          EnvironmentTable
                    LAST_EVENT                         time of last event      QueueStateTable
                    BLOCKED#<time>#<job id>#<digest>   blocked event           QueueStateTable
                    COUNTS                             jobs by status          QueueStatsTable
                    HOUR#2026-11-24T03                 rollup of an hour, UTC  QueueStatsTable
                    DAY#2026-11-24                     rollup of a day, UTC    QueueStatsTable
                    RECONCILE                          progress of reconcile   CheckpointTable
                    PARENT#<root>                      parent whose children   CheckpointTable
                                                       are to be checked
                    NOTICE#<room>#<kind>#<began>       notice about an         DeliveryTable
                                                       incident
                    THREAD#<room>#<began>              thread of an incident   DeliveryTable
    QUEUES          <queue>                            known job queue         QueueRegistry
    RECONCILE       IN_FLIGHT#<run>                    jobs of one run         CheckpointTable
    ROOM#<room>     ROOM                               lease and pacing        DeliveryTable
    MESSAGE#<id>    POISON                             crash count             PoisonMessages
    LONG_POLL       <slot>                             lease of a request      LongPollSlots

    index           partition key                      sort key
    by-activity     <queue>#ACTIVE                     <since>#<job id>
                    <queue>#ENDED                      <since>#<job id>
    by-status       <queue>#<status>                   <since>#<job id>
                    CHILDREN#<queue>#<status>#<shard>  <since>#<job id>
    by-name         <queue>                            <job name>#<age>#<digest of the job id>

`<root>` is the id of a job without a parent; its children, nodes, description and notices lie in
its partition. Children and nodes have partitions of their own in by-status and are in no other
index, so that an array of 10,000 children is one row of a list. Roots are in by-status once they
have ended. `<age>` decreases with the creation time: of several jobs of one name, the newest comes
first.

Times are epoch milliseconds. The functions take plain strings and numbers and validate nothing.
"""

import zlib
from base64 import b32encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef as AttributeValue
else:
    AttributeValue = dict

Key = dict[str, AttributeValue]
"""`pk` and `sk` in the format of the DynamoDB API: `{"pk": {"S": …}, "sk": {"S": …}}`."""


class Prefix(NamedTuple):
    """A partition key and the beginning of its sort keys."""

    pk: str
    sk: str


class Range(NamedTuple):
    """A partition key and a range of its sort keys, both ends included."""

    pk: str
    first: str
    last: str

    @property
    def is_empty(self) -> bool:
        return self.last < self.first


def _key(pk: str, sk: str) -> Key:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def _pk(key: Mapping[str, AttributeValue]) -> str:
    return str(key["pk"]["S"])


def _sk(key: Mapping[str, AttributeValue]) -> str:
    return str(key["sk"]["S"])


def never_stored() -> Key:
    """Return a key without an item, for a health check."""
    return _key("-", "-")


# Jobs


def job_partition(root: str) -> str:
    return f"JOB#{root}"


def job(root: str) -> Key:
    return _key(job_partition(root), "JOB")


def child(root: str, index: int) -> Key:
    return _key(job_partition(root), f"CHILD#{index:05}")


def children(root: str) -> Prefix:
    return Prefix(job_partition(root), "CHILD#")


def node(root: str, index: int) -> Key:
    return _key(job_partition(root), f"NODE#{index:03}")


def nodes(root: str) -> Prefix:
    return Prefix(job_partition(root), "NODE#")


def job_partition_key(root: str, sk: str) -> Key:
    """Return the key of an item of a job's partition by a sort key that was read before."""
    return _key(job_partition(root), sk)


def root_of(key: Mapping[str, AttributeValue]) -> str:
    """Return the root job's id from the key of an item of its partition."""
    return _pk(key).removeprefix("JOB#")


def description(root: str, digest: str) -> Key:
    return _key(job_partition(root), f"SPEC#{digest}")


def preemption(root: str, at: int, digest: str) -> Key:
    return _key(job_partition(root), f"PREEMPTION#{sortable_time(at)}#{digest}")


def preemptions(root: str) -> Prefix:
    return Prefix(job_partition(root), "PREEMPTION#")


def array_block(root: str, number: int) -> Key:
    return _key(job_partition(root), f"SUMMARY#{number:02}")


# Queues


def queue_partition(queue: str) -> str:
    return f"QUEUE#{queue}"


def queue_of(key: Mapping[str, AttributeValue]) -> str:
    """Return the queue's name from the key of an item of its partition."""
    return _pk(key).removeprefix("QUEUE#")


def registered_queue(queue: str) -> Key:
    return _key(registered_queues(), queue)


def registered_queues() -> str:
    """Return the partition key of the registry of queues."""
    return "QUEUES"


def registered_name(key: Mapping[str, AttributeValue]) -> str:
    """Return the queue's name from a key of the registry."""
    return _sk(key)


def queue_state(queue: str) -> Key:
    return _key(queue_partition(queue), "STATE")


def queue_environment(queue: str) -> Key:
    return _key(queue_partition(queue), "ENVIRONMENT")


def queue_head(queue: str) -> Key:
    return _key(queue_partition(queue), "HEAD")


def last_event(queue: str) -> Key:
    return _key(queue_partition(queue), "LAST_EVENT")


def blocked_event(queue: str, at: int, job_id: str, digest: str) -> Key:
    return _key(queue_partition(queue), f"BLOCKED#{sortable_time(at)}#{job_id}#{digest}")


def blocked_events(queue: str, after: int) -> Range:
    """Return the keys of the blocked events that are later than `after`."""
    return Range(queue_partition(queue), f"BLOCKED#{sortable_time(after + 1)}", "BLOCKED#~")


def queue_counts(queue: str) -> Key:
    return _key(queue_partition(queue), "COUNTS")


def hour(queue: str, begin: int) -> Key:
    return _key(queue_partition(queue), _hour(begin))


def hours(queue: str, first: int, last: int) -> Range:
    """Return the keys of the hours that begin from `first` to `last`."""
    return Range(queue_partition(queue), _hour(first), _hour(last))


def day(queue: str, begin: int) -> Key:
    return _key(queue_partition(queue), _day(begin))


def days(queue: str, first: int, last: int) -> Range:
    """Return the keys of the days that begin from `first` to `last`."""
    return Range(queue_partition(queue), _day(first), _day(last))


def begin_of(key: Mapping[str, AttributeValue]) -> int:
    """Return when the hour or the day of a rollup's key begins."""
    begin = datetime.fromisoformat(_sk(key).partition("#")[2]).replace(tzinfo=UTC)
    return round(begin.timestamp() * 1000)


def _hour(begin: int) -> str:
    return f"HOUR#{_utc(begin):%Y-%m-%dT%H}"


def _day(begin: int) -> str:
    return f"DAY#{_utc(begin):%Y-%m-%d}"


def _utc(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


# Reconciliation


def checkpoint(queue: str) -> Key:
    return _key(queue_partition(queue), "RECONCILE")


def parent_to_check(queue: str, root: str) -> Key:
    return _key(queue_partition(queue), f"PARENT#{root}")


def parents_to_check(queue: str) -> Prefix:
    return Prefix(queue_partition(queue), "PARENT#")


def in_flight(run: str) -> Key:
    return _key("RECONCILE", f"IN_FLIGHT#{run}")


def in_flight_runs() -> Prefix:
    return Prefix("RECONCILE", "IN_FLIGHT#")


def run_of(key: Mapping[str, AttributeValue]) -> str:
    """Return the run's id from the key of its jobs in flight."""
    return _sk(key).removeprefix("IN_FLIGHT#")


# Notices


def notice_subject(queue: str, job_id: str | None) -> str:
    """Return the partition key of what a notice is about: the job or, without one, the queue."""
    return queue_partition(queue) if job_id is None else job_partition(job_id)


def notice(subject: str, room: str, kind: str, generation: int) -> Key:
    return _key(subject, f"NOTICE#{room}#{kind}#{generation}")


def thread(subject: str, room: str, began: int | None = None) -> Key:
    """Return the key of a thread: one for each job and room, or for each incident and room.

    `began` is the beginning of the incident; None for a job.
    """
    return _key(subject, f"THREAD#{room}" if began is None else f"THREAD#{room}#{began}")


def room(room_id: str) -> Key:
    return _key(f"ROOM#{room_id}", "ROOM")


# Leases and marks of functions


def poison_mark(message_id: str) -> Key:
    return _key(f"MESSAGE#{message_id}", "POISON")


def message_of(pk: str) -> str:
    """Return the message's id from the partition key of its mark."""
    return pk.removeprefix("MESSAGE#")


def long_poll_slot(slot: str) -> Key:
    return _key(long_poll_slots(), slot)


def long_poll_slots() -> str:
    """Return the partition key of the slots for waiting requests."""
    return "LONG_POLL"


def slot_of(key: Mapping[str, AttributeValue]) -> str:
    return _sk(key)


# Indexes


class Index(NamedTuple):
    """A global secondary index and the names of its two key attributes (infra/resources.json)."""

    name: str
    partition: str
    sort: str


BY_ACTIVITY: Final = Index("by-activity", "activityKey", "statusSort")
BY_STATUS: Final = Index("by-status", "statusKey", "statusSort")
BY_NAME: Final = Index("by-name", "nameKey", "nameSort")

SHARDS: Final = 2
"""Partitions of by-status for the children and nodes of one queue and status. DynamoDB takes 1,000
writes a second in each. Roots need no shards: AWS Batch accepts 50 SubmitJob calls a second.
Stored keys depend on it: after a change, every job item must be rewritten."""

LAST_SORT: Final = "\U0010ffff"
"""Sorts behind every character of a key."""

_LAST_CREATED: Final = 9_999_999_999_999


def shard_of(job_id: str) -> int:
    return zlib.crc32(job_id.encode()) % SHARDS


def activity_partition(queue: str, *, ended: bool) -> str:
    return f"{queue}#{'ENDED' if ended else 'ACTIVE'}"


def status_partition(queue: str, status: str) -> str:
    """Return the partition key of the roots of a status."""
    return f"{queue}#{status}"


def members_partition(queue: str, status: str, shard: int) -> str:
    """Return a partition key of the children and nodes of a status."""
    return f"CHILDREN#{queue}#{status}#{shard}"


def status_sort(since: int, job_id: str) -> str:
    return f"{sortable_time(since)}#{job_id}"


def job_id_of(status_sort: str) -> str:
    """Return the job id from a sort key of by-activity or by-status."""
    return status_sort.partition("#")[2]


def name_partition(queue: str) -> str:
    return queue


def name_sort(job_name: str, created_at: int, job_id: str) -> str:
    """Return a sort key of index by-name, which is unique, as page tokens need it to be.

    40 bits of a digest distinguish jobs of the same name and millisecond. The whole id would push
    many items over the size of one write unit.
    """
    age = _LAST_CREATED - min(created_at, _LAST_CREATED)
    digest = b32encode(sha256(job_id.encode()).digest()[:5]).decode()
    return f"{job_name}#{age:013}#{digest}"


def sortable_time(milliseconds: int) -> str:
    """Return a time as text that sorts in its order."""
    return f"{milliseconds:015}"


def just_before(sort: str) -> str:
    """Return a text between `sort` and every smaller sort key of by-activity or by-status.

    It relies on job ids not containing `~`.
    """
    return f"{sort[:-1]}{chr(ord(sort[-1]) - 1)}~"


def just_after(sort: str) -> str:
    """Return a text between `sort` and every greater sort key of an index."""
    return f"{sort} "
