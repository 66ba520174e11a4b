"""What a batch leaves behind for people: one canonical log line, and its figures as metrics.

CloudWatch makes metrics of the figures by itself (embedded metric format), so that recording
costs no request. Event names are static, fields are ids and counts: never a body, a token or an
environment value.
"""

import time
from collections.abc import Callable

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from chalicelib.recorder import Tally

logger = Logger(service="batchwatch")
"""The parent of every module's `batchwatch.…` logger: JSON lines on standard output."""

_REASONS_LOGGED = 5


def batch_reporter(
    table_name: str, clock: Callable[[], float] = time.time
) -> Callable[[Tally], None]:
    """Reports a batch in the log and as metrics, which carry the table's name as `service`."""
    metrics = Metrics(namespace="batchwatch", service=table_name)

    def report(tally: Tally) -> None:
        figures = {
            "Received": tally.received,
            "Recorded": tally.recorded,
            "Unchanged": tally.unchanged,
            "OtherEvents": tally.other,
            "Quarantined": tally.quarantined,
            "HandedBack": tally.handed_back,
            "Conflicts": tally.conflicts,
        }
        for name, count in figures.items():
            metrics.add_metric(name, MetricUnit.Count, count)
        if tally.oldest_event is not None:
            figures["OldestEventAge"] = max(0, round(clock() - tally.oldest_event / 1000))
            metrics.add_metric("OldestEventAge", MetricUnit.Seconds, figures["OldestEventAge"])
        metrics.flush_metrics()
        fields = {name[0].lower() + name[1:]: count for name, count in figures.items()}
        reasons = sorted(tally.reasons)[:_REASONS_LOGGED]
        logger.info("batch_recorded", extra=fields | ({"reasons": reasons} if reasons else {}))

    return report
