"""Waiting for a job: until it changes or the time is up, and never too many at once."""

import threading
from contextlib import ExitStack

import pytest

from chalicelib.api.access import Scope
from chalicelib.api.job_log import JobLog
from chalicelib.api.jobs import Jobs
from chalicelib.api.long_poll import LEASE_SECONDS, PLACES, AllSlotsTaken, LongPollSlots
from chalicelib.jobs.job_table import Change
from chalicelib.jobs.prices import Prices
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id
from tests.support.recorder_harness import RecorderHarness


def test_waiting_ends_when_the_status_changes(api: Api, stand: RecorderHarness) -> None:
    job_id = a_job_id()
    stand.record([a_body(jobId=job_id, status="RUNNING")])
    event = a_body(jobId=job_id, status="SUCCEEDED", at=NOON + 5_000)
    meanwhile = threading.Timer(0.5, lambda: stand.record([event]))

    meanwhile.start()
    status, job = api.get(f"/jobs/{job_id}?wait=25")
    meanwhile.join()

    assert (status, job["status"]) == (200, "SUCCEEDED")


def test_waiting_ends_when_the_job_is_unknown(stand: RecorderHarness) -> None:
    job_id = a_job_id()
    stand.record([a_body(jobId=job_id, status="RUNNING")])
    pauses: list[float] = []

    def lose(seconds: float) -> None:
        pauses.append(seconds)
        stored = stand.table.load([job_id], consistent=True).jobs[job_id]
        stand.table.save([Change(stored.job.lost(), stored, None)])

    jobs = Jobs(
        stand.table,
        stand.index,
        stand.registry,
        stand.arrays,
        JobLog(stand.aws.client("logs"), (), Redaction()),
        LongPollSlots(stand.dynamodb, stand.resources.jobs_table),
        Prices(),
        lambda: b"key",
        Runtime(now=lambda: NOON / 1000 + sum(pauses), sleep=lose),
    )
    answer = jobs.one(job_id, {"wait": ["25"]}, Scope(("*",)))

    assert answer.body.status == "UNKNOWN"
    assert len(pauses) == 1


def test_waiting_ends_when_the_time_is_up(api: Api, stand: RecorderHarness) -> None:
    job_id = a_job_id()
    stand.record([a_body(jobId=job_id, status="RUNNING")])
    etag = api.response(f"/jobs/{job_id}").headers["ETag"]

    assert api.get(f"/jobs/{job_id}?wait=1").body["status"] == "RUNNING"
    assert api.response(f"/jobs/{job_id}?wait=1", if_none_match=etag).status_code == 304


def test_there_is_nothing_to_wait_for_when_the_client_is_behind_or_the_job_has_ended(
    api: Api, stand: RecorderHarness
) -> None:
    running, ended = a_job_id(), a_job_id()
    stand.record([a_body(jobId=running, status="RUNNING"), a_body(jobId=ended, status="FAILED")])

    with all_places_taken(stand):
        behind = api.response(f"/jobs/{running}?wait=25", if_none_match=f'W/"{"0" * 20}"')
        over = api.response(f"/jobs/{ended}?wait=25")

    assert behind.status_code == over.status_code == 200


def test_who_finds_no_place_to_wait_is_told_to_come_again(api: Api, stand: RecorderHarness) -> None:
    job_id = a_job_id()
    stand.record([a_body(jobId=job_id, status="RUNNING")])

    with all_places_taken(stand):
        response = api.response(f"/jobs/{job_id}?wait=1")

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "5"
    assert api.get(f"/jobs/{job_id}?wait=1").status == 200


def test_a_place_that_nobody_gave_back_is_free_when_its_lease_ends(stand: RecorderHarness) -> None:
    now = [1_000.0]
    places = LongPollSlots(stand.dynamodb, stand.resources.jobs_table, Runtime(now=lambda: now[0]))
    dead = [places.taken() for _ in range(PLACES)]
    for function in dead:
        function.__enter__()

    with pytest.raises(AllSlotsTaken), places.taken():
        pass
    now[0] += LEASE_SECONDS + 1
    with places.taken():
        pass


@pytest.mark.parametrize("wait", ["0", "26", "x", ""])
def test_a_time_to_wait_is_bounded(api: Api, wait: str) -> None:
    answer = api.get(f"/jobs/4c75?wait={wait}")

    assert answer.status == 400
    assert answer.body["Message"].startswith("wait: ")


def all_places_taken(stand: RecorderHarness) -> ExitStack:
    places = LongPollSlots(stand.dynamodb, stand.resources.jobs_table)
    stack = ExitStack()
    for _ in range(PLACES):
        stack.enter_context(places.taken())
    return stack
