"""The usage and cost of a job in the API, compared with amounts calculated by hand."""

from typing import Any

import pytest

from chalicelib.api.formats.media import TEXT, encode
from chalicelib.api.job_log import JobLog
from chalicelib.api.jobs import Jobs
from chalicelib.api.long_poll import LongPollSlots
from chalicelib.api.parameters.queries import JobQuery
from chalicelib.api.representation.job import JobBody
from chalicelib.jobs.prices import Prices
from chalicelib.redaction import Redaction
from chalicelib.runtime import Runtime
from tests.support.builders import NOON, a_body, a_job_id
from tests.support.recorder_harness import RecorderHarness

HOUR = 3_600_000
PRICES = Prices.parse('[[prices]]\nqueues = ["high-*"]\nvcpuHour = 0.04\ngbHour = 0.005')
CONTAINER = {
    "resourceRequirements": [{"type": "VCPU", "value": "2"}, {"type": "MEMORY", "value": "4096"}]
}


def body_of(
    harness: RecorderHarness, job_id: str, prices: Prices = PRICES, now: int = NOON
) -> JobBody:
    table = harness.resources.jobs_table
    jobs = Jobs(
        harness.table,
        harness.arrays,
        harness.container.environment_table,
        JobLog(None, (), Redaction()),
        LongPollSlots(harness.dynamodb, table),
        prices,
        Runtime(now=lambda: now / 1000),
    )
    return jobs.get(harness.job(job_id), JobQuery()).body


def record(harness: RecorderHarness, status: str, *attempts: tuple[int, int], **fields: Any) -> str:
    """Record a job with attempts as (start, stop) in hours after noon."""
    job_id = a_job_id()
    listed = [
        {"startedAt": NOON + start * HOUR, "stoppedAt": NOON + stop * HOUR}
        for start, stop in attempts
    ]
    body = a_body(jobId=job_id, status=status, attempts=listed, container=CONTAINER, **fields)
    harness.record([body])
    return job_id


def test_a_job_costs_what_it_requests_for_as_long_as_its_attempts_ran(
    harness: RecorderHarness,
) -> None:
    """An attempt of 1 h was interrupted and one of 3 h succeeded, with 2 vCPUs and 4 GB: 8
    vCPU-hours at 0.04 and 16 GB-hours at 0.005 are 0.32 + 0.08, of which a quarter was wasted."""
    job = body_of(harness, record(harness, "SUCCEEDED", (0, 1), (2, 5)))

    assert job.usage
    assert (job.usage.vcpu_hours, job.usage.gb_hours, job.usage.gpu_hours) == (8, 16, 0)
    assert (job.usage.wasted.vcpu_hours, job.usage.wasted.gb_hours) == (2, 4)
    assert job.cost
    assert (job.cost.estimate, job.cost.wasted, job.cost.currency) == (0.4, 0.1, "USD")
    page = encode(job, TEXT)
    assert "usage  8 vCPU-hours, 16 GB-hours; wasted 2 vCPU-hours, 4 GB-hours\n" in page
    assert "cost   about 0.4 USD (estimate), 0.1 of it wasted\n" in page


def test_a_running_job_costs_more_each_hour(harness: RecorderHarness) -> None:
    job_id = record(harness, "RUNNING", startedAt=NOON)

    costs = [body_of(harness, job_id, now=NOON + hours * HOUR).cost for hours in (0, 1, 10)]

    assert [cost and cost.estimate for cost in costs] == pytest.approx([0, 0.1, 1])
    assert {cost and cost.wasted for cost in costs} == {0}


def test_without_a_price_there_is_no_cost_and_without_resources_no_usage(
    harness: RecorderHarness,
) -> None:
    unpriced = body_of(harness, record(harness, "SUCCEEDED", (0, 1)), Prices())
    harness.record([a_body(jobId="bare", status="RUNNING", startedAt=NOON)])

    assert unpriced.usage
    assert unpriced.cost is None
    assert (body_of(harness, "bare").usage, body_of(harness, "bare").cost) == (None, None)
