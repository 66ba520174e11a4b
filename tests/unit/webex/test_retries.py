"""Retries of notices that Webex did not accept: delays, dispositions and pauses."""

import pytest

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.sqs import Disposition
from chalicelib.webex.client import (
    RateLimited,
    Refused,
    RoomGone,
    Unauthorized,
    Unavailable,
    WebexError,
)
from chalicelib.webex.retries import (
    disposition_after,
    disposition_for,
    is_response_lost,
    retry_delay,
    room_pause,
)

RATE_LIMITED = RateLimited("slow down", 429, retry_after=194)
UNAUTHORIZED = Unauthorized("who are you?", 401)
ROOM_GONE = RoomGone("not here", 404)
REFUSED = Refused("too long", 400)
SERVER_ERROR = Unavailable("busy", 503, maybe_sent=True)
NOT_SENT = Unavailable("connection refused", maybe_sent=False)
LOST = Unavailable("response lost", maybe_sent=True)
BAD_GATEWAY = Unavailable("bad gateway", 502, maybe_sent=True)
GATEWAY_TIMEOUT = Unavailable("gateway timeout", 504, maybe_sent=True)
NO_ID = Unavailable("no id", 200, maybe_sent=True)
ALL_LOST = [LOST, BAD_GATEWAY, GATEWAY_TIMEOUT, NO_ID]


@pytest.mark.parametrize("error", [SERVER_ERROR, NOT_SENT])
def test_an_unavailable_webex_is_retried_twice_at_once(error: WebexError) -> None:
    assert [retry_delay(error, attempt, 100, 1) for attempt in (1, 2, 3)] == [1.0, 2.0, None]


@pytest.mark.parametrize("error", ALL_LOST)
def test_a_response_is_lost_if_webex_may_have_posted_the_message(error: WebexError) -> None:
    assert is_response_lost(error)
    assert retry_delay(error, 1, 100, 1) is None, "a retry at once would post it twice"


@pytest.mark.parametrize("error", [RATE_LIMITED, UNAUTHORIZED, REFUSED, SERVER_ERROR, NOT_SENT])
def test_no_response_is_lost_if_webex_did_not_post_the_message(error: WebexError) -> None:
    assert not is_response_lost(error)


def test_no_retry_waits_for_more_than_a_quarter_of_the_time_left() -> None:
    assert retry_delay(SERVER_ERROR, 1, 4.1, 1) == 1.0
    assert retry_delay(SERVER_ERROR, 1, 4.0, 1) is None


@pytest.mark.parametrize("error", [RATE_LIMITED, UNAUTHORIZED, ROOM_GONE, REFUSED])
def test_other_errors_are_not_retried_at_once(error: WebexError) -> None:
    assert retry_delay(error, 1, 100, 1) is None


@pytest.mark.parametrize(
    ("error", "shortest", "longest"),
    [
        (RATE_LIMITED, 194, 194),
        (UNAUTHORIZED, 300, 600),
        (SERVER_ERROR, 30, 60),
        (NOT_SENT, 30, 60),
    ],
)
def test_a_notice_is_retried_after_a_delay_that_depends_on_the_error(
    error: WebexError, shortest: int, longest: int
) -> None:
    assert disposition_for(error, 1, 0) == Disposition.retry(shortest)
    assert disposition_for(error, 9, 1) == Disposition.retry(longest)


@pytest.mark.parametrize("error", [ROOM_GONE, REFUSED])
def test_a_notice_that_webex_will_never_accept_is_dead_lettered_with_the_error(
    error: WebexError,
) -> None:
    assert disposition_for(error, 1, 0) == Disposition.dead_letter(str(error))


@pytest.mark.parametrize("error", ALL_LOST)
def test_after_a_lost_response_the_delay_doubles_from_half_a_minute_to_an_hour(
    error: WebexError,
) -> None:
    delays = [disposition_for(error, lost, 1).retry_after for lost in (1, 2, 3, 7, 8, 999)]

    assert delays == [30, 60, 120, 1_920, 3_600, 3_600]


@pytest.mark.parametrize("error", ALL_LOST)
def test_a_notice_that_was_not_sent_when_another_response_was_lost_is_retried_soon(
    error: WebexError,
) -> None:
    assert disposition_for(error, 0, 1) == Disposition.retry(60)


def test_a_retry_after_of_zero_still_delays_the_notice() -> None:
    assert disposition_for(RateLimited("", retry_after=0), 1, 0) == Disposition.retry(1)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (RATE_LIMITED, 194),
        (SERVER_ERROR, 30),
        (NOT_SENT, 30),
        (LOST, 30),
        (UNAUTHORIZED, 300),
        (ROOM_GONE, 0),
        (REFUSED, 0),
    ],
)
def test_a_room_pauses_after_a_rate_limit_and_an_outage(error: WebexError, seconds: int) -> None:
    assert room_pause(error, failing_seconds=0) == seconds


@pytest.mark.parametrize("error", [RateLimited("", retry_after=1), SERVER_ERROR, UNAUTHORIZED])
def test_a_room_pauses_longer_the_longer_it_fails_up_to_half_an_hour(error: WebexError) -> None:
    assert room_pause(error, failing_seconds=3_600) == 360
    assert room_pause(error, failing_seconds=7 * 86_400) == 1_800
    assert room_pause(ROOM_GONE, failing_seconds=86_400) == 0


@pytest.mark.parametrize("error", [RateLimited("", retry_after=1), SERVER_ERROR, UNAUTHORIZED])
def test_no_outage_delivers_a_notice_a_thousand_times_within_fourteen_days(
    error: WebexError,
) -> None:
    """The queue keeps a notice for 14 days, and dead-letters it after 1,000 deliveries."""
    failing_seconds, deliveries = 0.0, 0
    while failing_seconds < 14 * 86_400:
        deliveries += 1
        retry = disposition_for(error, 0, jitter=0).not_before(room_pause(error, failing_seconds))
        assert retry.retry_after is not None
        failing_seconds += retry.retry_after

    assert deliveries < 800


@pytest.mark.parametrize(
    ("outcome", "shortest", "longest"),
    [(Outcome.OUTAGE, 120, 300), (Outcome.BUSY, 3, 10), (Outcome.CONFLICT, 3, 10)],
)
def test_a_notice_is_retried_after_minutes_only_in_an_outage_of_the_table(
    outcome: Outcome, shortest: int, longest: int
) -> None:
    assert disposition_after(outcome, 0) == Disposition.retry(shortest)
    assert disposition_after(outcome, 1) == Disposition.retry(longest)
