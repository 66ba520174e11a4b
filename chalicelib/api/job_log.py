"""The log of a job's attempt: its location, and its end in CloudWatch Logs, redacted.

The submitter of a job chooses its log group, so only the groups that LOG_GROUPS lists are read. The
lines are redacted like everything else.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.api.errors import LogNotFound, LogUnavailable
from chalicelib.jobs.job import Job
from chalicelib.redaction import REDACTED, Redaction

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import GetLogEventsRequestTypeDef, OutputLogEventTypeDef

_MAX_REQUESTS: Final = 5
_MAX_CHARACTERS: Final = 500_000


class LogLocation(NamedTuple):
    attempt: int
    group: str
    stream: str


class LogLine(NamedTuple):
    """`at` is epoch milliseconds."""

    at: int
    message: str


def locate(job: Job, attempt: int | None) -> LogLocation:
    """Return the location of an attempt's log, by default of the last attempt.

    Raises LogNotFound, and LogUnavailable if the job has not started.
    """
    if job.is_service:
        raise LogNotFound(
            "a service job has no AWS Batch log: SageMaker writes its log to log group"
            " /aws/sagemaker/TrainingJobs, to streams that begin with the training job's name"
        )
    group, streams = job.details.log_group, _log_streams(job)
    if group is None:
        raise LogNotFound(f"AWS Batch reports no CloudWatch log group for job {job.job_id}")
    if not streams and not job.is_terminal:
        raise LogUnavailable(f"the job has not started: it is {job.status} and has no log yet")
    number = attempt or max(streams, default=1)
    if streams and number not in streams:
        recorded = ", ".join(map(str, streams))
        raise LogNotFound(f"attempt {number} not found; recorded attempts: {recorded}")
    stream = streams.get(number)
    if stream is None:
        raise LogNotFound(f"attempt {number} has no log stream: its container wrote no log")
    return LogLocation(number, group, stream)


def _log_streams(job: Job) -> Mapping[int, str | None]:
    """Return the log stream of each known attempt, in order; None for an attempt without one."""
    listed = enumerate(job.details.attempts, job.details.unlisted_attempts + 1)
    streams = {number: attempt.log_stream_name for number, attempt in listed}
    current = job.history[-1].attempt or 1
    if job.details.log_stream_name and not streams.get(current):
        streams[current] = job.details.log_stream_name
    return dict(sorted(streams.items()))


class JobLog:
    """The logs in `groups`. No other log group is read."""

    def __init__(
        self, client: "CloudWatchLogsClient", groups: Collection[str], redaction: Redaction
    ) -> None:
        self._client = client
        self._groups = groups
        self._redaction = redaction

    def tail(self, location: LogLocation, *, lines: int) -> list[LogLine]:
        """Return the last lines, oldest first, with at most half a million characters in all.

        Raises LogNotFound and LogUnavailable.
        """
        group = location.group
        if group not in self._groups:
            raise LogUnavailable(f"log group {group} is not listed in LOG_GROUPS")
        try:
            events = self._read(location, lines)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("ResourceNotFoundException", "InvalidParameterException"):
                raise LogNotFound(
                    f"log stream {location.stream} not found in log group {group}: nothing was"
                    " written to it, or the retention of the log group has deleted it"
                ) from error
            if code.startswith("AccessDenied"):
                raise LogUnavailable(
                    f"access to log group {group} is denied: grant logs:GetLogEvents on it to the"
                    " role of batchwatch's API function"
                ) from error
            raise
        texts = _redacted([event["message"] for event in events], self._redaction)
        found = [
            LogLine(event["timestamp"], text) for event, text in zip(events, texts, strict=True)
        ]
        return _last(found, _MAX_CHARACTERS)

    def _read(self, location: LogLocation, lines: int) -> "list[OutputLogEventTypeDef]":
        """Return the last events. GetLogEvents may return fewer events than there are, or none: the
        beginning of the stream is reached only when it returns the same token again."""
        events: list[OutputLogEventTypeDef] = []
        request: GetLogEventsRequestTypeDef = {
            "logGroupName": location.group,
            "logStreamName": location.stream,
            "startFromHead": False,
        }
        for _ in range(_MAX_REQUESTS):
            request["limit"] = lines - len(events)
            answer = self._client.get_log_events(**request)
            events = [*answer["events"], *events]
            token = answer.get("nextBackwardToken")
            if len(events) >= lines or token in (None, request.get("nextToken")):
                break
            request["nextToken"] = token
        return events[-lines:]


def _redacted(messages: Sequence[str], redaction: Redaction) -> list[str]:
    """Return the messages redacted line by line, so that an unclosed quote in one line does not
    hide the next. The lines of a private key are one secret, even if its first lines are missing.
    """
    marks = [mark[1] for message in messages for mark in _KEY_MARK.finditer(message)]
    is_inside = marks[:1] == ["END"]
    redacted = []
    for message in messages:
        marks = [mark[1] for mark in _KEY_MARK.finditer(message)]
        is_key = marks[:1] == ["END"] or (is_inside and not marks)
        redacted.append(REDACTED if is_key else redaction.text(message))
        is_inside = marks[-1] == "BEGIN" if marks else is_inside
    return redacted


_KEY_MARK = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY", re.IGNORECASE)


def _last(lines: Sequence[LogLine], characters: int) -> list[LogLine]:
    """Return the last lines that have at most this number of characters; the first is cut."""
    kept: list[LogLine] = []
    for line in reversed(lines):
        if characters <= 0:
            break
        kept.append(LogLine(line.at, line.message[-characters:]))
        characters -= len(line.message) + 1
    return kept[::-1]
