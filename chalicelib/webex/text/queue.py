"""Messages about a job queue: an incident opened, or it was resolved."""

from collections.abc import Iterator
from typing import Final

from chalicelib.jobs import pending_reason
from chalicelib.jobs.job import JobId
from chalicelib.notices.notice import BULK_STUCK, RESOLUTIONS, Notice
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.stuck.bulk_incident import MAX_INDIVIDUAL, BulkIncident, NamedJob
from chalicelib.text_format import duration
from chalicelib.webex.markdown import bold_name, escape, join_blocks
from chalicelib.webex.text.context import NoticeContext
from chalicelib.webex.text.layout import MessageLayout, lines
from chalicelib.webex.text.phrases import (
    after_colon,
    child_name,
    plural,
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
    if kind == BULK_STUCK and (incident := state and state.bulk_incident(context.notice)):
        return _bulk_stuck(context.notice, incident, layout)
    if state and state.blocked and kind == QUEUE_BLOCKED:
        return _blocked(context, state.blocked, layout)
    if state and state.missing_events and kind == EVENTS_MISSING:
        return _events_missing(context.notice.queue, state.missing_events, layout)
    return _resolved(context.notice, layout)


def _bulk_stuck(notice: Notice, incident: BulkIncident, layout: MessageLayout) -> str:
    explanation = pending_reason.explain(incident.status, incident.reason).explanation
    end = "the queue is no longer blocked" if incident.thread else "none of these jobs is stuck"
    return join_blocks(
        [
            f"{sign(BULK_STUCK)} {_stuck_jobs(notice, incident)} stuck in "
            f"{escape(incident.status)} in {bold_name(notice.queue)}{after_colon(incident.cause)}",
            f"{explanation}{quoted_reason(incident.reason)}",
            lines(*_bulk_facts(notice, incident, layout)),
            lines(
                f"As of {layout.time(notice.at)}. Another notice follows when {end}.",
                layout.queue_link(notice.queue),
            ),
        ]
    )


def _stuck_jobs(notice: Notice, incident: BulkIncident) -> str:
    """Return, for example, "**1,240 jobs** are", with the number that the room's rules match."""
    share = incident.share(notice.room)
    count = share.jobs if share else incident.jobs
    at_least = "At least " if share and share.is_at_least else ""
    verb = "is" if count == 1 else "are"
    if incident.is_update:
        verb += " still" if incident.jobs <= MAX_INDIVIDUAL else " now"
    return f"{at_least}**{count:,} job{plural(count)}** {verb}"


def _bulk_facts(notice: Notice, incident: BulkIncident, layout: MessageLayout) -> Iterator[str]:
    share = incident.share(notice.room)
    if share and share.names:
        names = ", ".join(_linked(job, layout) for job in share.names)
        more = share.jobs - len(share.names)
        yield f"Jobs: {names}{f' and {more:,} more' if more else ''}"
    if share is None or incident.longest in share.names:
        waited = duration((notice.at - incident.longest_since) / 1000)
        yield f"Longest wait: {_linked(incident.longest, layout)}, {waited}"


def _linked(job: NamedJob, layout: MessageLayout) -> str:
    name = child_name(job.job_id, job.job_name)
    return layout.job_link(job.job_id, name) or name


def _blocked(context: NoticeContext, blocked: Blocked, layout: MessageLayout) -> str:
    by_job = f" by {_blocking_job(blocked)}" if blocked.job_id else ""
    return join_blocks(
        [
            f"{sign(QUEUE_BLOCKED)} Queue {bold_name(context.notice.queue)} is blocked{by_job}"
            f"{after_colon(escape(blocked.cause))}",
            f"{blocked.explanation}{quoted_reason(blocked.reason)}",
            lines(
                requested(context.description),
                f"Blocked since {layout.time(blocked.since)}",
                _repeats(blocked),
                _links(context, layout),
            ),
        ]
    )


def _links(context: NoticeContext, layout: MessageLayout) -> str:
    of_job = layout.links(context.job) if context.job else ""
    of_queue = layout.queue_link(context.notice.queue, "Queue")
    return " · ".join(links for links in (of_job, of_queue) if links)


def _repeats(blocked: Blocked) -> str:
    if not blocked.repeats:
        return ""
    return (
        f"Notice {blocked.repeats + 1} in a row: the queue is blocked again and again. Short blocks"
        " are no longer reported."
    )


def _blocking_job(blocked: Blocked) -> str:
    name = child_name(blocked.job_id, blocked.job_name)
    return f"job {name}" if JobId.parse(blocked.job_id).separator == "" else name


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
            layout.queue_link(queue),
        ]
    )


def _resolved(notice: Notice, layout: MessageLayout) -> str:
    queue, lasted = bold_name(notice.queue), duration((notice.at - notice.generation) / 1000)
    resolutions = {
        RESOLUTIONS[BULK_STUCK]: f"Queue {queue} no longer has jobs that are stuck"
        f"{f' in {escape(notice.status)}' if notice.status else ''}",
        RESOLUTIONS[QUEUE_BLOCKED]: f"Queue {queue} is no longer blocked",
        RESOLUTIONS[EVENTS_MISSING]: f"Events are being received from queue {queue} again",
    }
    head = f"{sign(notice.kind)} {resolutions[notice.kind]}. The incident lasted {lasted}."
    return join_blocks([head, layout.queue_link(notice.queue)])
