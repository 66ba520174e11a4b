"""When each alarm of the resources stack fires and clears.

The local AWS evaluates no alarms, so CloudWatch's documented rule is simulated: once a minute, the
statistic of each of the last periods is compared with the threshold, and TreatMissingData decides
about a period without data.
"""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

import pytest

from chalicelib.telemetry import NAMESPACE, PUBLISHED
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


INCIDENT = {"start": 2 * HOUR, "stop": 5 * HOUR}
"""The data of an incident of three hours, in the interval in which they arrive at the longest."""
FIRES = {
    "DeadLettersAlarm": every(MINUTE, 3, **INCIDENT),
    "UndeliverableAlarm": every(MINUTE, 3, **INCIDENT),
    "EventsAreLateAlarm": every(MINUTE, 1_000, **INCIDENT),
    # During an outage of DynamoDB, a message is received again after two to five minutes.
    "EventsReturnedAlarm": every(5 * MINUTE, 1, **INCIDENT),
    "NoticesDeadLettersAlarm": every(MINUTE, 3, **INCIDENT),
    "NoticesAreLateAlarm": every(MINUTE, 1_000, **INCIDENT),
    # A failing room pauses for up to half an hour.
    "NoticesReturnedAlarm": every(30 * MINUTE, 2_000, **INCIDENT),
    "WebexTokenAlarm": every(30 * MINUTE, 1, **INCIDENT),
    # A sweep runs every SWEEP_MINUTES, 60 at most.
    "UnknownToBatchAlarm": every(HOUR, 2, **INCIDENT),
    "EventsMissingAlarm": every(HOUR, 1, **INCIDENT),
    "FailedDeliveriesAlarm": every(30 * MINUTE, 1, **INCIDENT),
    "RequestsFailedAlarm": every(5 * MINUTE, 1, **INCIDENT),
    "AuthenticationsFailedAlarm": every(MINUTE, 30, **INCIDENT),
    "SweepErrorsAlarm": every(HOUR, 1, **INCIDENT),
    "ApiErrorsAlarm": every(MINUTE, 1, **INCIDENT),
    "AuthorizerErrorsAlarm": every(MINUTE, 1, **INCIDENT),
}
QUIET = {
    # A message that was received three times does not count, and one is usually recorded at once.
    "EventsAreLateAlarm": every(MINUTE, 5),
    "EventsReturnedAlarm": every(20 * MINUTE, 1),
    # In a storm of failures, a notice waits for at most ten minutes, or twenty.
    "NoticesReturnedAlarm": every(MINUTE, 1_200),
    "RequestsFailedAlarm": every(HOUR, 1),
    "AuthenticationsFailedAlarm": every(MINUTE, 5),
    "ApiErrorsAlarm": every(HOUR, 1),
    "AuthorizerErrorsAlarm": every(HOUR, 1),
}


def test_every_alarm_is_simulated() -> None:
    assert FIRES.keys() | {"NoSweepAlarm"} == ALARMS.keys()


@pytest.mark.parametrize("name", FIRES)
def test_an_alarm_fires_once_during_an_incident_and_clears_afterwards(name: str) -> None:
    (before, _), (during, minutes), (after, _) = states(ALARMS[name], FIRES[name])

    assert (before, during, after) == ("OK", "ALARM", "OK")
    assert 120 <= minutes <= 240


@pytest.mark.parametrize("name", QUIET)
def test_what_passes_by_itself_raises_no_alarm(name: str) -> None:
    assert states(ALARMS[name], QUIET[name]) == [("OK", END // MINUTE)]


@pytest.mark.parametrize("minutes", [5, 60])
def test_the_end_of_sweeps_is_reported_but_not_a_new_stage(minutes: int) -> None:
    alarm = ALARMS["NoSweepAlarm"]
    sweeps = every(minutes * MINUTE, 1, start=40 * MINUTE, stop=5 * HOUR)

    new, swept, ended = states(alarm, sweeps)

    assert new == ("INSUFFICIENT_DATA", 40), "its first state, of which CloudWatch notifies nobody"
    assert swept[0] == "OK"
    assert ended[0] == "INSUFFICIENT_DATA"
    assert alarm["InsufficientDataActions"] == alarm["AlarmActions"]


@pytest.mark.parametrize("name", [n for n, a in ALARMS.items() if a["Namespace"] == NAMESPACE])
def test_an_alarm_watches_a_published_metric_of_its_stage(name: str) -> None:
    alarm = ALARMS[name]

    assert alarm["MetricName"] in PUBLISHED
    assert alarm["Dimensions"] == [{"Name": "service", "Value": {"Fn::Sub": "batchwatch-${Stage}"}}]


def test_the_dashboard_shows_every_alarm_and_every_published_metric() -> None:
    [_, widgets, _] = STACK["Dashboard"]["Properties"]["DashboardBody"]["Fn::Join"][1]
    properties = [json.loads(one["Fn::Sub"])["properties"] for one in widgets["Fn::Join"][1]]

    metrics = [metric for one in properties for metric in one.get("metrics", [])]
    assert {name for namespace, name, *_ in metrics if namespace == NAMESPACE} == PUBLISHED
    assert {tuple(rest) for namespace, _, *rest in metrics if namespace == NAMESPACE} == {
        ("service", "batchwatch-${Stage}")
    }
    assert set(properties[0]["alarms"]) == {f"${{{name}.Arn}}" for name in ALARMS}
