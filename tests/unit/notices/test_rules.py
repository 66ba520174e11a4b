"""Who is told about what, and what is said of rules that make no sense."""

import re

import pytest

from chalicelib.errors import SettingsError
from chalicelib.notices.rules import EVENTS, Rules, RulesError
from local.aws import ROOT

DEFAULT = (ROOT / "chalicelib" / "notices.toml").read_text()


def rooms(
    toml: str,
    event: str = "FAILED",
    queue: str = "gpu",
    job_name: str = "merge",
    tags: dict[str, str] | None = None,
) -> tuple[str, ...]:
    return Rules.parse(toml, "default").rooms(event, queue, job_name, tags or {})


def problems(toml: str, default_room: str | None = "default") -> list[str]:
    with pytest.raises(RulesError) as caught:
        Rules.parse(toml, default_room)
    return str(caught.value).splitlines()


# ------------------------------------------------------------------ what fires


def test_a_rule_is_about_all_jobs_unless_it_says_otherwise() -> None:
    assert rooms("[[rule]]\non = ['FAILED']\nroom = 'lab'") == ("lab",)


def test_a_rule_without_a_room_is_for_the_default_one() -> None:
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
def test_a_rule_fires_if_all_that_it_names_fits(limit: str, fires: bool) -> None:
    told = rooms(f"[[rule]]\non = ['FAILED']\n{limit}", tags={"project": "atlas"})

    assert bool(told) == fires


@pytest.mark.parametrize("event", EVENTS)
def test_a_rule_fires_on_the_events_that_it_names(event: str) -> None:
    others = [other for other in EVENTS if other != event]

    assert rooms(f"[[rule]]\non = ['{event}']", event)
    assert not rooms(f"[[rule]]\non = {others}", event)


def test_each_room_is_told_once_in_the_order_of_the_rules() -> None:
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


def test_a_rule_says_which_of_its_fields_do_not_fit() -> None:
    toml = "[[rule]]\non = ['STUCK']\nqueues = ['gpu']\njobs = ['a']\ntags = {b = 'c'}"
    rule = Rules.parse(toml, "default").rules[0]

    assert rule.mismatches("FAILED", "gpu", "merge", {}) == ("on", "jobs", "tags")


# ------------------------------------------------------------------ the default rules


@pytest.mark.parametrize("event", EVENTS)
def test_the_default_rules_tell_what_needs_a_person(event: str) -> None:
    told = {"FAILED", "STUCK", "QUEUE_BLOCKED", "EVENTS_MISSING", "RECOVERED"}
    assert bool(rooms(DEFAULT, event)) == (event in told)


@pytest.mark.parametrize("limit", ["jobs = ['align']", "tags = {project = 'other'}"])
def test_of_a_queue_itself_a_rule_looks_only_at_its_name(limit: str) -> None:
    rules = Rules.parse(f"[[rule]]\non = ['EVENTS_MISSING']\nqueues = ['gpu']\n{limit}", "room")

    assert rules.rooms("EVENTS_MISSING", "gpu", None, {}) == ("room",)
    assert rules.rooms("EVENTS_MISSING", "cpu", None, {}) == ()


def test_the_default_rules_are_silent_without_a_room() -> None:
    rules = Rules.parse(DEFAULT, None, are_default=True)

    assert rules.silent
    assert rules.rooms("FAILED", "gpu", "merge", {}) == ()


def test_the_default_rules_speak_with_a_room() -> None:
    rules = Rules.parse(DEFAULT, "lab", are_default=True)

    assert not rules.silent
    assert rules.rooms("FAILED", "gpu", "merge", {}) == ("lab",)


def test_changed_default_rules_with_a_room_for_some_are_not_silent_about_the_others() -> None:
    toml = DEFAULT + "[[rule]]\non = ['RUNNING']\nroom = 'lab'"

    with pytest.raises(RulesError, match="rule 1: room"):
        Rules.parse(toml, None, are_default=True)


def test_silent_rules_are_checked_all_the_same() -> None:
    with pytest.raises(RulesError, match="rule 1: on"):
        Rules.parse("[[rule]]\non = []", None, are_default=True)


def test_the_examples_among_the_default_rules_are_good() -> None:
    examples = DEFAULT.partition("# Two examples")[2]
    toml = "\n".join(re.findall(r"^# (\[\[rule\]\]|\w+ = .*)$", examples, re.MULTILINE))

    assert [len(rule.on) for rule in Rules.parse(toml, None).rules] == [2, 4]


def test_no_rules_tell_nothing() -> None:
    assert Rules.parse("", None).silent


# ------------------------------------------------------------------ what makes no sense


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        ("", "on", "is missing; expected a list of events"),
        ("on = []", "on", "is empty; expected a list of events"),
        ("on = 'FAILED'", "on", "expected a list of events"),
        ("on = [1]", "on", "expected a list of events"),
        ("on = ['FAILD']", "on", "'FAILD' is no event, did you mean FAILED?; expected of SUBM"),
        ("on = ['failed']", "on", "'failed' is no event, did you mean FAILED?; expected of SUBM"),
        ("on = ['UNKNOWN']", "on", "'UNKNOWN' is no event"),
        ("on = ['*']", "on", "'*' is no event; expected of SUBMITTED, PENDING"),
        ("queues = 'gpu'", "queues", "expected a list of globs"),
        ("queues = []", "queues", "is empty; expected a list of globs"),
        ("queues = [' ']", "queues", "expected a list of globs"),
        ("jobs = [['a']]", "jobs", "expected a list of globs"),
        ("tags = ['a']", "tags", "expected a table of tag names and globs"),
        ("tags = {a = 1}", "tags", "expected a table of tag names and globs"),
        ("room = 7", "room", "expected the id of a Webex room"),
        ("room = ''", "room", "expected the id of a Webex room"),
        ("queue = ['gpu']", "queue", "no such field, did you mean queues?; expected on, queues"),
        ("name = 'x'", "name", "no such field"),
    ],
)
def test_a_problem_names_the_rule_the_field_and_what_is_expected(
    line: str, field: str, words: str
) -> None:
    on = "" if line.startswith("on") or not line else "on = ['FAILED']"

    found = problems(f"[[rule]]\non = ['RUNNING']\n[[rule]]\n{on}\n{line}")

    assert len(found) == 1
    assert found[0].startswith(f"notice rule 2: {field}: {words}")


def test_a_rule_without_any_room_is_a_problem() -> None:
    assert problems("[[rule]]\non = ['FAILED']", default_room=None) == [
        "notice rule 1: room: is missing, and so is WEBEX_ROOM; "
        "expected the id of a Webex room in either"
    ]


def test_all_problems_are_told_at_once_each_in_a_line() -> None:
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


def test_a_rule_that_is_there_twice_is_a_problem() -> None:
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

    assert problems(toml) == ["notice rule 3: says the same as rule 1; expected each once"]


@pytest.mark.parametrize("toml", ["[rule]\non = ['FAILED']", "rule = 'x'", "rule = [1]"])
def test_rules_in_another_form_are_a_problem(toml: str) -> None:
    assert problems(toml) == ["notice rules: rule: expected [[rule]], in double brackets"]


def test_what_is_no_toml_is_told_with_its_line() -> None:
    assert problems("[[rule]]\non = [") == [
        "notice rules: not TOML: Invalid value (at end of document)"
    ]


def test_a_rules_error_is_one_of_the_settings() -> None:
    assert issubclass(RulesError, SettingsError)
