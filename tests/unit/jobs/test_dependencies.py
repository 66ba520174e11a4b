"""The jobs that a job depends on, and the first failure of a chain."""

from collections.abc import Collection
from typing import Any

import pytest

from chalicelib.jobs.dependencies import dependencies, first_failures, with_active_dependencies
from chalicelib.jobs.job import Dependency, Description, Details, ExitRule, Job, Transition
from chalicelib.webex.text.job import status_changed
from tests.support.builders import NOON, job_of_case, observed_case
from tests.support.samples.notice_samples import TEXT, job_context, lines

DEPENDENCY = "11111111-2222-4333-8444-111122223333"


def a_job(job_id: str, status: str = "FAILED", reason: str | None = None, **fields: Any) -> Job:
    details = Details(
        status=status,
        generation=0,
        time=NOON,
        job_name=f"name-{job_id}",
        job_queue="q",
        status_reason=reason,
        **fields,
    )
    return Job(job_id, details, (Transition(status, 0, NOON),))


JOBS = {
    "a": a_job("a", exit_code=3),
    "b": a_job("b", reason="Dependent Job failed"),
    "c": a_job("c", "SUCCEEDED"),
}
DESCRIPTIONS = {
    "a": Description(),
    "b": Description(depends_on=(Dependency("c"), Dependency("a"), Dependency(None, "SEQUENTIAL"))),
}


def load(job_ids: Any) -> dict[str, Job]:
    return {job_id: JOBS[job_id] for job_id in job_ids if job_id in JOBS}


def describe(jobs: Collection[Job]) -> dict[str, Description]:
    return {job.job_id: DESCRIPTIONS[job.job_id] for job in jobs if job.job_id in DESCRIPTIONS}


def test_a_dependency_without_a_record_is_missing() -> None:
    description = Description(depends_on=(Dependency("c"), Dependency("unknown")))

    assert dependencies(description, load) == {"c": JOBS["c"]}


def test_the_first_failure_of_a_chain_is_found() -> None:
    description = Description(depends_on=(Dependency("b"), Dependency("c")))

    assert first_failures({"d": description}, load, describe) == {"d": JOBS["a"]}


def test_the_first_failures_of_many_jobs_are_read_together() -> None:
    loads: list[set[str]] = []

    def counted(job_ids: Any) -> dict[str, Job]:
        loads.append(set(job_ids))
        return load(job_ids)

    on_a, on_b, on_c = (Description(depends_on=(Dependency(each),)) for each in "abc")
    dependents = {f"a-{n}": on_a for n in range(500)} | {"b-0": on_b, "c-0": on_c}

    found = first_failures(dependents, counted, describe)

    assert {job.job_id for job in found.values()} == {"a"}
    assert len(found) == 501
    assert loads == [{"a", "b", "c"}, {"a", "c"}]


SEQUENTIAL = Description(depends_on=(Dependency(None, "SEQUENTIAL"),))
N_TO_N = Description(depends_on=(Dependency("first", "N_TO_N"),))
PLAIN = Description(depends_on=(Dependency("done"), Dependency("gone"), Dependency("busy")))


@pytest.mark.parametrize(
    ("job_id", "description", "active", "is_dependent"),
    [
        ("j", PLAIN, {"busy"}, True),
        ("j", PLAIN, set(), False),
        ("j", Description(), {"busy"}, False),
        ("array:3", SEQUENTIAL, {"array:2"}, True),
        ("array:3", SEQUENTIAL, {"array:1"}, False),
        ("array:0", SEQUENTIAL, {"array:1"}, False),
        ("array:3", N_TO_N, {"first:3"}, True),
        ("array:3", N_TO_N, {"first:2"}, False),
        ("array:3", PLAIN, {"busy"}, True),
    ],
)
def test_a_job_with_an_active_dependency_waits(
    job_id: str, description: Description, active: set[str], is_dependent: bool
) -> None:
    root = job_id.partition(":")[0]
    known = {root: a_job(root, "PENDING"), job_id: a_job(job_id, "PENDING")}
    known |= {each: a_job(each, "RUNNING") for each in active}
    known |= {"done": a_job("done", "SUCCEEDED")}

    found = with_active_dependencies(
        [known[job_id]],
        lambda job_ids: {each: known[each] for each in job_ids if each in known},
        lambda jobs: {job.job_id: description for job in jobs},
    )

    assert found == ({job_id} if is_dependent else set())


def test_a_chain_without_records_has_no_first_failure() -> None:
    description = Description(depends_on=(Dependency("x"),))

    assert first_failures({"d": description}, load, describe) == {}


def test_a_chain_that_returns_to_itself_ends() -> None:
    loop = a_job("loop", reason="Dependent Job failed")
    description = Description(depends_on=(Dependency("loop"),))

    found = first_failures(
        {"d": description}, lambda ids: {"loop": loop}, lambda jobs: {"loop": description}
    )

    assert found == {"d": loop}


def test_a_notice_names_the_first_job_that_failed() -> None:
    job, description = job_of_case("dependency-failed"), Description()

    message = status_changed(job, description, TEXT._layout, JOBS["a"])

    assert "The first job to fail was [**name" in message.replace("\u200b", "")
    assert "/#/jobs/a): exit code 3" in message


def test_a_notice_links_the_dependencies_if_they_are_not_recorded() -> None:
    observation = observed_case("dependency-failed")

    context = job_context(Job.from_observation(observation), description=observation.description)

    assert f"It depends on {DEPENDENCY}" in lines(TEXT.message(context))


def test_dependencies_and_what_a_definition_contains_are_kept() -> None:
    description = observed_case("dependency-failed").description

    assert description.depends_on == (Dependency(DEPENDENCY),)
    assert ExitRule("EXIT", on_exit_code="2").on_exit_code == "2"
