"""Reports of the stuck jobs of one queue in a sweep, and the rooms that get them.

The stuck jobs are grouped by status and cause. A group continues an open incident, or becomes one
if it is large; the jobs of a small group are reported individually. While a block of the queue is
reported, all RUNNABLE jobs that are stuck are one group: the consequence of the block.

Pure: no I/O, no clock. All times are epoch milliseconds.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from msgspec.structs import replace

from chalicelib.jobs.job import Description, Job, JobStatus, Observation
from chalicelib.notices.notice import (
    BULK_STUCK,
    RESOLUTIONS,
    Notice,
    failure_cause,
    incident_notices,
)
from chalicelib.notices.rules import QUEUE_BLOCKED, RECOVERED, STUCK, Rules
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.stuck.bulk_incident import (
    MAX_INDIVIDUAL,
    BulkIncident,
    Group,
    RoomShare,
    groups_of,
    named,
    renamed,
    shares_of,
    totals_of,
)
from chalicelib.queues.stuck.overdue import OverdueJobs, StuckJob, StuckKey, cause_of, key_of

MAX_EXAMINED = 100
"""Maximum number of jobs that are read of a queue and status, the longest in it first."""

GroupKey = tuple[str, str]
"""Status and cause."""


class ReportedJob(NamedTuple):
    """A stuck job that was reported individually, and the current record of its root, if any."""

    stuck: StuckJob
    root: Job | None
    description: Description


class OpenIncident(NamedTuple):
    """An open incident and its jobs in this sweep."""

    incident: BulkIncident
    group: Group


class Reports(NamedTuple):
    """The jobs that are reported individually, the open incidents, and the notices of a sweep."""

    stuck: tuple[StuckJob, ...]
    incidents: tuple[BulkIncident, ...]
    notices: tuple[Notice, ...]


@dataclass(frozen=True)
class Members:
    """The stuck jobs that count in this sweep: those that Batch has confirmed, those that were
    reported before, and those of open incidents. `tags` are known of the first two."""

    jobs: Mapping[StuckKey, Job]
    tags: Mapping[StuckKey, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        overdue: OverdueJobs,
        described: Mapping[str, Observation],
        reported: Sequence[ReportedJob],
        incidents: Sequence[BulkIncident],
    ) -> "Members":
        """Select overdue jobs that are stuck. `described` is Batch's description of jobs by id: a
        job that has another status there has an outdated record and is left out."""
        tags_of_reported = {job.stuck.key: job.description.tags for job in reported}
        jobs: dict[StuckKey, Job] = {}
        tags: dict[StuckKey, Mapping[str, str]] = {}
        for key, recorded in overdue.jobs.items():
            job, seen = recorded, described.get(recorded.job_id)
            if seen and seen.details.transition_id == job.details.transition_id:
                job, tags[key] = replace(job, details=seen.details), seen.description.tags
            elif seen:
                continue
            elif key in tags_of_reported:
                tags[key] = tags_of_reported[key]
            elif not is_covered(job, incidents):
                continue
            if overdue.is_stuck(job):
                jobs[key] = job
        return cls(jobs, tags)


@dataclass(frozen=True)
class StuckReporter:
    """Reports of one queue in one sweep, which runs at `now`."""

    queue: str
    rules: Rules
    now: int

    def to_confirm(
        self,
        overdue: OverdueJobs,
        reported: Sequence[ReportedJob],
        incidents: Sequence[BulkIncident],
    ) -> list[Job]:
        """Return the jobs about which Batch must be asked before something is reported.

        Jobs of an open incident were confirmed when it was opened. They are asked about again only
        to select rooms after the rules have changed.
        """
        known = {job.stuck.key for job in reported}
        current = [each for each in incidents if each.rules == self.rules.digest]
        known |= {key for key, job in overdue.jobs.items() if is_covered(job, current)}
        return overdue.to_confirm(known, MAX_EXAMINED)

    def report(
        self,
        overdue: OverdueJobs,
        members: Members,
        counts: Mapping[str, int],
        reported: Sequence[ReportedJob],
        incidents: Sequence[BulkIncident],
        blocked: Blocked | None,
    ) -> Reports:
        """Return what is reported. `counts` are all stuck jobs of the statuses that were counted,
        `reported` and `incidents` what was reported before, `blocked` is the queue's block."""
        individual, notices = self._ongoing(reported, overdue)
        groups = groups_of(members.jobs.values(), incidents, blocked.cause if blocked else "")
        reported_block = blocked if blocked and blocked.is_reported else None
        if reported_block:
            groups = _merged_consequences(groups, reported_block)
        totals = totals_of(groups, counts)
        continued, updates = self._continued(incidents, groups, counts, members, reported_block)
        notices += updates
        for key, group in groups.items():
            block = blocked if group.status == JobStatus.RUNNABLE else None
            if block and (not block.is_reported or self._is_only_its_job(block, group, members)):
                continue  # The block may be over or reported soon, or was reported with this job.
            if block is None and totals[key] <= MAX_INDIVIDUAL:
                notices += self._individual(group, individual, members, overdue)
            else:
                opened = self._opened(group, totals[key], members, block, len(continued))
                continued.append(OpenIncident(opened, group))
                notices += self._incident_notices(opened, opened.rooms)
        covered = {key_of(job) for _, group in continued for job in group.jobs}
        return Reports(
            tuple(stuck for key, stuck in individual.items() if key not in covered),
            tuple(incident for incident, _ in continued),
            tuple(notices),
        )

    # Jobs that are reported individually

    def _ongoing(
        self, reported: Sequence[ReportedJob], overdue: OverdueJobs
    ) -> tuple[dict[StuckKey, StuckJob], list[Notice]]:
        """Return the reported jobs that are still in their status, and notices for the others."""
        ongoing: dict[StuckKey, StuckJob] = {}
        notices: list[Notice] = []
        for job in reported:
            if job.stuck.is_resolved(job.root, overdue):
                notices += self._recovered(job)
            else:
                ongoing[job.stuck.key] = job.stuck
        return ongoing, notices

    def _individual(
        self,
        group: Group,
        individual: dict[StuckKey, StuckJob],
        members: Members,
        overdue: OverdueJobs,
    ) -> Iterator[Notice]:
        """Report each job of a group to the rooms that were not notified of it before."""
        for job in group.jobs:
            stuck = individual.get(key_of(job)) or StuckJob.of(job)
            rooms = [room for room in self._rooms(job, members) if room not in stuck.rooms]
            individual[stuck.key] = replace(stuck, rooms=(*stuck.rooms, *rooms))
            usual = overdue.usual.get(stuck.key)
            for room in rooms:
                yield Notice(
                    room=room,
                    job_id=stuck.job_id,
                    kind=STUCK,
                    generation=stuck.generation,
                    at=self.now,
                    queue=self.queue,
                    status=stuck.status,
                    child=stuck.child,
                    children=overdue.children.get(stuck.key),
                    usual_ms=usual.usual_ms if usual else None,
                )

    def _recovered(self, reported: ReportedJob) -> Iterator[Notice]:
        """Yield nothing for rooms whose rules request a notice of the job's terminal status anyway,
        and nothing for a lost job, which may or may not have recovered."""
        stuck, root, description = reported
        if root is None or root.is_lost:
            return
        name, tags = root.details.job_name, description.tags
        ended = root.status, self.queue, name, tags, failure_cause(root.details)
        notified = self.rules.rooms(*ended) if root.is_over else ()
        for room in self.rules.rooms(RECOVERED, self.queue, name, tags):
            if room not in notified:
                yield Notice(
                    room=room,
                    job_id=stuck.job_id,
                    kind=RECOVERED,
                    generation=stuck.generation,
                    at=self.now if stuck.child is not None else root.since,
                    queue=self.queue,
                    status=stuck.status,
                )

    def _rooms(self, job: Job, members: Members) -> tuple[str, ...]:
        tags = members.tags.get(key_of(job), {})
        return self.rules.rooms(STUCK, self.queue, job.details.job_name, tags)

    # Incidents

    def _continued(
        self,
        incidents: Sequence[BulkIncident],
        groups: dict[GroupKey, Group],
        counts: Mapping[str, int],
        members: Members,
        block: Blocked | None,
    ) -> tuple[list[OpenIncident], list[Notice]]:
        """Return the incidents that remain open, and the notices about all that were open. Remove
        their groups from `groups`."""
        totals = totals_of(groups, counts)
        own = {(incident.status, incident.cause) for incident in incidents}
        continued: list[OpenIncident] = []
        notices: list[Notice] = []
        for incident in incidents:
            is_over = incident.thread is not None and not (block and block.since == incident.thread)
            key = None if is_over else _continuing(incident, groups, own)
            if key is None:
                notices += self._resolved(incident)
                continue
            group = groups.pop(key)
            jobs = totals[key]
            if len(group.jobs) >= MAX_EXAMINED and jobs == len(group.jobs):
                jobs = incident.jobs  # Only a sample was read, and it was not counted this time.
            counted_at = self.now if incident.status in counts else incident.counted_at
            incident = replace(incident, counted_at=counted_at)
            updated, updates = self._updated(incident, group, jobs, members)
            continued.append(OpenIncident(updated, group))
            notices += updates
        return continued, notices

    def _opened(
        self, group: Group, jobs: int, members: Members, block: Blocked | None, position: int
    ) -> BulkIncident:
        """Open an incident, which includes the jobs that were reported individually: they get no
        RECOVERED notice. Incidents that one sweep opens have different beginnings."""
        since = self.now + position
        return BulkIncident(
            status=group.status,
            cause=group.cause,
            since=since,
            jobs=jobs,
            reason=group.reason,
            longest=named(group.jobs[0]),
            longest_since=group.jobs[0].since,
            reported_at=since,
            reported_jobs=jobs,
            reported_causes=(group.cause,) if group.cause else (),
            counted_at=self.now,
            shares=self._shares(group, jobs, members, block),
            thread=block.since if block else None,
            rules=self.rules.digest,
        )

    def _updated(
        self, incident: BulkIncident, group: Group, jobs: int, members: Members
    ) -> tuple[BulkIncident, tuple[Notice, ...]]:
        current = replace(
            incident,
            cause=group.cause,
            reason=group.reason or incident.reason,
            jobs=jobs,
            longest=named(group.jobs[0]),
            longest_since=group.jobs[0].since,
        )
        if incident.is_news(group.cause, jobs):
            reported = replace(
                current,
                reported_at=self.now,
                reported_jobs=jobs,
                reported_causes=tuple(dict.fromkeys((*incident.reported_causes, group.cause))),
                is_few_reported=incident.is_few_reported or jobs <= MAX_INDIVIDUAL,
                shares=renamed(incident.shares, group, jobs, incident.reported_jobs),
            )
            rooms = [share.room for share in reported.shares if share.jobs]
            return reported, self._incident_notices(reported, rooms)
        is_confirmed = any(key_of(job) in members.tags for job in group.jobs)
        if incident.rules == self.rules.digest or not is_confirmed:
            return current, ()
        shares = self._shares(group, jobs, members)
        current = replace(current, shares=shares, rules=self.rules.digest)
        added = [room for room in current.rooms if room not in incident.rooms]
        return current, self._incident_notices(current, added)

    def _shares(
        self, group: Group, jobs: int, members: Members, block: Blocked | None = None
    ) -> tuple[RoomShare, ...]:
        """Return the rooms' shares. Rooms that were notified that no job of the queue can start
        need no notice of the consequence."""
        shares = shares_of([(job, self._rooms(job, members)) for job in group.jobs], jobs)
        without = block.rooms if block and block.obstacle else ()
        return tuple(share for share in shares if share.room not in without)

    def _is_only_its_job(self, block: Blocked, group: Group, members: Members) -> bool:
        """Return whether the group is the job that blocks the queue, and its rooms know of it."""
        return all(
            job.job_id == block.job_id and set(self._rooms(job, members)) <= set(block.rooms)
            for job in group.jobs
        )

    def _incident_notices(
        self, incident: BulkIncident, rooms: Collection[str]
    ) -> tuple[Notice, ...]:
        began = incident.since if incident.is_update else None
        return incident_notices(
            BULK_STUCK,
            self.queue,
            rooms,
            opened_at=incident.reported_at,
            at=self.now,
            status=incident.status,
            thread=began if incident.thread is None else incident.thread,
        )

    def _resolved(self, incident: BulkIncident) -> tuple[Notice, ...]:
        """Return the notices for the rooms that were notified and have a rule for RECOVERED. For
        the consequence of a block, the end of the block is sufficient."""
        recovering = {rule.room for rule in self.rules.rules if RECOVERED in rule.on}
        if incident.thread is not None:
            recovering -= set(self.rules.rooms(QUEUE_BLOCKED, self.queue, None, {}))
        return incident_notices(
            RESOLUTIONS[BULK_STUCK],
            self.queue,
            [room for room in incident.rooms if room in recovering],
            opened_at=incident.since,
            at=self.now,
            status=incident.status,
            thread=incident.thread,
        )


def is_covered(job: Job, incidents: Sequence[BulkIncident]) -> bool:
    """Return whether a job is part of an open incident: it has the same status and cause, or no
    known cause."""
    cause = cause_of(job)
    return any(
        incident.status == job.details.status and cause in ("", incident.cause)
        for incident in incidents
    )


def _continuing(
    incident: BulkIncident, groups: Mapping[GroupKey, Group], own: Collection[GroupKey]
) -> GroupKey | None:
    """Return the key of the group that continues an incident. If its cause is no longer stated,
    that is the largest group of its status which is not another incident's."""
    key = (incident.status, incident.cause)
    if key in groups:
        return key
    others = [key for key in groups if key[0] == incident.status and key not in own]
    return max(others, key=lambda key: len(groups[key].jobs), default=None)


def _merged_consequences(groups: Mapping[GroupKey, Group], block: Blocked) -> dict[GroupKey, Group]:
    """Return the groups with all RUNNABLE jobs in one, which has the cause of the block."""
    runnable = [group for group in groups.values() if group.status == JobStatus.RUNNABLE]
    others = {key: group for key, group in groups.items() if group not in runnable}
    if not runnable:
        return others
    jobs = sorted(
        (job for group in runnable for job in group.jobs), key=lambda job: (job.since, job.job_id)
    )
    merged = Group(JobStatus.RUNNABLE, block.cause, jobs)
    return {**others, (merged.status, merged.cause): merged}
