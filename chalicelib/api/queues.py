"""Job queues: what the sweep counted in each of them. A queue that the scope of the token does not
cover is not found."""

from typing import Final
from urllib.parse import unquote

from chalicelib.api.access import Scope
from chalicelib.api.errors import QueueNotFound
from chalicelib.api.parameters import arns
from chalicelib.api.parameters.page_token import PageTokens
from chalicelib.api.parameters.queries import QueuesQuery, identity
from chalicelib.api.representation.queue import QueueBody, QueueList, queue_body, queue_summary
from chalicelib.jobs.prices import Prices
from chalicelib.queues.environment_table import EnvironmentTable
from chalicelib.queues.queue_registry import QueueRegistry
from chalicelib.queues.rollup import DAY_MS, HOUR_MS, Rollup
from chalicelib.queues.state_table import QueueStateTable
from chalicelib.queues.stats import QueueStats
from chalicelib.queues.stats_table import QueueStatsTable
from chalicelib.runtime import Runtime

_PAGE: Final = 500
"""Queues on a page: ten times the default quota of job queues in an AWS region."""
_HOURS: Final = 24
_DAYS: Final = 30


class Queues:
    def __init__(
        self,
        registry: QueueRegistry,
        stats_table: QueueStatsTable,
        state_table: QueueStateTable,
        environments: EnvironmentTable,
        prices: Prices,
        tokens: PageTokens,
        runtime: Runtime = Runtime(),
    ) -> None:
        self._registry = registry
        self._stats_table = stats_table
        self._state_table = state_table
        self._environments = environments
        self._prices = prices
        self._tokens = tokens
        self._runtime = runtime

    def page(self, query: QueuesQuery, scope: Scope) -> QueueList:
        """Return queues that the scope covers, by name.

        Raises InvalidNextToken.
        """
        token, token_query = query.next_token, identity(query)
        after = "" if token is None else self._tokens.position(token, token_query)
        covered = [name for name in self._registry.current() if name > after and scope.covers(name)]
        names = covered[:_PAGE]
        has_more = len(covered) > _PAGE
        stats, states = self._stats_table.stats(names), self._state_table.states(names)
        return QueueList(
            [
                queue_summary(
                    name, stats.get(name, QueueStats()), self._prices.of(name), states.get(name)
                )
                for name in names
            ],
            self._tokens.issue(names[-1], token_query) if has_more else None,
        )

    def get(self, queue_in_path: str, scope: Scope) -> QueueBody:
        """Return the queue of a name or an ARN. Some gateways decode the path and some don't.

        Raises QueueNotFound.
        """
        name = arns.queue_name(unquote(queue_in_path))
        if not scope.covers(name) or not self._registry.contains(name):
            raise QueueNotFound(name)
        now = self._runtime.now_ms()
        stats = self._stats_table.stats([name]).get(name, QueueStats())
        hours_end, days_end = (now // length * length + length for length in (HOUR_MS, DAY_MS))
        hours_start, days_start = hours_end - _HOURS * HOUR_MS, days_end - _DAYS * DAY_MS
        hours = self._stats_table.hours(name, hours_start, hours_end)
        days = self._stats_table.days(name, days_start, days_end)
        return queue_body(
            name,
            stats,
            {at: hours.get(at, Rollup()) for at in range(hours_start, hours_end, HOUR_MS)},
            {at: days.get(at, Rollup()) for at in range(days_start, days_end, DAY_MS)},
            self._prices.of(name),
            self._state_table.states([name]).get(name),
            *self._environments.load([name])[name],
        )
