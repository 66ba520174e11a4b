"""The order and number in which events are sent: EventBridge guarantees neither."""

import random
from collections.abc import Sequence

from local.workload import SimulatedEvent, Workload, workload


def workload_until(end: int, seed: int, jobs: int) -> Workload:
    """Return a workload whose last event is at `end`, so that no time is in the future."""
    duration = workload(seed, jobs, start=0).events[-1].at
    return workload(seed, jobs, start=end - duration)


def drop(events: Sequence[SimulatedEvent], seed: int, share: float) -> list[SimulatedEvent]:
    """Return the events without a random share of them."""
    chance = random.Random(seed)
    return [event for event in events if chance.random() >= share]


def disorder(
    events: Sequence[SimulatedEvent], seed: int, *, shuffle: bool, duplicate: bool
) -> list[SimulatedEvent]:
    """Return the events in random order, or half of them twice, or both."""
    chance = random.Random(seed)
    sent = list(events)
    if duplicate:
        sent = [event for event in sent for _ in range(chance.choice((1, 2)))]
    if shuffle:
        chance.shuffle(sent)
    return sent
