"""Reads what keeps the jobs of queues waiting: the first jobs of these queues, and the consumable
resources and quota shares that the jobs which have waited the longest need.

Costs one read of the table for a hundred jobs, and calls of AWS Batch only for what jobs need.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, Self

from msgspec.structs import replace

from chalicelib.jobs.job import Description, Job
from chalicelib.jobs.job_table import JobTable
from chalicelib.jobs.waiting.queue_environment import HeadJob, QueueEnvironment, QueueHead
from chalicelib.sweep.watch.environment_reader import EnvironmentReader, EnvironmentRun


class _Needs(NamedTuple):
    """The consumable resources that jobs need, with the least that one of them needs, and whether
    one of the jobs has a quota share."""

    consumables: Mapping[str, int] = MappingProxyType({})
    has_share: bool = False

    @classmethod
    def of(cls, descriptions: Iterable[Description]) -> Self:
        described = list(descriptions)
        needs = [need for each in described for need in each.consumables]
        by_quantity = sorted(needs, key=lambda need: -need.quantity)
        least = {need.name: need.quantity for need in by_quantity}
        return cls(least, any(each.quota_share_name for each in described))


class WaitingReader:
    def __init__(self, environments: EnvironmentReader, jobs: JobTable) -> None:
        self._environments = environments
        self._jobs = jobs

    def read(
        self,
        run: EnvironmentRun,
        environments: Mapping[str, QueueEnvironment],
        waiting: Mapping[str, Sequence[Job]],
    ) -> tuple[dict[str, QueueEnvironment], dict[str, QueueHead]]:
        """Return the environments, completed by what the `waiting` jobs of their queues need, and
        the first jobs of the queues in which jobs wait."""
        needs = self._needs(
            {queue: jobs for queue, jobs in waiting.items() if queue in environments}
        )
        fronts = self._environments.fronts(run, needs)
        names = {name for each in needs.values() for name in each.consumables}
        consumables = self._environments.consumables(run, names)
        with_shares = {queue: front for queue, front in fronts.items() if needs[queue].has_share}
        shares = self._environments.shares(run, with_shares)
        completed = {
            queue: replace(
                environment,
                consumables=tuple(
                    replace(consumables[name], needed=needed)
                    for name, needed in sorted(needs.get(queue, _Needs()).consumables.items())
                    if name in consumables
                ),
                shares=shares.get(queue, ()),
            )
            for queue, environment in environments.items()
        }
        heads = {
            queue: QueueHead(run.now, tuple(HeadJob(*job) for job in front.jobs))
            for queue, front in fronts.items()
        }
        return completed, heads

    def _needs(self, waiting: Mapping[str, Sequence[Job]]) -> dict[str, _Needs]:
        jobs = [job for of_queue in waiting.values() for job in of_queue]
        descriptions = self._jobs.describe_all(jobs) if jobs else {}
        return {
            queue: _Needs.of(descriptions[job.job_id] for job in jobs if job.job_id in descriptions)
            for queue, jobs in waiting.items()
        }
