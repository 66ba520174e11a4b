"""What several tests share: a real local AWS on the loopback interface, rather than mocks.

One ministack serves a whole session (under pytest-xdist each worker's), and every test that asks
for `aws` gets it empty but for a new resources stack: some 15 ms a test.
"""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from local.aws import LocalAws, Resources
from local.batch import BatchServer
from local.ports import free_port
from tests.support.api_harness import Api
from tests.support.builders import NOON
from tests.support.recorder_harness import RecorderHarness

# A busy machine must fail no test: none depends on how long an example takes.
settings.register_profile(
    "batchwatch", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("batchwatch")


@pytest.fixture(scope="session")
def running_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """A local AWS in any state; ask for `aws` instead unless you reset it yourself."""
    with LocalAws(free_port(), tmp_path_factory.mktemp("aws"), keep=False) as aws:
        yield aws


@pytest.fixture
def aws(running_aws: LocalAws, resources: Resources) -> LocalAws:
    """The local AWS with nothing in it but the resources stack."""
    return running_aws


@pytest.fixture
def resources(running_aws: LocalAws) -> Resources:
    """The names of what the resources stack of this test holds."""
    running_aws.reset()
    return running_aws.create_resources()


@pytest.fixture
def harness(aws: LocalAws, resources: Resources) -> RecorderHarness:
    """A recorder and its table, on the local AWS."""
    return RecorderHarness(aws, resources)


@pytest.fixture
def batch() -> Iterator[BatchServer]:
    """Batch's API, at noon."""
    with BatchServer(clock=lambda: NOON / 1000) as server:
        yield server


@pytest.fixture
def api(aws: LocalAws, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The app as Chalice's test client runs it, on the local AWS."""
    for name, value in (aws.environment | resources.environment).items():
        monkeypatch.setenv(name, value)
    with Api(aws, resources) as api:
        yield api
