"""The repository of how the children of arrays fare.

    pk               sk            what
    JOB#<root id>    SUMMARY#03    children 1,500 to 1,999 of an array: a byte for each

A block is saved on the condition that it holds what was read: it only ever grows greater, so it
needs no version, and the same children make the same item however often it is written. It expires
with its array. Knows keys and their mapping; what the bytes stand for, `array_summary` knows.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from chalicelib import table_keys
from chalicelib.aws.dynamodb import Item, Outcome, Statement, Table, key_of
from chalicelib.errors import TableUnavailable
from chalicelib.jobs.array_summary import (
    Block,
    BlockKey,
    Summary,
    block_of,
    blocks_of,
    own_summary,
    size_of,
    summary_of,
)
from chalicelib.jobs.job import Job

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class ArrayTable:
    def __init__(self, client: "DynamoDBClient", name: str, *, retention_days: int = 0) -> None:
        self._table = Table(client, name)
        self._retention_seconds = retention_days * 86_400

    def blocks_telling_of(self, job: Job) -> Collection[BlockKey]:
        """Those that must hold something of a job: a child's own, and of an array that is over and
        is to expire all."""
        if ":" in job.job_id:
            return [block_of(job.job_id)]
        if self._retention_seconds and job.is_over:
            return blocks_of(job.job_id, size_of(job))
        return []

    def save(
        self, told: Mapping[BlockKey, Sequence[Job]], *, consistent: bool
    ) -> dict[BlockKey, Outcome]:
        """What became of each block, of which these jobs tell: read, and written if they tell
        something new."""
        known, unread = self._read(told, consistent=consistent)
        outcomes = unread | {key: Outcome.SAVED for key in told if key not in unread}
        statements: dict[BlockKey, Statement] = {}
        for key in told.keys() - unread.keys():
            before = known.get(key)
            after = self._with(before or Block(), told[key])
            if after != before:
                statements[key] = self._statement(key, before, after)
        saved = self._table.execute(list(statements.values()))
        return outcomes | {key: saved[written] for key, (written, _) in statements.items()}

    def summaries(self, jobs: Sequence[Job]) -> dict[str, Summary]:
        """Of those of the jobs that are arrays, by id: by their own events or by their children,
        whichever tell more. Blocks are read only of arrays whose own events leave more to tell.

        Raises TableUnavailable.
        """
        sizes = {job.job_id: size_of(job) for job in jobs if size_of(job)}
        told = {job.job_id: own_summary(job) for job in jobs if job.job_id in sizes}
        asked = {root: size for root, size in sizes.items() if told[root].ended < size}
        wanted = [key for root, size in asked.items() for key in blocks_of(root, size)]
        known, unread = self._read(wanted, consistent=False)
        if unread:
            raise TableUnavailable("the table did not give all the summaries that were asked for")
        for root, size in asked.items():
            blocks = {key.number: known[key] for key in blocks_of(root, size) if key in known}
            of_children = summary_of(blocks, size)
            if not told[root].tells_more_than(of_children):
                told[root] = of_children
        return told

    def _with(self, block: Block, jobs: Sequence[Job]) -> Block:
        ends = [job.since // 1000 + self._retention_seconds for job in jobs if job.is_root]
        block = block.observe(job for job in jobs if not job.is_root)
        return block.lasting_until(max(ends)) if ends else block

    def _read(
        self, wanted: Iterable[BlockKey], *, consistent: bool
    ) -> tuple[dict[BlockKey, Block], dict[BlockKey, Outcome]]:
        by_key = {key_of(_key(key)): key for key in wanted}
        items, unread = self._table.read(
            [_key(key) for key in by_key.values()],
            attributes=("pk", "sk", "children", "heardUntil", "expiresAt"),
            consistent=consistent,
        )
        known = {by_key[key_of(item)]: _block(item) for item in items}
        return known, {by_key[key]: outcome for key, outcome in unread.items()}

    def _statement(self, key: BlockKey, before: Block | None, after: Block) -> Statement:
        if before is None:
            return self._table.insert_if_absent(_key(key) | _attributes(after))
        return self._table.update_if_equal(_attributes(before), _key(key), _attributes(after))


def _key(key: BlockKey) -> table_keys.Key:
    return table_keys.array_block(key.root, key.number)


def _block(item: Item) -> Block:
    return Block(
        item["children"]["B"],
        int(item["heardUntil"]["N"]),
        int(item["expiresAt"]["N"]) if "expiresAt" in item else 0,
    )


def _attributes(block: Block) -> Item:
    attributes: Item = {
        "children": {"B": block.children},
        "heardUntil": {"N": str(block.heard_until)},
    }
    if block.expires_at:
        attributes["expiresAt"] = {"N": str(block.expires_at)}
    return attributes
