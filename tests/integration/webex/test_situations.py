"""Jobs that wait or hang cause the messages that docs/notices.md lists, and no others."""

import pytest

from local.aws import LocalAws, Resources
from tests.support.simulation.situations import SITUATIONS, Situation, play


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.title)
def test_a_situation_causes_only_its_messages(
    aws: LocalAws, resources: Resources, situation: Situation
) -> None:
    assert tuple(play(situation, aws, resources)) == situation.messages
