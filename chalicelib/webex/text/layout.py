"""How the parts of a message are put together: blocks, times and links."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final
from urllib.parse import quote

from chalicelib.jobs.console_links import console_link, logs_link
from chalicelib.jobs.job import Job
from chalicelib.text_format import Moment, span
from chalicelib.webex.markdown import LINE_BREAK, escape, join_blocks, link

_QUEUE_NAME: Final = re.compile(r"[\w-]{1,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MessageLayout:
    """The time zone of all times, and the address of the dashboard ("": no links to it)."""

    zone: tzinfo
    public_url: str = ""

    def job_message(
        self, head: str, explanation: str, facts: str, job: Job, *, when: str = ""
    ) -> str:
        """Return a message about one job: three blocks, the last one with time and links. `when` is
        the time in words, by default that of the job's status."""
        when = when or self._since(job)
        return join_blocks([head, explanation, lines(facts, when, self.links(job))])

    def _since(self, job: Job) -> str:
        ended = job.details.stopped_at if job.is_terminal else None
        moment = self.time(ended or job.since)
        return f"Ended {moment}" if job.is_terminal else f"{escape(job.status)} since {moment}"

    def time(self, at: int) -> str:
        """Return a time, given in epoch milliseconds."""
        return str(Moment.of(at, self.zone))

    def time_range(self, times: Iterable[int]) -> str:
        """Return the range of times, each in epoch milliseconds."""
        return span(times, self.zone)

    def links(self, job: Job) -> str:
        """Return links to the dashboard, the AWS console and the log, as far as they exist."""
        links = (
            self.job_link(job.job_id, "Dashboard"),
            link("SageMaker" if job.is_service else "AWS Batch", console_link(job)),
            link("Log", logs_link(job)),
        )
        return " · ".join(each for each in links if each)

    def job_link(self, job_id: str, label: str) -> str | None:
        """Return a link to the job's page of the dashboard; `label` is markdown."""
        return self._link(label, f"jobs/{quote(job_id, safe='')}")

    def queue_link(self, queue: str, label: str = "Dashboard") -> str:
        """Return a link to the queue's page of the dashboard, or to the overview if AWS Batch does
        not allow the name; "" without a dashboard."""
        return self._link(label, f"queues/{queue}" if _QUEUE_NAME.fullmatch(queue) else "") or ""

    def overview_link(self) -> str:
        """Return a link to the dashboard's overview of all queues, or "" without a dashboard."""
        return self._link("Dashboard", "") or ""

    def _link(self, label: str, page: str) -> str | None:
        return link(label, f"{self.public_url}/#/{page}") if self.public_url else None


def lines(*texts: str) -> str:
    """Return the texts that aren't empty as one block, a line for each."""
    return LINE_BREAK.join(text for text in texts if text)
