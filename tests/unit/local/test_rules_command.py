"""`python -m local.rules`: are the rules right, and what would they make of an event?"""

import json
from pathlib import Path
from typing import Any

import pytest

from local.rules import main
from tests.support.builders import a_detail, a_service_detail, an_attempt, an_envelope, an_event

RULES = """
[[rule]]
on = ["FAILED"]
queues = ["gpu", "spot-*"]
room = "gpu-room"

[[rule]]
on = ["FAILED", "SUCCEEDED", "QUEUE_BLOCKED"]
room = "lab"
"""


class Answer:
    """What the command printed."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status = status
        self.lines = out.splitlines()
        self.errors = err.splitlines()


class Command:
    """Runs it with an environment and, if there is one, an event in a file."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file = folder / "event.json"
        self._capsys = capsys

    def check(self, **environment: str) -> Answer:
        return self._run(["check"], environment)

    def explain(self, event: Any, **environment: str) -> Answer:
        self._file.write_text(event if isinstance(event, str) else json.dumps(event))
        return self._run(["explain", str(self._file)], environment)

    def _run(self, arguments: list[str], environment: dict[str, str]) -> Answer:
        status = main(arguments, environment)
        return Answer(status, *self._capsys.readouterr())


@pytest.fixture
def rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


# ------------------------------------------------------------------ check


def test_good_rules_are_listed(rules: Command) -> None:
    toml = f"{RULES}\n[[rule]]\non = ['STUCK']\njobs = ['a*']\ntags = {{project = 'x', z = '*'}}"

    answer = rules.check(NOTICE_RULES=toml, WEBEX_ROOM="default")

    assert answer.status == 0
    assert answer.lines == [
        "rule 1: FAILED of queues gpu, spot-*, to gpu-room",
        "rule 2: FAILED, QUEUE_BLOCKED, SUCCEEDED of all jobs, to lab",
        "rule 3: STUCK of jobs a*, tags project = x, z = *, to default",
        "the rules are good",
    ]


def test_the_rules_that_come_with_batchwatch_are_good(rules: Command) -> None:
    answer = rules.check(WEBEX_ROOM="lab")

    assert answer.lines == [
        "rule 1: EVENTS_MISSING, FAILED, QUEUE_BLOCKED, RECOVERED, STUCK of all jobs, to lab",
        "the rules are good",
    ]


def test_without_any_room_it_is_said_that_nobody_is_told(rules: Command) -> None:
    answer = rules.check()

    assert answer.status == 0
    assert answer.lines[0].endswith("to nobody, as WEBEX_ROOM is not set")


def test_no_rules_are_said_to_tell_nothing(rules: Command) -> None:
    assert rules.check(NOTICE_RULES="# none\n# at all").lines == [
        "there are no rules, so nobody is told anything"
    ]


def test_bad_rules_are_errors_each_in_a_line(rules: Command) -> None:
    answer = rules.check(
        NOTICE_RULES="[[rule]]\non = ['FAILD']\n[[rule]]\njobs = 1\non = ['STUCK']"
    )

    assert answer.status == 1
    assert answer.lines == []
    assert [line.split(": ")[:3] for line in answer.errors] == [
        ["error", "notice rule 1", "on"],
        ["error", "notice rule 1", "room"],
        ["error", "notice rule 2", "jobs"],
        ["error", "notice rule 2", "room"],
    ]


def test_a_rules_file_that_is_not_there_is_one_error(rules: Command) -> None:
    answer = rules.check(NOTICE_RULES="none.toml")

    assert answer.status == 1
    assert answer.errors == ["error: notice rules: can't read none.toml: No such file or directory"]


# ------------------------------------------------------------------ explain


def a_failure(**fields: Any) -> dict[str, Any]:
    attempts = [an_attempt(container={"exitCode": 1})]
    return an_event(jobId="4c75", status="FAILED", attempts=attempts, **fields)


def test_it_says_which_rules_fire_why_others_do_not_and_shows_the_message(rules: Command) -> None:
    answer = rules.explain(a_failure(), NOTICE_RULES=RULES)

    assert answer.status == 0
    assert answer.lines[:5] == [
        "FAILED: align (4c75) in high-priority",
        "rule 1 does not fire: queues is gpu, spot-*",
        "rule 2 fires, to lab",
        "",
        "❌ **align** failed in **high-priority**: exit code 1",
    ]


def test_if_no_rule_fires_it_says_why_none_does(rules: Command) -> None:
    answer = rules.explain(an_event(jobId="4c75", status="RUNNING"), NOTICE_RULES=RULES)

    assert answer.lines == [
        "RUNNING: align (4c75) in high-priority",
        "rule 1 does not fire: on is FAILED; queues is gpu, spot-*",
        "rule 2 does not fire: on is FAILED, QUEUE_BLOCKED, SUCCEEDED",
        "nobody is told",
    ]


def test_a_bare_detail_will_do(rules: Command) -> None:
    answer = rules.explain(a_detail(jobId="4c75", status="SUCCEEDED"), NOTICE_RULES=RULES)

    assert "✅ **align** succeeded in **high-priority**" in answer.lines


def test_the_message_has_the_time_zone_and_the_links_of_the_settings(rules: Command) -> None:
    answer = rules.explain(
        a_failure(),
        NOTICE_RULES=RULES,
        TIME_ZONE="Asia/Kolkata",
        PUBLIC_URL="https://batch.example/prod/",
    )

    assert answer.lines[-2].rstrip().endswith(" IST")
    assert "(https://batch.example/prod/#/jobs/4c75)" in answer.lines[-1]


@pytest.mark.parametrize(
    ("event", "first"),
    [
        (a_failure() | {"detail-type": "Batch Job Queue Blocked"}, "⛔ Queue **high-priority** is"),
        (
            an_envelope("Batch Service Job Queue Blocked", a_service_detail(status="RUNNABLE")),
            "⛔ Queue **training** is blocked",
        ),
        (
            a_failure(arrayProperties={"size": 9, "statusSummary": {"FAILED": 2}}),
            "❌ **align** fai",
        ),
        (an_event(jobId="4c75:3", status="FAILED"), "⚠️ Child 3 of **align** failed"),
    ],
)
def test_each_kind_of_notice_shows_its_message(
    rules: Command, event: dict[str, Any], first: str
) -> None:
    answer = rules.explain(event, NOTICE_RULES=RULES)

    assert answer.lines[4].startswith(first)


def test_the_end_of_an_array_is_shown_with_its_counts(rules: Command) -> None:
    summary = {"FAILED": 2, "SUCCEEDED": 6}
    event = a_failure(arrayProperties={"size": 9, "statusSummary": summary})

    answer = rules.explain(event, NOTICE_RULES=RULES)

    assert "6 succeeded, 2 failed, 1 with no recorded result" in "\n".join(answer.lines)


@pytest.mark.parametrize(
    ("job_id", "status", "why"),
    [
        ("4c75:3", "SUCCEEDED", "of an array's children only the first failure is told"),
        ("4c75#1", "FAILED", "a node is told with its multi-node job"),
    ],
)
def test_it_says_why_a_part_of_a_job_is_not_told(
    rules: Command, job_id: str, status: str, why: str
) -> None:
    answer = rules.explain(an_event(jobId=job_id, status=status), NOTICE_RULES=RULES)

    assert answer.lines[-1].startswith(f"nobody is told: {why}")


def test_without_any_room_the_message_is_shown_all_the_same(rules: Command) -> None:
    answer = rules.explain(a_failure())

    assert answer.lines[1] == "rule 1 fires, to nobody, as WEBEX_ROOM is not set"
    assert answer.lines[3].startswith("❌ **align** failed")


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ("{", "not JSON"),
        ("[]", "must hold one JSON object"),
        ({"status": "FAILED"}, "no jobId"),
        (a_detail(status=1), "`$.detail.status`"),
        (a_detail(jobId="a b"), "jobId is not a Batch job id"),
        ({"detail-type": "Scheduled Event", "detail": {}}, "no rule is about a Scheduled Event"),
    ],
)
def test_an_event_that_makes_no_sense_is_one_error(rules: Command, event: Any, words: str) -> None:
    answer = rules.explain(event, NOTICE_RULES=RULES)

    assert answer.status == 1
    assert len(answer.errors) == 1
    assert answer.errors[0].startswith("error: ")
    assert words in answer.errors[0]


@pytest.mark.parametrize("zone", ["Mars", "/etc/localtime", "Europe"])
def test_a_time_zone_that_is_none_is_one_error(rules: Command, zone: str) -> None:
    answer = rules.explain(a_failure(), NOTICE_RULES=RULES, TIME_ZONE=zone)

    assert answer.errors == [f"error: TIME_ZONE: {zone} is no IANA time zone, such as Europe/Paris"]


def test_without_an_event_it_says_how_to_name_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["explain"], {})

    assert "make explain-rules EVENT=file.json" in capsys.readouterr().err
