"""Incidents are opened once and resolved once, whatever sweeps see of a queue in between."""

from collections.abc import Collection, Mapping

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.jobs.job import Description, Details, Job, Observation, Transition
from chalicelib.notices.notice import Notice
from chalicelib.notices.rules import Rules
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.incidents import IncidentPolicy, Incidents, Snapshot
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck.overdue import OverdueJobs, StuckKey, UsualRunTime
from chalicelib.queues.stuck.reporting import ReportedJob
from tests.support.builders import NOON

MINUTE = 60_000
HOUR = 60 * MINUTE
RULE = '[[rule]]\non = ["STUCK", "RECOVERED", "QUEUE_BLOCKED", "EVENTS_MISSING"]\n'
RULES = Rules.parse(RULE, "room")
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none"
TOO_LARGE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - none"


def a_job(job_id: str, status: str = "RUNNABLE", reason: str | None = None) -> Job:
    details = Details(
        status=status,
        generation=0,
        time=NOON,
        job_name=job_id,
        job_queue="gpu",
        status_reason=reason,
    )
    return Job(job_id, details, (Transition(status, 0, NOON),))


class Queue:
    """A queue, its state, and the notices that its sweeps have requested."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.now = NOON + HOUR
        self.rules = rules
        self.state = QueueState(watched_since=0)

    def sweep(
        self,
        overdue: Collection[str | Job] = (),
        *,
        unconfirmed: Collection[str] = (),
        counts: Mapping[str, int] | None = None,
        is_moving: bool = False,
        usual: UsualRunTime | None = None,
        blocked: Blocked | None = None,
        head: Job | None = None,
        missing_events: MissingEvents | None = None,
    ) -> tuple[Notice, ...]:
        """Run a sweep five minutes after the last one, and return the notices that it requests.
        Jobs that are not overdue are starting."""
        self.now += 5 * MINUTE
        jobs = [job if isinstance(job, Job) else a_job(job) for job in overdue]
        by_id = {job.job_id: job for job in jobs}
        snapshot = Snapshot(
            overdue=OverdueJobs.among(
                jobs,
                now=self.now,
                limits={"RUNNABLE": HOUR},
                last_start=self.now if is_moving else 0,
                usual={StuckKey(job.job_id, "RUNNING"): usual for job in jobs} if usual else {},
            ),
            counts=counts or {},
            reported=[
                ReportedJob(
                    each, by_id.get(each.job_id, a_job(each.job_id, "STARTING")), Description()
                )
                for each in self.state.stuck
            ],
            unblocked_at=self.state.unblocked_at,
            blocked=blocked,
            head=head,
            missing_events=missing_events,
            waiting=[a_job("waiting")],
        )
        incidents = Incidents(
            "gpu", IncidentPolicy(rules=self.rules, blocked_after=10 * MINUTE), self.now
        )
        described = {
            job.job_id: Observation(job.job_id, job.details, Description())
            for job in incidents.to_confirm(self.state, snapshot)
            if job.job_id not in unconfirmed
        }
        state = incidents.next_state(self.state, snapshot, described)
        self.state = replace(state, outbox=())
        return state.outbox


def kinds(notices: Collection[Notice]) -> list[str]:
    return [notice.kind for notice in notices]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from([f"j-{n}" for n in range(6)]),
            st.sampled_from([None, NO_CAPACITY, TOO_LARGE]),
        ),
        max_size=12,
    )
)
def test_whatever_is_stuck_is_reported_and_resolved_in_turn(
    sweeps: list[dict[str, str | None]],
) -> None:
    queue = Queue()
    reported: set[str | None] = set()
    bulk: set[int] = set()

    for stuck in [*sweeps, {}]:
        for notice in queue.sweep([a_job(name, reason=why) for name, why in stuck.items()]):
            match notice.kind:
                case "STUCK":
                    assert notice.job_id not in reported
                    reported.add(notice.job_id)
                case "RECOVERED":
                    reported.discard(notice.job_id)
                case "BULK_STUCK" if notice.thread is None:
                    assert notice.generation not in bulk
                    bulk.add(notice.generation)
                case "BULK_STUCK":
                    assert notice.thread in bulk
                case "BULK_STUCK_RESOLVED":
                    bulk.remove(notice.generation)
        reported &= {job.job_id for job in queue.state.stuck}
        assert {job.job_id for job in queue.state.stuck} == reported
        assert {incident.since for incident in queue.state.bulk_incidents} == bulk

    assert (reported, bulk) == (set(), set())


def test_jobs_that_wait_their_turn_in_a_moving_queue_are_not_reported() -> None:
    queue = Queue()

    assert queue.sweep([f"j-{n}" for n in range(60)], is_moving=True) == ()


def test_a_hanging_job_is_reported_beside_a_backlog() -> None:
    queue = Queue()
    backlog = [a_job(f"j-{n}") for n in range(60)]
    hanging = a_job("hanging", "RUNNING")
    usual = UsualRunTime(usual_ms=9 * MINUTE, limit_ms=HOUR)

    moving = queue.sweep([*backlog, hanging], is_moving=True, usual=usual)
    halted = queue.sweep([*backlog, hanging])

    assert [(n.kind, n.job_id, n.status, n.usual_ms) for n in moving] == [
        ("STUCK", "hanging", "RUNNING", 9 * MINUTE)
    ]
    assert [(n.kind, n.status) for n in halted] == [("BULK_STUCK", "RUNNABLE")]


def test_the_reason_of_the_head_is_the_cause_of_the_jobs_behind_it() -> None:
    queue = Queue()
    head = a_job("head", reason=NO_CAPACITY)

    notices = queue.sweep([head, *(f"j-{n}" for n in range(60))])

    (incident,) = queue.state.bulk_incidents
    assert kinds(notices) == ["BULK_STUCK"]
    assert (incident.jobs, incident.cause) == (61, "AWS has no free capacity")


def test_a_job_that_is_stuck_in_two_statuses_is_two_incidents() -> None:
    queue = Queue()

    stuck = queue.sweep(["j-1"])
    recovered = queue.sweep([])
    again = queue.sweep([a_job("j-1", "RUNNING")])

    notices = [*stuck, *recovered, *again]
    assert [(n.kind, n.status) for n in notices] == [
        ("STUCK", "RUNNABLE"),
        ("RECOVERED", "RUNNABLE"),
        ("STUCK", "RUNNING"),
    ]
    assert len({notice.key for notice in notices}) == 3


def test_an_incident_is_reported_again_for_a_new_cause_tenfold_jobs_and_the_last_few() -> None:
    queue = Queue()
    many = [f"j-{n}" for n in range(5)]

    opened = queue.sweep(many)
    unchanged = queue.sweep(many)
    cause = queue.sweep([a_job(many[0], reason=NO_CAPACITY), *many[1:]])
    grown = queue.sweep([f"j-{n}" for n in range(50)])
    few = queue.sweep(many[:2])
    still_few = queue.sweep(many[:1])
    resolved = queue.sweep([])

    began = opened[0].generation
    assert [len(notices) for notices in (opened, unchanged, cause, grown, few, still_few)] == [
        *(1, 0, 1, 1, 1, 0)
    ]
    assert {notice.thread for notice in (*cause, *grown, *few)} == {began}
    assert len({notice.key for notice in (*opened, *cause, *grown, *few)}) == 4
    assert [(n.kind, n.generation) for n in resolved] == [("BULK_STUCK_RESOLVED", began)]


def test_stuck_jobs_of_a_blocked_queue_are_one_consequence_in_its_thread() -> None:
    queue = Queue()
    block = Blocked(since=NOON, last_seen=NOON, job_id="j-0", job_name="j-0", reason=NO_CAPACITY)

    opened = queue.sweep([f"j-{n}" for n in range(800)], blocked=block)
    more = [
        notice
        for hour in range(36)
        for notice in queue.sweep(
            [f"j-{n}" for n in range(800 + hour)], blocked=queue.state.blocked
        )
    ]
    resolved = queue.sweep([])

    assert kinds(opened) == ["QUEUE_BLOCKED", "BULK_STUCK"]
    assert [notice.began for notice in opened] == [NOON, NOON]
    assert (more, kinds(resolved)) == ([], ["QUEUE_BLOCKED_RESOLVED"])


def test_the_job_that_blocks_a_queue_is_no_consequence_of_its_own() -> None:
    queue = Queue()
    block = Blocked(since=NOON, last_seen=queue.now, job_id="head", reason=NO_CAPACITY)
    head = a_job("head", reason=NO_CAPACITY)
    reported = replace(block, is_reported=True, rooms=("room",))

    first = queue.sweep([head], blocked=block, head=head)
    alone = queue.sweep([head], blocked=reported, head=head)
    others = queue.sweep([head, "a", "b"], blocked=reported, head=head)

    assert (kinds(first), kinds(alone), kinds(others)) == (["QUEUE_BLOCKED"], [], ["BULK_STUCK"])
    assert [incident.jobs for incident in queue.state.bulk_incidents] == [3]


def test_a_room_without_the_block_gets_the_end_of_its_consequence() -> None:
    queue = Queue(Rules.parse('[[rule]]\non = ["STUCK", "RECOVERED"]', "room"))
    block = Blocked(since=NOON, last_seen=NOON, job_id="j-0", job_name="j-0")

    opened = queue.sweep(["j-0"], blocked=block)
    resolved = queue.sweep([])

    assert kinds(opened) == ["BULK_STUCK"]
    assert kinds(resolved) == ["BULK_STUCK_RESOLVED"]


def test_open_problems_are_sent_to_a_room_that_is_added_later() -> None:
    queue = Queue()
    block = Blocked(since=NOON, last_seen=NOON, job_id="j-0", job_name="j-0")
    running = a_job("r", "RUNNING")
    starting = [a_job(f"s-{n}", "STARTING") for n in range(5)]
    queue.sweep([running, *starting], blocked=block)

    queue.rules = Rules.parse(f'{RULE}{RULE}room = "added"', "room")
    added = queue.sweep([running, *starting], blocked=queue.state.blocked)
    later = queue.sweep([running, *starting], blocked=queue.state.blocked)

    assert sorted((n.room, n.kind) for n in added) == [
        ("added", "BULK_STUCK"),
        ("added", "QUEUE_BLOCKED"),
        ("added", "STUCK"),
    ]
    assert later == ()


def test_over_a_hundred_sweeps_a_stuck_job_is_reported_once_and_its_recovery_once() -> None:
    queue = Queue()

    notices = [notice for n in range(100) for notice in queue.sweep(["j-1"] if n < 50 else ())]

    assert kinds(notices) == ["STUCK", "RECOVERED"]


def test_a_stuck_job_that_batch_does_not_confirm_is_not_reported() -> None:
    queue = Queue()

    assert kinds(queue.sweep(["j-1", "j-2"], unconfirmed={"j-1"})) == ["STUCK"]
    assert [job.job_id for job in queue.state.stuck] == ["j-2"]


def test_a_block_is_reported_when_it_has_lasted_and_a_second_block_is_a_second_incident() -> None:
    queue = Queue()
    queue.now = NOON
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


def test_a_queue_that_is_blocked_again_and_again_is_reported_less_and_less() -> None:
    queue = Queue()
    queue.now = NOON
    lasting, free = 8, 1
    reported: list[int] = []

    for number in range(40):
        began = queue.now + 5 * MINUTE
        for sweep in range(lasting):
            block = queue.state.blocked or Blocked(since=began, last_seen=began, job_id="j-1")
            if "QUEUE_BLOCKED" in kinds(queue.sweep(blocked=block)):
                reported.append(sweep * 5)
        for _ in range(free):
            queue.sweep()
        if number == 20:
            queue.now += 2 * HOUR

    assert reported == [10, 10, 20, 10, 10, 20]


def test_a_block_whose_job_has_ended_is_resolved_and_its_events_are_no_longer_relevant() -> None:
    queue = Queue()
    queue.now = NOON
    blocked = Blocked(
        since=NOON,
        last_seen=NOON,
        job_id="j-1",
        job_name="merge",
        is_reported=True,
        rooms=("room",),
    )
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
    (stuck,) = queue.sweep(["j-1"])
    queue.state = replace(queue.state, outbox=(stuck,))

    outbox = queue.sweep(())

    assert kinds(outbox) == ["STUCK", "RECOVERED"]
