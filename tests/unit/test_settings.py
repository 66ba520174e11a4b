"""Settings are read once, checked at start, and documented."""

import dataclasses

import pytest

from chalicelib.errors import SettingsError
from chalicelib.settings import Settings
from local.aws import ROOT
from tests.support.builders import REQUIRED_SETTINGS


def test_defaults_need_only_the_names_of_the_resources() -> None:
    settings = Settings.from_environment(REQUIRED_SETTINGS)

    assert settings.event_sources == ("aws.batch",)
    assert (settings.batch_size, settings.batch_window, settings.retention_days) == (500, 5, 0)


def test_lists_are_read() -> None:
    environment = REQUIRED_SETTINGS | {
        "EVENT_SOURCES": "aws.batch, x",
        "REDACT_PATTERNS": "acme-\\d+\nz",
    }

    settings = Settings.from_environment(environment)

    assert settings.event_sources == ("aws.batch", "x")
    assert settings.redact_patterns.text("acme-17 zoo") == "REDACTED REDACTEDoo"


@pytest.mark.parametrize(
    ("text", "seconds"), [("24h", 86_400), ("90 m", 5_400), ("7d", 604_800), ("60", 60), ("5s", 5)]
)
def test_durations_have_units(text: str, seconds: int) -> None:
    settings = Settings.from_environment(REQUIRED_SETTINGS | {"NOTICE_MAX_AGE": text})

    assert settings.notice_max_age.total_seconds() == seconds


def test_ages_that_are_not_named_keep_their_defaults() -> None:
    ages = Settings.from_environment(
        REQUIRED_SETTINGS | {"REPAIR_AFTER": "RUNNING=6h"}
    ).repair_after

    assert (ages["RUNNING"].seconds, ages["STARTING"].seconds) == (6 * 3600, 15 * 60)
    with pytest.raises(
        SettingsError, match="REPAIR_AFTER can't be read: 'FAILED' is none of SUBMITTED"
    ):
        Settings.from_environment(REQUIRED_SETTINGS | {"REPAIR_AFTER": "FAILED=1h"})
    with pytest.raises(SettingsError, match="STUCK_AFTER can't be read: 'RUNNING' is none of"):
        Settings.from_environment(REQUIRED_SETTINGS | {"STUCK_AFTER": "RUNNING=6h"})


@pytest.mark.parametrize("variable", REQUIRED_SETTINGS)
@pytest.mark.parametrize("value", [None, "", " "])
def test_a_missing_variable_is_named(variable: str, value: str | None) -> None:
    environment = {name: text for name, text in REQUIRED_SETTINGS.items() if name != variable}
    if value is not None:
        environment[variable] = value

    with pytest.raises(SettingsError, match=f"^{variable} is not set"):
        Settings.from_environment(environment)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BATCH_SIZE", "many"),
        ("BATCH_SIZE", "0"),
        ("BATCH_SIZE", "501"),
        ("REPAIR_AFTER", "RUNNING=7d"),
        ("BATCH_WINDOW", "0"),
        ("RETENTION_DAYS", "-1"),
        ("REDACT_PATTERNS", "("),
        ("REDACT_PATTERNS", ".*"),
        ("EVENT_SOURCES", ","),
        ("NOTICE_MAX_AGE", "a day"),
        ("TIME_ZONE", "Berlin"),
        ("TIME_ZONE", "../etc/passwd"),
    ],
)
def test_a_wrong_value_is_refused_by_name(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} "):
        Settings.from_environment(REQUIRED_SETTINGS | {variable: value})


def test_every_variable_is_documented() -> None:
    documented = (ROOT / "docs" / "configuration.md").read_text()

    for field in dataclasses.fields(Settings):
        default = field.metadata["default"]
        row = f"| `{field.name.upper()}` | {field.metadata['meaning']} |"
        assert row in documented, field.name
        assert default is None or f"`{default}`" in documented or default == ""
