"""Envelopes of simulated events, and events with other times."""

import json
import re

from local.workload import envelope, retimed, workload
from tests.support.simulation.simulated_jobs import START


def test_the_time_of_an_envelope_is_truncated_to_seconds_and_its_resource_is_the_job() -> None:
    event = workload(1, 1, START).events[0]

    whole = envelope(event, source="aws.batch", account="111122223333", region="eu-west-1", id="i")

    assert whole["detail"] is event.detail
    assert whole["resources"] == [event.detail["jobArn"]]
    assert re.fullmatch(r"2026-05-28T20:26:4\dZ", whole["time"])
    assert {key: whole[key] for key in ("version", "id", "detail-type", "account", "region")} == {
        "version": "0",
        "id": "i",
        "detail-type": "Batch Job State Change",
        "account": "111122223333",
        "region": "eu-west-1",
    }


def test_the_default_id_of_an_envelope_is_unique_and_always_the_same() -> None:
    events = workload(1, 50, START).events

    ids = [envelope(event)["id"] for event in events]

    assert len(set(ids)) == len(events)
    assert ids == [envelope(event)["id"] for event in events]


def test_retiming_changes_every_time_and_nothing_else() -> None:
    for event in workload(3, 300, START).events:
        moved = retimed(event, lambda at: at - START)

        assert str(START)[:5] not in re.sub(r'"[^"]*"', "", json.dumps(moved.detail))
        assert retimed(moved, lambda at: at + START) == event
