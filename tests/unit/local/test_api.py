"""The state of all queues in one line, as `make run` prints it."""

import pytest

from local.api import queues_in_a_line
from tests.support.dashboard.body_samples import a_queue_body, an_incident

NEW = a_queue_body("new", counts=None, lastDay=None)
GPU = a_queue_body(
    "gpu", incidents=[an_incident("STUCK"), an_incident("STUCK"), an_incident("QUEUE_BLOCKED")]
)


@pytest.mark.parametrize(
    ("queues", "line"),
    [
        ([], "0 queues, counted by the next sweep"),
        ([NEW], "1 queue, counted by the next sweep"),
        ([NEW, a_queue_body("spot")], "2 queues: 15 waiting, 3 running, 37 failed in 24 h"),
        (
            [GPU],
            "1 queue: 15 waiting, 3 running, 37 failed in 24 h; gpu has stuck jobs; gpu is blocked",
        ),
    ],
)
def test_the_queues_in_a_line(queues: list[dict[str, object]], line: str) -> None:
    assert queues_in_a_line(queues) == line
