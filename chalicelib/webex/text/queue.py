"""Messages about a job queue: an incident opened, or it was resolved."""

from collections.abc import Iterator
from typing import Final

from chalicelib.jobs import pending_reason
from chalicelib.jobs.job import JobStatus
from chalicelib.notices.notice import BULK_STUCK, RESOLUTIONS, Notice
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.stuck import BulkIncident
from chalicelib.text_format import duration
from chalicelib.webex.markdown import ListItem, bold_name, escape, join_blocks, join_items
from chalicelib.webex.text.context import NoticeContext
from chalicelib.webex.text.layout import MessageLayout, lines
from chalicelib.webex.text.phrases import (
    MAX_LIST_BYTES,
    TIMES,
    after_colon,
    most_frequent,
    quoted_reason,
    requested,
    sign,
)

_CHECKS: Final = (
    "The EventBridge rule: it must be enabled, and its event pattern must match this queue.",
    "The undeliverable queue: messages in it mean that the access policy or the encryption of the "
    "events queue prevents EventBridge from sending to it.",
    "The events queue: messages that stay in it mean that the on\\_batch\\_events function fails, "
    "is throttled, or has its trigger disabled.",
    "The region and the account: batchwatch must be deployed in the same region and account as "
    "this queue.",
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
    return join_blocks(
        [
            f"{sign(BULK_STUCK)} **{incident.jobs:,} jobs** are stuck in {bold_name(queue)}"
            f"{after_colon(most_frequent(list(incident.causes)))}",
            f"{explanation}{quoted_reason(incident.reason)}",
            lines(*_bulk_facts(incident, layout)),
            f"As of {layout.time(incident.since)}. "
            "Another notice follows when no job in this queue is stuck.",
        ]
    )


def _bulk_facts(incident: BulkIncident, layout: MessageLayout) -> Iterator[str]:
    by_count = sorted(incident.statuses.items(), key=lambda item: -item[1])
    statuses = ", ".join(f"{count:,} {escape(status)}" for status, count in by_count)
    yield f"By status: {statuses}"
    longest = incident.longest
    name = bold_name(longest.job_name)
    link, waited = layout.job_link(longest.job_id, name), incident.since - longest.since
    yield f"Longest wait: {link or name}, {duration(waited / 1000)}"
    if len(incident.causes) > 1:
        causes = [
            ListItem(f"{count:,}{TIMES} {cause or 'unknown'}")
            for cause, count in incident.causes.items()
        ]
        sampled = incident.sample_size < incident.jobs
        of_sample = f" of the {incident.sample_size:,} longest-waiting jobs" if sampled else ""
        yield f"Causes{of_sample}: {join_items(causes, MAX_LIST_BYTES)}"


def _blocked(context: NoticeContext, blocked: Blocked, layout: MessageLayout) -> str:
    pending = pending_reason.explain(JobStatus.RUNNABLE, blocked.reason)
    return join_blocks(
        [
            f"{sign(QUEUE_BLOCKED)} Queue {bold_name(context.notice.queue)} is blocked by "
            f"job {bold_name(blocked.job_name)}{after_colon(pending.cause)}",
            f"{pending.explanation}{quoted_reason(blocked.reason)}",
            lines(
                requested(context.description),
                f"Blocked since {layout.time(blocked.since)}",
                layout.links(context.job) if context.job else "",
            ),
        ]
    )


def _events_missing(queue: str, missing: MissingEvents, layout: MessageLayout) -> str:
    last_event = layout.time(missing.last_event_at) if missing.last_event_at else "never"
    return join_blocks(
        [
            f"{sign(EVENTS_MISSING)} No events received from queue {bold_name(queue)},"
            " although its jobs are progressing",
            f"AWS Batch reports at least {missing.changes:,} job changes for which no event was "
            f"received. Last event received: {last_event}. The sweep still records these jobs, "
            "with a delay. Check the following, most likely cause first:",
            "\n".join(f"{number}. {check}" for number, check in enumerate(_CHECKS, 1)),
        ]
    )


def _resolved(notice: Notice) -> str:
    queue, lasted = bold_name(notice.queue), duration((notice.at - notice.generation) / 1000)
    resolutions = {
        RESOLUTIONS[BULK_STUCK]: f"Queue {queue} no longer has stuck jobs",
        RESOLUTIONS[QUEUE_BLOCKED]: f"Queue {queue} is no longer blocked",
        RESOLUTIONS[EVENTS_MISSING]: f"Events are being received from queue {queue} again",
    }
    return f"{sign(notice.kind)} {resolutions[notice.kind]}. The incident lasted {lasted}."
