"""The jobs that a job depends on, and the one whose failure ended a chain of dependencies."""

from collections.abc import Callable, Collection, Mapping
from typing import Final

from chalicelib.jobs.failure import Cause, failure_of
from chalicelib.jobs.job import Description, Job, JobStatus

_MAX_CHAIN: Final = 10
"""Jobs of a chain that are read to find its first failure."""

Load = Callable[[Collection[str]], Mapping[str, Job]]
"""Reads jobs by id; those without a record are missing."""
Describe = Callable[[Job], Description]


def dependencies(description: Description, load: Load) -> Mapping[str, Job]:
    """Return the recorded jobs that a job of this description depends on, by id."""
    job_ids = [dependency.job_id for dependency in description.depends_on if dependency.job_id]
    return load(job_ids) if job_ids else {}


def first_failure(description: Description, load: Load, describe: Describe) -> Job | None:
    """Return the job whose failure made a job fail that has this description and the cause
    DEPENDENCY_FAILED: the failed dependency or, if that failed because of a dependency too, the
    first one of the chain. Return None if no record shows it."""
    found: Job | None = None
    for _ in range(_MAX_CHAIN):
        failed = _failed(dependencies(description, load).values())
        if failed is None:
            break
        found = failed
        if failure_of(found.details).cause is not Cause.DEPENDENCY_FAILED:
            break
        description = describe(found)
    return found


def _failed(jobs: Collection[Job]) -> Job | None:
    """Return the failed job that ended first."""
    failed = [job for job in jobs if job.status == JobStatus.FAILED]
    return min(failed, key=lambda job: (job.since, job.job_id), default=None)
