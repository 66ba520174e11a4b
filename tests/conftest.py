"""Fixtures that several packages share: a local AWS on the loopback interface instead of mocks.

One ministack serves the whole session of a pytest-xdist worker. Each test that uses `aws` starts
with a new resources stack and nothing else, which takes about 15 ms.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from local.aws import LocalAws, Resources
from local.batch import BatchServer
from local.ports import free_port
from local.webex import WebexServer
from tests.support.api_harness import Api
from tests.support.builders import NOON
from tests.support.recorder_harness import RecorderHarness

# Without a deadline and the check for slow inputs, a busy machine fails no test. For five times the
# examples: make test ARGS=--hypothesis-profile=ci
settings.register_profile(
    "default",
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("ci", settings.get_profile("default"), max_examples=1_000)
settings.load_profile("default")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return the number of workers of `-n auto`: one more than cores, because a worker often waits
    for its local AWS. Each local AWS takes about 100 MB."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def running_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    """The local AWS in any state. Use `aws` instead, unless the test resets it."""
    with LocalAws(free_port(), tmp_path_factory.mktemp("aws"), keep=False) as aws:
        yield aws


@pytest.fixture
def aws(running_aws: LocalAws, resources: Resources) -> LocalAws:
    """The local AWS, empty except for the resources stack."""
    return running_aws


@pytest.fixture
def resources(running_aws: LocalAws) -> Resources:
    """The names of the resources in the stack of this test."""
    running_aws.reset()
    return running_aws.create_resources()


@pytest.fixture
def harness(aws: LocalAws, resources: Resources) -> RecorderHarness:
    """A recorder and its tables, on the local AWS."""
    return RecorderHarness(aws, resources)


@pytest.fixture
def webex() -> Iterator[WebexServer]:
    """The stand-in for Webex, with an empty room."""
    with WebexServer(free_port()) as webex:
        yield webex


@pytest.fixture
def batch() -> Iterator[BatchServer]:
    """The stand-in for the Batch API, whose clock always shows NOON."""
    with BatchServer(clock=lambda: NOON / 1000) as server:
        yield server


@pytest.fixture
def api(aws: LocalAws, resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """The app in Chalice's test client, on the local AWS."""
    for name, value in (aws.environment | resources.environment).items():
        monkeypatch.setenv(name, value)
    with Api(aws, resources) as api:
        yield api
