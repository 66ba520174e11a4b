"""What is known of a job queue between two sweeps: what is wrong with it, and what was told.

Whatever is wrong has a beginning, and one end: an episode. What is to be told of it is part of the
state until it is on the notices queue, so that a sweep that is cut off forgets nothing.

Pure: knows nothing of tables, queues, the clock or the environment. All times are milliseconds
since the epoch.
"""

import msgspec

from chalicelib.notices.notice import CROWD, Notice
from chalicelib.notices.rules import QUEUE_BLOCKED, SILENT
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.missing_events import Silence
from chalicelib.queues.stuck import Crowd, StuckJob


class QueueState(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """`watched_since` is when a sweep saw the queue first. `stuck` are the few that were told one
    by one. Sightings up to `moved_at` count no more. `untold` waits for the notices queue."""

    watched_since: int
    stuck: tuple[StuckJob, ...] = ()
    crowd: Crowd | None = None
    blocked: Blocked | None = None
    moved_at: int = 0
    silence: Silence | None = None
    untold: tuple[Notice, ...] = ()

    def is_about_now(self, notice: Notice) -> bool:
        """Whether the episode that the notice is the beginning of goes on."""
        episodes = {CROWD: self.crowd, QUEUE_BLOCKED: self.blocked, SILENT: self.silence}
        episode = episodes.get(notice.kind)
        return episode is not None and episode.since == notice.generation
