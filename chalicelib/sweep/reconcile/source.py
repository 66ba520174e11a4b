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
    """A job that Batch is to describe, a position of its source, or both.

    `position` is where the source resumes once this candidate and all before it are done. Without
    one, the source resumes at its previous position and yields this candidate again.
    """

    job_id: str | None = None
    is_service: bool = False
    position: P | None = None


class CandidateSource(Protocol[P]):
    @property
    def has_more(self) -> bool:
        """Whether candidates were left out because the budget does not allow for them."""

    def candidates(self, budget: CallBudget) -> Iterator[Candidate[P]]:
        """Yield candidates from the stored checkpoint on.

        Raises BatchStopped and RunStopped.
        """

    def commit(self, candidate: Candidate[P]) -> None:
        """Record that this candidate and all before it are done.

        Raises RunStopped.
        """


def load_records(jobs: JobTable, job_ids: Sequence[str], *, consistent: bool = False) -> Loaded:
    """Return the records of jobs.

    Raises RunStopped if DynamoDB returned only a part of them: a job that was not read must not be
    mistaken for a job without a record.
    """
    loaded = jobs.load(job_ids, consistent=consistent)
    if not RETRYABLE.isdisjoint(loaded.unread.values()):
        raise RunStopped("DynamoDB returned only a part of the records")
    return loaded
