"""Usage of a job, the wasted part of it, and its cost by the configured prices."""

from typing import Any

import pytest

from chalicelib.errors import SettingsError
from chalicelib.jobs.job import ArrayFacts, Attempt, Details, Job, Resources, Transition
from chalicelib.jobs.prices import Prices
from chalicelib.jobs.usage import JobUsage, Usage, job_usage
from tests.support.builders import NOON

HOUR = 3_600_000
TWO_VCPUS = Resources(vcpus=2, memory=4096, gpus=1)


def a_job(status: str, *attempts: tuple[int | None, int | None], **details: Any) -> Job:
    """Return a job with attempts as (start, stop) in hours after noon; the last may be open."""
    listed = tuple(
        Attempt(*(None if at is None else NOON + at * HOUR for at in attempt))
        for attempt in attempts
    )
    generation = sum(attempt.stopped_at is not None for attempt in listed)
    defaults: dict[str, Any] = {"job_name": "align", "job_queue": "q", "resources": TWO_VCPUS}
    fields = defaults | details
    of_job = Details(status=status, generation=generation, time=NOON, attempts=listed, **fields)
    return Job("job", of_job, (Transition(status, generation, NOON + 9 * HOUR),))


def hours(job: Job, now: int = 0) -> tuple[float, float]:
    """Return the vCPU-hours in total and those wasted."""
    usage = job_usage(job, NOON + now * HOUR)
    assert usage is not None
    return usage.total.vcpu_hours, usage.wasted.vcpu_hours


def test_a_job_uses_what_it_requests_while_it_runs() -> None:
    usage = job_usage(a_job("SUCCEEDED", (1, 4)), now=0)

    assert usage == JobUsage(Usage(2000 * 3 * HOUR, 4096 * 3 * HOUR, 3 * HOUR), Usage())
    total = usage.total
    assert (total.vcpu_hours, total.gb_hours, total.gpu_hours) == (6, 12, 3)


def test_a_running_attempt_counts_up_to_now_and_is_not_wasted() -> None:
    assert hours(a_job("RUNNING", (1, 2), (3, None)), now=5) == (6, 2)
    assert hours(a_job("RUNNING", (1, 2), started_at=NOON + 3 * HOUR), now=5) == (6, 2)


def test_all_attempts_before_the_successful_one_were_wasted() -> None:
    assert hours(a_job("SUCCEEDED", (1, 2), (2, 4), (5, 8))) == (12, 6)


def test_everything_that_a_failed_job_used_was_wasted() -> None:
    assert hours(a_job("FAILED", (1, 2), (2, 4))) == (6, 6)


def test_the_attempts_of_a_job_that_waits_for_a_retry_were_wasted() -> None:
    assert hours(a_job("RUNNABLE", (1, 2), started_at=NOON + HOUR), now=9) == (2, 2)


def test_an_attempt_that_never_started_used_nothing() -> None:
    assert hours(a_job("FAILED", (None, 2))) == (0, 0)


def test_without_listed_attempts_the_times_of_the_job_count() -> None:
    job = a_job("SUCCEEDED", started_at=NOON, stopped_at=NOON + HOUR)

    assert hours(job) == (2, 0)


def test_without_known_resources_there_is_no_usage() -> None:
    assert job_usage(a_job("SUCCEEDED", (1, 2), resources=None), now=0) is None


@pytest.mark.parametrize("facts", [{"array": ArrayFacts(size=2)}, {"nodes": 2}])
def test_a_parent_uses_nothing_because_its_children_or_nodes_do(facts: dict[str, Any]) -> None:
    assert job_usage(a_job("SUCCEEDED", (1, 2), **facts), now=0) is None


# Prices

FARGATE = """
[[prices]]
queues = ["spot*"]
vcpuHour = 0.01
gbHour = 0
currency = "EUR"

[[prices]]
queues = ["*"]
vcpuHour = 0.04
gbHour = 0.004
gpuHour = 1.5
"""


def test_the_first_matching_price_counts() -> None:
    prices = Prices.parse(FARGATE)
    usage = Usage(vcpus=2000 * HOUR, memory=4096 * HOUR, gpus=HOUR)

    spot, other = prices.of("spot-1"), prices.of("gpu")

    assert spot
    assert other
    assert (spot.cost(usage), spot.currency) == (pytest.approx(0.02), "EUR")
    assert (other.cost(usage), other.currency) == (pytest.approx(0.08 + 0.016 + 1.5), "USD")


def test_without_a_matching_price_there_is_none() -> None:
    assert Prices().of("gpu") is None
    assert Prices.parse('[[prices]]\nqueues = ["x"]\nvcpuHour = 1\ngbHour = 1').of("gpu") is None


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[[prices", "prices: not TOML: "),
        ("[prices]", "prices: prices: expected [[prices]], in double brackets"),
        ("[[price]]", "prices: price: expected only [[prices]] at this level"),
        (
            "vcpuHour = -1",
            "price 1: vcpuHour: got -1; expected the price of an hour, from 0",
        ),
        ("vcpuHour = true", "price 1: vcpuHour: got True; expected the price of an hour"),
        ("vcpuHour = nan", "price 1: vcpuHour: got nan; expected the price of an hour"),
        ("gpuHour = '1'", "price 1: gpuHour: got '1'; expected the price of an hour"),
        ("queues = 'gpu'", "price 1: queues: got 'gpu'; expected a list of globs"),
        ("queues = []", "price 1: queues: got []; expected a list of globs"),
        ("currency = ''", "price 1: currency: got ''; expected the name of a currency"),
        ("hour = 1", "price 1: hour: unknown field; expected one of queues, vcpuHour, gbHour"),
    ],
)
def test_an_invalid_price_raises_an_error_that_names_the_field(toml: str, problem: str) -> None:
    good = {"queues": "['*']", "vcpuHour": "1", "gbHour": "1"}
    rest = [f"{name} = {value}" for name, value in good.items() if not toml.startswith(name)]

    with pytest.raises(SettingsError) as caught:
        Prices.parse(toml if toml.startswith("[") else "\n".join(["[[prices]]", *rest, toml]))

    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_one_error_names_all_missing_fields() -> None:
    with pytest.raises(SettingsError) as caught:
        Prices.parse(
            "[[prices]]\nqueues = ['a']\ngbHour = 1\nvcpuHour = 1\n[[prices]]\nqueues = ['b']"
        )

    assert [line[:28] for line in str(caught.value).splitlines()] == [
        "price 2: vcpuHour: is missin",
        "price 2: gbHour: is missing;",
    ]
