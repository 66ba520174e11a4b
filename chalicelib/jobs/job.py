"""A job is the union of everything that was observed of it.

Events arrive in any order, more than once, and through any number of consumers. Observing is
therefore a union of sets: commutative, associative, idempotent. Whatever the order, the same
observations make the same job, and no lock is needed (docs/adr/0001-union-of-observations.md).

Pure: knows nothing of AWS clients, storage, the clock or the environment. All times are
milliseconds since the epoch, as Batch gives them.
"""

import re
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from functools import partial
from typing import Self

import msgspec


class JobStatus(StrEnum):
    """The statuses that Batch documents, and UNKNOWN, which is ours: Batch forgot the job.

    A job's status is a plain `str`, for Batch may invent new ones and they are recorded too.
    """

    SUBMITTED = "SUBMITTED"
    PENDING = "PENDING"
    RUNNABLE = "RUNNABLE"
    SCHEDULED = "SCHEDULED"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


ACTIVE = (
    JobStatus.SUBMITTED,
    JobStatus.PENDING,
    JobStatus.RUNNABLE,
    JobStatus.SCHEDULED,
    JobStatus.STARTING,
    JobStatus.RUNNING,
)
"""What a job goes through before its end, by rank. Stored bytes depend on it (`array_summary`)."""
TERMINAL = (JobStatus.SUCCEEDED, JobStatus.FAILED)
OTHER = "OTHER"
LISTED_STATUSES = (*JobStatus, OTHER)
"""The statuses of lists and indexes. OTHER contains the jobs in statuses that AWS added later."""
_BEFORE_RUNNING = frozenset({JobStatus.SUBMITTED, JobStatus.PENDING, JobStatus.RUNNABLE})
_RANKS: dict[str, int] = {
    JobStatus.SUBMITTED: 0,
    JobStatus.PENDING: 1,
    JobStatus.RUNNABLE: 2,
    JobStatus.SCHEDULED: 3,
    JobStatus.STARTING: 4,
    JobStatus.RUNNING: 5,
    JobStatus.SUCCEEDED: 7,
    JobStatus.FAILED: 7,
}
_KNOWN_STATUSES = frozenset(JobStatus)
_RANK_OF_UNHEARD = 6
"""A status that Batch invents tomorrow ranks after RUNNING; ties go by name."""

BATCH_LOG_GROUP = "/aws/batch/job"
"""Where Batch sends the log of a job that names no log group of its own."""

Entered = tuple[str, int]
"""What tells a transition from the others of its job: (status, generation)."""

TransitionKey = tuple[int, int, int, str]
"""What orders a job's transitions: (terminal, generation, rank, name of an unheard status)."""


class Source(IntEnum):
    """Who said that a transition happened: an event, or Batch's API when asked for a repair.
    The smaller is to be believed about its time."""

    EVENT = 0
    REPAIR = 1


class JobId(msgspec.Struct, frozen=True):
    """A Batch job id, taken apart: `<root>`, `<root>:<index>` for an array's child,
    `<root>#<index>` for a node of a multi-node job."""

    root: str
    separator: str = ""
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError, with the end of a sentence that begins with the field's name."""
        found = _JOB_ID.fullmatch(text)
        if not found:
            raise ValueError(
                "is not a Batch job id: expected letters, digits and dashes, "
                "then :index for a child of an array or #index for a node"
            )
        return cls(found["root"], found["separator"] or "", int(found["index"] or 0))


_JOB_ID = re.compile(
    r"(?P<root>[A-Za-z0-9._-]{1,128})((?P<separator>[:#])(?P<index>0|[1-9][0-9]{0,5}))?"
)


def listed_status(status: str) -> str:
    """Return which of LISTED_STATUSES a job of this status is listed under."""
    return status if status in _KNOWN_STATUSES else OTHER


def is_terminal(status: str) -> bool:
    return status in TERMINAL


class Transition(msgspec.Struct, frozen=True, array_like=True):
    """A status that the job entered. `generation` counts the attempts finished by then, those of
    a service job that were preempted included.

    `at` is the earliest event time known for it; a repair's time only stands in for events that
    never came.
    """

    status: str
    generation: int
    at: int
    source: Source = Source.EVENT

    @property
    def entered(self) -> Entered:
        return self.status, self.generation

    @property
    def attempt(self) -> int | None:
        """The attempt that the transition belongs to, from 1; None before anything ran."""
        if is_terminal(self.status) or (self.generation == 0 and self.status in _BEFORE_RUNNING):
            return self.generation or None
        return self.generation + 1

    def joined(self, other: "Transition") -> "Transition":
        """The better dated of two observations: an event's before a repair's, the earlier first."""
        return min(self, other, key=lambda seen: (seen.source, seen.at))


def transition_key(status: str, generation: int, *, of_node: bool) -> TransitionKey:
    """What decides which of two transitions is later, whenever they were heard of.

    A terminal status is never left, except by the nodes of a multi-node job: a retry of the main
    node restarts them, so there the generation comes first.
    """
    terminal = int(is_terminal(status))
    rank = _RANKS.get(status, _RANK_OF_UNHEARD)
    unheard = status if status not in _RANKS else ""
    if of_node:
        return (generation, terminal, rank, unheard)
    return (terminal, generation, rank, unheard)


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One try at running the job, as Batch lists it. Without `stopped_at` it is still running.

    Stored as an array, for the bytes: new fields go to the end, with a default.
    """

    started_at: int | None = None
    stopped_at: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None
    log_stream_name: str | None = None


class ArrayFacts(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An array parent has a size (and counts of its children by status), a child an index."""

    size: int | None = None
    index: int | None = None
    status_summary: dict[str, int] = {}


class ServiceFacts(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What a service job has and no other: its type, as SAGEMAKER_TRAINING, and beside each of its
    attempts, in their order, the ARN of what ran it (a training job), if there is one."""

    job_type: str
    resources: tuple[str | None, ...] = ()


class Resources(msgspec.Struct, frozen=True, array_like=True):
    """What a job holds while it runs; `memory` in MiB. Stored as an array, for the bytes."""

    vcpus: float = 0
    memory: int = 0
    gpus: int = 0


class Details(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What changes during a job's life, as one observation told it, already redacted.

    `time` is when it was said: the event's time (whole seconds), or the sweep's clock.
    `exit_code`, `reason` and `log_stream_name` are those that the last of `attempts` does not tell.
    `log_group` is None for a job whose log does not go to CloudWatch. `description` is the digest
    of the job's Description, which does not change and is stored apart; `resources` are of it too,
    and stand here for those who add up many jobs.

    Stored as an array, for the bytes: new fields go to the end, with a default.
    """

    status: str
    generation: int
    time: int
    source: Source = Source.EVENT
    job_name: str
    job_queue: str
    job_definition: str | None = None
    status_reason: str | None = None
    created_at: int | None = None
    started_at: int | None = None
    stopped_at: int | None = None
    attempts: tuple[Attempt, ...] = ()
    exit_code: int | None = None
    reason: str | None = None
    log_stream_name: str | None = None
    log_group: str | None = BATCH_LOG_GROUP
    array: ArrayFacts | None = None
    nodes: int | None = None
    description: str = ""
    resources: Resources | None = None
    service: ServiceFacts | None = None

    @property
    def entered(self) -> Entered:
        return self.status, self.generation

    @property
    def unlisted_attempts(self) -> int:
        """Finished ones that `attempts` begins after, for Batch lists only the last few."""
        listed = sum(attempt.stopped_at is not None for attempt in self.attempts)
        return max(0, self.generation - listed)

    @property
    def queue(self) -> str:
        """The name of the job queue."""
        return self.job_queue.rpartition("/")[2]


class Description(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """What is fixed when a job is submitted; redacted. `environment` holds names only.

    `memory` is in MiB. A job of several containers is described by its first one, with the
    vCPUs, memory and GPUs of all.
    """

    image: str | None = None
    command: tuple[str, ...] = ()
    vcpus: float | None = None
    memory: int | None = None
    gpus: int | None = None
    environment: tuple[str, ...] = ()
    parameters: dict[str, str] = {}
    tags: dict[str, str] = {}
    retry_attempts: int | None = None
    timeout_seconds: int | None = None
    platform: str | None = None


class Observation(msgspec.Struct, frozen=True):
    """One thing that was said about a job, with the transition that it is evidence of."""

    job_id: str
    details: Details
    description: Description

    @property
    def transition(self) -> Transition:
        said = self.details
        return Transition(said.status, said.generation, self._entered_at(), said.source)

    def _entered_at(self) -> int:
        """A repair was said long after it happened, so it goes by Batch's own dates where they
        tell; an event was said when it happened."""
        said = self.details
        if said.source is Source.EVENT:
            return said.time
        ended = said.stopped_at if is_terminal(said.status) else None
        ran = said.started_at if said.status == JobStatus.RUNNING else None
        return ended or ran or said.time


class Job(msgspec.Struct, frozen=True):
    """Everything known of one job. `history` is in the order of `transition_key`, whatever the
    order in which it was heard; its last entry is the status of now.

    `lost_above` is the key of the last transition that was known when Batch knew the job no more:
    whatever is heard of above it shows that the job was not lost (docs/adr/0008-lost-above.md).
    """

    job_id: str
    details: Details
    history: tuple[Transition, ...]
    lost_above: TransitionKey | None = None

    @classmethod
    def first_seen(cls, seen: Observation) -> Self:
        return cls(seen.job_id, seen.details, (seen.transition,))

    def observe(self, seen: Observation) -> Self:
        """This job with one more observation; the very same object if that tells nothing new."""
        details = seen.details if self._outranked_by(seen.details) else self.details
        history = self._history_with([seen.transition], details)
        if details is self.details and history == self.history:
            return self
        return type(self)(self.job_id, details, history, self.lost_above)

    def history_with(self, told: Iterable[Transition]) -> tuple[Transition, ...]:
        """The history, and what else is told of the time before the status of now."""
        now = self._key(self.details.entered)
        before = [transition for transition in told if self._key(transition.entered) < now]
        return self._history_with(before, self.details)

    def lost(self) -> Self:
        """This job, which Batch knows no more; the very same object if that is known."""
        if self.is_terminal or self.is_lost:
            return self
        return type(self)(self.job_id, self.details, self.history, self._key(self.details.entered))

    def says_nothing_new(self, said: Details) -> bool:
        """Whether it is what is known, said again at another time: asking Batch twice must not
        make a second observation."""
        known = self.details
        return msgspec.structs.replace(said, time=known.time, source=known.source) == known

    @property
    def status(self) -> str:
        return JobStatus.UNKNOWN if self.is_lost else self.details.status

    @property
    def is_lost(self) -> bool:
        key = self._key(self.details.entered)
        return self.lost_above is not None and not self.is_terminal and key <= self.lost_above

    @property
    def since(self) -> int:
        """When it entered its status."""
        return self.history[-1].at

    @property
    def is_terminal(self) -> bool:
        return is_terminal(self.details.status)

    @property
    def is_over(self) -> bool:
        """Nothing is expected of it any more, though a lost job may yet be heard of."""
        return self.is_terminal or self.is_lost

    @property
    def last_heard(self) -> int:
        """The time of the last event, or of the last answer of Batch that told something new."""
        return max(self.details.time, *(transition.at for transition in self.history), 0)

    @property
    def queue(self) -> str:
        """The name of its job queue."""
        return self.details.queue

    @property
    def log_stream_name(self) -> str | None:
        """Of the attempt that Batch told of last."""
        listed = (attempt.log_stream_name for attempt in reversed(self.details.attempts))
        return self.details.log_stream_name or next((name for name in listed if name), None)

    @property
    def service_resource(self) -> str | None:
        """The ARN of what ran the last attempt of a service job: its training job."""
        service = self.details.service
        return service.resources[-1] if service and service.resources else None

    @property
    def is_service(self) -> bool:
        """Run by another service for Batch: SageMaker."""
        return self.details.service is not None

    @property
    def is_root(self) -> bool:
        """Neither an array's child nor a node."""
        return ":" not in self.job_id and "#" not in self.job_id

    @property
    def is_parent(self) -> bool:
        """Of an array or a multi-node job: it does not run itself, its children or nodes do."""
        size = self.details.array and self.details.array.size
        return self.is_root and (size, self.details.nodes) != (None, None)

    def _history_with(self, told: Iterable[Transition], details: Details) -> tuple[Transition, ...]:
        known = {transition.entered: transition for transition in self.history}
        for transition in told:
            known[transition.entered] = known.get(transition.entered, transition).joined(transition)
        return tuple(sorted(known.values(), key=partial(self._place, current=details.entered)))

    def _outranked_by(self, other: Details) -> bool:
        """Whether the other saying describes the job better: the later transition, then time.

        A job should not end twice in one generation. If it does, the later end holds, and in
        the same second FAILED, for nobody looks into a success. The last resort is the content
        itself, so that any two consumers decide alike.
        """
        mine, theirs = self._precedence(self.details), self._precedence(other)
        if mine == theirs:
            return msgspec.json.encode(self.details) < msgspec.json.encode(other)
        return mine < theirs

    def _precedence(self, said: Details) -> tuple[TransitionKey, int, bool]:
        return self._key(said.entered), said.time, said.status == JobStatus.FAILED

    def _place(self, known: Transition, current: Entered) -> tuple[TransitionKey, bool, int, bool]:
        ends = known.entered == current, known.at, known.status == JobStatus.FAILED
        return self._key(known.entered), *ends

    def _key(self, entered: Entered) -> TransitionKey:
        return transition_key(*entered, of_node="#" in self.job_id)
