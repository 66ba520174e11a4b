"""What is observed of jobs gets into their records and onto the notices queue.

What events and repairs have in common: load, merge, save, and again for whom someone was faster;
add up how an array's children fare; then tell what the rules want told. Knows neither messages nor
where an observation comes from.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.sqs import MessageQueue
from chalicelib.jobs.array_summary import BlockKey
from chalicelib.jobs.array_table import ArrayTable
from chalicelib.jobs.job import Job, Observation
from chalicelib.jobs.job_table import Change, JobTable, StoredJob
from chalicelib.notices.notice import distinct, notices_for
from chalicelib.notices.rules import Rules
from chalicelib.runtime import Runtime

_ATTEMPTS = {Outcome.CONFLICT: 20, Outcome.BUSY: 6}
"""How often a save is tried in one delivery; the other outcomes do not pass by waiting."""

Merge = Callable[[StoredJob | None], Change | None]
"""From what is stored of a job (None: nothing) to what is to be stored; None: nothing is. It may
be asked again, with what someone else has stored meanwhile."""


_K = TypeVar("_K")


class Saved(NamedTuple, Generic[_K]):
    """What became of each; `conflicts` counts saves that came too late."""

    outcomes: dict[_K, Outcome]
    conflicts: int


class Published(NamedTuple):
    """`unsent` are the jobs some of whose notices the queue did not take."""

    notices: int
    unsent: set[str]


def retry_delay(outcome: Outcome, attempt: int, time_left: float, jitter: float) -> float | None:
    """Seconds to wait before the save after `attempt` (from 1) is tried again; None: give up.

    `time_left` in seconds; `jitter` from 0 to 1 spreads consumers that met at the same record.
    """
    if attempt >= _ATTEMPTS.get(outcome, 0):
        return None
    longest = 0.02 * attempt if outcome is Outcome.CONFLICT else min(2.0, 0.1 * 2**attempt)
    delay = longest * (0.5 + jitter / 2)
    return delay if delay < time_left else None


def merge(stored: StoredJob | None, seen: Sequence[Observation]) -> tuple[Change | None, int]:
    """The job with all of it, and how much of it was news; no change if nothing was."""
    job, news = (stored.job if stored else None), 0
    for one in seen:
        before, job = job, job.observe(one) if job else Job.first_seen(one)
        news += job is not before
    if job is None or not news:
        return None, 0
    digest = job.details.description
    described = (one.description for one in seen if one.details.description == digest)
    return Change(job, stored, next(described, None)), news


class Ingest:
    def __init__(
        self,
        table: JobTable,
        arrays: ArrayTable,
        rules: Rules,
        notices: MessageQueue,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._table = table
        self._arrays = arrays
        self._rules = rules
        self._notices = notices
        self._runtime = runtime

    def save(
        self,
        merges: Mapping[str, Merge],
        time_left: Callable[[], float],
        *,
        consistent: bool = False,
    ) -> Saved[str]:
        """Loads, merges and saves, again and again for those jobs whose save may yet succeed; then
        what the summaries of arrays must hold of those that are saved, changed or not: whoever
        changed them may not have come so far."""
        jobs: dict[str, Job] = {}

        def save_records(job_ids: Collection[str], consistent: bool) -> dict[str, Outcome]:
            loaded = self._table.load(job_ids, consistent=consistent)
            merged = {
                job_id: merges[job_id](loaded.jobs.get(job_id))
                for job_id in job_ids
                if job_id not in loaded.unread
            }
            changes = [change for change in merged.values() if change]
            jobs.update({job_id: stored.job for job_id, stored in loaded.jobs.items()})
            jobs.update({change.job.job_id: change.job for change in changes})
            outcomes = loaded.unread | dict.fromkeys(merged, Outcome.SAVED)
            return outcomes | self._table.save(changes)

        records = self._persist(save_records, merges, time_left, consistent=consistent)
        done = [job for job_id, job in jobs.items() if records.outcomes[job_id] is Outcome.SAVED]
        blocks = self._add_up(done, time_left)
        return Saved(records.outcomes | blocks.outcomes, records.conflicts + blocks.conflicts)

    def _add_up(self, jobs: Iterable[Job], time_left: Callable[[], float]) -> Saved[str]:
        """Has the summaries of arrays hold what they must of these jobs, which are saved; what
        became of those jobs whose summary could not be saved."""
        told: dict[BlockKey, list[Job]] = {}
        for job in jobs:
            for key in self._arrays.blocks_telling_of(job):
                told.setdefault(key, []).append(job)

        def save_blocks(keys: Collection[BlockKey], consistent: bool) -> dict[BlockKey, Outcome]:
            return self._arrays.save({key: told[key] for key in keys}, consistent=consistent)

        blocks = self._persist(save_blocks, told, time_left, consistent=False)
        unsaved: dict[str, Outcome] = {
            job.job_id: outcome
            for key, outcome in blocks.outcomes.items()
            if outcome is not Outcome.SAVED
            for job in told[key]
        }
        return Saved(unsaved, blocks.conflicts)

    def _persist(
        self,
        save: Callable[[Collection[_K], bool], dict[_K, Outcome]],
        keys: Collection[_K],
        time_left: Callable[[], float],
        *,
        consistent: bool,
    ) -> Saved[_K]:
        """Saves all, then again and again those whose save may yet succeed; what someone else has
        stored meanwhile is then read consistently."""
        outcomes: dict[_K, Outcome] = {}
        conflicts = 0
        pending = keys
        for attempt in itertools.count(1):
            outcomes |= save(pending, consistent or attempt > 1)
            pending = [key for key in pending if outcomes[key] in _ATTEMPTS]
            conflicts += sum(outcomes[key] is Outcome.CONFLICT for key in pending)
            delays = [
                retry_delay(outcomes[key], attempt, time_left(), self._runtime.random())
                for key in pending
            ]
            if not pending or None in delays:
                break
            self._runtime.sleep(max(delay for delay in delays if delay is not None))
        return Saved(outcomes, conflicts)

    def publish(self, seen: Mapping[str, Iterable[Observation]]) -> Published:
        """Queues what the rules want told of these jobs, which are saved. Nothing here asks
        whether it was told before: the notifier knows."""
        wanted = {
            job_id: [notice for one in of_job for notice in notices_for(one, self._rules)]
            for job_id, of_job in seen.items()
        }
        notices = distinct(notice for of_job in wanted.values() for notice in of_job)
        unsent = self._notices.send([msgspec.json.encode(notice).decode() for notice in notices])
        refused = {notices[position].key for position in unsent}
        left = {
            job_id
            for job_id, of_job in wanted.items()
            if any(notice.key in refused for notice in of_job)
        }
        return Published(len(notices) - len(refused), left)
