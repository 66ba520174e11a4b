"""The write units that recording consumes.

The local AWS reports one unit for any PartiQL statement, but the units that DynamoDB would charge
for a PutItem. So after each batch, the changed items are put into a copy of the table.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

from bench.recording import RecordingStack
from bench.report import Row, formatted_ratio
from bench.workload import FIVE_EVENTS, bodies, by_job, with_statuses
from chalicelib.aws.dynamodb import Item
from local.aws import LocalAws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import GlobalSecondaryIndexTypeDef

_PARTS = {"SPEC": "description", "SUMMARY": "summary"}
"""Names of items in the results, by the beginning of their sort keys; others are "table"."""


def rows(aws: LocalAws, most: int, jobs: int) -> Iterator[Row]:
    """Compare recording each event in its own batch with recording all events in one batch."""
    events = by_job(bodies(jobs))
    cases = {
        "a job with five events": with_statuses(FIVE_EVENTS, events, children=False)[:most],
        "an array child with four": with_statuses(FIVE_EVENTS[1:], events, children=True)[:most],
    }
    for name, of_jobs in cases.items():
        each = [[body] for turn in zip(*of_jobs, strict=True) for body in turn]
        together = [[body for of_job in of_jobs for body in of_job]]
        single = _units(RecordingStack(aws), each)
        batched = _units(RecordingStack(aws), together)
        worst, best = single.total() / len(of_jobs), batched.total() / len(of_jobs)
        yield Row(
            f"write units of {name}, one event per batch",
            f"{worst:.3g} ({_by_part(single, len(of_jobs))})",
            f"{best:.3g} in one batch ({_by_part(batched, len(of_jobs))})",
            formatted_ratio(worst / best),
        )


def create_empty_copy(stack: RecordingStack) -> str:
    """Create an empty table with the keys and indexes of the jobs table, and return its name."""
    name = f"{stack.resources.jobs_table}-copy"
    table = stack.dynamodb.describe_table(TableName=stack.resources.jobs_table)["Table"]
    indexes = [
        {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
        for index in table["GlobalSecondaryIndexes"]
    ]
    stack.dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=table["AttributeDefinitions"],
        KeySchema=table["KeySchema"],
        GlobalSecondaryIndexes=cast("list[GlobalSecondaryIndexTypeDef]", indexes),
    )
    return name


def _by_part(units: Counter[str], jobs: int) -> str:
    return ", ".join(f"{count / jobs:.3g} {part}" for part, count in units.most_common())


def _units(stack: RecordingStack, batches: Sequence[Sequence[str]]) -> Counter[str]:
    """Record the batches, and return the write units by part. The item that registers a job queue
    is written only once and not counted."""
    copy = create_empty_copy(stack)
    units: Counter[str] = Counter()
    counted: list[Item] = []
    for batch in batches:
        stack.record(batch, len(batch))
        stored = stack.items()
        for item in stored:
            if item not in counted and item["pk"]["S"] != "QUEUES":
                units.update(_units_of_put(stack, copy, item))
        counted = stored
    return units


def _units_of_put(stack: RecordingStack, table: str, item: Item) -> dict[str, float]:
    consumed = stack.dynamodb.put_item(
        TableName=table, Item=item, ReturnConsumedCapacity="INDEXES"
    )["ConsumedCapacity"]
    part = _PARTS.get(item["sk"]["S"].partition("#")[0], "table")
    indexes = consumed.get("GlobalSecondaryIndexes", {})
    by_index = {name: index["CapacityUnits"] for name, index in indexes.items()}
    return {part: consumed["Table"]["CapacityUnits"], **by_index}
