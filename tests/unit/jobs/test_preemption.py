"""Events of a service job's preemption are decoded to what is stored beside the job."""

import pytest

from chalicelib.errors import MalformedEvent
from chalicelib.jobs.preemption import Preemption, Step
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, NOON, SOURCE, a_preemption, a_training

RECLAIMED = "Cross-share preemption triggered to reclaim borrowed capacity"
ARN = "arn:aws:batch:us-east-1:1:service-job/"


def read(body: str) -> Preemption:
    preemption = EventReader((SOURCE,), ACCOUNT, Redaction()).read(body)
    assert isinstance(preemption, Preemption)
    return preemption


def test_the_start_of_a_preemption_has_the_reason_of_the_event() -> None:
    body = a_preemption("Started", "51f245a9", statusReason=RECLAIMED)

    assert read(body) == Preemption("51f245a9", Step.STARTED, NOON, "RUNNING", RECLAIMED)


def test_the_end_of_a_preemption_has_reason_and_end_of_the_preempted_attempt() -> None:
    attempt = a_training(1, statusReason=RECLAIMED)
    summary = {"preemptedAttemptCount": 1, "recentPreemptedAttempts": [attempt]}
    body = a_preemption("Completed", "51f245a9", status="RUNNABLE", preemptionSummary=summary)

    assert read(body) == Preemption(
        "51f245a9", Step.COMPLETED, NOON, "RUNNABLE", RECLAIMED, attempt["stoppedAt"]
    )


def test_a_reason_is_redacted_and_truncated() -> None:
    body = a_preemption("Started", "4c75", statusReason=f"TOKEN=tr0ub4dor {'x' * 5_000}")

    reason = read(body).reason

    assert reason is not None
    assert "tr0ub4dor" not in reason
    assert reason.endswith("x… 3,991 more characters")


@pytest.mark.parametrize(
    ("arn", "problem"),
    [
        (ARN, "the last part of preemptedJobArn is not a Batch job id"),
        (f"{ARN}4c75:1", "preemptedJobArn is that of a child or node"),
        (7, r"Expected `str`, got `int` - at `\$.detail.preemptedJobArn`"),
    ],
)
def test_an_invalid_arn_makes_the_event_malformed(arn: object, problem: str) -> None:
    with pytest.raises(MalformedEvent, match=problem):
        read(a_preemption("Started", "4c75", preemptedJobArn=arn))
