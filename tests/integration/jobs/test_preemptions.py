"""Preemptions of service jobs: told without the job's queue and name, in any order, and still shown
in its history."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.api.representation.job import job_body
from chalicelib.errors import MessagesLeft
from chalicelib.jobs.failure import failure_of
from chalicelib.jobs.prices import Prices
from local.aws import LocalAws
from tests.support.api_harness import Api
from tests.support.builders import (
    NOON,
    a_job_id,
    a_preemption,
    a_service_body,
    a_training,
    a_training_job,
    job_of_case,
)
from tests.support.faulty_aws import FaultyAws, on, partial_failure
from tests.support.recorder_harness import RecorderHarness

IN_PROGRESS = (
    "PREEMPTION_IN_PROGRESS: Cross-share preemption triggered to reclaim borrowed capacity"
)
TAKEN_BACK = "Cross-share preemption triggered to reclaim borrowed capacity"
FIRST = a_training(1, statusReason=TAKEN_BACK)
SUMMARY = {"preemptedAttemptCount": 1, "recentPreemptedAttempts": [FIRST]}
CRASHED, TRAINED = a_training(2, statusReason="AlgorithmError"), a_training(3)


def started(job_id: str) -> str:
    return a_preemption("Started", job_id, at=NOON + 18_000, statusReason=IN_PROGRESS)


def completed(job_id: str) -> str:
    fields = {"status": "RUNNABLE", "preemptionSummary": SUMMARY}
    return a_preemption("Completed", job_id, at=NOON + 20_000, **fields)


def a_life(job_id: str) -> list[str]:
    """Preempted once, crashed once, and succeeded; the preemptions last."""
    latest = [{"latestAttempt": {"serviceResourceId": a_training_job(n)}} for n in range(4)]
    preempted = {"preemptionSummary": SUMMARY}
    crashed = preempted | {"attempts": [CRASHED]}
    told: list[tuple[str, int, dict[str, Any]]] = [
        ("RUNNABLE", 1, {}),
        ("SCHEDULED", 8, latest[1]),
        ("STARTING", 10, latest[1]),
        ("RUNNING", 11, latest[1] | {"startedAt": NOON + 11_000}),
        ("RUNNABLE", 19, preempted | latest[1]),
        ("RUNNING", 21, preempted | latest[2] | {"startedAt": NOON + 21_000}),
        ("RUNNABLE", 29, crashed | latest[2]),
        ("RUNNING", 31, crashed | latest[3] | {"startedAt": NOON + 31_000}),
        ("SUCCEEDED", 39, crashed | {"attempts": [CRASHED, TRAINED]}),
    ]
    changes = [
        a_service_body(jobId=job_id, status=status, at=NOON + second * 1000, **fields)
        for status, second, fields in told
    ]
    return [*changes, started(job_id), completed(job_id)]


def answer(harness: RecorderHarness, job_id: str) -> Any:
    """What the API says of the job, its id aside."""
    job = harness.job(job_id)
    body = job_body(
        job, harness.table.preemptions(job_id), None, harness.table.describe(job), Prices(), NOON
    )
    return {name: getattr(body, name) for name in body.__struct_fields__ if name != "job_id"}


def history(api: Api, job_id: str) -> list[tuple[str, int | None]]:
    return [(h["status"], h["attempt"]) for h in api.get(f"/jobs/{job_id}").body["history"]]


# Any order


@settings(max_examples=40)
@given(
    st.sets(st.integers(0, 10)).filter(lambda heard: min(heard, default=9) < 9),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_any_order_with_any_repetition_ends_in_the_same_answer(
    running_harness: RecorderHarness, heard: set[int], batches: int, jitter: random.Random
) -> None:
    once, anyhow = a_job_id(), a_job_id()
    again = [a_life(anyhow)[n] for n in [*heard, *jitter.choices([*heard], k=5)]]
    jitter.shuffle(again)

    running_harness.record([a_life(once)[n] for n in sorted(heard)])
    for start in range(batches):
        running_harness.record(again[start::batches])

    assert answer(running_harness, anyhow) == answer(running_harness, once)


@pytest.fixture(scope="module")
def running_harness(running_aws: LocalAws) -> RecorderHarness:
    """One for all examples: each has jobs of its own."""
    running_aws.reset()
    return RecorderHarness(running_aws, running_aws.create_resources())


# What is shown


WHOLE = [
    ("RUNNABLE", None),
    ("SCHEDULED", 1),
    ("STARTING", 1),
    ("RUNNING", 1),
    ("RUNNABLE", 2),
    ("RUNNING", 2),
    ("RUNNABLE", 3),
    ("RUNNING", 3),
    ("SUCCEEDED", 3),
]


def test_a_preempted_job_is_shown_with_what_happened_to_it(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id))

    job = api.get(f"/jobs/{job_id}").body

    assert history(api, job_id) == WHOLE
    assert job["preemptions"] == [
        {"step": "STARTED", "at": "2026-05-28T20:26:58.000Z", "reason": IN_PROGRESS},
        {"step": "COMPLETED", "at": "2026-05-28T20:27:00.000Z", "reason": TAKEN_BACK},
    ]
    assert [(one["attempt"], one["cause"]) for one in job["attempts"]] == [
        (1, "PREEMPTED"),
        (2, "UNKNOWN"),
        (3, "UNKNOWN"),
    ]


@pytest.mark.parametrize("lost", [4, 5])
def test_a_preemption_is_in_the_history_though_the_jobs_own_event_was_lost(
    api: Api, lost: int
) -> None:
    job_id = a_job_id()
    bodies = a_life(job_id)
    del bodies[lost]

    api.record(*bodies)

    expected = [*WHOLE]
    if lost == 5:
        del expected[5]
    assert history(api, job_id) == expected


def test_a_preemption_waits_for_the_job_to_be_heard_of(api: Api) -> None:
    job_id = a_job_id()
    api.record(started(job_id), completed(job_id))
    assert api.get(f"/jobs/{job_id}").status == 404

    api.record(*a_life(job_id)[:9])

    assert [one["step"] for one in api.get(f"/jobs/{job_id}").body["preemptions"]] == [
        "STARTED",
        "COMPLETED",
    ]


def test_a_history_never_runs_ahead_of_the_status(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id)[:4], completed(job_id))

    job = api.get(f"/jobs/{job_id}").body

    assert (job["status"], job["history"][-1]["status"]) == ("RUNNING", "RUNNING")
    assert len(job["preemptions"]) == 1


def test_a_preemption_makes_another_version_of_the_job(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id)[:4])
    known = api.response(f"/jobs/{job_id}").headers["ETag"]

    api.record(started(job_id))

    assert api.response(f"/jobs/{job_id}", if_none_match=known).status_code == 200
    now = api.response(f"/jobs/{job_id}").headers["ETag"]
    assert api.response(f"/jobs/{job_id}", if_none_match=now).status_code == 304


def test_preemptions_read_well_on_a_terminal(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id))

    page = api.response(f"/jobs/{job_id}", accept="text/plain").body.decode()

    assert "Preemptions (UTC)\n  2026-05-28 20:26:58  STARTED   PREEMPTION_IN_PROGRESS: " in page


def test_a_job_that_was_preempted_too_often_says_so() -> None:
    job = job_of_case("cuda-out-of-memory")

    failure = failure_of(replace(job.details, status_reason=TAKEN_BACK, attempts=()))

    assert failure.cause == "PREEMPTED"
    assert "preemptionRetriesBeforeTermination" in failure.explanation


# What is stored


def test_a_preemption_is_one_item_however_often_it_comes(harness: RecorderHarness) -> None:
    job_id = a_job_id()

    tallies = [harness.record([started(job_id)] * 3), harness.record([started(job_id)])]

    assert len(harness.items()) == 1
    assert [tally.recorded for tally in tallies] == [3, 1]
    assert harness.requests == {"BatchWriteItem": 2}, "nothing is read"


def test_a_preemption_expires_after_any_job_that_it_may_be_about(
    aws: LocalAws, harness: RecorderHarness
) -> None:
    forgetful = RecorderHarness(aws, harness.resources, retention_days=10)

    forgetful.record([started(a_job_id())])

    [item] = harness.items()
    assert int(item["expiresAt"]["N"]) == (NOON + 18_000) // 1000 + (60 + 10) * 86_400


def test_a_preemption_that_the_table_does_not_take_comes_again(
    aws: LocalAws, harness: RecorderHarness
) -> None:
    with FaultyAws(aws.endpoint) as faulty:
        faulty.follow(on("BatchWriteItem", partial_failure(lambda position, _: True), nth=1))
        behind = RecorderHarness(aws, harness.resources, endpoint=faulty.endpoint)
        with pytest.raises(MessagesLeft):
            behind.record([started("4c75")])
        assert harness.items() == []
        behind.record([started("4c75")])

    assert len(harness.items()) == 1
