"""Decisions about DynamoDB requests that did not succeed: retry now, retry the message, or give up.

    outcome    in this invocation     when it still fails, the message is
    SAVED      -                      acknowledged
    CONFLICT   retried 19 times       retried after seconds
    BUSY       retried 5 times        retried after seconds
    OUTAGE     not retried            retried after minutes, because SQS counts each receive
    REFUSED    not retried            dead-lettered

Pure: neither sleeps nor generates random numbers; `jitter` is a random number from 0 to 1 that
spreads consumers which failed together.
"""

from chalicelib.aws.dynamodb import Outcome
from chalicelib.aws.sqs import Disposition

RETRIED = {Outcome.CONFLICT: 20, Outcome.BUSY: 6}
"""Attempts in one invocation by the outcomes that another attempt can change."""
BUSY_SECONDS = (5, 30)
OUTAGE_SECONDS = (120, 300)
"""The shortest and the longest delay before a message is retried."""


def retry_delay(outcome: Outcome, attempt: int, time_left: float, jitter: float) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up.

    `attempt` counts from 1; `time_left` is in seconds.
    """
    if attempt >= RETRIED.get(outcome, 0):
        return None
    longest = 0.02 * attempt if outcome is Outcome.CONFLICT else min(2.0, 0.1 * 2**attempt)
    delay = longest * (0.5 + jitter / 2)
    return delay if delay < time_left else None


def disposition_for(outcome: Outcome, jitter: float) -> Disposition:
    """Return what to do with a message, given the final outcome of the requests made for it."""
    if outcome is Outcome.SAVED:
        return Disposition.ack()
    if outcome is Outcome.REFUSED:
        return Disposition.dead_letter("its record can't be stored")
    return retry_later(outcome, jitter)


def retry_later(
    outcome: Outcome, jitter: float, *, busy: tuple[int, int] = BUSY_SECONDS
) -> Disposition:
    """Return the disposition to retry a message: in an outage after minutes, otherwise after a
    number of seconds in the range `busy`."""
    shortest, longest = OUTAGE_SECONDS if outcome is Outcome.OUTAGE else busy
    return Disposition.retry(shortest + jitter * (longest - shortest))
