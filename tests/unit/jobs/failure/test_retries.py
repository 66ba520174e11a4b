"""Why a job that failed was not retried."""

import pytest

from chalicelib.jobs.failure import Cause
from chalicelib.jobs.failure.retries import retry_explanation
from chalicelib.jobs.job import Attempt, Description, Details, ExitRule
from tests.support.builders import NOON, QUEUE_ARN

OOM = "OutOfMemoryError: Container killed due to memory usage"
SPOT = "Host EC2 (instance i-0abc) terminated."
EXIT_2 = Attempt(exit_code=2, status_reason="Essential container in task exited")


def explanation(
    attempt: Attempt, *rules: ExitRule, made: int = 1, cause: Cause = Cause.EXIT_CODE
) -> str | None:
    details = Details(
        status="FAILED",
        generation=made,
        time=NOON,
        job_name="align",
        job_queue=QUEUE_ARN,
        attempts=(attempt,),
    )
    return retry_explanation(details, Description(retry_attempts=3, exit_rules=rules), cause)


@pytest.mark.parametrize(
    ("attempt", "rules", "expected"),
    [
        (EXIT_2, [ExitRule("EXIT", on_exit_code="2")], "exit code 2 is not retried"),
        (EXIT_2, [ExitRule("exit", on_exit_code="2*")], "exit code 2 is not retried"),
        (EXIT_2, [ExitRule("EXIT", on_exit_code="*")], "exit code 2 is not retried"),
        (
            EXIT_2,
            [ExitRule("RETRY", on_status_reason="Host EC2*"), ExitRule("EXIT", on_exit_code="*")],
            "exit code 2 is not retried",
        ),
        (
            Attempt(exit_code=137, reason=OOM),
            [ExitRule("EXIT", on_reason="OutOfMemoryError*")],
            f'an attempt that ends with "{OOM}" is not retried',
        ),
        (
            Attempt(status_reason=SPOT),
            [ExitRule("EXIT", on_status_reason="Host EC2*")],
            f'an attempt that ends with "{SPOT}" is not retried',
        ),
    ],
)
def test_a_rule_that_ends_the_job_is_named(
    attempt: Attempt, rules: list[ExitRule], expected: str
) -> None:
    assert explanation(attempt, *rules) == f"Attempt 1 of 3: {expected}."


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [ExitRule("EXIT", on_exit_code="3")],
        [ExitRule("EXIT", on_exit_code="?")],
        [ExitRule("EXIT", on_exit_code="2", on_reason="*")],
        [ExitRule("RETRY", on_exit_code="2"), ExitRule("EXIT", on_exit_code="*")],
        [ExitRule("EXIT", on_status_reason="Host EC2*")],
    ],
)
def test_without_such_a_rule_nothing_is_claimed(rules: list[ExitRule]) -> None:
    assert explanation(EXIT_2, *rules) is None


def test_the_last_attempt_is_named() -> None:
    assert explanation(EXIT_2, made=3) == "It was the last of 3 attempts."


@pytest.mark.parametrize("cause", [Cause.CANCELLED, Cause.TERMINATED, Cause.TIMEOUT])
def test_no_rule_applies_to_a_job_that_was_stopped(cause: Cause) -> None:
    assert explanation(EXIT_2, ExitRule("EXIT", on_exit_code="*"), cause=cause) is None


def test_a_job_with_one_attempt_needs_no_explanation() -> None:
    details = Details(
        status="FAILED", generation=1, time=NOON, job_name="align", job_queue=QUEUE_ARN
    )

    assert retry_explanation(details, Description(), Cause.EXIT_CODE) is None
    assert retry_explanation(details, Description(retry_attempts=1), Cause.EXIT_CODE) is None
