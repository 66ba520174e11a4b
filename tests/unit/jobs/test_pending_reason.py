"""Why a job does not get on, in words that help."""

import pytest

from chalicelib.jobs.job import JobStatus
from chalicelib.jobs.pending_reason import explain

CODES = [
    ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "no capacity", "instance types"),
    ("CAPACITY:SOMETHING_NEW", "no capacity", "later"),
    ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "larger than", "maxvCpus"),
    ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "large enough", "larger types"),
    ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS", "permissions", "AWSServiceRoleForBatch"),
    ("MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED", "launched", "launch template"),
    ("MISCONFIGURATION:SOMETHING_NEW", "set up wrongly", "Compare"),
    ("ACTION_REQUIRED", "invalid", "console"),
    ("UNDETERMINED", "can't tell", "ECS agent"),
]


@pytest.mark.parametrize(("code", "cause", "advice"), CODES)
@pytest.mark.parametrize("rest", ["", " - as AWS Batch says it"])
def test_a_code_is_explained_with_what_to_do(code: str, cause: str, advice: str, rest: str) -> None:
    hindrance = explain("RUNNABLE", f"{code}{rest}")

    assert cause in str(hindrance.cause)
    assert advice in hindrance.explanation


@pytest.mark.parametrize("reason", [None, "", " ", "something else"])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("SUBMITTED", "accepted"),
        ("PENDING", "depends on"),
        ("RUNNABLE", "turn"),
        ("SCHEDULED", "service"),
        ("STARTING", "pull"),
        ("RUNNING", "longer"),
        ("NEW_STATUS", "console"),
    ],
)
def test_without_a_code_the_status_is_explained(
    status: str, words: str, reason: str | None
) -> None:
    hindrance = explain(status, reason)

    assert hindrance.cause is None
    assert words in hindrance.explanation


def test_every_status_that_can_be_waited_in_has_an_explanation_of_its_own() -> None:
    waiting = [s for s in JobStatus if s not in ("SUCCEEDED", "FAILED", "UNKNOWN")]

    assert len({explain(status, None).explanation for status in waiting}) == len(waiting)
