"""Writes the logs of simulated jobs to CloudWatch Logs of the local AWS, as their containers would.

A log is a convenience of the local stack: an error of CloudWatch Logs stops no event.
"""

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local.workload import SECOND, SimulatedEvent
from local.workload.program_log import LogPart, log_parts

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient


class LogWriter:
    def __init__(self, client: "CloudWatchLogsClient") -> None:
        self._client = client
        self._written: dict[str, int] = {}
        """The number of messages by stream."""

    def write(self, event: SimulatedEvent) -> None:
        """Write what the containers of the job have written since its last event."""
        for part in log_parts(event):
            with suppress(ClientError, BotoCoreError):
                self._append(part)

    def _append(self, part: LogPart) -> None:
        written = self._written.get(part.stream, 0)
        if not (new := part.messages[written:]):
            return
        if not written:
            self._create(part)
        now = int(time.time() * SECOND)
        self._client.put_log_events(
            logGroupName=part.group,
            logStreamName=part.stream,
            logEvents=[{"timestamp": now, "message": message} for message in new],
        )
        self._written[part.stream] = len(part.messages)

    def _create(self, part: LogPart) -> None:
        exists = self._client.exceptions.ResourceAlreadyExistsException
        with suppress(exists):
            self._client.create_log_group(logGroupName=part.group)
        with suppress(exists):
            self._client.create_log_stream(logGroupName=part.group, logStreamName=part.stream)
