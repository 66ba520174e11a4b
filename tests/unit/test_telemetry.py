"""A tally declares its metrics; a report is one JSON line; every alarm watches a metric that is
reported."""

import importlib
import json
import pkgutil
import re
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

import chalicelib
from chalicelib import telemetry
from chalicelib.telemetry import LogEvent, Tally, count, ids, metrics_of, reporter, seconds
from local.aws import ROOT


@dataclass(kw_only=True)
class ExampleTally(Tally):
    EVENT = LogEvent.BATCH_RECORDED

    received: int = count("Recorded")
    unchanged: int = count("Unchanged")
    age: int | None = seconds("OldestEventAge")
    lost_jobs: list[str] = ids("JobsUnknownToBatch")
    reasons: set[str] = field(default_factory=set)
    failed_rooms: dict[str, str] = field(default_factory=dict)
    left: bool = False


LogLine = dict[str, object]
Logged = Callable[[Callable[[], None]], list[LogLine]]


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Logged:
    """Returns the JSON lines that a call writes."""

    def lines_of(call: Callable[[], None]) -> list[LogLine]:
        # The handler keeps the standard output of the test that created the logger.
        monkeypatch.setattr(telemetry.logger().registered_handler, "stream", sys.stdout)
        call()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return lines_of


def declared_tallies() -> list[type[Tally]]:
    for module in pkgutil.walk_packages(chalicelib.__path__, "chalicelib."):
        if module.name != "chalicelib.bootstrap":  # reads the environment
            importlib.import_module(module.name)
    return [tally for tally in Tally.__subclasses__() if tally.__module__.startswith("chalicelib.")]


def test_a_report_is_one_line_with_the_figures_and_one_record_of_metrics(logged: Logged) -> None:
    tally = ExampleTally(received=3, age=17, lost_jobs=["b", "a"], left=True)

    metrics, line = logged(lambda: reporter("jobs")(tally))

    assert (metrics["Recorded"], metrics["OldestEventAge"]) == ([3], [17])
    assert metrics["JobsUnknownToBatch"] == [2]
    assert metrics["service"] == "jobs"
    assert line["message"] == "batch_recorded"
    assert (line["recorded"], line["oldestEventAge"], line["jobsUnknownToBatch"]) == (3, 17, 2)
    assert (line["lostJobs"], line["left"]) == (["a", "b"], True)


def test_an_empty_collection_and_a_missing_duration_are_not_logged(logged: Logged) -> None:
    metrics, line = logged(lambda: reporter("jobs")(ExampleTally()))

    assert "OldestEventAge" not in metrics
    assert not {"oldestEventAge", "age", "lostJobs", "reasons", "failedRooms"} & line.keys()
    assert (line["recorded"], line["left"]) == (0, False)


def test_at_most_five_elements_are_logged_and_all_are_counted(logged: Logged) -> None:
    names = [f"job-{number}" for number in range(9)]

    tally = ExampleTally(lost_jobs=names, reasons=set(names))

    metrics, line = logged(lambda: reporter("jobs")(tally))

    assert metrics["JobsUnknownToBatch"] == [9]
    assert line["lostJobs"] == line["reasons"] == names[:5]


def test_a_figure_that_no_alarm_needs_is_logged_only(logged: Logged) -> None:
    metrics, line = logged(lambda: reporter("jobs")(ExampleTally(unchanged=7)))

    assert line["unchanged"] == 7
    assert "Unchanged" not in metrics


def test_every_published_metric_is_declared_by_a_tally() -> None:
    declared = {
        metric.name for tally in declared_tallies() for metric in metrics_of(tally).values()
    }

    assert declared >= telemetry.PUBLISHED


def test_a_warning_has_its_fields_and_the_place_that_logged_it(logged: Logged) -> None:
    def warn() -> None:
        telemetry.warning(LogEvent.SQS_CALL_FAILED, queue="events", error="AccessDenied")

    (line,) = logged(warn)

    assert (line["level"], line["message"]) == ("WARNING", "sqs_call_failed")
    assert (line["queue"], line["error"]) == ("events", "AccessDenied")
    assert str(line["location"]).startswith("warn:")


def test_every_log_event_that_an_alarm_names_exists() -> None:
    resources = (ROOT / "infra" / "resources.json").read_text()

    named = set(re.findall(r"log lines? `(\w+)`", resources))

    assert named
    assert named <= set(LogEvent)


@pytest.mark.parametrize("event", LogEvent)
def test_every_log_event_is_used(event: LogEvent) -> None:
    sources = (path.read_text() for path in (ROOT / "chalicelib").rglob("*.py"))

    assert any(f"LogEvent.{event.name}" in source for source in sources)


def test_no_metric_is_declared_twice() -> None:
    declared = Counter(
        metric.name for tally in declared_tallies() for metric in metrics_of(tally).values()
    )

    assert [name for name, times in declared.items() if times > 1] == []


def test_each_tally_has_an_event_of_its_own() -> None:
    events = Counter(tally.EVENT for tally in declared_tallies())

    assert events
    assert set(events.values()) == {1}
