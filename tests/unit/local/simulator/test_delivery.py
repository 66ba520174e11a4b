"""Events are dropped, duplicated and reordered as requested, and the feed is in fast motion."""

from collections import Counter

from local.simulator.delivery import disorder, drop, workload_until
from local.simulator.feed import SPEED, fast_motion
from local.workload import workload

NOW = 1_790_000_000_000


def test_a_workload_ends_now_and_has_no_later_time() -> None:
    work = workload_until(NOW, seed=3, jobs=100)

    assert work.events[-1].at == NOW
    times = [e.detail.get("stoppedAt", e.detail["createdAt"]) for e in work.events]
    assert max(times) <= NOW + 300


def test_events_are_sent_in_order_by_default() -> None:
    events = workload(1, 50, NOW).events

    assert disorder(events, 1, shuffle=False, duplicate=False) == events


def test_shuffled_events_are_complete_and_in_another_order() -> None:
    events = workload(1, 50, NOW).events

    shuffled = disorder(events, 1, shuffle=True, duplicate=False)

    assert shuffled != events
    assert sorted(shuffled, key=lambda event: event.at) == events


def test_about_half_of_the_events_are_sent_twice() -> None:
    events = workload(1, 500, NOW).events

    times_sent = Counter(map(id, disorder(events, 1, shuffle=True, duplicate=True)))

    assert set(times_sent.values()) == {1, 2}
    assert 0.4 < sum(n == 2 for n in times_sent.values()) / len(events) < 0.6


def test_a_seed_always_drops_the_same_share_of_the_events() -> None:
    events = workload(1, 300, NOW).events

    left = drop(events, 1, 0.2)

    assert 0.7 < len(left) / len(events) < 0.9
    assert left == drop(events, 1, 0.2)
    assert drop(events, 1, 0) == events


def test_in_the_feed_an_hour_takes_seconds() -> None:
    events = list(fast_motion(workload(1, 5, 0).events, start=NOW))

    hours = (events[-1].at - NOW) * SPEED / 3_600_000
    assert 0.5 < hours < 24
    assert all(NOW - 10 <= event.detail["createdAt"] <= event.at + 10 for event in events)
