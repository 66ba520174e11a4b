"""Processes the candidates of all sources in batches: describe, save, publish, commit.

Independent of where candidates come from and of how positions are stored.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple

from chalicelib.aws.dynamodb import Outcome
from chalicelib.jobs.job import Observation
from chalicelib.jobs.job_table import StoredJob
from chalicelib.recording.ingest import Decision, Ingest, merge
from chalicelib.sweep.batch_api import MAX_DESCRIBED_JOBS, BatchApi, BatchStopped
from chalicelib.sweep.reconcile.checkpoints import Checkpoints
from chalicelib.sweep.reconcile.in_flight import InFlightJobs
from chalicelib.sweep.reconcile.lost_jobs import LostJobs
from chalicelib.sweep.reconcile.run import RunStopped
from chalicelib.sweep.reconcile.source import RETRYABLE, Candidate, CandidateSource
from chalicelib.telemetry import LogEvent, Tally, count, ids

_MAX_SERVICE_JOBS = 10
"""The most service jobs of a batch. Each needs a call of its own, and all calls of a batch are
wasted if its last one can't be made."""

AnySource = CandidateSource[Any]


@dataclass(kw_only=True)
class ReconcileTally(Tally):
    """The result of a run: numbers of jobs, of notices queued, and of calls of Batch's API.

    Of the `described` jobs, Batch returned the `known_to_batch`. `unknown_to_batch` are ids of jobs
    that it should have returned. `left`: there is work left for another run.
    """

    EVENT = LogEvent.JOBS_RECONCILED

    described: int = count("JobsAsked")
    known_to_batch: int = 0
    repaired: int = count("JobsRepaired")
    discovered: int = count("JobsDiscovered")
    lost: int = count("JobsLost")
    unknown_to_batch: list[str] = ids("JobsUnknownToBatch")
    notices: int = count("RepairNoticesQueued")
    calls: int = count("BatchCalls")
    throttled: int = count("BatchThrottled")
    left: bool = False


class _Entry(NamedTuple):
    source: AnySource
    candidate: Candidate[Any]
    describes: bool
    """False for a mere position, and for a job that the run describes for another candidate."""


class _Batch:
    """Candidates that are processed together, in the order of their sources."""

    def __init__(self) -> None:
        self.entries: list[_Entry] = []
        self.jobs: list[str] = []
        self.service_jobs: list[str] = []

    @property
    def job_ids(self) -> list[str]:
        return self.jobs + self.service_jobs

    @property
    def calls(self) -> int:
        """Return the number of calls that describe the jobs."""
        return bool(self.jobs) + len(self.service_jobs)

    @property
    def is_full(self) -> bool:
        return len(self.jobs) >= MAX_DESCRIBED_JOBS or len(self.service_jobs) >= _MAX_SERVICE_JOBS

    @property
    def leading_positions(self) -> Iterator[_Entry]:
        """Return the entries before the first job that Batch is to describe."""
        return takewhile(lambda entry: not entry.describes, self.entries)

    def add(self, entry: _Entry) -> None:
        self.entries.append(entry)
        job_id = entry.candidate.job_id
        if job_id and entry.describes:
            (self.service_jobs if entry.candidate.is_service else self.jobs).append(job_id)


@dataclass(kw_only=True)
class Reconciler:
    """One run. `sources` are in the order in which their candidates are processed, after those of
    `in_flight`."""

    api: BatchApi
    ingest: Ingest
    checkpoints: Checkpoints
    in_flight: InFlightJobs
    sources: Sequence[AnySource]
    lost_jobs: LostJobs
    tally: ReconcileTally
    _batch: _Batch = field(init=False, default_factory=_Batch)

    def run(self) -> None:
        """Process all candidates, or as many as the budget allows, and complete the tally.

        Raises BatchRefused if Batch refused to describe jobs.
        """
        try:
            self._process_all()
            self.lost_jobs.finish()
        finally:
            self.tally.lost = self.lost_jobs.lost
            self.tally.unknown_to_batch = self.lost_jobs.unknown_to_batch
            self.tally.calls = self.api.budget.calls
            self.tally.throttled = self.api.budget.throttled

    def _process_all(self) -> None:
        try:
            self._process_candidates()
            self.in_flight.finish()
        except RunStopped:
            self.tally.left = True

    def _process_candidates(self) -> None:
        try:
            for entry in self._entries():
                self._add(entry)
            self._process_batch()
        except BatchStopped:
            self.tally.left = True
            self._commit(self._batch.leading_positions)

    def _entries(self) -> Iterator[_Entry]:
        """Yield the candidates of all sources; no job is described twice in a run."""
        described: set[str] = set()
        for source in (self.in_flight, *self.sources):
            for candidate in source.candidates(self.api.budget):
                job_id = candidate.job_id
                yield _Entry(source, candidate, job_id is not None and job_id not in described)
                if job_id:
                    described.add(job_id)
            self.tally.left |= source.has_more

    def _add(self, entry: _Entry) -> None:
        """Add an entry to the batch; process the batch when it is full, or when another service job
        would exceed the budget: a batch that needs more calls than a run may make is never done."""
        budget = self.api.budget
        if (
            entry.describes
            and entry.candidate.is_service
            and self._batch.calls >= budget.calls_left
        ):
            self._process_batch()
        self._batch.add(entry)
        if self._batch.is_full:
            self._process_batch()
        # Discovery may yet add jobs that need another DescribeJobs call.
        budget.reserved = len(self._batch.service_jobs) + 1

    def _process_batch(self) -> None:
        batch = self._batch
        if batch.job_ids:
            known = self._describe(batch)
            self.in_flight.put(known.keys())
            self.tally.described += len(batch.job_ids)
            self.tally.known_to_batch += len(known)
            self._record({job_id: job for job_id, job in known.items() if job})
            self.lost_jobs.check(batch.job_ids, known.keys())
        self._commit(batch.entries)
        self._batch = _Batch()

    def _describe(self, batch: _Batch) -> dict[str, Observation | None]:
        known = self.api.describe(batch.jobs) if batch.jobs else {}
        for job_id in batch.service_jobs:
            known |= self.api.describe_service_job(job_id)
        return known

    def _record(self, observed: Mapping[str, Observation]) -> None:
        """Save what Batch returned, then queue the notices for what is new.

        Notices for the jobs of other runs are queued in any case, because such a run may have
        crashed between the two. Raises RunStopped.
        """
        observations = {job_id: [observation] for job_id, observation in observed.items()}
        results = self.ingest.apply(
            observations, self.api.budget.time_left, decide=merge_unless_known
        )
        saved = {job_id for job_id, result in results.items() if result.outcome is Outcome.SAVED}
        news = {job_id for job_id in saved if results[job_id].news}
        discovered = sum(results[job_id].is_first for job_id in news)
        self.tally.discovered += discovered
        self.tally.repaired += len(news) - discovered
        to_publish = news | (saved & self.in_flight.inherited)
        self._publish({job_id: observations[job_id] for job_id in to_publish})
        if any(result.outcome in RETRYABLE for result in results.values()):
            raise RunStopped("DynamoDB did not save all records")

    def _publish(self, observations: Mapping[str, Sequence[Observation]]) -> None:
        published = self.ingest.publish(observations)
        self.tally.notices += published.notices
        if published.unsent:
            raise RunStopped("SQS did not accept all notices")

    def _commit(self, entries: Iterable[_Entry]) -> None:
        for source, candidate, _ in entries:
            source.commit(candidate)
        self.checkpoints.save()


def merge_unless_known(stored: StoredJob | None, observations: Sequence[Observation]) -> Decision:
    """Return the decision to merge a response of Batch, or no change if it differs from the record
    only in its time: describing a job twice must not write it twice."""
    if stored and all(stored.job.is_unchanged_by(each.details) for each in observations):
        return Decision()
    return merge(stored, observations)
