"""When events of a queue are missing, by what Batch describes of its jobs."""

from chalicelib.jobs.job import Details, Job, Source, Transition
from chalicelib.queues.missing_events import MissingEvents, detect_missing_events
from tests.support.builders import NOON

MINUTE = 60_000
HOUR = 60 * MINUTE


def a_job(started_at: int, source: Source = Source.REPAIR) -> Job:
    details = Details(
        status="RUNNING",
        generation=0,
        time=started_at,
        source=source,
        job_name="n",
        job_queue="gpu",
        started_at=started_at,
    )
    return Job("j-1", details, (Transition("RUNNING", 0, started_at, source),))


def detect(*jobs: Job, watched_since: int = 0, last_event_at: int = NOON) -> MissingEvents | None:
    return detect_missing_events(
        jobs, watched_since=watched_since, last_event_at=last_event_at, now=NOON + 2 * HOUR
    )


def test_two_changes_after_the_last_event_open_an_incident() -> None:
    found = detect(a_job(NOON + HOUR), a_job(NOON + HOUR))

    assert found == MissingEvents(since=NOON + 2 * HOUR, last_event_at=NOON, changes=2)


def test_one_change_may_be_a_lost_event() -> None:
    assert detect(a_job(NOON + HOUR), a_job(NOON - HOUR)) is None


def test_a_change_within_a_minute_of_the_last_event_may_have_been_reported() -> None:
    assert detect(*2 * [a_job(NOON + MINUTE)]) is None


def test_the_event_of_a_recent_change_may_still_be_in_flight() -> None:
    assert detect(*2 * [a_job(NOON + 2 * HOUR - 10 * MINUTE)]) is None


def test_a_change_that_an_event_reported_is_no_evidence() -> None:
    assert detect(*2 * [a_job(NOON + HOUR, Source.EVENT)]) is None


def test_a_change_before_the_queue_was_watched_is_no_evidence() -> None:
    job = a_job(NOON + HOUR)

    assert detect(job, job, last_event_at=0, watched_since=NOON + HOUR) is None
    assert detect(job, job, last_event_at=0, watched_since=NOON) is not None
