"""Decisions about notices that Webex, or the table, did not accept: retry now, later, or never.

    error                       in this invocation  then the notice is           then the room is
    RateLimited                 -                   retried after Retry-After    paused until then
    Unauthorized                -                   retried after 5 to 10 min    paused for 5 min
    RoomGone                    -                   dead-lettered                -
    Refused                     -                   dead-lettered                -
    Unavailable                 retried twice       retried after 30 to 60 s     paused for 30 s
    Unavailable, response lost  -                   retried after 30 s to 1 h    paused for 30 s

Refused concerns one notice; after every other error, all notices of the room that were not sent yet
are retried, too. A response was lost only for the notices of the message that was being sent: the
others get the disposition of any other outage.

The longer a room has been failing, the longer it pauses: a tenth of that time, up to half an hour.
So in the 14 days for which the queue keeps a notice, SQS delivers it about 750 times, and does not
dead-letter it after 1,000.

A lost response means that Webex may have posted the message, so that a retry may post it again:
the delay doubles with every lost response of the notice, which its delivery counts. How often SQS
delivered the notice has no effect: an outage without lost responses delays nothing afterwards.

Pure: neither sleeps nor generates random numbers. `jitter` is a random number from 0 to 1.
"""

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.retries import retry_later
from chalicelib.aws.sqs import Disposition
from chalicelib.webex.client import (
    RateLimited,
    Refused,
    RoomGone,
    Unauthorized,
    Unavailable,
    WebexError,
)

_ATTEMPTS = 3
_BUSY_SECONDS = (3, 10)
_OUTAGE_SECONDS = 30
_UNAUTHORIZED_SECONDS = 300
_LOST_SECONDS = 30
_MAX_LOST_SECONDS = 3_600
_MAX_DOUBLINGS = 10
_PAUSE_GROWTH = 0.1
_MAX_PAUSE_SECONDS = 1_800
_NOT_POSTED = frozenset({500, 503})
"""The statuses with which Webex itself reports an outage. A gateway sends 502 and 504 if it got
no response: Webex may have posted the message. So it has after a success without an id."""


def retry_delay(error: WebexError, attempt: int, time_left: float, jitter: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up.

    `attempt` counts from 1 in this invocation; `time_left` is in seconds.
    """
    if not isinstance(error, Unavailable) or is_response_lost(error):
        return None
    delay = 2.0 ** (attempt - 1) * (0.5 + jitter / 2)
    return delay if attempt < _ATTEMPTS and delay < time_left / 4 else None


def disposition_for(error: WebexError, lost_responses: int, jitter: float) -> Disposition:
    """Return what to do with a notice that was not sent because of an error, its own or that of
    another notice of its room. `lost_responses` counts those of the notice, this one included."""
    match error:
        case RoomGone() | Refused():
            return Disposition.dead_letter(str(error))
        case RateLimited():
            return Disposition.retry(max(1, error.retry_after))
        case Unauthorized():
            return Disposition.retry(_UNAUTHORIZED_SECONDS * (1 + jitter))
        case _ if is_response_lost(error) and lost_responses:
            delay = _LOST_SECONDS * 2 ** min(lost_responses - 1, _MAX_DOUBLINGS)
            return Disposition.retry(min(_MAX_LOST_SECONDS, delay))
        case _:
            return Disposition.retry(_OUTAGE_SECONDS * (1 + jitter))


def room_pause(error: WebexError, failing_seconds: float) -> float:
    """Return the seconds for which no notifier may send to the room after an error.
    `failing_seconds` is how long all messages to the room have failed."""
    grown = min(_MAX_PAUSE_SECONDS, failing_seconds * _PAUSE_GROWTH)
    match error:
        case RateLimited():
            return max(error.retry_after, grown)
        case Unauthorized():
            return max(_UNAUTHORIZED_SECONDS, grown)
        case Unavailable():
            # After a lost response, the delay of the notice grows instead.
            return _OUTAGE_SECONDS if is_response_lost(error) else max(_OUTAGE_SECONDS, grown)
    return 0


def disposition_after(outcome: Outcome, jitter: float) -> Disposition:
    """Return what to do with a notice that was not processed, because a request to DynamoDB had
    this outcome or another notifier holds the lease or the claim (BUSY)."""
    return retry_later(outcome, jitter, busy=_BUSY_SECONDS)


def is_response_lost(error: WebexError) -> bool:
    """Return whether Webex may have posted the message although it did not return its id."""
    if not isinstance(error, Unavailable):
        return False
    return error.maybe_sent and error.status not in _NOT_POSTED
