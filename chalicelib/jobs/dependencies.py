"""The jobs that a job depends on, and the one whose failure ended a chain of dependencies."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from chalicelib.jobs.failure import Cause, failure_of
from chalicelib.jobs.job import ACTIVE, Description, Job, JobId, JobStatus

_MAX_CHAIN: Final = 10
"""Jobs of a chain that are read to find its first failure."""

Load = Callable[[Collection[str]], Mapping[str, Job]]
"""Reads jobs by id; those without a record are missing."""
Describe = Callable[[Collection[Job]], Mapping[str, Description]]
"""Reads the descriptions of jobs by id; those that are not stored are missing."""


def dependencies(description: Description, load: Load) -> Mapping[str, Job]:
    """Return the recorded jobs that a job of this description depends on, by id."""
    job_ids = _depends_on(description)
    return load(job_ids) if job_ids else {}


def first_failures(
    descriptions: Mapping[str, Description], load: Load, describe: Describe
) -> Mapping[str, Job]:
    """Return the job whose failure made each of these jobs fail, by the id of the latter: its
    failed dependency or, if that failed because of a dependency too, the first one of the chain.

    `descriptions` are those of jobs with the cause DEPENDENCY_FAILED, by id. A job is missing if no
    record shows which of its dependencies failed.
    """
    found: dict[str, Job] = {}
    for _ in range(_MAX_CHAIN):
        known = load({job_id for each in descriptions.values() for job_id in _depends_on(each)})
        failed = {
            job_id: first
            for job_id, description in descriptions.items()
            if (first := _first_failed(description, known))
        }
        found |= failed
        chained = {job_id: job for job_id, job in failed.items() if is_dependent(job)}
        if not chained:
            break
        described = describe(list({job.job_id: job for job in chained.values()}.values()))
        descriptions = {
            job_id: described[job.job_id]
            for job_id, job in chained.items()
            if job.job_id in described
        }
    return found


def with_active_dependencies(
    jobs: Collection[Job], load: Load, describe: Describe
) -> frozenset[str]:
    """Return the ids of those jobs, roots or children, that depend on a job that is active."""
    roots = load({_root(job) for job in jobs})
    descriptions = describe(roots.values())
    waits_for = {
        job.job_id: _waits_for(JobId.parse(job.job_id), descriptions.get(_root(job), Description()))
        for job in jobs
    }
    known = load({job_id for job_ids in waits_for.values() for job_id in job_ids})
    active = {job_id for job_id, job in known.items() if job.status in ACTIVE}
    return frozenset(
        job_id for job_id, job_ids in waits_for.items() if not active.isdisjoint(job_ids)
    )


def _root(job: Job) -> str:
    return JobId.parse(job.job_id).root


def _waits_for(job_id: JobId, description: Description) -> list[str]:
    """Return the jobs that a job waits for, given the description of its root: a child of an array
    may wait for the child before it, or for the child of the same index of another array."""
    waits_for: list[str] = []
    for dependency in description.depends_on:
        if dependency.job_type == "SEQUENTIAL" and not dependency.job_id:
            waits_for += [f"{job_id.root}:{job_id.index - 1}"] if job_id.index else []
        elif dependency.job_id and dependency.job_type == "N_TO_N" and job_id.separator:
            waits_for.append(f"{dependency.job_id}:{job_id.index}")
        elif dependency.job_id:
            waits_for.append(dependency.job_id)
    return waits_for


def is_dependent(job: Job) -> bool:
    """Return whether a job failed because of a dependency."""
    failed = job.status == JobStatus.FAILED
    return failed and failure_of(job.details).cause is Cause.DEPENDENCY_FAILED


def _depends_on(description: Description) -> list[str]:
    return [dependency.job_id for dependency in description.depends_on if dependency.job_id]


def _first_failed(description: Description, known: Mapping[str, Job]) -> Job | None:
    """Return the failed dependency that ended first."""
    jobs = [known[job_id] for job_id in _depends_on(description) if job_id in known]
    failed = [job for job in jobs if job.status == JobStatus.FAILED]
    return min(failed, key=lambda job: (job.since, job.job_id), default=None)
