"""Finds what no event told, by asking Batch: jobs that fell silent, and jobs never heard of.

A run gathers leads, each a job to ask about, and asks about a hundred of them a call, so that
leads of every kind share calls; a service job takes a call of its own:

    what other runs have in hand, for those that were cut off may have left notices outbox
    repair      jobs that have not ended and were not heard of for a while, the longest silent first
    discovery   what ListJobs or ListServiceJobs shows of each queue by creation, and was never
                heard of
    families    children and nodes of ended parents that were never heard of

An answer of Batch is an observation like any other, so a run may be cut off anywhere, or run twice
at once, and changes nothing but who does the work. How far it is, is stored after each call
(`repair_ledger`). A job is asked about once a round, and a round through the jobs of one status
begins no sooner than the status's age after the last one; so a job that does not change costs a
hundredth of a call then (a service job a call), and no write.

Knows the order of the steps.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, takewhile
from typing import Any, NamedTuple

from chalicelib import telemetry
from chalicelib.aws.dynamodb import Outcome, chunks
from chalicelib.aws.lambda_event import without_reserve
from chalicelib.jobs.job import TERMINAL, Job, Observation
from chalicelib.jobs.job_detail import JobDetail
from chalicelib.jobs.job_index import JobIndex, StatusPartition, TimeRange
from chalicelib.jobs.job_table import Change, JobTable, Loaded, StoredJob
from chalicelib.queues.missing_events import MAX_DELIVERY_MS
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.recording.ingest import Decision, Ingest, merge
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from chalicelib.sweep.batch_api import (
    DESCRIBED,
    BatchApi,
    BatchRefused,
    BatchStopped,
    ListedJob,
    ListedPage,
    observations,
)
from chalicelib.sweep.checkpoints import (
    CheckpointsUnavailable,
    CheckpointTable,
    Cursor,
    Family,
    InFlight,
    Pass,
    Progress,
)
from chalicelib.telemetry import LogEvent, Tally, count, ids

_DAY_MS = 86_400_000
BATCH_KEEPS_MS = 7 * _DAY_MS
"""Batch forgets a job this long after its end, and no sooner."""
_RESERVE_SECONDS = 10.0
_LONGEST_RUN_MS = 15 * 60_000
"""No Lambda function runs for longer."""
_SHARE_OF_REPAIR = 2 / 3
"""Of a run's calls; the rest is for discovery, however many jobs have fallen silent."""
_SERVICE_JOBS_AT_ONCE = 10
"""Asked about before it is stored how far the run is: more may be lost with the allowance."""
_DISCOVERY_NEEDS = 2
"""Calls: one lists a page, one asks about what was never heard of."""
_TRY_AGAIN = {Outcome.CONFLICT, Outcome.BUSY, Outcome.OUTAGE}


@dataclass(kw_only=True)
class ReconcileTally(Tally):
    """What became of a run, in jobs; `calls` and `throttled` are calls of Batch's API.
    `unknown_to_batch` are jobs that Batch should know and does not. `left`: there is more to do at
    once."""

    EVENT = LogEvent.JOBS_RECONCILED

    asked: int = count("JobsAsked")
    known: int = 0
    repaired: int = count("JobsRepaired")
    discovered: int = count("JobsDiscovered")
    lost: int = count("JobsLost")
    unknown_to_batch: list[str] = ids("JobsUnknownToBatch")
    notices: int = count("RepairNoticesQueued")
    calls: int = count("BatchCalls")
    throttled: int = count("BatchThrottled")
    left: bool = False


class Candidate(NamedTuple):
    """A job to ask about (None: nobody), and what is true once it and all leads before it are
    dealt with."""

    job_id: str | None
    then: Callable[[], None] = lambda: None
    is_service: bool = False

    @property
    def cost(self) -> int:
        """In hundredths of a call."""
        return DESCRIBED if self.is_service else 1


class ReconcileLimits(NamedTuple):
    """`ages` in milliseconds by status of the index; `queues` are watched though nothing was heard
    of them; `calls` of Batch's API a run."""

    ages: Mapping[str, int]
    queues: Sequence[str]
    calls: int


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What it works with. `batch` is boto3's client."""

    batch: Any
    table: JobTable
    index: JobIndex
    registry: QueueRegistry
    ledger: CheckpointTable
    ingest: Ingest
    redaction: Redaction
    rules: ReconcileLimits
    runtime: Runtime = Runtime()


class Reconciler:
    """`report` gets each run's tally, also of one that raises."""

    def __init__(self, parts: Parts, report: Callable[[ReconcileTally], None]) -> None:
        self._parts = parts
        self._report = report

    def run(self, time_left: Callable[[], float], since: int | None = None) -> ReconcileTally:
        """As much as the allowance and the time allow. With `since` (epoch milliseconds) it begins
        anew, and waits for no event: with all that have not ended, and all created since then.

        Raises BatchRefused, when all else is done, if Batch does not answer what it should.
        """
        parts = self._parts
        left = without_reserve(time_left, _RESERVE_SECONDS)
        api = BatchApi(parts.batch, parts.rules.calls, left, parts.runtime)
        run = _Run(parts, api, left, parts.runtime.now_ms())
        try:
            run.prepare(since)
            run.follow_leads()
        finally:
            run.tally.calls, run.tally.throttled = api.calls, api.throttled
            self._report(run.tally)
        return run.tally


def _merge_new(stored: StoredJob | None, observations: Sequence[Observation]) -> Decision:
    """Return the decision to add the observations that contain anything new."""
    new = [o for o in observations if not (stored and stored.job.says_nothing_new(o.details))]
    return merge(stored, new)


class _Run:
    def __init__(
        self, parts: Parts, api: BatchApi, time_left: Callable[[], float], now: int
    ) -> None:
        self.tally = ReconcileTally()
        self._parts = parts
        self._table, self._ledger, self._archive = parts.table, parts.ledger, parts.ingest
        self._api = api
        self._time_left = time_left
        self._now = now
        self._is_thorough = False
        self._told_until = now - MAX_DELIVERY_MS
        self._heard_of: set[str] = set()
        self._service_queues: set[str] = set()
        self._progress: dict[str, Progress] = {}
        self._moved: set[str] = set()
        self._run_id = uuid.uuid4().hex
        self._cut_off: set[str] = set()
        self._unannounced: set[str] = set()
        self._lost: list[str] = []
        self._refusal: BatchRefused | None = None

    def prepare(self, since: int | None) -> None:
        self._heard_of = set(self._parts.registry.names())
        self._service_queues = self._parts.registry.service_queues()
        queues = dict.fromkeys([*sorted(self._heard_of), *self._parts.rules.queues])
        self._progress = {queue: self._ledger.progress(queue) for queue in queues}
        for run, in_flight in self._ledger.in_flight().items():
            self._unannounced |= set(in_flight.job_ids)
            if in_flight.began < self._now - _LONGEST_RUN_MS:
                self._cut_off.add(run)
        if since is not None:
            self._is_thorough, self._told_until = True, self._now
            for queue, progress in self._progress.items():
                progress.begin_anew(since, self._now)
                self._ledger.save(queue, progress)

    def follow_leads(self) -> None:
        """Asks about a hundred at a time, or ten service jobs, and about nobody twice. Raises
        BatchRefused."""
        some: list[Candidate] = []
        try:
            try:
                self._follow(self._leads(), some)
            except BatchStopped:
                self.tally.left = True
                self._settle(takewhile(lambda lead: lead.job_id is None, some))
        except CheckpointsUnavailable:
            self.tally.left = True
        self._mark_lost()
        if self._refusal:
            raise self._refusal

    def _follow(self, leads: Iterable[Candidate], some: list[Candidate]) -> None:
        """`some` are those that are not dealt with yet."""
        asked: set[str] = set()
        new: Counter[bool] = Counter()
        for lead in leads:
            is_new = lead.job_id is not None and lead.job_id not in asked
            some.append(lead if is_new else Candidate(None, lead.then))
            if lead.job_id is not None:
                asked.add(lead.job_id)
            new[lead.is_service] += is_new
            if new[False] == DESCRIBED or new[True] == _SERVICE_JOBS_AT_ONCE:
                self._deal_with(some)
                some.clear()
                new.clear()
        self._deal_with(some)
        self._ledger.clear_in_flight(self._run_id)

    def _leads(self) -> Iterator[Candidate]:
        in_flight = sorted(self._unannounced)
        known = self._load(in_flight)
        for job_id in in_flight:
            job = known.job(job_id)
            yield Candidate(job_id, is_service=job is not None and job.is_service)
        yield from self._silent()
        yield from self._discovered()
        for queue in self._progress:
            yield from self._missing_members(queue)

    # Repair

    def _silent(self) -> Iterator[Candidate]:
        """The longest silent first, whatever their queue and status."""
        calls = self._parts.rules.calls
        most = max(1, min(int(calls * _SHARE_OF_REPAIR), calls - _DISCOVERY_NEEDS)) * DESCRIBED
        found: list[tuple[str, Candidate]] = []
        ends: list[Candidate] = []
        for place, age in self._places():
            turn = self._progress[place.queue].round(place)
            if turn.at is None and self._now - turn.began >= age:
                turn.began, turn.at = self._now, ""
                turn.before = self._now if self._is_thorough else self._now - age
                self._moved.add(place.queue)
            if turn.at is None:
                continue
            rows, more = self._parts.index.oldest_in_status(
                place, before=turn.before, after=turn.at, limit=most
            )
            advance = partial(self._advance, place.queue, turn)
            found += [
                (sort, Candidate(job.job_id, partial(advance, sort), job.is_service))
                for sort, job in rows
            ]
            ends += [] if more else [Candidate(None, partial(advance, None))]
            self.tally.left |= more
        found.sort(key=lambda one: one[0])
        leads = [lead for _, lead in found]
        costs = accumulate(lead.cost for lead in leads)
        affordable = [lead for lead, cost in zip(leads, costs, strict=True) if cost <= most]
        yield from affordable
        if len(affordable) == len(leads):
            yield from ends
        else:
            self.tally.left = True

    def _places(self) -> Iterator[tuple[StatusPartition, int]]:
        for queue in self._progress:
            for status, age in self._parts.rules.ages.items():
                for members in (False, True):
                    yield StatusPartition(queue, status, members), age

    def _advance(self, queue: str, turn: Pass, at: str | None) -> None:
        turn.at = at
        self._moved.add(queue)

    # Discovery

    def _discovered(self) -> Iterator[Candidate]:
        """Through all queues, the one first whose walk began the longest ago. A queue may take
        half of the calls that are left, so that a long walk starves no other; one is kept to ask
        about what was found."""
        begun = {queue: of.walk.top if of.walk else 0 for queue, of in self._progress.items()}
        for behind, queue in zip(
            reversed(range(len(begun))), sorted(begun, key=begun.__getitem__), strict=True
        ):
            kept = self._api.calls_left // 2 if behind else 1
            yield from self._unheard(queue, max(1, kept))

    def _unheard(self, queue: str, kept: int) -> Iterator[Candidate]:
        """Down from the newest job that events had time to tell of to where the last walk began;
        the first walk goes back as far as Batch remembers."""
        walk = self._progress[queue].walk or Cursor(floor=self._now - BATCH_KEEPS_MS)
        if walk.at is None:
            walk.top, walk.at = self._now - MAX_DELIVERY_MS, self._told_until
        self._progress[queue].walk = walk
        token = None
        before = walk.at
        is_service = queue in self._service_queues
        while before > walk.floor:
            if self._api.calls_left <= kept:
                self.tally.left = True
                return
            try:
                page, is_service = self._listed(queue, before, token, is_service=is_service)
            except BatchRefused as error:
                # A queue that is gone must not keep the others from being walked.
                telemetry.warning(LogEvent.QUEUE_NOT_LISTED, queue=queue, reason=str(error))
                if not error.is_of_one_request:
                    self._refusal = error
                yield Candidate(None, partial(self._put_behind, queue, walk))
                return
            dates = [one.created_at for one in page.jobs if one.created_at]
            listed = [one for one in page.jobs if (one.created_at or walk.floor) >= walk.floor]
            yield from self._unheard_of(queue, listed, is_service=is_service)
            token = page.token
            if token is None or len(listed) < len(page.jobs):
                break
            if dates:
                # There may be more of this very moment: a walk that is cut off sees them once more.
                yield Candidate(None, partial(self._walked, queue, walk, dates[-1] + 1))
        yield Candidate(None, partial(self._walked, queue, walk, None))

    def _listed(
        self, queue: str, before: int, token: str | None, *, is_service: bool
    ) -> tuple[ListedPage, bool]:
        """A page, and whether it is one of service jobs. A queue holds nothing else or none; which,
        nobody knows of one that is watched and was never heard of until it shows a job."""
        if is_service or queue in self._heard_of or token:
            page = self._api.list_before(queue, before, token, service=is_service)
            return page, is_service
        try:
            page = self._api.list_before(queue, before, None, service=False)
            if page.jobs or page.token:
                return page, False
        except BatchRefused as error:
            if not error.is_of_one_request:
                raise
        return self._api.list_before(queue, before, None, service=True), True

    def _unheard_of(
        self, queue: str, listed: Sequence[ListedJob], *, is_service: bool
    ) -> Iterator[Candidate]:
        self._ledger.save_families(queue, [Family(one) for one in listed if one.has_members])
        loaded = self._load([one.job_id for one in listed])
        known = loaded.jobs.keys() | loaded.unread.keys()
        return (
            Candidate(one.job_id, is_service=is_service)
            for one in listed
            if one.job_id not in known
        )

    def _walked(self, queue: str, walk: Cursor, at: int | None) -> None:
        walk.at = at
        if at is None:
            walk.floor = walk.top
        self._moved.add(queue)

    def _put_behind(self, queue: str, walk: Cursor) -> None:
        """The next run walks it anew, when the other queues had their turn."""
        walk.top, walk.at = self._now, None
        self._moved.add(queue)

    def _missing_members(self, queue: str) -> Iterator[Candidate]:
        """A family is counted once, when its parent has ended and no event is on its way."""
        for some in chunks(list(self._ledger.families(queue)), DESCRIBED):
            parents = self._load([parent.job_id for parent, _ in some])
            for parent, asked in some:
                job = parents.job(parent.job_id)
                if self._has_ended(parent, job):
                    yield from self._members_from(queue, parent, asked, job)
                    yield Candidate(None, partial(self._ledger.remove_family, queue, parent.job_id))

    def _members_from(
        self, queue: str, parent: ListedJob, first: int, job: Job | None
    ) -> Iterator[Candidate]:
        """How far it is, is stored, as those that Batch has forgotten stay unheard of."""
        members, wanted = parent.members, self._members_to_ask(parent, job)
        to_ask = [at for at, one in enumerate(members) if at >= first and one in wanted]
        for number, position in enumerate(to_ask, 1):
            yield Candidate(members[position])
            if number % DESCRIBED == 0:
                now_asked = [Family(parent, position + 1)]
                yield Candidate(None, partial(self._ledger.save_families, queue, now_asked))

    def _members_to_ask(self, parent: ListedJob, job: Job | None) -> set[str]:
        """Those never heard of, and nodes that ended, but not as often as their parent tried: a
        retry of the main node starts the others again."""
        heard_of = self._parts.index.members(parent.job_id)
        nodes = [one for one in parent.members if "#" in one and one in heard_of]
        tries = job.details.generation if job else 0
        restarted = {
            node
            for node, stored in self._load(nodes).jobs.items()
            if stored.job.details.generation < tries
        }
        return {one for one in parent.members if one not in heard_of or one in restarted}

    def _has_ended(self, parent: ListedJob, job: Job | None) -> bool:
        if job is None:
            return parent.created_at < self._now - BATCH_KEEPS_MS
        return job.is_over and job.since < self._told_until

    def _load(self, job_ids: Sequence[str], *, consistent: bool = False) -> Loaded:
        """Whom the table does not tell of now is nobody that it does not know. Raises
        CheckpointsUnavailable."""
        loaded = self._table.load(job_ids, consistent=consistent)
        if _TRY_AGAIN & set(loaded.unread.values()):
            raise CheckpointsUnavailable
        return loaded

    # Asking

    def _deal_with(self, leads: Sequence[Candidate]) -> None:
        job_ids = [lead.job_id for lead in leads if lead.job_id]
        if job_ids:
            answers = self._ask(leads)
            self._put_in_flight(answers)
            self.tally.asked += len(job_ids)
            self.tally.known += len(answers)
            self._record(answers)
            self._look_for([job_id for job_id in job_ids if job_id not in answers])
            if self.tally.known:
                self._mark_lost()
            self._unannounced -= set(job_ids)
        self._settle(leads)

    def _put_in_flight(self, job_ids: Iterable[str]) -> None:
        """Before anything of them is saved, and with what those had that were cut off."""
        if all_of_them := sorted(self._unannounced.union(job_ids)):
            self._ledger.put_in_flight(self._run_id, InFlight(self._now, all_of_them))
        while self._cut_off:
            self._ledger.clear_in_flight(self._cut_off.pop())

    def _settle(self, leads: Iterable[Candidate]) -> None:
        for lead in leads:
            lead.then()
        for queue in self._moved:
            self._ledger.save(queue, self._progress[queue])
        self._moved.clear()

    def _ask(self, leads: Sequence[Candidate]) -> dict[str, JobDetail | None]:
        jobs = [lead.job_id for lead in leads if lead.job_id and not lead.is_service]
        answers = self._api.describe(jobs) if jobs else {}
        for lead in leads:
            if lead.job_id and lead.is_service:
                answers |= self._api.describe_service_job(lead.job_id)
        return answers

    def _record(self, answers: Mapping[str, JobDetail | None]) -> None:
        """Saves, then announces what is news, and also what may have been news to a run that was
        cut off between the two."""
        observed = observations(answers, self._now, self._parts.redaction)
        seen = {observation.job_id: [observation] for observation in observed}
        applied = self._archive.apply(seen, self._time_left, decide=_merge_new)
        done = {job_id: of for job_id, of in applied.items() if of.outcome is Outcome.SAVED}
        news = {job_id: of for job_id, of in done.items() if of.news}
        self.tally.discovered += sum(of.is_first for of in news.values())
        self.tally.repaired += sum(not of.is_first for of in news.values())
        wanted = news.keys() | (self._unannounced & done.keys())
        announced = self._archive.publish({job_id: seen[job_id] for job_id in wanted})
        self.tally.notices += announced.notices
        if announced.unsent or _TRY_AGAIN & {of.outcome for of in applied.values()}:
            raise CheckpointsUnavailable

    # Those that Batch does not know

    def _look_for(self, job_ids: Sequence[str]) -> None:
        """Tells those that Batch may have forgotten from those that it should know."""
        for job_id, stored in self._load(job_ids, consistent=True).jobs.items():
            if not stored.job.is_over:
                (self._lost if self._may_be_lost(stored) else self.tally.unknown_to_batch).append(
                    job_id
                )

    def _may_be_lost(self, stored: StoredJob) -> bool:
        return stored.job.last_heard < self._now - BATCH_KEEPS_MS

    def _mark_lost(self) -> None:
        if self._lost and self._is_the_right_batch():
            unobserved: dict[str, Sequence[Observation]] = dict.fromkeys(self._lost, ())
            applied = self._archive.apply(
                unobserved, self._time_left, decide=self._lose, consistent=True
            )
            self.tally.lost += sum(of.news for of in applied.values())
            self._lost.clear()

    def _is_the_right_batch(self) -> bool:
        """A Batch that knows nobody must know those that ended lately, or it is the wrong one."""
        if self.tally.known or self.tally.unknown_to_batch:
            return bool(self.tally.known)
        places = [StatusPartition(queue, end) for queue in self._progress for end in TERMINAL]
        lately = TimeRange(since=self._now - BATCH_KEEPS_MS + _DAY_MS)
        ended = self._parts.index.newest(places, limit=10, window=lately).jobs
        witnesses = [job.job_id for job in ended if not job.is_service]
        try:
            answers = self._api.describe(witnesses) if witnesses else {}
        except BatchStopped:
            return False
        if not answers:
            self.tally.unknown_to_batch += witnesses
        return bool(answers) or not witnesses

    def _lose(self, stored: StoredJob | None, _: Sequence[Observation]) -> Decision:
        if stored is None or not self._may_be_lost(stored):
            return Decision()
        lost = stored.job.lost()
        if lost is stored.job:
            return Decision()
        return Decision(Change(lost, stored, self._table.describe(lost)), news=1)
