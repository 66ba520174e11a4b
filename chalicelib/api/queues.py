"""The answers about queues, within the scope of the token that asks: what the sweep counted."""

from collections.abc import Sequence
from urllib.parse import unquote

from chalicelib.api.access import Scope
from chalicelib.api.parameters import Query, no_query
from chalicelib.api.representation import QueueBody, QueueList, queue_body, queue_summary
from chalicelib.jobs.prices import Prices
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, Rollup
from chalicelib.queues.state_table import QueueStateTable
from chalicelib.queues.stats_table import QueueStats, QueueStatsTable
from chalicelib.runtime import Runtime

MOST_QUEUES = 500
"""Of a list: ten times as many as AWS allows in a region at first."""
HOURS, DAYS = 24, 30


class NoSuchQueue(LookupError):
    """There is none, or not for this token: the two can't be told apart."""


class Queues:
    def __init__(
        self,
        registry: QueueRegistry,
        queues: QueueStatsTable,
        ledger: QueueStateTable,
        prices: Prices,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._registry = registry
        self._queues = queues
        self._ledger = ledger
        self._prices = prices
        self._runtime = runtime

    def all(self, query: Query, scope: Scope) -> QueueList:
        """By name. Raises BadParameter."""
        no_query(query)
        names = [name for name in self._registry.names() if scope.covers(name)][:MOST_QUEUES]
        known, blocked = self._queues.stats(names), self._blocked(names)
        return QueueList(
            [
                queue_summary(
                    name, known.get(name, QueueStats()), self._prices.of(name), blocked.get(name)
                )
                for name in names
            ]
        )

    def one(self, in_path: str, query: Query, scope: Scope) -> QueueBody:
        """Raises BadParameter and NoSuchQueue."""
        no_query(query)
        name = unquote(in_path)
        if not scope.covers(name) or name not in self._registry.names():
            raise NoSuchQueue(f"no job of a queue {name[:200]} was heard of")
        now = self._runtime.now_ms()
        known = self._queues.stats([name]).get(name, QueueStats())
        hour, day = (now // length * length + length for length in (HOUR_MS, DAY_MS))
        hours = self._queues.hours(name, hour - HOURS * HOUR_MS, hour)
        days = self._queues.days(name, day - DAYS * DAY_MS, day)
        return queue_body(
            name,
            known,
            {at: hours.get(at, Rollup()) for at in range(hour - HOURS * HOUR_MS, hour, HOUR_MS)},
            {at: days.get(at, Rollup()) for at in range(day - DAYS * DAY_MS, day, DAY_MS)},
            self._prices.of(name),
            self._blocked([name]).get(name),
        )

    def _blocked(self, names: Sequence[str]) -> dict[str, Blocked]:
        states = self._ledger.states(names).items()
        return {name: state.blocked for name, state in states if state.blocked}
