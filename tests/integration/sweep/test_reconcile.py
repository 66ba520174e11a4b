"""The sweep finds what no event told: through a real table, and a real HTTP server as Batch."""

import json
import math
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import pytest

from chalicelib.api.representation.job import job_body
from chalicelib.jobs.job import Source
from chalicelib.jobs.prices import Prices
from chalicelib.notices.rules import Rules
from chalicelib.sweep.batch_api import retry_delay
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from local.simulator.comparison import find_mismatch
from local.workload import QUEUES, ExpectedRecord, Workload, workload
from tests.support.builders import (
    NOON,
    a_body,
    a_detail,
    a_job_id,
    a_service_body,
    a_service_detail,
    a_training,
    bodies_of,
)
from tests.support.sweep_harness import HOUR, SweepHarness

DAY = 24 * HOUR


def lives(jobs: int, seed: int = 11) -> Workload:
    """Lives that ended more than an hour before noon."""
    length = workload(seed, jobs, 0).events[-1].at
    return workload(seed, jobs, NOON - 2 * HOUR - length)


def heard(watch: SweepHarness, work: Workload, share: float, *, without: str = "") -> None:
    """Records what is left of the events when some are dropped, half of it twice, in any order;
    Batch knows the truth."""
    jitter = random.Random(1)
    bodies = [body for body in bodies_of(work) if jitter.random() < share]
    bodies = [body for body in bodies if not without or f"job-queue/{without}" not in body]
    bodies += jitter.sample(bodies, len(bodies) // 2)
    jitter.shuffle(bodies)
    for start in range(0, len(bodies), 500):
        watch.recorder.record(bodies[start : start + 500])
    watch.batch.put(event.detail for event in work.events)


def wrong(watch: SweepHarness, truths: dict[str, ExpectedRecord]) -> list[str]:
    """The jobs that are not as they truly ended, or whose history holds what was not."""
    records = {one: watch.recorder.table.get(one) for one in truths}
    return [
        job_id
        for job_id, truth in truths.items()
        if (job := records[job_id]) is None
        or job.status != truth.status
        or not {(t.status, t.attempt) for t in job.history} <= set(truth.history)
    ]


def fewest_calls(work: Workload, to_ask: list[str]) -> int:
    """Each queue's roots in pages of a hundred, and what is to be asked in hundreds, service jobs
    one by one."""
    roots: dict[str, int] = {}
    for truth in work.expected.values():
        if truth.parent_id is None:
            roots[truth.queue] = roots.get(truth.queue, 0) + 1
    service = sum(work.expected[job_id].queue == "training" for job_id in to_ask)
    pages = sum(math.ceil(count / 100) for count in roots.values())
    return pages + math.ceil((len(to_ask) - service) / 100) + service


def test_after_two_sweeps_nothing_is_missing_and_nothing_wrong(watch: SweepHarness) -> None:
    work = lives(2_000)
    heard(watch, work, 0.8)
    to_ask = wrong(watch, work.expected)

    first = watch.sweep()
    after_one = sum(watch.batch.calls.values())
    second = watch.sweep()

    assert wrong(watch, work.expected) == []
    assert len(to_ask) > 200
    assert sum(work.expected[job_id].queue == "training" for job_id in to_ask) > 5
    assert first.repaired + first.discovered + second.discovered >= len(to_ask)
    assert after_one <= 1.2 * fewest_calls(work, to_ask)
    assert sum(watch.batch.calls.values()) - after_one <= 5 + 1, "a look at each queue"


def test_service_jobs_and_their_preemptions_are_shown_as_they_were_after_two_sweeps(
    watch: SweepHarness,
) -> None:
    length = workload(5, 150, 0, QUEUES[-1:]).events[-1].at
    work = workload(5, 150, NOON - 2 * HOUR - length, QUEUES[-1:])
    heard(watch, work, 0.8)

    for _ in range(2):
        watch.sweep(calls=400)

    mistakes = [
        find_mismatch(shown(watch, one), one, events_dropped=True) for one in work.expected.values()
    ]
    assert [mistake for mistake in mistakes if mistake] == []
    assert len({told.job_id for told in work.preemptions}) > 20


def shown(watch: SweepHarness, truth: ExpectedRecord) -> dict[str, Any]:
    """The job as the API shows it."""
    table, job = watch.recorder.table, watch.recorder.job(truth.job_id)
    preemptions, described = table.preemptions(job.job_id), table.describe(job)
    body = job_body(job, preemptions, None, described, Prices(), watch.now)
    answer: dict[str, Any] = json.loads(msgspec.json.encode(body))
    return answer


def test_all_jobs_of_a_queue_are_found_though_nothing_was_heard_of_it(watch: SweepHarness) -> None:
    work = lives(600)
    heard(watch, work, 1.0, without="spot")

    for _ in range(2):
        watch.sweep(queues=["spot"])

    assert wrong(watch, work.expected) == []


def test_an_unchanged_job_is_not_written_and_not_asked_about_again_in_the_same_round(
    watch: SweepHarness,
) -> None:
    detail = a_detail(status="RUNNING", startedAt=NOON - 2 * HOUR, createdAt=NOON - 3 * HOUR)
    watch.recorder.record([a_body(**detail, at=NOON - 2 * HOUR)])
    watch.batch.put([detail])
    before = watch.recorder.records()

    asked = [watch.sweep().described for _ in range(3)]
    watch.now += HOUR
    asked.append(watch.sweep().described)

    assert asked == [1, 0, 0, 1]
    assert watch.recorder.records() == before


def test_a_job_heard_of_a_moment_ago_is_left_in_peace(watch: SweepHarness) -> None:
    watch.recorder.record([a_body(status="RUNNING", at=NOON - HOUR // 2)])

    assert watch.sweep().described == 0


def test_a_run_that_begins_anew_waits_for_no_event(watch: SweepHarness) -> None:
    heard_of, unheard_of = a_job_id(), a_job_id()
    watch.recorder.record([a_body(jobId=heard_of, status="RUNNING", at=NOON - 1000)])
    ended = {"status": "FAILED", "createdAt": NOON - 2000, "stoppedAt": NOON - 1}
    watch.batch.put(a_detail(jobId=one, **ended) for one in (heard_of, unheard_of))

    tally = watch.sweep(since=NOON - HOUR)

    assert (tally.repaired, tally.discovered) == (1, 1)


def test_a_repair_is_dated_by_batch_and_marked_as_one(watch: SweepHarness) -> None:
    job_id = a_job_id()
    watch.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON - 3 * HOUR)])
    watch.batch.put([a_detail(jobId=job_id, status="FAILED", stoppedAt=NOON - HOUR)])

    watch.sweep()

    last = watch.recorder.job(job_id).history[-1]
    assert (last.status, last.at, last.source) == ("FAILED", NOON - HOUR, Source.REPAIR)


def test_a_long_backlog_is_worked_off_run_by_run_the_longest_silent_first(
    watch: SweepHarness,
) -> None:
    jobs = [a_job_id() for _ in range(350)]
    ages = {job_id: NOON - 2 * HOUR - n * 1000 for n, job_id in enumerate(jobs)}
    watch.recorder.record([a_body(jobId=one, status="RUNNING", at=at) for one, at in ages.items()])
    ended = {"status": "SUCCEEDED", "stoppedAt": NOON - HOUR, "createdAt": NOON - 30 * DAY}
    watch.batch.put(a_detail(jobId=job_id, **ended) for job_id in jobs)

    tallies = [watch.sweep(calls=4) for _ in range(2)]

    assert [tally.repaired for tally in tallies] == [200, 150]
    assert [tally.left for tally in tallies] == [True, False]


# Cut off, twice at once, throttled

TELL_ENDS = Rules.parse('[[rule]]\non = ["SUCCEEDED", "FAILED"]', "room")


def told(watch: SweepHarness) -> set[tuple[str, str]]:
    return {
        (notice["jobId"], notice["kind"])
        for body in watch.notices()
        for notice in [json.loads(body)]
    }


def test_a_sweep_that_is_cut_off_anywhere_changes_nothing_but_who_does_the_work(
    running_aws: LocalAws, batch: BatchServer
) -> None:
    work = lives(40, seed=3)

    def fresh() -> SweepHarness:
        running_aws.reset()
        watch = SweepHarness(running_aws, running_aws.create_resources(), batch, TELL_ENDS)
        heard(watch, work, 0.6)
        watch.notices()
        return watch

    whole = fresh()
    length = whole.sweep_dying_at(-1)
    whole.sweep()
    expected = whole.recorder.records(), told(whole)
    interesting = range(5, length, max(1, length // 12))

    for nth in interesting:
        watch = fresh()
        watch.sweep_dying_at(nth)
        watch.sweep()
        watch.sweep()
        assert (watch.recorder.records(), told(watch)) == expected, nth


def test_two_sweeps_at_once_do_no_harm(watch: SweepHarness) -> None:
    work = lives(600)
    heard(watch, work, 0.7)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda _: watch.sweep(), range(2)))
    watch.sweep()

    assert wrong(watch, work.expected) == []


def test_a_sweep_that_dies_beside_another_leaves_no_notice_untold(
    aws: LocalAws, resources: Resources, batch: BatchServer
) -> None:
    watch = SweepHarness(aws, resources, batch, TELL_ENDS)

    def ended_unheard() -> str:
        job_id = a_job_id()
        watch.now += 2 * HOUR
        watch.recorder.record([a_body(jobId=job_id, status="RUNNING", at=watch.now - 2 * HOUR)])
        ended = {"status": "FAILED", "stoppedAt": watch.now - HOUR}
        batch.put([a_detail(jobId=job_id, createdAt=NOON - HOUR, **ended)])
        return job_id

    ended_unheard()
    length = watch.sweep_dying_at(-1)
    for nth in range(length - 24, length, 2):
        job_id = ended_unheard()
        beside = Countdown(length - 40, partial(watch.sweep_dying_at, nth))
        watch.sweep(on_request=beside)
        watch.sweep()
        assert (job_id, "FAILED") in told(watch), nth


@dataclass
class Countdown:
    """Does something the nth time that it is called."""

    left: int
    then: Callable[[], object]

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.then()


def test_a_throttling_batch_slows_the_sweep_and_loses_nothing(watch: SweepHarness) -> None:
    work = lives(600)
    heard(watch, work, 0.7)
    watch.batch.throttle(9)

    tallies = [watch.sweep() for _ in range(4)]

    assert wrong(watch, work.expected) == []
    assert sum(tally.throttled for tally in tallies) == 9
    assert tallies[0].left
    assert len(watch.slept) >= 8


def test_a_run_never_makes_more_calls_than_it_is_allowed(watch: SweepHarness) -> None:
    heard(watch, lives(600), 0.5)
    watch.batch.throttle(2)

    tally = watch.sweep(calls=4)

    assert (tally.calls, tally.left) == (4, True)
    assert watch.batch.throttled + sum(watch.batch.calls.values()) == 4


def test_waits_longer_and_longer_for_what_passes_and_not_at_all_for_what_does_not() -> None:
    code = "TooManyRequestsException"
    assert [retry_delay(code, n, 99, 1) for n in range(1, 7)] == [1, 2, 4, 8, 16, None]
    assert retry_delay(code, 3, 3, 1) is None
    assert retry_delay("AccessDeniedException", 1, 99, 1) is None


def test_what_is_found_late_is_told_as_of_when_it_happened(
    aws: LocalAws, resources: Resources, batch: BatchServer
) -> None:
    watch = SweepHarness(aws, resources, batch, Rules.parse('[[rule]]\non = ["RUNNING"]', "room"))
    batch.put([a_detail(status="RUNNING", createdAt=NOON - 3 * DAY, startedAt=NOON - 2 * DAY)])

    watch.sweep(queues=["high-priority"])

    assert [json.loads(notice)["at"] for notice in watch.notices()] == [NOON - 2 * DAY]


# Those that Batch does not know


def test_a_job_that_batch_forgot_is_unknown_until_something_higher_is_heard(
    watch: SweepHarness,
) -> None:
    job_id, known = a_job_id(), a_detail(createdAt=NOON - 2 * HOUR, status="RUNNING")
    running = a_body(jobId=job_id, status="RUNNING", at=NOON - 8 * DAY)
    watch.recorder.record([running, a_body(**known, at=NOON - 2 * HOUR)])
    watch.batch.put([known])

    tally = watch.sweep()

    assert (tally.lost, tally.unknown_to_batch) == (1, [])
    assert watch.recorder.job(job_id).status == "UNKNOWN"
    watch.recorder.record([running])
    assert watch.recorder.job(job_id).status == "UNKNOWN"
    watch.recorder.record([a_body(jobId=job_id, status="FAILED", at=NOON - 7 * DAY)])
    assert watch.recorder.job(job_id).status == "FAILED"


def test_a_younger_job_that_batch_does_not_know_is_an_alarm(watch: SweepHarness) -> None:
    job_id = a_job_id()
    watch.recorder.record([a_body(jobId=job_id, status="RUNNING", at=NOON - 6 * DAY)])

    tally = watch.sweep()

    assert (tally.lost, tally.unknown_to_batch) == (0, [job_id])
    assert watch.recorder.job(job_id).status == "RUNNING"


def test_a_batch_that_knows_nobody_makes_no_job_unknown(watch: SweepHarness) -> None:
    work = lives(300)
    heard(watch, work, 0.5)
    old = a_job_id()
    watch.recorder.record([a_body(jobId=old, status="RUNNING", at=NOON - 9 * DAY)])
    watch.batch.is_wrong_region = True

    tallies = [watch.sweep() for _ in range(3)]

    assert {record["status"]["S"] for record in items(watch)} & {"UNKNOWN"} == set()
    assert [bool(tally.unknown_to_batch) for tally in tallies] == [True, False, False]


@pytest.mark.parametrize("is_wrong_region", [True, False])
def test_before_a_job_is_unknown_batch_is_asked_about_one_that_ended_lately(
    watch: SweepHarness, is_wrong_region: bool
) -> None:
    old, ended = a_job_id(), a_detail(status="FAILED", createdAt=NOON - DAY, stoppedAt=NOON - HOUR)
    running = a_body(jobId=old, status="RUNNING", at=NOON - 9 * DAY)
    watch.recorder.record([running, a_body(**ended, at=NOON - HOUR)])
    watch.batch.put([ended])
    watch.batch.is_wrong_region = is_wrong_region

    tally = watch.sweep()

    assert tally.unknown_to_batch == ([ended["jobId"]] if is_wrong_region else [])
    assert watch.recorder.job(old).status == ("RUNNING" if is_wrong_region else "UNKNOWN")


def items(watch: SweepHarness) -> list[dict[str, Any]]:
    return [item for item in watch.recorder.items() if "jobId" in item]


# Service jobs


def a_training_detail(**fields: Any) -> dict[str, Any]:
    return a_service_detail(createdAt=NOON - 3 * HOUR, **fields)


def test_a_silent_service_job_is_repaired_by_a_call_of_its_own(watch: SweepHarness) -> None:
    detail = a_training_detail(status="RUNNING")
    watch.recorder.record([a_service_body(**detail, at=NOON - 2 * HOUR)])
    preempted = {"preemptedAttemptCount": 2, "recentPreemptedAttempts": []}
    ended = {"status": "SUCCEEDED", "stoppedAt": NOON - HOUR, "attempts": [a_training(1)]}
    watch.batch.put([detail | ended | {"preemptionSummary": preempted}])

    tally = watch.sweep()

    job = watch.recorder.job(detail["jobId"])
    assert (job.status, job.details.generation, job.is_service) == ("SUCCEEDED", 3, True)
    assert (tally.repaired, tally.lost, tally.unknown_to_batch) == (1, 0, [])
    assert watch.batch.calls == {"DescribeServiceJob": 1, "ListServiceJobs": 1}


def test_an_unchanged_service_job_is_not_written(watch: SweepHarness) -> None:
    detail = a_training_detail(status="RUNNING", latestAttempt={})
    watch.recorder.record([a_service_body(**detail, at=NOON - 2 * HOUR)])
    watch.batch.put([detail | {"tags": {"team": "x"}, "serviceRequestPayload": "{}"}])
    before = watch.recorder.records()

    tally = watch.sweep()

    assert (tally.described, tally.known_to_batch, tally.repaired) == (1, 1, 0)
    assert watch.recorder.records() == before


def test_service_jobs_that_nobody_heard_of_are_found_in_a_queue_that_holds_such(
    watch: SweepHarness,
) -> None:
    heard_of, *unheard_of = [a_training_detail(status="RUNNABLE") for _ in range(130)]
    watch.recorder.record([a_service_body(**heard_of, at=NOON)])
    watch.batch.put([heard_of, *unheard_of])

    tally = watch.sweep(calls=200)

    assert tally.discovered == 129
    assert watch.batch.calls == {"ListServiceJobs": 2, "DescribeServiceJob": 129}


def test_a_watched_queue_that_was_never_heard_of_is_asked_for_both_kinds(
    watch: SweepHarness,
) -> None:
    service, job = a_training_detail(status="RUNNABLE"), a_detail(createdAt=NOON - 3 * HOUR)
    watch.batch.put([service, job])

    tally = watch.sweep(queues=["training", "high-priority", "empty"])

    assert tally.discovered == 2
    assert watch.batch.calls["ListJobs"] == 3
    assert watch.batch.calls["ListServiceJobs"] == 2, "the queue that showed a job is left alone"


def test_more_service_jobs_than_a_run_may_ask_about_are_left_to_the_next(
    watch: SweepHarness,
) -> None:
    details = [a_training_detail(status="RUNNING") for _ in range(60)]
    watch.recorder.record([a_service_body(**one, at=NOON - 2 * HOUR) for one in details])
    ended = {"status": "SUCCEEDED", "stoppedAt": NOON - HOUR}
    watch.batch.put(one | ended for one in details)

    tallies = [watch.sweep(calls=30) for _ in range(3)]

    assert [tally.repaired for tally in tallies] == [20, 20, 20]
    assert [tally.left for tally in tallies] == [True, True, False]
    assert all(tally.calls <= 30 for tally in tallies)


def test_a_service_job_that_batch_forgot_is_unknown_and_a_younger_one_an_alarm(
    watch: SweepHarness,
) -> None:
    known = a_training_detail(status="RUNNING")
    old, young = a_training_detail(status="RUNNING"), a_training_detail(status="RUNNING")
    heard_of = {NOON - 2 * HOUR: known, NOON - 8 * DAY: old, NOON - 6 * DAY: young}
    watch.recorder.record([a_service_body(**detail, at=at) for at, detail in heard_of.items()])
    watch.batch.put([known])

    tally = watch.sweep()

    assert (tally.lost, tally.unknown_to_batch) == (1, [young["jobId"]])
    assert watch.recorder.job(old["jobId"]).status == "UNKNOWN"
    assert watch.recorder.job(young["jobId"]).status == "RUNNING"
