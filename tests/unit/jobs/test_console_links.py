"""Links to the AWS consoles of the job's region and partition."""

import pytest

from chalicelib.jobs.console_links import console_link, logs_link
from chalicelib.jobs.job import Details, Job, Transition
from tests.support.builders import NOON


def a_job(queue: str, job_id: str = "4c75", **details: str | None) -> Job:
    of_job = Details(
        status="RUNNING", generation=0, time=NOON, job_name="align", job_queue=queue, **details
    )
    return Job(job_id, of_job, (Transition("RUNNING", 0, NOON),))


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "eu-west-1.console.aws.amazon.com"),
        ("aws-cn", "cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("aws-us-gov", "us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_a_job_links_to_the_console_of_its_partition(
    partition: str, region: str, host: str
) -> None:
    job = a_job(f"arn:{partition}:batch:{region}:111122223333:job-queue/q")

    assert console_link(job) == f"https://{host}/batch/home?region={region}#jobs/detail/4c75"


def test_the_id_of_a_node_is_quoted() -> None:
    link = console_link(a_job("arn:aws:batch:us-east-1:1:job-queue/q", "4c75#1"))

    assert str(link).endswith("#jobs/detail/4c75%231")


def test_a_log_link_contains_group_and_stream() -> None:
    link = logs_link(
        a_job("arn:aws:batch:us-east-1:1:job-queue/q", log_group="/my/group", log_stream_name="a/b")
    )

    assert str(link).endswith("#logsV2:log-groups/log-group/$252Fmy$252Fgroup/log-events/a$252Fb")


@pytest.mark.parametrize(
    "queue",
    [
        "q",
        "arn:aws-moon:batch:m-1:1:job-queue/q",
        "arn:aws:batch:evil.com?:1:job-queue/q",
        "arn:aws:batch::1:job-queue/q",
    ],
)
def test_without_a_known_console_there_is_no_link(queue: str) -> None:
    job = a_job(queue, log_stream_name="a")

    assert (console_link(job), logs_link(job)) == (None, None)


def test_without_a_log_stream_or_group_there_is_no_link() -> None:
    queue = "arn:aws:batch:us-east-1:1:job-queue/q"

    assert logs_link(a_job(queue)) is None
    assert logs_link(a_job(queue, log_group=None, log_stream_name="a")) is None
