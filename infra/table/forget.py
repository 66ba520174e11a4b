"""Removal of a job queue from the overview: `make forget STAGE=prod QUEUE=gpu`.

The sweep itself retires a queue a day after it was deleted or is no longer recorded. This command
retires it at once. The queue's jobs remain.
"""

import argparse
import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import boto3

from infra import stages
from infra.errors import CommandError, run_command

if TYPE_CHECKING:
    from mypy_boto3_batch import BatchClient
    from mypy_boto3_dynamodb import DynamoDBClient

REGISTRY = "QUEUES"
"""Partition key of the registry of queues (chalicelib.table_keys)."""
GONE_SINCE = "goneSince"
"""As in chalicelib.queues.queue_registry: 0 retires a queue at once."""


def forget(dynamodb: "DynamoDBClient", batch: "BatchClient", stage: str, queue: str) -> None:
    """Retire a queue. Raise CommandError if the stage still records it, or does not know it."""
    globs = stages.job_queues_of(stage)
    if any(fnmatchcase(queue, glob) for glob in globs) and _exists(batch, queue):
        raise CommandError(
            f"stage {stage} still records queue {queue}, so the next sweep would add it again."
            f" Stop recording it first: make deploy STAGE={stage} REMOVE_QUEUES={queue}"
        )
    try:
        dynamodb.update_item(
            TableName=stages.environment_of(stage)["JOBS_TABLE"],
            Key={"pk": {"S": REGISTRY}, "sk": {"S": queue}},
            UpdateExpression=f"SET {GONE_SINCE} = :now",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues={":now": {"N": "0"}},
        )
    except dynamodb.exceptions.ConditionalCheckFailedException as error:
        raise CommandError(f"stage {stage} has recorded no job of a queue {queue}") from error


def _exists(batch: "BatchClient", queue: str) -> bool:
    return bool(batch.describe_job_queues(jobQueues=[queue])["jobQueues"])


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make forget",
        description="Remove a job queue that is no longer recorded from the overview and the sweep."
        " Its jobs remain.",
    )
    parser.add_argument("--stage", required=True)
    parser.add_argument("--queue", required=True, help="the name of a job queue")
    options = parser.parse_args()
    session = boto3.Session()
    stages.check(
        options.stage, session.client("sts").get_caller_identity()["Account"], session.region_name
    )
    forget(session.client("dynamodb"), session.client("batch"), options.stage, options.queue)
    print(
        f"Queue {options.queue} is no longer watched, counted and listed. Its jobs remain:"
        f" GET /jobs?queue={options.queue}"
    )


if __name__ == "__main__":
    sys.exit(run_command(main))
