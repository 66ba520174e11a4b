"""The settings: environment variables, read once at start, so that an invalid value stops the start
and not a batch.

Each variable is a field of Settings with its meaning and default, as in docs/configuration.md. This
module must not read the files that a setting names, nor depend on what a setting is used for.
"""

import dataclasses
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, Self, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chalicelib.errors import SettingsError
from chalicelib.redaction import Redaction

T = TypeVar("T")

_MAX_QUOTED = 80
"""Characters of an invalid value that an error quotes."""


class Kind(NamedTuple, Generic[T]):
    """A kind of values: `parse` raises ValueError for a text that is not `expected`, with a reason
    where the expectation does not explain enough."""

    parse: Callable[[str], T]
    expected: str
    example: str


def _setting(kind: Kind[T], meaning: str, default: str | None = None) -> T:
    """Declare a field of Settings. Without a default, its variable must be set."""
    metadata = {"kind": kind, "meaning": meaning, "default": default}
    field: T = dataclasses.field(metadata=metadata)
    return field


def _whole_number(least: int, most: int, example: str) -> Kind[int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text) or not least <= int(text) <= most:
            raise ValueError
        return int(text)

    return Kind(parse, f"a whole number from {least} to {most}", example)


def _name(example: str) -> Kind[str]:
    return Kind(str, "a name", example)


def _duration(text: str) -> timedelta:
    match = re.fullmatch(r"(\d{1,9}) ?([smhd]?)", text)
    if not match:
        raise ValueError
    units = {"": "seconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    return timedelta(**{units[match[2]]: int(match[1])})


def _durations(defaults: str, most: timedelta | None = None) -> Kind[Mapping[str, timedelta]]:
    """Return the kind of durations by status. A status that is not named keeps its default."""
    default_durations = dict(_named_durations(defaults))

    def parse(text: str) -> Mapping[str, timedelta]:
        durations = dict(_named_durations(text))
        if unknown := durations.keys() - default_durations.keys():
            known = ", ".join(default_durations)
            raise ValueError(f"{min(unknown)!r} is not one of {known}")
        if most and max(durations.values(), default=most) > most:
            raise ValueError(f"a duration is longer than {most.days}d")
        return MappingProxyType(default_durations | durations)

    return Kind(parse, "durations by status, separated by commas", "RUNNING=6h, STARTING=20m")


def _named_durations(text: str) -> list[tuple[str, timedelta]]:
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    return [(name.strip(), _duration(duration.strip())) for name, _, duration in parts]


class StuckAfter(NamedTuple):
    """A limit for jobs of the queues that match a glob; `after` None: they are never stuck in the
    status."""

    queues: str
    status: str
    after: timedelta | None


def _stuck_after(text: str) -> tuple[StuckAfter, ...]:
    """Return the defaults and then the limits that replace them where they match."""
    return tuple(map(_limit, (*_list(_STUCK_AFTER), *_list(text))))


def _limit(part: str) -> StuckAfter:
    selector, _, after = map(str.strip, part.partition("="))
    queues, _, status = selector.rpartition("/")
    if status not in _STUCK_STATUSES:
        raise ValueError(f"{status!r} is not one of {', '.join(_STUCK_STATUSES)}")
    return StuckAfter(queues or "*", status, None if after == "off" else _duration(after))


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _list_with_elements(text: str) -> tuple[str, ...]:
    if not _list(text):
        raise ValueError
    return _list(text)


def _time_zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError from error


def web_address(text: str) -> str:
    """Return a URL without a slash at its end. Raise ValueError unless it is empty, or begins with
    http:// or https:// and a host name."""
    if text and not _URL.fullmatch(text):
        raise ValueError
    return text.rstrip("/")


def _patterns(text: str) -> Redaction:
    return Redaction(text.splitlines())


_DURATION = Kind(_duration, "a duration in s, m, h or d", "90m, 24h or 7d")
_TEXT = Kind(str, "text", "text")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[^\s?#]*)?")


def _web_address(example: str) -> Kind[str]:
    return Kind(web_address, "a URL that begins with http:// or https://", example)


_REPAIR_AFTER = (
    "SUBMITTED=15m, PENDING=1h, RUNNABLE=1h, SCHEDULED=15m, STARTING=15m, RUNNING=1h, OTHER=1h"
)
_STUCK_STATUSES = ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING")
_STUCK_AFTER = "SUBMITTED=15m, PENDING=24h, RUNNABLE=1h, SCHEDULED=30m, STARTING=30m"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One field for each environment variable, which has the field's name in capitals."""

    jobs_table: str = _setting(_name("batchwatch-prod-jobs"), "Name of the DynamoDB table.")
    events_queue: str = _setting(
        _name("batchwatch-prod-events"),
        "Name of the SQS queue that receives events from the EventBridge rule.",
    )
    dead_letter_queue: str = _setting(
        _name("batchwatch-prod-dead-letters"),
        "Name of the SQS queue for messages that can't be recorded.",
    )
    notices_queue: str = _setting(
        _name("batchwatch-prod-notices"), "Name of the SQS queue of notices for Webex rooms."
    )
    notices_dead_letter_queue: str = _setting(
        _name("batchwatch-prod-notices-dead-letters"),
        "Name of the SQS queue for notices that Webex rejects.",
    )
    account_id: str = _setting(
        _TEXT,
        "AWS account whose events are recorded; empty for the one that the function runs in.",
        "",
    )
    secret_id: str = _setting(
        _name("batchwatch-prod"),
        "Name or ARN of the secret with apiTokens and pageKey.",
    )
    webex_secret_id: str = _setting(
        _name("batchwatch-prod/webex"),
        "Name or ARN of the secret with webexToken; if empty, the one in SECRET_ID.",
        "",
    )
    service_name: str = _setting(
        _name("batchwatch-prod"),
        "Dimension `service` of the metrics, by which alarms distinguish stages.",
        "batchwatch",
    )
    event_sources: tuple[str, ...] = _setting(
        Kind(_list_with_elements, "event sources separated by commas", "aws.batch"),
        "Event sources to record, separated by commas.",
        "aws.batch",
    )
    batch_size: int = _setting(
        _whole_number(1, 500, "500"),
        "Maximum number of events in one invocation, 1 to 500.",
        "500",
    )
    batch_window: int = _setting(
        _whole_number(1, 60, "5"),
        "Maximum number of seconds to wait for a batch to fill, 1 to 60.",
        "5",
    )
    retention_days: int = _setting(
        _whole_number(0, 36_500, "365"),
        "Days to keep a job after its end; 0 keeps it for ever.",
        "0",
    )
    notice_rules: str = _setting(
        _TEXT, "Notice rules: path of a TOML file, or its text.", "chalicelib/notices.toml"
    )
    webex_room: str = _setting(
        _TEXT,
        "Id of the Webex room for rules without one; if empty, the default rules send no notices.",
        "",
    )
    webex_api_url: str = _setting(
        _web_address("https://webexapis.com/v1"),
        "URL of the Webex API.",
        "https://webexapis.com/v1",
    )
    notice_max_age: timedelta = _setting(
        _DURATION,
        "Don't send notices about events older than this when first received.",
        "24h",
    )
    time_zone: ZoneInfo = _setting(
        Kind(_time_zone, "an IANA time zone", "Europe/Berlin"),
        "IANA time zone of the times in notices.",
        "UTC",
    )
    public_url: str = _setting(
        _web_address("https://batch.example.org/api"),
        "URL of the API including its stage, for links in notices.",
        "",
    )
    log_groups: tuple[str, ...] = _setting(
        Kind(_list, "names separated by commas", "/aws/batch/job"),
        "CloudWatch log groups that the API may read, separated by commas.",
        "/aws/batch/job",
    )
    sweep_minutes: int = _setting(
        _whole_number(2, 60, "5"), "Minutes between two sweeps, 2 to 60.", "5"
    )
    sweep_calls: int = _setting(
        _whole_number(3, 1_000, "60"),
        "Maximum number of AWS Batch API calls in a sweep, 3 to 1000, besides listing queues.",
        "60",
    )
    repair_after: Mapping[str, timedelta] = _setting(
        _durations(_REPAIR_AFTER, most=timedelta(days=6)),
        "By status: time without an event after which a sweep requests a job from Batch, up to 6d.",
        _REPAIR_AFTER,
    )
    """At most six days, because Batch forgets a job seven days after its end."""
    stuck_after: tuple[StuckAfter, ...] = _setting(
        Kind(
            _stuck_after,
            "durations by status or by queue/status, or off, separated by commas",
            "RUNNING=6h, gpu-*/RUNNABLE=4h, test/STARTING=off",
        ),
        "By status, or by queue and status: time in the status after which a job may be stuck, or "
        "off.",
        _STUCK_AFTER,
    )
    blocked_after: timedelta = _setting(
        _DURATION,
        "Time for which a job queue must be blocked before a notice is sent; twice as long from "
        "the third block in a row, then four times, up to sixteen times. An hour without a block "
        "ends the row.",
        "10m",
    )
    job_queues: tuple[str, ...] = _setting(
        Kind(_list, "names or globs separated by commas", "high, genomics-*"),
        "Names or globs of the recorded job queues, separated by commas. `make deploy` sets it.",
        "*",
    )
    prices: str = _setting(
        _TEXT, "Prices of vCPUs, memory and GPUs per hour: path of a TOML file, or its text.", ""
    )
    redact_patterns: Redaction = _setting(
        Kind(_patterns, "regular expressions, one per line", r"acme-\d+"),
        "Additional regular expressions to redact, one per line.",
        "",
    )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Return the settings. Raise SettingsError, which names the variable, its value and what
        is expected instead, with an example."""
        return cls(**{field.name: _value(field, environment) for field in dataclasses.fields(cls)})

    @classmethod
    def default(cls, field: str) -> str | None:
        """Return the text that an unset variable stands for, or None if it has to be set."""
        (declared,) = (each for each in dataclasses.fields(cls) if each.name == field)
        default: str | None = declared.metadata["default"]
        return default


def _value(field: "dataclasses.Field[object]", environment: Mapping[str, str]) -> Any:
    variable, kind = field.name.upper(), field.metadata["kind"]
    text = environment.get(variable, "").strip() or field.metadata["default"]
    if text is None:
        meaning = field.metadata["meaning"]
        raise SettingsError(f"{variable} is not set. {meaning} Example: {kind.example}")
    try:
        return kind.parse(text)
    except ValueError as error:
        expected = f"{variable} must be {kind.expected}, such as {kind.example}"
        reason = f": {error}" if str(error) else ""
        raise SettingsError(f"{expected}, not {_quoted(text)}{reason}") from error


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _MAX_QUOTED else f"{text[: _MAX_QUOTED - 1]}…")
