"""What a batch leaves behind for people: one canonical log line, and its figures as metrics.

CloudWatch makes metrics of the figures by itself (embedded metric format), so that recording
costs no request. Event names are static, fields are ids and counts: never a body, a token or an
environment value.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

if TYPE_CHECKING:
    from chalicelib.recording.recorder import Tally
    from chalicelib.sweep.count import CountTally
    from chalicelib.sweep.reconcile import ReconcileTally
    from chalicelib.sweep.watch import WatchTally
    from chalicelib.webex.notifier import NoticeTally

logger = Logger(service="batchwatch")
"""The parent of every module's `batchwatch.…` logger: JSON lines on standard output."""

_REASONS_LOGGED = 5


def batch_reporter(
    table_name: str, clock: Callable[[], float] = time.time
) -> Callable[["Tally"], None]:
    """Reports a batch of events; its metrics carry the table's name as `service`."""
    metrics = Metrics(namespace="batchwatch", service=table_name)

    def report(tally: "Tally") -> None:
        counts = {
            "Received": tally.received,
            "Recorded": tally.recorded,
            "Unchanged": tally.unchanged,
            "QueueBlockedEvents": tally.blocked,
            "OtherEvents": tally.other,
            "Quarantined": tally.quarantined,
            "HandedBack": tally.handed_back,
            "Conflicts": tally.conflicts,
            "NoticesQueued": tally.notices,
        }
        ages: dict[str, int] = {}
        if tally.oldest_event is not None:
            ages["OldestEventAge"] = max(0, round(clock() - tally.oldest_event / 1000))
        reasons = sorted(tally.reasons)[:_REASONS_LOGGED]
        _report(metrics, "batch_recorded", counts, ages, {"reasons": reasons} if reasons else {})

    return report


def notice_reporter(table_name: str) -> "Callable[[NoticeTally], None]":
    """Reports a batch of notices, likewise."""
    metrics = Metrics(namespace="batchwatch", service=table_name)

    def report(tally: "NoticeTally") -> None:
        counts = {
            "NoticesReceived": tally.received,
            "NoticesTold": tally.told,
            "WebexMessages": tally.messages,
            "NoticesSkipped": tally.skipped,
            "NoticesRepeated": tally.repeated,
            "NoticesQuarantined": tally.quarantined,
            "NoticesHandedBack": tally.handed_back,
            "WebexUnauthorized": tally.unauthorized,
        }
        trouble = {"trouble": tally.trouble} if tally.trouble else {}
        _report(metrics, "notices_told", counts, {}, trouble)

    return report


def repair_reporter(table_name: str) -> "Callable[[ReconcileTally], None]":
    """Reports a run of repair, likewise; JobsUnknownToBatch has an alarm."""
    metrics = Metrics(namespace="batchwatch", service=table_name)

    def report(tally: "ReconcileTally") -> None:
        counts = {
            "JobsAsked": tally.asked,
            "JobsRepaired": tally.repaired,
            "JobsDiscovered": tally.discovered,
            "JobsLost": tally.lost,
            "JobsUnknownToBatch": len(tally.unknown_to_batch),
            "RepairNoticesQueued": tally.notices,
            "BatchCalls": tally.calls,
            "BatchThrottled": tally.throttled,
        }
        some = tally.unknown_to_batch[:_REASONS_LOGGED]
        strange = {"unknownToBatch": some} if some else {}
        _report(metrics, "repaired", counts, {}, {"left": tally.left, **strange})

    return report


def watch_reporter(table_name: str) -> "Callable[[WatchTally], None]":
    """Reports a run of the watch over queues, likewise; EventsMissing has an alarm."""
    metrics = Metrics(namespace="batchwatch", service=table_name)

    def report(tally: "WatchTally") -> None:
        counts = {
            "QueuesWatched": tally.queues,
            "JobsStuck": tally.stuck,
            "QueuesBlocked": tally.blocked,
            "EventsMissing": tally.silent,
            "WatchNoticesQueued": tally.notices,
            "WatchBatchCalls": tally.calls,
        }
        _report(metrics, "watched", counts, {}, {"left": tally.left})

    return report


def counting_reporter(table_name: str) -> "Callable[[CountTally], None]":
    """Reports a run of counting, likewise."""
    metrics = Metrics(namespace="batchwatch", service=table_name)

    def report(tally: "CountTally") -> None:
        counts = {
            "QueuesCounted": tally.queues,
            "WaitingJobsCounted": tally.counted,
            "EndedJobsRead": tally.read,
            "HoursWritten": tally.written,
        }
        _report(metrics, "counted", counts, {}, {"left": tally.left})

    return report


def sweep_reporter(table_name: str) -> Callable[[], None]:
    """Reports a sweep that has done its work; that Swept is missing has an alarm."""
    metrics = Metrics(namespace="batchwatch", service=table_name)
    return lambda: _report(metrics, "swept", {"Swept": 1}, {}, {})


def refusal_reporter(table_name: str) -> Callable[[], None]:
    """Reports an authentication that failed, and nothing of what was tried."""
    metrics = Metrics(namespace="batchwatch", service=table_name)
    return lambda: _report(metrics, "authentication_failed", {"AuthenticationsFailed": 1}, {}, {})


def _report(
    metrics: Metrics,
    event: str,
    counts: Mapping[str, int],
    seconds: Mapping[str, int],
    fields: Mapping[str, object],
) -> None:
    for name, count in counts.items():
        metrics.add_metric(name, MetricUnit.Count, count)
    for name, age in seconds.items():
        metrics.add_metric(name, MetricUnit.Seconds, age)
    metrics.flush_metrics()
    figures = {name[0].lower() + name[1:]: figure for name, figure in {**counts, **seconds}.items()}
    logger.info(event, extra=figures | dict(fields))
