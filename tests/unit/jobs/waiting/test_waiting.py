"""Each state that keeps a job from starting, and which of several takes precedence."""

from typing import Any

import pytest

from chalicelib.jobs.job import (
    ConsumableNeed,
    Description,
    Details,
    Job,
    Resources,
    Transition,
)
from chalicelib.jobs.waiting.queue_environment import (
    ConsumableResource,
    Environment,
    HeadJob,
    QueueEnvironment,
    QueueHead,
    QuotaShare,
    TimeLimit,
)
from chalicelib.jobs.waiting.waiting import Waiting, waiting
from local.aws import ROOT
from tests.support.builders import NOON

NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY"
TOO_LARGE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x"
VALID = Environment(name="spot-a", desired_vcpus=64, max_vcpus=256)
FULL = Environment(name="spot-a", desired_vcpus=256, max_vcpus=256)
INVALID = Environment(name="spot-a", status="INVALID", reason="role deleted", max_vcpus=256)
DISABLED = Environment(name="spot-b", state="DISABLED", desired_vcpus=0, max_vcpus=256)
HEAD = QueueHead(NOON, tuple(HeadJob(f"j-{n}", NOON - 1_000) for n in range(1, 5)))


def a_job(job_id: str = "j-9", status: str = "RUNNABLE", **fields: Any) -> Job:
    details = Details(status=status, generation=0, time=NOON, job_name="n", job_queue="q", **fields)
    return Job(job_id, details, (Transition(status, 0, NOON),))


def a_queue(*environments: Environment, **fields: Any) -> QueueEnvironment:
    return QueueEnvironment(as_of=NOON, environments=environments, **fields)


WORST: dict[str, Any] = {
    "is_cancelled": True,
    "status_reason": NO_CAPACITY,
    "resources": Resources(vcpus=512),
}

NONE_LEFT = ConsumableResource("licence", 0, 10)
AT_QUOTA = QuotaShare(name="team-a", unit="ml.m5.large", in_use=4, most=4)
OF_TEAM_A = Description(quota_share_name="team-a")

BY_PRECEDENCE: list[Any] = [
    ("cancelled", WORST, a_queue(INVALID, state="DISABLED"), "it was cancelled"),
    (
        "queue disabled",
        {**WORST, "is_cancelled": False},
        a_queue(INVALID, state="DISABLED", status="INVALID"),
        "the job queue is DISABLED",
    ),
    (
        "queue invalid",
        {**WORST, "is_cancelled": False},
        a_queue(INVALID, status="INVALID", reason="x"),
        "the job queue is INVALID",
    ),
    (
        "environment invalid",
        {**WORST, "is_cancelled": False},
        a_queue(INVALID, DISABLED),
        "compute environment spot-a is INVALID",
    ),
    (
        "environments disabled",
        {**WORST, "is_cancelled": False},
        a_queue(DISABLED),
        "compute environment spot-b is DISABLED",
    ),
    (
        "a reason about the job",
        {"status_reason": TOO_LARGE, "resources": Resources(vcpus=512)},
        a_queue(FULL),
        "no instance type is large enough for the job",
    ),
    (
        "too large",
        {"status_reason": NO_CAPACITY, "resources": Resources(vcpus=512)},
        a_queue(FULL, DISABLED),
        "it requests more vCPUs than its compute environments may have",
    ),
    (
        "more than there is of a consumable resource",
        {"status_reason": NO_CAPACITY},
        a_queue(FULL, consumables=(NONE_LEFT,)),
        "it needs more of consumable resource licence than there is",
        Description(consumables=(ConsumableNeed("licence", 11),)),
    ),
    (
        "at the limit",
        {"status_reason": NO_CAPACITY, "resources": Resources(vcpus=256)},
        a_queue(FULL, INVALID),
        "the compute environments are at their limit",
    ),
    (
        "consumable resource",
        {"status_reason": NO_CAPACITY},
        a_queue(VALID, consumables=(NONE_LEFT,), shares=(AT_QUOTA,)),
        "consumable resource licence is exhausted (0 of 10 available)",
        Description(consumables=(ConsumableNeed("licence"),), quota_share_name="team-a"),
    ),
    (
        "quota share disabled",
        {"status_reason": NO_CAPACITY},
        a_queue(shares=(QuotaShare(name="team-a", state="DISABLED"),)),
        "quota share team-a is DISABLED",
        OF_TEAM_A,
    ),
    (
        "quota share",
        {"status_reason": NO_CAPACITY},
        a_queue(shares=(AT_QUOTA,)),
        "quota share team-a is at its quota (4 of 4 ml.m5.large)",
        OF_TEAM_A,
    ),
    ("no capacity", {"status_reason": NO_CAPACITY}, a_queue(VALID), "AWS has no free capacity"),
    ("jobs ahead", {}, a_queue(VALID), "3 jobs ahead of it"),
]


@pytest.mark.parametrize(
    ("job", "queue", "cause", "description"),
    [(*case, Description())[1:5] for case in BY_PRECEDENCE],
    ids=[case[0] for case in BY_PRECEDENCE],
)
def test_the_first_cause_that_applies_is_stated(
    job: dict[str, Any], queue: QueueEnvironment, cause: str, description: Description
) -> None:
    found = waiting(a_job("j-4", **job), queue, HEAD, description=description)

    assert (found.cause, found.position) == (cause, 4)


def test_the_documentation_lists_each_cause_in_the_order_of_precedence() -> None:
    text = (ROOT / "docs" / "waiting.md").read_text()

    positions = [text.find(f"| {cause} |") for _, _, _, cause, *_ in BY_PRECEDENCE]

    assert positions == sorted(set(positions))
    assert positions[0] > 0


def test_the_reason_of_aws_is_quoted_and_the_limit_stated_in_vcpus() -> None:
    assert '"role deleted"' in waiting(a_job(), a_queue(INVALID)).explanation
    assert "spot-a 256 of 256 vCPUs" in waiting(a_job(), a_queue(FULL)).explanation


def test_when_nothing_is_found_what_was_checked_is_listed() -> None:
    found = waiting(a_job("j-1"), a_queue(VALID, DISABLED), HEAD)

    assert (found.cause, found.position) == (None, 1)
    assert found.explanation.endswith(
        "Checked: the queue (ENABLED, VALID); spot-a (ENABLED, VALID, 64 of 256 vCPUs); "
        "spot-b (DISABLED, VALID, 0 of 256 vCPUs)."
    )


def test_a_job_beyond_the_head_of_a_long_queue_has_no_position() -> None:
    head = QueueHead(NOON, tuple(HeadJob(f"h-{n}", NOON) for n in range(100)))

    found = waiting(a_job(), a_queue(VALID), head)

    assert (found.cause, found.position) == ("more than 100 jobs ahead of it", None)


@pytest.mark.parametrize("status", ["SUBMITTED", "PENDING", "STARTING", "SCHEDULED"])
def test_another_status_than_runnable_is_not_explained_by_the_queue(status: str) -> None:
    assert waiting(a_job(status=status), a_queue(INVALID, state="DISABLED"), HEAD).cause is None


def test_without_facts_about_the_queue_the_status_is_explained() -> None:
    found = waiting(a_job())

    assert found == Waiting(None, found.explanation)


@pytest.mark.parametrize(
    ("environment", "is_too_large"),
    [
        (Environment(name="unmanaged"), False),
        (Environment(name="a", max_vcpus=16), True),
        (Environment(name="a", max_vcpus=17), False),
    ],
)
def test_a_job_is_too_large_only_where_all_limits_are_known(
    environment: Environment, is_too_large: bool
) -> None:
    small = Environment(name="small", max_vcpus=4)

    found = waiting(a_job(resources=Resources(vcpus=17)), a_queue(environment, small))

    assert ("more vCPUs" in str(found.cause)) == is_too_large


@pytest.mark.parametrize(
    ("job_id", "reason", "at"),
    [
        ("j-1", f"{NO_CAPACITY} - x", NOON - 1_000 + 600_000),
        ("j-2", f"{NO_CAPACITY} - x", None),
        ("j-1", TOO_LARGE, None),
        ("j-1", None, None),
    ],
)
def test_the_head_is_cancelled_by_the_time_limit_of_the_reason_that_is_stated(
    job_id: str, reason: str | None, at: int | None
) -> None:
    limits = (
        TimeLimit(reason=NO_CAPACITY, max_seconds=600),
        TimeLimit(reason="MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE", max_seconds=300),
    )
    job = a_job(job_id, status_reason=reason)

    assert waiting(job, a_queue(VALID, time_limits=limits), HEAD).will_be_cancelled_at == at


def named(name: str, status: str) -> Job:
    details = Details(status=status, generation=0, time=NOON, job_name=name, job_queue="q")
    return Job(name, details, (Transition(status, 0, NOON),))


def test_a_pending_job_names_the_dependencies_that_have_not_ended() -> None:
    pending = a_job(status="PENDING")
    ended = [named("done", "SUCCEEDED"), named("failed", "FAILED")]
    active = [named(f"prepare-{n}", "RUNNING") for n in range(5)]

    one = waiting(pending, dependencies=[*ended, named("prepare", "RUNNABLE")])
    many = waiting(pending, dependencies=[*ended, *active])

    assert one.cause == "it depends on prepare (RUNNABLE)"
    assert one.explanation == (
        "The job starts after the jobs that it depends on. Not ended yet: prepare (RUNNABLE)."
    )
    assert many.cause == "it depends on 5 jobs"
    assert many.explanation.endswith(
        "prepare-0 (RUNNING), prepare-1 (RUNNING), prepare-2 (RUNNING) and 2 more."
    )
    assert waiting(pending, dependencies=ended) == waiting(pending)
    cancelled = a_job(status="PENDING", is_cancelled=True)
    assert waiting(cancelled, dependencies=active) == waiting(cancelled)


@pytest.mark.parametrize(
    ("available", "needed", "is_exhausted"),
    [(0, 1, True), (1, 1, False), (2, 4, True), (4, 4, False), (0, 11, False)],
)
def test_a_consumable_resource_is_exhausted_if_jobs_wait_for_the_end_of_others(
    available: int, needed: int, is_exhausted: bool
) -> None:
    resource = ConsumableResource("licence", available, 10, needed=needed)

    assert a_queue(VALID, consumables=(resource,)).is_exhausted == is_exhausted
