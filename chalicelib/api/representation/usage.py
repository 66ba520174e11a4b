"""The usage and the estimated cost of a job, or of all jobs of a queue."""

from typing import Final

from chalicelib.api.representation.body import Body
from chalicelib.jobs.prices import Price
from chalicelib.jobs.usage import JobUsage, Usage

_DECIMALS: Final = 6
"""Enough for a vCPU that was used for a few seconds."""


class Amounts(Body, frozen=True):
    vcpu_hours: float
    gb_hours: float
    gpu_hours: float


class UsageBody(Amounts, frozen=True):
    """`wasted` is the part used by attempts that were retried, and by all attempts of a failed
    job."""

    wasted: Amounts


class CostBody(Body, frozen=True):
    """An estimate, at the configured prices; `wasted` is a part of it."""

    estimate: float
    wasted: float
    currency: str


def usage_body(usage: JobUsage) -> UsageBody:
    return UsageBody(**_amounts(usage.total), wasted=Amounts(**_amounts(usage.wasted)))


def cost_body(usage: JobUsage, price: Price | None) -> CostBody | None:
    if price is None:
        return None
    estimate, wasted = (round(price.cost(part), _DECIMALS) for part in usage)
    return CostBody(estimate, wasted, price.currency)


def _amounts(usage: Usage) -> dict[str, float]:
    amounts = {
        "vcpu_hours": usage.vcpu_hours,
        "gb_hours": usage.gb_hours,
        "gpu_hours": usage.gpu_hours,
    }
    return {name: round(amount, _DECIMALS) for name, amount in amounts.items()}
