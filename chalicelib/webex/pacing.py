"""Decides how many messages a room gets: one for each notice while it is quiet, digests at growing
intervals in a storm.

    messages since the room was quiet    1 to 4    5       6       7       8       11 and more
    pause after the last of them         none      10 s    20 s    40 s    80 s    10 min

So the first notices are sent at once, and a storm of any size is at most 20 messages in its first
hour and 6 in each later one (tests/unit/webex/test_pacing.py). A quarter of an hour without a
message ends a storm. Pure: must not know Webex, the table or the clock.
"""

from dataclasses import dataclass

DIGEST_THRESHOLD = 5
"""More notices than this for one room at once become one digest, and so do two in a storm, which
begins with as many messages."""
QUIET = 900_000
"""Milliseconds without a message after which a storm is over."""
_FIRST_PAUSE = 10_000
_LONGEST_PAUSE = 600_000


@dataclass(frozen=True, slots=True)
class Pace:
    """The recent messages of a room: their number, and when the last one was sent (epoch
    milliseconds)."""

    messages: int = 0
    last_at: int = 0

    def at(self, now: int) -> "Pace":
        """Return the pace at a later time: a quiet room has no recent messages."""
        return Pace() if now - self.last_at >= QUIET else self

    @property
    def is_storm(self) -> bool:
        return self.messages >= DIGEST_THRESHOLD

    @property
    def resume_at(self) -> int:
        """When the room may be sent to again, in epoch milliseconds."""
        if not self.is_storm:
            return 0
        doublings = min(self.messages - DIGEST_THRESHOLD, 10)
        return self.last_at + min(_LONGEST_PAUSE, _FIRST_PAUSE << doublings)

    def is_digest(self, notices: int) -> bool:
        """Return whether so many notices become one message."""
        return notices > (1 if self.is_storm else DIGEST_THRESHOLD)

    def after(self, messages: int, notices: int, now: int) -> "Pace":
        """Return the pace after messages with so many notices. So many at once begin a storm."""
        if not messages:
            return self
        total = self.messages + messages
        return Pace(max(total, DIGEST_THRESHOLD) if notices > DIGEST_THRESHOLD else total, now)
