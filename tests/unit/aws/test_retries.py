"""Retry delays and dispositions for the outcomes of DynamoDB requests."""

import pytest

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.retries import disposition_for, retry_delay
from chalicelib.aws.sqs import Disposition


def test_conflicts_are_retried_sooner_than_throttled_requests() -> None:
    assert retry_delay(Outcome.CONFLICT, 1, 100, 1) == pytest.approx(0.02)
    assert retry_delay(Outcome.BUSY, 1, 100, 1) == pytest.approx(0.2)
    assert retry_delay(Outcome.BUSY, 5, 100, 1) == pytest.approx(2.0)


def test_jitter_shortens_a_delay_by_up_to_half() -> None:
    assert retry_delay(Outcome.BUSY, 1, 100, 0) == pytest.approx(0.1)


def test_retries_end_after_some_attempts_and_before_the_deadline() -> None:
    assert retry_delay(Outcome.BUSY, 1, 0.05, 1) is None
    assert retry_delay(Outcome.BUSY, 6, 100, 1) is None
    assert retry_delay(Outcome.CONFLICT, 20, 100, 1) is None


@pytest.mark.parametrize("outcome", [Outcome.SAVED, Outcome.OUTAGE, Outcome.REFUSED])
def test_outcomes_that_an_attempt_cannot_change_are_not_retried(outcome: Outcome) -> None:
    assert retry_delay(outcome, 1, 100, 1) is None


def test_a_message_is_acknowledged_only_if_everything_is_saved() -> None:
    acknowledged = [outcome for outcome in Outcome if disposition_for(outcome, 0).is_ack]

    assert acknowledged == [Outcome.SAVED]


@pytest.mark.parametrize("outcome", [Outcome.BUSY, Outcome.CONFLICT])
def test_a_message_is_retried_after_seconds(outcome: Outcome) -> None:
    assert [disposition_for(outcome, jitter) for jitter in (0, 1)] == [
        Disposition.retry(5),
        Disposition.retry(30),
    ]


def test_in_an_outage_a_message_is_retried_after_minutes() -> None:
    assert [disposition_for(Outcome.OUTAGE, jitter) for jitter in (0, 1)] == [
        Disposition.retry(120),
        Disposition.retry(300),
    ]


def test_a_message_whose_record_dynamodb_rejects_is_dead_lettered() -> None:
    assert disposition_for(Outcome.REFUSED, 0).reason == "its record can't be stored"
