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


def fill(
    client: "DynamoDBClient",
    table: str,
    numbers: range,
    queues: int = 1,
    statuses: Sequence[str] = STATUSES,
) -> None:
    """Write the items of one job for each number, created a second apart, and of their queues."""
    for queue in range(queues):
        client.put_item(TableName=table, Item=table_keys.registered_queue(queue_name(queue)))

    def write(items: Sequence[Item]) -> None:
        puts: list[WriteRequestTypeDef] = [{"PutRequest": {"Item": item}} for item in items]
        response = client.batch_write_item(RequestItems={table: puts})
        assert not response["UnprocessedItems"]

    items = list(map(_item, _jobs(numbers, queues, statuses)))
    with ThreadPoolExecutor(_WRITERS) as threads:
        list(threads.map(write, chunks(items, WRITES)))


def job_id(number: int) -> str:
    return f"00000000-0000-4000-9000-{number:012}"


def queue_name(number: int) -> str:
    return f"{QUEUE}-{number}" if number else QUEUE


def _jobs(numbers: range, queues: int, statuses: Sequence[str]) -> Iterator[Job]:
    # A queue number that advances with each four jobs gives every queue all statuses.
    for number, status in zip(numbers, cycle(statuses), strict=False):
        queue = queue_name(number // len(STATUSES) % queues)
        at = START + number * 1000
        details = Details(
            status=status,
            generation=0,
            time=at,
            job_name=f"align-{number % 100}",
            job_queue=f"arn:aws:batch:us-east-1:000000000000:job-queue/{queue}",
            created_at=at,
        )
        yield Job(job_id(number), details, (Transition(status, 0, at),))


def _item(job: Job) -> Item:
    return {**job_key(job.job_id), **job_attributes(job), "version": {"N": "1"}}
