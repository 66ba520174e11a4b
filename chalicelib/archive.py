"""What is observed of jobs gets into their records and onto the notices queue.

What events and repairs have in common: load, fold, save, and again for whom someone was faster;
then tell what the rules want told. Knows neither messages nor where an observation comes from.
"""

import itertools
import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from chalicelib.dynamodb import Outcome
from chalicelib.job import Job, Observation
from chalicelib.job_table import Change, JobTable, StoredJob
from chalicelib.message_queue import MessageQueue
from chalicelib.notice import distinct, notices_for
from chalicelib.notice_rules import Rules

_ATTEMPTS = {Outcome.CONFLICT: 20, Outcome.BUSY: 6}
"""How often a save is tried in one delivery; the other outcomes do not pass by waiting."""

Fold = Callable[[StoredJob | None], Change | None]
"""From what is stored of a job (None: nothing) to what is to be stored; None: nothing is. It may
be asked again, with what someone else has stored meanwhile."""


class Saved(NamedTuple):
    """`conflicts` counts saves that came too late."""

    outcomes: dict[str, Outcome]
    conflicts: int


class Announced(NamedTuple):
    """`unsent` are the jobs some of whose notices the queue did not take."""

    notices: int
    unsent: set[str]


def retry_delay(outcome: Outcome, attempt: int, time_left: float, dice: float) -> float | None:
    """Seconds to wait before the save after `attempt` (from 1) is tried again; None: give up.

    `time_left` in seconds; `dice` from 0 to 1 spreads consumers that met at the same record.
    """
    if attempt >= _ATTEMPTS.get(outcome, 0):
        return None
    longest = 0.02 * attempt if outcome is Outcome.CONFLICT else min(2.0, 0.1 * 2**attempt)
    delay = longest * (0.5 + dice / 2)
    return delay if delay < time_left else None


def fold(stored: StoredJob | None, seen: Sequence[Observation]) -> tuple[Change | None, int]:
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


class Archive:
    def __init__(
        self,
        table: JobTable,
        rules: Rules,
        notices: MessageQueue,
        *,
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._table = table
        self._rules = rules
        self._notices = notices
        self._sleep = sleep
        self._dice = dice

    def save(
        self,
        folds: Mapping[str, Fold],
        time_left: Callable[[], float],
        *,
        consistent: bool = False,
    ) -> Saved:
        """Loads, folds and saves, again and again for those jobs whose save may yet succeed."""
        outcomes: dict[str, Outcome] = {}
        conflicts = 0
        pending: Collection[str] = folds.keys()
        for attempt in itertools.count(1):
            loaded = self._table.load(pending, consistent=consistent or attempt > 1)
            folded = {
                job_id: folds[job_id](loaded.jobs.get(job_id))
                for job_id in pending
                if job_id not in loaded.unread
            }
            outcomes |= loaded.unread | dict.fromkeys(folded, Outcome.SAVED)
            outcomes |= self._table.save([change for change in folded.values() if change])

            pending = [job_id for job_id in pending if outcomes[job_id] in _ATTEMPTS]
            conflicts += sum(outcomes[job_id] is Outcome.CONFLICT for job_id in pending)
            delays = [
                retry_delay(outcomes[job_id], attempt, time_left(), self._dice())
                for job_id in pending
            ]
            if not pending or None in delays:
                break
            self._sleep(max(delay for delay in delays if delay is not None))
        return Saved(outcomes, conflicts)

    def announce(self, seen: Mapping[str, Iterable[Observation]]) -> Announced:
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
        return Announced(len(notices) - len(refused), left)
