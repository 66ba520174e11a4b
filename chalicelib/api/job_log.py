"""The end of a job's log in CloudWatch, redacted.

The log group is the submitter's choice, so only those that the settings allow are read; the lines
are the job's own words and pass the redaction as everything else does. Knows CloudWatch Logs;
knows nothing of jobs, tables or HTTP.
"""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from chalicelib.redaction import REDACTED, Redaction

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

_MOST_REQUESTS = 5
_MOST_CHARACTERS = 500_000


class NoLog(LookupError):
    """There is none, or none any more; says why."""


class LogOutOfReach(Exception):
    """There may be one, but not now or not for batchwatch; says why."""


class LogLine(NamedTuple):
    """`at` in epoch milliseconds."""

    at: int
    message: str


class JobLog:
    """Reads the log groups named in `groups` and no other."""

    def __init__(
        self, client: "CloudWatchLogsClient", groups: Collection[str], redaction: Redaction
    ) -> None:
        self._client = client
        self._groups = groups
        self._redaction = redaction

    def end(self, group: str, stream: str, *, lines: int) -> list[LogLine]:
        """The last lines, oldest first, at most half a million characters together.

        Raises NoLog and LogOutOfReach.
        """
        if group not in self._groups:
            raise LogOutOfReach(f"log group {group} is none of those that LOG_GROUPS lists")
        try:
            found = self._read(group, stream, lines)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in ("ResourceNotFoundException", "InvalidParameterException"):
                raise NoLog(
                    f"log stream {stream} is not in log group {group}: nothing was ever written,"
                    " or the group's retention has taken it"
                ) from error
            if code.startswith("AccessDenied"):
                raise LogOutOfReach(
                    f"batchwatch's role may not read log group {group}: it needs"
                    " logs:GetLogEvents there"
                ) from error
            raise
        texts = _redacted([event["message"] for event in found], self._redaction)
        told = [LogLine(event["timestamp"], text) for event, text in zip(found, texts, strict=True)]
        return _last(told, _MOST_CHARACTERS)

    def _read(self, group: str, stream: str, lines: int) -> list[Any]:
        """A request may give less than there is, and even nothing: only a token that comes back
        unchanged is the beginning of the stream."""
        found: list[Any] = []
        more: Any = {}
        for _ in range(_MOST_REQUESTS):
            answer = self._client.get_log_events(
                logGroupName=group,
                logStreamName=stream,
                startFromHead=False,
                limit=lines - len(found),
                **more,
            )
            found = [*answer["events"], *found]
            token = answer.get("nextBackwardToken")
            if len(found) >= lines or token in (None, more.get("nextToken")):
                break
            more = {"nextToken": token}
        return found[-lines:]


def _redacted(messages: Sequence[str], redaction: Redaction) -> list[str]:
    """Line by line, so that a quote that one line leaves open does not take the rest; but the lines
    of a private key are one secret, also when the first of them are not among these."""
    marks = [mark[1] for message in messages for mark in _KEY_MARK.finditer(message)]
    inside = marks[:1] == ["END"]
    told = []
    for message in messages:
        marks = [mark[1] for mark in _KEY_MARK.finditer(message)]
        within = inside and not marks
        told.append(REDACTED if within or marks[:1] == ["END"] else redaction.text(message))
        inside = marks[-1] == "BEGIN" if marks else inside
    return told


_KEY_MARK = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY", re.IGNORECASE)


def _last(lines: Sequence[LogLine], characters: int) -> list[LogLine]:
    kept: list[LogLine] = []
    for line in reversed(lines):
        if characters <= 0:
            break
        kept.append(LogLine(line.at, line.message[-characters:]))
        characters -= len(line.message) + 1
    return kept[::-1]
