"""Logs of jobs, as their containers would write them to the local AWS's CloudWatch Logs."""

import time
from collections.abc import Sequence

from local.aws import LocalAws

GROUP = "/aws/batch/job"


def write(aws: LocalAws, stream: str, messages: Sequence[str], group: str = GROUP) -> int:
    """Returns when the first line was written, in epoch milliseconds."""
    logs = aws.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if group not in [one["logGroupName"] for one in groups]:
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    start = int(time.time()) * 1000 - 60_000
    events = [{"timestamp": start + n, "message": text} for n, text in enumerate(messages)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)
    return start
