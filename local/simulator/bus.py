"""The EventBridge bus of the local stack.

AWS rejects sources that begin with `aws.`, and so does the local AWS: the events have the source
`batchwatch.simulated`, which the local stack records in addition to `aws.batch`.
"""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from local.simulator.local_stack import LocalStackError, aws_errors, events_client
from local.workload import SECOND, SimulatedEvent, job_arn

SOURCE = "batchwatch.simulated"
MAX_ENTRIES = 10
"""The most events per PutEvents call."""
RETRY_DELAYS = (0.0, 0.2, 1.0)
"""Seconds before each attempt to send what EventBridge has not accepted yet."""

Entry = dict[str, Any]
"""An event as a parameter of PutEvents."""


class Bus:
    """The default event bus at the URL of an AWS endpoint."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._events = events_client(url)

    def put(self, entries: Sequence[Entry]) -> None:
        """Send events. Raise LocalStackError if EventBridge has not accepted all of them."""
        for first in range(0, len(entries), MAX_ENTRIES):
            self._put_with_retries(entries[first : first + MAX_ENTRIES])

    def _put_with_retries(self, entries: Sequence[Entry]) -> None:
        rejected, reason = entries, ""
        for delay in RETRY_DELAYS:
            time.sleep(delay)
            rejected, reason = self._put(rejected)
            if not rejected:
                return
        raise LocalStackError(
            f"{self._url} rejected {len(rejected)} of {len(entries)} events: {reason}"
        )

    def _put(self, entries: Sequence[Entry]) -> tuple[list[Entry], str]:
        """Return the entries that failed, and the first reason. A call succeeds also if some or
        all of its entries fail."""
        with aws_errors(self._url):
            results = self._events.put_events(Entries=entries)["Entries"]  # type: ignore[arg-type]
        rejected = [
            (entry, f"{result['ErrorCode']}: {result.get('ErrorMessage', '')}")
            for entry, result in zip(entries, results, strict=True)
            if "ErrorCode" in result
        ]
        return [entry for entry, _ in rejected], rejected[0][1] if rejected else ""


def entry_of(event: SimulatedEvent) -> Entry:
    return {
        "Source": SOURCE,
        "DetailType": event.detail_type,
        "Detail": json.dumps(event.detail),
        "Time": datetime.fromtimestamp(event.at / SECOND, UTC),
        "Resources": [job_arn(event.detail)],
    }
