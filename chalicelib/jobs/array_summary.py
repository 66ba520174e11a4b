"""How the children of an array fare: a byte for each of them, in blocks of 500.

A child's byte stands for the greatest transition that is known of it, in the order of
`job.transition_key`, and a greater byte is a greater transition:

    0               it was never heard of
    16 g + 2 … 15   its status after g finished attempts, in the order of statuses; odd if Batch
                    knows it no more, so that it shows UNKNOWN
    224 + 2 g       SUCCEEDED after g attempts; odd: FAILED

A block keeps the greatest byte of each child and the latest time, so whatever is told in any order,
and however often, makes the same block. Nothing is counted until somebody asks
(docs/adr/0011-a-byte-for-each-child.md).

Pure: knows nothing of storage. Times are epoch milliseconds.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

import msgspec

from chalicelib.jobs.job import ACTIVE, TERMINAL, Job, JobId, JobStatus, transition_key

CHILDREN = 500
"""Of one block: an item of it is one write unit. Stored keys depend on it."""

_RUNNING_ON = (*ACTIVE, "OTHER")
"""By rank. Stored bytes depend on it; OTHER stands for all that Batch invented since."""
_FIRST_ENDED = 224
_MOST_ATTEMPTS = 10
"""Batch runs a job no more often."""


class BlockKey(NamedTuple):
    """A block of the array `root`, by its number from 0."""

    root: str
    number: int


class Block(msgspec.Struct, frozen=True):
    """A byte for each child in `children`, which ends with the last one that was heard of.
    `heard_until` is when something was last said of them; `expires_at` is in epoch seconds, 0 for
    never."""

    children: bytes = b""
    heard_until: int = 0
    expires_at: int = 0

    def observe(self, children: Iterable[Job]) -> Self:
        """This block with what is known of these children of its own; an equal one if that is
        nothing new."""
        known, until = bytearray(self.children), self.heard_until
        for child in children:
            place = JobId.parse(child.job_id).index % CHILDREN
            known.extend(bytes(max(0, place + 1 - len(known))))
            known[place] = max(known[place], byte_of(child))
            until = max(until, child.last_heard)
        return msgspec.structs.replace(self, children=bytes(known), heard_until=until)

    def lasting_until(self, expires_at: int) -> Self:
        """This block, to be kept at least until then."""
        return msgspec.structs.replace(self, expires_at=max(self.expires_at, expires_at))


class Summary(NamedTuple):
    """Children by status, as far as they were heard of by the time `as_of`."""

    counts: Mapping[str, int]
    as_of: int

    @property
    def ended(self) -> int:
        return sum(self.counts.get(status, 0) for status in TERMINAL)

    @property
    def heard_of(self) -> int:
        return sum(self.counts.values())

    def tells_more_than(self, other: "Summary") -> bool:
        """More that have ended, or as many and more that were heard of."""
        return (self.ended, self.heard_of) > (other.ended, other.heard_of)


def block_of(child_id: str) -> BlockKey:
    child = JobId.parse(child_id)
    return BlockKey(child.root, child.index // CHILDREN)


def blocks_of(root: str, size: int) -> list[BlockKey]:
    """All of an array."""
    return [BlockKey(root, number) for number in range(-(-size // CHILDREN))]


def size_of(job: Job) -> int:
    """The number of an array's children; 0 for any other job."""
    return (job.details.array and job.details.array.size) or 0


def own_summary(job: Job) -> Summary:
    """What an array's own events said of its children."""
    return Summary(job.details.array.status_summary if job.details.array else {}, job.details.time)


def summary_of(blocks: Mapping[int, Block], size: int) -> Summary:
    """What these blocks of an array, by number, add up to."""
    counted: Counter[int] = Counter()
    for number, block in blocks.items():
        counted.update(block.children[: max(0, size - number * CHILDREN)])
    counts: Counter[str] = Counter()
    for byte, children in counted.items():
        if byte:
            counts[_status_of(byte)] += children
    return Summary(
        dict(sorted(counts.items())),
        max((block.heard_until for block in blocks.values()), default=0),
    )


def byte_of(child: Job) -> int:
    said = child.details
    terminal, generation, rank, _ = transition_key(said.status, said.generation, of_node=False)
    attempts = min(generation, _MOST_ATTEMPTS)
    if terminal:
        return _FIRST_ENDED + 2 * attempts + (said.status == JobStatus.FAILED)
    return 16 * attempts + 2 * (rank + 1) + child.is_lost


def _status_of(byte: int) -> str:
    if byte >= _FIRST_ENDED:
        return JobStatus.FAILED if byte % 2 else JobStatus.SUCCEEDED
    return JobStatus.UNKNOWN if byte % 2 else _RUNNING_ON[byte % 16 // 2 - 1]
