"""The entry to this package: the message for one notice, or one digest of many."""

from collections.abc import Sequence
from datetime import tzinfo

from chalicelib.jobs.job import Job
from chalicelib.notices.notice import CHILD_FAILED
from chalicelib.notices.rules import RECOVERED, STUCK
from chalicelib.webex.text import array, digest, job, queue
from chalicelib.webex.text.context import NoticeContext
from chalicelib.webex.text.layout import MessageLayout


class NoticeText:
    """The text of notices, with times in `zone` and, if `public_url` is set, dashboard links."""

    def __init__(self, zone: tzinfo, public_url: str = "") -> None:
        self._layout = MessageLayout(zone, public_url)

    def message(self, context: NoticeContext) -> str:
        """Return the message for one notice."""
        if context.notice.job_id is None:
            return queue.message(context, self._layout)
        if context.job is None:
            return self.digest([context])
        return self._job_message(context, context.job)

    def digest(self, contexts: Sequence[NoticeContext]) -> str:
        """Return one message for many notices of one room."""
        return digest.message(contexts, self._layout)

    def _job_message(self, context: NoticeContext, record: Job) -> str:
        notice, layout = context.notice, self._layout
        if notice.kind == CHILD_FAILED:
            return array.child_failed(record, context.array_size, layout)
        if context.array_outcome:
            return array.ended(record, context.array_outcome, layout)
        if notice.kind == STUCK:
            return job.stuck(record, context.description, notice, layout)
        if notice.kind == RECOVERED:
            return job.recovered(record, context.description, notice, layout)
        return job.status_changed(record, context.description, layout, context.dependency)
