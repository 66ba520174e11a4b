"""Hours are recomputed once in each interval of their window."""

from chalicelib.jobs.job_index import TimeRange
from chalicelib.queues.rollup import DAY_MS, HOUR_MS
from chalicelib.queues.stats import HourCursor
from chalicelib.sweep.count.windows import REST, WINDOWS, last_day

MIDNIGHT = 20_600 * DAY_MS


def test_a_pass_is_due_once_in_each_hour_or_day_and_not_while_it_is_in_progress() -> None:
    for name, interval in (("day", HOUR_MS), ("fortnight", DAY_MS)):
        window, last = WINDOWS[name], HourCursor(started_at=MIDNIGHT)

        assert window.is_due(HourCursor(), MIDNIGHT)
        assert not window.is_due(last, MIDNIGHT + interval - 1)
        assert window.is_due(last, MIDNIGHT + interval)
        assert not window.is_due(window.start(last, MIDNIGHT), MIDNIGHT + interval)


def test_the_oldest_hours_are_due_only_once_down_to_a_floor_that_a_backfill_sets() -> None:
    window, backfilled = WINDOWS[REST], HourCursor(floor=MIDNIGHT - 99 * DAY_MS)

    started = window.start(backfilled, MIDNIGHT)

    assert window.is_due(backfilled, MIDNIGHT)
    assert not window.is_due(HourCursor(started_at=MIDNIGHT), MIDNIGHT + 99 * DAY_MS)
    assert (started.at, started.floor) == (MIDNIGHT - 15 * DAY_MS, backfilled.floor)


def test_the_windows_follow_each_other_without_a_gap() -> None:
    now = MIDNIGHT + HOUR_MS // 2

    recent, day, fortnight, rest = (window.start(HourCursor(), now) for window in WINDOWS.values())

    assert recent.at == MIDNIGHT + HOUR_MS
    assert (day.at, fortnight.at, rest.at) == (recent.floor, day.floor, fortnight.floor)
    assert last_day(now) == TimeRange(day.floor, recent.at)
