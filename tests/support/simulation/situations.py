"""Situations in which jobs wait or hang, and the messages that a room gets with default settings.

The recorder, the sweep and the notifier run in simulated time, as in a bench of a
healthy week. The sweep has watched the queues for a month, unless the situation says otherwise.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from local.aws import LocalAws, Resources
from local.batch import BatchServer, an_environment
from local.webex import ROOM
from tests.support.builders import (
    NOON,
    TRAINING_QUEUE_ARN,
    a_detail,
    a_job_id,
    an_attempt,
    an_envelope,
)
from tests.support.rendering import rendered
from tests.support.simulation.simulated_notices import DEFAULT_RULES, SimulatedNotices

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
OTHER_ROOM = "other-room"
NO_CAPACITY = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - none of type [p4d.24xlarge]"
TOO_LARGE = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job requests 512 vCPUs"
INVALID = {"status": "INVALID", "statusReason": "CLIENT_ERROR - The role was deleted"}


class Stage:
    """A stage with its queue, AWS Batch and rooms. Times are epoch milliseconds."""

    def __init__(self, simulation: SimulatedNotices, batch: BatchServer) -> None:
        self.simulation = simulation
        self.batch = batch
        self._jobs: dict[str, dict[str, Any]] = {}
        simulation.use_batch(batch.url)
        self.queue("high-priority", an_environment("spot-a"))

    @property
    def now(self) -> int:
        return round(self.simulation.now * 1_000)

    def queue(self, name: str, *environments: dict[str, Any], **fields: Any) -> None:
        """Change what AWS Batch reports of a queue."""
        self.batch.put_queue(name, *environments, **fields)

    def job(self, status: str = "RUNNABLE", *, minutes: float = 0, **fields: Any) -> str:
        """Add a job that entered its status `minutes` ago, and return its id."""
        [job_id] = self.jobs(1, status, minutes=minutes, **fields)
        return job_id

    def jobs(
        self, count: int, status: str = "RUNNABLE", *, minutes: float = 0, **fields: Any
    ) -> list[str]:
        """Add so many jobs like `job`, and return their ids."""
        at = self.now - round(minutes * MINUTE)
        details = [a_detail(status=status, **{"createdAt": at, **fields}) for _ in range(count)]
        self._put(details, at)
        return [str(detail["jobId"]) for detail in details]

    def copy(self, job_id: str) -> str:
        """Add a job like another one in the same status, and return its id."""
        detail = {**self._jobs[job_id], "jobId": a_job_id()}
        self._put([detail], detail["createdAt"])
        return str(detail["jobId"])

    def change(self, job_id: str, status: str, *, minutes: float = 0, **fields: Any) -> None:
        """Let a job enter a status `minutes` ago."""
        detail = {**self._jobs[job_id], "status": status, **fields}
        self._put([detail], self.now - round(minutes * MINUTE))

    def finish(self, job_id: str) -> None:
        """Let a job start, run for three minutes and succeed."""
        times = {"startedAt": self.now - 3 * MINUTE, "stoppedAt": self.now}
        self.change(job_id, "STARTING", minutes=4)
        self.change(job_id, "RUNNING", minutes=3, startedAt=times["startedAt"])
        self.change(job_id, "SUCCEEDED", attempts=[an_attempt(**times)], **times)

    def succeeded(self, count: int, *, minutes: int, **fields: Any) -> None:
        """Add jobs that ran for `minutes` and succeeded an hour ago."""
        stopped_at = self.now - HOUR
        times = {"startedAt": stopped_at - minutes * MINUTE, "stoppedAt": stopped_at}
        ended = {"createdAt": times["startedAt"], "attempts": [an_attempt(**times)], **times}
        self.jobs(count, "SUCCEEDED", minutes=60, **ended, **fields)

    def block(self, job_id: str) -> None:
        """Send AWS Batch's event that a job blocks the queue, by default for lack of capacity."""
        detail = {"statusReason": NO_CAPACITY, **self._jobs[job_id]}
        event = an_envelope("Batch Job Queue Blocked", detail, at=self.now)
        self.simulation.record([json.dumps(event)])

    def pass_time(
        self, minutes: int, *, every: int = 15, each: Callable[[], object] = lambda: None
    ) -> None:
        """Sweep `every` so many minutes, and call `each` before each sweep."""
        for _ in range(0, minutes, every):
            each()
            self.simulation.sweep()
            self.simulation.run(every * 60)

    def messages(self) -> list[str]:
        """Return the first line of each message as Webex displays it, indented if it is a reply,
        and after the name of the room if it is another one."""
        webex = self.simulation.webex
        return [
            f"{room}{'↳ ' if message.parent_id else ''}"
            + rendered(str(message.markdown)).text.partition("\n")[0]
            for name, room in ((ROOM, ""), (OTHER_ROOM, "in the other room: "))
            for message in webex.messages(name)
        ]

    def _put(self, details: Sequence[dict[str, Any]], at: int) -> None:
        self._jobs |= {detail["jobId"]: detail for detail in details}
        self.batch.put(details)
        self.simulation.record([json.dumps(_event(detail, at)) for detail in details])


def _event(detail: dict[str, Any], at: int) -> dict[str, Any]:
    kind = "Service Job" if "serviceJobType" in detail else "Job"
    return an_envelope(f"Batch {kind} State Change", detail, at=at)


# Queues whose jobs start


def _moving_backlog(stage: Stage) -> None:
    backlog = stage.jobs(60, minutes=180)
    stage.pass_time(120, each=lambda: stage.finish(backlog.pop()))


def _hanging_job(stage: Stage) -> None:
    stage.succeeded(20, minutes=20)
    stage.job("RUNNING", minutes=60 * 60)
    _moving_backlog(stage)


def _array_on_few_slots(stage: Stage) -> None:
    root = stage.job("PENDING", minutes=90, arrayProperties={"size": 40})
    waiting = [_child(stage, root, index, minutes=90) for index in range(40)]
    stage.pass_time(120, each=lambda: stage.finish(waiting.pop()))


def _long_dependency(stage: Stage) -> None:
    needed = stage.job("RUNNING", minutes=60, jobName="prepare")
    stage.job("PENDING", minutes=60, dependsOn=[{"jobId": needed}])
    stage.pass_time(25 * 60, every=150)


# Queues whose jobs don't start


def _head_with_a_reason(stage: Stage) -> None:
    head = stage.job(minutes=1, jobName="train", statusReason=TOO_LARGE)
    stage.jobs(60)
    stage.block(head)
    stage.pass_time(180, every=20)


def _invalid_environment(stage: Stage) -> None:
    stage.jobs(800)
    stage.queue("high-priority", an_environment("spot-a", **INVALID))
    stage.pass_time(180, every=60)
    stage.queue("high-priority", an_environment("spot-a"))
    stage.pass_time(15)


def _invalid_for_a_minute(stage: Stage) -> None:
    stage.job(minutes=30)
    stage.queue("high-priority", an_environment("spot-a", **INVALID))
    stage.pass_time(5, every=5)
    stage.queue("high-priority", an_environment("spot-a"))
    stage.pass_time(25, every=5)


def _no_capacity(stage: Stage) -> None:
    jobs = [stage.job(jobName=f"train-{n}", statusReason=NO_CAPACITY) for n in range(20)]
    stage.block(jobs[0])
    stage.pass_time(180)
    for job_id in jobs:
        stage.finish(job_id)
    stage.pass_time(60)


def _little_capacity(stage: Stage) -> None:
    jobs = stage.jobs(20)
    for minutes in range(0, 180, 5):
        if minutes % 20 == 0:
            stage.block(jobs[0])
        if minutes % 20 == 15:
            stage.finish(jobs.pop(0))
        stage.pass_time(5, every=5)


def _disabled_queue(stage: Stage) -> None:
    stage.jobs(20)
    stage.queue("high-priority", an_environment("spot-a"), state="DISABLED")
    stage.pass_time(24 * 60, every=180)


# Jobs that hang


def _stuck_then_hanging(stage: Stage) -> None:
    job_id = stage.job(statusReason=NO_CAPACITY)
    stage.pass_time(120)
    stage.change(job_id, "STARTING", statusReason=None)
    stage.pass_time(60)
    stage.change(job_id, "RUNNING", startedAt=stage.now)
    stage.pass_time(10)


def _runaway(stage: Stage) -> None:
    stage.succeeded(5, minutes=2)
    stage.succeeded(5, minutes=300, jobName="long")
    stage.jobs(100, "RUNNING", minutes=240, jobName="long")
    stage.job("RUNNING", minutes=120)
    stage.jobs(120)
    stage.pass_time(15)


def _three_arrays(stage: Stage) -> None:
    for size in (2, 10, 100):
        root = stage.job("PENDING", jobName=f"sweep-{size}", arrayProperties={"size": size})
        for index in range(size):
            _child(stage, root, index, jobName=f"sweep-{size}")
    stage.pass_time(90)


def _service_job(stage: Stage) -> None:
    stage.queue("training", jobQueueType="SAGEMAKER_TRAINING")
    stage.job(jobName="train", jobQueue=TRAINING_QUEUE_ARN, serviceJobType="SAGEMAKER_TRAINING")
    stage.pass_time(90)


# Changes of the installation


def _removed_queue(stage: Stage) -> None:
    stage.jobs(20)
    stage.pass_time(90)
    stage.simulation.deploy(DEFAULT_RULES, JOB_QUEUES="other-*")
    stage.pass_time(30 * 60, every=120)


def _room_added(stage: Stage) -> None:
    stage.jobs(20)
    stage.pass_time(120)
    rule = f'[[rule]]\non = ["STUCK"]\nroom = "{OTHER_ROOM}"'
    stage.simulation.deploy(f"{DEFAULT_RULES}\n{rule}")
    stage.pass_time(60)


def _first_sweep(stage: Stage) -> None:
    for status in ("SUBMITTED", "RUNNABLE", "STARTING", "RUNNING"):
        stage.jobs(5, status, minutes=24 * 60)
    stage.succeeded(5, minutes=2)
    stage.pass_time(5)


def _child(stage: Stage, root: str, index: int, **fields: Any) -> str:
    return stage.job(jobId=f"{root}:{index}", arrayProperties={"index": index}, **fields)


class Situation(NamedTuple):
    """A situation with the first lines of its messages, in order."""

    title: str
    play: Callable[[Stage], None]
    messages: tuple[str, ...] = ()
    is_new: bool = False
    """Whether the sweep has not watched the queues before."""


_NO_CAPACITY = "AWS has no free capacity"
_TOO_LARGE = "no instance type is large enough for the job"

SITUATIONS = (
    Situation("60 jobs wait for hours, and one starts every 15 minutes.", _moving_backlog),
    Situation(
        "A job hangs for 60 hours, and other jobs wait behind it as above.",
        _hanging_job,
        ("⏳ align has been RUNNING in high-priority for 2 d 12 h",),
    ),
    Situation("The 40 child jobs of an array share 4 slots.", _array_on_few_slots),
    Situation("A job depends on another one that runs for 25 hours.", _long_dependency),
    Situation(
        "60 jobs wait behind one that is too large for the environments.",
        _head_with_a_reason,
        (
            f"⛔ Queue high-priority is blocked by job train: {_TOO_LARGE}",
            f"↳ ⏳ 61 jobs are stuck in RUNNABLE in high-priority: {_TOO_LARGE}",
        ),
    ),
    Situation(
        "800 jobs wait for an environment that is INVALID for three hours.",
        _invalid_environment,
        (
            "⛔ Queue high-priority is blocked: compute environment spot-a is INVALID",
            "↳ 👍 Queue high-priority is no longer blocked. The incident lasted 3 h.",
        ),
    ),
    Situation("An environment is INVALID for a minute.", _invalid_for_a_minute),
    Situation(
        "20 jobs wait for three hours, because AWS has no capacity.",
        _no_capacity,
        (
            "⛔ Queue high-priority is blocked by job train-0: AWS has no free capacity",
            "↳ ⏳ 20 jobs are stuck in RUNNABLE in high-priority: AWS has no free capacity",
            "↳ 👍 Queue high-priority is no longer blocked. The incident lasted 3 h.",
        ),
    ),
    Situation(
        "AWS has capacity for one job every 20 minutes, for three hours.",
        _little_capacity,
        (
            f"⛔ Queue high-priority is blocked by job align: {_NO_CAPACITY}",
            "↳ 👍 Queue high-priority is no longer blocked. The incident lasted 15 min.",
        )
        * 2,
    ),
    Situation(
        "A queue in which jobs wait is disabled for a day.",
        _disabled_queue,
        ("⛔ Queue high-priority is blocked: the job queue is DISABLED",),
    ),
    Situation(
        "A job waits for two hours, and then hangs in STARTING for one.",
        _stuck_then_hanging,
        (
            "⏳ align has been RUNNABLE in high-priority for 1 h 15 min: AWS has no free capacity",
            "↳ 👍 align is no longer stuck in high-priority: it is STARTING",
            "↳ ⏳ align has been STARTING in high-priority for 45 min",
            "↳ 👍 align is no longer stuck in high-priority: it is RUNNING",
        ),
    ),
    Situation(
        "A job runs for two hours instead of two minutes, with 120 newer jobs of its name and "
        "100 others that usually take hours.",
        _runaway,
        ("⏳ align has been RUNNING in high-priority for 2 h",),
    ),
    Situation(
        "Three arrays don't start.",
        _three_arrays,
        tuple(
            f"⏳ Child 0 and {others} of {name} have been RUNNABLE in high-priority for 1 h 15 min"
            for name, others in (
                ("sweep-2", "1 other child"),
                ("sweep-10", "9 other children"),
                ("sweep-100", "99 other children"),
            )
        ),
    ),
    Situation(
        "A service job doesn't start.",
        _service_job,
        ("⏳ train has been RUNNABLE in training for 1 h 15 min",),
    ),
    Situation(
        "A queue with 20 stuck jobs is removed from JOB_QUEUES.",
        _removed_queue,
        ("⏳ 20 jobs are stuck in RUNNABLE in high-priority",),
    ),
    Situation(
        "A rule for another room is added while 20 jobs are stuck.",
        _room_added,
        (
            "⏳ 20 jobs are stuck in RUNNABLE in high-priority",
            "in the other room: ⏳ 20 jobs are stuck in RUNNABLE in high-priority",
        ),
    ),
    Situation(
        "The first sweep after the installation finds jobs that have waited for a day.",
        _first_sweep,
        is_new=True,
    ),
)


@contextmanager
def a_stage(aws: LocalAws, resources: Resources, *, is_new: bool = False) -> Iterator[Stage]:
    """A stage with default settings and rules, at NOON."""
    simulation = SimulatedNotices(aws, resources, DEFAULT_RULES)
    simulation.webex.add_room(OTHER_ROOM, "other")
    if not is_new:
        simulation.watched_since(NOON - 30 * DAY, "high-priority", "training")
    with simulation.webex, BatchServer(clock=lambda: simulation.now) as batch:
        yield Stage(simulation, batch)


def play(situation: Situation, aws: LocalAws, resources: Resources) -> list[str]:
    """Play a situation, and return the first lines of its messages."""
    with a_stage(aws, resources, is_new=situation.is_new) as stage:
        situation.play(stage)
        return stage.messages()
