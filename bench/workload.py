"""Simulated jobs, as the messages that would tell of them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TypeVar

from chalicelib.aws.lambda_event import Message
from chalicelib.jobs.job import Job, Observation
from chalicelib.recording.event import EventReader
from chalicelib.redaction import Redaction
from local.workload import ACCOUNT, envelope, workload

START = 1_780_000_000_000
"""When the first job is submitted, in epoch milliseconds."""

FIVE_EVENTS = ("SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED")
"""The statuses of a job that succeeds at once."""

_numbers = count()
_T = TypeVar("_T")


def reader(redaction: Redaction | None = None) -> EventReader:
    return EventReader(("aws.batch",), ACCOUNT, redaction or Redaction())


def bodies(jobs: int, seed: int = 1) -> list[str]:
    """In order of time, as a queue would hold them."""
    return [json.dumps(envelope(event)) for event in workload(seed, jobs, START).events]


def lives(bodies: Iterable[str]) -> dict[str, list[str]]:
    """The bodies of each job, by its id."""
    found: dict[str, list[str]] = {}
    for body in bodies:
        found.setdefault(json.loads(body)["detail"]["jobId"], []).append(body)
    return found


def lives_through(
    statuses: Sequence[str], lives: Mapping[str, list[str]], *, children: bool
) -> list[list[str]]:
    """Those of roots, or of an array's children, that pass through exactly these statuses."""
    return [
        life
        for job_id, life in lives.items()
        if (":" in job_id) == children and "#" not in job_id
        if [json.loads(body)["detail"]["status"] for body in life] == list(statuses)
    ]


def observations(bodies: Iterable[str]) -> list[Observation]:
    seen = map(reader().read, bodies)
    return [each for each in seen if isinstance(each, Observation)]


def merged(observations: Iterable[Observation]) -> dict[str, Job]:
    """Every job as it is after all of these."""
    jobs: dict[str, Job] = {}
    for seen in observations:
        job = jobs.get(seen.job_id)
        jobs[seen.job_id] = job.observe(seen) if job else Job.from_observation(seen)
    return jobs


def messages(bodies: Iterable[str]) -> list[Message]:
    return [
        Message(f"message-{n}", f"receipt-{n}", body)
        for n, body in zip(_numbers, bodies, strict=False)
    ]


def chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
