"""Messages about the incidents of a queue."""

from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.jobs.job import Description
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.stuck.bulk_incident import NamedJob, RoomShare
from tests.support.rendering import rendered
from tests.support.samples.notice_samples import (
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
        "⛔ Queue high-priority is blocked by job align-reads: "
        "the job requests more vCPUs than the compute environments allow",
        "The job requests more vCPUs than the maxvCpus of any compute environment of its queue, so "
        "it can't start. Increase maxvCpus, or reduce what the job requests.",
        f'Reason from AWS Batch: "{reason}"',
        "Requested: 8 vCPUs, 16 GiB of memory, 1 GPU",
        "Blocked since Tue 24 Nov 2026, 03:55 CET",
        "Dashboard · AWS Batch · Queue",
    ]
    assert rendered(message).links[-1] == "https://batch.example/prod/#/queues/high-priority"


def test_a_child_that_blocks_a_queue_is_named() -> None:
    blocked = replace(blocked_by("sweep", "UNDETERMINED"), job_id="4c75:3")

    message = queue_message("QUEUE_BLOCKED", "gpu", blocked=blocked)

    assert lines(message)[0].startswith("⛔ Queue gpu is blocked by child 3 of sweep: ")


def test_the_job_that_blocks_a_queue_needs_no_record() -> None:
    blocked = blocked_by("align-reads", "UNDETERMINED")

    message = queue_message("QUEUE_BLOCKED", "gpu", blocked=blocked, description=Description())

    assert lines(message)[0] == (
        "⛔ Queue gpu is blocked by job align-reads: AWS Batch could not determine why"
    )
    assert lines(message)[-2:] == ["Blocked since Tue 24 Nov 2026, 03:55 CET", "Queue"]


def test_a_bulk_incident_states_how_many_jobs_are_stuck_why_and_for_how_long() -> None:
    message = queue_message("BULK_STUCK", "high-priority", bulk_incidents=(a_bulk_incident(),))

    assert lines(message) == [
        "⏳ 1,240 jobs are stuck in RUNNABLE in high-priority: AWS has no free capacity",
        "AWS has no free instances of the types that the compute environments allow. It may have "
        "some later. Allow more instance types, sizes and Availability Zones, or On-Demand "
        "instances in addition to Spot.",
        f'Reason from AWS Batch: "{NO_CAPACITY}"',
        "Jobs: align-reads, merge and 1,238 more",
        "Longest wait: align-reads, 3 h 20 min",
        "As of Tue 24 Nov 2026, 04:55 CET. Another notice follows when none of these jobs is "
        "stuck.",
        "Dashboard",
    ]


def bulk_message(shares: tuple[RoomShare, ...], **fields: Any) -> list[str]:
    incident = a_bulk_incident(shares=shares, **fields)
    return lines(queue_message("BULK_STUCK", "gpu", bulk_incidents=(incident,)))


def test_a_room_gets_the_number_and_the_names_of_its_own_jobs() -> None:
    mine = RoomShare(room="r", jobs=1, names=(NamedJob("5d86", "merge"),), is_at_least=True)
    others = RoomShare(room="other", jobs=1_240)

    message = bulk_message((others, mine))

    assert message[0].startswith("⏳ At least 1 job is stuck in RUNNABLE in gpu")
    assert "Jobs: merge" in message
    assert not any(line.startswith("Longest wait") for line in message)


def test_an_incident_that_is_reported_again_states_how_many_jobs_are_stuck_by_now() -> None:
    update: dict[str, Any] = {"since": 1, "reported_at": ENDED - HOUR}
    share = RoomShare(room="r", jobs=12_400, names=(NamedJob("5d86", "merge"),))
    few = RoomShare(room="r", jobs=1, names=(NamedJob("5d86", "merge"),))

    grown = bulk_message((share,), jobs=12_400, **update)
    shrunk = bulk_message((few,), jobs=1, **update)

    assert grown[0].startswith("⏳ 12,400 jobs are now stuck in RUNNABLE in gpu")
    assert shrunk[0].startswith("⏳ 1 job is still stuck in RUNNABLE in gpu")
    assert "Jobs: merge" in shrunk


def test_the_consequence_of_a_block_ends_with_the_block() -> None:
    message = bulk_message((RoomShare(room="r", jobs=37),), thread=1)

    assert message[-2].endswith("Another notice follows when the queue is no longer blocked.")


def test_missing_events_list_what_to_check_the_likeliest_cause_first() -> None:
    missing = MissingEvents(since=ENDED, last_event_at=ENDED - 3 * HOUR, changes=12)

    message = lines(queue_message("EVENTS_MISSING", "high-priority", missing_events=missing))

    assert message[0] == (
        "🔇 No events received from queue high-priority, although its jobs are progressing"
    )
    assert message[1] == (
        "AWS Batch reports at least 12 job changes for which no event was received. Last event "
        "received: Tue 24 Nov 2026, 01:55 CET. The sweep still records these jobs, with a delay. "
        "Check the following, most likely cause first:"
    )
    assert [check.split(":")[0].split(",")[0] for check in message[2:-1]] == [
        "The EventBridge rule",
        "The undeliverable queue",
        "The events queue",
        "The region and the account",
    ]


def test_missing_events_state_that_no_event_was_ever_received() -> None:
    missing = MissingEvents(since=ENDED, last_event_at=0, changes=2)

    assert "Last event received: never." in queue_message(
        "EVENTS_MISSING", "gpu", missing_events=missing
    )


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (
            "BULK_STUCK_RESOLVED",
            "👍 Queue gpu no longer has jobs that are stuck. The incident lasted 3 h 20 min.",
        ),
        (
            "QUEUE_BLOCKED_RESOLVED",
            "👍 Queue gpu is no longer blocked. The incident lasted 3 h 20 min.",
        ),
        (
            "EVENTS_MISSING_RESOLVED",
            "👍 Events are being received from queue gpu again. The incident lasted 3 h 20 min.",
        ),
    ],
)
def test_a_resolved_incident_states_how_long_it_lasted(kind: str, line: str) -> None:
    message = queue_message(kind, "gpu", lasted=200 * MINUTE)

    assert lines(message) == [line, "Dashboard"]
    assert rendered(message).links == ("https://batch.example/prod/#/queues/gpu",)
