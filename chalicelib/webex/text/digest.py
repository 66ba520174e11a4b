"""A digest: one message for many notices of one room.

Jobs and queues are grouped by what happened, where and why, the largest group first. Each job is
named or counted. Names are links if there is space for all of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Final, NamedTuple

from chalicelib.jobs import pending_reason
from chalicelib.jobs.job import JobStatus
from chalicelib.notices.notice import BULK_STUCK, CHILD_FAILED, RESOLUTIONS
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK
from chalicelib.webex.limits import MAX_MESSAGE_BYTES
from chalicelib.webex.markdown import (
    ListItem,
    bold_name,
    byte_size,
    escape,
    escape_name,
    html_size,
    join_blocks,
    join_items,
)
from chalicelib.webex.text.array import ArrayOutcome
from chalicelib.webex.text.context import NoticeContext
from chalicelib.webex.text.layout import MessageLayout, lines
from chalicelib.webex.text.phrases import (
    MOST_OFTEN,
    TIMES,
    after_colon,
    causes_in_short,
    failure_in_short,
    headline,
    plural,
    queue_name,
    severity,
    sign,
    why,
)

_MAX_NAMES: Final = 20
"""The names in a line; nobody reads more in a room. The rest is counted."""
_MAX_NAMES_BYTES: Final = 3_000
"""The length of the list if it doesn't fit with links. The rest is counted."""
_MAX_CAUSE_CHARACTERS: Final = 100
_UNLIMITED: Final = 10**9
_REST_BYTES: Final = byte_size("\n- … and 10,000,000 more")

# Singular and plural.
_JOB_VERBS: Final = {
    JobStatus.FAILED: ("failed", "failed"),
    CHILD_FAILED: ("has a failed child job", "have failed child jobs"),
    STUCK: ("is stuck", "are stuck"),
    RECOVERED: ("is no longer stuck", "are no longer stuck"),
    JobStatus.SUCCEEDED: ("succeeded", "succeeded"),
}
_QUEUE_VERBS: Final = {
    EVENTS_MISSING: ("is missing events", "are missing events"),
    QUEUE_BLOCKED: ("is blocked", "are blocked"),
    BULK_STUCK: ("has many stuck jobs", "have many stuck jobs"),
    RESOLUTIONS[EVENTS_MISSING]: ("is no longer missing events", "are no longer missing events"),
    RESOLUTIONS[QUEUE_BLOCKED]: ("is no longer blocked", "are no longer blocked"),
    RESOLUTIONS[BULK_STUCK]: ("no longer has stuck jobs", "no longer have stuck jobs"),
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
        queue, cause = escape_name(self.queue), f" ({self.cause})" if self.cause else ""
        if self.kind in _QUEUE_VERBS:
            return f"Queue {queue} {_verb(self.kind, 1)}{cause}"
        count = len(self.contexts)
        where = f" in {queue}" if names_queue else ""
        return f"{count:,} {_noun(self.kind, count)} {_verb(self.kind, count)}{where}{cause}"


def message(contexts: Sequence[NoticeContext], layout: MessageLayout) -> str:
    """Return one message for many notices."""
    groups = _grouped(contexts)
    head = _head_of_dependents(contexts) or _head(groups)
    foot = lines(
        layout.time_range(context.notice.at for context in contexts), _link(groups, layout)
    )
    available = MAX_MESSAGE_BYTES - html_size(f"{head}\n\n\n\n{foot}")
    body = _Listing(groups, layout).text(_UNLIMITED)
    if html_size(body) > available:
        body = _Listing(groups).text(min(available, _MAX_NAMES_BYTES))
    return join_blocks([head, body, foot])


def _link(groups: Sequence[_Group], layout: MessageLayout) -> str:
    """Return a link to the page of the only queue, or to the overview of several."""
    queues = {group.queue for group in groups}
    return layout.queue_link(queues.pop()) if len(queues) == 1 else layout.overview_link()


def _grouped(contexts: Sequence[NoticeContext]) -> list[_Group]:
    """Return the groups, the largest first; of two equal ones, the more severe first."""
    members: dict[tuple[str, str, str], list[NoticeContext]] = {}
    for context in contexts:
        key = context.notice.kind, context.notice.queue, _cause(context)
        members.setdefault(key, []).append(context)
    groups = [_Group(*key, tuple(members[key])) for key in members]
    return sorted(groups, key=lambda group: (-len(group.contexts), severity(group.kind)))


def _head_of_dependents(contexts: Sequence[NoticeContext]) -> str | None:
    """Return the first line if all jobs that failed, but one, failed because of that one."""
    failed = [context for context in contexts if context.notice.kind == JobStatus.FAILED]
    dependents = [context.dependency for context in failed if context.dependency]
    others = [context.job for context in failed if not context.dependency]
    job = others[0] if len(others) == 1 else None
    if job is None or not dependents:
        return None
    if any(dependency.job_id != job.job_id for dependency in dependents):
        return None
    count = len(dependents)
    verb = "depends" if count == 1 else "depend"
    return (
        f"{headline(job)} in {queue_name(job)}{after_colon(why(job))}; "
        f"**{count:,} job{plural(count)} that {verb} on it** failed too{_rest(contexts)}"
    )


def _rest(contexts: Sequence[NoticeContext]) -> str:
    """Return, for example, ", 1 job is no longer stuck" for what is not a failure."""
    kinds = Counter(context.notice.kind for context in contexts)
    kinds.pop(JobStatus.FAILED)
    ordered = sorted(kinds, key=severity)
    return "".join(
        f", {kinds[kind]:,} {_noun(kind, kinds[kind])} {_verb(kind, kinds[kind])}"
        for kind in ordered
    )


def _head(groups: Sequence[_Group]) -> str:
    kinds: Counter[str] = Counter()
    for group in groups:
        kinds[group.kind] += len(group.contexts)
    first, *others = ordered = sorted(kinds, key=severity)
    count = kinds[first]
    why = _why([group for group in groups if group.kind == first], " ({})" if others else ": {}")
    most_severe = f"{sign(first)} **{count:,} {_noun(first, count)}** {_verb(first, count)}"
    rest = "".join(f", {_counted(kind, kinds[kind], before)}" for before, kind in pairwise(ordered))
    queues = {group.queue for group in groups}
    where = bold_name(groups[0].queue) if len(queues) == 1 else f"{len(queues):,} queues"
    return f"{most_severe}{why}{rest} in {where}" if others else f"{most_severe} in {where}{why}"


def _why(groups: Sequence[_Group], form: str) -> str:
    """Return why the jobs of these groups failed or are stuck, in this form. What is most often the
    cause in each of some arrays is most often the cause in all."""
    causes: Counter[str] = Counter()
    for group in groups:
        causes[group.cause.removeprefix(MOST_OFTEN)] += len(group.contexts)
    is_mixed = len(causes) == 1 and any(group.cause.startswith(MOST_OFTEN) for group in groups)
    return causes_in_short(causes, form.format(f"{MOST_OFTEN}{{}}") if is_mixed else form)


class _JobReference(NamedTuple):
    name: str
    job_id: str


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
            if byte_size(label) + _REST_BYTES > max_bytes:
                break
            share = max_bytes // (len(self.groups) - position) - byte_size(label) - _REST_BYTES
            names = join_items(self._names(group), share, _MAX_NAMES)
            lines.append(f"{label}: {names}" if names else label)
            max_bytes -= byte_size(lines[-1]) + 1
        rest = sum(len(group.contexts) for group in self.groups[len(lines) :])
        return "\n".join([*lines, *([f"- … and {rest:,} more"] if rest else [])])

    def _names(self, group: _Group) -> list[ListItem]:
        """Return the names of the group's jobs; jobs of the same name are one item, which links to
        the first of them."""
        first: dict[str, tuple[_JobReference, NoticeContext]] = {}
        counts: Counter[str] = Counter()
        for context in group.contexts:
            if job := _listed_job(context):
                first.setdefault(job.name, (job, context))
                counts[job.name] += 1
        return [
            self._item(job, counts[job.name], _suffix(context)) for job, context in first.values()
        ]

    def _item(self, job: _JobReference, count: int, suffix: str) -> ListItem:
        label = escape_name(job.name)
        link = self.layout.job_link(job.job_id, label) if self.layout else None
        ending = f"{TIMES}{count}" if count > 1 else suffix
        return ListItem(f"{link or label}{ending}", count)


def _listed_job(context: NoticeContext) -> _JobReference | None:
    """Return the job that the notice is about or that blocks its queue, or None."""
    notice, state = context.notice, context.queue_state
    if notice.job_id is not None:
        name = context.job.details.job_name if context.job else notice.job_id
        return _JobReference(name, notice.changed_job_id or notice.job_id)
    if notice.kind == QUEUE_BLOCKED and state and state.blocked:
        return _JobReference(state.blocked.job_name, state.blocked.job_id)
    return None


def _suffix(context: NoticeContext) -> str:
    """Return which child the notice is about, or how many children of an array failed."""
    if context.notice.child is not None:
        return f" (child {context.notice.child})"
    outcome = context.array_outcome
    return f" ({outcome.failed:,} of {outcome.size:,})" if outcome and outcome.failed else ""


def _cause(context: NoticeContext) -> str:
    job, outcome = context.job, context.array_outcome
    if context.notice.job_id is None:
        return _queue_cause(context)
    if job is None:
        return ""
    if context.dependency:
        first = context.dependency
        return f"dependency {escape_name(first.details.job_name)} failed: {failure_in_short(first)}"
    if outcome and outcome.causes:
        return _cause_of_array(outcome)
    if context.notice.kind == STUCK:
        return pending_reason.explain(job.status, job.details.status_reason).cause or ""
    return failure_in_short(job) if job.status == JobStatus.FAILED else ""


def _cause_of_array(outcome: ArrayOutcome) -> str:
    """Return what all, or most, of the sampled children failed of, or "" if no cause prevails."""
    first, count = max(outcome.causes.items(), key=itemgetter(1))
    if 2 * count <= sum(outcome.causes.values()):
        return ""
    most_often = MOST_OFTEN if len(outcome.causes) > 1 else ""
    return most_often + escape(first, _MAX_CAUSE_CHARACTERS)


def _queue_cause(context: NoticeContext) -> str:
    state, kind = context.queue_state, context.notice.kind
    if state and state.blocked and kind == QUEUE_BLOCKED:
        return state.blocked.cause
    if kind == BULK_STUCK and (incident := state and state.bulk_incident(context.notice)):
        return incident.cause
    return ""


def _counted(kind: str, count: int, before: str) -> str:
    """Return, for example, "2 jobs are stuck", or "2 are stuck" if the kind before it is also
    about jobs."""
    noun = _noun(kind, count)
    subject = f"{count:,}" if noun == _noun(before, count) else f"{count:,} {noun}"
    return f"{subject} {_verb(kind, count)}"


def _noun(kind: str, count: int) -> str:
    return f"{'queue' if kind in _QUEUE_VERBS else 'job'}{plural(count)}"


def _verb(kind: str, count: int) -> str:
    status = escape(kind)
    singular, plural_form = _VERBS.get(kind, (f"is {status}", f"are {status}"))
    return singular if count == 1 else plural_form
