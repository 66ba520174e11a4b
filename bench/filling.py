"""Fills a table with many jobs: writes the items that the recorder would store for their events."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from typing import TYPE_CHECKING

from bench.workload import START
from chalicelib import table_keys
from chalicelib.aws.dynamodb import WRITES, Item, chunks
from chalicelib.jobs.job import Details, Job, Transition
from chalicelib.jobs.job_table import job_attributes, job_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import WriteRequestTypeDef

QUEUE = "high-priority"
STATUSES = ("RUNNABLE", "RUNNING", "SUCCEEDED", "FAILED")
_WRITERS = 8


def fill(client: "DynamoDBClient", table: str, numbers: range) -> None:
    """Write the items of one job for each number, created a second apart, and of their queue."""
    client.put_item(TableName=table, Item=table_keys.registered_queue(QUEUE))

    def write(items: Sequence[Item]) -> None:
        puts: list[WriteRequestTypeDef] = [{"PutRequest": {"Item": item}} for item in items]
        response = client.batch_write_item(RequestItems={table: puts})
        assert not response["UnprocessedItems"]

    items = list(map(_item, _jobs(numbers)))
    with ThreadPoolExecutor(_WRITERS) as threads:
        list(threads.map(write, chunks(items, WRITES)))


def job_id(number: int) -> str:
    return f"00000000-0000-4000-9000-{number:012}"


def _jobs(numbers: range) -> Iterator[Job]:
    for number, status in zip(numbers, cycle(STATUSES), strict=False):
        at = START + number * 1000
        details = Details(
            status=status,
            generation=0,
            time=at,
            job_name=f"align-{number % 100}",
            job_queue=f"arn:aws:batch:us-east-1:000000000000:job-queue/{QUEUE}",
            created_at=at,
        )
        yield Job(job_id(number), details, (Transition(status, 0, at),))


def _item(job: Job) -> Item:
    return {**job_key(job.job_id), **job_attributes(job), "version": {"N": "1"}}
