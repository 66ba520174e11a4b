"""Storms of failures and outages of Webex, for hours and days in simulated time."""

import math
from collections.abc import Callable, Iterator, Sequence

import pytest

from local.aws import LocalAws, Resources
from local.webex import Fault
from tests.support.builders import NOON, a_body, a_job_id, an_attempt
from tests.support.simulation.simulated_alarms import ALARMS, Point, states
from tests.support.simulation.simulated_notices import BATCH_WINDOW, SimulatedNotices

EXITED = "Essential container in task exited"
HOUR, DAY = 3_600, 86_400


@pytest.fixture
def simulation(aws: LocalAws, resources: Resources) -> Iterator[SimulatedNotices]:
    simulation = SimulatedNotices(aws, resources, '[[rule]]\non = ["FAILED"]')
    with simulation.webex:
        yield simulation


def a_failure(seconds: float, **fields: object) -> str:
    """Return the event of a failure so many seconds after noon."""
    at = round(NOON + seconds * 1_000)
    ended = an_attempt(container={"exitCode": 1}, statusReason=EXITED, stoppedAt=at)
    return a_body(status="FAILED", statusReason=EXITED, attempts=[ended], at=at, **fields)


def failures(per_minute: float, hours: float) -> Callable[[float], Sequence[str]]:
    """Return arrivals of failures at this rate, for so many hours."""
    times = [n * 60 / per_minute for n in range(round(hours * 60 * per_minute))]

    def arrivals(now: float) -> Sequence[str]:
        arrived = [at for at in times if at <= now - NOON / 1_000]
        del times[: len(arrived)]
        return [a_failure(at, jobName=f"job-{at:g}") for at in arrived]

    return arrivals


@pytest.mark.parametrize(("per_minute", "messages"), [(1, [15, 6, 6]), (60, [15])])
def test_a_storm_is_few_messages_and_the_first_failure_is_sent_within_seconds(
    simulation: SimulatedNotices, per_minute: float, messages: list[int]
) -> None:
    hours = len(messages)
    arrivals = failures(per_minute, hours)

    simulation.run(hours * HOUR, arrivals)
    per_hour = simulation.per_hour(hours)
    simulation.record(arrivals(simulation.now))
    simulation.run(HOUR)

    assert per_hour == messages
    assert simulation.sent_at()[0] <= 5
    assert alarm_states(simulation, "NoticesReturnedAlarm", "oldest_notice_age") == [("OK", 720)]
    assert sum(tally.sent for tally in simulation.tallies) == hours * 60 * per_minute
    assert simulation.waiting == 0


def test_a_rate_limit_of_nearly_fourteen_days_loses_no_notice(
    simulation: SimulatedNotices,
) -> None:
    simulation.webex.script(Fault(status=429, retry_after="1"), times=math.inf)
    simulation.record([a_failure(0)])

    simulation.run(13.5 * DAY)
    receives = simulation.sqs.receives
    simulation.webex.unscript()
    simulation.run(DAY / 2)

    assert receives < 800
    assert not simulation.sqs.messages(simulation.dead_letter_queue)
    assert len(simulation.webex.messages()) == 1
    assert simulation.sent_at()[0] < 13.5 * DAY + HOUR


@pytest.mark.parametrize(
    ("fault", "lasted", "latest"),
    [
        (Fault(status=503), 60, 60),
        (Fault(status=503), HOUR, HOUR / 10),
        (Fault(status=429, retry_after="1"), DAY, HOUR / 2),
        (Fault(status=401), 60, 600),
    ],
)
def test_a_notice_is_sent_soon_after_an_outage_of_webex(
    simulation: SimulatedNotices, fault: Fault, lasted: float, latest: float
) -> None:
    simulation.webex.script(fault, times=math.inf)
    simulation.record([a_failure(0)])
    simulation.run(lasted)
    simulation.webex.unscript()

    simulation.run(HOUR)

    assert simulation.sent_at()[0] <= lasted + latest + 2 * BATCH_WINDOW


def test_two_lost_responses_after_an_outage_delay_a_notice_by_minutes(
    simulation: SimulatedNotices,
) -> None:
    simulation.webex.script(Fault(status=503), times=math.inf)
    simulation.record([a_failure(0)])
    simulation.run(600)
    simulation.webex.unscript()
    simulation.webex.script(Fault(cut=True), times=2)

    simulation.run(DAY)

    assert simulation.sent_at()[0] < 600 + 240


def test_five_hundred_failures_because_of_one_are_one_message(
    simulation: SimulatedNotices,
) -> None:
    prepare = a_job_id()
    because = {"status": "FAILED", "statusReason": "Dependent Job failed"}
    dependents = [
        a_body(jobName=f"merge-{n}", dependsOn=[{"jobId": prepare}], **because) for n in range(499)
    ]

    simulation.record([a_failure(0, jobId=prepare, jobName="prepare"), *dependents])
    simulation.run(HOUR)

    [message] = simulation.webex.messages()
    assert message.text.startswith("❌ prepare failed in high-priority: exit code 1; 499 jobs")


def alarm_states(simulation: SimulatedNotices, name: str, metric: str) -> list[tuple[str, int]]:
    """Return the states of an alarm with the minutes that each lasted, from the metric that the
    notifiers published since noon."""
    values = [getattr(tally, metric) for tally in simulation.tallies]
    points = [
        Point(round(at), value)
        for at, value in zip(simulation.reported_at, values, strict=True)
        if value is not None
    ]
    return states(ALARMS[name], points)


@pytest.mark.parametrize(
    ("fault", "name", "metric", "minutes"),
    [
        (Fault(status=503), "NoticesReturnedAlarm", "oldest_notice_age", 40),
        (Fault(status=401), "WebexTokenAlarm", "unauthorized", 5),
    ],
)
def test_an_alarm_fires_in_an_outage_of_webex_and_clears_once_afterwards(
    simulation: SimulatedNotices, fault: Fault, name: str, metric: str, minutes: int
) -> None:
    arrivals = failures(1 / 10, 12)
    simulation.run(2 * HOUR, arrivals)
    simulation.webex.script(fault, times=math.inf)
    simulation.run(6 * HOUR, arrivals)
    simulation.webex.unscript()
    simulation.run(4 * HOUR, arrivals)

    (before, quiet), (during, alarm), (after, _) = alarm_states(simulation, name, metric)

    assert (before, during, after) == ("OK", "ALARM", "OK")
    assert 120 <= quiet <= 120 + minutes
    assert 8 * 60 <= quiet + alarm <= 8 * 60 + 100
