"""Incidents of many jobs that are stuck in one status for one cause.

    opened      more than MAX_INDIVIDUAL jobs of a queue are stuck in a status for the same cause
    updated     the cause has changed, there are ten times as many jobs, or only a few are left,
                which are named
    resolved    no job is stuck in this status for this cause any longer

Jobs that are stuck in one status for an unknown cause are counted with the most frequent known
cause, because AWS Batch states a reason only for the job at the head of a queue.

Pure: no I/O, no clock, no notices. All times are epoch milliseconds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from chalicelib.jobs.job import Job
from chalicelib.queues.stuck.overdue import cause_of, key_of

MAX_INDIVIDUAL = 3
"""Maximum number of jobs with one status and cause that are reported individually."""
GROWTH = 10
"""An open incident is reported again when it has this many times as many jobs."""
MAX_NAMED = 3


class Group(NamedTuple):
    """The stuck jobs of one status and cause, the longest stuck first."""

    status: str
    cause: str
    jobs: Sequence[Job]

    @property
    def reason(self) -> str:
        """Return the most frequent reason that AWS Batch states for the cause, or ""."""
        reasons = Counter(
            job.details.status_reason or "" for job in self.jobs if cause_of(job) == self.cause
        )
        return reasons.most_common(1)[0][0] if reasons else ""


class NamedJob(msgspec.Struct, frozen=True, array_like=True):
    job_id: str
    job_name: str


class RoomShare(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """The jobs of an incident that the rules of one room match. `is_at_least`: only a sample of the
    jobs was examined, and there may be more."""

    room: str
    jobs: int
    names: tuple[NamedJob, ...] = ()
    is_at_least: bool = False


class BulkIncident(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """Many jobs of a queue that are stuck in `status` for `cause` ("": unknown).

    `reported_at` is when the incident was last reported, `reported_jobs` the number of jobs then,
    `reported_causes` the causes so far. `longest` is the job that has been stuck the longest, since
    `longest_since`. `shares` are the rooms that were notified of it. `thread` is the beginning of
    the block whose consequence the incident is, or None. `rules` is the digest of the notice rules
    by which the rooms were selected.
    """

    status: str
    cause: str = ""
    since: int
    jobs: int
    reason: str = ""
    longest: NamedJob
    longest_since: int
    reported_at: int
    reported_jobs: int
    reported_causes: tuple[str, ...] = ()
    is_few_reported: bool = False
    counted_at: int = 0
    shares: tuple[RoomShare, ...] = ()
    thread: int | None = None
    rules: str = ""

    @property
    def is_update(self) -> bool:
        """Return whether the incident was reported again after it was opened."""
        return self.reported_at != self.since

    @property
    def rooms(self) -> tuple[str, ...]:
        return tuple(share.room for share in self.shares)

    def share(self, room: str) -> RoomShare | None:
        return next((share for share in self.shares if share.room == room), None)

    def is_news(self, cause: str, jobs: int) -> bool:
        """Return whether the incident must be reported again with this cause and number of jobs.
        The consequence of a block is reported once."""
        if self.thread is not None:
            return False
        is_new_cause = cause != "" and cause not in self.reported_causes
        are_few = jobs <= MAX_INDIVIDUAL < self.reported_jobs and not self.is_few_reported
        return is_new_cause or are_few or jobs >= GROWTH * self.reported_jobs


def groups_of(
    jobs: Iterable[Job], open_incidents: Iterable[BulkIncident], blocked_cause: str
) -> dict[tuple[str, str], Group]:
    """Return stuck jobs by status and cause.

    Jobs without a known cause get the most frequent known one of their status: that of another job,
    of an open incident, or for RUNNABLE jobs `blocked_cause`, the cause of the queue's block.
    """
    by_status: dict[str, list[Job]] = {}
    for job in jobs:
        by_status.setdefault(job.details.status, []).append(job)
    groups: dict[tuple[str, str], list[Job]] = {}
    for status, members in by_status.items():
        usual = _usual_cause(status, members, open_incidents, blocked_cause)
        for job in members:
            groups.setdefault((status, cause_of(job) or usual), []).append(job)
    return {key: Group(*key, members) for key, members in groups.items()}


def _usual_cause(
    status: str, jobs: Sequence[Job], open_incidents: Iterable[BulkIncident], blocked_cause: str
) -> str:
    known = Counter(cause for job in jobs if (cause := cause_of(job)))
    if known:
        return known.most_common(1)[0][0]
    of_incident = next((one.cause for one in open_incidents if one.status == status), "")
    return of_incident or (blocked_cause if status == "RUNNABLE" else "")


def shares_of(jobs: Sequence[tuple[Job, tuple[str, ...]]], total: int) -> tuple[RoomShare, ...]:
    """Return the share of each room in an incident of `total` jobs. `jobs` are those that were
    examined, each with the rooms whose rules match it."""
    by_room: dict[str, list[Job]] = {}
    for job, rooms in jobs:
        for room in rooms:
            by_room.setdefault(room, []).append(job)
    is_sample = len(jobs) < total
    return tuple(
        RoomShare(
            room=room,
            jobs=total if len(matching) == len(jobs) else len(matching),
            names=tuple(map(named, matching[:MAX_NAMED])),
            is_at_least=is_sample and len(matching) < len(jobs),
        )
        for room, matching in by_room.items()
    )


def renamed(
    shares: Sequence[RoomShare], group: Group, jobs: int, before: int
) -> tuple[RoomShare, ...]:
    """Return the shares of an incident that is reported again with another number of jobs than
    `before`.

    The rooms were selected by the tags that Batch returned when the incident was opened. A room
    that matched all jobs is assumed to match all of them now; of the others, only the names that
    are still stuck are known.
    """
    return tuple(
        replace(share, jobs=jobs, names=tuple(map(named, group.jobs[:MAX_NAMED])))
        if share.jobs == before and not share.is_at_least
        else _partly(share, group, jobs)
        for share in shares
    )


def _partly(share: RoomShare, group: Group, jobs: int) -> RoomShare:
    current = {job.job_id for job in map(named, group.jobs)}
    names = tuple(job for job in share.names if job.job_id in current)
    are_few = jobs <= MAX_NAMED
    return replace(share, jobs=len(names) if are_few else min(share.jobs, jobs), names=names)


def named(job: Job) -> NamedJob:
    return NamedJob(key_of(job).job_id, job.details.job_name)


def totals_of(
    groups: Mapping[tuple[str, str], Group], counts: Mapping[str, int]
) -> dict[tuple[str, str], int]:
    """Return the number of jobs of each group. `counts` are all stuck jobs of the statuses of which
    only a sample was read; those that were not read are attributed to the largest group."""
    totals = {key: len(group.jobs) for key, group in groups.items()}
    for status, count in counts.items():
        of_status = [key for key in groups if key[0] == status]
        if of_status:
            largest = max(of_status, key=lambda key: totals[key])
            totals[largest] += max(0, count - sum(totals[key] for key in of_status))
    return totals
