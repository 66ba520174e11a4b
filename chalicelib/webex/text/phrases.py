"""Words that several kinds of message share."""

from collections.abc import Mapping
from typing import Final

from chalicelib.jobs import failure, pending_reason
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.failure.exit_code import exit_code_of_training
from chalicelib.jobs.job import Description, Job, JobId, JobStatus, is_terminal
from chalicelib.notices.notice import BULK_STUCK, CHILD_FAILED, RESOLUTIONS
from chalicelib.notices.rules import EVENTS_MISSING, QUEUE_BLOCKED, RECOVERED, STUCK
from chalicelib.webex.markdown import LINE_BREAK, bold_name, escape

TIMES: Final = " \N{MULTIPLICATION SIGN}"
MOST_OFTEN: Final = "most often "
MAX_LIST_BYTES: Final = 240
"""The length of a list of indexes or causes. The rest is counted."""

_SEVERAL: Final = 2

_SIGNS: Final[Mapping[str, str]] = {
    JobStatus.FAILED: "❌",
    CHILD_FAILED: "⚠️",
    EVENTS_MISSING: "🔇",
    QUEUE_BLOCKED: "⛔",
    BULK_STUCK: "⏳",
    STUCK: "⏳",
    RECOVERED: "👍",
    **dict.fromkeys(RESOLUTIONS.values(), "👍"),
    JobStatus.SUCCEEDED: "✅",
}
"""The sign of each kind of notice, the most severe first. Other statuses are progress."""

CAUSE_PHRASES: Final[Mapping[Cause, str]] = {
    Cause.KILLED: "killed (137), usually out of memory",
    Cause.OUT_OF_MEMORY: "out of memory",
    Cause.TIMEOUT: "timed out",
    Cause.SPOT_INTERRUPTION: "instance terminated",
    Cause.IMAGE_PULL: "image pull failed",
    Cause.CANNOT_START: "could not be started",
    Cause.DEPENDENCY_FAILED: "a dependency failed",
    Cause.CHILD_FAILED: "a child failed",
    Cause.CANCELLED: "cancelled",
    Cause.TERMINATED: "terminated",
    Cause.QUEUE_DELETED: "job queue deleted",
    Cause.TIME_LIMIT: "job state time limit reached",
    Cause.PREEMPTED: "preempted",
    Cause.UNKNOWN: "cause unknown",
}


def sign(kind: str) -> str:
    return _SIGNS.get(kind, "▶️")


def severity(kind: str) -> int:
    """Return the rank of a kind of notice: 0 is the most severe."""
    return list(_SIGNS).index(kind) if kind in _SIGNS else len(_SIGNS)


def job_name(job: Job) -> str:
    return bold_name(job.details.job_name)


def child_name(job_id: str, job_name: str) -> str:
    """Return the name of a job in bold, of a child as "child 3 of **align**"."""
    part = JobId.parse(job_id)
    kind = {":": "child", "#": "node"}.get(part.separator)
    return f"{kind} {part.index} of {bold_name(job_name)}" if kind else bold_name(job_name)


def queue_name(job: Job) -> str:
    return bold_name(job.queue)


def headline(job: Job) -> str:
    """Return, for example, "❌ **align** failed"."""
    again = " again" if _is_retry(job) else ""
    return f"{sign(job.status)} {job_name(job)} {status_verb(job.status)}{again}"


def status_verb(status: str) -> str:
    """Return, for example, "failed" or "is RUNNING"."""
    return status.lower() if is_terminal(status) else f"is {escape(status)}"


def _is_retry(job: Job) -> bool:
    return job.status == JobStatus.RUNNABLE and job.details.generation > 0


def why(job: Job) -> str:
    """Return why a job failed or is retried, in a few words; "" for any other job."""
    if job.status == JobStatus.FAILED:
        return failure_in_short(job)
    if not _is_retry(job):
        return ""
    finished = [attempt for attempt in job.details.attempts if attempt.stopped_at is not None]
    cause = failure.attempt_cause(finished[-1]) if finished else None
    if cause is None:
        return ""
    code = exit_code_of_training(finished[-1].exit_code, finished[-1].status_reason)
    return f"attempt {len(finished)} failed ({_short_cause(cause, code)})"


def failure_in_short(job: Job) -> str:
    """Return why a FAILED job failed, in a few words for the end of a line."""
    cause = failure.failure_of(job.details).cause
    limit = _time_limit_reason(job.details.status_reason) if cause is Cause.TIME_LIMIT else ""
    return f"{_short_cause(cause, exit_code(job))}{limit}"


def _time_limit_reason(status_reason: str | None) -> str:
    """Return why the job could not start before the job state time limit, or ""."""
    _, _, reason = (status_reason or "").partition("reason: ")
    cause = pending_reason.explain(JobStatus.RUNNABLE, reason).cause
    return f" ({cause})" if cause else ""


def _short_cause(cause: Cause, exit_code: int | None) -> str:
    of_program = "the program failed" if exit_code is None else f"exit code {exit_code}"
    return CAUSE_PHRASES.get(cause, of_program)


def exit_code(job: Job) -> int | None:
    """Return the exit code of a FAILED job, which for a training job is in SageMaker's reason."""
    return failure.failure_of(job.details).exit_code


def causes_in_short(counts: Mapping[str, int], form: str = ": {}") -> str:
    """Return the end of a sentence about many jobs, given their number by cause ("": unknown).

    It is a cause, in this form, if all jobs or more than half of them share it, as in ": most often
    out of memory"; else the number of causes, as in " for 6 reasons".
    """
    first = max(counts, key=lambda cause: counts[cause], default="")
    known = sum(cause != "" for cause in counts)
    if 2 * counts.get(first, 0) > sum(counts.values()):
        most_often = MOST_OFTEN if len(counts) > 1 else ""
        return form.format(f"{most_often}{first}") if first else ""
    if known < _SEVERAL:
        return ""
    return f" for {known} reasons" if "" not in counts else " for several reasons"


def quoted_reason(reason: str | None) -> str:
    return f'{LINE_BREAK}Reason from AWS Batch: "{escape(reason, 250)}"' if reason else ""


def after_colon(words: str | None) -> str:
    return f": {words}" if words else ""


def requested(description: Description) -> str:
    """Return the resources that the job requests, or ""."""
    gpus = description.gpus
    resources = [
        f"{description.vcpus:g} vCPU{plural(description.vcpus)}" if description.vcpus else "",
        f"{memory(description.memory)} of memory" if description.memory else "",
        f"{gpus} GPU{plural(gpus)}" if gpus else "",
    ]
    listed = ", ".join(resource for resource in resources if resource)
    return f"Requested: {listed}" if listed else ""


def memory(mebibytes: int) -> str:
    if mebibytes < 1024:
        return f"{mebibytes} MiB"
    return f"{round(mebibytes / 1024, 1):g} GiB"


def plural(count: float) -> str:
    return "" if count == 1 else "s"
