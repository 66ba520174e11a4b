"""Generation of a workload from a seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from local.workload.events import QUEUES, SECOND, SimulatedEvent
from local.workload.job import ExpectedRecord
from local.workload.scheduler import Scheduler
from local.workload.seeded_random import SeededRandom

_MEAN_SUBMIT_INTERVAL = 10 * SECOND


@dataclass(frozen=True, slots=True)
class Workload:
    """Jobs from submission to end. Events are in order of time.

    `events` has one event per status change. `preemptions` are the events of service jobs'
    preemptions. `expected` has a complete and correct record for each job id. `secrets` are all
    secrets in the events; nothing that the product stores, logs or sends may contain them.
    """

    events: list[SimulatedEvent]
    preemptions: list[SimulatedEvent]
    expected: dict[str, ExpectedRecord]
    secrets: set[str]

    @property
    def all_events(self) -> list[SimulatedEvent]:
        """Status changes and preemptions, in order of time."""
        return _by_time([*self.events, *self.preemptions])


def workload(seed: int, jobs: int, start: int, queues: Sequence[str] = QUEUES) -> Workload:
    """Simulate exactly `jobs` job records, array children and nodes included.

    The first job is submitted at `start`. `queues` are ARNs. Jobs in a queue with "spot" in its
    name lose hosts, jobs in a queue with "gpu" require GPUs, and a queue with "training" has only
    service jobs.
    """
    random = SeededRandom(seed)
    scheduler = Scheduler(random, queues)
    created = start
    while (records_left := jobs - len(scheduler.jobs)) > 0:
        scheduler.submit(created, records_left)
        created += int(random.expovariate(1 / _MEAN_SUBMIT_INTERVAL))
    return Workload(
        events=_by_time([event for job in scheduler.jobs for event in job.events]),
        preemptions=_by_time([event for job in scheduler.jobs for event in job.preemptions]),
        expected={job.job_id: job.expected_record() for job in scheduler.jobs},
        secrets=random.secrets,
    )


def _by_time(events: list[SimulatedEvent]) -> list[SimulatedEvent]:
    return sorted(events, key=lambda event: event.at)
