"""The checkpoints of one run: loaded at its start, moved by commits, stored after each batch."""

from collections.abc import Iterable

from chalicelib.jobs.job_index import StatusPartition
from chalicelib.sweep.reconcile.checkpoint_table import (
    CheckpointTable,
    Cursor,
    Pass,
    QueueCheckpoint,
    pass_name,
)


class Checkpoints:
    def __init__(self, table: CheckpointTable, queues: Iterable[str]) -> None:
        self._table = table
        self._by_queue: dict[str, QueueCheckpoint] = {queue: table.load(queue) for queue in queues}
        self._changed: set[str] = set()

    @property
    def queues(self) -> list[str]:
        return list(self._by_queue)

    def restart(self, since: int, now: int) -> None:
        """Make all passes due and all cursors go back to the jobs created at `since`, and store it.

        Times are epoch milliseconds. Raises RunStopped.
        """
        for checkpoint in self._by_queue.values():
            checkpoint.restart(since, now)
        self._changed.update(self._by_queue)
        self.save()

    def pass_through(self, partition: StatusPartition) -> Pass:
        passes = self._by_queue[partition.queue].passes
        return passes.get(pass_name(partition), Pass())

    def set_pass(self, partition: StatusPartition, current: Pass) -> None:
        self._by_queue[partition.queue].passes[pass_name(partition)] = current
        self._changed.add(partition.queue)

    def cursor(self, queue: str) -> Cursor | None:
        return self._by_queue[queue].cursor

    def set_cursor(self, queue: str, cursor: Cursor) -> None:
        self._by_queue[queue].cursor = cursor
        self._changed.add(queue)

    def save(self) -> None:
        """Store the changed checkpoints with one write for each queue. Raises RunStopped."""
        for queue in sorted(self._changed):
            self._table.save(queue, self._by_queue[queue])
        self._changed.clear()
