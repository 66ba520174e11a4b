"""A list of jobs as CSV."""

from typing import Final

from chalicelib.api.formats.job_text import status_counts
from chalicelib.api.formats.spreadsheet import Columns, spreadsheet
from chalicelib.api.representation.job import JobPage, JobSummary

_COLUMNS: Final[Columns[JobSummary]] = {
    "jobId": lambda job: job.job_id,
    "jobName": lambda job: job.job_name,
    "jobQueue": lambda job: job.job_queue,
    "status": lambda job: job.status,
    "since": lambda job: job.since,
    "createdAt": lambda job: job.created_at,
    "startedAt": lambda job: job.started_at,
    "stoppedAt": lambda job: job.stopped_at,
    "pendingSeconds": lambda job: job.durations.pending_seconds,
    "queuedSeconds": lambda job: job.durations.queued_seconds,
    "startingSeconds": lambda job: job.durations.starting_seconds,
    "runningSeconds": lambda job: job.durations.running_seconds,
    "totalSeconds": lambda job: job.durations.total_seconds,
    "vcpuHours": lambda job: job.usage.vcpu_hours if job.usage else None,
    "gbHours": lambda job: job.usage.gb_hours if job.usage else None,
    "gpuHours": lambda job: job.usage.gpu_hours if job.usage else None,
    "costEstimate": lambda job: job.cost.estimate if job.cost else None,
    "costWasted": lambda job: job.cost.wasted if job.cost else None,
    "currency": lambda job: job.cost.currency if job.cost else None,
    "cause": lambda job: job.failure.cause if job.failure else None,
    "statusReason": lambda job: job.status_reason,
    "jobDefinition": lambda job: job.job_definition,
    "arraySize": lambda job: job.array.size if job.array else None,
    "statusSummary": lambda job: status_counts(job.array) if job.array else None,
    "statusSummaryAsOf": lambda job: job.array.status_summary_as_of if job.array else None,
}


def format_page(page: JobPage) -> str:
    return spreadsheet(_COLUMNS, page.jobs)
