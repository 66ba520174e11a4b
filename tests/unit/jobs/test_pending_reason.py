"""Explanations of codes and statuses of jobs that do not start or end, with the next step."""

import pytest

from chalicelib.jobs.job import JobStatus, Source
from chalicelib.jobs.pending_reason import explain
from tests.support.builders import a_case, observed_case

CODES = [
    ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "no free capacity", "instance types"),
    ("CAPACITY:SOMETHING_NEW", "no free capacity", "later"),
    ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", "more vCPUs", "maxvCpus"),
    ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT", "large enough", "larger instance types"),
    ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS", "permissions", "AWSServiceRoleForBatch"),
    ("MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED", "launched", "launch template"),
    ("MISCONFIGURATION:SERVICE_ENVIRONMENT_MAX_RESOURCE", "capacity limit", "maxCapacity"),
    ("MISCONFIGURATION:QUOTA_MANAGEMENT_LIMIT_EXCEEDED", "quota share", "fewer instances"),
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


@pytest.mark.parametrize("code", [code for code, *_ in CODES if "SERVICE_ROLE" not in code])
@pytest.mark.parametrize("status", ["RUNNABLE", "SCHEDULED", "STARTING"])
def test_nothing_about_compute_environments_is_stated_of_a_service_job(
    code: str, status: str
) -> None:
    of_compute_environments = (
        "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED",
    )
    explanations = [
        explain(status, reason, is_service=True).explanation
        for reason in (None, code)
        if reason not in of_compute_environments
    ]

    assert not any("compute environment" in text or "ECS" in text for text in explanations)


@pytest.mark.parametrize(
    "reason",
    [
        "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Unable to provision requested compute resources",
        "MISCONFIGURATION:QUOTA_MANAGEMENT_LIMIT_EXCEEDED - x",
    ],
)
def test_a_blocked_service_queue_is_recognized_by_its_reason(reason: str) -> None:
    pending = explain("RUNNABLE", reason)

    assert pending == explain("RUNNABLE", reason, is_service=True)
    assert "compute environment" not in pending.explanation


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING"])
def test_a_terminated_job_states_that_it_ends(status: str) -> None:
    pending = explain(status, "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", is_terminated=True)

    assert pending.cause == "it was terminated"


def test_a_blocked_service_queue_names_the_limit_of_its_service_environment() -> None:
    event = a_case("service-environment-limit")

    pending = explain("RUNNABLE", event["detail"]["statusReason"])

    assert pending.cause == "the job requests more than the service environment's capacity limit"
    assert "compute environment" not in pending.explanation


@pytest.mark.parametrize(
    ("status", "words"), [("RUNNABLE", "head of its queue"), ("PENDING", "depends on")]
)
def test_a_cancelled_job_states_when_it_ends(status: str, words: str) -> None:
    pending = explain(status, "not needed any more", is_cancelled=True)

    assert pending.cause == "it was cancelled"
    assert words in pending.explanation


def test_a_captured_job_that_was_cancelled_keeps_its_flag() -> None:
    details = observed_case("runnable-but-cancelled", Source.REPAIR).details

    assert (details.status, details.is_cancelled, details.is_terminated) == (
        "RUNNABLE",
        1,
        0,
    )
