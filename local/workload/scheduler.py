"""Simulation of AWS Batch: runs each submitted job to its end before the next submission."""

from collections import Counter
from collections.abc import Sequence

from local.workload.endings import (
    CANCELLED,
    CHILD_FAILED,
    CHILDREN_SUCCEEDED,
    DEPENDENCY_FAILED,
    PREEMPTED,
    Ending,
    draw_endings,
    draw_training_ending,
    is_retried,
)
from local.workload.events import HOUR, MINUTE, SECOND, STATUSES, Detail
from local.workload.job import SimulatedJob
from local.workload.seeded_random import SeededRandom
from local.workload.submission import Kind, child, describe, describe_service, node


class Scheduler:
    """Batch with some queues. `jobs` are all job records, array children and nodes included."""

    def __init__(self, random: SeededRandom, queues: Sequence[str]) -> None:
        self.jobs: list[SimulatedJob] = []
        self._random = random
        self._queues = [queue for queue in queues if "training" not in queue]
        self._service_queues = [queue for queue in queues if "training" in queue]
        self._roots: list[SimulatedJob] = []

    def submit(self, created: int, max_records: int) -> None:
        """Submit a job of a random kind, with at most `max_records` records, and run it."""
        fits_children = bool(self._queues) and max_records >= 3
        weights = {
            self._submit_single: 88 if self._queues else 0,
            self._submit_array: 8 if fits_children else 0,
            self._submit_multi_node: 4 if fits_children else 0,
            self._submit_service: 12 if self._service_queues else 0,
        }
        submit = self._random.choices(list(weights), list(weights.values()))[0]
        job = submit(created, max_records)
        if job.kind is not Kind.SERVICE:
            self._roots.append(job)

    def _submit_single(self, created: int, max_records: int) -> SimulatedJob:
        kinds = (Kind.EC2, Kind.FARGATE, Kind.LEGACY, Kind.ECS, Kind.EKS)
        kind = self._random.choices(kinds, (60, 15, 8, 8, 9))[0]
        recent = self._roots[-20:] if self._random.chance(0.15) else []
        needed = self._random.sample(recent, min(len(recent), self._random.randint(1, 3)))
        job = self._add_root(kind, created, depends_on=[other.job_id for other in needed])
        if needed:
            self._run_after(job, needed, created)
        else:
            self._run([job], created)
        return job

    def _submit_array(self, created: int, max_records: int) -> SimulatedJob:
        """Run an array. Its parent is PENDING while children run, and ends after the last one."""
        kind = self._random.choice((Kind.EC2, Kind.EC2, Kind.FARGATE))
        parent = self._add_root(kind, created)
        size = min(max_records - 1, self._random.log_uniform(2, 200))
        started = created + self._delay()
        _set_summary(parent, size, ["RUNNABLE"] * size)
        parent.enter("PENDING", started)
        children = [
            self._add(kind, child(parent.description, index, started)) for index in range(size)
        ]
        for each in children:
            self._run([each], started)
        _set_summary(parent, size, [each.status for each in children])
        has_failed = any(each.status == "FAILED" for each in children)
        last = max(each.last_event_at for each in children)
        parent.end(last + self._delay(), CHILD_FAILED if has_failed else CHILDREN_SUCCEEDED)
        return parent

    def _submit_multi_node(self, created: int, max_records: int) -> SimulatedJob:
        size = min(max_records - 1, self._random.randint(2, 8))
        parent = self._add_root(Kind.MULTI_NODE, created, nodes=size)
        main, *others = [
            self._add(Kind.EC2, node(parent.description, index)) for index in range(size)
        ]
        self._run([parent, main], created, others)
        return parent

    def _submit_service(self, created: int, max_records: int) -> SimulatedJob:
        """Run a training job, with preemptions, which don't count as attempts of its strategy."""
        queue = self._random.choice(self._service_queues)
        job = self._add(Kind.SERVICE, describe_service(self._random, queue, created))
        preemptible = job.description["preemptionConfiguration"]
        now, attempts, preemptions = created, 0, 0
        while True:
            now, ending = self._train(job, now)
            if ending is PREEMPTED:
                preemptions += 1
                is_last = preemptions > preemptible["preemptionRetriesBeforeTermination"]
                job.preempt(now, is_last=is_last)
            elif ending is CANCELLED:
                is_last = True
            else:
                attempts += 1
                job.stop_attempt(now, ending)
                is_last = not is_retried(ending, job.description["retryStrategy"], attempts)
            if is_last:
                job.end(now, ending)
                return job

    def _train(self, job: SimulatedJob, now: int) -> tuple[int, Ending]:
        """Run a service job from RUNNABLE until an attempt ends; return that time."""
        ending = draw_training_ending(self._random)
        now += self._delay()
        job.enter("RUNNABLE", now)
        now += self._random.log_uniform(MINUTE, 30 * MINUTE)
        if ending is not CANCELLED:
            for status in ("SCHEDULED", "STARTING", "RUNNING"):
                job.enter(status, now)
                now += self._random.log_uniform(20 * SECOND, 4 * MINUTE)
            now += self._random.log_uniform(2 * MINUTE, HOUR)
        return now, ending

    def _add_root(
        self, kind: Kind, created: int, nodes: int = 0, depends_on: Sequence[str] = ()
    ) -> SimulatedJob:
        queue = self._random.choice(self._queues)
        job = self._add(kind, describe(self._random, kind, queue, created, nodes, depends_on))
        # Batch documents that it sends no event for SUBMITTED; the product must accept one.
        if self._random.chance(0.03):
            job.enter("SUBMITTED", created)
        return job

    def _add(self, kind: Kind, description: Detail) -> SimulatedJob:
        job = SimulatedJob(self._random, kind, description)
        self.jobs.append(job)
        return job

    def _run_after(self, job: SimulatedJob, needed: Sequence[SimulatedJob], created: int) -> None:
        """Run a job once all dependencies have succeeded, or fail it when the first has failed."""
        pending = created + self._delay()
        job.enter("PENDING", pending)
        failures = [other.last_event_at for other in needed if other.status == "FAILED"]
        resolved = min(failures) if failures else max(other.last_event_at for other in needed)
        now = max(pending, resolved) + self._delay()
        if self._random.chance(0.05):
            job.end(self._random.randint(pending + 2 * SECOND, now), CANCELLED)
        elif failures:
            job.end(now, DEPENDENCY_FAILED)
        else:
            self._run([job], now)

    def _run(
        self, leaders: Sequence[SimulatedJob], now: int, followers: Sequence[SimulatedJob] = ()
    ) -> None:
        """Run all attempts.

        The leaders change status together: a job alone, or a multi-node job with its main node.
        Followers are the other nodes: they end with each attempt, and restart when the main
        node's next attempt starts.
        """
        jobs = [*leaders, *followers]
        main = leaders[-1]
        *retried, last = draw_endings(self._random, main.kind, main.description)
        for ending in retried:
            now = self._run_attempt(jobs, ending, now)
            for follower in followers:
                follower.end(now, ending)
        now = self._run_attempt(jobs, last, now)
        for job in jobs:
            if not job.has_ended:
                job.end(now, last)

    def _run_attempt(self, jobs: Sequence[SimulatedJob], ending: Ending, now: int) -> int:
        """Run from RUNNABLE until the ending occurs; return that time."""
        now += self._delay()
        _enter("RUNNABLE", now, [job for job in jobs if not job.has_ended])
        now += self._random.log_uniform(MINUTE, 30 * MINUTE)
        if ending.during == "RUNNABLE":
            return now
        _enter("STARTING", now, jobs)
        now += self._random.log_uniform(20 * SECOND, 4 * MINUTE)
        if ending.during == "RUNNING":
            _enter("RUNNING", now, jobs)
            now += self._running_time(jobs[0].description, ending)
        for job in jobs:
            job.stop_attempt(now, ending)
        return now

    def _running_time(self, description: Detail, ending: Ending) -> int:
        timeout = description.get("timeout", {"attemptDurationSeconds": 2 * HOUR // SECOND})
        limit = timeout["attemptDurationSeconds"] * SECOND
        return limit if ending.cause == "TIMEOUT" else self._random.log_uniform(2 * MINUTE, limit)

    def _delay(self) -> int:
        """Return Batch's delay between two steps, longer than the jitter of event times."""
        return self._random.randint(2 * SECOND, 8 * SECOND)


def _enter(status: str, now: int, jobs: Sequence[SimulatedJob]) -> None:
    for job in jobs:
        job.enter(status, now)


def _set_summary(parent: SimulatedJob, size: int, statuses: Sequence[str]) -> None:
    """Set the number of children per status in an array parent's description."""
    summary = {s: 0 for s in STATUSES if s != "SCHEDULED"} | Counter(statuses)
    parent.description["arrayProperties"] = {"size": size, "statusSummary": summary}
