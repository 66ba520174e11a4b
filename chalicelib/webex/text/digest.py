"""A digest: one message for many notices of one room.

Jobs and queues are grouped by what happened, where and why, the largest group first. Each job is
named or counted. Names are links if there is space for all of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from chalicelib.jobs import pending_reason
from chalicelib.jobs.job import JobStatus
from chalicelib.notices.notice import BULK_STUCK, CHILD_FAILED, RESOLUTIONS
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK
from chalicelib.webex.markdown import LIMIT, Item, fitted, listed, plain, shown_name, size, strong
from chalicelib.webex.text.context import NoticeContext
from chalicelib.webex.text.layout import MessageLayout
from chalicelib.webex.text.phrases import (
    TIMES,
    after_colon,
    failure_in_short,
    plural,
    severity,
    sign,
)

_MAX_NAMES_BYTES: Final = 3_000
"""The length of the list if it doesn't fit with links. The rest is counted."""
_UNLIMITED: Final = 10**9
_REST_BYTES: Final = size("\n- … and 10,000,000 more")

# Singular and plural.
_JOB_VERBS: Final = {
    JobStatus.FAILED: ("failed", "failed"),
    CHILD_FAILED: ("has a failed child", "have failed children"),
    STUCK: ("is stuck", "are stuck"),
    RECOVERED: ("moved on", "moved on"),
    JobStatus.SUCCEEDED: ("succeeded", "succeeded"),
}
_QUEUE_VERBS: Final = {
    EVENTS_MISSING: ("is not heard of", "are not heard of"),
    QUEUE_BLOCKED: ("is blocked", "are blocked"),
    BULK_STUCK: ("has many stuck jobs", "have many stuck jobs"),
    RESOLUTIONS[EVENTS_MISSING]: ("is heard of again", "are heard of again"),
    RESOLUTIONS[QUEUE_BLOCKED]: ("moves again", "move again"),
    RESOLUTIONS[BULK_STUCK]: ("has no stuck jobs any more", "have no stuck jobs any more"),
}
_VERBS: Final[dict[str, tuple[str, str]]] = {**_JOB_VERBS, **_QUEUE_VERBS}


@dataclass(frozen=True, slots=True)
class _Group:
    """Notices of one kind, queue and cause."""

    kind: str
    queue: str
    cause: str
    contexts: tuple[NoticeContext, ...]

    def label(self, *, names_queue: bool) -> str:
        queue = shown_name(self.queue)
        if self.kind in _QUEUE_VERBS:
            return f"{queue} {_verb(self.kind, 1)}{after_colon(self.cause)}"
        where = f" in {queue}" if names_queue else ""
        return f"{_counted(self.kind, len(self.contexts))}{where}{after_colon(self.cause)}"


def message(contexts: Sequence[NoticeContext], layout: MessageLayout) -> str:
    """Return one message for many notices."""
    groups = _grouped(contexts)
    head = _head(groups)
    when = layout.time_range(context.notice.at for context in contexts)
    available = LIMIT - size(f"{head}\n\n\n\n{when}")
    body = _Listing(groups, layout).text(_UNLIMITED)
    if size(body) > available:
        body = _Listing(groups).text(min(available, _MAX_NAMES_BYTES))
    return fitted([head, body, when])


def _grouped(contexts: Sequence[NoticeContext]) -> list[_Group]:
    """Return the groups, the largest first; of two equal ones, the more severe first."""
    members: dict[tuple[str, str, str], list[NoticeContext]] = {}
    for context in contexts:
        key = context.notice.kind, context.notice.queue, _cause(context)
        members.setdefault(key, []).append(context)
    groups = [_Group(*key, tuple(members[key])) for key in members]
    return sorted(groups, key=lambda group: (-len(group.contexts), severity(group.kind)))


def _head(groups: Sequence[_Group]) -> str:
    kinds: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    for group in groups:
        kinds[group.kind] += len(group.contexts)
        causes[group.cause] += len(group.contexts)
    first, *others = sorted(kinds, key=severity)
    count, noun = kinds[first], "queue" if first in _QUEUE_VERBS else "job"
    most_severe = f"{sign(first)} **{count:,} {noun}{plural(count)}** {_verb(first, count)}"
    rest = "".join(f", {_counted(kind, kinds[kind])}" for kind in others)
    queues = {group.queue for group in groups}
    where = strong(groups[0].queue) if len(queues) == 1 else f"{len(queues):,} queues"
    most_frequent = causes.most_common(1)[0][0] if not others else ""
    cause = f"{'most often ' if len(causes) > 1 else ''}{most_frequent}" if most_frequent else ""
    return f"{most_severe}{rest} in {where}{after_colon(cause)}"


@dataclass(frozen=True, slots=True)
class _Listing:
    """The groups as a list; `layout` makes the names links."""

    groups: Sequence[_Group]
    layout: MessageLayout | None = None

    def text(self, max_bytes: int) -> str:
        """Return a line for each group; the groups share `max_bytes` equally."""
        names_queue = len({group.queue for group in self.groups}) > 1
        lines: list[str] = []
        for position, group in enumerate(self.groups):
            label = f"- **{group.label(names_queue=names_queue)}**"
            if size(label) + _REST_BYTES > max_bytes:
                break
            share = max_bytes // (len(self.groups) - position) - size(label) - _REST_BYTES
            names = listed(self._names(group), share)
            lines.append(f"{label}: {names}" if names else label)
            max_bytes -= size(lines[-1]) + 1
        rest = sum(len(group.contexts) for group in self.groups[len(lines) :])
        return "\n".join([*lines, *([f"- … and {rest:,} more"] if rest else [])])

    def _names(self, group: _Group) -> list[Item]:
        """Return the names of the group's jobs; jobs of the same name are one item."""
        by_name: dict[str, list[NoticeContext]] = {}
        for context in group.contexts:
            if (name := _job_name(context)) is not None:
                by_name.setdefault(name, []).append(context)
        return [self._item(name, contexts) for name, contexts in by_name.items()]

    def _item(self, name: str, contexts: Sequence[NoticeContext]) -> Item:
        label, job_id, count = shown_name(name), _job_id(contexts[0]), len(contexts)
        link = self.layout.job_link(job_id, label) if self.layout and job_id else None
        after = f"{TIMES}{count}" if count > 1 else _failed_children(contexts[0])
        return Item(f"{link or label}{after}", count)


def _job_id(context: NoticeContext) -> str | None:
    """Return the id of the job that the notice is about, or that blocks its queue."""
    notice, state = context.notice, context.queue_state
    if notice.job_id is None and notice.kind == QUEUE_BLOCKED and state and state.blocked:
        return state.blocked.job_id
    return notice.job_id


def _job_name(context: NoticeContext) -> str | None:
    notice, state = context.notice, context.queue_state
    if notice.job_id is None:
        blocked = state.blocked if state and notice.kind == QUEUE_BLOCKED else None
        return blocked.job_name if blocked else None
    return context.job.details.job_name if context.job else notice.job_id


def _failed_children(context: NoticeContext) -> str:
    outcome = context.array_outcome
    return f" ({outcome.failed:,} of {outcome.size:,})" if outcome and outcome.failed else ""


def _cause(context: NoticeContext) -> str:
    job, outcome = context.job, context.array_outcome
    if context.notice.job_id is None:
        return _queue_cause(context)
    if job is None:
        return ""
    if outcome and outcome.causes:
        return next(iter(outcome.causes))
    if context.notice.kind == STUCK:
        return pending_reason.explain(job.status, job.details.status_reason).cause or ""
    return failure_in_short(job) if job.status == JobStatus.FAILED else ""


def _queue_cause(context: NoticeContext) -> str:
    state, kind = context.queue_state, context.notice.kind
    if state and state.blocked and kind == QUEUE_BLOCKED:
        return pending_reason.explain(JobStatus.RUNNABLE, state.blocked.reason).cause or ""
    if state and state.bulk_incident and kind == BULK_STUCK:
        return next(iter(state.bulk_incident.causes), "")
    return ""


def _counted(kind: str, count: int) -> str:
    noun = f"queue{plural(count)} " if kind in _QUEUE_VERBS else ""
    return f"{count:,} {noun}{_verb(kind, count)}"


def _verb(kind: str, count: int) -> str:
    status = plain(kind.lower())
    singular, plural_form = _VERBS.get(kind, (f"is {status}", f"are {status}"))
    return singular if count == 1 else plural_form
