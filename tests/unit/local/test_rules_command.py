"""`python -m local.rules`: the output of `make check-rules` and `make explain-rules`."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.rules import NO_TAGS, main
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


class Output:
    """The exit code of the command, and the lines that it printed."""

    def __init__(self, exit_code: int, out: str, err: str) -> None:
        self.exit_code = exit_code
        self.lines = out.splitlines()
        self.errors = err.splitlines()


class Command:
    """Runs the command with an environment and, for `explain`, an event in a file."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._file = folder / "event.json"
        self._capsys = capsys

    def check(self, **environment: str) -> Output:
        return self._run(["check"], environment)

    def explain(self, event: Any, **environment: str) -> Output:
        self._file.write_text(event if isinstance(event, str) else json.dumps(event))
        return self._run(["explain", str(self._file)], environment)

    def _run(self, arguments: list[str], environment: dict[str, str]) -> Output:
        exit_code = main(arguments, environment)
        return Output(exit_code, *self._capsys.readouterr())


@pytest.fixture
def rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


# ------------------------------------------------------------------ check


def test_valid_rules_are_listed(rules: Command) -> None:
    toml = f"{RULES}\n[[rule]]\non = ['STUCK']\njobs = ['a*']\ntags = {{project = 'x', z = '*'}}"

    output = rules.check(NOTICE_RULES=toml, WEBEX_ROOM="default")

    assert output.exit_code == 0
    assert output.lines == [
        "rule 1: FAILED for queues gpu, spot-*, in room gpu-room",
        "rule 2: FAILED, QUEUE_BLOCKED, SUCCEEDED for all jobs, in room lab",
        "rule 3: STUCK for jobs a*, tags project = x, z = *, in room default",
        f"rule 3: {NO_TAGS}",
        "the rules are valid",
    ]


def test_the_default_rules_are_valid(rules: Command) -> None:
    output = rules.check(WEBEX_ROOM="lab")

    assert output.lines == [
        "rule 1: EVENTS_MISSING, FAILED, QUEUE_BLOCKED, RECOVERED, STUCK for not_causes CANCELLED, "
        "TERMINATED, in room lab",
        "the rules are valid",
    ]


def test_the_default_rules_are_listed_without_a_room(rules: Command) -> None:
    output = rules.check()

    assert output.exit_code == 0
    assert output.lines[0].endswith("in room (none: WEBEX_ROOM is not set)")


def test_an_empty_file_is_reported(rules: Command) -> None:
    assert rules.check(NOTICE_RULES="# none\n# at all").lines == [
        "there are no rules: no notices are sent"
    ]


def test_each_problem_of_bad_rules_is_an_error_on_its_own_line(rules: Command) -> None:
    output = rules.check(
        NOTICE_RULES="[[rule]]\non = ['FAILD']\n[[rule]]\njobs = 1\non = ['STUCK']"
    )

    assert output.exit_code == 1
    assert output.lines == []
    assert [line.split(": ")[:3] for line in output.errors] == [
        ["error", "notice rule 1", "on"],
        ["error", "notice rule 1", "room"],
        ["error", "notice rule 2", "jobs"],
        ["error", "notice rule 2", "room"],
    ]


def test_a_missing_rules_file_is_one_error(rules: Command) -> None:
    output = rules.check(NOTICE_RULES="none.toml")

    assert output.exit_code == 1
    assert output.errors == ["error: notice rules: can't read none.toml: No such file or directory"]


# ------------------------------------------------------------------ explain


def a_failure(**fields: Any) -> dict[str, Any]:
    attempts = [an_attempt(container={"exitCode": 1})]
    return an_event(jobId="4c75", status="FAILED", attempts=attempts, **fields)


def test_the_rules_that_fire_the_mismatches_of_others_and_the_message_are_printed(
    rules: Command,
) -> None:
    output = rules.explain(a_failure(), NOTICE_RULES=RULES)

    assert output.exit_code == 0
    assert output.lines[:5] == [
        "FAILED: align (4c75) in high-priority, cause EXIT_CODE",
        "rule 1 does not fire, no match: queues = gpu, spot-*",
        "rule 2 fires, in room lab",
        "",
        "❌ **align** failed in **high-priority**: exit code 1",
    ]


def test_if_no_rule_fires_the_mismatches_of_all_are_printed(rules: Command) -> None:
    output = rules.explain(an_event(jobId="4c75", status="RUNNING"), NOTICE_RULES=RULES)

    assert output.lines == [
        "RUNNING: align (4c75) in high-priority",
        "rule 1 does not fire, no match: on = FAILED; queues = gpu, spot-*",
        "rule 2 does not fire, no match: on = FAILED, QUEUE_BLOCKED, SUCCEEDED",
        "no notice is sent",
    ]


def test_a_cause_that_the_rule_excludes_is_printed(rules: Command) -> None:
    detail = a_detail(status="FAILED", statusReason="Canceled by user: x")

    output = rules.explain(detail, WEBEX_ROOM="lab")

    assert output.lines[0].endswith(", cause CANCELLED")
    assert output.lines[1:] == [
        "rule 1 does not fire, no match: not_causes = CANCELLED, TERMINATED",
        "no notice is sent",
    ]


def test_a_rule_with_tags_does_not_fire_for_a_service_job(rules: Command) -> None:
    toml = "[[rule]]\non = ['FAILED']\ntags = {project = 'x'}\nroom = 'lab'"
    event = an_envelope("Batch Service Job State Change", a_service_detail(status="FAILED"))

    output = rules.explain(event, NOTICE_RULES=toml)

    assert output.lines[2] == f"rule 1: {NO_TAGS}"


def test_the_file_can_contain_only_the_detail(rules: Command) -> None:
    output = rules.explain(a_detail(jobId="4c75", status="SUCCEEDED"), NOTICE_RULES=RULES)

    assert "✅ **align** succeeded in **high-priority**" in output.lines


def test_the_message_uses_the_time_zone_and_the_public_url(rules: Command) -> None:
    output = rules.explain(
        a_failure(),
        NOTICE_RULES=RULES,
        TIME_ZONE="Asia/Kolkata",
        PUBLIC_URL="https://batch.example/prod/",
    )

    assert output.lines[-2].rstrip().endswith(" IST")
    assert "(https://batch.example/prod/#/jobs/4c75)" in output.lines[-1]


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
def test_the_message_of_each_kind_of_notice_is_printed(
    rules: Command, event: dict[str, Any], first: str
) -> None:
    output = rules.explain(event, NOTICE_RULES=RULES)

    assert output.lines[4].startswith(first)


def test_the_message_of_an_arrays_end_contains_the_counts_of_its_children(rules: Command) -> None:
    summary = {"FAILED": 2, "SUCCEEDED": 6}
    event = a_failure(arrayProperties={"size": 9, "statusSummary": summary})

    output = rules.explain(event, NOTICE_RULES=RULES)

    assert "6 succeeded, 2 failed, 1 with no recorded result" in "\n".join(output.lines)


@pytest.mark.parametrize(
    ("job_id", "status", "why"),
    [
        ("4c75:3", "SUCCEEDED", "of an array's children only a failed one is announced"),
        ("4c75#1", "FAILED", "a node is part of its multi-node job"),
    ],
)
def test_the_reason_is_printed_if_a_part_of_a_job_is_not_announced(
    rules: Command, job_id: str, status: str, why: str
) -> None:
    output = rules.explain(an_event(jobId=job_id, status=status), NOTICE_RULES=RULES)

    assert output.lines[-1].startswith(f"no notice is sent: {why}")


def test_the_message_is_printed_without_a_room(rules: Command) -> None:
    output = rules.explain(a_failure())

    assert output.lines[1] == "rule 1 fires, in room (none: WEBEX_ROOM is not set)"
    assert output.lines[3].startswith("❌ **align** failed")


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "must contain one JSON object"),
        ({"status": "FAILED"}, "jobId not found"),
        (a_detail(status=1), "`$.detail.status`"),
        (a_detail(jobId="a b"), "jobId is not a Batch job id"),
        (
            {"detail-type": "Scheduled Event", "detail": {}},
            "notice rules don't apply to the detail-type Scheduled Event",
        ),
    ],
)
def test_an_unusable_event_is_one_error(rules: Command, event: Any, problem: str) -> None:
    output = rules.explain(event, NOTICE_RULES=RULES)

    assert output.exit_code == 1
    assert len(output.errors) == 1
    assert output.errors[0].startswith("error: ")
    assert problem in output.errors[0]


@pytest.mark.parametrize("zone", ["Mars", "/etc/localtime", "Europe"])
def test_an_invalid_time_zone_is_one_error(rules: Command, zone: str) -> None:
    output = rules.explain(a_failure(), NOTICE_RULES=RULES, TIME_ZONE=zone)

    assert output.errors == [
        f"error: TIME_ZONE: expected an IANA time zone such as Europe/Paris, not {zone}"
    ]


def test_a_missing_event_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["explain"], {})

    assert "EVENT is missing: make explain-rules EVENT=file.json" in capsys.readouterr().err
