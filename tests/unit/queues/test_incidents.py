"""Incidents are opened once and resolved once, whatever sweeps see of a queue in between."""

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.jobs.job import Description, Details, Job, Observation, Transition
from chalicelib.notices.notice import Notice
from chalicelib.notices.rules import Rules
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.incidents import IncidentPolicy, Incidents, ReportedJob, Snapshot
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck import StuckJobs
from tests.support.builders import NOON

MINUTE = 60_000
RULES = Rules.parse(
    '[[rule]]\non = ["STUCK", "RECOVERED", "QUEUE_BLOCKED", "EVENTS_MISSING"]', "room"
)
POLICY = IncidentPolicy(rules=RULES, blocked_after=10 * MINUTE)


def a_job(job_id: str, status: str = "RUNNABLE") -> Job:
    details = Details(status=status, generation=0, time=NOON, job_name="n", job_queue="gpu")
    return Job(job_id, details, (Transition(status, 0, NOON),))


class Queue:
    """A queue, its state, and the notices that its sweeps have requested."""

    def __init__(self) -> None:
        self.now = NOON
        self.state = QueueState(watched_since=NOON)

    def sweep(
        self,
        stuck: Collection[str] = (),
        *,
        unconfirmed: Collection[str] = (),
        blocked: Blocked | None = None,
        head: Job | None = None,
        missing_events: MissingEvents | None = None,
    ) -> tuple[Notice, ...]:
        """Run a sweep five minutes after the last one, and return the notices that it requests.
        Jobs that are not stuck are starting."""
        self.now += 5 * MINUTE
        jobs = StuckJobs.among(map(a_job, stuck))
        snapshot = Snapshot(
            stuck=jobs,
            counts=jobs.counts(),
            reported=[
                ReportedJob(
                    each,
                    a_job(each.job_id, "RUNNABLE" if each.job_id in stuck else "STARTING"),
                    Description(),
                )
                for each in self.state.stuck
            ],
            unblocked_at=self.state.unblocked_at,
            blocked=blocked,
            head=head,
            missing_events=missing_events,
        )
        described = {
            job_id: Observation(job_id, job.details, Description())
            for job_id, job in jobs.jobs.items()
            if job_id not in unconfirmed
        }
        state = Incidents("gpu", POLICY, self.now).next_state(self.state, snapshot, described)
        self.state = replace(state, outbox=())
        return state.outbox


def kinds(notices: Collection[Notice]) -> list[str]:
    return [notice.kind for notice in notices]


@given(st.lists(st.sets(st.sampled_from([f"j-{n}" for n in range(6)])), max_size=12))
def test_stuck_jobs_are_reported_and_resolved_in_turn_individually_or_as_one_incident(
    sweeps: list[set[str]],
) -> None:
    queue = Queue()
    reported: set[str | None] = set()
    bulk: set[int] = set()

    for stuck in [*sweeps, set()]:
        for notice in queue.sweep(stuck):
            match notice.kind:
                case "STUCK":
                    assert notice.job_id not in reported
                    reported.add(notice.job_id)
                case "RECOVERED":
                    reported.remove(notice.job_id)
                case "BULK_STUCK":
                    assert not bulk
                    bulk.add(notice.generation)
                    reported.clear()
                case "BULK_STUCK_RESOLVED":
                    bulk.remove(notice.generation)
        assert {job.job_id for job in queue.state.stuck} == reported
        assert len(reported) <= 3
        assert (queue.state.bulk_incident is not None) == bool(bulk)

    assert (reported, bulk) == (set(), set())


def test_over_a_hundred_sweeps_a_stuck_job_is_reported_once_and_its_recovery_once() -> None:
    queue = Queue()

    notices = [notice for n in range(100) for notice in queue.sweep({"j-1"} if n < 50 else ())]

    assert kinds(notices) == ["STUCK", "RECOVERED"]


def test_a_stuck_job_that_batch_does_not_confirm_is_not_reported() -> None:
    queue = Queue()

    assert kinds(queue.sweep({"j-1", "j-2"}, unconfirmed={"j-1"})) == ["STUCK"]
    assert [job.job_id for job in queue.state.stuck] == ["j-2"]


def test_a_block_is_reported_when_it_has_lasted_and_a_second_block_is_a_second_incident() -> None:
    queue = Queue()
    first, second = (
        Blocked(since=since, last_seen=since, job_id="j-1", job_name="merge")
        for since in (NOON + 5 * MINUTE, NOON + 20 * MINUTE)
    )

    early = queue.sweep(blocked=first)
    queue.sweep(blocked=first)
    opened = queue.sweep(blocked=first)
    replaced = queue.sweep(blocked=second)
    reopened = [*queue.sweep(blocked=second), *queue.sweep(blocked=second)]
    resolved = queue.sweep()

    assert early == ()
    assert [(n.kind, n.generation) for n in opened] == [("QUEUE_BLOCKED", first.since)]
    assert [(n.kind, n.generation) for n in replaced] == [("QUEUE_BLOCKED_RESOLVED", first.since)]
    assert [(n.kind, n.generation) for n in reopened] == [("QUEUE_BLOCKED", second.since)]
    assert [(n.kind, n.generation) for n in resolved] == [("QUEUE_BLOCKED_RESOLVED", second.since)]


def test_a_block_whose_job_has_ended_is_resolved_and_its_events_are_no_longer_relevant() -> None:
    queue = Queue()
    blocked = Blocked(since=NOON, last_seen=NOON, job_id="j-1", job_name="merge", is_reported=True)
    queue.state = replace(queue.state, blocked=blocked)

    ongoing = queue.sweep(blocked=blocked, head=a_job("j-1", "FAILED"))
    over = queue.sweep(blocked=blocked, head=a_job("j-1", "FAILED"))

    assert (kinds(ongoing), kinds(over)) == ([], ["QUEUE_BLOCKED_RESOLVED"])
    assert (queue.state.blocked, queue.state.unblocked_at) == (None, NOON)


def test_missing_events_are_reported_once_and_resolved_once() -> None:
    queue = Queue()
    missing = MissingEvents(since=NOON, last_event_at=0, changes=2)

    sweeps = [queue.sweep(missing_events=each) for each in (None, missing, missing, None, None)]

    assert [kinds(notices) for notices in sweeps] == [
        [],
        ["EVENTS_MISSING"],
        [],
        ["EVENTS_MISSING_RESOLVED"],
        [],
    ]


def test_notices_are_added_to_an_outbox_that_was_not_emptied() -> None:
    queue = Queue()
    (stuck,) = queue.sweep({"j-1"})
    queue.state = replace(queue.state, outbox=(stuck,))

    outbox = queue.sweep(())

    assert kinds(outbox) == ["STUCK", "RECOVERED"]
