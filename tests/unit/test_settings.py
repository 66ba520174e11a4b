"""Settings are validated at start, and documented as they are declared."""

import dataclasses
import re
from datetime import timedelta

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


def test_a_status_that_is_not_named_keeps_its_default() -> None:
    durations = Settings.from_environment(
        REQUIRED_SETTINGS | {"REPAIR_AFTER": "RUNNING=6h"}
    ).repair_after

    assert durations["RUNNING"] == timedelta(hours=6)
    assert durations["STARTING"] == timedelta(minutes=15)


def test_limits_of_stuck_jobs_follow_the_defaults_and_may_name_queues_or_be_off() -> None:
    text = "RUNNING=6h, gpu-*/RUNNABLE=off"
    limits = Settings.from_environment(REQUIRED_SETTINGS | {"STUCK_AFTER": text}).stuck_after

    assert limits[2] == ("*", "RUNNABLE", timedelta(hours=1))
    assert limits[5:] == (("*", "RUNNING", timedelta(hours=6)), ("gpu-*", "RUNNABLE", None))


@pytest.mark.parametrize("variable", REQUIRED_SETTINGS)
@pytest.mark.parametrize("value", [None, "", " "])
def test_an_error_names_a_missing_variable_with_its_meaning_and_an_example(
    variable: str, value: str | None
) -> None:
    environment = {name: text for name, text in REQUIRED_SETTINGS.items() if name != variable}
    if value is not None:
        environment[variable] = value

    with pytest.raises(SettingsError, match=rf"^{variable} is not set\. Name .+\. Example: \S+$"):
        Settings.from_environment(environment)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("BATCH_SIZE", "many", "a whole number from 1 to 500, such as 500, not 'many'"),
        ("BATCH_SIZE", "0", "a whole number from 1 to 500, such as 500, not '0'"),
        ("BATCH_SIZE", "501", "a whole number from 1 to 500, such as 500, not '501'"),
        ("BATCH_WINDOW", "0", "a whole number from 1 to 60, such as 5, not '0'"),
        ("RETENTION_DAYS", "-1", "a whole number from 0 to 36500, such as 365, not '-1'"),
        ("SWEEP_CALLS", "2", "a whole number from 3 to 1000, such as 60, not '2'"),
        ("SWEEP_MINUTES", "1.5", "a whole number from 2 to 60, such as 5, not '1.5'"),
        ("EVENT_SOURCES", ",", "event sources separated by commas, such as aws.batch, not ','"),
        (
            "NOTICE_MAX_AGE",
            "a day",
            "a duration in s, m, h or d, such as 90m, 24h or 7d, not 'a day'",
        ),
        ("TIME_ZONE", "Berlin", "an IANA time zone, such as Europe/Berlin, not 'Berlin'"),
        (
            "TIME_ZONE",
            "../etc/passwd",
            "an IANA time zone, such as Europe/Berlin, not '../etc/passwd'",
        ),
        (
            "REPAIR_AFTER",
            "FAILED=1h",
            "durations by status, separated by commas, such as RUNNING=6h, STARTING=20m, "
            "not 'FAILED=1h': 'FAILED' is not one of SUBMITTED, PENDING, RUNNABLE, SCHEDULED, "
            "STARTING, RUNNING, OTHER",
        ),
        (
            "REPAIR_AFTER",
            "RUNNING=7d",
            "durations by status, separated by commas, such as RUNNING=6h, STARTING=20m, "
            "not 'RUNNING=7d': a duration is longer than 6d",
        ),
        (
            "STUCK_AFTER",
            "gpu/FAILED=6h",
            "durations by status or by queue/status, or off, separated by commas, such as "
            "RUNNING=6h, gpu-*/RUNNABLE=4h, test/STARTING=off, not 'gpu/FAILED=6h': 'FAILED' is "
            "not one of SUBMITTED, PENDING, RUNNABLE, SCHEDULED, STARTING, RUNNING",
        ),
    ],
)
def test_an_error_names_the_variable_its_value_and_what_is_expected(
    variable: str, value: str, expected: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(REQUIRED_SETTINGS | {variable: value})

    assert str(raised.value) == f"{variable} must be {expected}"


@pytest.mark.parametrize("pattern", ["(", ".*"])
def test_an_error_states_what_is_wrong_with_a_pattern(pattern: str) -> None:
    expected = re.escape(f"such as acme-\\d+, not {pattern!r}: ")

    with pytest.raises(SettingsError, match=rf"^REDACT_PATTERNS must be .+, {expected}."):
        Settings.from_environment(REQUIRED_SETTINGS | {"REDACT_PATTERNS": pattern})


def test_an_error_quotes_only_the_beginning_of_a_long_value() -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(REQUIRED_SETTINGS | {"BATCH_SIZE": "9" * 10_000})

    assert len(str(raised.value)) < 200


def test_settings_are_frozen() -> None:
    settings = Settings.from_environment(REQUIRED_SETTINGS)

    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.batch_size = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.repair_after["RUNNING"] = timedelta(0)  # type: ignore[index]


def test_the_table_of_the_docs_is_that_of_the_code() -> None:
    documented = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(
        r"^\| `([A-Z_]+)` \| (.+) \| (?:`(.+)` |(none) |)\|$", documented, re.MULTILINE
    )

    assert [
        (name, meaning, None if is_required else default)
        for name, meaning, default, is_required in rows
    ] == [
        (field.name.upper(), field.metadata["meaning"], field.metadata["default"])
        for field in dataclasses.fields(Settings)
    ]


@pytest.mark.parametrize("variable", ["PUBLIC_URL", "WEBEX_API_URL"])
@pytest.mark.parametrize(
    "value", ["batch.example.org/api", "//batch.example.org", "ftp://x", "a b"]
)
def test_a_url_without_a_scheme_is_an_error(variable: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{variable} must be a URL that begins with http://"):
        Settings.from_environment(REQUIRED_SETTINGS | {variable: value})


def test_a_url_ends_without_a_slash() -> None:
    environment = REQUIRED_SETTINGS | {"PUBLIC_URL": "https://batch.example.org:8443/api/"}

    assert Settings.from_environment(environment).public_url == "https://batch.example.org:8443/api"
    assert Settings.from_environment(REQUIRED_SETTINGS).public_url == ""
