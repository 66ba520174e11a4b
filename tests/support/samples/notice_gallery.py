"""docs/notices.md: a message of every kind, written by the product from sample records.

The page documents the messages and is their golden file: tests/unit/webex/text/test_gallery.py
compares it with what is written now. After a change of a text, run the following, and read the
difference of the page:

    .venv/bin/python -m tests.support.samples.notice_gallery
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from textwrap import wrap
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from chalicelib.jobs.job import ArrayFacts, Attempt, Description, Job, Transition
from chalicelib.notices.notice import CHILD_FAILED
from chalicelib.notices.rules import RECOVERED, STUCK
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.queues.stuck.bulk_incident import NamedJob, RoomShare
from chalicelib.webex.text import ArrayOutcome, NoticeContext
from local.aws import ROOT
from tests.support.builders import job_of_case
from tests.support.samples.notice_samples import (
    ENDED,
    HOUR,
    MINUTE,
    NO_CAPACITY,
    OUT_OF_MEMORY,
    TEXT,
    a_bulk_incident,
    a_job,
    a_waiting_job,
    an_array,
    an_ended_job,
    blocked_by,
    job_context,
    job_message,
    lines,
    queue_context,
    queue_message,
)
from tests.support.simulation.situations import SITUATIONS

PAGE: Final = ROOT / "docs" / "notices.md"
_WIDTH: Final = 100
_INTRODUCTION: Final = """\
# Notices

What batchwatch writes in a Webex room: one message of each kind, as Webex displays it. Names and
the words of the last line are links. [Rules](../README.md#notices) decide which rooms get
which notices; the [architecture](architecture.md#notices) describes how they are delivered. A test
compares this page with the messages that batchwatch writes.

## How many messages a room gets, and when

The first failure is sent within seconds. When more follow, the room pauses for longer and longer
between its messages, up to ten minutes, and each message is a digest of what happened since the
last one. A quarter of an hour without a message ends the storm. As measured in a simulation:

| failures a minute | messages in the first hour | in each later hour |
|---|---|---|
| 1 | 15 | 6 |
| 12 | 15 | 6 |
| 60 | 15 | 6 |
| 600 | 12 | 6 |

- 60 arrays of 10,000 children that end together are one message, sent after five seconds.
- After an outage of Webex, notices are sent within a minute, or within a tenth of the time that it
  lasted, but within half an hour. After Webex rejected the token, they can take ten minutes; and a
  notice that Webex may have posted without a response, an hour. Notices are kept for 14 days.
- If the function crashes while it sends to a room, the other notices of the room wait for less than
  three minutes, and those that it was sending for twelve.
"""
_WAITING: Final = """
## When jobs wait or hang

What a room gets with the default settings and rules, as simulated by a test. A reply in a thread
begins with ↳. [Why a job waits](waiting.md) lists the causes.

| situation | messages |
|---|---|
"""


class Sample(NamedTuple):
    title: str
    message: str


def page() -> str:
    """Return the page in markdown."""
    parts = [_INTRODUCTION, *_situations()]
    for section, samples in gallery().items():
        parts.append(f"\n## {section}\n")
        for sample in samples:
            shown = (wrap(line, _WIDTH, subsequent_indent="  ") for line in lines(sample.message))
            text = "\n".join(chain.from_iterable(shown))
            parts.append(f"\n### {sample.title}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def _situations() -> Iterator[str]:
    """Yield the lines about situations in which jobs wait or hang."""
    yield _WAITING
    for situation in SITUATIONS:
        yield f"| {situation.title} | {'<br>'.join(situation.messages) or 'none'} |\n"


def gallery() -> Mapping[str, list[Sample]]:
    return {
        "A job ended": [*_ended()],
        "A job failed: what AWS says": [*_reasons_of_aws()],
        "Other statuses": [*_progress()],
        "An array": [*_arrays()],
        "A job is stuck": [*_stuck()],
        "A job is no longer stuck": [*_recovered()],
        "A queue is blocked": [*_blocked()],
        "Many jobs of a queue are stuck": [*_bulk()],
        "Events are missing": [*_missing()],
        "Many notices at once": [*_digests()],
    }


def _ended() -> Iterator[Sample]:
    def failed(title: str, *, kind: str = "", **fields: Any) -> Sample:
        return Sample(title, job_message(an_ended_job(**fields), kind))

    yield failed("An exit code of the program")
    yield failed("An exit code with a known meaning", exit_code=127)
    yield failed("The last of three attempts", attempts=3)
    yield failed("Out of memory", exit_code=137, reason=OUT_OF_MEMORY)
    yield failed("Killed, without a word about memory", exit_code=137)
    yield failed("A timeout", exit_code=137, status_reason="Job attempt duration exceeded timeout")
    host = "Host EC2 (instance i-0abc) terminated."
    yield failed("A Spot interruption", exit_code=None, status_reason=host)
    reclaimed = "Cross-share preemption triggered to reclaim borrowed capacity"
    yield failed("A preemption", exit_code=None, status_reason=reclaimed)
    yield failed("No known cause", exit_code=None)
    yield Sample("A success", job_message(an_ended_job("SUCCEEDED", exit_code=0)))
    retried = a_job(
        "RUNNABLE",
        generation=1,
        attempts=(Attempt(ENDED - HOUR, ENDED, 137, OUT_OF_MEMORY),),
    )
    yield Sample("A retry", job_message(retried))


def _reasons_of_aws() -> Iterator[Sample]:
    titles = {
        "role-refused": "The role can't be assumed",
        "docker-timeout": "Docker did not start the container",
        "ecr-connection": "The image could not be pulled",
        "terminated-exit-1": "Terminated by a person, with an exit code of the program",
        "terminated-with-a-word-of-aws": "Terminated, with a reason that AWS might have written",
        "cancelled-with-a-word-of-aws": "Cancelled, with a reason that AWS might have written",
        "sidecar-stopped": "A sidecar that ECS stopped is not the cause",
        "eks-init-exit-1": "An init container failed",
        "multi-node-failed": "A multi-node job",
        "cuda-out-of-memory": "A SageMaker training job",
        "exit-137-only": "Exit code 137 alone",
    }
    for case, title in titles.items():
        yield Sample(title, job_message(job_of_case(case), description=Description()))
    dependent = job_of_case("dependency-failed")
    first = an_ended_job(name="prepare", job_id="5d86")
    yield Sample(
        "A dependency failed",
        TEXT.message(job_context(dependent, description=Description(), dependency=first)),
    )
    limit = a_job(
        status_reason="Canceled by JobStateTimeLimit action due to reason: "
        "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
        stopped_at=ENDED,
    )
    yield Sample("A time limit of the queue", job_message(limit))
    deleted = a_job(status_reason="JobQueue deleted", stopped_at=ENDED)
    yield Sample("The queue was deleted", job_message(deleted))


def _progress() -> Iterator[Sample]:
    for status in ("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING"):
        yield Sample(status, job_message(a_job(status)))


def _arrays() -> Iterator[Sample]:
    child = an_ended_job(job_id="4c75:1217")
    yield Sample("The first failed child", job_message(child, CHILD_FAILED, array_size=10_000))

    def ended(title: str, outcome: ArrayOutcome, array: Job | None = None) -> Sample:
        return Sample(title, job_message(array or an_array(), array_outcome=outcome))

    causes = {"out of memory": 22, "exit code 1": 2, "instance terminated": 1}
    indexes = (3, 17, *range(40, 63))
    yield ended("Some children failed", ArrayOutcome(10_000, 9_975, 25, indexes, causes))
    yield ended("One child failed", ArrayOutcome(100, 99, 1, (17,), {"exit code 1": 1}))
    yield ended("All children failed", ArrayOutcome(40, 0, 40, tuple(range(40)), {"timed out": 40}))
    sampled = {"exit code 1": 40, "out of memory": 38, "timed out": 22}
    many = ArrayOutcome(10_000, 2_000, 8_000, tuple(range(2_000, 10_000)), sampled)
    yield ended("Many children failed for several reasons", many)
    missing = ArrayOutcome(10_000, 9_963, 25, indexes, causes)
    yield ended("The end of some children is not recorded", missing)
    yield ended("All children succeeded", ArrayOutcome(500, 500, 0), an_array("SUCCEEDED", None))
    terminated = an_array(reason="wrong sample sheet")
    yield ended("A person ended it", ArrayOutcome(100, 60, 0), terminated)


def _stuck() -> Iterator[Sample]:
    def stuck(title: str, job: Job, **notice: Any) -> Sample:
        return Sample(title, TEXT.message(job_context(job, STUCK, notice=notice)))

    yield stuck("No reason from AWS", a_waiting_job())
    yield stuck("With a reason from AWS", a_waiting_job(status_reason=NO_CAPACITY))

    def since(status: str, hours: int) -> Job:
        entered = ENDED - hours * HOUR
        return a_job(status, history=(Transition(status, 0, entered),), started_at=entered)

    yield stuck("PENDING", since("PENDING", 30))
    yield stuck("STARTING", since("STARTING", 2))
    yield stuck("RUNNING, longer than usual", since("RUNNING", 60), usual_ms=4 * HOUR)
    child = replace(a_waiting_job(), job_id="4c75:3")
    yield stuck("A child", child, child=3, children=1)
    yield stuck("Several children", child, child=3, children=12)


def _recovered() -> Iterator[Sample]:
    def recovered(title: str, job: Job) -> Sample:
        """Return the sample of a job that was RUNNABLE for four hours until now, or until it ran
        for 1 h 12 min."""
        ran = 72 * MINUTE if job.details.attempts else 0
        runnable = Transition("RUNNABLE", 0, ENDED - ran - 4 * HOUR)
        steps = (Transition("RUNNING", 0, ENDED - ran),) if ran else ()
        details = replace(job.details, created_at=runnable.at)
        history = (runnable, *steps, *job.history)
        moved = replace(job, details=details, history=history)
        return Sample(title, job_message(moved, RECOVERED, notice={"status": "RUNNABLE"}))

    yield recovered("It runs", a_job("RUNNING"))
    yield recovered("It succeeded", an_ended_job("SUCCEEDED", exit_code=0))
    yield recovered("It failed", an_ended_job())
    yield recovered(
        "It was cancelled", a_job(status_reason="Canceled by user: x", stopped_at=ENDED)
    )
    array = a_job("PENDING", array=ArrayFacts(size=9))
    yield Sample("An array", job_message(array, RECOVERED, notice={"status": "RUNNABLE"}))


def _blocked() -> Iterator[Sample]:
    codes = {
        "No capacity": NO_CAPACITY,
        "maxvCpus": "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x",
        "No instance type is large enough": "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x",
        "Permissions": "MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - x",
        "An instance type that is not offered": (
            "MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED - x"
        ),
        "A service environment": "MISCONFIGURATION:SERVICE_ENVIRONMENT_MAX_RESOURCE - x",
        "A quota share": "MISCONFIGURATION:QUOTA_MANAGEMENT_LIMIT_EXCEEDED - x",
        "Invalid environments": "ACTION_REQUIRED - x",
        "AWS Batch does not know why": "UNDETERMINED - x",
    }
    for title, reason in codes.items():
        blocked = blocked_by("align-reads", reason)
        yield Sample(title, queue_message("QUEUE_BLOCKED", "gpu", blocked=blocked))
    again = replace(blocked_by("align-reads", NO_CAPACITY), repeats=2)
    yield Sample(
        "For the third time in a row", queue_message("QUEUE_BLOCKED", "gpu", blocked=again)
    )
    yield Sample("Resolved", queue_message("QUEUE_BLOCKED_RESOLVED", "gpu"))


def _bulk() -> Iterator[Sample]:
    def bulk(title: str, **fields: Any) -> Sample:
        incident = a_bulk_incident(**fields)
        return Sample(title, queue_message("BULK_STUCK", "gpu", bulk_incidents=(incident,)))

    yield bulk("A reason from AWS")
    names = (NamedJob("a", "align"), NamedJob("b:3", "sweep"))
    few = (RoomShare(room="r", jobs=2, names=names),)
    yield bulk("A room whose rules match few of them", shares=few)
    at_least = (RoomShare(room="r", jobs=200, names=names, is_at_least=True),)
    yield bulk("A room whose rules match many of a sample", shares=at_least)
    yield bulk("Because the queue is blocked", thread=ENDED - 2 * HOUR)
    before = ENDED - 2 * HOUR
    more = (RoomShare(room="r", jobs=12_400, names=names),)
    yield bulk("Ten times as many", since=before, jobs=12_400, shares=more)
    yield bulk("Only a few are left", since=before, jobs=2, shares=few)
    yield Sample("Resolved", queue_message("BULK_STUCK_RESOLVED", "gpu", status="RUNNABLE"))


def _missing() -> Iterator[Sample]:
    missing = MissingEvents(since=ENDED - HOUR, last_event_at=ENDED - 3 * HOUR, changes=14)
    yield Sample("Events stopped", queue_message("EVENTS_MISSING", "cpu", missing_events=missing))
    never = MissingEvents(since=ENDED - HOUR, last_event_at=0, changes=14)
    yield Sample("No event ever", queue_message("EVENTS_MISSING", "cpu", missing_events=never))
    yield Sample("Resolved", queue_message("EVENTS_MISSING_RESOLVED", "cpu"))


def _digests() -> Iterator[Sample]:
    killed = [
        an_ended_job(name=f"align-{n}", job_id=f"a-{n}", exit_code=137, reason=OUT_OF_MEMORY)
        for n in range(4)
    ]
    reports = [an_ended_job(name="report", job_id=f"r-{n}") for n in range(2)]
    failed = [job_context(job) for job in (*killed, *reports)]
    yield Sample("Failures", TEXT.digest(failed))
    prepare = an_ended_job(name="prepare", job_id="p")
    dependents = [
        job_context(
            an_ended_job(
                name=f"merge-{n}",
                job_id=f"m-{n}",
                exit_code=None,
                status_reason="Dependent Job failed",
            ),
            dependency=prepare,
        )
        for n in range(499)
    ]
    yield Sample(
        "A job and those that depend on it", TEXT.digest([job_context(prepare), *dependents])
    )
    recovery = job_context(a_job("RUNNING", name="moved"), RECOVERED)
    yield Sample(
        "The same, and a recovery", TEXT.digest([job_context(prepare), *dependents, recovery])
    )
    yield Sample("Arrays", TEXT.digest([*_failed_arrays()]))
    mostly = {"exit code 1": 67, "killed (137), usually out of memory": 33}
    sixty = [
        job_context(
            replace(an_array(name=f"sweep-{n:02}"), job_id=f"x-{n}"),
            array_outcome=ArrayOutcome(10_000, 9_600, 400, tuple(range(400)), mostly),
        )
        for n in range(60)
    ]
    yield Sample("Sixty arrays that end together", TEXT.digest(sixty))
    thousand = [job_context(an_ended_job(name=f"job-{n}", job_id=f"j-{n}")) for n in range(1_000)]
    yield Sample("A thousand failures", TEXT.digest(thousand))
    mixed = [
        *failed,
        job_context(an_ended_job("SUCCEEDED", name="ok", queue="spot", exit_code=0)),
        job_context(a_waiting_job(name="merge", status_reason=NO_CAPACITY), STUCK),
        queue_context("QUEUE_BLOCKED", "gpu", blocked=blocked_by("head", NO_CAPACITY)),
        recovery,
    ]
    yield Sample("All kinds", TEXT.digest(mixed))


def _failed_arrays() -> Iterator[NoticeContext]:
    for n in range(3):
        array = replace(an_array(), job_id=f"x-{n}")
        outcome = ArrayOutcome(100, 98, 2, (3, 17), {"exit code 1": 2})
        yield job_context(array, array_outcome=outcome)
        child = an_ended_job(name="sweep", job_id=f"s-{n}:12")
        notice = {"job_id": f"s-{n}", "child": 12}
        yield job_context(child, CHILD_FAILED, array_size=100, notice=notice)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
