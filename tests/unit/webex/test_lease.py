"""The lease of a room must outlive the function that holds it."""

import json

import pytest

from chalicelib.webex.room_delivery import LEASE
from local.aws import ROOT

CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())


@pytest.mark.parametrize("stage", [None, *CONFIG["stages"]])
def test_a_lease_is_longer_than_the_timeout_of_the_notifiers_function(stage: str | None) -> None:
    """Else a second notifier leases the room while the first is still sending to it."""
    of_stage = CONFIG["stages"][stage]["lambda_functions"] if stage else {}
    settings = CONFIG["lambda_functions"]["on_notices"] | of_stage.get("on_notices", {})

    assert settings["lambda_timeout"] < LEASE / 1000
