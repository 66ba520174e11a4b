"""A job is mapped to the attributes of an item and back without a change."""

import json
from typing import Any

import pytest

from chalicelib.jobs.job import (
    ArrayFacts,
    Attempt,
    Details,
    Job,
    Resources,
    ServiceFacts,
    Source,
    Transition,
)
from chalicelib.jobs.job_table import job_attributes, job_key, job_of
from tests.support.builders import NOON

QUEUE_ARN = "arn:aws:batch:us-east-1:000000000000:job-queue/high-priority"


def a_job(job_id: str = "4c75", **details: Any) -> Job:
    known = {"job_name": "align", "job_queue": QUEUE_ARN, "created_at": NOON}
    return Job(
        job_id,
        Details(status="FAILED", generation=1, time=NOON + 9_000, **(known | details)),
        (
            Transition("RUNNING", 0, NOON + 1_000, Source.REPAIR),
            Transition("FAILED", 1, NOON + 9_000),
        ),
    )


JOBS = [
    a_job(),
    a_job("4c75:12", array=ArrayFacts(index=12), description="d1"),
    a_job("4c75#1", nodes=2),
    a_job(attempts=(Attempt(NOON, NOON + 1, 137, None, "reason"), Attempt(NOON + 2))),
    a_job(attempts=(Attempt(),), exit_code=1),
    a_job(log_group=None, resources=Resources(2, 4_096, 1)),
    a_job(service=ServiceFacts("SAGEMAKER_TRAINING", ("arn", None))),
    a_job(**dict.fromkeys(("is_cancelled", "is_terminated"), 1)),
    Job("4c75", a_job().details, a_job().history, (0, 1, 5, "")),
]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_read_from_its_item_is_the_job_that_was_saved(job: Job) -> None:
    assert job_of(job_attributes(job)) == job


def test_trailing_defaults_are_not_stored() -> None:
    details, history = json.loads(job_attributes(a_job(attempts=(Attempt(NOON),)))["record"]["S"])

    assert details[-1] == [[NOON]], "the attempts are the last field with another value"
    assert history == [["RUNNING", 0, NOON + 1_000, 1], ["FAILED", 1, NOON + 9_000]]


def test_a_record_of_an_unknown_format_has_no_job() -> None:
    attributes = job_attributes(a_job()) | {"record": {"S": '["of another version"]'}}

    assert job_of(attributes) is None


def test_attributes_for_people_and_indexes_are_next_to_the_record() -> None:
    attributes = job_attributes(a_job("4c75:12", array=ArrayFacts(index=12)))

    texts = {name: value["S"] for name, value in attributes.items() if name != "record"}
    assert texts | {"statusKey": ""} == {
        "jobId": "4c75:12",
        "jobName": "align",
        "status": "FAILED",
        "changedAt": "2026-05-28T20:26:49Z",
        "statusSort": f"00{NOON + 9_000}#4c75:12",
        "statusKey": "",
    }
    assert texts["statusKey"].startswith("CHILDREN#high-priority#FAILED#")


def test_an_invalid_job_id_has_no_key() -> None:
    with pytest.raises(ValueError, match="is not a Batch job id"):
        job_key("a b")
