"""Logs of jobs in CloudWatch Logs of the local AWS."""

import time
from collections.abc import Sequence

from local.aws import LocalAws

GROUP = "/aws/batch/job"


def write(aws: LocalAws, stream: str, messages: Sequence[str], group: str = GROUP) -> int:
    """Write a log stream, and return the time of its first message in epoch milliseconds."""
    logs = aws.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if group not in [found["logGroupName"] for found in groups]:
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    start = int(time.time()) * 1000 - 60_000
    events = [{"timestamp": start + n, "message": text} for n, text in enumerate(messages)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    return start
