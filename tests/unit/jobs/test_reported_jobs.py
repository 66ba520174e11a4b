"""Jobs that users of AWS Batch reported, from the event to the answer of the API."""

import json
from collections import Counter
from typing import Any

import msgspec
import pytest

from chalicelib.api.job_log import locate
from chalicelib.api.representation.job import Related, job_body
from chalicelib.jobs.array_summary import reported_summary
from chalicelib.jobs.job import Job, Observation
from chalicelib.jobs.prices import Prices
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from chalicelib.webex.text.array import ArrayOutcome
from tests.support.builders import ACCOUNT, HOUR, NOON, SOURCE, an_envelope
from tests.support.samples.notice_samples import job_message, lines
from tests.support.samples.reported_jobs import OWN, REPORTED_JOBS, ReportedJob

reader = EventReader((SOURCE,), ACCOUNT, Redaction())


def observed(reported: ReportedJob) -> Observation:
    kind = "Batch Service Job State Change" if reported.is_service else "Batch Job State Change"
    detail = {name: value for name, value in reported.detail.items() if value is not None}
    observation = reader.read(json.dumps(an_envelope(kind, detail, at=NOON + 60_000)))
    assert isinstance(observation, Observation)
    return observation


def answer(observation: Observation) -> Any:
    """Return the answer of the API, with the location of the log and the notice of an array."""
    job = Job.from_observation(observation)
    body = job_body(job, Related(observation.description), Prices(), NOON + HOUR)
    built: dict[str, Any] = msgspec.to_builtins(body)
    if job.log_stream_name and built["links"]["logs"]:
        built["log"] = locate(job, None)[1:]
    if (array := job.details.array) and array.size and array.status_summary:
        outcome = ArrayOutcome.of(array.size, reported_summary(job))
        built["notice"] = lines(job_message(job, array_outcome=outcome))[0].rpartition(": ")[2]
    return built


def at(found: Any, path: str) -> Any:
    for step in path.split("."):
        found = found[int(step)] if step.isdecimal() else found[step]
    return found


@pytest.mark.parametrize("reported", REPORTED_JOBS, ids=lambda reported: reported.name)
def test_a_reported_job_has_its_real_cause(reported: ReportedJob) -> None:
    body = answer(observed(reported))

    assert {path: at(body, path) for path in reported.expected} == reported.expected
    explanation = ((body["failure"] or body["waiting"] or {}).get("explanation")) or ""
    assert not [word for word in reported.words if word not in explanation], explanation
    assert not [word for word in reported.absent if word in explanation], explanation


def test_each_kind_of_fault_has_three_jobs_and_two_of_public_material() -> None:
    jobs = Counter(reported.kind for reported in REPORTED_JOBS)
    public = Counter(reported.kind for reported in REPORTED_JOBS if reported.source != OWN)

    assert len(jobs) == 16
    assert min(jobs.values()) >= 3
    assert all(public[kind] >= 2 for kind in jobs)
