"""Stores blocks of array children (`array_summary`) and reads summaries from them.

A block is saved on the condition that its attributes are still those that were read. It only grows,
so it needs no version, and writing the same children again makes the same item. It expires with its
array. This module maps blocks to items; it must not interpret their bytes.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Statement, Table, key_of
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.array_summary import (
    STATUS_DIGITS,
    Block,
    BlockKey,
    Summary,
    block_of_child,
    blocks_of_array,
    failed_indexes,
    reported_summary,
    size_of,
    status_digits,
    summary_of,
)
from chalicelib.jobs.job import Job, JobStatus

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ArrayTable:
    def __init__(self, client: "DynamoDBClient", name: str, *, retention_days: int = 0) -> None:
        self._table = Table(client, name)
        self._retention_seconds = retention_days * 86_400

    def blocks_to_update(self, job: Job) -> Collection[BlockKey]:
        """Return the blocks that must contain something of a job: of a child its own block; of an
        array that is over, all blocks, because they are to expire with it."""
        if ":" in job.job_id:
            return [block_of_child(job.job_id)]
        if self._retention_seconds and job.is_over:
            return blocks_of_array(job.job_id, size_of(job))
        return []

    def save(
        self, jobs_by_block: Mapping[BlockKey, Sequence[Job]], *, consistent: bool
    ) -> dict[BlockKey, Outcome]:
        """Read blocks, join the jobs that belong to them, and save those that changed.

        Return the outcome of each block, SAVED if it did not change.
        """
        known, unread = self._read(jobs_by_block, consistent=consistent)
        read = jobs_by_block.keys() - unread.keys()
        statements: dict[BlockKey, Statement] = {}
        for key in read:
            before = known.get(key)
            after = self._joined(before or Block(), jobs_by_block[key])
            if after != before:
                statements[key] = self._statement(key, before, after)
        saved = self._table.execute(list(statements.values()))
        outcomes = unread | dict.fromkeys(read, Outcome.SAVED)
        return outcomes | {key: saved[statement.key] for key, statement in statements.items()}

    def summaries(self, jobs: Sequence[Job]) -> dict[str, Summary]:
        """Return the summaries of those jobs that are arrays, by job id.

        Each is the more complete one of the array's own events and its blocks. Blocks are read
        only of arrays whose own events don't report that all children have ended.

        Raises TableUnavailable if some could not be read.
        """
        arrays = [job for job in jobs if size_of(job)]
        blocks = self._read_blocks([job for job in arrays if not _has_reported_all(job)])
        return {job.job_id: _summary(job, blocks.get(job.job_id)) for job in arrays}

    def summary(self, job: Job) -> Summary | None:
        """Return the summary of one job with the status of each child, or None if it is not an
        array.

        Raises TableUnavailable if it could not be read.
        """
        if not (size := size_of(job)):
            return None
        if reported_summary(job).counts.get(JobStatus.SUCCEEDED, 0) >= size:
            statuses = STATUS_DIGITS[JobStatus.SUCCEEDED] * size
            return reported_summary(job)._replace(statuses=statuses)
        blocks = self._read_blocks([job])[job.job_id]
        summary = _summary(job, None if _has_reported_all(job) else blocks)
        return summary._replace(
            failed=failed_indexes(blocks, size), statuses=status_digits(blocks, size)
        )

    def _read_blocks(self, arrays: Sequence[Job]) -> dict[str, dict[int, Block]]:
        """Return the stored blocks of arrays by job id and number. Raises TableUnavailable."""
        keys = [key for job in arrays for key in blocks_of_array(job.job_id, size_of(job))]
        known, unread = self._read(keys, consistent=False)
        if unread:
            raise TableUnavailable("DynamoDB returned only a part of the summaries: try again")
        blocks: dict[str, dict[int, Block]] = {job.job_id: {} for job in arrays}
        for key, block in known.items():
            blocks[key.root][key.number] = block
        return blocks

    def _joined(self, block: Block, jobs: Sequence[Job]) -> Block:
        expiries = [job.since // 1000 + self._retention_seconds for job in jobs if job.is_root]
        block = block.observe(job for job in jobs if not job.is_root)
        return block.kept_until(max(expiries)) if expiries else block

    def _read(
        self, keys: Iterable[BlockKey], *, consistent: bool
    ) -> tuple[dict[BlockKey, Block], dict[BlockKey, Outcome]]:
        by_item_key = {key_of(_key(key)): key for key in keys}
        items, unread = self._table.read(
            [_key(key) for key in by_item_key.values()],
            attributes=("pk", "sk", "children", "lastObservedAt", "expiresAt"),
            consistent=consistent,
        )
        blocks = {by_item_key[key_of(item)]: _block(item) for item in items}
        return blocks, {by_item_key[key]: outcome for key, outcome in unread.items()}

    def _statement(self, key: BlockKey, before: Block | None, after: Block) -> Statement:
        if before is None:
            return self._table.insert_if_absent(_key(key) | _attributes(after))
        return self._table.update_if_equal(_attributes(before), _key(key), _attributes(after))


def _has_reported_all(array: Job) -> bool:
    """Return whether the array's own events report that all children have ended."""
    return reported_summary(array).ended >= size_of(array)


def _summary(array: Job, blocks: Mapping[int, Block] | None) -> Summary:
    """Return the more complete summary of the array's own events and its blocks, if they were
    read."""
    reported = reported_summary(array)
    if blocks is None:
        return reported
    of_children = summary_of(blocks, size_of(array))
    return reported if reported.is_more_complete_than(of_children) else of_children


def _key(key: BlockKey) -> table_keys.Key:
    return table_keys.array_block(key.root, key.number)


def _block(item: Item) -> Block:
    return Block(
        item["children"]["B"],
        int(item["lastObservedAt"]["N"]),
        int(item["expiresAt"]["N"]) if "expiresAt" in item else 0,
    )


def _attributes(block: Block) -> Item:
    attributes: Item = {
        "children": {"B": block.children},
        "lastObservedAt": {"N": str(block.last_observed_at)},
    }
    if block.expires_at:
        attributes["expiresAt"] = {"N": str(block.expires_at)}
    return attributes
