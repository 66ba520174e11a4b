"""Children of ended parents that the table does not contain are discovered."""

from tests.support.builders import an_ended_detail
from tests.support.sweep_harness import SweepHarness

QUEUE = "high-priority"


def test_children_that_batch_has_deleted_do_not_block_those_after_them(
    harness: SweepHarness,
) -> None:
    parent = an_ended_detail(arrayProperties={"size": 700, "statusSummary": {}})
    last = an_ended_detail(jobId=f"{parent['jobId']}:699", arrayProperties={"index": 699})
    harness.batch.put([parent, last])
    harness.reconcile(queues=[QUEUE])

    harness.reconcile_until_done(queues=[QUEUE], calls=4)

    assert harness.unrecorded([last]) == []
