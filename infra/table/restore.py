"""Restore of a stage's table: `make restore STAGE=prod AT=2026-11-26T12:00:00Z INTO=prod2`.

Point-in-time recovery restores into a new table, without the settings of the original. The new
table is that of a stage which does not exist yet and adopts it when it is deployed, so that the
damaged stage records events until the restored one is verified.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3

from infra import stages
from infra.errors import CommandError, run_command
from infra.policies import CHALICE, SOURCE, read_config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import TableDescriptionTypeDef

TIME_TO_LIVE = "expiresAt"


def restore(
    dynamodb: "DynamoDBClient",
    source: str,
    target: str,
    at: datetime,
    report: Callable[[str], None],
    poll_seconds: float = 20,
) -> None:
    """Restore a table as it was at a time, and give it the settings of the original.

    An interrupted restore is continued. Raises CommandError if another table has the name.
    """
    table = _existing(dynamodb, target)
    if table is None:
        dynamodb.restore_table_to_point_in_time(
            SourceTableName=source, TargetTableName=target, RestoreDateTime=at
        )
    elif not is_restored(table, source, at):
        raise CommandError(f"table {target} exists already: choose another stage with INTO")
    while (status := dynamodb.describe_table(TableName=target)["Table"]["TableStatus"]) != "ACTIVE":
        report(f"table {target} is {status}")
        time.sleep(poll_seconds)
    _protect(dynamodb, target)


def is_restored(table: "TableDescriptionTypeDef", source: str, at: datetime) -> bool:
    """Return whether the table was restored from the source as it was at this time."""
    summary = table.get("RestoreSummary")
    if summary is None:
        return False
    is_same_table = summary.get("SourceTableArn", "").endswith(f":table/{source}")
    return is_same_table and summary["RestoreDateTime"] == at


def parse_time(text: str) -> datetime:
    """Return the time, in UTC unless it has an offset. Raise CommandError if it is not one."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(
            f"AT must be a time such as 2026-11-26T12:00:00Z, not {text!r}"
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _existing(dynamodb: "DynamoDBClient", name: str) -> "TableDescriptionTypeDef | None":
    try:
        return dynamodb.describe_table(TableName=name)["Table"]
    except dynamodb.exceptions.ResourceNotFoundException:
        return None


def _protect(dynamodb: "DynamoDBClient", table: str) -> None:
    """Set what a restored table lacks: expiry of items, backups, and protection from deletion."""
    ttl = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if ttl.get("TimeToLiveStatus") not in ("ENABLING", "ENABLED"):
        dynamodb.update_time_to_live(
            TableName=table,
            TimeToLiveSpecification={"Enabled": True, "AttributeName": TIME_TO_LIVE},
        )
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make restore", description="Restore the table of a stage as that of a new stage."
    )
    parser.add_argument("--stage", required=True, help="the stage of the table")
    parser.add_argument("--at", required=True, help="a time such as 2026-11-26T12:00:00Z")
    parser.add_argument("--into", required=True, help="the new stage")
    options = parser.parse_args()
    at, into = parse_time(options.at), options.into
    session = boto3.Session()
    account = session.client("sts").get_caller_identity()["Account"]
    stages.check(options.stage, account, session.region_name)
    stages.check(into, account, session.region_name)
    config = stages.render_config(read_config(CHALICE)["stages"][SOURCE], into)
    target = config["environment_variables"]["JOBS_TABLE"]
    source = stages.environment_of(options.stage)["JOBS_TABLE"]
    print(f"Restoring {source} of {at:%Y-%m-%dT%H:%M:%S%z} as {target} …", flush=True)
    restore(
        session.client("dynamodb"), source, target, at, lambda line: print(f"  {line}", flush=True)
    )
    queues = ",".join(stages.job_queues_of(options.stage))
    print(
        f"Deploy the new stage, which adopts the table, and record what changed since then:\n"
        f"  make deploy STAGE={into} JOB_QUEUES='{queues}'\n"
        f"  make backfill STAGE={into} SINCE={at:%Y-%m-%d}"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
