"""Simulated AWS Batch jobs: the events that Batch sends, and the record expected for each job.

`make run`, `make simulate`, the tests and the benchmarks use the same simulation of Batch: its
statuses, retries, dependencies, arrays, multi-node jobs and service jobs. A seed always produces
the same jobs. This package must not know how events are transported, who records them or the
current time. It shares no code with chalicelib, so that a defect of the product can't also be in
the expected records.

    generator      workload(seed, jobs, start) -> Workload
    scheduler      Batch itself: submissions, dependencies, retries, preemptions
    job            one job record: its status changes and events, and the record expected for it
    endings        the ways in which an attempt ends, and when Batch retries it
    submission     the part of a job's detail that SubmitJob determines
    attempts       the part of a job's detail that its attempts determine
    events         events, their envelopes and times
    seeded_random  random values from a seed

Times are epoch milliseconds. Events share the parts that don't change (tags, commands,
environments): make a deep copy of a detail before changing it.
"""

from local.workload.events import (
    ACCOUNT,
    DETAIL_TYPE,
    QUEUES,
    REGION,
    SECOND,
    STATUSES,
    TERMINAL,
    Detail,
    SimulatedEvent,
    envelope,
    job_arn,
    retimed,
)
from local.workload.generator import Workload, workload
from local.workload.job import ExpectedRecord

__all__ = [
    "ACCOUNT",
    "DETAIL_TYPE",
    "QUEUES",
    "REGION",
    "SECOND",
    "STATUSES",
    "TERMINAL",
    "Detail",
    "ExpectedRecord",
    "SimulatedEvent",
    "Workload",
    "envelope",
    "job_arn",
    "retimed",
    "workload",
]
