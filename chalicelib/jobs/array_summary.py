"""Counts the children of an array by status from one byte for each child, in blocks of 500.

The byte of a child encodes the greatest transition observed of it, in the order of
`job.transition_key`, so that a greater byte is a later transition:

    0               not observed
    16 g + 2 … 15   in an active status after g finished attempts, in order of rank;
                    odd if AWS Batch no longer knows the child, so that its status is UNKNOWN
    224 + 2 g       SUCCEEDED after g attempts; odd: FAILED

A block keeps the greatest byte of each child and the latest time. Like a job, it is a CRDT: any
order and repetition of the same observations makes the same block. Children are counted only when
a summary is read (docs/adr/0011-a-byte-for-each-child.md).

This module is pure: it must not know storage. Times are epoch milliseconds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, Self

import msgspec

from chalicelib.jobs.job import ACTIVE, OTHER, TERMINAL, Job, JobId, JobStatus, transition_key

CHILDREN_PER_BLOCK = 500
"""Keeps the item of a block within one write unit. Stored keys depend on it."""

_ACTIVE_BY_RANK = (*ACTIVE, OTHER)
"""Stored bytes depend on it. OTHER is any status that AWS added later."""
_FIRST_TERMINAL = 224
_MAX_ATTEMPTS = 10
"""AWS Batch's limit of attempts."""


STATUS_DIGITS: Final[Mapping[str, str]] = {
    JobStatus.SUBMITTED: "1",
    JobStatus.PENDING: "2",
    JobStatus.RUNNABLE: "3",
    JobStatus.SCHEDULED: "4",
    JobStatus.STARTING: "5",
    JobStatus.RUNNING: "6",
    JobStatus.SUCCEEDED: "7",
    JobStatus.FAILED: "8",
}
"""The digit of each status in the order of a job's life; 9 is any other one, 0 a child that was not
observed."""


class BlockKey(NamedTuple):
    """A block of the array `root`, by its number from 0."""

    root: str
    number: int


class Block(msgspec.Struct, frozen=True):
    """One byte for each child, up to the last child that was observed.

    `last_observed_at` is the time of the latest observation of these children. `expires_at` is in
    epoch seconds; 0 means never.
    """

    children: bytes = b""
    last_observed_at: int = 0
    expires_at: int = 0

    def observe(self, children: Iterable[Job]) -> Self:
        """Return this block joined with children that belong to it; an equal block if that adds
        nothing."""
        known, last_observed_at = bytearray(self.children), self.last_observed_at
        for child in children:
            position = JobId.parse(child.job_id).index % CHILDREN_PER_BLOCK
            known.extend(bytes(max(0, position + 1 - len(known))))
            known[position] = max(known[position], byte_of(child))
            last_observed_at = max(last_observed_at, child.last_observed_at)
        return msgspec.structs.replace(
            self, children=bytes(known), last_observed_at=last_observed_at
        )

    def kept_until(self, expires_at: int) -> Self:
        """Return this block with an expiry that is not earlier than `expires_at`."""
        return msgspec.structs.replace(self, expires_at=max(self.expires_at, expires_at))


class Summary(NamedTuple):
    """The number of children by status, as observed until `as_of`.

    `failed` are the indexes of the children that are known to have failed, and `statuses` has a
    digit of `STATUS_DIGITS` for each child, where they were read.
    """

    counts: Mapping[str, int]
    as_of: int
    failed: tuple[int, ...] = ()
    statuses: str = ""

    @property
    def ended(self) -> int:
        return sum(self.counts.get(status, 0) for status in TERMINAL)

    @property
    def observed(self) -> int:
        return sum(self.counts.values())

    def is_more_complete_than(self, other: "Summary") -> bool:
        """Return whether more children have ended here or, if as many, more were observed."""
        return (self.ended, self.observed) > (other.ended, other.observed)


def block_of_child(child_id: str) -> BlockKey:
    child = JobId.parse(child_id)
    return BlockKey(child.root, child.index // CHILDREN_PER_BLOCK)


def blocks_of_array(root: str, size: int) -> list[BlockKey]:
    return [BlockKey(root, number) for number in range(-(-size // CHILDREN_PER_BLOCK))]


def size_of(job: Job) -> int:
    """Return the number of an array's children; 0 for any other job."""
    return (job.details.array and job.details.array.size) or 0


def reported_summary(job: Job) -> Summary:
    """Return the summary in an array's own latest event."""
    return Summary(job.details.array.status_summary if job.details.array else {}, job.details.time)


def summary_of(blocks: Mapping[int, Block], size: int) -> Summary:
    """Return the summary of an array of this size from its blocks by number."""
    children_by_byte: Counter[int] = Counter()
    for number, block in blocks.items():
        children_by_byte.update(block.children[: max(0, size - number * CHILDREN_PER_BLOCK)])
    counts: Counter[str] = Counter()
    for byte, children in children_by_byte.items():
        if byte:
            counts[_status_of(byte)] += children
    return Summary(
        dict(sorted(counts.items())),
        max((block.last_observed_at for block in blocks.values()), default=0),
    )


def failed_indexes(blocks: Mapping[int, Block], size: int) -> tuple[int, ...]:
    """Return the indexes of the failed children of an array of this size, in ascending order."""
    failed = STATUS_DIGITS[JobStatus.FAILED]
    digits = status_digits(blocks, size)
    return tuple(index for index, digit in enumerate(digits) if digit == failed)


def status_digits(blocks: Mapping[int, Block], size: int) -> str:
    """Return the digit of each child of an array of this size, by index."""
    digits = bytearray(size)
    for number, block in blocks.items():
        start = number * CHILDREN_PER_BLOCK
        digits[start : start + len(block.children)] = block.children
    return bytes(digits[:size]).translate(_DIGIT_OF_BYTE).decode()


def byte_of(child: Job) -> int:
    status, generation = child.details.transition_id
    terminal, generation, rank, _ = transition_key(status, generation, of_node=False)
    attempts = min(generation, _MAX_ATTEMPTS)
    if terminal:
        return _FIRST_TERMINAL + 2 * attempts + (status == JobStatus.FAILED)
    return 16 * attempts + 2 * (rank + 1) + child.is_lost


def _status_of(byte: int) -> str:
    if byte >= _FIRST_TERMINAL:
        return JobStatus.FAILED if byte % 2 else JobStatus.SUCCEEDED
    return JobStatus.UNKNOWN if byte % 2 else _ACTIVE_BY_RANK[byte % 16 // 2 - 1]


_DIGIT_OF_BYTE: Final = "".join(
    STATUS_DIGITS.get(_status_of(byte), "9") if byte > 1 else "0" for byte in range(256)
).encode()
