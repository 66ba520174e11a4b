"""Digests: grouped by what happened, where and why, with each job named or counted."""
# ruff: noqa: RUF001 -- messages contain multiplication signs

import re
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.jobs.job import Job
from chalicelib.notices.notice import CHILD_FAILED
from chalicelib.webex.text import ArrayOutcome, NoticeContext
from tests.support.rendering import rendered
from tests.support.samples.notice_samples import (
    ENDED,
    HOUR,
    NO_CAPACITY,
    OUT_OF_MEMORY,
    TEXT,
    a_bulk_incident,
    a_job,
    a_waiting_job,
    an_array,
    an_ended_job,
    blocked_by,
    job_context,
    lines,
    queue_context,
)

DEPENDENT = "Dependent Job failed"


def test_a_digest_of_one_kind_states_how_many_where_and_the_most_frequent_cause() -> None:
    killed: dict[str, Any] = {"exit_code": 137, "reason": OUT_OF_MEMORY}
    aligned = [an_ended_job(name=f"align-{n}", job_id=f"a-{n}", **killed) for n in range(3)]
    reports = [an_ended_job(name="report", job_id=f"r-{n}") for n in range(2)]
    contexts = [
        *(job_context(job) for job in aligned),
        *(job_context(job, at=ENDED + HOUR) for job in reports),
    ]

    message = TEXT.digest(contexts)

    assert lines(message) == [
        "❌ 5 jobs failed in high-priority: most often out of memory",
        "3 jobs failed (out of memory): align-0, align-1, align-2",
        "2 jobs failed (exit code 1): report ×2",
        "Tue 24 Nov 2026, 04:55 to 05:55 CET",
        "Dashboard",
    ]
    pages = [*(f"jobs/{job_id}" for job_id in ["a-0", "a-1", "a-2", "r-0"]), "queues/high-priority"]
    assert rendered(message).links == tuple(
        f"https://batch.example/prod/#/{page}" for page in pages
    )


def test_a_digest_of_many_kinds_begins_with_the_most_severe_and_lists_the_largest_first() -> None:
    succeeded = [an_ended_job("SUCCEEDED", name=f"ok-{n}", queue="spot") for n in range(3)]
    stuck = a_waiting_job(name="merge", queue="gpu", status_reason=NO_CAPACITY)
    contexts = [
        *(job_context(job) for job in succeeded),
        job_context(stuck, "STUCK"),
        queue_context("QUEUE_BLOCKED", "gpu", blocked=blocked_by("head", NO_CAPACITY)),
        queue_context("BULK_STUCK", "cpu", bulk_incidents=(a_bulk_incident(),)),
        queue_context("EVENTS_MISSING_RESOLVED", "spot"),
        job_context(a_job("RUNNING", name="sim")),
        job_context(a_job("RUNNING", name="moved"), "RECOVERED"),
        job_context(an_ended_job(name="array", exit_code=137, reason=OUT_OF_MEMORY), CHILD_FAILED),
        job_context(an_ended_job(name="bad")),
    ]

    assert lines(TEXT.digest(contexts)) == [
        "❌ 1 job failed (exit code 1), 1 has a failed child job, 1 queue is blocked, "
        "1 has many stuck jobs, 1 job is stuck, 1 is no longer stuck, "
        "1 queue is no longer missing events, 3 jobs succeeded, 1 is RUNNING in 4 queues",
        "3 jobs succeeded in spot: ok-0, ok-1, ok-2",
        "1 job failed in high-priority (exit code 1): bad",
        "1 job has a failed child job in high-priority (out of memory): array",
        "Queue gpu is blocked (AWS has no free capacity): head",
        "Queue cpu has many stuck jobs (AWS has no free capacity)",
        "1 job is stuck in gpu (AWS has no free capacity): merge",
        "1 job is no longer stuck in high-priority: moved",
        "Queue spot is no longer missing events",
        "1 job is RUNNING in high-priority: sim",
        "Tue 24 Nov 2026, 04:55 CET",
        "Dashboard",
    ]
    assert rendered(TEXT.digest(contexts)).links[-1] == "https://batch.example/prod/#/"


def test_a_digest_of_failures_keeps_its_cause_when_a_recovery_joins() -> None:
    failed = [an_ended_job(name=f"align-{n}", exit_code=1) for n in range(5)]
    running = a_job("RUNNING", name="moved")

    message = TEXT.digest([*map(job_context, failed), job_context(running, "RECOVERED")])

    assert lines(message)[0] == (
        "❌ 5 jobs failed (exit code 1), 1 is no longer stuck in high-priority"
    )


def test_causes_of_at_most_half_of_the_jobs_are_counted() -> None:
    failed = [an_ended_job(name=f"align-{n}", exit_code=1 + n) for n in range(6)]

    message = TEXT.digest([job_context(job) for job in failed])

    assert lines(message)[0] == "❌ 6 jobs failed in high-priority for 6 reasons"


def dependents_of(dependency: Job, count: int, **fields: Any) -> list[NoticeContext]:
    """Return the contexts of jobs that failed because of a dependency."""
    jobs = [
        an_ended_job(
            name=f"merge-{n}", job_id=f"m-{n}", exit_code=None, status_reason=DEPENDENT, **fields
        )
        for n in range(count)
    ]
    return [job_context(job, dependency=dependency) for job in jobs]


def test_a_failed_dependency_and_its_dependents_are_one_failure() -> None:
    prepare = an_ended_job(name="prepare", job_id="p", queue="cpu")

    message = lines(TEXT.digest([*dependents_of(prepare, 499), job_context(prepare)]))

    assert message[0] == (
        "❌ prepare failed in cpu: exit code 1; 499 jobs that depend on it failed too"
    )
    assert "499 jobs failed in high-priority (dependency prepare failed: exit code 1)" in message[1]


def test_one_dependent_is_singular() -> None:
    prepare = an_ended_job(name="prepare", job_id="p")

    message = lines(TEXT.digest([job_context(prepare), *dependents_of(prepare, 1)]))

    assert message[0].endswith("exit code 1; 1 job that depends on it failed too")


def test_a_recovery_does_not_hide_the_failed_dependency() -> None:
    prepare = an_ended_job(name="prepare", job_id="p")
    moved = job_context(a_job("RUNNING", name="moved"), "RECOVERED")

    message = lines(TEXT.digest([moved, job_context(prepare), *dependents_of(prepare, 3)]))

    assert message[0] == (
        "❌ prepare failed in high-priority: exit code 1; 3 jobs that depend on it failed too, "
        "1 job is no longer stuck"
    )


def test_dependents_of_a_job_that_was_reported_before_name_it() -> None:
    prepare = an_ended_job(name="prepare", job_id="p", exit_code=137, reason=OUT_OF_MEMORY)

    message = lines(TEXT.digest(dependents_of(prepare, 7)))

    assert message[0] == (
        "❌ 7 jobs failed in high-priority: dependency prepare failed: out of memory"
    )


def test_dependents_among_other_failures_are_a_group() -> None:
    prepare = an_ended_job(name="prepare", job_id="p")
    others = [job_context(an_ended_job(name=f"other-{n}", job_id=f"o-{n}")) for n in range(2)]

    message = lines(TEXT.digest([*dependents_of(prepare, 3), *others]))

    assert message[0] == (
        "❌ 5 jobs failed in high-priority: most often dependency prepare failed: exit code 1"
    )
    assert message[1].startswith("3 jobs failed (dependency prepare failed: exit code 1): merge-0")


def test_a_child_in_a_digest_is_named_and_linked() -> None:
    child = an_ended_job(name="sweep", job_id="4c75:17")
    context = job_context(child, CHILD_FAILED)
    notice = replace(context.notice, job_id="4c75", child=17)

    message = TEXT.digest([NoticeContext(notice=notice, job=child)])

    assert lines(message)[1].endswith(": sweep (child 17)")
    assert rendered(message).links[0] == "https://batch.example/prod/#/jobs/4c75%3A17"


def test_a_cause_that_all_jobs_share_is_stated_without_a_qualifier() -> None:
    stuck = [a_waiting_job(name=f"merge-{n}", status_reason=NO_CAPACITY) for n in range(9)]

    message = TEXT.digest([job_context(job, "STUCK") for job in stuck])

    assert lines(message)[0] == "⏳ 9 jobs are stuck in high-priority: AWS has no free capacity"


@pytest.mark.parametrize(
    ("causes", "first_line", "label"),
    [
        ([{"exit code 1": 9}], "3 jobs failed in high-priority: exit code 1", "(exit code 1)"),
        (
            [{"exit code 1": 6, "timed out": 3}],
            "3 jobs failed in high-priority: most often exit code 1",
            "(most often exit code 1)",
        ),
        (
            [{"exit code 1": 6, "timed out": 3}, {"exit code 1": 9}, {"exit code 1": 9}],
            "3 jobs failed in high-priority: most often exit code 1",
            "(exit code 1)",
        ),
        ([{"exit code 1": 4, "timed out": 4}], "3 jobs failed in high-priority", ""),
        (
            [{"exit code 1": 4, "timed out": 4}, {"killed": 1}, {"timed out": 1}],
            "3 jobs failed in high-priority for several reasons",
            "",
        ),
    ],
)
def test_the_cause_of_arrays_is_that_of_more_than_half_of_their_failed_children(
    causes: list[dict[str, int]], first_line: str, label: str
) -> None:
    contexts = [
        job_context(
            replace(an_array(), job_id=f"x-{n}"),
            array_outcome=ArrayOutcome(100, 91, 9, tuple(range(9)), counts),
        )
        for n, counts in enumerate(causes if len(causes) > 1 else causes * 3)
    ]

    message = lines(TEXT.digest(contexts))

    assert message[0] == f"❌ {first_line}"
    assert f"failed {label}".rstrip() + ":" in message[1]


def test_a_job_without_a_record_is_named_by_its_id() -> None:
    notice = job_context(a_job("PENDING", job_id="4c75"), "FAILED").notice

    message = TEXT.message(NoticeContext(notice=notice))

    assert lines(message)[:2] == ["❌ 1 job failed in high-priority", "1 job failed: 4c75"]


def test_each_of_a_thousand_failed_jobs_is_named_or_counted() -> None:
    failed = [
        an_ended_job(name=f"align-reads-{n}", job_id=f"a-{n}", exit_code=1 + n % 3)
        for n in range(1_000)
    ]

    message = TEXT.digest([job_context(job) for job in failed])

    named = len(re.findall(r"align-reads-\d+", message))
    counted = sum(int(more) for more in re.findall(r"and (\d+) more", message))
    assert named == 3 * 20
    assert named + counted == 1_000
    assert len(rendered(message).links) == named + 1


def test_names_have_no_links_if_there_is_no_space_for_them() -> None:
    failed = [
        an_ended_job(name=f"align-reads-{n}", job_id=f"a-{n}", exit_code=1 + n % 10)
        for n in range(1_000)
    ]

    message = TEXT.digest([job_context(job) for job in failed])

    assert len(re.findall(r"align-reads-\d+", message)) > 90
    assert rendered(message).links == ("https://batch.example/prod/#/queues/high-priority",)
    assert len(message) < 3_500, "the list is longer than a reader needs"


def test_the_jobs_of_groups_that_do_not_fit_are_counted() -> None:
    failed = [an_ended_job(queue=f"{'q' * 100}-{n}", name=f"align-{n}") for n in range(200)]

    message = TEXT.digest([job_context(job) for job in failed])

    groups = message.count("\n- **")
    (rest,) = re.findall(r"- … and (\d+) more", message)
    assert groups + int(rest) == 200
    assert groups > 10
