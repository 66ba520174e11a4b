"""The limit of a status depends on the queue; the last match counts."""

from datetime import timedelta

from chalicelib.queues.stuck.limits import StuckLimits
from chalicelib.settings import Settings

HOUR = 3_600_000
LIMITS = StuckLimits(
    [
        ("*", "RUNNABLE", HOUR),
        ("gpu-*", "RUNNABLE", 4 * HOUR),
        ("gpu-test", "RUNNABLE", None),
        ("nightly", "RUNNING", 12 * HOUR),
    ]
)


def test_the_last_limit_whose_glob_matches_the_queue_counts() -> None:
    assert LIMITS.of("cpu") == {"RUNNABLE": HOUR}
    assert LIMITS.of("gpu-large") == {"RUNNABLE": 4 * HOUR}
    assert LIMITS.of("gpu-test") == {"RUNNABLE": None}


def test_run_times_are_watched_unless_running_has_a_limit() -> None:
    assert LIMITS.watches_run_times("cpu")
    assert not LIMITS.watches_run_times("nightly")


def test_durations_are_milliseconds() -> None:
    limits = StuckLimits.of_durations(
        [("*", "PENDING", timedelta(hours=1)), ("q", "PENDING", None)]
    )

    assert (limits.of("cpu"), limits.of("q")) == ({"PENDING": HOUR}, {"PENDING": None})


def test_the_default_has_no_limit_of_running() -> None:
    assert "RUNNING" not in str(Settings.default("stuck_after"))
