"""A list of queues as CSV."""

from collections.abc import Callable
from typing import Final

from chalicelib.api.formats.spreadsheet import Columns, spreadsheet
from chalicelib.api.representation.queue import QueueList, QueueSummary
from chalicelib.jobs.job import ACTIVE


def _count_of(status: str) -> Callable[[QueueSummary], int]:
    return lambda queue: queue.counts[status]


_COLUMNS: Final[Columns[QueueSummary]] = {
    "jobQueue": lambda queue: queue.job_queue,
    "asOf": lambda queue: queue.as_of,
    **{status.value: _count_of(status) for status in ACTIVE},
    "succeeded": lambda queue: queue.last_day.succeeded,
    "failed": lambda queue: queue.last_day.failed,
    "vcpuHours": lambda queue: queue.last_day.usage.vcpu_hours,
    "gbHours": lambda queue: queue.last_day.usage.gb_hours,
    "gpuHours": lambda queue: queue.last_day.usage.gpu_hours,
    "costEstimate": lambda queue: queue.last_day.cost.estimate if queue.last_day.cost else None,
    "costWasted": lambda queue: queue.last_day.cost.wasted if queue.last_day.cost else None,
    "currency": lambda queue: queue.last_day.cost.currency if queue.last_day.cost else None,
}


def format_queues(queues: QueueList) -> str:
    return spreadsheet(_COLUMNS, queues.queues)
