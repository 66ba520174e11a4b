"""Structured logs and metrics: one JSON line with all the figures of a batch or run.

A tally is a dataclass whose fields declare their metrics:

    @dataclass(kw_only=True)
    class RecordingTally(Tally):
        EVENT = LogEvent.BATCH_RECORDED

        received: int = count("Received")

CloudWatch extracts the metrics from the log (embedded metric format), so that recording them costs
no request. Event names are static. Fields contain ids and counts, never a message body, a token or
the value of an environment variable. Imports none of our packages: every one of them may log.
Powertools is imported at the first log line, because functions that log nothing start faster
without it.
"""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, ClassVar, NamedTuple

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

NAMESPACE = "batchwatch"
"""The CloudWatch namespace of the metrics, and the `service` of the log lines."""

PUBLISHED = frozenset(
    {
        "AuthenticationsFailed",
        "EventsMissing",
        "HandedBack",
        "JobsUnknownToBatch",
        "NoticesSent",
        "OldestEventAge",
        "OldestNoticeAge",
        "Recorded",
        "RequestsFailed",
        "Swept",
        "WebexMessages",
        "WebexUnauthorized",
    }
)
"""The metrics that alarms watch, and those that show whether batchwatch is working. CloudWatch
charges $0.30 a month for each; CloudWatch Logs Insights finds the other figures in the log."""

_MAX_LOGGED = 5
"""Log at most this many elements of a list or a set; its metric counts all of them."""


class LogEvent(StrEnum):
    """The `message` of every log line."""

    AUTHENTICATION_FAILED = "authentication_failed"
    BATCH_RECORDED = "batch_recorded"
    DYNAMODB_CALL_FAILED = "dynamodb_call_failed"
    FAILURE_COUNTED = "failure_counted"
    HEALTH_CHECK_FAILED = "health_check_failed"
    JOB_UNREADABLE = "job_unreadable"
    JOBS_RECONCILED = "jobs_reconciled"
    NOTICES_DELIVERED = "notices_delivered"
    QUEUE_NOT_DESCRIBED = "queue_not_described"
    QUEUE_NOT_LISTED = "queue_not_listed"
    QUEUE_NOT_WATCHED = "queue_not_watched"
    QUEUES_NOT_LISTED = "queues_not_listed"
    QUEUES_COUNTED = "queues_counted"
    QUEUES_WATCHED = "queues_watched"
    RECORD_UNREADABLE = "record_unreadable"
    RECORD_UNWRITABLE = "record_unwritable"
    REQUEST_FAILED = "request_failed"
    REQUEST_SERVED = "request_served"
    SECRET_NOT_READ = "secret_not_read"
    SQS_CALL_FAILED = "sqs_call_failed"
    SQS_ENTRY_REJECTED = "sqs_entry_rejected"
    SWEEP_COMPLETED = "sweep_completed"
    TOKEN_REJECTED = "token_rejected"


@dataclass
class Tally:
    """The figures of one batch or run. A subclass sets EVENT and declares its fields with `count`,
    `seconds` and `ids`; a field that is declared without them is logged and has no metric."""

    EVENT: ClassVar[LogEvent]


class Metric(NamedTuple):
    name: str
    unit: str


def count(metric: str, default: int = 0) -> int:
    """Declare a field that counts something."""
    return dataclasses.field(default=default, metadata={"metric": Metric(metric, "Count")})


def seconds(metric: str) -> int | None:
    """Declare a field that is a duration, or None to report nothing."""
    return dataclasses.field(default=None, metadata={"metric": Metric(metric, "Seconds")})


def ids(metric: str) -> list[str]:
    """Declare a list of ids: its metric is how many there are, and some of them are logged."""
    return dataclasses.field(default_factory=list, metadata={"metric": Metric(metric, "Count")})


def metrics_of(tally: type[Tally]) -> dict[str, Metric]:
    """Return the metrics that a class of tallies declares, by field."""
    fields = dataclasses.fields(tally)
    return {field.name: field.metadata["metric"] for field in fields if "metric" in field.metadata}


def reporter(service: str) -> Callable[[Tally], None]:
    """Return a function that logs a tally with all its figures, and publishes those of them that
    are in PUBLISHED as metrics with the dimension `service`, which differs between stages."""
    from aws_lambda_powertools import Metrics

    metrics = Metrics(namespace=NAMESPACE, service=service)

    def report(tally: Tally) -> None:
        figures: dict[str, int] = {}
        for metric, figure in _figures(tally):
            if metric.name in PUBLISHED:
                metrics.add_metric(metric.name, metric.unit, figure)
            figures[metric.name[0].lower() + metric.name[1:]] = figure
        if metrics.metric_set:
            metrics.flush_metrics()
        logger().info(tally.EVENT, extra=figures | dict(_details(tally)))

    return report


def info(event: LogEvent, **fields: object) -> None:
    logger().info(event, extra=fields, stacklevel=3)


def warning(event: LogEvent, **fields: object) -> None:
    logger().warning(event, extra=fields, stacklevel=3)


def error(event: LogEvent, **fields: object) -> None:
    logger().error(event, extra=fields, stacklevel=3)


def exception(event: LogEvent, error: BaseException, **fields: object) -> None:
    """Log an unexpected exception with its stack trace."""
    logger().error(event, exc_info=error, extra=fields, stacklevel=3)


@cache
def logger() -> "Logger":
    """Return the logger that writes JSON lines to standard output."""
    from aws_lambda_powertools import Logger

    return Logger(service=NAMESPACE)


def _figures(tally: Tally) -> Iterator[tuple[Metric, int]]:
    for name, metric in metrics_of(type(tally)).items():
        value = getattr(tally, name)
        if value is not None:
            yield metric, value if isinstance(value, int) else len(value)


def _details(tally: Tally) -> Iterator[tuple[str, object]]:
    """Yield the names and values of what a metric can't hold, without what is empty."""
    measured = metrics_of(type(tally))
    for field in dataclasses.fields(tally):
        value = getattr(tally, field.name)
        if isinstance(value, (list, set)):
            value = sorted(value)[:_MAX_LOGGED]
        elif field.name in measured:
            continue
        if value not in (None, [], {}):
            yield _camel_case(field.name), value


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))
