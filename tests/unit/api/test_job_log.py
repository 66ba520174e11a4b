"""Where the log of an attempt is, or why there is none."""

from typing import Any

import pytest

from chalicelib.api.errors import JobNotStarted, NotFound
from chalicelib.api.job_log import LogLocation, locate
from chalicelib.jobs.job import Attempt, Details, Job, ServiceFacts, Transition
from tests.support.builders import NOON

GROUP = "/aws/batch/job"
ENDED = {"started_at": NOON, "stopped_at": NOON + 1}


def a_job(status: str, *streams: str | None, generation: int | None = None, **fields: Any) -> Job:
    """Return a job with one finished attempt for each log stream."""
    attempts = tuple(Attempt(**ENDED, log_stream_name=stream) for stream in streams)
    finished = len(attempts) if generation is None else generation
    details = Details(
        status=status,
        generation=finished,
        time=NOON,
        job_name="align",
        job_queue="q",
        attempts=attempts,
        **fields,
    )
    return Job("4c75", details, (Transition(status, finished, NOON),))


def test_the_log_of_the_last_attempt_is_the_default() -> None:
    assert locate(a_job("FAILED", "1", "2"), None) == LogLocation(2, GROUP, "2")


def test_an_attempt_can_be_selected() -> None:
    assert locate(a_job("FAILED", "1", "2"), 1) == LogLocation(1, GROUP, "1")


def test_attempts_are_numbered_even_if_aws_batch_lists_only_the_last_ones() -> None:
    job = a_job("FAILED", "8", "9", generation=9)

    assert locate(job, None) == LogLocation(9, GROUP, "9")
    assert locate(job, 8) == LogLocation(8, GROUP, "8")


def test_a_running_attempt_that_is_not_listed_has_a_log() -> None:
    assert locate(a_job("RUNNING", "1", log_stream_name="2"), None) == LogLocation(2, GROUP, "2")


@pytest.mark.parametrize(
    ("job", "attempt", "message"),
    [
        (a_job("FAILED", "1", "2"), 3, "attempt 3 not found; recorded attempts: 1, 2"),
        (a_job("FAILED", None), None, "attempt 1 has no log stream: its container wrote no log"),
        (a_job("FAILED"), None, "attempt 1 has no log stream: its container wrote no log"),
        (
            a_job("FAILED", "1", log_group=None),
            None,
            "AWS Batch reports no CloudWatch log group for job 4c75",
        ),
        (
            a_job("FAILED", service=ServiceFacts("SAGEMAKER_TRAINING")),
            None,
            "a service job has no AWS Batch log: SageMaker writes its log to log group"
            " /aws/sagemaker/TrainingJobs, to streams that begin with the training job's name",
        ),
    ],
)
def test_a_missing_log_is_explained(job: Job, attempt: int | None, message: str) -> None:
    with pytest.raises(NotFound) as error:
        locate(job, attempt)

    assert str(error.value) == message


def test_a_job_that_has_not_started_has_no_log_yet() -> None:
    with pytest.raises(JobNotStarted) as error:
        locate(a_job("RUNNABLE"), None)

    assert str(error.value) == "the job has not started: it is RUNNABLE and has no log yet"
