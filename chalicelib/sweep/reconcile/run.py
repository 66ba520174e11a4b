"""What all parts of one reconciliation run share: when it started, and why it may stop early."""

from dataclasses import dataclass

from chalicelib.queues.missing_events import MAX_DELIVERY_MS


@dataclass(frozen=True)
class RunStart:
    """When a run started, in epoch milliseconds, and whether it restarts all passes and cursors,
    as `make backfill` does."""

    now: int
    is_restart: bool = False

    @property
    def events_due_before(self) -> int:
        """Changes before this time should have been reported by an event. A restart waits for no
        event."""
        return self.now if self.is_restart else self.now - MAX_DELIVERY_MS


class RunStopped(Exception):
    """The run can't continue now: DynamoDB or SQS did not accept a request, or another run
    restarted. What was not committed is left to the next run."""
