"""The jobs of a busy, healthy installation for a week, which wait for free slots of their queue.

    high-priority   short jobs all day, more of them in working hours; their environment scales
    spot            a pipeline each night, with a backlog of hours and retried interruptions
    gpu             jobs of hours on four slots, with a backlog that seldom ends

Every job ends, and one of a hundred fails. It shares no code with chalicelib. Times are epoch
milliseconds.
"""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from tests.support.builders import NOON, a_detail, a_job_id, queue_arn

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
WEEK = 7 * DAY
SLOTS = {"high-priority": 12, "spot": 20, "gpu": 4}
_FAILED = 0.01
_INTERRUPTED = 0.05
_EXITED = "Essential container in task exited"
_RECLAIMED = "Host EC2 (instance i-0123456789abcdef0) terminated."


class Change(NamedTuple):
    """A change of a job at a time, with the job's detail from then on."""

    at: int
    detail: dict[str, Any]

    @property
    def queue(self) -> str:
        return str(self.detail["jobQueue"]).rpartition("/")[2]


@dataclass
class _Job:
    queue: str
    name: str
    created_at: int
    minutes: float
    needs: tuple["_Job", ...] = ()
    dependents: list["_Job"] = field(default_factory=list)
    job_id: str = field(default_factory=a_job_id)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    started_at: int = 0
    has_succeeded: bool = False
    has_failed: bool = False

    def detail(self, status: str, **fields: Any) -> dict[str, Any]:
        return a_detail(
            jobId=self.job_id,
            jobName=self.name,
            jobQueue=queue_arn(self.queue),
            jobDefinition=f"{self.name.rpartition('-')[0]}:1",
            status=status,
            createdAt=self.created_at,
            dependsOn=[{"jobId": needed.job_id} for needed in self.needs],
            attempts=list(self.attempts),
            **fields,
        )


class HealthyWeek:
    """Batch with a fixed number of slots for each queue, which starts the oldest jobs first."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._due: list[tuple[int, int, str, _Job]] = []
        self._numbers = itertools.count()
        self._free = dict(SLOTS)
        self._waiting: dict[str, deque[_Job]] = {queue: deque() for queue in SLOTS}
        self.jobs = 0
        self._submit_all()

    def changes(self) -> Iterator[Change]:
        """Yield every change of a job, in order of time."""
        while self._due:
            at, _, step, job = heapq.heappop(self._due)
            yield from getattr(self, f"_{step}")(at, job)

    def _at(self, at: float, step: str, job: _Job) -> None:
        heapq.heappush(self._due, (round(at), next(self._numbers), step, job))

    # Submissions

    def _submit_all(self) -> None:
        for day in range(7):
            self._pipeline(NOON + day * DAY + 13 * HOUR)
        at = float(NOON)
        while at < NOON + WEEK:
            is_working_time = not 6 <= (at - NOON) / HOUR % 24 < 20
            at += self._random.expovariate((40 if is_working_time else 8) / HOUR)
            self._submit("high-priority", "report", at, self._minutes(4, 0.6))
        at = float(NOON)
        while at < NOON + WEEK:
            at += self._random.expovariate(0.65 / HOUR)
            self._submit("gpu", "train", at, self._minutes(300, 0.35))

    def _pipeline(self, at: float) -> None:
        prepare = self._submit("spot", "prepare", at, 12)
        aligned = [
            self._submit("spot", "align", at + n * 200, self._minutes(25, 0.3), prepare)
            for n in range(120)
        ]
        self._submit("spot", "merge", at + MINUTE, 40, *aligned[:20])

    def _minutes(self, median: float, spread: float) -> float:
        return median * self._random.lognormvariate(0, spread)

    def _submit(self, queue: str, name: str, at: float, minutes: float, *needs: _Job) -> _Job:
        self.jobs += 1
        job = _Job(queue, f"{name}-{self.jobs}", round(at), minutes, needs)
        for needed in needs:
            needed.dependents.append(job)
        self._at(at, "submitted", job)
        return job

    # Batch

    def _submitted(self, at: int, job: _Job) -> Iterator[Change]:
        if all(needed.has_succeeded for needed in job.needs):
            self._at(at + 1_000, "runnable", job)
        else:
            yield Change(at, job.detail("PENDING"))

    def _runnable(self, at: int, job: _Job) -> Iterator[Change]:
        yield Change(at, job.detail("RUNNABLE"))
        self._waiting[job.queue].append(job)
        self._start(job.queue, at)

    def _start(self, queue: str, at: int) -> None:
        while self._free[queue] and self._waiting[queue]:
            self._free[queue] -= 1
            delay = self._random.uniform(60, 240) * 1_000
            self._at(at + delay, "starting", self._waiting[queue].popleft())

    def _starting(self, at: int, job: _Job) -> Iterator[Change]:
        yield Change(at, job.detail("STARTING"))
        self._at(at + self._random.uniform(5, 60) * 1_000, "running", job)

    def _running(self, at: int, job: _Job) -> Iterator[Change]:
        job.started_at = at
        yield Change(at, job.detail("RUNNING", startedAt=at))
        is_interrupted = job.queue == "spot" and self._random.random() < _INTERRUPTED
        share, step = (0.5, "interrupted") if is_interrupted else (1, "ended")
        self._at(at + share * job.minutes * MINUTE, step, job)

    def _interrupted(self, at: int, job: _Job) -> Iterable[Change]:
        times = {"startedAt": job.started_at, "stoppedAt": at}
        job.attempts.append({"container": {}, "statusReason": _RECLAIMED, **times})
        self._free[job.queue] += 1
        self._at(at + 1_000, "runnable", job)
        self._start(job.queue, at)
        return ()

    def _ended(self, at: int, job: _Job) -> Iterator[Change]:
        code = int(self._random.random() < _FAILED)
        times = {"startedAt": job.started_at, "stoppedAt": at}
        job.attempts.append({"container": {"exitCode": code}, "statusReason": _EXITED, **times})
        job.has_succeeded, job.has_failed = not code, bool(code)
        status = "FAILED" if code else "SUCCEEDED"
        yield Change(at, job.detail(status, statusReason=_EXITED, **times))
        self._free[job.queue] += 1
        self._start(job.queue, at)
        yield from self._release(at, job)

    def _release(self, at: int, job: _Job) -> Iterator[Change]:
        for dependent in job.dependents:
            if job.has_failed and not dependent.has_failed:
                dependent.has_failed = True
                reason = {"statusReason": "Dependent Job failed", "stoppedAt": at}
                yield Change(at, dependent.detail("FAILED", **reason))
                yield from self._release(at, dependent)
            elif all(needed.has_succeeded for needed in dependent.needs):
                self._at(at + 1_000, "runnable", dependent)
