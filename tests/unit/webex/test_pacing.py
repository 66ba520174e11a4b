"""How many messages a room gets, by the number of notices."""

from collections.abc import Callable, Sequence

import pytest

from chalicelib.webex.pacing import DIGEST_THRESHOLD, QUIET, Pace
from tests.support.builders import NOON

SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000


def messages_of(notices: Sequence[int]) -> list[tuple[int, int]]:
    """Return the messages for notices at these times: when each is sent, and how many notices it
    has. A notifier sends what waits as soon as the room is not paused."""
    sent: list[tuple[int, int]] = []
    pace, waiting, now = Pace(), 0, 0
    for position, at in enumerate(notices):
        waiting += 1
        now = max(at, pace.resume_at)
        following = notices[position + 1] if position + 1 < len(notices) else None
        if following is not None and following <= now:
            continue
        pace = pace.at(now)
        messages = 1 if pace.is_digest(waiting) else waiting
        sent += [(now, waiting // messages)] * messages
        pace, waiting = pace.after(messages, waiting, now), 0
    return sent


def per_hour(sent: Sequence[tuple[int, int]], hours: int) -> list[int]:
    return [
        sum(NOON + h * HOUR <= at < NOON + (h + 1) * HOUR for at, _ in sent) for h in range(hours)
    ]


def each(interval: float, hours: float) -> list[int]:
    return [NOON + round(n * interval) for n in range(int(hours * HOUR / interval))]


@pytest.mark.parametrize(
    ("per_minute", "messages"),
    [
        (1 / 20, [3, 3, 3]),
        (1 / 10, [6, 6, 6]),
        (1, [15, 6, 6]),
        (12, [15, 6, 6]),
        (60, [15, 6, 6]),
        (600, [15, 6, 6]),
    ],
)
def test_a_storm_is_few_messages(per_minute: float, messages: list[int]) -> None:
    sent = messages_of(each(MINUTE / per_minute, 3))

    assert per_hour(sent, 3) == messages


@pytest.mark.parametrize("per_minute", [1 / 20, 1, 12, 600])
def test_the_first_notice_is_sent_at_once_and_every_one_is_counted(per_minute: float) -> None:
    notices = each(MINUTE / per_minute, 2)

    sent = messages_of(notices)

    assert sent[0] == (NOON, 1)
    assert sum(count for _, count in sent) == len(notices)


def test_no_notice_waits_longer_than_ten_minutes() -> None:
    pace = Pace()
    for _ in range(100):
        pace = pace.after(1, 1, NOON)

    assert pace.resume_at == NOON + 10 * MINUTE


def test_a_burst_is_one_digest_and_what_follows_soon_is_another() -> None:
    assert not Pace().is_digest(DIGEST_THRESHOLD)
    assert Pace().is_digest(DIGEST_THRESHOLD + 1)

    pace = Pace().after(1, 100, NOON)

    assert pace.resume_at == NOON + 10 * SECOND
    assert pace.is_digest(2)
    assert not pace.is_digest(1)


def test_a_message_for_a_failed_job_and_its_dependents_begins_no_storm() -> None:
    assert not Pace().after(1, 3, NOON).is_storm


def test_a_quiet_quarter_of_an_hour_ends_a_storm() -> None:
    pace = Pace().after(1, 100, NOON)

    assert pace.at(NOON + QUIET - 1).is_storm
    assert pace.at(NOON + QUIET) == Pace()


@pytest.mark.parametrize(
    "arrivals",
    [
        lambda: [NOON] * 10_000,
        lambda: sorted([*each(7 * SECOND, 1), *[NOON + 20 * MINUTE] * 500, *each(MINUTE, 1)]),
        lambda: [at for at in each(SECOND, 1) if at // MINUTE % 2],
        lambda: [NOON + hour * 16 * MINUTE + n for hour in range(4) for n in range(5)],
    ],
)
def test_at_most_twenty_messages_in_the_first_hour(arrivals: Callable[[], list[int]]) -> None:
    sent = messages_of(arrivals())

    assert per_hour(sent, 1)[0] <= 20
