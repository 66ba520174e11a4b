"""What people read: the first line says it all, the rest helps, nothing foreign does anything."""
# ruff: noqa: RUF001 -- messages have ranges with an en dash, and signs of multiplication

import re
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import ArrayFacts, Attempt, Description, Details, Job, Transition
from chalicelib.notices.notice import CHILD_FAILED, Notice, notices_of_queue
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.state import QueueState
from chalicelib.queues.stuck import BulkIncident, Longest
from chalicelib.webex.markdown import LIMIT
from chalicelib.webex.text import _CAUSES, ArrayOutcome, NoticeText, Told, ranges, why
from tests.support.injection_samples import INJECTIONS, texts
from tests.support.rendering import UNSEEN, Rendered, autolinks, rendered

MINUTE = 60_000
HOUR = 60 * MINUTE
ENDED = 1_795_492_500_000
"""2026-11-24T03:55:00Z"""
QUEUES = "arn:aws:batch:eu-central-1:111122223333:job-queue/"
EXITED = "Essential container in task exited"
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none of type [p4d.24xlarge]"

text = NoticeText(ZoneInfo("Europe/Berlin"), "https://batch.example/prod")
DESCRIPTION = Description(
    vcpus=8, memory=16_384, gpus=1, retry_attempts=3, timeout_seconds=3_600, image="lab/bwa:2"
)


def a_job(
    status: str = "FAILED",
    *,
    name: str = "align-reads",
    queue: str = "high-priority",
    job_id: str = "4c75",
    generation: int = 0,
    history: tuple[Transition, ...] | None = None,
    **details: Any,
) -> Job:
    said = Details(
        status=status,
        generation=generation,
        time=ENDED,
        job_name=name,
        job_queue=QUEUES + queue,
        **details,
    )
    return Job(job_id, said, history or (Transition(status, generation, ENDED),))


def an_ended_job(
    status: str = "FAILED",
    *,
    exit_code: int | None = 1,
    reason: str | None = None,
    status_reason: str | None = EXITED,
    attempts: int = 1,
    **fields: Any,
) -> Job:
    """It waited 4 min 5 s, and each of its attempts ran 1 h 12 min."""
    tries = tuple(
        Attempt(
            ENDED - 2 * n * HOUR - 72 * MINUTE,
            ENDED - 2 * n * HOUR,
            exit_code,
            reason,
            status_reason,
            "align/default/0123",
        )
        for n in reversed(range(attempts))
    )
    return a_job(
        status,
        generation=attempts,
        attempts=tries,
        status_reason=status_reason,
        created_at=(tries[0].started_at or 0) - 245_000,
        stopped_at=ENDED,
        **fields,
    )


def a_waiting_job(**fields: Any) -> Job:
    """RUNNABLE for 3 h 20 min when it was 03:55 UTC."""
    since = Transition("RUNNABLE", 0, ENDED - 200 * MINUTE)
    return a_job("RUNNABLE", **{"history": (since,), **fields})


def told(job: Job, kind: str = "FAILED", at: int = ENDED) -> Told:
    notice = Notice(room="r", job_id=job.job_id, kind=kind, generation=0, at=at, queue=job.queue)
    return Told(notice, job)


def told_of_queue(kind: str, queue: str, **state: Any) -> Told:
    (notice,) = notices_of_queue(kind, queue, ["r"], began=ENDED - HOUR, at=ENDED)
    return Told(notice, None, None, QueueState(watched_since=0, **state))


def blocked(reason: str, name: str = "align-reads") -> Blocked:
    return Blocked(since=ENDED - HOUR, last_seen=ENDED, job_id="4c75", job_name=name, reason=reason)


def a_crowd(name: str = "align-reads", reason: str = NO_CAPACITY) -> BulkIncident:
    return BulkIncident(
        since=ENDED,
        statuses={"STARTING": 40, "RUNNABLE": 1_200},
        longest=Longest(
            job_id="4c75", job_name=name, status="RUNNABLE", since=ENDED - 200 * MINUTE
        ),
        asked=100,
        causes={"AWS has no capacity for it": 80, "": 20},
        reason=reason,
    )


def lines(message: str) -> list[str]:
    """As a person reads them."""
    return rendered(message).text.replace(UNSEEN, "").splitlines()


# ------------------------------------------------------------------ one job


def test_a_failure_says_which_job_where_and_why_and_then_all_that_helps() -> None:
    job = an_ended_job(exit_code=137, reason=OUT_OF_MEMORY, attempts=3)

    message = text.status(job, DESCRIPTION)

    assert lines(message) == [
        "❌ align-reads failed in high-priority: out of memory",
        "The container used more memory than it was given and was killed. "
        "Give the job more memory, or make it need less.",
        "Attempt 3 of 3 · exit code 137 · had 16 GiB of memory · waited 4 min 5 s · ran 3 h 36 min",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch · Log",
    ]


def test_a_message_links_to_the_dashboard_the_console_and_the_log() -> None:
    assert rendered(text.status(an_ended_job(), DESCRIPTION)).links == (
        "https://batch.example/prod/#/jobs/4c75",
        "https://eu-central-1.console.aws.amazon.com/batch/home?region=eu-central-1#jobs/detail/4c75",
        "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
        "#logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob/log-events/"
        "align$252Fdefault$252F0123",
    )


def test_without_a_public_url_or_a_log_there_are_no_links_to_them() -> None:
    bare = NoticeText(ZoneInfo("UTC"))

    message = bare.status(a_job(), DESCRIPTION)

    assert lines(message)[-2:] == ["Ended Tue 24 Nov 2026, 03:55 UTC", "AWS Batch"]


def test_the_link_of_a_node_or_child_is_quoted() -> None:
    assert text.job_link("4c75:17", "x") == "[x](https://batch.example/prod/#/jobs/4c75%3A17)"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (an_ended_job(exit_code=42), "exit code 42"),
        (an_ended_job(exit_code=137), "out of memory"),
        (an_ended_job(status_reason="Job attempt duration exceeded timeout"), "timed out"),
        (an_ended_job(exit_code=None, status_reason="Host EC2 (i-1) terminated."), "lost its mach"),
        (an_ended_job(exit_code=None, reason="CannotPullContainerError: x"), "image not pulled"),
        (a_job(status_reason="Dependent Job failed"), "a job that it depends on failed"),
        (a_job(status_reason="Array Child Job failed"), "a child failed"),
        (a_job(status_reason="Canceled by user: x"), "cancelled"),
        (an_ended_job(exit_code=143, status_reason="wrong sample"), "terminated"),
        (a_job(status_reason="JobQueue deleted"), "its queue was deleted"),
        (a_job(status_reason="Canceled by JobStateTimeLimit action"), "waited longer than its"),
        (a_job(), "cause unknown"),
        (a_job(exit_code=3), "exit code 3"),
    ],
)
def test_the_first_line_ends_with_the_cause(job: Job, words: str) -> None:
    first = lines(text.status(job, DESCRIPTION))[0]

    assert first.startswith(f"❌ align-reads failed in high-priority: {words}")
    assert words in why(job)


def test_every_cause_has_its_words() -> None:
    assert set(_CAUSES) | {Cause.EXIT_CODE} == set(Cause)


@pytest.mark.parametrize(
    ("job", "description", "facts"),
    [
        (an_ended_job(), Description(), "Attempt 1 · waited 4 min 5 s · ran 1 h 12 min"),
        (
            an_ended_job(),
            Description(retry_attempts=1),
            "Attempt 1 of 1 · waited 4 min 5 s · ran 1 h 12 min",
        ),
        (
            an_ended_job(exit_code=137, status_reason="Job attempt duration exceeded timeout"),
            DESCRIPTION,
            "Attempt 1 of 3 · exit code 137 · timeout 1 h · waited 4 min 5 s · ran 1 h 12 min",
        ),
        (
            a_job(created_at=ENDED - 25 * MINUTE, status_reason="Canceled by user: x"),
            DESCRIPTION,
            "Never started · waited 25 min",
        ),
        (
            a_job(created_at=ENDED - HOUR, started_at=ENDED - MINUTE, exit_code=137),
            DESCRIPTION,
            "exit code 137 · had 16 GiB of memory · waited 59 min · ran 1 min",
        ),
    ],
)
def test_a_failure_says_how_it_went(job: Job, description: Description, facts: str) -> None:
    assert lines(text.status(job, description))[2] == facts


def test_a_success_is_short() -> None:
    assert lines(text.status(an_ended_job("SUCCEEDED", exit_code=0), DESCRIPTION)) == [
        "✅ align-reads succeeded in high-priority",
        "Attempt 1 of 3 · waited 4 min 5 s · ran 1 h 12 min",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch · Log",
    ]


@pytest.mark.parametrize(
    ("status", "first", "rest"),
    [
        ("SUBMITTED", "is submitted", ["SUBMITTED since Tue 24 Nov 2026, 04:55 CET"]),
        ("RUNNABLE", "is runnable", ["RUNNABLE since Tue 24 Nov 2026, 04:55 CET"]),
        (
            "RUNNING",
            "is running",
            ["Attempt 1 of 3", "RUNNING since Tue 24 Nov 2026, 04:55 CET"],
        ),
        (
            "HELD_BACK",
            "is held_back",
            ["Attempt 1 of 3", "HELD_BACK since Tue 24 Nov 2026, 04:55 CET"],
        ),
    ],
)
def test_progress_is_told_with_its_time(status: str, first: str, rest: list[str]) -> None:
    assert lines(text.status(a_job(status), DESCRIPTION)) == [
        f"▶️ align-reads {first} in high-priority",
        *rest,
        "Dashboard · AWS Batch",
    ]


def test_a_job_that_is_tried_again_says_why() -> None:
    job = a_job("RUNNABLE", generation=1, attempts=(Attempt(1, 2, 137, None, EXITED), Attempt(3)))

    first = lines(text.status(job, DESCRIPTION))[0]

    assert first == (
        "▶️ align-reads is runnable again in high-priority: attempt 1 failed, out of memory"
    )


# ------------------------------------------------------------------ arrays


def test_the_first_failed_child_speaks_for_its_array() -> None:
    child = an_ended_job(job_id="4c75:1217")

    message = text.first_failed_child(child, 10_000)

    assert lines(message) == [
        "⚠️ A child of align-reads failed in high-priority: exit code 1",
        "The program ended with exit code 1: it met an error. The end of its log should say more.",
        "Child 1,217 of 10,000 is the first known to have failed. "
        "One more message will tell how all of them ended.",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch · Log",
    ]
    assert "Child 1,217 is" in text.first_failed_child(child, None)


def an_array(status: str = "FAILED", reason: str | None = "Array Child Job failed") -> Job:
    created = ENDED - 185 * MINUTE
    return a_job(status, status_reason=reason, created_at=created, stopped_at=ENDED)


def test_the_end_of_an_array_counts_its_children() -> None:
    causes = {"out of memory": 22, "exit code 1": 2, "lost its machine": 1}
    outcome = ArrayOutcome(10_000, 9_963, 25, (3, 17, *range(40, 63)), causes)

    message = text.array_end(an_array(), outcome)

    assert lines(message) == [
        "❌ align-reads failed in high-priority: 25 of 10,000 children, most often out of memory",
        "9,963 succeeded, 25 failed, nothing was heard of 12",
        "Failed: 3, 17, 40–62",
        "Causes: 22 × out of memory, 2 × exit code 1, 1 × lost its machine",
        "Took 3 h 5 min",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch",
    ]


def test_children_that_all_failed_for_one_cause_are_told_briefly() -> None:
    outcome = ArrayOutcome(100, 98, 2, (3, 4), {"exit code 1": 2})

    assert lines(text.array_end(an_array(), outcome))[:4] == [
        "❌ align-reads failed in high-priority: 2 of 100 children, exit code 1",
        "98 succeeded, 2 failed",
        "Failed: 3, 4",
        "Took 3 h 5 min",
    ]


def test_an_array_that_succeeded_says_that_all_did() -> None:
    message = text.array_end(an_array("SUCCEEDED", None), ArrayOutcome(10_000, 10_000, 0))

    assert lines(message)[:2] == [
        "✅ align-reads succeeded in high-priority: all 10,000 children",
        "Took 3 h 5 min",
    ]


def test_an_array_that_someone_ended_says_so_first() -> None:
    job = an_array(reason="Canceled by user: wrong sample")

    assert lines(text.array_end(job, ArrayOutcome(9, 5, 1, (4,), {"exit code 1": 1})))[:3] == [
        "❌ align-reads failed in high-priority: cancelled; 1 of 9 children, exit code 1",
        'A person or a program cancelled the job. The reason given: "Canceled by user: wrong '
        'sample"',
        "5 succeeded, 1 failed, nothing was heard of 3",
    ]
    assert lines(text.array_end(job, ArrayOutcome(9, 0, 0)))[0].endswith(": cancelled")


def test_more_failures_than_anybody_reads_are_counted() -> None:
    indexes = tuple(range(0, 9_000, 2))
    outcome = ArrayOutcome(10_000, 5_500, 4_500, indexes, {"exit code 1": 4_500})

    line = lines(text.array_end(an_array(), outcome))[2]

    shown, more = re.fullmatch(r"Failed: ([\d, ]+) … and ([\d,]+) more", line).groups()  # type: ignore[union-attr]
    assert len(shown.split(", ")) + int(more.replace(",", "")) == 4_500
    assert len(line) < 300


def test_an_outcome_is_counted_from_the_records_of_the_children() -> None:
    children = [
        an_ended_job(exit_code=1, job_id="4c75:9"),
        an_ended_job(exit_code=137, job_id="4c75:7"),
        an_ended_job(exit_code=137, job_id="4c75:2"),
        an_ended_job("SUCCEEDED", exit_code=0, job_id="4c75:0"),
        a_job("RUNNING", job_id="4c75:1"),
    ]

    outcome = ArrayOutcome.of(10, children)

    assert outcome == ArrayOutcome(10, 1, 3, (2, 7, 9), {"out of memory": 2, "exit code 1": 1})
    assert list(outcome.causes) == ["out of memory", "exit code 1"]
    assert outcome.unheard == 6


@pytest.mark.parametrize(
    ("indexes", "words"),
    [
        ([], ""),
        ([5], "5"),
        ([4, 5], "4, 5"),
        ([4, 5, 6], "4–6"),
        ([3, 17, *range(40, 63)], "3, 17, 40–62"),
        ([0, 1, 2, 4, 5, 7], "0–2, 4, 5, 7"),
    ],
)
def test_indexes_in_a_row_are_a_range(indexes: list[int], words: str) -> None:
    assert ", ".join(item.text for item in ranges(indexes)) == words


@given(indexes=st.sets(st.integers(0, 300)).map(sorted))
def test_ranges_tell_each_index_once(indexes: list[int]) -> None:
    items = ranges(indexes)

    told_of: list[int] = []
    for item in items:
        first, _, last = item.text.partition("–")
        told_of += range(int(first), int(last or first) + 1)
    assert told_of == indexes
    assert sum(item.stands_for for item in items) == len(indexes)


# ------------------------------------------------------------------ what does not get on


def test_a_stuck_job_says_for_how_long_why_and_what_to_do() -> None:
    job = a_waiting_job(status_reason=NO_CAPACITY)

    message = text.stuck(job, DESCRIPTION, ENDED)

    assert lines(message) == [
        "⏳ align-reads has been RUNNABLE in high-priority for 3 h 20 min: "
        "AWS has no capacity for it",
        "AWS has no free instance of the types that the compute environments may use. It may have "
        "one later. More instance types, sizes and Availability Zones help, and On-Demand "
        "instances beside Spot.",
        f'AWS Batch says: "{NO_CAPACITY}"',
        "Asks for 8 vCPUs, 16 GiB of memory, 1 GPU",
        "RUNNABLE since Tue 24 Nov 2026, 01:35 CET",
        "Dashboard · AWS Batch",
    ]


def test_a_stuck_job_of_which_batch_says_nothing_gets_the_usual_advice() -> None:
    said = lines(text.stuck(a_waiting_job(), Description(), ENDED))

    assert said[0] == "⏳ align-reads has been RUNNABLE in high-priority for 3 h 20 min"
    assert said[1].startswith("It is ready to run and waits for its turn")
    assert said[2:] == ["RUNNABLE since Tue 24 Nov 2026, 01:35 CET", "Dashboard · AWS Batch"]


@pytest.mark.parametrize(
    ("description", "demand"),
    [
        (Description(vcpus=1, memory=512), "Asks for 1 vCPU, 512 MiB of memory"),
        (Description(vcpus=0.25, memory=1_536), "Asks for 0.25 vCPUs, 1.5 GiB of memory"),
        (Description(gpus=8), "Asks for 8 GPUs"),
    ],
)
def test_a_stuck_job_says_what_it_asks_for(description: Description, demand: str) -> None:
    assert demand in lines(text.stuck(a_waiting_job(), description, ENDED))


def test_a_recovered_job_says_how_long_it_was_stuck() -> None:
    steps = [("PENDING", 5 * HOUR), ("RUNNABLE", 4 * HOUR), ("STARTING", MINUTE), ("RUNNING", 0)]
    history = tuple(Transition(status, 0, ENDED - before) for status, before in steps)

    message = text.recovered(a_job("RUNNING", history=history), DESCRIPTION)

    assert lines(message) == [
        "👍 align-reads moved on in high-priority: it is running",
        "It had been RUNNABLE for 3 h 59 min.",
        "Attempt 1 of 3",
        "RUNNING since Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch",
    ]


def test_a_recovered_job_that_has_failed_meanwhile_says_so() -> None:
    first = lines(text.recovered(an_ended_job(), DESCRIPTION))[0]

    assert first == "👍 align-reads moved on in high-priority: it failed: exit code 1"


def test_a_blocked_queue_comes_first_and_then_the_job_that_blocks_it() -> None:
    reason = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x"

    message = text.queue_blocked("high-priority", blocked(reason), a_waiting_job(), DESCRIPTION)

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


def test_a_queue_can_be_blocked_by_a_job_of_which_nothing_was_heard() -> None:
    message = text.queue_blocked("gpu", blocked("UNDETERMINED"), None, Description())

    assert lines(message)[0] == "⛔ gpu is blocked by align-reads: AWS Batch can't tell why"
    assert lines(message)[-1] == "Blocked since Tue 24 Nov 2026, 03:55 CET"


def test_a_stuck_child_speaks_for_its_array() -> None:
    child = a_waiting_job(job_id="4c75:3", status_reason=NO_CAPACITY)

    assert lines(text.stuck(child, Description(), ENDED))[0] == (
        "⏳ A child of align-reads has been RUNNABLE in high-priority for 3 h 20 min: "
        "AWS has no capacity for it"
    )


def test_an_array_whose_children_move_says_so() -> None:
    array = a_job("PENDING", array=ArrayFacts(size=9))

    assert lines(text.recovered(array, DESCRIPTION)) == [
        "👍 align-reads moved on in high-priority: none of its children is stuck any more",
        "PENDING since Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch",
    ]


def test_a_crowd_says_how_many_are_stuck_where_why_and_for_how_long() -> None:
    assert lines(text.bulk_incident("high-priority", a_crowd())) == [
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


def test_silence_says_what_to_check_in_which_order() -> None:
    silence = MissingEvents(since=ENDED, last_event_at=ENDED - 3 * HOUR, changes=12)

    said = lines(text.silent("high-priority", silence))

    assert said[0] == (
        "🔇 No events received from high-priority, although its jobs are progressing"
    )
    assert said[1] == (
        "AWS Batch reports at least 12 changes without an event. The last event arrived "
        "Tue 24 Nov 2026, 01:55 CET. The sweep finds what happens, but late. "
        "Check, the likeliest first:"
    )
    assert [check.split(":")[0].split(",")[0] for check in said[2:]] == [
        "The rule",
        "The undeliverable queue",
        "The events queue",
        "The region and the account",
    ]


def test_a_queue_that_was_never_heard_of_is_said_so() -> None:
    assert "None ever did." in text.silent(
        "gpu", MissingEvents(since=ENDED, last_event_at=0, changes=2)
    )


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("BULK_STUCK_RESOLVED", "👍 No job is stuck in gpu any more: it took 3 h 20 min"),
        ("QUEUE_BLOCKED_RESOLVED", "👍 gpu moves again: it was blocked for 3 h 20 min"),
        ("EVENTS_MISSING_RESOLVED", "👍 Events of gpu arrive again: it took 3 h 20 min"),
    ],
)
def test_the_end_of_a_queues_episode_says_how_long_it_lasted(kind: str, said: str) -> None:
    (notice,) = notices_of_queue(kind, "gpu", ["r"], began=ENDED - 200 * MINUTE, at=ENDED)

    assert lines(text.queue_recovered(notice)) == [said]


# ------------------------------------------------------------------ digests


def test_a_digest_of_one_kind_says_how_many_where_and_mostly_why() -> None:
    failures = [
        *(told(an_ended_job(name=f"align-{n}", job_id=f"a-{n}", exit_code=137)) for n in range(3)),
        *(told(an_ended_job(name="report", job_id=f"r-{n}"), at=ENDED + HOUR) for n in range(2)),
    ]

    message = text.digest(failures)

    assert lines(message) == [
        "❌ 5 jobs failed in high-priority: most often out of memory",
        "3 failed: out of memory: align-0, align-1, align-2",
        "2 failed: exit code 1: report ×2",
        "Tue 24 Nov 2026, 04:55 to 05:55 CET",
    ]
    assert rendered(message).links == tuple(
        f"https://batch.example/prod/#/jobs/{job_id}" for job_id in ["a-0", "a-1", "a-2", "r-0"]
    )


def test_a_digest_of_many_kinds_begins_with_what_matters_most_and_lists_the_most_first() -> None:
    many = [
        *(
            told(an_ended_job("SUCCEEDED", name=f"ok-{n}", queue="spot"), "SUCCEEDED")
            for n in range(3)
        ),
        told(a_waiting_job(name="merge", queue="gpu", status_reason=NO_CAPACITY), "STUCK"),
        told_of_queue("QUEUE_BLOCKED", "gpu", blocked=blocked(NO_CAPACITY, "head")),
        told_of_queue("BULK_STUCK", "cpu", bulk_incident=a_crowd()),
        told_of_queue("EVENTS_MISSING_RESOLVED", "spot"),
        told(a_job("RUNNING", name="sim"), "RUNNING"),
        told(a_job("RUNNING", name="moved"), "RECOVERED"),
        told(an_ended_job(name="array", exit_code=137), CHILD_FAILED),
        told(an_ended_job(name="bad")),
    ]

    assert lines(text.digest(many)) == [
        "❌ 1 job failed, 1 has a failed child, 1 queue is blocked, 1 queue has many stuck jobs, "
        "1 is stuck, 1 moved on, 1 queue is heard of again, 3 succeeded, 1 is running in 4 queues",
        "3 succeeded in spot: ok-0, ok-1, ok-2",
        "1 failed in high-priority: exit code 1: bad",
        "1 has a failed child in high-priority: out of memory: array",
        "gpu is blocked: AWS has no capacity for it: head",
        "cpu has many stuck jobs: AWS has no capacity for it",
        "1 is stuck in gpu: AWS has no capacity for it: merge",
        "1 moved on in high-priority: moved",
        "spot is heard of again",
        "1 is running in high-priority: sim",
        "Tue 24 Nov 2026, 04:55 CET",
    ]


def test_a_digest_of_one_cause_says_it_once_for_all() -> None:
    stuck = [
        told(a_waiting_job(name=f"merge-{n}", status_reason=NO_CAPACITY), "STUCK") for n in range(9)
    ]

    assert lines(text.digest(stuck))[0] == (
        "⏳ 9 jobs are stuck in high-priority: AWS has no capacity for it"
    )


def test_a_job_without_a_record_is_told_by_its_id() -> None:
    unheard = Told(told(a_job("PENDING", job_id="4c75")).notice, None)

    assert lines(text.digest([unheard]))[:2] == [
        "❌ 1 job failed in high-priority",
        "1 failed: 4c75",
    ]


def test_of_a_thousand_failures_every_one_is_named_or_counted() -> None:
    failures = [
        told(an_ended_job(name=f"align-reads-{n}", job_id=f"a-{n}", exit_code=1 + n % 3))
        for n in range(1_000)
    ]

    message = text.digest(failures)

    named = len(re.findall(r"align-reads-\d+", message))
    counted = sum(int(more) for more in re.findall(r"and (\d+) more", message))
    assert named > 90
    assert named + counted == 1_000
    assert rendered(message).links == (), "links would leave room for fewer names"
    assert len(message) < 3_500, "nobody reads more"


def test_of_more_groups_than_fit_the_jobs_of_the_rest_are_counted() -> None:
    failures = [told(an_ended_job(queue=f"{'q' * 100}-{n}", name=f"align-{n}")) for n in range(200)]

    message = text.digest(failures)

    groups = message.count("\n- **")
    (rest,) = re.findall(r"- … and (\d+) more", message)
    assert groups + int(rest) == 200
    assert groups > 10


# ------------------------------------------------------------------ hostile text, and limits


def messages_with(foreign: str) -> list[str]:
    """One of each kind, with the text wherever an event's text can get to."""
    said: dict[str, Any] = {"name": foreign, "queue": foreign}
    failed = an_ended_job(reason=foreign, **said)
    waiting = a_waiting_job(status_reason=f"CAPACITY {foreign}", **said)
    history = (Transition("RUNNABLE", 0, ENDED - HOUR), Transition("RUNNING", 0, ENDED))
    return [
        text.status(failed, DESCRIPTION),
        text.status(a_job("RUNNING", **said), DESCRIPTION),
        text.status(a_job(status_reason=f"Canceled by user: {foreign}", **said), DESCRIPTION),
        text.first_failed_child(failed, 9),
        text.array_end(
            an_array(), ArrayOutcome(9, 0, 2, (1,), {foreign: 1, f"{foreign} again": 1})
        ),
        text.stuck(waiting, DESCRIPTION, ENDED),
        text.recovered(a_job("RUNNING", history=history, **said), DESCRIPTION),
        text.queue_blocked(foreign, blocked(f"CAPACITY {foreign}", foreign), waiting, DESCRIPTION),
        text.bulk_incident(foreign, a_crowd(foreign, f"CAPACITY {foreign}")),
        text.silent(foreign, MissingEvents(since=ENDED, last_event_at=0, changes=2)),
        text.queue_recovered(told_of_queue("QUEUE_BLOCKED_RESOLVED", foreign).notice),
        text.digest(
            [
                told(failed),
                told(waiting, "STUCK"),
                told_of_queue("QUEUE_BLOCKED", waiting.queue, blocked=blocked("CAPACITY", foreign)),
            ]
        ),
    ]


HARMLESS: list[Rendered] = [rendered(message) for message in messages_with("harmless")]


def assert_harmless(foreign: str) -> None:
    for message, harmless in zip(messages_with(foreign), HARMLESS, strict=True):
        shown = rendered(message)
        assert shown.structure == harmless.structure
        assert shown.links == harmless.links
        assert autolinks(message) == []
        assert len(message.splitlines()) == message.count("\n") + 1
        assert len(message.encode()) <= LIMIT


@pytest.mark.parametrize("foreign", INJECTIONS)
def test_hostile_text_changes_nothing_but_words(foreign: str) -> None:
    assert_harmless(foreign)


@given(foreign=texts())
def test_no_text_changes_anything_but_words(foreign: str) -> None:
    assert_harmless(foreign)


@pytest.mark.parametrize("region", ["evil.example?", "ada@evil.example", "x)[y](https:", "<@all>"])
def test_a_region_that_is_none_leads_nowhere(region: str) -> None:
    arn = f"arn:aws:batch:{region}:111122223333:job-queue/q"
    plain = a_job()
    job = replace(plain, details=replace(plain.details, job_queue=arn))

    shown = rendered(text.status(job, DESCRIPTION))

    assert shown.links == ("https://batch.example/prod/#/jobs/4c75",)


@given(
    name=texts(),
    reason=texts(),
    jobs=st.integers(1, 300),
    causes=st.dictionaries(texts(), st.integers(1, 10**6), max_size=300),
    indexes=st.sets(st.integers(0, 9_999)).map(sorted),
    stream=st.text(max_size=1_024),
)
def test_no_message_is_longer_than_webex_takes(
    name: str,
    reason: str,
    jobs: int,
    causes: dict[str, int],
    indexes: list[int],
    stream: str,
) -> None:
    failed = an_ended_job(name=name, reason=reason, queue="q" * 128)
    logged = a_job(name=name, log_stream_name=stream, reason=reason, log_group=stream)
    outcome = ArrayOutcome(10_000, 0, len(indexes), tuple(indexes), causes)
    crowd = [
        told(an_ended_job(name=f"{n}{name}", exit_code=n, queue=f"{n % 50}{name}"))
        for n in range(jobs)
    ]

    written = [
        text.status(failed, DESCRIPTION),
        text.status(logged, DESCRIPTION),
        text.array_end(failed, outcome),
        text.stuck(a_waiting_job(name=name, status_reason=reason), DESCRIPTION, ENDED),
        text.digest(crowd),
        text.digest(crowd[:5]),
    ]

    assert max(len(message.encode()) for message in written) <= LIMIT
    assert all(rendered(message).text.strip() for message in written)
