"""Messages about a job queue: an incident opened, or it was resolved."""

from collections.abc import Iterator
from typing import Final

from chalicelib.jobs import pending_reason
from chalicelib.jobs.job import JobStatus
from chalicelib.notices.notice import BULK_STUCK, RESOLUTIONS, Notice
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.stuck import BulkIncident
from chalicelib.text_format import duration
from chalicelib.webex.markdown import Item, fitted, listed, plain, strong
from chalicelib.webex.text.context import NoticeContext
from chalicelib.webex.text.layout import MessageLayout, lines
from chalicelib.webex.text.phrases import (
    MAX_LIST_BYTES,
    TIMES,
    after_colon,
    quoted_reason,
    requested,
    sign,
)

_CHECKS: Final = (
    "The rule, in EventBridge: is it enabled, and does its event pattern name this queue?",
    "The undeliverable queue: are there messages? Then the policy or the encryption of the events "
    "queue keeps EventBridge out.",
    "The events queue: do messages grow old? Then on\\_batch\\_events fails or is throttled, or "
    "its trigger is disabled.",
    "The region and the account: are they those of the queue?",
)


def message(context: NoticeContext, layout: MessageLayout) -> str:
    """Return the message for a notice about a queue."""
    state, kind = context.queue_state, context.notice.kind
    if state and state.bulk_incident and kind == BULK_STUCK:
        return _bulk_stuck(context.notice.queue, state.bulk_incident, layout)
    if state and state.blocked and kind == QUEUE_BLOCKED:
        return _blocked(context, state.blocked, layout)
    if state and state.missing_events and kind == EVENTS_MISSING:
        return _events_missing(context.notice.queue, state.missing_events, layout)
    return _resolved(context.notice)


def _bulk_stuck(queue: str, incident: BulkIncident, layout: MessageLayout) -> str:
    status = incident.longest.status
    explanation = pending_reason.explain(status, incident.reason).explanation
    cause, *others = incident.causes
    in_short = f"{'most often ' if others else ''}{cause}" if cause else ""
    return fitted(
        [
            f"{sign(BULK_STUCK)} **{incident.jobs:,} jobs** are stuck in {strong(queue)}"
            f"{after_colon(in_short)}",
            f"{explanation}{quoted_reason(incident.reason)}",
            lines(*_bulk_facts(incident, layout)),
            f"Counted {layout.time(incident.since)}. One more message will tell when "
            "none is stuck any more.",
        ]
    )


def _bulk_facts(incident: BulkIncident, layout: MessageLayout) -> Iterator[str]:
    by_count = sorted(incident.statuses.items(), key=lambda item: -item[1])
    yield ", ".join(f"{count:,} {plain(status)}" for status, count in by_count)
    longest = incident.longest
    name = strong(longest.job_name)
    link, waited = layout.job_link(longest.job_id, name), incident.since - longest.since
    yield f"{link or name} has waited longest, for {duration(waited / 1000)}"
    if len(incident.causes) > 1:
        causes = [
            Item(f"{count:,}{TIMES} {cause or 'nothing is known'}")
            for cause, count in incident.causes.items()
        ]
        sampled = incident.sample_size < incident.jobs
        of_sample = f", of the {incident.sample_size:,} that wait longest" if sampled else ""
        yield f"Why{of_sample}: {listed(causes, MAX_LIST_BYTES)}"


def _blocked(context: NoticeContext, blocked: Blocked, layout: MessageLayout) -> str:
    pending = pending_reason.explain(JobStatus.RUNNABLE, blocked.reason)
    return fitted(
        [
            f"{sign(QUEUE_BLOCKED)} {strong(context.notice.queue)} is blocked by "
            f"{strong(blocked.job_name)}{after_colon(pending.cause)}",
            f"{pending.explanation}{quoted_reason(blocked.reason)}",
            lines(
                requested(context.description),
                f"Blocked since {layout.time(blocked.since)}",
                layout.links(context.job) if context.job else "",
            ),
        ]
    )


def _events_missing(queue: str, missing: MissingEvents, layout: MessageLayout) -> str:
    last_event = (
        f"The last event arrived {layout.time(missing.last_event_at)}."
        if missing.last_event_at
        else "None ever did."
    )
    return fitted(
        [
            f"{sign(EVENTS_MISSING)} No events received from {strong(queue)},"
            " although its jobs are progressing",
            f"AWS Batch reports at least {missing.changes:,} changes without an event. "
            f"{last_event} The sweep finds what happens, but late. Check, the likeliest first:",
            "\n".join(f"{number}. {check}" for number, check in enumerate(_CHECKS, 1)),
        ]
    )


def _resolved(notice: Notice) -> str:
    queue, lasted = strong(notice.queue), duration((notice.at - notice.generation) / 1000)
    news = {
        RESOLUTIONS[BULK_STUCK]: f"No job is stuck in {queue} any more: it took {lasted}",
        RESOLUTIONS[QUEUE_BLOCKED]: f"{queue} moves again: it was blocked for {lasted}",
        RESOLUTIONS[EVENTS_MISSING]: f"Events of {queue} arrive again: it took {lasted}",
    }
    return f"{sign(RECOVERED)} {news[notice.kind]}"
