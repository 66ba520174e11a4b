"""Saves the state of a queue, and moves the notices in its outbox to the notices queue.

Each run sends whatever it finds in an outbox. So a run may be interrupted anywhere, and two may
overlap:

    save the state with its outbox    interrupted before: nothing has happened
                                      version conflict: the other run continues, this one stops
    send the notices                  interrupted before or after: the next run sends them (again)
    save it with an empty outbox      interrupted before: likewise

The notifier discards notices that were sent before, as their keys are the same.
"""

from collections.abc import Collection
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.sqs import MessageQueue
from chalicelib.queues.state import QueueState
from chalicelib.queues.state_table import QueueStateTable, StoredState


class Applied(NamedTuple):
    """The number of notices that were sent. `is_complete`: nothing is left for the next run."""

    notices: int
    is_complete: bool


class Outbox:
    """The stored states of queues, and the notices queue that empties their outboxes."""

    def __init__(self, states: QueueStateTable, notices: MessageQueue) -> None:
        self._states = states
        self._notices = notices

    def load(self, queues: Collection[str]) -> dict[str, StoredState]:
        """Return state and last event of each queue, without queues that can't be read now."""
        return self._states.load(queues)

    def apply(self, queue: str, stored: StoredState, state: QueueState) -> Applied:
        """Replace the stored state by this one, and send its notices."""
        version = stored.version
        if state != stored.state:
            if self._states.save(queue, state, version) is not Outcome.SAVED:
                return Applied(0, is_complete=False)
            version += 1
        bodies = [msgspec.json.encode(notice).decode() for notice in state.outbox]
        if not bodies:
            return Applied(0, is_complete=True)
        if self._notices.send(bodies):
            return Applied(0, is_complete=False)
        self._states.save(queue, replace(state, outbox=()), version)
        return Applied(len(bodies), is_complete=True)
