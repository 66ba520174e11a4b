"""Records that released versions stored, with this version: read, listed, updated and swept.

The samples are whole tables, written by the recorder and the sweep of a release. They contain a
job that failed, one that runs, one that is stuck, an array, a multi-node job and a service job. A
release that changes an item, or a key, adds one.
"""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest

from chalicelib.jobs.job_table import job_attributes, job_of
from infra.deploy import create_resources
from infra.stages import ROOT
from infra.table.upgrade import Rewritten, upgrade
from local.aws import LocalAws, Resources
from local.batch import BatchServer
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body
from tests.support.sweep_harness import MINUTE, SweepHarness

SAMPLES = ROOT / "tests" / "support" / "samples"
VERSIONS = ["0_1_0"]
FAILED, RUNNING, ARRAY, STUCK, TRAINING, NODES = (
    f"{number:08}-0000-4000-8000-000000000000" for number in range(1, 7)
)
ROOTS = {FAILED, RUNNING, ARRAY, STUCK, TRAINING, NODES}
ALL_RECORDS = 10
ALL_ACTIVE = 7


def put_items(aws: LocalAws, table: str, version: str) -> None:
    """Store the sample of a version."""
    items = json.loads((SAMPLES / f"stored_by_{version}.json").read_text())
    for item in items:
        for value in item.values():
            if "B" in value:
                value["B"] = base64.b64decode(value["B"])
        aws.dynamodb.put_item(TableName=table, Item=item)


def job_items(aws: LocalAws, table: str) -> list[dict[str, Any]]:
    return [item for item in aws.dynamodb.scan(TableName=table)["Items"] if "jobId" in item]


def listed(api: Api, path: str) -> set[str]:
    return {job["jobId"] for page in api.pages(path) for job in page}


@pytest.fixture(params=VERSIONS)
def table(aws: LocalAws, resources: Resources, request: pytest.FixtureRequest) -> str:
    put_items(aws, resources.jobs_table, request.param)
    return resources.jobs_table


def test_records_are_read_and_updated_before_they_are_upgraded(table: str, api: Api) -> None:
    job = api.get(f"/jobs/{FAILED}").body
    assert (job["status"], job["failure"]["cause"]) == ("FAILED", "OUT_OF_MEMORY")
    assert len(api.get(f"/jobs/{TRAINING}").body["preemptions"]) == 1
    assert api.get(f"/jobs/{ARRAY}").body["array"]["statusSummary"]["FAILED"] == 1
    assert len(api.get(f"/jobs/{ARRAY}/children").body["jobs"]) == 3
    assert len(api.get(f"/jobs/{NODES}/children").body["jobs"]) == 1

    ended = {"status": "SUCCEEDED", "stoppedAt": NOON}
    api.record(a_body(jobId=RUNNING, jobName="running", at=NOON, **ended))

    statuses = [entry["status"] for entry in api.get(f"/jobs/{RUNNING}").body["history"]]
    assert statuses == ["RUNNABLE", "RUNNING", "SUCCEEDED"]
    assert listed(api, "/jobs") == {RUNNING}


def test_upgraded_records_are_listed(aws: LocalAws, table: str, api: Api) -> None:
    upgrade(aws.dynamodb, table)

    assert listed(api, "/jobs?limit=2") == ROOTS
    assert listed(api, "/jobs?status=FAILED") == {FAILED}
    assert listed(api, "/jobs?status=RUNNING") == {RUNNING, TRAINING, NODES}
    assert listed(api, "/jobs?name=stuck") == {STUCK}
    api.count()
    counts = api.get("/queues/high-priority").body["counts"]
    assert (counts["PENDING"], counts["RUNNABLE"], counts["RUNNING"]) == (1, 1, 2)


def test_upgraded_records_are_swept(
    aws: LocalAws, resources: Resources, table: str, batch: BatchServer
) -> None:
    upgrade(aws.dynamodb, table)
    sweep = SweepHarness(aws, resources, batch)
    sweep.now = NOON + 90 * MINUTE

    assert sweep.watch_queues().queues == 2
    assert sweep.reconcile(queues=["high-priority", "training"]).described == ALL_ACTIVE


def test_an_upgrade_writes_the_keys_that_a_function_would_write(
    aws: LocalAws, table: str, api: Api
) -> None:
    api.record(a_body(jobId=STUCK, jobName="stuck", status="STARTING", at=NOON))

    assert upgrade(aws.dynamodb, table) == Rewritten(ALL_RECORDS, 0)
    assert upgrade(aws.dynamodb, table) == Rewritten(0, 0)

    for item in job_items(aws, table):
        job = job_of(item)
        assert job is not None
        expected = job_attributes(job) | {"record": item["record"]}
        assert {k: v for k, v in item.items() if k not in ("pk", "sk", "version")} == expected


def test_the_command_upgrades_the_table_of_a_stage(aws: LocalAws) -> None:
    create_resources(aws.client("cloudformation"), "prod", {"Stage": "prod"})
    put_items(aws, "batchwatch-prod-jobs", "0_1_0")

    command = [sys.executable, "-m", "infra.table.upgrade", "--stage", "prod"]
    result = subprocess.run(
        command, env=aws.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stderr
    expected = f"{ALL_RECORDS} records in batchwatch-prod-jobs have new index keys"
    assert result.stdout.strip() == expected
