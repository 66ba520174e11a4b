"""Long polling: a request waits until the job changes or the time is up, in one of few slots."""

import threading
from contextlib import ExitStack

import pytest

from chalicelib.api.errors import AllSlotsTaken
from chalicelib.api.job_log import JobLog
from chalicelib.api.jobs import Jobs
from chalicelib.api.long_poll import LEASE_SECONDS, SLOTS, LongPollSlots
from chalicelib.api.parameters.queries import JobQuery
from chalicelib.jobs.job_table import Change
from chalicelib.jobs.prices import Prices
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id
from tests.support.recorder_harness import RecorderHarness


def test_a_request_waits_until_the_status_changes(api: Api, harness: RecorderHarness) -> None:
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNING")])
    event = a_body(jobId=job_id, status="SUCCEEDED", at=NOON + 5_000)
    meanwhile = threading.Timer(0.5, lambda: harness.record([event]))

    meanwhile.start()
    status, job = api.get(f"/jobs/{job_id}?wait=25")
    meanwhile.join()

    assert (status, job["status"]) == (200, "SUCCEEDED")


def test_a_request_waits_until_the_job_is_unknown(harness: RecorderHarness) -> None:
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNING")])
    sleeps: list[float] = []

    def lose(seconds: float) -> None:
        sleeps.append(seconds)
        stored = harness.table.load([job_id], consistent=True).jobs[job_id]
        harness.table.save([Change(stored.job.lost(), stored, None)])

    jobs = Jobs(
        harness.table,
        harness.arrays,
        harness.container.environment_table,
        JobLog(harness.aws.client("logs"), (), Redaction()),
        LongPollSlots(harness.dynamodb, harness.resources.jobs_table),
        Prices(),
        Runtime(now=lambda: NOON / 1000 + sum(sleeps), sleep=lose),
    )
    answer = jobs.get(harness.job(job_id), JobQuery(wait=25))

    assert answer.body.status == "UNKNOWN"
    assert len(sleeps) == 1


def test_a_request_waits_until_the_time_is_up(api: Api, harness: RecorderHarness) -> None:
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNING")])
    etag = api.response(f"/jobs/{job_id}").headers["ETag"]

    assert api.get(f"/jobs/{job_id}?wait=1").body["status"] == "RUNNING"
    assert api.response(f"/jobs/{job_id}?wait=1", if_none_match=etag).status_code == 304


def test_a_request_does_not_wait_for_an_ended_job_or_if_the_client_has_an_older_version(
    api: Api, harness: RecorderHarness
) -> None:
    running, ended = a_job_id(), a_job_id()
    harness.record([a_body(jobId=running, status="RUNNING"), a_body(jobId=ended, status="FAILED")])

    with all_slots_taken(harness):
        outdated = api.response(f"/jobs/{running}?wait=25", if_none_match=f'W/"{"0" * 20}"')
        ended_job = api.response(f"/jobs/{ended}?wait=25")

    assert outdated.status_code == ended_job.status_code == 200


def test_a_request_without_a_free_slot_is_a_429_with_retry_after(
    api: Api, harness: RecorderHarness
) -> None:
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, status="RUNNING")])

    with all_slots_taken(harness):
        response = api.response(f"/jobs/{job_id}?wait=1")

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "5"
    assert api.get(f"/jobs/{job_id}?wait=1").status == 200


def test_a_slot_that_was_not_released_is_free_when_its_lease_expires(
    harness: RecorderHarness,
) -> None:
    now = [1_000.0]
    slots = LongPollSlots(
        harness.dynamodb, harness.resources.jobs_table, Runtime(now=lambda: now[0])
    )
    crashed = [slots.acquire() for _ in range(SLOTS)]
    for function in crashed:
        function.__enter__()

    with pytest.raises(AllSlotsTaken), slots.acquire():
        pass
    now[0] += LEASE_SECONDS + 1
    with slots.acquire():
        pass


@pytest.mark.parametrize("wait", ["0", "26", "x", ""])
def test_the_time_to_wait_is_limited(api: Api, wait: str) -> None:
    answer = api.get(f"/jobs/4c75?wait={wait}")

    assert answer.status == 400
    assert answer.body["Message"].startswith("wait: ")


def all_slots_taken(harness: RecorderHarness) -> ExitStack:
    slots = LongPollSlots(harness.dynamodb, harness.resources.jobs_table)
    stack = ExitStack()
    for _ in range(SLOTS):
        stack.enter_context(slots.acquire())
    return stack
