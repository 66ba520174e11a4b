"""ARNs of job queues and jobs, which the API accepts in place of a queue's name and a job's id.

The region and the account in an ARN are not compared: a deployment records one account's jobs in
one region.
"""

import re
from typing import Final

_ARN: Final = r"arn:[a-z0-9-]{1,30}:batch:[a-z0-9-]{0,40}:[0-9]{0,12}:"

QUEUE_PATTERN: Final = rf"^({_ARN}job-queue/)?[A-Za-z0-9_.-]{{1,128}}$"
JOB_PATTERN: Final = (
    rf"^({_ARN}(job|service-job)/)?[A-Za-z0-9._-]{{1,128}}([:#](0|[1-9][0-9]{{0,5}}))?$"
)
_QUEUE_ARN: Final = re.compile(_ARN + "job-queue/")
_JOB_ARN: Final = re.compile(_ARN + "(job|service-job)/")


def queue_name(name_or_arn: str) -> str:
    """Return the queue's name; other text unchanged."""
    return name_or_arn[arn.end() :] if (arn := _QUEUE_ARN.match(name_or_arn)) else name_or_arn


def job_id(id_or_arn: str) -> str:
    """Return the job's id; other text unchanged."""
    return id_or_arn[arn.end() :] if (arn := _JOB_ARN.match(id_or_arn)) else id_or_arn
