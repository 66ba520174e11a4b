"""The clock, the sleep and the random numbers of a function: one value, which tests replace."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Runtime:
    now: Callable[[], float] = time.time
    """Returns the time in epoch seconds."""
    sleep: Callable[[float], None] = time.sleep
    """Blocks for that many seconds."""
    random: Callable[[], float] = random.random
    """Returns a number from 0 up to 1, for jitter."""

    def now_ms(self) -> int:
        """Return the time in epoch milliseconds, the unit of every stored time."""
        return int(self.now() * 1000)
