"""Rewrite of the index keys of earlier versions: `make upgrade-records STAGE=prod`.

A record of any version can be read and updated, but is listed and swept only by the index keys of
the current version. 0.1.0 had eight shards in each partition of the indexes, and no index
by-activity (docs/adr/0017-active-and-ended-jobs.md). The functions write the current keys of every
job that changes. This command writes those of the others, by far the most of which have ended.
"""

import argparse
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore.config import Config

from infra import stages
from infra.errors import run_command

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

SHARDS = 2
"""As in chalicelib.table_keys."""
ENDED = ("SUCCEEDED", "FAILED", "UNKNOWN")
"""As LISTED_ENDED in chalicelib.jobs.job."""

_KEYS = ("activityKey", "statusKey", "nameKey", "nameSort")
_MEMBERS = re.compile(r"(CHILDREN#[^#]+#[^#]+)#(\d)")
_ROOTS = re.compile(r"([^#]+)#([^#]+)#\d")
_CONCURRENT_UPDATES = 16


class Rewritten(NamedTuple):
    """The number of records with new keys, and of those that a function changed meanwhile."""

    records: int
    changed_meanwhile: int


def current_keys(item: dict[str, str]) -> dict[str, str]:
    """Return the current index keys of a job item of any version."""
    keys = _keys_of(item)
    if members := _MEMBERS.fullmatch(keys.get("statusKey", "")):
        return {"statusKey": f"{members[1]}#{int(members[2]) % SHARDS}"}
    if roots := _ROOTS.fullmatch(keys.get("statusKey", "")):
        queue, status = roots.groups()
        has_ended = item["status"] in ENDED
        keys["activityKey"] = f"{queue}#{'ENDED' if has_ended else 'ACTIVE'}"
        keys["nameKey"] = queue
        del keys["statusKey"]
        if has_ended:
            keys["statusKey"] = f"{queue}#{status}"
    return keys


def upgrade(dynamodb: "DynamoDBClient", table: str) -> Rewritten:
    """Write the current index keys of all job items that have others."""
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="attribute_exists(jobId)",
        ProjectionExpression=f"pk, sk, #status, {', '.join(_KEYS)}",
        ExpressionAttributeNames={"#status": "status"},
    )
    saved: list[bool] = []
    with ThreadPoolExecutor(_CONCURRENT_UPDATES) as threads:
        for page in pages:
            items = [{name: value["S"] for name, value in each.items()} for each in page["Items"]]
            outdated = [item for item in items if current_keys(item) != _keys_of(item)]
            saved += threads.map(lambda item: _save(dynamodb, table, item), outdated)
    return Rewritten(saved.count(True), saved.count(False))


def _keys_of(item: dict[str, str]) -> dict[str, str]:
    return {name: item[name] for name in _KEYS if name in item}


def _save(dynamodb: "DynamoDBClient", table: str, item: dict[str, str]) -> bool:
    """Write the current keys, unless the job has changed. Return whether they were written."""
    keys = current_keys(item)
    removed = [name for name in _KEYS if name in item and name not in keys]
    remove = f" REMOVE {', '.join(removed)}" if removed else ""
    values: dict[str, Any] = {f":{name}": {"S": text} for name, text in keys.items()}
    was = {":was": {"S": item["statusKey"]}, ":status": {"S": item["status"]}}
    try:
        dynamodb.update_item(
            TableName=table,
            Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
            UpdateExpression=f"SET {', '.join(f'{name} = :{name}' for name in keys)}{remove}",
            ConditionExpression="statusKey = :was AND #status = :status",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues=values | was,
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        return False
    return True


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make upgrade-records",
        description="Write the index keys of the current version in the records of earlier ones.",
    )
    parser.add_argument("--stage", required=True)
    stage = parser.parse_args().stage
    table = stages.environment_of(stage)["JOBS_TABLE"]
    session = boto3.Session()
    stages.check(stage, session.client("sts").get_caller_identity()["Account"], session.region_name)
    config = Config(max_pool_connections=_CONCURRENT_UPDATES, retries={"mode": "adaptive"})
    rewritten = upgrade(session.client("dynamodb", config=config), table)
    print(f"{rewritten.records} records in {table} have new index keys")
    if rewritten.changed_meanwhile:
        print(f"{rewritten.changed_meanwhile} changed meanwhile: run the command again")


if __name__ == "__main__":
    sys.exit(run_command(main))
