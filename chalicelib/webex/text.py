"""What a notice says, as Webex markdown.

The first line tells which job, in which queue, what happened and why: it is all that a phone's lock
screen shows. The rest is for those who want to know more: what that means and what to do about it,
the attempt, how long it waited and ran, when, and where to look.

Whatever events said passes `markdown`, so that it is shown and does nothing; no message is longer
than Webex takes. Pure: knows nothing of queues, rooms, Webex's API, the clock or the environment.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import tzinfo
from itertools import pairwise
from typing import Final, NamedTuple, Self
from urllib.parse import quote

import msgspec

from chalicelib.jobs import failure
from chalicelib.jobs import pending_reason as waiting
from chalicelib.jobs.console_links import console_link, logs_link
from chalicelib.jobs.durations import durations
from chalicelib.jobs.failure import Cause, Failure
from chalicelib.jobs.job import Description, Job, JobId, JobStatus, is_terminal
from chalicelib.notices.notice import BULK_STUCK, CHILD_FAILED, RESOLUTIONS, Notice
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck import BulkIncident
from chalicelib.text_format import Moment, duration, span
from chalicelib.webex.markdown import (
    LIMIT,
    LINE_BREAK,
    Item,
    fitted,
    link,
    listed,
    plain,
    shown_name,
    size,
    strong,
)


class ArrayOutcome(msgspec.Struct, frozen=True):
    """How the children of an array ended. `indexes` are those of the failed; `causes` counts them
    by cause in words, the commonest first."""

    size: int
    succeeded: int
    failed: int
    indexes: tuple[int, ...] = ()
    causes: dict[str, int] = {}

    @classmethod
    def of(cls, size: int, children: Iterable[Job]) -> Self:
        """By the records of the children, in any order; those that have not ended don't count."""
        succeeded = 0
        failed: dict[int, str] = {}
        for child in children:
            succeeded += child.status == JobStatus.SUCCEEDED
            if child.status == JobStatus.FAILED:
                failed[JobId.parse(child.job_id).index] = why(child)
        causes = dict(Counter(failed.values()).most_common())
        return cls(size, succeeded, len(failed), tuple(sorted(failed)), causes)

    @property
    def unheard(self) -> int:
        """The number of those of whose end nothing was heard."""
        return max(0, self.size - self.succeeded - self.failed)


class Told(NamedTuple):
    """One of the notices of a digest, with its job's record, if there is one, for the end of an
    array how its children fared, and for a queue what is known of it."""

    notice: Notice
    job: Job | None
    outcome: ArrayOutcome | None = None
    state: QueueState | None = None


class NoticeText(msgspec.Struct, frozen=True):
    """Writes messages. Times are shown in `zone`; without a `public_url` there are no links to the
    dashboard."""

    zone: tzinfo
    public_url: str = ""

    def status(self, job: Job, description: Description) -> str:
        """That the job is in its status: it failed, succeeded, or got on."""
        return self._message(
            f"{_news(job)} in {_queue(job)}{_because(job)}",
            plain(_failure(job).explanation) if job.status == JobStatus.FAILED else "",
            _facts(job, description),
            job,
        )

    def first_failed_child(self, child: Job, size: int | None) -> str:
        """The early warning of an array; `size` is the array's, if known."""
        index = JobId.parse(child.job_id).index
        of_all = f" of {size:,}" if size else ""
        return self._message(
            f"{_sign(CHILD_FAILED)} A child of {_name(child)} failed in {_queue(child)}"
            f"{_because(child)}",
            plain(_failure(child).explanation),
            f"Child {index:,}{of_all} is the first known to have failed. "
            "One more message will tell how all of them ended.",
            child,
        )

    def array_end(self, job: Job, outcome: ArrayOutcome) -> str:
        """The end of an array, and how its children ended."""
        return self._message(
            f"{_news(job)} in {_queue(job)}: {_children_in_short(job, outcome)}",
            LINE_BREAK.join([*_own_failure(job), *_children(outcome)]),
            _took(job),
            job,
        )

    def stuck(self, job: Job, description: Description, at: int) -> str:
        """That the job has been in its status for too long; `at` is when that was found."""
        reason = job.details.status_reason
        hindrance = waiting.explain(job.status, reason)
        time = duration((at - job.since) / 1000)
        child_of = "" if job.is_root else "A child of "
        return self._message(
            f"{_sign(STUCK)} {child_of}{_name(job)} has been {plain(job.status)} in {_queue(job)} "
            f"for {time}{_colon(hindrance.cause)}",
            f"{hindrance.explanation}{_quoted(reason)}",
            _demand(description),
            job,
        )

    def recovered(self, job: Job, description: Description) -> str:
        """That a job that was stuck has moved on to its status, or an array's children have."""
        if job.details.array and not job.is_terminal:
            return self._message(
                f"{_sign(RECOVERED)} {_name(job)} moved on in {_queue(job)}: "
                "none of its children is stuck any more",
                "",
                "",
                job,
            )
        waits = [(after.at - before.at, before.status) for before, after in pairwise(job.history)]
        longest, status = max(waits, default=(0, ""))
        return self._message(
            f"{_sign(RECOVERED)} {_name(job)} moved on in {_queue(job)}: it {_verb(job.status)}"
            f"{_because(job)}",
            f"It had been {plain(status)} for {duration(longest / 1000)}." if longest > 0 else "",
            _facts(job, description),
            job,
        )

    def of_queue(
        self, notice: Notice, state: QueueState | None, job: Job | None, description: Description
    ) -> str:
        """That an incident of a queue begins, by its `state`, or ends. `job` is the record of the
        one that blocks it, if there is one, and `description` its."""
        if state and state.bulk_incident and notice.kind == BULK_STUCK:
            return self.bulk_incident(notice.queue, state.bulk_incident)
        if state and state.blocked and notice.kind == QUEUE_BLOCKED:
            return self.queue_blocked(notice.queue, state.blocked, job, description)
        if state and state.missing_events and notice.kind == EVENTS_MISSING:
            return self.silent(notice.queue, state.missing_events)
        return self.queue_recovered(notice)

    def bulk_incident(self, queue: str, crowd: BulkIncident) -> str:
        """That many jobs of a queue are stuck."""
        cause, *others = crowd.causes
        known = f"{'most often ' if others else ''}{cause}" if cause else ""
        explanation = waiting.explain(crowd.longest.status, crowd.reason).explanation
        counts = sorted(crowd.statuses.items(), key=lambda one: -one[1])
        statuses = ", ".join(f"{count:,} {plain(status)}" for status, count in counts)
        longest, waited = crowd.longest, duration((crowd.since - crowd.longest.since) / 1000)
        name = strong(longest.job_name)
        facts = [
            statuses,
            f"{self.job_link(longest.job_id, name) or name} has waited longest, for {waited}",
            _causes(crowd) if others else "",
        ]
        return fitted(
            [
                f"{_sign(BULK_STUCK)} **{crowd.jobs:,} jobs** are stuck in {strong(queue)}"
                f"{_colon(known)}",
                f"{explanation}{_quoted(crowd.reason)}",
                LINE_BREAK.join(fact for fact in facts if fact),
                f"Counted {Moment.of(crowd.since, self.zone)}. One more message will tell when "
                "none is stuck any more.",
            ]
        )

    def queue_blocked(
        self, queue: str, blocked: Blocked, job: Job | None, description: Description
    ) -> str:
        """That nothing gets on in a queue: the job at its head can't start. `job` is its record,
        if there is one."""
        hindrance = waiting.explain(JobStatus.RUNNABLE, blocked.reason)
        since = f"Blocked since {Moment.of(blocked.since, self.zone)}"
        facts = [_demand(description), since, self._links(job) if job else ""]
        return fitted(
            [
                f"{_sign(QUEUE_BLOCKED)} {strong(queue)} is blocked by {strong(blocked.job_name)}"
                f"{_colon(hindrance.cause)}",
                f"{hindrance.explanation}{_quoted(blocked.reason)}",
                LINE_BREAK.join(fact for fact in facts if fact),
            ]
        )

    def silent(self, queue: str, missing_events: MissingEvents) -> str:
        """That no events of a queue arrive though its jobs get on."""
        heard = (
            f"The last event arrived {Moment.of(missing_events.last_event_at, self.zone)}."
            if missing_events.last_event_at
            else "None ever did."
        )
        return fitted(
            [
                f"{_sign(EVENTS_MISSING)} No events received from {strong(queue)},"
                " although its jobs are progressing",
                f"AWS Batch reports at least {missing_events.changes:,} changes without an event. "
                f"{heard} The sweep finds what happens, but late. Check, the likeliest first:",
                "\n".join(f"{number}. {cause}" for number, cause in enumerate(_NO_EVENTS, 1)),
            ]
        )

    def queue_recovered(self, notice: Notice) -> str:
        """That an incident of a queue has ended."""
        queue, lasted = strong(notice.queue), duration((notice.at - notice.generation) / 1000)
        news = {
            RESOLUTIONS[BULK_STUCK]: f"No job is stuck in {queue} any more: it took {lasted}",
            RESOLUTIONS[QUEUE_BLOCKED]: f"{queue} moves again: it was blocked for {lasted}",
            RESOLUTIONS[EVENTS_MISSING]: f"Events of {queue} arrive again: it took {lasted}",
        }
        return f"{_sign(RECOVERED)} {news[notice.kind]}"

    def digest(self, told: Sequence[Told]) -> str:
        """Many notices of one room at once: by what happened, where and why, the most first, every
        job named or counted. The names are links as long as that leaves room for all of them."""
        groups = _grouped(told)
        head, when = _digest_head(groups), span((each.notice.at for each in told), self.zone)
        room = LIMIT - size(f"{head}\n\n\n\n{when}")
        body = self._listing(groups, _BOUNDLESS, linked=True)
        if size(body) > room:
            body = self._listing(groups, min(room, _READABLE), linked=False)
        return fitted([head, body, when])

    def job_link(self, job_id: str, label: str) -> str | None:
        """To the job's page of the dashboard."""
        page = f"{self.public_url}/#/jobs/{quote(job_id, safe='')}"
        return link(label, page) if self.public_url else None

    def _message(self, head: str, explanation: str, facts: str, job: Job) -> str:
        ended = job.details.stopped_at if job.is_terminal else None
        moment = Moment.of(ended or job.since, self.zone)
        when = f"Ended {moment}" if job.is_terminal else f"{plain(job.status)} since {moment}"
        lines = [line for line in (facts, when, self._links(job)) if line]
        return fitted([head, explanation, LINE_BREAK.join(lines)])

    def _links(self, job: Job) -> str:
        links = (
            self.job_link(job.job_id, "Dashboard"),
            link("SageMaker" if job.is_service else "AWS Batch", console_link(job)),
            link("Log", logs_link(job)),
        )
        return " · ".join(each for each in links if each)

    def _listing(self, groups: Sequence["_Group"], room: int, *, linked: bool) -> str:
        """A line for each group, all with an equal share of the room."""
        lines: list[str] = []
        for position, group in enumerate(groups):
            label = f"- **{group.label}**"
            if size(label) + _REST > room:
                break
            share = room // (len(groups) - position) - size(label) - _REST
            names = listed(self._names(group, linked=linked), share)
            lines.append(f"{label}: {names}" if names else label)
            room -= size(lines[-1]) + 1
        rest = sum(len(group.told) for group in groups[len(lines) :])
        return "\n".join([*lines, *([f"- … and {rest:,} more"] if rest else [])])

    def _names(self, group: "_Group", *, linked: bool) -> list[Item]:
        """Its jobs, those of one name together."""
        ids: dict[str, list[str]] = {}
        fared: dict[str, str] = {}
        for notice, job, outcome, state in group.told:
            job_name, job_id = _of(notice, job, state)
            if job_id is None:
                continue
            ids.setdefault(job_name, []).append(job_id)
            if outcome and outcome.failed:
                fared[job_name] = f" ({outcome.failed:,} of {outcome.size:,})"
        return [
            self._named(shown_name(each), fared.get(each, ""), ids[each], linked=linked)
            for each in ids
        ]

    def _named(self, shown: str, fared: str, ids: Sequence[str], *, linked: bool) -> Item:
        leading = (self.job_link(ids[0], shown) if linked else None) or shown
        more = f"{_TIMES}{len(ids)}" if len(ids) > 1 else fared
        return Item(f"{leading}{more}", len(ids))


def why(job: Job) -> str:
    """Why a job that is FAILED failed, in so few words that they end a line."""
    return _in_short(_failure(job).cause, _exit_code(job))


def ranges(indexes: Sequence[int]) -> list[Item]:
    """Ascending indexes, three and more in a row as one item."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return [item for run in runs for item in _run(run)]


# ------------------------------------------------------------------ of one job


_SIGNS: Final[Mapping[str, str]] = {
    JobStatus.FAILED: "❌",
    CHILD_FAILED: "⚠️",
    EVENTS_MISSING: "🔇",
    QUEUE_BLOCKED: "⛔",
    BULK_STUCK: "⏳",
    STUCK: "⏳",
    RECOVERED: "👍",
    **dict.fromkeys(RESOLUTIONS.values(), "👍"),
    JobStatus.SUCCEEDED: "✅",
}
"""In the order of how much they matter. All else is progress."""

_CAUSES: Final[Mapping[Cause, str]] = {
    Cause.OUT_OF_MEMORY: "out of memory",
    Cause.TIMEOUT: "timed out",
    Cause.SPOT_INTERRUPTION: "lost its machine",
    Cause.IMAGE_PULL: "image not pulled",
    Cause.DEPENDENCY_FAILED: "a job that it depends on failed",
    Cause.CHILD_FAILED: "a child failed",
    Cause.CANCELLED: "cancelled",
    Cause.TERMINATED: "terminated",
    Cause.QUEUE_DELETED: "its queue was deleted",
    Cause.TIME_LIMIT: "waited longer than its queue allows",
    Cause.PREEMPTED: "preempted",
    Cause.UNKNOWN: "cause unknown",
}


_NO_EVENTS: Final = (
    "The rule, in EventBridge: is it enabled, and does its event pattern name this queue?",
    "The undeliverable queue: are there messages? Then the policy or the encryption of the events "
    "queue keeps EventBridge out.",
    "The events queue: do messages grow old? Then on\\_batch\\_events fails or is throttled, or "
    "its trigger is disabled.",
    "The region and the account: are they those of the queue?",
)


def _sign(kind: str) -> str:
    return _SIGNS.get(kind, "▶️")


def _name(job: Job) -> str:
    return strong(job.details.job_name)


def _queue(job: Job) -> str:
    return strong(job.queue)


def _news(job: Job) -> str:
    return f"{_sign(job.status)} {_name(job)} {_verb(job.status)}{' again' * _is_retry(job)}"


def _verb(status: str) -> str:
    if is_terminal(status):
        return status.lower()
    return f"is {plain(status.lower())}"


def _because(job: Job) -> str:
    """Why it failed, or why it has to try again; nothing for a job that gets on."""
    if job.status == JobStatus.FAILED:
        return f": {why(job)}"
    if not _is_retry(job):
        return ""
    finished = [each for each in job.details.attempts if each.stopped_at is not None]
    cause = failure.attempt_cause(finished[-1]) if finished else None
    if cause is None:
        return ""
    return f": attempt {len(finished)} failed, {_in_short(cause, finished[-1].exit_code)}"


def _is_retry(job: Job) -> bool:
    return job.status == JobStatus.RUNNABLE and job.details.generation > 0


def _failure(job: Job) -> Failure:
    return failure.failure_of(job.details)


def _in_short(cause: Cause, exit_code: int | None) -> str:
    return _CAUSES.get(cause, f"exit code {exit_code}")


def _exit_code(job: Job) -> int | None:
    attempts = job.details.attempts
    of_last = attempts[-1].exit_code if attempts else None
    return job.details.exit_code if of_last is None else of_last


def _quoted(reason: str | None) -> str:
    return f'{LINE_BREAK}AWS Batch says: "{plain(reason, 250)}"' if reason else ""


def _colon(words: str | None) -> str:
    return f": {words}" if words else ""


def _facts(job: Job, description: Description) -> str:
    """As in "Attempt 2 of 3 · exit code 137 · waited 4 min · ran 1 h 12 min"."""
    facts = [_attempt(job, description), *_ending(job, description), *_times(job)]
    return " · ".join(fact for fact in facts if fact)


def _attempt(job: Job, description: Description) -> str:
    attempt, allowed = job.history[-1].attempt, description.retry_attempts or 0
    if attempt is None:
        started = job.details.attempts or job.details.started_at
        return "" if started or job.status != JobStatus.FAILED else "Never started"
    return f"Attempt {attempt} of {allowed}" if allowed >= attempt else f"Attempt {attempt}"


def _ending(job: Job, description: Description) -> Iterator[str]:
    """What the first line does not say of a failure, and what it failed at."""
    if job.status != JobStatus.FAILED:
        return
    cause, code = _failure(job).cause, _exit_code(job)
    if code is not None and cause is not Cause.EXIT_CODE:
        yield f"exit code {code}"
    if cause is Cause.OUT_OF_MEMORY and description.memory:
        yield f"had {_memory(description.memory)}"
    if cause is Cause.TIMEOUT and description.timeout_seconds:
        yield f"timeout {duration(description.timeout_seconds)}"


def _times(job: Job) -> Iterator[str]:
    if not job.is_terminal:
        return
    times = durations(job, job.since)
    waited = times.queued_seconds if times.queued_seconds is not None else times.total_seconds
    if waited is not None:
        yield f"waited {duration(waited)}"
    if times.running_seconds is not None:
        yield f"ran {duration(times.running_seconds)}"


def _demand(description: Description) -> str:
    """What a machine must have for it."""
    gpus = description.gpus
    wanted = [
        f"{description.vcpus:g} vCPU{_s(description.vcpus)}" if description.vcpus else "",
        _memory(description.memory) if description.memory else "",
        f"{gpus} GPU{_s(gpus)}" if gpus else "",
    ]
    asked = ", ".join(each for each in wanted if each)
    return f"Asks for {asked}" if asked else ""


def _memory(mebibytes: int) -> str:
    if mebibytes < 1024:
        return f"{mebibytes} MiB of memory"
    return f"{round(mebibytes / 1024, 1):g} GiB of memory"


def _s(count: float) -> str:
    return "" if count == 1 else "s"


# ------------------------------------------------------------------ of an array


_TO: Final = "\N{EN DASH}"
_INDEXES: Final = 240
"""Bytes: more indexes than that nobody reads."""


def _children_in_short(job: Job, outcome: ArrayOutcome) -> str:
    if not outcome.failed:
        return why(job) if job.status == JobStatus.FAILED else f"all {outcome.size:,} children"
    itself = f"{why(job)}; " if any(_own_failure(job)) else ""
    most, *others = [plain(cause) for cause in outcome.causes] or [""]
    cause = f", {'most often ' if others else ''}{most}" if most else ""
    return f"{itself}{outcome.failed:,} of {outcome.size:,} children{cause}"


def _own_failure(job: Job) -> Iterator[str]:
    """Why an array failed, unless its children tell it."""
    if job.status != JobStatus.FAILED:
        return
    told = _failure(job)
    if told.cause not in (Cause.CHILD_FAILED, Cause.UNKNOWN):
        yield plain(told.explanation)


def _children(outcome: ArrayOutcome) -> Iterator[str]:
    if outcome.failed or outcome.unheard:
        unheard = f", nothing was heard of {outcome.unheard:,}" if outcome.unheard else ""
        yield f"{outcome.succeeded:,} succeeded, {outcome.failed:,} failed{unheard}"
    if outcome.indexes:
        yield f"Failed: {listed(ranges(outcome.indexes), _INDEXES)}"
    if len(outcome.causes) > 1:
        causes = [
            Item(f"{count:,}{_TIMES} {plain(cause)}") for cause, count in outcome.causes.items()
        ]
        yield f"Causes: {listed(causes, _INDEXES)}"


def _took(job: Job) -> str:
    seconds = durations(job, job.since).total_seconds
    return f"Took {duration(seconds)}" if seconds is not None else ""


def _run(run: Sequence[int]) -> list[Item]:
    if len(run) < 3:
        return [Item(str(index)) for index in run]
    return [Item(f"{run[0]}{_TO}{run[-1]}", len(run))]


# ------------------------------------------------------------------ of a queue


def _causes(crowd: BulkIncident) -> str:
    causes = [
        Item(f"{count:,}{_TIMES} {cause or 'nothing is known'}")
        for cause, count in crowd.causes.items()
    ]
    of = f", of the {crowd.asked:,} that wait longest" if crowd.asked < crowd.jobs else ""
    return f"Why{of}: {listed(causes, _INDEXES)}"


# ------------------------------------------------------------------ of many jobs


_TIMES: Final = " \N{MULTIPLICATION SIGN}"
_READABLE: Final = 3_000
"""Bytes of names: more of them nobody reads, and they are counted."""
_BOUNDLESS: Final = 10**9
_REST: Final = size("\n- … and 10,000,000 more")

_VERBS: Final[Mapping[str, tuple[str, str]]] = {
    JobStatus.FAILED: ("failed", "failed"),
    CHILD_FAILED: ("has a failed child", "have failed children"),
    STUCK: ("is stuck", "are stuck"),
    RECOVERED: ("moved on", "moved on"),
    JobStatus.SUCCEEDED: ("succeeded", "succeeded"),
}


_QUEUE_VERBS: Final[Mapping[str, tuple[str, str]]] = {
    EVENTS_MISSING: ("is not heard of", "are not heard of"),
    QUEUE_BLOCKED: ("is blocked", "are blocked"),
    BULK_STUCK: ("has many stuck jobs", "have many stuck jobs"),
    RESOLUTIONS[EVENTS_MISSING]: ("is heard of again", "are heard of again"),
    RESOLUTIONS[QUEUE_BLOCKED]: ("moves again", "move again"),
    RESOLUTIONS[BULK_STUCK]: ("has no stuck jobs any more", "have no stuck jobs any more"),
}


class _Group(NamedTuple):
    """Notices that say the same of their jobs, or of a queue."""

    kind: str
    queue: str
    cause: str
    several_queues: bool
    told: list[Told]

    @property
    def label(self) -> str:
        queue = shown_name(self.queue)
        if self.kind in _QUEUE_VERBS:
            return f"{queue} {_QUEUE_VERBS[self.kind][0]}{_colon(self.cause)}"
        where = f" in {queue}" if self.several_queues else ""
        return f"{_counted(self.kind, len(self.told))}{where}{_colon(self.cause)}"


def _grouped(told: Sequence[Told]) -> list[_Group]:
    """The largest first; of two as large, the one that matters more."""
    several_queues = len({each.notice.queue for each in told}) > 1
    groups: dict[tuple[str, str, str], _Group] = {}
    for each in told:
        same = each.notice.kind, each.notice.queue, _cause(each)
        groups.setdefault(same, _Group(*same, several_queues, [])).told.append(each)
    return sorted(groups.values(), key=lambda group: (-len(group.told), _weight(group.kind)))


def _digest_head(groups: Sequence[_Group]) -> str:
    kinds: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for group in groups:
        kinds[group.kind] += len(group.told)
        causes[group.cause] += len(group.told)
    first, *others = sorted(kinds, key=_weight)
    count, noun = kinds[first], "queue" if first in _QUEUE_VERBS else "job"
    said = f"{_sign(first)} **{count:,} {noun}{_s(count)}** {_did(first, count)}"
    rest = "".join(f", {_counted(kind, kinds[kind])}" for kind in others)
    queues = {group.queue for group in groups}
    where = strong(groups[0].queue) if len(queues) == 1 else f"{len(queues):,} queues"
    most = causes.most_common(1)[0][0] if not others else ""
    cause = _colon(f"{'most often ' if len(causes) > 1 else ''}{most}" if most else "")
    return f"{said}{rest} in {where}{cause}"


def _cause(told: Told) -> str:
    job = told.job
    if told.notice.job_id is None:
        return _cause_of_queue(told)
    if job is None:
        return ""
    if told.outcome and told.outcome.causes:
        return next(iter(told.outcome.causes))
    if told.notice.kind == STUCK:
        return waiting.explain(job.status, job.details.status_reason).cause or ""
    return why(job) if job.status == JobStatus.FAILED else ""


def _of(notice: Notice, job: Job | None, state: QueueState | None) -> tuple[str, str | None]:
    """The name and id of the job that it is about, or that blocks its queue."""
    if notice.job_id is not None:
        return job.details.job_name if job else notice.job_id, notice.job_id
    blocked = state.blocked if state and notice.kind == QUEUE_BLOCKED else None
    return (blocked.job_name, blocked.job_id) if blocked else ("", None)


def _cause_of_queue(told: Told) -> str:
    state, kind = told.state, told.notice.kind
    if state and state.blocked and kind == QUEUE_BLOCKED:
        return waiting.explain(JobStatus.RUNNABLE, state.blocked.reason).cause or ""
    if state and state.bulk_incident and kind == BULK_STUCK:
        return next(iter(state.bulk_incident.causes), "")
    return ""


def _counted(kind: str, count: int) -> str:
    noun = f"queue{_s(count)} " if kind in _QUEUE_VERBS else ""
    return f"{count:,} {noun}{_did(kind, count)}"


def _did(kind: str, count: int) -> str:
    status = plain(kind.lower())
    verbs = {**_VERBS, **_QUEUE_VERBS}
    one, many = verbs.get(kind, (f"is {status}", f"are {status}"))
    return one if count == 1 else many


def _weight(kind: str) -> int:
    return list(_SIGNS).index(kind) if kind in _SIGNS else len(_SIGNS)
