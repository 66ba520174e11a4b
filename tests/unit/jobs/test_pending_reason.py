"""Why a job does not start or end: explanations of codes and statuses, with the next step."""

import pytest

from chalicelib.jobs.job import JobStatus
from chalicelib.jobs.pending_reason import explain

CODES = [
    ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "no free capacity", "instance types"),
    ("CAPACITY:SOMETHING_NEW", "no free capacity", "later"),
    ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "more vCPUs", "maxvCpus"),
    ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "large enough", "larger instance types"),
    ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS", "permissions", "AWSServiceRoleForBatch"),
    ("MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED", "launched", "launch template"),
    ("MISCONFIGURATION:SOMETHING_NEW", "misconfigured", "Compare"),
    ("ACTION_REQUIRED", "invalid", "console"),
    ("UNDETERMINED", "not determine", "ECS agent"),
]


@pytest.mark.parametrize(("code", "cause", "advice"), CODES)
@pytest.mark.parametrize("rest", ["", " - with more of AWS's text"])
def test_a_code_is_explained_with_the_next_step(
    code: str, cause: str, advice: str, rest: str
) -> None:
    pending = explain("RUNNABLE", f"{code}{rest}")

    assert cause in str(pending.cause)
    assert advice in pending.explanation


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
    pending = explain(status, reason)

    assert pending.cause is None
    assert words in pending.explanation


def test_every_status_before_the_end_has_its_own_explanation() -> None:
    active = [s for s in JobStatus if s not in ("SUCCEEDED", "FAILED", "UNKNOWN")]

    assert len({explain(status, None).explanation for status in active}) == len(active)
