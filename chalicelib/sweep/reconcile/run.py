"""The state that all parts of one reconciliation run share: its start and its reasons to stop."""

from dataclasses import dataclass

from chalicelib.queues.missing_events import MAX_DELIVERY_MS


@dataclass(frozen=True)
class RunStart:
    """The start of a run in epoch milliseconds. `is_restart`: all passes and cursors start again,
    as `make backfill` requests."""

    now: int
    is_restart: bool = False

    @property
    def events_due_before(self) -> int:
        """Return the time before which every change should have been reported by an event.

        A restart does not wait for events.
        """
        return self.now if self.is_restart else self.now - MAX_DELIVERY_MS


class RunStopped(Exception):
    """The run can't continue: DynamoDB or SQS did not accept a request, or another run restarted
    the checkpoints. The next run processes what was not committed."""
