"""Messages about one job: what the first line states, and which facts follow."""

import dataclasses
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import ArrayFacts, Attempt, Description, Job, Transition
from chalicelib.webex.text import NoticeText
from chalicelib.webex.text.layout import MessageLayout
from chalicelib.webex.text.phrases import CAUSE_PHRASES, causes_in_short, failure_in_short
from tests.support.rendering import rendered
from tests.support.samples.notice_samples import (
    DESCRIPTION,
    ENDED,
    EXITED,
    HOUR,
    MINUTE,
    NO_CAPACITY,
    OUT_OF_MEMORY,
    a_job,
    a_waiting_job,
    an_ended_job,
    job_context,
    job_message,
    lines,
)

# Statuses


def test_a_failure_states_job_queue_and_cause_before_everything_else() -> None:
    job = an_ended_job(exit_code=137, reason=OUT_OF_MEMORY, attempts=3)

    assert lines(job_message(job)) == [
        "❌ align-reads failed in high-priority: out of memory",
        "The container exceeded its memory limit and was killed. "
        "Increase the job's memory, or reduce what the program needs.",
        "Attempt 3 of 3 · exit code 137 · memory limit 16 GiB · waited 4 min 5 s · ran 3 h 36 min",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch · Log",
    ]


def test_a_message_links_to_the_dashboard_the_console_and_the_log() -> None:
    assert rendered(job_message(an_ended_job())).links == (
        "https://batch.example/prod/#/jobs/4c75",
        "https://eu-central-1.console.aws.amazon.com/batch/home?region=eu-central-1#jobs/detail/4c75",
        "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1"
        "#logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob/log-events/"
        "align$252Fdefault$252F0123",
    )


def test_without_a_public_url_and_a_log_only_the_console_is_linked() -> None:
    text = NoticeText(ZoneInfo("UTC"))

    message = text.message(job_context(a_job()))

    assert lines(message)[-2:] == ["Ended Tue 24 Nov 2026, 03:55 UTC", "AWS Batch"]


def test_the_id_of_a_child_is_url_encoded_in_its_link() -> None:
    layout = MessageLayout(ZoneInfo("UTC"), "https://batch.example/prod")

    assert layout.job_link("4c75:17", "x") == "[x](https://batch.example/prod/#/jobs/4c75%3A17)"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (an_ended_job(exit_code=42), "exit code 42"),
        (an_ended_job(exit_code=137), "killed (137), usually out of memory"),
        (an_ended_job(exit_code=137, reason=OUT_OF_MEMORY), "out of memory"),
        (
            an_ended_job(exit_code=None, status_reason="Task failed to start"),
            "could not be started",
        ),
        (an_ended_job(status_reason="Job attempt duration exceeded timeout"), "timed out"),
        (an_ended_job(exit_code=None, status_reason="Host EC2 (i-1) terminated."), "instance term"),
        (an_ended_job(exit_code=None, reason="CannotPullContainerError: x"), "image pull failed"),
        (a_job(status_reason="Dependent Job failed"), "a dependency failed"),
        (a_job(status_reason="Array Child Job failed"), "a child failed"),
        (a_job(status_reason="Canceled by user: x"), "cancelled"),
        (an_ended_job(exit_code=143, status_reason="wrong sample"), "terminated"),
        (a_job(status_reason="JobQueue deleted"), "job queue deleted"),
        (
            a_job(status_reason="Canceled by JobStateTimeLimit action"),
            "job state time limit reached",
        ),
        (
            a_job(
                status_reason=f"Canceled by JobStateTimeLimit action due to reason: {NO_CAPACITY}"
            ),
            "job state time limit reached (AWS has no free capacity)",
        ),
        (a_job(), "cause unknown"),
        (a_job(exit_code=3), "exit code 3"),
        (
            an_ended_job(exit_code=None, status_reason="AlgorithmError: Exit Code: 139"),
            "exit code 139",
        ),
    ],
)
def test_the_first_line_ends_with_the_cause(job: Job, words: str) -> None:
    first = lines(job_message(job))[0]

    assert first.startswith(f"❌ align-reads failed in high-priority: {words}")
    assert words in failure_in_short(job)


def test_every_cause_has_a_phrase() -> None:
    assert set(CAUSE_PHRASES) | {Cause.EXIT_CODE} == set(Cause)


@pytest.mark.parametrize(
    ("job", "description", "facts"),
    [
        (an_ended_job(), Description(), "waited 4 min 5 s · ran 1 h 12 min"),
        (
            an_ended_job(),
            Description(retry_attempts=1),
            "waited 4 min 5 s · ran 1 h 12 min",
        ),
        (
            an_ended_job(attempts=2),
            Description(),
            "Attempt 2 · waited 4 min 5 s · ran 2 h 24 min",
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
            "memory limit 16 GiB · waited 59 min · ran 1 min",
        ),
    ],
)
def test_a_failure_lists_attempt_exit_code_limits_and_times(
    job: Job, description: Description, facts: str
) -> None:
    assert lines(job_message(job, description=description))[2] == facts


def test_a_success_has_no_explanation() -> None:
    assert lines(job_message(an_ended_job("SUCCEEDED", exit_code=0))) == [
        "✅ align-reads succeeded in high-priority",
        "Attempt 1 of 3 · waited 4 min 5 s · ran 1 h 12 min",
        "Ended Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch · Log",
    ]


@pytest.mark.parametrize(
    ("status", "first", "rest"),
    [
        ("SUBMITTED", "is SUBMITTED", ["SUBMITTED since Tue 24 Nov 2026, 04:55 CET"]),
        ("RUNNABLE", "is RUNNABLE", ["RUNNABLE since Tue 24 Nov 2026, 04:55 CET"]),
        (
            "RUNNING",
            "is RUNNING",
            ["Attempt 1 of 3", "RUNNING since Tue 24 Nov 2026, 04:55 CET"],
        ),
        (
            "HELD_BACK",
            "is HELD_BACK",
            ["Attempt 1 of 3", "HELD_BACK since Tue 24 Nov 2026, 04:55 CET"],
        ),
    ],
)
def test_progress_states_when_the_status_was_entered(
    status: str, first: str, rest: list[str]
) -> None:
    assert lines(job_message(a_job(status))) == [
        f"▶️ align-reads {first} in high-priority",
        *rest,
        "Dashboard · AWS Batch",
    ]


def test_a_retry_states_why_the_last_attempt_failed() -> None:
    failed = Attempt(1, 2, 137, OUT_OF_MEMORY, EXITED)
    job = a_job("RUNNABLE", generation=1, attempts=(failed, Attempt(3)))

    first = lines(job_message(job))[0]

    assert first == (
        "▶️ align-reads is RUNNABLE again in high-priority: attempt 1 failed (out of memory)"
    )


# Stuck


def test_a_stuck_job_states_how_long_it_has_waited_why_and_what_to_do() -> None:
    job = a_waiting_job(status_reason=NO_CAPACITY)

    assert lines(job_message(job, "STUCK")) == [
        "⏳ align-reads has been RUNNABLE in high-priority for 3 h 20 min: "
        "AWS has no free capacity",
        "AWS has no free instances of the types that the compute environments allow. It may have "
        "some later. Allow more instance types, sizes and Availability Zones, or On-Demand "
        "instances in addition to Spot.",
        f'Reason from AWS Batch: "{NO_CAPACITY}"',
        "Requested: 8 vCPUs, 16 GiB of memory, 1 GPU",
        "RUNNABLE since Tue 24 Nov 2026, 01:35 CET",
        "Dashboard · AWS Batch",
    ]


def test_a_stuck_job_without_a_reason_gets_the_advice_for_its_status() -> None:
    message = lines(job_message(a_waiting_job(), "STUCK", description=Description()))

    assert message[0] == "⏳ align-reads has been RUNNABLE in high-priority for 3 h 20 min"
    assert message[1].startswith("The job is ready to run and waits for its turn")
    assert message[2:] == ["RUNNABLE since Tue 24 Nov 2026, 01:35 CET", "Dashboard · AWS Batch"]


@pytest.mark.parametrize(
    ("description", "requested"),
    [
        (Description(vcpus=1, memory=512), "Requested: 1 vCPU, 512 MiB of memory"),
        (Description(vcpus=0.25, memory=1_536), "Requested: 0.25 vCPUs, 1.5 GiB of memory"),
        (Description(gpus=8), "Requested: 8 GPUs"),
    ],
)
def test_a_stuck_job_lists_the_resources_it_requests(
    description: Description, requested: str
) -> None:
    assert requested in lines(job_message(a_waiting_job(), "STUCK", description=description))


def test_a_stuck_child_is_reported_under_the_name_of_its_array() -> None:
    child = a_waiting_job(job_id="4c75:3", status_reason=NO_CAPACITY)

    assert lines(job_message(child, "STUCK", description=Description()))[0] == (
        "⏳ Child 3 and others of align-reads have been RUNNABLE in high-priority for 3 h 20 min: "
        "AWS has no free capacity"
    )


@pytest.mark.parametrize(
    ("children", "subject"),
    [
        (1, "Child 3 of align-reads has"),
        (2, "Child 3 and 1 other child of align-reads have"),
        (1_200, "Child 3 and 1,199 other children of align-reads have"),
        (None, "Child 3 and others of align-reads have"),
    ],
)
def test_a_stuck_array_states_which_child_and_how_many_are_stuck(
    children: int | None, subject: str
) -> None:
    context = job_context(a_waiting_job(job_id="4c75:3"), "STUCK")
    notice = replace(context.notice, children=children)

    message = NoticeText(ZoneInfo("UTC")).message(dataclasses.replace(context, notice=notice))

    assert lines(message)[0].startswith(f"⏳ {subject} been RUNNABLE in high-priority for")


def test_a_job_that_runs_too_long_states_the_usual_run_time() -> None:
    context = job_context(a_job("RUNNING"), "STUCK", at=ENDED + 5 * HOUR)
    notice = replace(context.notice, usual_ms=9 * MINUTE)

    message = NoticeText(ZoneInfo("UTC")).message(dataclasses.replace(context, notice=notice))

    assert lines(message)[0] == "⏳ align-reads has been RUNNING in high-priority for 5 h"
    assert lines(message)[1].startswith("Nine of ten jobs like it run for at most 9 min. ")


# Recovered


@pytest.mark.parametrize(
    ("status", "lasted"), [("RUNNABLE", "3 h 59 min"), ("PENDING", "9 h"), ("STARTING", "1 min")]
)
def test_a_recovered_job_states_how_long_it_was_in_the_reported_status(
    status: str, lasted: str
) -> None:
    steps = [("PENDING", 13 * HOUR), ("RUNNABLE", 4 * HOUR), ("STARTING", MINUTE), ("RUNNING", 0)]
    history = tuple(Transition(status, 0, ENDED - before) for status, before in steps)
    job = a_job("RUNNING", history=history)

    assert lines(job_message(job, "RECOVERED", notice={"status": status})) == [
        "👍 align-reads is no longer stuck in high-priority: it is RUNNING",
        f"It was {status} for {lasted}.",
        "Attempt 1 of 3",
        "RUNNING since Tue 24 Nov 2026, 04:55 CET",
        "Dashboard · AWS Batch",
    ]


def test_a_stuck_job_that_failed_is_reported_as_failed() -> None:
    first = lines(job_message(an_ended_job(), "RECOVERED"))[0]

    assert first == "❌ align-reads failed in high-priority after being stuck: exit code 1"


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (a_job(status_reason="Canceled by user: x"), "it was cancelled"),
        (an_ended_job(exit_code=143, status_reason="wrong sample"), "it was terminated"),
        (a_job(status_reason="JobQueue deleted"), "its job queue was deleted"),
    ],
)
def test_a_stuck_job_that_a_caller_ended_is_no_longer_stuck(job: Job, words: str) -> None:
    first = lines(job_message(job, "RECOVERED"))[0]

    assert first == f"👍 align-reads is no longer stuck in high-priority: {words}"


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, ""),
        ({"": 3}, ""),
        ({"a": 3}, ": a"),
        ({"a": 3, "b": 2}, ": most often a"),
        ({"a": 3, "": 2}, ": most often a"),
        ({"a": 2, "b": 2}, " for 2 reasons"),
        ({"a": 4, "b": 3, "c": 2}, " for 3 reasons"),
        ({"a": 3, "b": 3, "": 2}, " for several reasons"),
        ({"": 4, "a": 2, "b": 1}, ""),
        ({"": 2, "a": 2}, ""),
    ],
)
def test_a_cause_is_most_often_only_above_half(counts: dict[str, int], words: str) -> None:
    assert causes_in_short(counts) == words


def test_an_array_recovers_when_none_of_its_children_is_stuck_in_the_reported_status() -> None:
    array = a_job("PENDING", array=ArrayFacts(size=9))
    notice = {"status": "RUNNABLE", "at": ENDED + HOUR}

    assert lines(job_message(array, "RECOVERED", notice=notice)) == [
        "👍 align-reads is no longer stuck in high-priority: "
        "none of its child jobs is stuck in RUNNABLE",
        "As of Tue 24 Nov 2026, 05:55 CET",
        "Dashboard · AWS Batch",
    ]


def test_the_wait_of_an_array_that_ended_is_not_that_of_its_stuck_child() -> None:
    history = (Transition("RUNNABLE", 0, ENDED - HOUR), Transition("SUCCEEDED", 1, ENDED))
    array = a_job("SUCCEEDED", array=ArrayFacts(size=9), history=history)

    message = lines(job_message(array, "RECOVERED", notice={"status": "RUNNABLE"}))

    assert message[:2] == [
        "👍 align-reads is no longer stuck in high-priority: it succeeded",
        "It was reported as stuck in RUNNABLE.",
    ]
