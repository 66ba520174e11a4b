"""What goes wrong between the recorder and AWS: one call, two calls, an hour of calls, the process
itself. Nothing is lost by it, nothing is written twice, and only what nobody can read or handle
ends in the dead-letter queue.

The network is a real one with a faulty proxy in it; the queues and the table are the local AWS's.
Only time does not pass: what would wait hidden in the queue comes again at once.
"""

import itertools
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.lambda_event import Message
from chalicelib.aws.retries import disposition_for
from chalicelib.aws.sqs import Disposition, MessageQueue
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.array_summary import Block, BlockKey, block_of
from chalicelib.jobs.job import Job, Observation
from chalicelib.notices.rules import Rules
from chalicelib.recording.event import EventReader
from chalicelib.recording.poison_messages import (
    FATAL_CRASHES,
    RETURNED_SECONDS,
    TRUSTED_RECEIVES,
)
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from local.aws import ROOT, LocalAws
from local.lifecycles import workload
from local.ports import LOOPBACK, free_port
from tests.support.builders import ACCOUNT, NOON, SOURCE, a_body, a_job_id, an_event, bodies_of
from tests.support.faulty_aws import (
    Fault,
    FaultyAws,
    Plan,
    at,
    broken,
    cut,
    healthy,
    killing,
    lost,
    on,
    outage,
    partly,
    refused,
    throttled,
)
from tests.support.recorder_harness import RecorderHarness

FAULTS: dict[str, Fault] = {
    "throttled": throttled,
    "broken": broken,
    "refused": refused,
    "cut": cut,
    "lost": lost,
    "partly": partly(),
}
UNREADABLE = "not an event"
RULES = Rules.parse('[[rule]]\non = ["FAILED"]', "a room")
HAND_BACK_SECONDS = 210
"""How long the recorder hides a message in an outage, on average."""
VISIBILITY_TIMEOUT = 720
"""How long the queue hides the messages of a function that died, in seconds."""

Function = Callable[[Sequence[Message]], bool]
"""Handles a batch; False: it failed."""


class Poller:
    """Lambda's poller: gives batches to a function and deletes what that leaves, unless it fails.
    What is left comes again without its wait."""

    def __init__(self, stand: RecorderHarness, *, most: int) -> None:
        self.receives = 0
        """The highest receive count so far."""
        self._stand = stand
        self._most = most
        self._sqs, queue = stand.aws.sqs, stand.resources.events_queue
        self._queue = MessageQueue(self._sqs, queue, stand.resources.dead_letter_queue)
        self._url = stand.aws.queue_url(queue)

    def send(self, bodies: Sequence[str]) -> None:
        assert self._queue.send(bodies) == set()

    def deliver(self, function: Function) -> int:
        """One batch; the number of its messages."""
        messages = self._stand.receive(self._most)
        self.receives = max([self.receives, *(message.receive_count for message in messages)])
        done = bool(messages) and function(messages)
        disposition = Disposition.ack() if done else Disposition.retry(0)
        self._queue.settle(dict.fromkeys(messages, disposition))
        return len(messages)

    def drain(self, function: Function) -> int:
        """Until nothing comes; how many deliveries it took."""
        for deliveries in range(100):
            if not self.deliver(function):
                return deliveries
        raise AssertionError("messages come again and again")

    def waiting(self) -> int:
        """Messages in the queue, hidden or not."""
        answer = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["All"])
        visible = answer["Attributes"]["ApproximateNumberOfMessages"]
        return int(visible) + int(answer["Attributes"]["ApproximateNumberOfMessagesNotVisible"])


def recording(stand: RecorderHarness) -> Function:
    def function(messages: Sequence[Message]) -> bool:
        try:
            stand.record(messages)
        except MessagesLeft:
            return False
        return True

    return function


@dataclass(frozen=True, kw_only=True)
class Scene:
    """`known` is recorded beforehand; `suspects` came so often that they are handled alone."""

    known: Sequence[str] = ()
    suspects: Sequence[str] = ()
    batch: Sequence[str] = ()

    @classmethod
    def of(cls, *, jobs: int, messages: int, suspects: int) -> Self:
        """News of known jobs and of others, in no order and with duplicates; and at the end an
        event that is not for us, and a message that can't be read."""
        bodies = bodies_of(workload(4, jobs, NOON))
        random.Random(0).shuffle(bodies)
        known, news = bodies[: messages // 3], bodies[messages // 4 :]
        again = [under_another_id(body) for body in news[: messages // 10]]
        other = json.dumps(an_event() | {"detail-type": "Batch Job Queue Blocked"})
        batch = [*again, *news[: messages - suspects - len(again) - 2], other, UNREADABLE]
        return cls(
            known=known, suspects=[a_body(status="FAILED") for _ in range(suspects)], batch=batch
        )


def under_another_id(body: str) -> str:
    return body.replace('"id": "', '"id": "again-', 1)


LARGE = Scene.of(jobs=60, messages=50, suspects=1)
"""So many records change that they take two calls."""
SMALL = Scene.of(jobs=6, messages=9, suspects=2)
ARRAY = Scene(
    known=[a_body(jobId="array:499"), a_body(jobId="array:3", status="RUNNING")],
    batch=[
        *(a_body(jobId=f"array:{child}", status="SUCCEEDED") for child in range(495, 505)),
        *(a_body(jobId="array:3", status=status) for status in ("RUNNING", "FAILED")),
    ],
)
"""Children of two blocks, one of which is known already."""


@dataclass(frozen=True)
class Aftermath:
    """What there is in the end: the table's items, without the marks of suspects and of when a
    queue was heard of; the notices in their queue, where repetitions do no harm; what lies in the
    dead-letter queue; how many messages still wait."""

    items: list[dict[str, Any]]
    notices: set[str]
    dead_letters: set[str]
    waiting: int

    @property
    def told(self) -> Self:
        """Without the versions, which count the writes. Handled one by one, messages may change
        a record several times where a batch changes it once."""
        items = [{k: v for k, v in item.items() if k != "version"} for item in self.items]
        return replace(self, items=items)


class Clock:
    def __init__(self) -> None:
        self.now = NOON / 1000

    def __call__(self) -> float:
        return self.now


class Play:
    """A scene on an empty AWS, from the moment when its batch waits in the queue. By the clock,
    what is handed back comes again after a while."""

    def __init__(self, scene: Scene, stand: RecorderHarness, clock: Clock) -> None:
        self.clock = clock
        self.stand = stand
        self.stand.record(scene.known)
        self._notices = MessageQueue(
            stand.aws.sqs, stand.resources.notices_queue, stand.resources.notices_dead_letter_queue
        )
        self.poller = Poller(stand, most=len(scene.suspects) + len(scene.batch))
        self.poller.send(scene.suspects)
        for _ in range(TRUSTED_RECEIVES if scene.suspects else 0):
            self.poller.deliver(lambda messages: False)
        self.poller.send(scene.batch)

    def record(self, messages: Sequence[Message]) -> bool:
        done = recording(self.stand)(messages)
        self.clock.now += HAND_BACK_SECONDS
        return done

    def deliver(self) -> None:
        self.poller.deliver(self.record)

    def aftermath(self) -> Aftermath:
        """Once no message is left."""
        self.poller.drain(self.record)
        items = self.stand.items()
        marks = [
            item
            for item in items
            if item["pk"]["S"].startswith("MESSAGE#") or item["sk"]["S"] == "LAST_EVENT"
        ]
        kept = [item for item in items if item not in marks]
        return Aftermath(
            items=sorted(kept, key=lambda item: (item["pk"]["S"], item["sk"]["S"])),
            notices={message.body for message in self._notices.take(1_000)},
            dead_letters={letter["Body"] for letter in self.stand.dead_letters()},
            waiting=self.poller.waiting(),
        )


class Begin(Protocol):
    def __call__(self, scene: Scene, plan: Plan = healthy) -> Play: ...


@pytest.fixture
def faulty(running_aws: LocalAws) -> Iterator[FaultyAws]:
    with FaultyAws(running_aws.endpoint) as faulty:
        yield faulty


@pytest.fixture
def begin(running_aws: LocalAws, faulty: FaultyAws) -> Begin:
    """Begins a play behind the faulty network, which follows the plan from then on."""

    def begin(scene: Scene, plan: Plan = healthy) -> Play:
        running_aws.reset()
        faulty.follow(healthy)
        resources, clock = running_aws.create_resources(), Clock()
        stand = RecorderHarness(
            running_aws,
            resources,
            endpoint=faulty.endpoint,
            rules=RULES,
            runtime=Runtime(now=clock, sleep=lambda seconds: None),
        )
        play = Play(scene, stand, clock)
        faulty.follow(plan)
        return play

    return begin


# A call fails, or two


def test_an_undisturbed_batch_needs_few_calls_and_leaves_nothing(
    begin: Begin, faulty: FaultyAws
) -> None:
    news = [a_body(status="FAILED") for _ in range(30)]

    aftermath = begin(Scene(suspects=[a_body()], batch=[*news, UNREADABLE])).aftermath()

    found = Counter(item["sk"]["S"].partition("#")[0] for item in aftermath.items)
    assert (found["JOB"], found["SPEC"], len(aftermath.notices)) == (31, 31, 30)
    assert (aftermath.dead_letters, aftermath.waiting) == ({UNREADABLE}, 0)
    assert Counter(faulty.calls) == {
        "BatchGetItem": 1 + 2,
        "BatchWriteItem": 2 + 1 + 1,
        "BatchExecuteStatement": 2 + 1,
        "PutItem": 1,
        "DeleteItem": 1,
        "GetQueueUrl": 3,
        "SendMessageBatch": 1 + 3,
        "DeleteMessageBatch": 4 + 1,
    }, "for the batch, and for its suspect; and once that the queue was heard of"


@pytest.mark.parametrize(("scene", "writes"), [(LARGE, 4), (ARRAY, 2)])
def test_whichever_call_fails_nothing_is_lost_and_nothing_is_written_twice(
    begin: Begin, faulty: FaultyAws, scene: Scene, writes: int
) -> None:
    undisturbed = begin(scene).aftermath()
    calls = faulty.calls
    assert calls.count("BatchExecuteStatement") == writes

    harmful = [
        f"call {position}, {operation}, {name}"
        for position, operation in enumerate(calls, 1)
        for name, fault in FAULTS.items()
        if begin(scene, at({position: fault})).aftermath() != undisturbed
    ]

    assert harmful == []


def test_whichever_two_calls_fail_nothing_is_lost_and_nothing_is_written_twice(
    begin: Begin, faulty: FaultyAws
) -> None:
    scene = Scene.of(jobs=6, messages=8, suspects=1)
    undisturbed = begin(scene).aftermath()
    pairs = itertools.combinations(range(1, len(faulty.calls) + 1), 2)
    kinds = itertools.cycle(itertools.product(FAULTS, FAULTS))

    harmful = [
        f"call {first} {one}, call {second} {other}"
        for (first, second), (one, other) in zip(pairs, kinds, strict=False)
        if begin(scene, at({first: FAULTS[one], second: FAULTS[other]})).aftermath() != undisturbed
    ]

    assert harmful == []


@pytest.mark.parametrize("operation", ["BatchWriteItem", "BatchExecuteStatement"])
def test_a_call_that_botocore_tries_again_after_it_was_carried_out_does_no_harm(
    running_aws: LocalAws, begin: Begin, faulty: FaultyAws, operation: str
) -> None:
    undisturbed = begin(SMALL).aftermath()
    play = begin(SMALL, on(operation, lost, nth=1))
    patient = RecorderHarness(
        running_aws, play.stand.resources, endpoint=faulty.endpoint, tries=3, rules=RULES
    )

    deliveries = play.poller.drain(recording(patient))

    assert deliveries == 1
    assert play.aftermath() == undisturbed


# An hour of calls fails


@pytest.mark.parametrize("kind", ["throttled", "broken", "refused", "cut", "lost"])
def test_after_an_hour_of_outage_everything_is_recorded(
    begin: Begin, faulty: FaultyAws, kind: str
) -> None:
    undisturbed = begin(LARGE).aftermath()
    play = begin(LARGE, outage(FAULTS[kind]))

    for _ in range(0, 3_600, HAND_BACK_SECONDS):
        play.deliver()
    faulty.follow(healthy)

    assert play.poller.receives > 5 * TRUSTED_RECEIVES
    assert play.aftermath().told == undisturbed.told


def test_after_an_hour_without_a_network_everything_is_recorded(
    running_aws: LocalAws, begin: Begin
) -> None:
    undisturbed = begin(SMALL).aftermath()
    play = begin(SMALL)
    nowhere = f"http://{LOOPBACK}:{free_port()}"
    cut_off = RecorderHarness(running_aws, play.stand.resources, endpoint=nowhere, rules=RULES)

    for _ in range(0, 3_600, HAND_BACK_SECONDS):
        play.poller.deliver(recording(cut_off))

    assert play.aftermath().told == undisturbed.told


def test_an_outage_may_begin_with_any_call_of_a_batch(begin: Begin, faulty: FaultyAws) -> None:
    undisturbed = begin(SMALL).aftermath()
    positions = range(1, len(faulty.calls) + 1)

    def after_an_outage(since: int, fault: Fault) -> Aftermath:
        play = begin(SMALL, outage(fault, since=since))
        for _ in range(4):
            play.deliver()
            play.clock.now += (
                VISIBILITY_TIMEOUT  # so long that a mark left behind counts as a death
            )
        faulty.follow(healthy)
        return play.aftermath()

    harmful = [
        f"call {since}, {name}"
        for since, (name, fault) in zip(positions, itertools.cycle(FAULTS.items()), strict=False)
        if after_an_outage(since, fault).told != undisturbed.told
    ]

    assert harmful == []


def test_an_outage_that_begins_again_and_again_at_a_suspect_is_not_held_against_it(
    begin: Begin, faulty: FaultyAws
) -> None:
    scene = Scene(suspects=[a_body(), a_body()])
    undisturbed = begin(scene).aftermath()
    play = begin(scene)

    for _ in range(0, 3_600, HAND_BACK_SECONDS):
        faulty.follow(outage(cut, since=3))
        play.deliver()
        assert faulty.calls[:2] == ["BatchGetItem", "PutItem"], "marks are read, one is made"
    faulty.follow(healthy)

    assert play.aftermath().told == undisturbed.told


def test_a_mark_that_was_made_without_an_answer_is_not_held_against_a_suspect(
    begin: Begin, faulty: FaultyAws
) -> None:
    scene = Scene(suspects=[a_body(), a_body()])
    undisturbed = begin(scene).aftermath()
    play = begin(scene, on("PutItem", lost))

    for _ in range(0, 3_600, HAND_BACK_SECONDS):
        play.deliver()
    faulty.follow(healthy)

    assert play.aftermath().told == undisturbed.told


# Some of it fails for ever


def test_a_job_that_is_always_throttled_holds_up_no_other(begin: Begin, faulty: FaultyAws) -> None:
    hot, *others = [a_job_id() for _ in range(30)]
    of_hot = [a_body(jobId=hot, status=status) for status in ("RUNNABLE", "STARTING", "RUNNING")]
    scene = Scene(batch=[*of_hot, *(a_body(jobId=job_id) for job_id in others)])
    undisturbed = begin(scene).aftermath()
    throttle = partly(lambda position, entry: hot.encode() in entry)
    play = begin(scene, on("BatchExecuteStatement", throttle))

    for _ in range(2 * TRUSTED_RECEIVES):
        play.deliver()
        assert set(play.stand.records()) == set(others)
        assert play.poller.waiting() == len(of_hot)
    faulty.follow(healthy)

    assert play.aftermath().told == undisturbed.told


def test_a_mark_that_can_not_be_read_holds_up_its_own_message_only(
    begin: Begin, faulty: FaultyAws
) -> None:
    scene = Scene(suspects=[a_body() for _ in range(4)])
    undisturbed = begin(scene).aftermath()
    play = begin(scene, on("BatchGetItem", partly(), nth=1))

    play.deliver()

    assert play.poller.waiting() == 2
    assert play.aftermath() == undisturbed


# The process fails


@pytest.mark.parametrize(
    ("operation", "hidden_seconds"),
    [
        ("BatchGetItem", VISIBILITY_TIMEOUT),
        ("BatchExecuteStatement", VISIBILITY_TIMEOUT),
        ("BatchGetItem", 0),
    ],
)
def test_a_message_that_kills_the_function_ends_alone_in_the_dead_letter_queue(
    begin: Begin, faulty: FaultyAws, operation: str, hidden_seconds: int
) -> None:
    poison, *others = [a_job_id() for _ in range(100)]
    bodies = [a_body(jobId=job_id) for job_id in [*others[:50], poison, *others[50:]]]
    play = begin(Scene(batch=bodies))
    clock = Clock()

    def function(messages: Sequence[Message]) -> bool:
        """A process that dies at once when it calls this operation about the poison."""
        clock.now += hidden_seconds
        command = [sys.executable, "-m", "tests.support.recorder_process"]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True)
        faulty.follow(killing(process.pid, operation, f"JOB#{poison}".encode()))
        process.communicate(delivery(play.stand, faulty, messages, now=clock.now))
        return process.returncode == 0

    for _ in range(TRUSTED_RECEIVES + FATAL_CRASHES):
        play.poller.deliver(function)
    assert (play.poller.waiting(), len(play.stand.records())) == (1, 99)
    play.poller.deliver(function)

    (letter,) = play.stand.dead_letters()
    reason = letter["MessageAttributes"]["Reason"]["StringValue"]
    assert poison in letter["Body"]
    assert reason == "the function crashed 2 times while processing this message alone"
    assert (play.poller.waiting(), set(play.stand.records())) == (0, set(others))


def delivery(
    stand: RecorderHarness, faulty: FaultyAws, messages: Sequence[Message], now: float
) -> str:
    """What tests/recorder_process.py reads."""
    records = [
        {
            "messageId": message.message_id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
        }
        for message in messages
    ]
    given = {"port": stand.aws.port, "endpoint": faulty.endpoint, "now": now}
    return json.dumps(given | {"resources": asdict(stand.resources), "event": {"Records": records}})


def test_at_the_deadline_the_suspects_that_are_left_come_again(
    begin: Begin, faulty: FaultyAws
) -> None:
    scene = Scene(suspects=[a_body() for _ in range(30)])
    undisturbed = begin(scene).aftermath()
    play = begin(scene)

    def slow(messages: Sequence[Message]) -> bool:
        """Each suspect takes 10 s of 100, of which 15 are kept for settling."""
        faulty.follow(healthy)
        try:
            play.stand.recorder.record(messages, lambda: 100 - 10 * faulty.calls.count("PutItem"))
        except MessagesLeft:
            return False
        return True

    left = []
    while play.poller.deliver(slow):
        left.append(play.poller.waiting())

    assert left == [21, 12, 3, 0]
    assert play.aftermath() == undisturbed


def test_the_queue_hides_the_messages_of_the_dead_longer_than_those_that_are_given_back() -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    longest_life = config["lambda_functions"]["on_batch_events"]["lambda_timeout"]
    template = json.loads((ROOT / "infra" / "resources.json").read_text())
    queue = template["Resources"]["EventsQueue"]["Properties"]

    assert queue["VisibilityTimeout"] == VISIBILITY_TIMEOUT
    shortest, longest = (
        disposition_for(Outcome.BUSY, jitter=0).retry_after,
        disposition_for(Outcome.OUTAGE, jitter=1).retry_after,
    )
    assert {shortest, longest} <= set(RETURNED_SECONDS)
    assert VISIBILITY_TIMEOUT - longest_life not in RETURNED_SECONDS


# Nothing fails, but everything happens at once


@settings(max_examples=50, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    jobs=st.integers(1, 10),
    batches=st.lists(st.integers(1, 30), min_size=4, max_size=4),
)
def test_four_consumers_make_of_any_disorder_what_the_order_makes(
    running_aws: LocalAws, seed: int, jobs: int, batches: list[int]
) -> None:
    work = workload(seed, jobs, NOON)
    in_order = bodies_of(work)
    shuffled = [*in_order, *map(under_another_id, in_order)]
    random.Random(seed).shuffle(shuffled)
    running_aws.reset()
    resources = running_aws.create_resources()
    stands = [RecorderHarness(running_aws, resources, runtime=Runtime()) for _ in batches]
    pollers = [Poller(stand, most=most) for stand, most in zip(stands, batches, strict=True)]
    pollers[0].send(shuffled)

    with ThreadPoolExecutor(len(stands)) as threads:
        list(threads.map(Poller.drain, pollers, map(recording, stands)))
    pollers[0].drain(recording(stands[0]))  # what another gave back when all had looked

    stored = stands[0].table.load(list(work.truth), consistent=True).jobs
    told = Counter(event.job_id for event in work.events)
    truth = merged(in_order)
    assert {job_id: found.job for job_id, found in stored.items()} == truth
    assert stands[0].blocks() == blocks_of(truth.values())
    kept = [one for job_id in work.truth for one in stands[0].table.preemptions(job_id)]
    assert len(kept) == len(work.preemptions)
    assert all(found.version <= told[job_id] for job_id, found in stored.items())
    assert (stands[0].dead_letters(), pollers[0].waiting()) == ([], 0)


def blocks_of(jobs: Iterable[Job]) -> dict[BlockKey, bytes]:
    blocks: dict[BlockKey, Block] = {}
    for child in (job for job in jobs if ":" in job.job_id):
        key = block_of(child.job_id)
        blocks[key] = blocks.get(key, Block()).observe([child])
    return {key: block.children for key, block in blocks.items()}


def merged(bodies: Iterable[str]) -> dict[str, Job]:
    reader = EventReader((SOURCE,), ACCOUNT, Redaction())
    jobs: dict[str, Job] = {}
    for body in bodies:
        seen = reader.read(body)
        if not isinstance(seen, Observation):
            continue
        known = jobs.get(seen.job_id)
        jobs[seen.job_id] = known.observe(seen) if known else Job.first_seen(seen)
    return jobs
