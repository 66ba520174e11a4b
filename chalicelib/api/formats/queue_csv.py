"""A list of queues as CSV."""

from collections.abc import Callable
from typing import Final

from chalicelib.api.formats.spreadsheet import Columns, Value, spreadsheet
from chalicelib.api.representation.queue import LastDay, QueueList, QueueSummary
from chalicelib.api.representation.usage import CostBody
from chalicelib.jobs.job import ACTIVE


def _count_of(status: str) -> Callable[[QueueSummary], Value]:
    return lambda queue: queue.counts[status] if queue.counts else None


def _of_day(read: Callable[[LastDay], Value]) -> Callable[[QueueSummary], Value]:
    return lambda queue: read(queue.last_day) if queue.last_day else None


def _of_cost(read: Callable[[CostBody], Value]) -> Callable[[QueueSummary], Value]:
    return _of_day(lambda day: read(day.cost) if day.cost else None)


_COLUMNS: Final[Columns[QueueSummary]] = {
    "jobQueue": lambda queue: queue.job_queue,
    "asOf": lambda queue: queue.as_of,
    **{status.value: _count_of(status) for status in ACTIVE},
    "oldestWaiting": lambda queue: queue.oldest_waiting,
    "succeeded": _of_day(lambda day: day.succeeded),
    "failed": _of_day(lambda day: day.failed),
    "vcpuHours": _of_day(lambda day: day.usage.vcpu_hours),
    "gbHours": _of_day(lambda day: day.usage.gb_hours),
    "gpuHours": _of_day(lambda day: day.usage.gpu_hours),
    "costEstimate": _of_cost(lambda cost: cost.estimate),
    "costWasted": _of_cost(lambda cost: cost.wasted),
    "currency": _of_cost(lambda cost: cost.currency),
    "incidents": lambda queue: ", ".join(incident.kind for incident in queue.incidents),
}


def format_queues(queues: QueueList) -> str:
    return spreadsheet(_COLUMNS, queues.queues)
