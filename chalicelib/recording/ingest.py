"""Ingest: observations of jobs become records, array summaries and queued notices.

Events and the responses of the AWS Batch API take the same path:

    apply      load the jobs, decide what to store (pure), save on the condition of the version;
               on a version conflict reload, decide again and save again; then update the summaries
               of the arrays whose children were saved
    publish    queue the notices that the rules request

Contains no SQS messages, and must not depend on where an observation comes from.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.retries import RETRIED, retry_delay
from chalicelib.aws.sqs import MessageQueue
from chalicelib.jobs.array_summary import BlockKey
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.job import Job, Observation
from chalicelib.jobs.job_table import Change, JobTable, StoredJob
from chalicelib.notices.notice import distinct, notices_for
from chalicelib.notices.rules import Rules
from chalicelib.runtime import Runtime

_K = TypeVar("_K")


class Decision(NamedTuple):
    """The decision about a job's record: no change, or one with `news` new observations."""

    change: Change | None = None
    news: int = 0


Decide = Callable[[StoredJob | None, Sequence[Observation]], Decision]
"""Returns what to store of a job, given its stored record (None if there is none) and what was
observed. Must be pure: it is called again after a version conflict."""


class Applied(NamedTuple):
    """The result of `Ingest.apply` for one job.

    `job`, `news` and `is_first` are set if the outcome is SAVED, which includes that there was
    nothing to change.
    """

    outcome: Outcome
    job: Job | None = None
    """The job as it is stored now; None if there is no record."""
    news: int = 0
    """Observations that changed the record."""
    is_first: bool = False
    """Whether the job had no record before."""
    conflicts: int = 0
    """Saves that another consumer's save made fail, counted once for each request."""


class Published(NamedTuple):
    """The number of notices queued, and the ids of the jobs with a notice that SQS rejected."""

    notices: int
    unsent: set[str]


def merge(stored: StoredJob | None, observations: Sequence[Observation]) -> Decision:
    """Return the decision to add all observations to the stored job."""
    job, news = (stored.job if stored else None), 0
    for observation in observations:
        before, job = job, job.observe(observation) if job else Job.from_observation(observation)
        news += job is not before
    if job is None or not news:
        return Decision()
    digest = job.details.description
    descriptions = (o.description for o in observations if o.details.description == digest)
    return Decision(Change(job, stored, next(descriptions, None)), news)


class Ingest:
    """Stores observations and queues notices; one instance serves all invocations of a function."""

    def __init__(
        self,
        jobs: JobTable,
        arrays: ArrayTable,
        rules: Rules,
        notices: MessageQueue,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._jobs = jobs
        self._arrays = arrays
        self._rules = rules
        self._notices = notices
        self._runtime = runtime

    def apply(
        self,
        observations: Mapping[str, Sequence[Observation]],
        time_left: Callable[[], float],
        *,
        decide: Decide = merge,
        consistent: bool = False,
    ) -> dict[str, Applied]:
        """Save the observations of each job, by job id, and return what was done by job id.

        `time_left` returns the seconds left for retries. `consistent` requests strongly consistent
        reads for the first attempt; later attempts always use them. A job counts as saved once its
        array's summary contains it, too: a crash between the two writes leaves an unchanged record
        and an outdated summary, so summaries are checked for unchanged jobs as well.
        """

        def save_jobs(job_ids: Collection[str], consistent: bool) -> dict[str, Applied]:
            chosen = {job_id: observations[job_id] for job_id in job_ids}
            return self._save_jobs(chosen, decide, consistent=consistent)

        applied = self._with_retries(save_jobs, observations, time_left, consistent=consistent)
        return self._update_summaries(applied, time_left)

    def publish(self, observations: Mapping[str, Iterable[Observation]]) -> Published:
        """Queue the notices that the rules request for these observations, by job id.

        The records must be saved before. A redelivered event requests the same notices again, and
        the notifier ignores those that it has sent.
        """
        requested = {
            job_id: [notice for o in of_job for notice in notices_for(o, self._rules)]
            for job_id, of_job in observations.items()
        }
        notices = distinct(notice for of_job in requested.values() for notice in of_job)
        rejected = self._notices.send([msgspec.json.encode(notice).decode() for notice in notices])
        keys = {notices[position].key for position in rejected}
        unsent = {
            job_id
            for job_id, of_job in requested.items()
            if any(notice.key in keys for notice in of_job)
        }
        return Published(len(notices) - len(rejected), unsent)

    def _save_jobs(
        self,
        observations: Mapping[str, Sequence[Observation]],
        decide: Decide,
        *,
        consistent: bool,
    ) -> dict[str, Applied]:
        """Load, decide and save once."""
        loaded = self._jobs.load(observations, consistent=consistent)
        decisions = {
            job_id: decide(loaded.jobs.get(job_id), of_job)
            for job_id, of_job in observations.items()
            if job_id not in loaded.unread
        }
        saved = self._jobs.save([d.change for d in decisions.values() if d.change])
        applied = {job_id: Applied(outcome) for job_id, outcome in loaded.unread.items()}
        for job_id, decision in decisions.items():
            outcome = saved.get(job_id, Outcome.SAVED)
            applied[job_id] = _applied(outcome, loaded.jobs.get(job_id), decision)
        return applied

    def _update_summaries(
        self, applied: Mapping[str, Applied], time_left: Callable[[], float]
    ) -> dict[str, Applied]:
        """Update the summaries of the arrays that the saved jobs belong to, and return the results.

        A job whose summary was not saved has the outcome of the summary.
        """
        jobs_in: dict[BlockKey, list[Job]] = {}
        for job in (result.job for result in applied.values() if result.job):
            for key in self._arrays.blocks_to_update(job):
                jobs_in.setdefault(key, []).append(job)

        def save_blocks(keys: Collection[BlockKey], consistent: bool) -> dict[BlockKey, Applied]:
            saved = self._arrays.save({key: jobs_in[key] for key in keys}, consistent=consistent)
            return {key: Applied(outcome) for key, outcome in saved.items()}

        results = dict(applied)
        blocks = self._with_retries(save_blocks, jobs_in, time_left, consistent=False)
        for key, block in blocks.items():
            conflicts = block.conflicts  # of the block's requests: counted for one of its jobs
            for job_id in (job.job_id for job in jobs_in[key]):
                conflicts += results[job_id].conflicts
                if block.outcome is Outcome.SAVED:
                    results[job_id] = results[job_id]._replace(conflicts=conflicts)
                else:
                    results[job_id] = Applied(block.outcome, conflicts=conflicts)
                conflicts = 0
        return results

    def _with_retries(
        self,
        save: Callable[[Collection[_K], bool], Mapping[_K, Applied]],
        keys: Collection[_K],
        time_left: Callable[[], float],
        *,
        consistent: bool,
    ) -> dict[_K, Applied]:
        """Save all keys, then repeatedly those whose outcome another attempt can change.

        `save` takes the keys and whether to read consistently what another consumer has saved.
        """
        results: dict[_K, Applied] = {}
        conflicts: Counter[_K] = Counter()
        pending = keys
        for attempt in itertools.count(1):
            results |= save(pending, consistent or attempt > 1)
            pending = [key for key in pending if results[key].outcome in RETRIED]
            conflicts.update(key for key in pending if results[key].outcome is Outcome.CONFLICT)
            delays = [
                retry_delay(results[key].outcome, attempt, time_left(), self._runtime.random())
                for key in pending
            ]
            if not pending or None in delays:
                break
            self._runtime.sleep(max(delay for delay in delays if delay is not None))
        return {key: result._replace(conflicts=conflicts[key]) for key, result in results.items()}


def _applied(outcome: Outcome, stored: StoredJob | None, decision: Decision) -> Applied:
    if outcome is not Outcome.SAVED:
        return Applied(outcome)
    before = stored.job if stored else None
    job = decision.change.job if decision.change else before
    return Applied(outcome, job, decision.news, is_first=stored is None)
