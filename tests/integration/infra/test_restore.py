"""`make restore` in the local AWS, which restores the items of now whatever time is given, and
does not state what a table was restored from. So the time is not tested here, nor a rerun."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.deploy import create_resources
from infra.errors import CommandError
from infra.stages import ROOT
from infra.table.restore import is_restored, parse_time
from local.aws import LocalAws

ITEM = {"pk": {"S": "JOB#1"}, "sk": {"S": "JOB"}}
AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
RESTORED: Any = {
    "RestoreSummary": {
        "SourceTableArn": "arn:aws:dynamodb:us-east-1:000000000000:table/batchwatch-prod-jobs",
        "RestoreDateTime": AT,
        "RestoreInProgress": True,
    }
}


def make_restore(aws: LocalAws, into: str) -> "subprocess.CompletedProcess[str]":
    arguments = ["--stage", "prod", "--at", "2026-11-26T12:00:00Z", "--into", into]
    return subprocess.run(
        [sys.executable, "-m", "infra.table.restore", *arguments],
        env=aws.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


def test_a_restored_table_has_the_items_and_settings_and_is_adopted(aws: LocalAws) -> None:
    cloudformation, dynamodb = aws.client("cloudformation"), aws.dynamodb
    create_resources(cloudformation, "prod", {"Stage": "prod"})
    dynamodb.put_item(TableName="batchwatch-prod-jobs", Item=ITEM)

    result = make_restore(aws, "restored")
    restored = {"JobsTable": {"TableName": "batchwatch-restored-jobs"}}
    create_resources(cloudformation, "restored", {"Stage": "restored"}, retained=restored)

    assert result.returncode == 0, result.stderr
    assert "make deploy STAGE=restored JOB_QUEUES='*'" in result.stdout
    assert "make backfill STAGE=restored SINCE=2026-11-26" in result.stdout
    table = "batchwatch-restored-jobs"
    assert dynamodb.scan(TableName=table)["Items"] == [ITEM]
    description = dynamodb.describe_table(TableName=table)["Table"]
    assert description["DeletionProtectionEnabled"] is True
    indexes = {index["IndexName"] for index in description["GlobalSecondaryIndexes"]}
    assert indexes == {"by-activity", "by-status", "by-name"}
    ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "expiresAt"}
    assert aws.queue_url("batchwatch-restored-events")


def test_an_existing_table_is_not_replaced(aws: LocalAws) -> None:
    create_resources(aws.client("cloudformation"), "prod", {"Stage": "prod"})

    result = make_restore(aws, "prod")

    assert result.returncode == 1
    assert result.stderr == (
        "error: table batchwatch-prod-jobs exists already: choose another stage with INTO\n"
    )


def test_only_a_restore_of_the_same_table_and_time_is_continued() -> None:
    assert is_restored(RESTORED, "batchwatch-prod-jobs", AT)
    assert not is_restored(RESTORED, "batchwatch-dev-jobs", AT)
    assert not is_restored(RESTORED, "batchwatch-prod-jobs", AT.replace(hour=13))
    assert not is_restored({}, "batchwatch-prod-jobs", AT)


def test_a_time_is_in_utc_unless_it_has_an_offset() -> None:
    assert parse_time("2026-11-26T12:00") == parse_time("2026-11-26T13:00+01:00") == AT
    with pytest.raises(CommandError, match="AT must be a time such as"):
        parse_time("yesterday")
