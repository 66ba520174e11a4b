"""The protocol of the sources of candidates, and the read that they share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from chalicelib.aws.dynamodb import Outcome
from chalicelib.jobs.job_table import JobTable, Loaded
from chalicelib.sweep.batch_api import CallBudget
from chalicelib.sweep.reconcile.run import RunStopped

RETRYABLE = frozenset({Outcome.CONFLICT, Outcome.BUSY, Outcome.OUTAGE})
"""Outcomes after which the next run may succeed."""

P = TypeVar("P")


@dataclass(frozen=True)
class Candidate(Generic[P]):
    """A job that Batch is to describe, a position in the source, or both.

    `position` is where the source resumes once this candidate and all before it are done. If it is
    None, the source resumes at an earlier position and yields this candidate again.
    """

    job_id: str | None = None
    is_service: bool = False
    position: P | None = None


class CandidateSource(Protocol[P]):
    @property
    def has_more(self) -> bool:
        """Return whether candidates were left out because they would exceed the budget."""

    def candidates(self, budget: CallBudget) -> Iterator[Candidate[P]]:
        """Yield candidates, starting at the stored checkpoint.

        Raises BatchStopped and RunStopped.
        """

    def commit(self, candidate: Candidate[P]) -> None:
        """Record that a candidate, and all before it, are done.

        Raises RunStopped.
        """


def load_records(jobs: JobTable, job_ids: Sequence[str], *, consistent: bool = False) -> Loaded:
    """Return the records of jobs, by job id.

    Raises RunStopped if DynamoDB did not return all of them: a throttled read does not mean that
    the job has no record.
    """
    loaded = jobs.load(job_ids, consistent=consistent)
    if not RETRYABLE.isdisjoint(loaded.unread.values()):
        raise RunStopped("DynamoDB did not return all records")
    return loaded
