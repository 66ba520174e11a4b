"""The log of a job's attempt: its location, and its end in CloudWatch Logs, redacted.

The submitter of a job chooses its log group, so only the groups that LOG_GROUPS lists are read. The
lines are redacted like everything else.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from botocore.exceptions import ClientError
from msgspec.structs import replace

from chalicelib.api.errors import (
    AttemptNotFound,
    JobNotStarted,
    LogElsewhere,
    LogGroupAccessDenied,
    LogGroupNotListed,
    LogNotFound,
)
from chalicelib.jobs.job import Attempt, ContainerEnd, Job, Pod
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


def locate(
    job: Job, attempt: int | None, container: str | None = None, log_driver: str | None = None
) -> LogLocation:
    """Return the location of an attempt's log, by default of the last attempt, and of its container
    that determined the result. `log_driver` is the job's, if it is not CloudWatch's.

    Raises LogNotFound, AttemptNotFound, JobNotStarted and LogElsewhere.
    """
    if job.is_service:
        raise LogNotFound(
            "a service job has no AWS Batch log: SageMaker writes its log to log group"
            " /aws/sagemaker/TrainingJobs, to streams that begin with the training job's name"
        )
    attempts = _attempts(job)
    number = attempt or max(attempts, default=1)
    if attempts and number not in attempts:
        recorded = ", ".join(map(str, attempts))
        raise AttemptNotFound(f"attempt {number} not found; recorded attempts: {recorded}")
    found = attempts.get(number, Attempt())
    if found.pod:
        raise LogElsewhere(_in_kubernetes(found.pod, container or found.container))
    if log_driver:
        raise LogElsewhere(
            f"the log is not in CloudWatch: the log driver of the container is {log_driver}"
        )
    end = _container(job, found, container)
    if end.log_group is None:
        raise LogNotFound(f"AWS Batch reports no CloudWatch log group for job {job.job_id}")
    if not attempts and not job.is_terminal:
        raise JobNotStarted(f"the job has not started: it is {job.status} and has no log yet")
    if end.log_stream_name is None or found.never_started:
        raise LogNotFound(f"attempt {number} has no log stream: its container wrote no log")
    return LogLocation(number, end.log_group, end.log_stream_name)


def _attempts(job: Job) -> Mapping[int, Attempt]:
    """Return each known attempt, in order; the current one with the log stream of the job."""
    details = job.details
    attempts = dict(enumerate(details.attempts, details.unlisted_attempts + 1))
    current = job.history[-1].attempt or 1
    if details.log_stream_name and not attempts.get(current, Attempt()).log_stream_name:
        known = attempts.get(current, Attempt())
        attempts[current] = replace(known, log_stream_name=details.log_stream_name)
    return dict(sorted(attempts.items()))


def _container(job: Job, attempt: Attempt, name: str | None) -> ContainerEnd:
    """Return the container of this name, by default the one that determined the result."""
    if name is None and attempt.containers:
        return attempt.containers[0]
    named = {end.name: end for end in attempt.containers}
    if name is None:
        return ContainerEnd(
            log_stream_name=attempt.log_stream_name, log_group=job.details.log_group
        )
    if name not in named:
        known = ", ".join(filter(None, named)) or "the job has only one container"
        raise LogNotFound(f"container {name} not found; recorded containers: {known}")
    return named[name]


def _in_kubernetes(pod: Pod, container: str | None) -> str:
    """Return where to find the log of a pod."""
    namespace = f" -n {pod.namespace}" if pod.namespace else ""
    of_container = f" -c {container}" if container else ""
    places = {"node": pod.node, "cluster": (pod.cluster or "").rpartition("/")[2]}
    place = "".join(f" on {kind} {name}" for kind, name in places.items() if name)
    return (
        f"Kubernetes keeps the log of pod {pod.name}{place}: run"
        f" kubectl logs {pod.name}{namespace}{of_container}, or search the log group that the"
        " cluster sends its container logs to"
    )


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

        Raises LogNotFound, LogGroupNotListed and LogGroupAccessDenied.
        """
        group = location.group
        if group not in self._groups:
            raise LogGroupNotListed(f"log group {group} is not listed in LOG_GROUPS")
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
                raise LogGroupAccessDenied(
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
