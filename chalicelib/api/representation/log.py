"""The end of a job's log."""

from collections.abc import Iterable

from chalicelib.api.job_log import LogLine, LogLocation
from chalicelib.api.representation.body import Body, rfc3339


class LogLineBody(Body, frozen=True):
    at: str
    message: str


class LogBody(Body, frozen=True):
    """`lines` has the oldest line first."""

    job_id: str
    attempt: int
    log_group: str
    log_stream_name: str
    lines: list[LogLineBody]


def log_body(job_id: str, location: LogLocation, lines: Iterable[LogLine]) -> LogBody:
    return LogBody(
        job_id,
        location.attempt,
        location.group,
        location.stream,
        [LogLineBody(rfc3339(line.at), line.message) for line in lines],
    )
