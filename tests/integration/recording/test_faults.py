"""Failures between the recorder and AWS: of one call, two calls, all calls of an hour, the process.

No failure loses an event or writes it twice, and only messages that can't be read or that crash the
function reach the dead-letter queue.

The network is real and contains a faulty proxy; the queues and the table are those of the local
AWS. Only time is simulated: an invisible message is received again at once.
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
from chalicelib.aws.sqs import UNSENT_RETRY_SECONDS, Disposition, MessageQueue
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.array_summary import Block, BlockKey, block_of_child
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
from local.ports import LOOPBACK, free_port
from local.workload import workload
from tests.support.builders import ACCOUNT, NOON, SOURCE, a_body, a_job_id, an_event, bodies_of
from tests.support.faulty_aws import (
    Fault,
    FaultyAws,
    Plan,
    access_denied,
    at,
    connection_cut,
    healthy,
    internal_error,
    kill_process,
    on,
    outage,
    partial_failure,
    response_lost,
    throttled,
)
from tests.support.recorder_harness import RecorderHarness

FAULTS: dict[str, Fault] = {
    "throttled": throttled,
    "internal error": internal_error,
    "access denied": access_denied,
    "connection cut": connection_cut,
    "response lost": response_lost,
    "partial failure": partial_failure(),
}
FAULTS_OF_A_CALL = (
    ("throttled", "response lost"),
    ("internal error", "partial failure"),
    ("access denied", "connection cut"),
)
"""Faults of consecutive calls. In each, a call that AWS refused, and one after which AWS has done
nothing, everything or a part."""
MALFORMED = "not an event"
RULES = Rules.parse('[[rule]]\non = ["FAILED"]', "a room")
OUTAGE_RETRY_SECONDS = 210
"""The average delay before a message is retried in an outage."""
VISIBILITY_TIMEOUT = 720
"""How long the messages of a crashed function stay invisible, in seconds."""

Function = Callable[[Sequence[Message]], bool]
"""Processes a batch, and returns whether it succeeded."""


class Poller:
    """Lambda's poller: invokes a function with a batch, and deletes the batch if it succeeds.
    Messages that remain become visible at once."""

    def __init__(self, harness: RecorderHarness, *, most: int) -> None:
        self.receives = 0
        """The highest receive count so far."""
        self._harness = harness
        self._most = most
        self._sqs, queue = harness.aws.sqs, harness.resources.events_queue
        self._queue = MessageQueue(self._sqs, queue, harness.resources.dead_letter_queue)
        self._url = harness.aws.queue_url(queue)

    def send(self, bodies: Sequence[str]) -> None:
        assert self._queue.send(bodies) == set()

    def deliver(self, function: Function) -> int:
        """Invoke the function with one batch, and return the number of its messages."""
        messages = self._harness.receive(self._most)
        self.receives = max([self.receives, *(message.receive_count for message in messages)])
        done = bool(messages) and function(messages)
        disposition = Disposition.ack() if done else Disposition.retry(0)
        self._queue.settle(dict.fromkeys(messages, disposition))
        return len(messages)

    def drain(self, function: Function) -> int:
        """Deliver until the queue is empty, and return the number of deliveries."""
        for deliveries in range(100):
            if not self.deliver(function):
                return deliveries
        raise AssertionError("the queue does not become empty")

    def waiting(self) -> int:
        """Return the number of messages in the queue, visible or not."""
        response = self._sqs.get_queue_attributes(QueueUrl=self._url, AttributeNames=["All"])
        attributes = response["Attributes"]
        visible = int(attributes["ApproximateNumberOfMessages"])
        return visible + int(attributes["ApproximateNumberOfMessagesNotVisible"])


def recording(harness: RecorderHarness) -> Function:
    def function(messages: Sequence[Message]) -> bool:
        try:
            harness.record(messages)
        except MessagesLeft:
            return False
        return True

    return function


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Message bodies: `recorded` before the test, `suspected` so often received that they are
    processed alone, and `batch`."""

    recorded: Sequence[str] = ()
    suspected: Sequence[str] = ()
    batch: Sequence[str] = ()

    @classmethod
    def of(cls, *, jobs: int, messages: int, suspected: int) -> Self:
        """Return a scenario with shuffled and duplicate events of recorded and of new jobs, a
        blocked event and a malformed message."""
        bodies = bodies_of(workload(4, jobs, NOON))
        random.Random(0).shuffle(bodies)
        recorded, new = bodies[: messages // 3], bodies[messages // 4 :]
        duplicates = [with_another_id(body) for body in new[: messages // 10]]
        blocked = json.dumps(an_event() | {"detail-type": "Batch Job Queue Blocked"})
        new = new[: messages - suspected - len(duplicates) - 2]
        return cls(
            recorded=recorded,
            suspected=[a_body(status="FAILED") for _ in range(suspected)],
            batch=[*duplicates, *new, blocked, MALFORMED],
        )


def with_another_id(body: str) -> str:
    return body.replace('"id": "', '"id": "duplicate-', 1)


LARGE = Scenario.of(jobs=60, messages=42, suspected=1)
"""So many changed records that saving them takes two calls."""
SMALL = Scenario.of(jobs=6, messages=9, suspected=2)
ARRAY = Scenario(
    recorded=[a_body(jobId="array:499"), a_body(jobId="array:3", status="RUNNING")],
    batch=[
        *(a_body(jobId=f"array:{child}", status="SUCCEEDED") for child in range(495, 505)),
        *(a_body(jobId="array:3", status=status) for status in ("RUNNING", "FAILED")),
    ],
)
"""Children in two blocks of an array summary, one of which is stored."""


@dataclass(frozen=True)
class FinalState:
    """The state after all messages are processed: items without crash marks and times of last
    events, distinct notices in the notices queue, bodies of dead letters, and the number of
    messages left in the events queue."""

    items: list[dict[str, Any]]
    notices: set[str]
    dead_letters: set[str]
    waiting: int

    @property
    def without_versions(self) -> Self:
        """This state without the versions, which count writes: messages that are processed one by
        one change a record more often than a batch does."""
        items = [{k: v for k, v in item.items() if k != "version"} for item in self.items]
        return replace(self, items=items)


class Clock:
    def __init__(self) -> None:
        self.now = NOON / 1000

    def __call__(self) -> float:
        return self.now


class Trial:
    """A scenario on an empty AWS, with its messages in the events queue. After each batch the
    clock advances by the delay of a retry."""

    def __init__(self, scenario: Scenario, harness: RecorderHarness, clock: Clock) -> None:
        self.clock = clock
        self.harness = harness
        self.harness.record(scenario.recorded)
        self._notices = MessageQueue(
            harness.aws.sqs,
            harness.resources.notices_queue,
            harness.resources.notices_dead_letter_queue,
        )
        self.poller = Poller(harness, most=len(scenario.suspected) + len(scenario.batch))
        self.poller.send(scenario.suspected)
        for _ in range(TRUSTED_RECEIVES if scenario.suspected else 0):
            self.poller.deliver(lambda messages: False)
        self.poller.send(scenario.batch)

    def record(self, messages: Sequence[Message]) -> bool:
        done = recording(self.harness)(messages)
        self.clock.now += OUTAGE_RETRY_SECONDS
        return done

    def deliver(self) -> None:
        self.poller.deliver(self.record)

    def final_state(self) -> FinalState:
        """Process all messages, and return the state after that."""
        self.poller.drain(self.record)
        items = [item for item in self.harness.items() if not is_transient(item)]
        return FinalState(
            items=sorted(items, key=lambda item: (item["pk"]["S"], item["sk"]["S"])),
            notices={message.body for message in self._notices.receive(1_000)},
            dead_letters={letter["Body"] for letter in self.harness.dead_letters()},
            waiting=self.poller.waiting(),
        )


def is_transient(item: dict[str, Any]) -> bool:
    """Return whether an item is a crash mark or the time of a queue's last event."""
    return "crashes" in item or item.keys() == {"pk", "sk", "at"}


class Start(Protocol):
    def __call__(self, scenario: Scenario, plan: Plan = healthy) -> Trial: ...


@pytest.fixture
def faulty(running_aws: LocalAws) -> Iterator[FaultyAws]:
    with FaultyAws(running_aws.endpoint) as faulty:
        yield faulty


@pytest.fixture
def start(running_aws: LocalAws, faulty: FaultyAws) -> Start:
    """Return a function that starts a trial behind the faulty network, which follows the plan once
    the messages are in the queue."""

    def start(scenario: Scenario, plan: Plan = healthy) -> Trial:
        running_aws.reset()
        faulty.follow(healthy)
        resources, clock = running_aws.create_resources(), Clock()
        harness = RecorderHarness(
            running_aws,
            resources,
            endpoint=faulty.endpoint,
            rules=RULES,
            runtime=Runtime(now=clock, sleep=lambda seconds: None),
        )
        trial = Trial(scenario, harness, clock)
        faulty.follow(plan)
        return trial

    return start


# One call or two calls fail


def test_a_batch_without_failures_needs_few_calls_and_leaves_no_messages(
    start: Start, faulty: FaultyAws
) -> None:
    new = [a_body(status="FAILED") for _ in range(30)]

    final_state = start(Scenario(suspected=[a_body()], batch=[*new, MALFORMED])).final_state()

    found = Counter(item["sk"]["S"].partition("#")[0] for item in final_state.items)
    assert (found["JOB"], found["SPEC"], len(final_state.notices)) == (31, 31, 30)
    assert (final_state.dead_letters, final_state.waiting) == ({MALFORMED}, 0)
    assert Counter(faulty.calls) == {
        "BatchGetItem": 1 + 2,
        "BatchWriteItem": 2 + 1 + 1,
        "BatchExecuteStatement": 2 + 1,
        "PutItem": 1,
        "DeleteItem": 1,
        "GetQueueUrl": 3,
        "SendMessageBatch": 1 + 3,
        "DeleteMessageBatch": 4 + 1,
    }, "for the batch, for the suspected message, and once for the time of the last event"


@pytest.mark.parametrize(("scenario", "writes"), [(LARGE, 4), (ARRAY, 2)])
def test_no_failure_of_one_call_loses_an_event_or_writes_it_twice(
    start: Start, faulty: FaultyAws, scenario: Scenario, writes: int
) -> None:
    expected = start(scenario).final_state()
    calls = faulty.calls
    assert calls.count("BatchExecuteStatement") == writes

    harmful = [
        f"call {position}, {operation}, {name}"
        for (position, operation), names in zip(
            enumerate(calls, 1), itertools.cycle(FAULTS_OF_A_CALL), strict=False
        )
        for name in names
        if start(scenario, at({position: FAULTS[name]})).final_state() != expected
    ]

    assert harmful == []


def test_no_failure_of_two_calls_loses_an_event_or_writes_it_twice(
    start: Start, faulty: FaultyAws
) -> None:
    scenario = Scenario.of(jobs=6, messages=8, suspected=1)
    expected = start(scenario).final_state()
    pairs = list(itertools.combinations(range(1, len(faulty.calls) + 1), 2))[::2]
    kinds = itertools.cycle(itertools.product(FAULTS, FAULTS))

    harmful = [
        f"call {first} {fault}, call {second} {next_fault}"
        for (first, second), (fault, next_fault) in zip(pairs, kinds, strict=False)
        if start(scenario, at({first: FAULTS[fault], second: FAULTS[next_fault]})).final_state()
        != expected
    ]

    assert harmful == []


@pytest.mark.parametrize("operation", ["BatchWriteItem", "BatchExecuteStatement"])
def test_a_call_that_botocore_retries_after_it_was_executed_is_harmless(
    running_aws: LocalAws, start: Start, faulty: FaultyAws, operation: str
) -> None:
    expected = start(SMALL).final_state()
    trial = start(SMALL, on(operation, response_lost, nth=1))
    retrying = RecorderHarness(
        running_aws, trial.harness.resources, endpoint=faulty.endpoint, tries=3, rules=RULES
    )

    deliveries = trial.poller.drain(recording(retrying))

    assert deliveries == 1
    assert trial.final_state() == expected


# All calls of an hour fail


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {"partial failure"}))
def test_after_an_outage_of_an_hour_everything_is_recorded(
    start: Start, faulty: FaultyAws, name: str
) -> None:
    expected = start(LARGE).final_state()
    trial = start(LARGE, outage(FAULTS[name]))

    for _ in range(0, 3_600, OUTAGE_RETRY_SECONDS):
        trial.deliver()
    faulty.follow(healthy)

    assert trial.poller.receives > 5 * TRUSTED_RECEIVES
    assert trial.final_state().without_versions == expected.without_versions


def test_after_an_hour_without_a_network_everything_is_recorded(
    running_aws: LocalAws, start: Start
) -> None:
    expected = start(SMALL).final_state()
    trial = start(SMALL)
    nowhere = f"http://{LOOPBACK}:{free_port()}"
    disconnected = RecorderHarness(
        running_aws, trial.harness.resources, endpoint=nowhere, rules=RULES
    )

    for _ in range(0, 3_600, OUTAGE_RETRY_SECONDS):
        trial.poller.deliver(recording(disconnected))

    assert trial.final_state().without_versions == expected.without_versions


def test_an_outage_that_begins_with_any_call_of_a_batch_is_harmless(
    start: Start, faulty: FaultyAws
) -> None:
    expected = start(SMALL).final_state()
    positions = range(1, len(faulty.calls) + 1)

    def after_an_outage(since: int, fault: Fault) -> FinalState:
        trial = start(SMALL, outage(fault, since=since))
        for _ in range(4):
            trial.deliver()
            trial.clock.now += VISIBILITY_TIMEOUT  # after which a mark counts as a crash
        faulty.follow(healthy)
        return trial.final_state()

    harmful = [
        f"call {since}, {name}"
        for since, (name, fault) in zip(positions, itertools.cycle(FAULTS.items()), strict=False)
        if after_an_outage(since, fault).without_versions != expected.without_versions
    ]

    assert harmful == []


def test_outages_during_the_processing_of_a_suspected_message_are_not_counted_as_crashes(
    start: Start, faulty: FaultyAws
) -> None:
    scenario = Scenario(suspected=[a_body(), a_body()])
    expected = start(scenario).final_state()
    trial = start(scenario)

    for _ in range(0, 3_600, OUTAGE_RETRY_SECONDS):
        faulty.follow(outage(connection_cut, since=3))
        trial.deliver()
        assert faulty.calls[:2] == ["BatchGetItem", "PutItem"], "counts are read, a mark is put"
    faulty.follow(healthy)

    assert trial.final_state().without_versions == expected.without_versions


def test_a_mark_whose_response_was_lost_is_not_counted_as_a_crash(
    start: Start, faulty: FaultyAws
) -> None:
    scenario = Scenario(suspected=[a_body(), a_body()])
    expected = start(scenario).final_state()
    trial = start(scenario, on("PutItem", response_lost))

    for _ in range(0, 3_600, OUTAGE_RETRY_SECONDS):
        trial.deliver()
    faulty.follow(healthy)

    assert trial.final_state().without_versions == expected.without_versions


# Part of a batch fails permanently


def test_a_job_that_is_always_throttled_delays_no_other_job(
    start: Start, faulty: FaultyAws
) -> None:
    hot, *others = [a_job_id() for _ in range(30)]
    of_hot = [a_body(jobId=hot, status=status) for status in ("RUNNABLE", "STARTING", "RUNNING")]
    scenario = Scenario(batch=[*of_hot, *(a_body(jobId=job_id) for job_id in others)])
    expected = start(scenario).final_state()
    throttle = partial_failure(lambda position, entry: hot.encode() in entry)
    trial = start(scenario, on("BatchExecuteStatement", throttle))

    for _ in range(2 * TRUSTED_RECEIVES):
        trial.deliver()
        assert set(trial.harness.records()) == set(others)
        assert trial.poller.waiting() == len(of_hot)
    faulty.follow(healthy)

    assert trial.final_state().without_versions == expected.without_versions


def test_an_unreadable_mark_delays_only_its_message(start: Start, faulty: FaultyAws) -> None:
    scenario = Scenario(suspected=[a_body() for _ in range(4)])
    expected = start(scenario).final_state()
    trial = start(scenario, on("BatchGetItem", partial_failure(), nth=1))

    trial.deliver()

    assert trial.poller.waiting() == 2
    assert trial.final_state() == expected


# The process crashes


@pytest.mark.parametrize(
    ("operation", "seconds_between"),
    [
        ("BatchGetItem", VISIBILITY_TIMEOUT),
        ("BatchExecuteStatement", VISIBILITY_TIMEOUT),
        ("BatchGetItem", 0),
    ],
)
def test_only_the_message_that_crashes_the_function_is_dead_lettered(
    start: Start, faulty: FaultyAws, operation: str, seconds_between: int
) -> None:
    poison, *others = [a_job_id() for _ in range(100)]
    bodies = [a_body(jobId=job_id) for job_id in [*others[:50], poison, *others[50:]]]
    trial = start(Scenario(batch=bodies))
    clock = Clock()

    def function(messages: Sequence[Message]) -> bool:
        """Run the recorder in a process that is killed when it requests the poisonous job."""
        clock.now += seconds_between
        command = [sys.executable, "-m", "tests.support.recorder_process"]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, text=True)
        faulty.follow(kill_process(process.pid, operation, f"JOB#{poison}".encode()))
        process.communicate(delivery(trial.harness, faulty, messages, now=clock.now))
        return process.returncode == 0

    for _ in range(TRUSTED_RECEIVES + FATAL_CRASHES):
        trial.poller.deliver(function)
    assert (trial.poller.waiting(), len(trial.harness.records())) == (1, 99)
    trial.poller.deliver(function)

    (letter,) = trial.harness.dead_letters()
    reason = letter["MessageAttributes"]["Reason"]["StringValue"]
    assert poison in letter["Body"]
    assert reason == "the function crashed 2 times while processing this message alone"
    assert (trial.poller.waiting(), set(trial.harness.records())) == (0, set(others))


def delivery(
    harness: RecorderHarness, faulty: FaultyAws, messages: Sequence[Message], now: float
) -> str:
    """Return the input of `recorder_process`."""
    records = [
        {
            "messageId": message.message_id,
            "receiptHandle": message.receipt_handle,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receive_count)},
        }
        for message in messages
    ]
    given = {"port": harness.aws.port, "endpoint": faulty.endpoint, "now": now}
    return json.dumps(
        given | {"resources": asdict(harness.resources), "event": {"Records": records}}
    )


def test_suspected_messages_that_are_left_at_the_deadline_are_retried(
    start: Start, faulty: FaultyAws
) -> None:
    scenario = Scenario(suspected=[a_body() for _ in range(30)])
    expected = start(scenario).final_state()
    trial = start(scenario)

    def slow(messages: Sequence[Message]) -> bool:
        """Take 10 s for each suspected message of 100 s, of which 15 s are kept for settling."""
        faulty.follow(healthy)
        try:
            trial.harness.recorder.record(
                messages, lambda: 100 - 10 * faulty.calls.count("PutItem")
            )
        except MessagesLeft:
            return False
        return True

    remaining = []
    while trial.poller.deliver(slow):
        remaining.append(trial.poller.waiting())

    assert remaining == [21, 12, 3, 0]
    assert trial.final_state() == expected


def test_messages_of_a_crashed_function_stay_invisible_longer_than_retried_messages() -> None:
    config = json.loads((ROOT / ".chalice" / "config.json").read_text())
    function_timeout = config["lambda_functions"]["on_batch_events"]["lambda_timeout"]
    template = json.loads((ROOT / "infra" / "resources.json").read_text())
    queue = template["Resources"]["EventsQueue"]["Properties"]

    assert queue["VisibilityTimeout"] == VISIBILITY_TIMEOUT
    shortest = disposition_for(Outcome.BUSY, jitter=0).retry_after
    longest = disposition_for(Outcome.OUTAGE, jitter=1).retry_after
    assert {shortest, longest, UNSENT_RETRY_SECONDS} <= set(RETURNED_SECONDS)
    assert VISIBILITY_TIMEOUT - function_timeout not in RETURNED_SECONDS


# Consumers run concurrently


@settings(max_examples=25, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    jobs=st.integers(1, 10),
    batches=st.lists(st.integers(1, 30), min_size=4, max_size=4),
)
def test_four_concurrent_consumers_store_shuffled_duplicates_like_ordered_events(
    running_aws: LocalAws, seed: int, jobs: int, batches: list[int]
) -> None:
    work = workload(seed, jobs, NOON)
    in_order = bodies_of(work)
    shuffled = [*in_order, *map(with_another_id, in_order)]
    random.Random(seed).shuffle(shuffled)
    running_aws.reset()
    resources = running_aws.create_resources()
    harnesses = [RecorderHarness(running_aws, resources, runtime=Runtime()) for _ in batches]
    pollers = [Poller(harness, most=most) for harness, most in zip(harnesses, batches, strict=True)]
    pollers[0].send(shuffled)

    with ThreadPoolExecutor(len(harnesses)) as threads:
        list(threads.map(Poller.drain, pollers, map(recording, harnesses)))
    pollers[0].drain(recording(harnesses[0]))  # messages retried after a consumer had stopped

    stored = harnesses[0].table.load(list(work.expected), consistent=True).jobs
    events = Counter(event.job_id for event in work.events)
    truth = merged(in_order)
    assert {job_id: found.job for job_id, found in stored.items()} == truth
    assert harnesses[0].blocks() == blocks_of_array(truth.values())
    preemptions = [p for job_id in work.expected for p in harnesses[0].table.preemptions(job_id)]
    assert len(preemptions) == len(work.preemptions)
    assert all(found.version <= events[job_id] for job_id, found in stored.items())
    assert (harnesses[0].dead_letters(), pollers[0].waiting()) == ([], 0)


def blocks_of_array(jobs: Iterable[Job]) -> dict[BlockKey, bytes]:
    blocks: dict[BlockKey, Block] = {}
    for child in (job for job in jobs if ":" in job.job_id):
        key = block_of_child(child.job_id)
        blocks[key] = blocks.get(key, Block()).observe([child])
    return {key: block.children for key, block in blocks.items()}


def merged(bodies: Iterable[str]) -> dict[str, Job]:
    reader = EventReader((SOURCE,), ACCOUNT, Redaction())
    jobs: dict[str, Job] = {}
    for body in bodies:
        event = reader.read(body)
        if not isinstance(event, Observation):
            continue
        job = jobs.get(event.job_id)
        jobs[event.job_id] = job.observe(event) if job else Job.from_observation(event)
    return jobs
