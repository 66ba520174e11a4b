"""Preemptions of service jobs: their events contain neither queue nor name and arrive in any order,
and the API shows them in the job's history."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.api.representation.job import Related, job_body
from chalicelib.errors import MessagesLeft
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
)
from tests.support.faulty_aws import FaultyAws, on, partial_failure
from tests.support.recorder_harness import RecorderHarness

IN_PROGRESS = (
    "PREEMPTION_IN_PROGRESS: Cross-share preemption triggered to reclaim borrowed capacity"
)
RECLAIMED = "Cross-share preemption triggered to reclaim borrowed capacity"
FIRST = a_training(1, statusReason=RECLAIMED)
SUMMARY = {"preemptedAttemptCount": 1, "recentPreemptedAttempts": [FIRST]}
CRASHED, TRAINED = a_training(2, statusReason="AlgorithmError"), a_training(3)


def started(job_id: str) -> str:
    return a_preemption("Started", job_id, at=NOON + 18_000, statusReason=IN_PROGRESS)


def completed(job_id: str) -> str:
    fields = {"status": "RUNNABLE", "preemptionSummary": SUMMARY}
    return a_preemption("Completed", job_id, at=NOON + 20_000, **fields)


def a_life(job_id: str) -> list[str]:
    """Return the events of a job that is preempted, crashes and succeeds; preemptions last."""
    latest = [{"latestAttempt": {"serviceResourceId": a_training_job(n)}} for n in range(4)]
    preempted = {"preemptionSummary": SUMMARY}
    crashed = preempted | {"attempts": [CRASHED]}
    changes: list[tuple[str, int, dict[str, Any]]] = [
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
    bodies = [
        a_service_body(jobId=job_id, status=status, at=NOON + second * 1000, **fields)
        for status, second, fields in changes
    ]
    return [*bodies, started(job_id), completed(job_id)]


def answer(harness: RecorderHarness, job_id: str) -> Any:
    """Return the body of the API without the job's id and ARN."""
    job = harness.job(job_id)
    related = Related(harness.table.describe(job), harness.table.preemptions(job_id))
    body = job_body(job, related, Prices(), NOON)
    names = set(body.__struct_fields__) - {"job_id", "job_arn"}
    return {name: getattr(body, name) for name in names}


def history(api: Api, job_id: str) -> list[tuple[str, int | None]]:
    return [(h["status"], h["attempt"]) for h in api.get(f"/jobs/{job_id}").body["history"]]


# Any order


@settings(max_examples=40)
@given(
    st.sets(st.integers(0, 10)).filter(lambda received: min(received, default=9) < 9),
    st.integers(1, 4),
    st.randoms(use_true_random=False),
)
def test_any_order_with_duplicates_ends_in_the_same_answer(
    running_harness: RecorderHarness, received: set[int], batches: int, rng: random.Random
) -> None:
    in_order, shuffled = a_job_id(), a_job_id()
    bodies = [a_life(shuffled)[n] for n in [*received, *rng.choices([*received], k=5)]]
    rng.shuffle(bodies)

    running_harness.record([a_life(in_order)[n] for n in sorted(received)])
    for start in range(batches):
        running_harness.record(bodies[start::batches])

    assert answer(running_harness, shuffled) == answer(running_harness, in_order)


@pytest.fixture(scope="module")
def running_harness(running_aws: LocalAws) -> RecorderHarness:
    """A recorder for all examples, each of which has its own jobs."""
    running_aws.reset()
    return RecorderHarness(running_aws, running_aws.create_resources())


# The API


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


def test_a_preempted_job_has_its_preemptions_and_their_transitions(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id))

    job = api.get(f"/jobs/{job_id}").body

    assert history(api, job_id) == WHOLE
    assert job["preemptions"] == [
        {"step": "STARTED", "at": "2026-05-28T20:26:58.000Z", "reason": IN_PROGRESS},
        {"step": "COMPLETED", "at": "2026-05-28T20:27:00.000Z", "reason": RECLAIMED},
    ]
    assert [(attempt["attempt"], attempt["cause"]) for attempt in job["attempts"]] == [
        (1, "PREEMPTED"),
        (2, "UNKNOWN"),
        (3, "UNKNOWN"),
    ]


@pytest.mark.parametrize("lost", [4, 5])
def test_a_preemption_is_in_the_history_if_the_jobs_own_event_was_lost(api: Api, lost: int) -> None:
    job_id = a_job_id()
    bodies = a_life(job_id)
    del bodies[lost]

    api.record(*bodies)

    expected = [*WHOLE]
    if lost == 5:
        del expected[5]
    assert history(api, job_id) == expected


def test_a_preemption_may_arrive_before_any_event_of_its_job(api: Api) -> None:
    job_id = a_job_id()
    api.record(started(job_id), completed(job_id))
    assert api.get(f"/jobs/{job_id}").status == 404

    api.record(*a_life(job_id)[:9])

    assert [
        preemption["step"] for preemption in api.get(f"/jobs/{job_id}").body["preemptions"]
    ] == [
        "STARTED",
        "COMPLETED",
    ]


def test_a_history_contains_nothing_after_the_current_status(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id)[:4], completed(job_id))

    job = api.get(f"/jobs/{job_id}").body

    assert (job["status"], job["history"][-1]["status"]) == ("RUNNING", "RUNNING")
    assert len(job["preemptions"]) == 1


def test_a_preemption_changes_the_version_of_the_job(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id)[:4])
    known = api.response(f"/jobs/{job_id}").headers["ETag"]

    api.record(started(job_id))

    assert api.response(f"/jobs/{job_id}", if_none_match=known).status_code == 200
    now = api.response(f"/jobs/{job_id}").headers["ETag"]
    assert api.response(f"/jobs/{job_id}", if_none_match=now).status_code == 304


def test_preemptions_are_part_of_the_text_page(api: Api) -> None:
    job_id = a_job_id()
    api.record(*a_life(job_id))

    page = api.response(f"/jobs/{job_id}", accept="text/plain").body.decode()

    assert "Preemptions (UTC)\n  2026-05-28 20:26:58  STARTED   PREEMPTION_IN_PROGRESS: " in page


# Storage


def test_a_repeated_preemption_is_stored_once(harness: RecorderHarness) -> None:
    job_id = a_job_id()

    tallies = [harness.record([started(job_id)] * 3), harness.record([started(job_id)])]

    assert len(harness.items()) == 1
    assert [tally.recorded for tally in tallies] == [3, 1]
    assert harness.requests == {"BatchWriteItem": 2}, "nothing is read"


def test_a_preemption_expires_after_the_longest_possible_job(
    aws: LocalAws, harness: RecorderHarness
) -> None:
    with_retention = RecorderHarness(aws, harness.resources, retention_days=10)

    with_retention.record([started(a_job_id())])

    [item] = harness.items()
    assert int(item["expiresAt"]["N"]) == (NOON + 18_000) // 1000 + (60 + 10) * 86_400


def test_a_preemption_that_could_not_be_stored_is_redelivered(
    aws: LocalAws, harness: RecorderHarness
) -> None:
    with FaultyAws(aws.endpoint) as faulty:
        faulty.follow(on("BatchWriteItem", partial_failure(lambda position, _: True), nth=1))
        behind_proxy = RecorderHarness(aws, harness.resources, endpoint=faulty.endpoint)
        with pytest.raises(MessagesLeft):
            behind_proxy.record([started("4c75")])
        assert harness.items() == []
        behind_proxy.record([started("4c75")])

    assert len(harness.items()) == 1
