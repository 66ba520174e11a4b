"""Which rules fire for an event, and the error messages for bad rules."""

import re

import pytest

from chalicelib.errors import SettingsError
from chalicelib.jobs.failure import Cause
from chalicelib.notices.rules import EVENTS, Rules, RulesError
from local.aws import ROOT

DEFAULT = (ROOT / "chalicelib" / "notices.toml").read_text()


def rooms(
    toml: str,
    event: str = "FAILED",
    queue: str = "gpu",
    job_name: str = "merge",
    tags: dict[str, str] | None = None,
    cause: Cause | None = None,
) -> tuple[str, ...]:
    return Rules.parse(toml, "default").rooms(event, queue, job_name, tags or {}, cause)


def problems(toml: str, default_room: str | None = "default") -> list[str]:
    with pytest.raises(RulesError) as caught:
        Rules.parse(toml, default_room)
    return str(caught.value).splitlines()


# ------------------------------------------------------------------ which rules fire


def test_a_rule_matches_all_queues_and_jobs_by_default() -> None:
    assert rooms("[[rule]]\non = ['FAILED']\nroom = 'lab'") == ("lab",)


def test_a_rule_without_a_room_uses_the_default_room() -> None:
    assert rooms("[[rule]]\non = ['FAILED']") == ("default",)


@pytest.mark.parametrize(
    ("limit", "fires"),
    [
        ("queues = ['gpu']", True),
        ("queues = ['cpu', 'g*']", True),
        ("queues = ['GPU']", False),
        ("queues = ['gp']", False),
        ("jobs = ['m?rge']", True),
        ("jobs = ['[!m]*']", False),
        ("tags = {}", True),
        ("tags = {project = 'at*'}", True),
        ("tags = {project = 'at*', owner = '*'}", False),
        ("tags = {project = 'other'}", False),
        ("queues = ['gpu']\njobs = ['align']", False),
        ("queues = ['cpu']\njobs = ['merge']", False),
    ],
)
def test_a_rule_fires_if_all_of_its_fields_match(limit: str, fires: bool) -> None:
    found = rooms(f"[[rule]]\non = ['FAILED']\n{limit}", tags={"project": "atlas"})

    assert bool(found) == fires


@pytest.mark.parametrize(
    ("limit", "cause", "fires"),
    [
        ("causes = ['OUT_OF_MEMORY', 'TIMEOUT']", Cause.TIMEOUT, True),
        ("causes = ['OUT_OF_MEMORY']", Cause.EXIT_CODE, False),
        ("not_causes = ['CANCELLED']", Cause.CANCELLED, False),
        ("not_causes = ['CANCELLED']", Cause.EXIT_CODE, True),
        ("causes = ['TIMEOUT']\nnot_causes = ['CANCELLED']", Cause.UNKNOWN, False),
        ("causes = ['OUT_OF_MEMORY']", None, True),
    ],
)
def test_a_rule_selects_failures_by_cause(limit: str, cause: Cause | None, fires: bool) -> None:
    assert bool(rooms(f"[[rule]]\non = ['FAILED']\n{limit}", cause=cause)) == fires


@pytest.mark.parametrize("event", EVENTS)
def test_a_rule_fires_for_the_events_that_it_lists(event: str) -> None:
    others = [other for other in EVENTS if other != event]

    assert rooms(f"[[rule]]\non = ['{event}']", event)
    assert not rooms(f"[[rule]]\non = {others}", event)


def test_each_room_is_returned_once_in_the_order_of_the_rules() -> None:
    toml = """
        [[rule]]
        on = ["FAILED"]
        room = "b"
        [[rule]]
        on = ["FAILED"]
        queues = ["g*"]
        room = "a"
        [[rule]]
        on = ["SUCCEEDED", "FAILED"]
        room = "b"
    """

    assert rooms(toml) == ("b", "a")


def test_a_rule_returns_its_fields_that_do_not_match() -> None:
    toml = "[[rule]]\non = ['STUCK']\nqueues = ['gpu']\njobs = ['a']\ntags = {b = 'c'}"
    rule = Rules.parse(toml, "default").rules[0]

    assert rule.mismatches("FAILED", "gpu", "merge", {}) == ("on", "jobs", "tags")


# ------------------------------------------------------------------ the default rules


@pytest.mark.parametrize("event", EVENTS)
def test_the_default_rules_announce_what_needs_attention(event: str) -> None:
    announced = {"FAILED", "STUCK", "QUEUE_BLOCKED", "EVENTS_MISSING", "RECOVERED"}
    assert bool(rooms(DEFAULT, event)) == (event in announced)


@pytest.mark.parametrize("cause", Cause)
def test_the_default_rules_do_not_announce_jobs_that_a_caller_ended(cause: Cause) -> None:
    assert bool(rooms(DEFAULT, cause=cause)) == (cause not in (Cause.CANCELLED, Cause.TERMINATED))


@pytest.mark.parametrize("limit", ["jobs = ['align']", "tags = {project = 'other'}"])
def test_jobs_and_tags_are_ignored_for_an_event_about_a_queue(limit: str) -> None:
    rules = Rules.parse(f"[[rule]]\non = ['EVENTS_MISSING']\nqueues = ['gpu']\n{limit}", "room")

    assert rules.rooms("EVENTS_MISSING", "gpu", None, {}) == ("room",)
    assert rules.rooms("EVENTS_MISSING", "cpu", None, {}) == ()


def test_the_default_rules_are_empty_without_a_room() -> None:
    rules = Rules.parse(DEFAULT, None, are_default=True)

    assert rules.is_empty
    assert rules.rooms("FAILED", "gpu", "merge", {}) == ()


def test_the_default_rules_use_the_default_room() -> None:
    rules = Rules.parse(DEFAULT, "lab", are_default=True)

    assert not rules.is_empty
    assert rules.rooms("FAILED", "gpu", "merge", {}) == ("lab",)


def test_changed_default_rules_with_only_some_rooms_are_an_error_without_a_default_room() -> None:
    toml = DEFAULT + "[[rule]]\non = ['RUNNING']\nroom = 'lab'"

    with pytest.raises(RulesError, match="rule 1: room"):
        Rules.parse(toml, None, are_default=True)


def test_default_rules_without_a_room_are_still_validated() -> None:
    with pytest.raises(RulesError, match="rule 1: on"):
        Rules.parse("[[rule]]\non = []", None, are_default=True)


def test_the_examples_in_the_comments_of_the_default_rules_are_valid() -> None:
    examples = DEFAULT.partition("# Two examples")[2]
    toml = "\n".join(re.findall(r"^# (\[\[rule\]\]|\w+ = .*)$", examples, re.MULTILINE))

    assert [len(rule.on) for rule in Rules.parse(toml, None).rules] == [2, 4]


def test_an_empty_file_contains_no_rules() -> None:
    assert Rules.parse("", None).is_empty


# ------------------------------------------------------------------ bad rules


@pytest.mark.parametrize(
    ("line", "field", "message"),
    [
        ("", "on", "is missing; expected a list of events"),
        ("on = []", "on", "got []; expected a list of events"),
        ("on = 'FAILED'", "on", "got 'FAILED'; expected a list of events"),
        ("on = [1]", "on", "got [1]; expected a list of events"),
        (
            "on = ['FAILD']",
            "on",
            "'FAILD' is not an event, did you mean FAILED?; expected one of S",
        ),
        (
            "on = ['failed']",
            "on",
            "'failed' is not an event, did you mean FAILED?; expected one of S",
        ),
        ("on = ['UNKNOWN']", "on", "'UNKNOWN' is not an event"),
        ("on = ['*']", "on", "'*' is not an event; expected one of SUBMITTED, PENDING"),
        ("queues = 'gpu'", "queues", "got 'gpu'; expected a list of globs"),
        ("queues = []", "queues", "got []; expected a list of globs"),
        ("queues = [' ']", "queues", "got [' ']; expected a list of globs"),
        ("jobs = [['a']]", "jobs", "got [['a']]; expected a list of globs"),
        ("tags = ['a']", "tags", "got ['a']; expected a table of tag names and globs"),
        ("tags = {a = 1}", "tags", "got {'a': 1}; expected a table of tag names and globs"),
        ("room = 7", "room", "got 7; expected the id of a Webex room"),
        ("room = ''", "room", "got ''; expected the id of a Webex room"),
        (f"room = '{501 * 'r'}'", "room", f"got '{79 * 'r'}…; expected the id of a Webex room"),
        (
            "queue = ['g']",
            "queue",
            "unknown field, did you mean queues?; expected one of on, queues",
        ),
        ("name = 'x'", "name", "unknown field; expected one of on, queues"),
        (
            "queues = ['arn:aws:batch:eu-west-1:1:job-queue/gpu']",
            "queues",
            "'arn:aws:batch:eu-west-1:1:job-queue/gpu' matches no name; "
            "use the name at the end of the ARN: 'gpu'",
        ),
        ("jobs = ['a', 'b ']", "jobs", "'b ' matches no name; remove the blank: 'b'"),
        ("jobs = ['!x']", "jobs", "'!x' matches no name; a glob can't exclude names"),
        ("causes = []", "causes", "got []; expected a list of causes"),
        ("causes = 'TIMEOUT'", "causes", "got 'TIMEOUT'; expected a list of causes"),
        (
            "not_causes = ['CANCELED']",
            "not_causes",
            "'CANCELED' is not a cause, did you mean CANCELLED?; expected one of EXIT_CODE",
        ),
    ],
)
def test_an_error_names_the_rule_the_field_what_was_given_and_what_is_expected(
    line: str, field: str, message: str
) -> None:
    on = "" if line.startswith("on") or not line else "on = ['FAILED']"

    found = problems(f"[[rule]]\non = ['RUNNING']\n[[rule]]\n{on}\n{line}")

    assert len(found) == 1
    assert found[0].startswith(f"notice rule 2: {field}: {message}")


def test_a_rule_with_causes_announces_failures() -> None:
    assert problems("[[rule]]\non = ['STUCK']\ncauses = ['TIMEOUT']") == [
        "notice rule 1: causes: only failures have a cause; expected FAILED in on"
    ]


def test_a_rule_without_any_room_is_an_error() -> None:
    assert problems("[[rule]]\non = ['FAILED']", default_room=None) == [
        "notice rule 1: room: is missing, and WEBEX_ROOM is not set; "
        "expected the id of a Webex room, 500 bytes at most, in either"
    ]


def test_all_problems_are_reported_at_once_one_on_each_line() -> None:
    toml = "x = 1\n[[rule]]\non = ['A', 'B']\njobs = 1\n[[rule]]\nroom = 1\nzz = 2\nyy = 3\n"

    found = problems(toml)

    assert [line.split(": ")[:2] for line in found] == [
        ["notice rules", "x"],
        ["notice rule 1", "on"],
        ["notice rule 1", "on"],
        ["notice rule 1", "jobs"],
        ["notice rule 2", "yy"],
        ["notice rule 2", "zz"],
        ["notice rule 2", "on"],
        ["notice rule 2", "room"],
    ]


def test_a_duplicate_rule_is_an_error() -> None:
    toml = """
        [[rule]]
        on = ["FAILED", "STUCK"]
        [[rule]]
        on = ["FAILED"]
        [[rule]]
        on = ["STUCK", "FAILED"]
        queues = ["*"]
        room = "default"
    """

    assert problems(toml) == ["notice rule 3: is the same as rule 1; expected different rules"]


@pytest.mark.parametrize("toml", ["[rule]\non = ['FAILED']", "rule = 'x'", "rule = [1]"])
def test_rules_that_are_not_an_array_of_tables_are_an_error(toml: str) -> None:
    assert problems(toml) == ["notice rules: rule: expected [[rule]], in double brackets"]


def test_invalid_toml_is_reported_with_its_position() -> None:
    assert problems("[[rule]]\non = [") == [
        "notice rules: not TOML: Invalid value (at end of document)"
    ]


def test_a_rules_error_is_a_settings_error() -> None:
    assert issubclass(RulesError, SettingsError)
