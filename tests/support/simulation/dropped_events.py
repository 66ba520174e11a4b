"""A simulated workload of which some events are dropped, while Batch returns every job."""

import random

from local.workload import QUEUES, ExpectedRecord, Workload, workload
from tests.support.builders import NOON, bodies_of
from tests.support.sweep_harness import HOUR, SweepHarness


def ended_workload(jobs: int, seed: int = 11, *, training_only: bool = False) -> Workload:
    """Return a workload whose jobs ended more than an hour before noon."""
    queues = QUEUES[-1:] if training_only else QUEUES
    duration = workload(seed, jobs, 0, queues).events[-1].at
    return workload(seed, jobs, NOON - 2 * HOUR - duration, queues)


def record_some_events(
    harness: SweepHarness, work: Workload, share: float, *, except_queue: str = ""
) -> None:
    """Record a share of the events, half of them twice, in random order; put all jobs into
    Batch."""
    rng = random.Random(1)
    bodies = [body for body in bodies_of(work) if rng.random() < share]
    if except_queue:
        bodies = [body for body in bodies if f"job-queue/{except_queue}" not in body]
    bodies += rng.sample(bodies, len(bodies) // 2)
    rng.shuffle(bodies)
    for start in range(0, len(bodies), 500):
        harness.recorder.record(bodies[start : start + 500])
    harness.batch.put(event.detail for event in work.events)


def wrong_records(harness: SweepHarness, expected: dict[str, ExpectedRecord]) -> list[str]:
    """Return the ids of the jobs whose record is missing, has another final status, or has a
    transition that did not happen."""
    jobs = {job_id: harness.recorder.table.get(job_id) for job_id in expected}
    return [
        job_id
        for job_id, record in expected.items()
        if (job := jobs[job_id]) is None
        or job.status != record.status
        or not {(t.status, t.attempt) for t in job.history} <= set(record.history)
    ]
