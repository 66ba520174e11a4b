"""Simulated jobs, and the messages with their events."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from chalicelib.aws.lambda_event import Message
from chalicelib.jobs.job import Job, Observation
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from local.workload import ACCOUNT, envelope, workload

START = 1_780_000_000_000
"""When the first job is submitted, in epoch milliseconds."""

FIVE_EVENTS = ("SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED")
"""The statuses of a job without dependencies that succeeds in its first attempt."""

_numbers = count()


def event_reader(redaction: Redaction | None = None) -> EventReader:
    return EventReader(("aws.batch",), ACCOUNT, redaction or Redaction())


def bodies(jobs: int, seed: int = 1) -> list[str]:
    """Return the message bodies of all events of simulated jobs, ordered by time."""
    return [json.dumps(envelope(event)) for event in workload(seed, jobs, START).events]


def by_job(bodies: Iterable[str]) -> dict[str, list[str]]:
    """Return the bodies of each job by its id."""
    grouped: dict[str, list[str]] = {}
    for body in bodies:
        grouped.setdefault(json.loads(body)["detail"]["jobId"], []).append(body)
    return grouped


def with_statuses(
    statuses: Sequence[str], bodies_by_job: Mapping[str, list[str]], *, children: bool
) -> list[list[str]]:
    """Return the bodies of the jobs, or of the children of arrays, that enter exactly these
    statuses."""
    return [
        bodies
        for job_id, bodies in bodies_by_job.items()
        if (":" in job_id) == children and "#" not in job_id
        if [json.loads(body)["detail"]["status"] for body in bodies] == list(statuses)
    ]


def observations(bodies: Iterable[str]) -> list[Observation]:
    events = map(event_reader().read, bodies)
    return [event for event in events if isinstance(event, Observation)]


def merged(observations: Iterable[Observation]) -> dict[str, Job]:
    """Return each job after all of its observations, by its id."""
    jobs: dict[str, Job] = {}
    for observation in observations:
        job = jobs.get(observation.job_id)
        jobs[observation.job_id] = (
            job.observe(observation) if job else Job.from_observation(observation)
        )
    return jobs


def messages(bodies: Iterable[str]) -> list[Message]:
    return [
        Message(f"message-{number}", f"receipt-{number}", body)
        for number, body in zip(_numbers, bodies, strict=False)
    ]
