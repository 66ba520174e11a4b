"""When each alarm of the resources stack fires and clears."""

import json
import re

import pytest

from chalicelib.telemetry import NAMESPACE, PUBLISHED
from local.aws import ROOT
from tests.support.simulation.simulated_alarms import (
    ALARMS,
    END,
    HOUR,
    MINUTE,
    STACK,
    every,
    states,
)

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


def documented() -> dict[str, str]:
    """Return when each alarm fires, according to docs/operations.md, by the end of its name."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    return {name: row[1] for row in rows for name in re.findall(r"`([a-z-]+)`", row[0])}


def test_the_documentation_states_when_each_alarm_fires() -> None:
    names = {
        resource: alarm["AlarmName"]["Fn::Sub"].removeprefix("batchwatch-${Stage}-")
        for resource, alarm in ALARMS.items()
    }
    texts = documented()

    assert texts.keys() == set(names.values())
    for resource, points in FIRES.items():
        (_, minutes), *_ = states(ALARMS[resource], points)
        after = minutes - INCIDENT["start"] // MINUTE
        stated = re.match(r"after (\d+) minutes", texts[names[resource]])
        assert after <= (int(stated[1]) if stated else 3) <= after + 5, resource
    (_, swept), _ = states(ALARMS["NoSweepAlarm"], every(5 * MINUTE, 1, stop=5 * HOUR))
    assert texts["no-sweep"] == "after 120 minutes without a sweep"
    assert 5 * 60 + 110 <= swept <= 5 * 60 + 120
