"""What a job uses of the machines, how much of it was wasted, and what it costs by given prices."""

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
    """Attempts from one time to another, in hours after noon; the last may be open."""
    listed = tuple(
        Attempt(*(None if at is None else NOON + at * HOUR for at in a)) for a in attempts
    )
    generation = sum(attempt.stopped_at is not None for attempt in listed)
    known: dict[str, Any] = {"job_name": "align", "job_queue": "q", "resources": TWO_VCPUS}
    said = Details(
        status=status, generation=generation, time=NOON, attempts=listed, **(known | details)
    )
    return Job("job", said, (Transition(status, generation, NOON + 9 * HOUR),))


def hours(job: Job, now: int = 0) -> tuple[float, float]:
    """vCPU-hours, in all and wasted."""
    used = job_usage(job, NOON + now * HOUR)
    assert used is not None
    return used.total.vcpu_hours, used.wasted.vcpu_hours


def test_a_job_uses_what_it_asked_for_while_it_runs() -> None:
    used = job_usage(a_job("SUCCEEDED", (1, 4)), now=0)

    assert used == JobUsage(Usage(2000 * 3 * HOUR, 4096 * 3 * HOUR, 3 * HOUR), Usage())
    total = used.total
    assert (total.vcpu_hours, total.gb_hours, total.gpu_hours) == (6, 12, 3)


def test_a_running_attempt_counts_up_to_now_and_is_not_wasted() -> None:
    assert hours(a_job("RUNNING", (1, 2), (3, None)), now=5) == (6, 2)
    assert hours(a_job("RUNNING", (1, 2), started_at=NOON + 3 * HOUR), now=5) == (6, 2)


def test_what_other_attempts_had_to_follow_was_wasted_though_the_job_succeeded() -> None:
    assert hours(a_job("SUCCEEDED", (1, 2), (2, 4), (5, 8))) == (12, 6)


def test_a_failed_job_wasted_all_that_it_used() -> None:
    assert hours(a_job("FAILED", (1, 2), (2, 4))) == (6, 6)


def test_an_attempt_of_a_job_that_waits_for_the_next_one_was_wasted() -> None:
    assert hours(a_job("RUNNABLE", (1, 2), started_at=NOON + HOUR), now=9) == (2, 2)


def test_an_attempt_that_never_started_used_nothing() -> None:
    assert hours(a_job("FAILED", (None, 2))) == (0, 0)


def test_a_job_whose_attempts_are_not_listed_goes_by_its_own_times() -> None:
    job = a_job("SUCCEEDED", started_at=NOON, stopped_at=NOON + HOUR)

    assert hours(job) == (2, 0)


def test_nothing_is_said_where_nothing_tells() -> None:
    assert job_usage(a_job("SUCCEEDED", (1, 2), resources=None), now=0) is None


@pytest.mark.parametrize("facts", [{"array": ArrayFacts(size=2)}, {"nodes": 2}])
def test_a_parent_uses_nothing_for_its_children_or_nodes_do(facts: dict[str, Any]) -> None:
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


def test_the_first_price_that_fits_counts() -> None:
    prices = Prices.parse(FARGATE)
    used = Usage(vcpus=2000 * HOUR, memory=4096 * HOUR, gpus=HOUR)

    spot, other = prices.of("spot-1"), prices.of("gpu")

    assert spot
    assert other
    assert (spot.cost(used), spot.currency) == (pytest.approx(0.02), "EUR")
    assert (other.cost(used), other.currency) == (pytest.approx(0.08 + 0.016 + 1.5), "USD")


def test_without_prices_there_is_none() -> None:
    assert Prices().of("gpu") is None
    assert Prices.parse('[[prices]]\nqueues = ["x"]\nvcpuHour = 1\ngbHour = 1').of("gpu") is None


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("[[prices", "prices: not TOML: "),
        ("[prices]", "prices: prices: expected [[prices]], in double brackets"),
        ("[[price]]", "prices: price: expected only [[prices]] at this level"),
        ("vcpuHour = -1", "price 1: vcpuHour: expected what an hour costs, 0 to 1000000, such as"),
        ("vcpuHour = true", "price 1: vcpuHour: expected what an hour costs"),
        ("vcpuHour = nan", "price 1: vcpuHour: expected what an hour costs"),
        ("gpuHour = '1'", "price 1: gpuHour: expected what an hour costs"),
        ("queues = 'gpu'", "price 1: queues: expected a list of globs"),
        ("queues = []", "price 1: queues: expected a list of globs"),
        ("currency = ''", "price 1: currency: expected the name of a currency"),
        ("hour = 1", "price 1: hour: no such field; expected queues, vcpuHour, gbHour, gpuHour"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused_by_table_and_field(toml: str, problem: str) -> None:
    good = {"queues": "['*']", "vcpuHour": "1", "gbHour": "1"}
    rest = [f"{name} = {value}" for name, value in good.items() if not toml.startswith(name)]

    with pytest.raises(SettingsError) as caught:
        Prices.parse(toml if toml.startswith("[") else "\n".join(["[[prices]]", *rest, toml]))

    assert str(caught.value).startswith(problem)
    assert "\n" not in str(caught.value)


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Prices.parse(
            "[[prices]]\nqueues = ['a']\ngbHour = 1\nvcpuHour = 1\n[[prices]]\nqueues = ['b']"
        )

    assert [line[:28] for line in str(caught.value).splitlines()] == [
        "price 2: vcpuHour: is missin",
        "price 2: gbHour: is missing;",
    ]
