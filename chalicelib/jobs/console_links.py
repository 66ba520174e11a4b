"""Links to a job and its log in the AWS consoles.

Region and partition (AWS, China, GovCloud) are taken from the ARN of the job queue. Pure.
"""

import re
from typing import NamedTuple
from urllib.parse import quote

from chalicelib.jobs.job import Job

_CONSOLES = {
    "aws": "https://{region}.console.aws.amazon.com",
    "aws-cn": "https://{region}.console.amazonaws.cn",
    "aws-us-gov": "https://{region}.console.amazonaws-us-gov.com",
}

_REGION = re.compile("[a-z0-9-]{1,40}")
"""The region becomes part of a host name, and an event must not be able to choose the host."""


class _Console(NamedTuple):
    address: str
    region: str

    @classmethod
    def of(cls, job: Job) -> "_Console | None":
        """Return None if the queue has no ARN, or the console of its partition is not known."""
        _, partition, _, region, *_ = (*job.details.job_queue.split(":"), "", "", "")
        address = _CONSOLES.get(partition)
        if address is None or not _REGION.fullmatch(region):
            return None
        return cls(address.format(region=region), region)


def console_link(job: Job) -> str | None:
    """Return the job's page in the AWS Batch console; for a service job that of its last training
    job in the SageMaker console, or None while it has no training job."""
    console = _Console.of(job)
    if console is None:
        return None
    if job.is_service:
        return _training_job_link(console, job.service_resource)
    page = f"#jobs/detail/{quote(job.job_id, safe='')}"
    return f"{console.address}/batch/home?region={console.region}{page}"


def _training_job_link(console: _Console, resource: str | None) -> str | None:
    _, found, name = (resource or "").partition(":training-job/")
    if not found:
        return None
    page = f"#/jobs/{quote(name, safe='')}"
    return f"{console.address}/sagemaker/home?region={console.region}{page}"


def logs_link(job: Job) -> str | None:
    """Return the log stream of the latest attempt in the CloudWatch console; None without one."""
    console, group, stream = _Console.of(job), job.log_group, job.log_stream_name
    if not (console and group and stream):
        return None
    page = f"#logsV2:log-groups/log-group/{_twice_quoted(group)}/log-events/{_twice_quoted(stream)}"
    return f"{console.address}/cloudwatch/home?region={console.region}{page}"


def _twice_quoted(name: str) -> str:
    """Quote a name as the CloudWatch console does: twice, with `$` for `%`."""
    return quote(quote(name, safe=""), safe="").replace("%", "$")
