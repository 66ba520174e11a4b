"""SQS in simulated time: the calls of `MessageQueue`, with delays of days that take no time.

The local AWS hides and returns messages by the real clock. Of SQS, this contains what the notifier
depends on: visibility, the receive count, and the move to the dead-letter queue after too many
receives.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

VISIBILITY_TIMEOUT = 720
MAX_RECEIVES = 1_000


@dataclass
class StoredMessage:
    """A message in a queue; times are in epoch seconds."""

    body: str
    sent_at: float
    visible_at: float
    receives: int = 0


class SimulatedSqs:
    """A client of SQS; `now` returns the time in epoch seconds. `redrive` maps the name of a queue
    to that of its dead-letter queue. The URL of a queue is its name, and a receipt handle never
    changes."""

    def __init__(self, now: Callable[[], float], redrive: dict[str, str]) -> None:
        self.receives = 0
        self._queues: dict[str, dict[str, StoredMessage]] = {}
        self._now = now
        self._redrive = redrive
        self._numbers = itertools.count()

    def messages(self, queue: str) -> dict[str, StoredMessage]:
        """Return the messages of a queue by receipt handle."""
        return self._queues.setdefault(queue, {})

    def get_queue_url(self, **request: Any) -> dict[str, str]:
        return {"QueueUrl": request["QueueName"]}

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        now = self._now()
        for entry in request["Entries"]:
            message = StoredMessage(entry["MessageBody"], now, now)
            self.messages(request["QueueUrl"])[str(next(self._numbers))] = message
        return {}

    def receive_message(self, **request: Any) -> dict[str, Any]:
        now, queue = self._now(), self.messages(request["QueueUrl"])
        visible = (handle for handle, message in queue.items() if message.visible_at <= now)
        received = list(itertools.islice(visible, request["MaxNumberOfMessages"]))
        for handle in received:
            queue[handle].receives += 1
            queue[handle].visible_at = now + VISIBILITY_TIMEOUT
            self.receives += 1
            if queue[handle].receives > MAX_RECEIVES:
                dead = self.messages(self._redrive[request["QueueUrl"]])
                dead[handle] = queue.pop(handle)
        return {
            "Messages": [_received(handle, queue[handle]) for handle in received if handle in queue]
        }

    def delete_message_batch(self, **request: Any) -> dict[str, Any]:
        for entry in request["Entries"]:
            self.messages(request["QueueUrl"]).pop(entry["ReceiptHandle"], None)
        return {}

    def change_message_visibility_batch(self, **request: Any) -> dict[str, Any]:
        for entry in request["Entries"]:
            message = self.messages(request["QueueUrl"]).get(entry["ReceiptHandle"])
            if message:
                message.visible_at = self._now() + entry["VisibilityTimeout"]
        return {}


def _received(handle: str, message: StoredMessage) -> dict[str, Any]:
    return {
        "MessageId": handle,
        "ReceiptHandle": handle,
        "Body": message.body,
        "Attributes": {
            "ApproximateReceiveCount": str(message.receives),
            "SentTimestamp": str(round(message.sent_at * 1_000)),
        },
    }
