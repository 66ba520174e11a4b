"""Messages about the incidents of a queue."""
# ruff: noqa: RUF001 -- messages contain multiplication signs

import pytest

from chalicelib.jobs.job import Description
from chalicelib.queues.missing_events import MissingEvents
from tests.support.notice_samples import (
    DESCRIPTION,
    ENDED,
    HOUR,
    MINUTE,
    NO_CAPACITY,
    a_bulk_incident,
    a_waiting_job,
    blocked_by,
    lines,
    queue_message,
)


def test_a_blocked_queue_states_which_job_blocks_it_and_why() -> None:
    reason = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x"

    message = queue_message(
        "QUEUE_BLOCKED",
        "high-priority",
        blocked=blocked_by("align-reads", reason),
        job=a_waiting_job(),
        description=DESCRIPTION,
    )

    assert lines(message) == [
        "⛔ high-priority is blocked by align-reads: "
        "the job is larger than the compute environments may grow",
        "The job asks for more vCPUs than the maxvCpus of any compute environment of its queue. "
        "Raise maxvCpus, or let the job ask for less: it can't start as it is.",
        f'AWS Batch says: "{reason}"',
        "Asks for 8 vCPUs, 16 GiB of memory, 1 GPU",
        "Blocked since Tue 24 Nov 2026, 03:55 CET",
        "Dashboard · AWS Batch",
    ]


def test_the_job_that_blocks_a_queue_needs_no_record() -> None:
    blocked = blocked_by("align-reads", "UNDETERMINED")

    message = queue_message("QUEUE_BLOCKED", "gpu", blocked=blocked, description=Description())

    assert lines(message)[0] == "⛔ gpu is blocked by align-reads: AWS Batch can't tell why"
    assert lines(message)[-1] == "Blocked since Tue 24 Nov 2026, 03:55 CET"


def test_a_bulk_incident_states_how_many_jobs_are_stuck_why_and_for_how_long() -> None:
    message = queue_message("BULK_STUCK", "high-priority", bulk_incident=a_bulk_incident())

    assert lines(message) == [
        "⏳ 1,240 jobs are stuck in high-priority: most often AWS has no capacity for it",
        "AWS has no free instance of the types that the compute environments may use. It may have "
        "one later. More instance types, sizes and Availability Zones help, and On-Demand "
        "instances beside Spot.",
        f'AWS Batch says: "{NO_CAPACITY}"',
        "1,200 RUNNABLE, 40 STARTING",
        "align-reads has waited longest, for 3 h 20 min",
        "Why, of the 100 that wait longest: 80 × AWS has no capacity for it, 20 × nothing is known",
        "Counted Tue 24 Nov 2026, 04:55 CET. One more message will tell when none is stuck any "
        "more.",
    ]


def test_missing_events_list_what_to_check_the_likeliest_cause_first() -> None:
    missing = MissingEvents(since=ENDED, last_event_at=ENDED - 3 * HOUR, changes=12)

    message = lines(queue_message("EVENTS_MISSING", "high-priority", missing_events=missing))

    assert message[0] == (
        "🔇 No events received from high-priority, although its jobs are progressing"
    )
    assert message[1] == (
        "AWS Batch reports at least 12 changes without an event. The last event arrived "
        "Tue 24 Nov 2026, 01:55 CET. The sweep finds what happens, but late. "
        "Check, the likeliest first:"
    )
    assert [check.split(":")[0].split(",")[0] for check in message[2:]] == [
        "The rule",
        "The undeliverable queue",
        "The events queue",
        "The region and the account",
    ]


def test_missing_events_state_that_no_event_was_ever_received() -> None:
    missing = MissingEvents(since=ENDED, last_event_at=0, changes=2)

    assert "None ever did." in queue_message("EVENTS_MISSING", "gpu", missing_events=missing)


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("BULK_STUCK_RESOLVED", "👍 No job is stuck in gpu any more: it took 3 h 20 min"),
        ("QUEUE_BLOCKED_RESOLVED", "👍 gpu moves again: it was blocked for 3 h 20 min"),
        ("EVENTS_MISSING_RESOLVED", "👍 Events of gpu arrive again: it took 3 h 20 min"),
    ],
)
def test_a_resolved_incident_states_how_long_it_lasted(kind: str, line: str) -> None:
    assert lines(queue_message(kind, "gpu", lasted=200 * MINUTE)) == [line]
