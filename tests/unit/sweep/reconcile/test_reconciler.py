"""The pure decision of reconciliation: what a response of Batch changes."""

from typing import Any

import msgspec

from chalicelib.jobs.job import Job, Observation, Source
from chalicelib.jobs.job_detail.observation import observe
from chalicelib.jobs.job_detail.shapes import JobDetail
from chalicelib.jobs.job_table import StoredJob
from chalicelib.recording.ingest import Decision
from chalicelib.redaction import Redaction
from chalicelib.sweep.reconcile.reconciler import merge_unless_known
from tests.support.builders import NOON, a_detail


def observed(time: int, source: Source = Source.REPAIR, **fields: Any) -> Observation:
    detail = msgspec.convert(a_detail(jobId="job", **fields), JobDetail)
    return observe(detail, time=time, source=source, redaction=Redaction())


def test_a_response_that_differs_from_the_record_only_in_its_time_changes_nothing() -> None:
    stored = StoredJob(Job.from_observation(observed(NOON, Source.EVENT)), version=1)

    assert merge_unless_known(stored, [observed(NOON + 1)]) == Decision()


def test_a_response_with_another_status_is_merged() -> None:
    stored = StoredJob(Job.from_observation(observed(NOON, Source.EVENT)), version=1)

    decision = merge_unless_known(stored, [observed(NOON + 1, status="RUNNING")])

    assert decision.news == 1
    assert decision.change is not None
    assert decision.change.job.status == "RUNNING"


def test_a_response_about_a_job_without_a_record_is_merged() -> None:
    decision = merge_unless_known(None, [observed(NOON)])

    assert decision.news == 1
    assert decision.change is not None
    assert decision.change.stored is None
