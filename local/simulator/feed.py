"""An endless stream of simulated jobs in fast motion, for `make run`."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from local.simulator.bus import Bus, entry_of
from local.simulator.local_stack import LocalStackError
from local.workload import SECOND, SimulatedEvent, retimed, workload

SPEED = 240
"""How many times faster than in Batch time passes: an hour takes 15 seconds."""
_ACTIVE_JOBS = 5
"""New jobs are submitted when fewer jobs than this have events left."""
_TICK_SECONDS = 0.5


def feed(stop: threading.Event, aws_url: str, on_event: Callable[[SimulatedEvent], None]) -> None:
    """Send events of simulated jobs until `stop` is set. `on_event` receives each sent event.

    While the local AWS doesn't respond, the events are kept and sent later.
    """
    bus = Bus(aws_url)
    upcoming: list[SimulatedEvent] = []
    while not stop.wait(_TICK_SECONDS):
        now = int(time.time() * SECOND)
        if len({event.job_id for event in upcoming}) < _ACTIVE_JOBS:
            new = workload(random.getrandbits(32), random.randint(1, 6), start=0).all_events
            upcoming += fast_motion(new, now)
            upcoming.sort(key=lambda event: event.at)
        due = [event for event in upcoming if event.at <= now]
        try:
            bus.put([entry_of(event) for event in due])
        except LocalStackError:
            continue
        del upcoming[: len(due)]
        for event in due:
            on_event(event)


def fast_motion(events: Sequence[SimulatedEvent], start: int) -> Iterator[SimulatedEvent]:
    """Yield events that began at time 0 as beginning at `start` and `SPEED` times as fast."""
    return (retimed(event, lambda at: start + at // SPEED) for event in events)
