"""The alarms of the resources stack in simulated time.

The local AWS evaluates no alarms, so CloudWatch's documented rule is simulated: once a minute, the
statistic of each of the last periods is compared with the threshold, and TreatMissingData decides
about a period without data.
"""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from local.aws import RESOURCES

STACK = json.loads(RESOURCES.read_text())["Resources"]
ALARMS: dict[str, dict[str, Any]] = {
    name: resource["Properties"]
    for name, resource in STACK.items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
MINUTE, HOUR = 60, 3_600
END = 12 * HOUR


class Point(NamedTuple):
    """A data point of a metric; `at` is in seconds."""

    at: int
    value: float


def every(seconds: int, value: float, *, start: int = 0, stop: int = END) -> list[Point]:
    return [Point(at, value) for at in range(start, stop, seconds)]


def states(alarm: dict[str, Any], points: Iterable[Point]) -> list[tuple[str, int]]:
    """Return the states of an alarm from its creation at 0 to END, each with the minutes that it
    lasted."""
    found = list(points)
    by_minute = [_state(alarm, found, at) for at in range(0, END, MINUTE)]
    return [(state, len(list(minutes))) for state, minutes in groupby(by_minute)]


def _state(alarm: dict[str, Any], points: list[Point], now: int) -> str:
    period = alarm["Period"]
    periods = [
        [value for at, value in points if now - (n + 1) * period < at <= now - n * period]
        for n in range(alarm["EvaluationPeriods"])
    ]
    if alarm["TreatMissingData"] == "missing" and not any(periods):
        return "INSUFFICIENT_DATA"
    is_breaching = all(values and _is_breaching(alarm, values) for values in periods)
    return "ALARM" if is_breaching else "OK"


def _is_breaching(alarm: dict[str, Any], values: list[float]) -> bool:
    value = {"Sum": sum, "Maximum": max}[alarm["Statistic"]](values)
    threshold = alarm["Threshold"]
    if alarm["ComparisonOperator"] == "LessThanThreshold":
        return bool(value < threshold)
    return bool(value > threshold)
