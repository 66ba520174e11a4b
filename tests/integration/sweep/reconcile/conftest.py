import pytest

from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.sweep_harness import SweepHarness


@pytest.fixture
def harness(aws: LocalAws, resources: Resources, batch: BatchServer) -> SweepHarness:
    """A recorder and reconciliation runs, with an empty table and an empty Batch at noon."""
    return SweepHarness(aws, resources, batch)
