"""A queue that was deleted or is no longer recorded is retired after a day; its jobs remain."""

import pytest

from infra.errors import CommandError
from infra.table.forget import forget
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.builders import a_body, queue_arn
from tests.support.sweep_harness import DAY, HOUR, SweepHarness


@pytest.fixture
def harness(aws: LocalAws, resources: Resources, batch: BatchServer) -> SweepHarness:
    harness = SweepHarness(aws, resources, batch)
    harness.recorder.record([a_body(jobQueue=queue_arn(name)) for name in ("cpu", "gpu")])
    harness.reconcile(queues=["cpu", "gpu"])
    return harness


def test_a_deleted_queue_is_retired_after_a_day(harness: SweepHarness, batch: BatchServer) -> None:
    registry = harness.recorder.registry
    batch.delete_queue("gpu")

    harness.reconcile()
    harness.now += DAY - HOUR
    harness.reconcile()
    before = registry.current()
    harness.now += 2 * HOUR

    assert before == ["cpu", "gpu"]
    assert registry.current() == ["cpu"]
    assert registry.names() == ["cpu", "gpu"]
    assert registry.contains("gpu")
    assert harness.watch_queues().queues == 1


def test_a_queue_that_exists_again_is_watched_again(
    harness: SweepHarness, batch: BatchServer
) -> None:
    batch.delete_queue("gpu")
    harness.reconcile()
    harness.now += 2 * DAY
    retired = harness.recorder.registry.current()

    batch.put_queue("gpu")
    harness.reconcile()

    assert retired == ["cpu"]
    assert harness.recorder.registry.current() == ["cpu", "gpu"]


def test_a_queue_that_is_no_longer_recorded_is_retired_after_a_day(
    aws: LocalAws, resources: Resources, batch: BatchServer, harness: SweepHarness
) -> None:
    other = SweepHarness(aws, resources, batch, job_queues=("c*",))

    other.reconcile()
    harness.now += 2 * DAY

    assert harness.recorder.registry.current() == ["cpu"]


def test_nothing_is_retired_while_batch_does_not_list_the_queues(
    aws: LocalAws, resources: Resources, harness: SweepHarness, batch: BatchServer
) -> None:
    batch.throttle(1000)

    harness.reconcile()
    harness.now += 2 * DAY

    assert harness.recorder.registry.current() == ["cpu", "gpu"]


def test_make_forget_retires_a_queue_at_once(
    aws: LocalAws, harness: SweepHarness, batch: BatchServer
) -> None:
    client = harness.batch_client()

    with pytest.raises(CommandError, match="make deploy STAGE=local REMOVE_QUEUES=gpu"):
        forget(aws.dynamodb, client, "local", "gpu")
    before = harness.recorder.registry.current()
    batch.delete_queue("gpu")
    forget(aws.dynamodb, client, "local", "gpu")

    assert before == ["cpu", "gpu"]
    assert harness.recorder.registry.current() == ["cpu"]
    with pytest.raises(CommandError, match="stage local has recorded no job of a queue gpux"):
        forget(aws.dynamodb, client, "local", "gpux")
