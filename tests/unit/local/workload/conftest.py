"""Workloads of several seeds, which are expensive to create for each test."""

import pytest

from local.workload import ExpectedRecord, SimulatedEvent, Workload, workload
from tests.support.simulation.simulated_jobs import START, by_job


@pytest.fixture(scope="session", params=range(4))
def work(request: pytest.FixtureRequest) -> Workload:
    return workload(request.param, 1_000, START)


@pytest.fixture(scope="session")
def jobs(work: Workload) -> dict[str, list[SimulatedEvent]]:
    """The events of each job."""
    return by_job(work.events)


@pytest.fixture(scope="session")
def records() -> list[ExpectedRecord]:
    """The expected records of enough jobs to contain rare cases."""
    return [
        record for seed in range(4) for record in workload(seed, 2_000, START).expected.values()
    ]


@pytest.fixture(scope="session")
def restarted_nodes(records: list[ExpectedRecord]) -> list[ExpectedRecord]:
    """Nodes that had ended when the main node was retried."""
    return [record for record in records if {("FAILED", 1), ("STARTING", 2)} <= set(record.history)]
