"""The pure decision of ingest: what to store of a job, given its record and observations."""

import json
from typing import Any

from chalicelib.jobs.job import Observation
from chalicelib.jobs.job_table import StoredJob
from chalicelib.recording.event import EventReader
from chalicelib.recording.ingest import Decision, merge
from chalicelib.redaction import Redaction
from tests.support.builders import ACCOUNT, SOURCE, an_event

reader = EventReader((SOURCE,), ACCOUNT, Redaction())


def an_observation(status: str, **fields: Any) -> Observation:
    observation = reader.read(json.dumps(an_event(jobId="job", status=status, **fields)))
    assert isinstance(observation, Observation)
    return observation


def stored(*observations: Observation) -> StoredJob:
    change = merge(None, observations).change
    assert change is not None
    return StoredJob(change.job, version=7)


def test_the_first_observations_of_a_job_create_its_record() -> None:
    runnable, running = an_observation("RUNNABLE"), an_observation("RUNNING")

    change, news = merge(None, [running, runnable])

    assert news == 2
    assert change is not None
    assert (change.stored, change.description) == (None, runnable.description)
    assert [transition.status for transition in change.job.history] == ["RUNNABLE", "RUNNING"]


def test_new_observations_change_the_stored_record() -> None:
    before = stored(an_observation("RUNNABLE"))

    change, news = merge(before, [an_observation("RUNNING"), an_observation("RUNNABLE")])

    assert news == 1, "one of the two is a duplicate"
    assert change is not None
    assert change.stored is before
    assert change.job.status == "RUNNING"


def test_duplicates_change_nothing() -> None:
    before = stored(an_observation("RUNNABLE"), an_observation("RUNNING"))

    assert merge(before, [an_observation("RUNNING")] * 2) == Decision(None, 0)


def test_a_change_contains_the_description_of_the_current_status() -> None:
    before = stored(an_observation("RUNNABLE", container={"image": "first"}))
    running = an_observation("RUNNING", container={"image": "second"})
    late = an_observation("STARTING", container={"image": "first"})

    change, _ = merge(before, [running, late])

    assert change is not None
    assert change.description == running.description


def test_without_observations_nothing_is_stored() -> None:
    assert merge(None, []) == Decision()
    assert merge(stored(an_observation("RUNNABLE")), []) == Decision()
