"""What can be set, read once at start, so that a wrong value stops the start and not a batch.

Every variable is a field here, with its meaning and its default; docs/configuration.md is the
same table for people. Knows the environment's names and nothing of what is done with them.
"""

import dataclasses
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chalicelib.errors import SettingsError
from chalicelib.redaction import Redaction


def _setting(meaning: str, default: str | None = None) -> Any:
    """A field that the environment fills. Without a default it must be set."""
    return dataclasses.field(metadata={"meaning": meaning, "default": default})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One field for each environment variable, which is the field's name in capitals."""

    jobs_table: str = _setting("Name of the DynamoDB table.")
    events_queue: str = _setting(
        "Name of the SQS queue that receives events from the EventBridge rule."
    )
    dead_letter_queue: str = _setting("Name of the SQS queue for messages that can't be recorded.")
    notices_queue: str = _setting("Name of the SQS queue of notices for Webex rooms.")
    notices_dead_letter_queue: str = _setting(
        "Name of the SQS queue for notices that Webex rejects."
    )
    account_id: str = _setting(
        "AWS account whose events are recorded; empty for the one that the function runs in.", ""
    )
    secret_id: str = _setting("Name or ARN of the secret with apiTokens, pageKey and webexToken.")
    event_sources: tuple[str, ...] = _setting(
        "Event sources to record, separated by commas.", "aws.batch"
    )
    batch_size: int = _setting("Maximum number of events in one invocation, 1 to 500.", "500")
    batch_window: int = _setting(
        "Maximum number of seconds to wait for a batch to fill, 1 to 60.", "5"
    )
    retention_days: int = _setting("Days to keep a job after its end; 0 keeps it for ever.", "0")
    notice_rules: str = _setting(
        "Notice rules: path of a TOML file, or its text.", "chalicelib/notices.toml"
    )
    webex_room: str = _setting(
        "Id of the Webex room for rules without one; if empty, the default rules send no notices.",
        "",
    )
    webex_api_url: str = _setting("URL of the Webex API.", "https://webexapis.com/v1")
    notice_max_age: timedelta = _setting(
        "Don't send notices about events older than this when first received.",
        "24h",
    )
    time_zone: ZoneInfo = _setting("IANA time zone of the times in notices.", "UTC")
    public_url: str = _setting("URL of the API including its stage, for links in notices.", "")
    log_groups: tuple[str, ...] = _setting(
        "CloudWatch log groups that the API may read, separated by commas.", "/aws/batch/job"
    )
    sweep_minutes: int = _setting("Minutes between two sweeps, 2 to 60.", "5")
    sweep_calls: int = _setting(
        "Maximum number of AWS Batch API calls in a sweep, 3 to 1000.", "60"
    )
    repair_after: dict[str, timedelta] = _setting(
        "By status: time without an event after which a sweep requests a job from Batch, up to 6d.",
        "SUBMITTED=15m, PENDING=1h, RUNNABLE=1h, SCHEDULED=15m, STARTING=15m, RUNNING=1h, OTHER=1h",
    )
    stuck_after: dict[str, timedelta] = _setting(
        "By status: time in the status after which a job is stuck.",
        "SUBMITTED=15m, PENDING=24h, RUNNABLE=1h, SCHEDULED=30m, STARTING=30m",
    )
    blocked_after: timedelta = _setting(
        "Time for which a job queue must be blocked before a notice is sent.", "10m"
    )
    watched_queues: tuple[str, ...] = _setting(
        "Names of job queues to search for jobs even without any event, separated by commas.",
        "",
    )
    prices: str = _setting(
        "Prices of vCPUs, memory and GPUs per hour: path of a TOML file, or its text.", ""
    )
    redact_patterns: Redaction = _setting(
        "Additional regular expressions to redact, one per line.", ""
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Raises SettingsError, which names the variable and the problem."""
        fields = dataclasses.fields(cls)
        settings = cls(**{field.name: _value(field, environment) for field in fields})
        settings._check("BATCH_SIZE", 1 <= settings.batch_size <= 500, "1 to 500")
        settings._check("BATCH_WINDOW", 1 <= settings.batch_window <= 60, "1 to 60")
        settings._check("RETENTION_DAYS", 0 <= settings.retention_days <= 36_500, "0 to 36500")
        settings._check("SWEEP_MINUTES", 2 <= settings.sweep_minutes <= 60, "2 to 60")
        settings._check("SWEEP_CALLS", 3 <= settings.sweep_calls <= 1_000, "3 to 1000")
        silent = max(settings.repair_after.values())
        expected = "up to 6d, as Batch forgets a job 7 days after its end"
        settings._check("REPAIR_AFTER", silent <= timedelta(days=6), expected)
        settings._check("EVENT_SOURCES", bool(settings.event_sources), "at least one source")
        return settings

    @classmethod
    def default(cls, field: str) -> str | None:
        """The text that stands for a variable that is not set."""
        (found,) = (one for one in dataclasses.fields(cls) if one.name == field)
        default: str | None = found.metadata["default"]
        return default

    def _check(self, variable: str, holds: bool, expected: str) -> None:
        if not holds:
            raise SettingsError(f"{variable} is out of range: expected {expected}")


def _value(field: "dataclasses.Field[Any]", environment: Mapping[str, str]) -> Any:
    variable = field.name.upper()
    text = environment.get(variable, "").strip() or field.metadata["default"]
    if text is None:
        raise SettingsError(f"{variable} is not set. {field.metadata['meaning']}")
    try:
        value = _PARSERS[field.type](text)
        return _over(field, value) if isinstance(value, dict) else value
    except ValueError as error:
        raise SettingsError(f"{variable} can't be read: {error}") from error


def _duration(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,9}) ?([smhd]?)", text)
    if not found:
        raise ValueError(f"{text!r} is not like 90m, 24h or 7d; without a unit it is in seconds")
    units = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[found[2]]: int(found[1])})


def _durations(text: str) -> dict[str, timedelta]:
    """By name."""
    told = [part.partition("=") for part in text.split(",") if part.strip()]
    return {name.strip(): _duration(age.strip()) for name, _, age in told}


def _over(field: "dataclasses.Field[Any]", ages: Mapping[str, timedelta]) -> dict[str, timedelta]:
    """Over the defaults of those that are not named."""
    defaults = _durations(field.metadata["default"])
    if strange := ages.keys() - defaults.keys():
        raise ValueError(f"{min(strange)!r} is none of {', '.join(defaults)}")
    return {**defaults, **ages}


def _time_zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"{text!r} is not an IANA time zone such as Europe/Berlin") from error


_PARSERS: dict[Any, Any] = {
    str: str,
    int: int,
    timedelta: _duration,
    ZoneInfo: _time_zone,
    dict[str, timedelta]: _durations,
    tuple[str, ...]: lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
    Redaction: lambda text: Redaction(text.splitlines()),
}
