"""How passes and cursors move, and what a restart does to them."""

from chalicelib.jobs.job_index import StatusPartition
from chalicelib.sweep.reconcile.checkpoint_table import Cursor, Pass, QueueCheckpoint, pass_name
from chalicelib.sweep.reconcile.run import RunStart

MINUTE = 60_000


def test_a_pass_is_complete_until_it_starts_and_after_its_last_job() -> None:
    started = Pass(started_at=100, before=40, position="")

    assert Pass().is_complete
    assert not started.is_complete
    assert started.at("17#job") == Pass(started_at=100, before=40, position="17#job")
    assert started.at(None).is_complete


def test_a_cursor_under_way_is_not_started_again() -> None:
    cursor = Cursor(floor=10).started(position=90, next_floor=80).at(50)

    assert cursor.started(position=190, next_floor=180) == cursor


def test_the_next_cursor_goes_back_to_the_start_of_the_completed_one() -> None:
    cursor = Cursor(floor=10).started(position=90, next_floor=80).at(50).completed()

    assert cursor.started(position=190, next_floor=180) == Cursor(80, 180, 190)


def test_a_postponed_cursor_starts_again_at_its_old_floor_and_counts_as_the_newest() -> None:
    postponed = Cursor(floor=10).started(position=90, next_floor=80).at(50).postponed(now=100)

    assert postponed.next_floor == 100
    assert postponed.started(position=190, next_floor=180) == Cursor(10, 180, 190)


def test_a_restart_makes_all_passes_due_and_moves_the_cursor_back() -> None:
    checkpoint = QueueCheckpoint({"RUNNING": Pass(started_at=100)}, Cursor(80, 90, 85))

    checkpoint.restart(since=20, now=200)

    assert checkpoint == QueueCheckpoint({}, Cursor(floor=20), restarted_at=200)


def test_passes_of_children_are_separate() -> None:
    roots, children = (StatusPartition("q", "RUNNING", members) for members in (False, True))

    assert pass_name(roots) != pass_name(children)


def test_events_are_due_ten_minutes_after_a_change_and_at_once_for_a_restart() -> None:
    assert RunStart(now=60 * MINUTE).events_due_before == 50 * MINUTE
    assert RunStart(now=60 * MINUTE, is_restart=True).events_due_before == 60 * MINUTE
