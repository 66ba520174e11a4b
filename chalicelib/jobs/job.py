"""A job: a grow-only set of transitions (a CRDT), joined from everything that was observed of it.

Events arrive in any order, several times, and through any number of consumers. Each is evidence of
one *transition*: a status that the job entered, in one *generation*, which is the number of
attempts that had finished by then. `Job.observe` joins it to the set of transitions. A union of
sets is commutative, associative and idempotent, so the same observations make the same job in any
order, without a lock (docs/adr/0001-union-of-observations.md):

    received    RUNNABLE of generation 1, STARTING of 0, RUNNABLE of 0, RUNNABLE of 1 again
    joined      RUNNABLE of 0 < STARTING of 0 < RUNNABLE of 1
    status      RUNNABLE: the first attempt has failed, and the second one has not started

Transitions are sorted by (terminal, generation, rank of the status), not by the time at which they
were received. Everything else about a job, its `Details`, comes from the one observation that takes
precedence.

This module is pure: it must not know AWS clients, storage, the clock or the environment. All times
are epoch milliseconds, as AWS Batch reports them.
"""

import re
from collections.abc import Iterable
from enum import IntEnum, StrEnum
from functools import partial
from typing import Self

import msgspec


class JobStatus(StrEnum):
    """The statuses that AWS documents, and UNKNOWN for a job that AWS Batch has forgotten.

    The status of a job is a plain `str`, because a status that AWS adds later is recorded too.
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
"""The statuses before the end, in order of rank. Stored bytes depend on it (`array_summary`)."""
TERMINAL = (JobStatus.SUCCEEDED, JobStatus.FAILED)
OTHER = "OTHER"
LISTED_STATUSES = (*JobStatus, OTHER)
"""The statuses of lists and indexes. OTHER contains the jobs in statuses that AWS added later."""
LISTED_ACTIVE = (*ACTIVE, OTHER)
LISTED_ENDED = (*TERMINAL, JobStatus.UNKNOWN)
_BEFORE_RUNNING = frozenset({JobStatus.SUBMITTED, JobStatus.PENDING, JobStatus.RUNNABLE})
_KNOWN_STATUSES = frozenset(JobStatus)
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
_RANK_OF_OTHER = 6
"""A status that AWS adds later ranks after RUNNING; two of them are ordered by name."""

BATCH_LOG_GROUP = "/aws/batch/job"
"""The CloudWatch log group of jobs that don't configure one."""

TransitionId = tuple[str, int]
"""(status, generation): identifies a transition among those of its job."""

TransitionKey = tuple[int, int, int, str]
"""(terminal, generation, rank, name of an unrecognised status): orders a job's transitions."""


class Source(IntEnum):
    """The origin of an observation: an event, or a repair (DescribeJobs by the sweep). The lower
    value takes precedence for the time of a transition."""

    EVENT = 0
    REPAIR = 1


class JobId(msgspec.Struct, frozen=True):
    """The parts of a job id: `<root>`, `<root>:<index>` for a child of an array, or
    `<root>#<index>` for a node of a multi-node job."""

    root: str
    separator: str = ""
    index: int = 0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise ValueError if the text is not a job id. Its message continues a sentence that
        begins with the name of the field."""
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
    """A status that a job entered.

    `generation` is the number of attempts that had finished by then, including preempted attempts
    of a service job. `at` is the earliest event time known; a time from a repair is kept only
    until an event provides one.
    """

    status: str
    generation: int
    at: int
    source: Source = Source.EVENT

    @property
    def transition_id(self) -> TransitionId:
        return self.status, self.generation

    @property
    def attempt(self) -> int | None:
        """The number of the attempt that the transition belongs to, from 1; None before the first
        attempt."""
        if is_terminal(self.status) or (self.generation == 0 and self.status in _BEFORE_RUNNING):
            return self.generation or None
        return self.generation + 1

    def join(self, other: "Transition") -> "Transition":
        """Return which of two observations of one transition provides its time: an event rather
        than a repair, then the earlier one."""
        return min(self, other, key=lambda transition: (transition.source, transition.at))


def transition_key(status: str, generation: int, *, of_node: bool) -> TransitionKey:
    """Return the sort key of a transition: the greater one is later, whenever it was received.

    A job never leaves a terminal status. The nodes of a multi-node job do: a retry of the main
    node restarts them, so their transitions are sorted by generation first.
    """
    terminal = int(is_terminal(status))
    rank = _RANKS.get(status, _RANK_OF_OTHER)
    name = "" if status in _RANKS else status
    if of_node:
        return (generation, terminal, rank, name)
    return (terminal, generation, rank, name)


class Pod(msgspec.Struct, frozen=True, array_like=True):
    """The pod of an attempt on EKS, and the ARN of its cluster."""

    name: str | None = None
    namespace: str | None = None
    node: str | None = None
    cluster: str | None = None


class ContainerEnd(msgspec.Struct, frozen=True, array_like=True):
    """One of several containers of an attempt, or the only one of a pod. `log_group` is None
    without a CloudWatch log. The first container of an attempt on EKS has the pod.

    Stored as an array to save bytes: add new fields at the end, with a default.
    """

    name: str | None = None
    is_essential: bool = True
    is_init: bool = False
    exit_code: int | None = None
    reason: str | None = None
    log_stream_name: str | None = None
    log_group: str | None = BATCH_LOG_GROUP
    pod: Pod | None = None


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One attempt to run the job. Without `stopped_at` it is still running.

    If it has several `containers`, the first is the one that determined its result, and
    `exit_code`, `reason` and `log_stream_name` are of that one.

    Stored as an array to save bytes: add new fields at the end, with a default.
    """

    started_at: int | None = None
    stopped_at: int | None = None
    exit_code: int | None = None
    reason: str | None = None
    status_reason: str | None = None
    log_stream_name: str | None = None
    containers: tuple[ContainerEnd, ...] = ()
    compute_environment: str | None = None

    @property
    def container(self) -> str | None:
        """The name of the container that determined the result, if there are several."""
        return self.containers[0].name if len(self.containers) > 1 else None

    @property
    def is_init(self) -> bool:
        """Whether that container is an init container of a pod."""
        return len(self.containers) > 1 and self.containers[0].is_init

    @property
    def pod(self) -> Pod | None:
        """The pod of an attempt on EKS."""
        return self.containers[0].pod if self.containers else None

    @property
    def never_started(self) -> bool:
        """True if the attempt ended before its container started. AWS names a log stream anyway."""
        return self.stopped_at is not None and (self.started_at, self.exit_code) == (None, None)

    @property
    def has_log(self) -> bool:
        return bool(self.log_stream_name) and not self.never_started


class ArrayFacts(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Facts of array jobs: of the parent its size and the number of its children by status, of a
    child its index."""

    size: int | None = None
    index: int | None = None
    status_summary: dict[str, int] = {}


class ServiceFacts(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Facts of service jobs: the type, such as SAGEMAKER_TRAINING, and for each of
    `Details.attempts` the ARN of the training job that ran it, if known."""

    job_type: str
    resources: tuple[str | None, ...] = ()


class Resources(msgspec.Struct, frozen=True, array_like=True):
    """Resources that a job requests; `memory` is in MiB. Stored as an array to save bytes."""

    vcpus: float = 0
    memory: int = 0
    gpus: int = 0


class Details(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Facts that change during a job's life, redacted, as one observation reported them.

    `time` is when the event was created (in whole seconds), or when the sweep called DescribeJobs.
    `exit_code`, `reason` and `log_stream_name` are of the job's own container; all three are None
    if the last of `attempts` has the same. `log_group` is None for a job without a CloudWatch log.
    `is_cancelled` and `is_terminated` (0 or 1, to save bytes) are AWS Batch's own flags that
    CancelJob or TerminateJob was called. `description` is the digest of the job's Description,
    which is stored apart because it does not change. `resources` are part of the description too,
    and are repeated here for sums over many jobs.

    Stored as an array to save bytes: add new fields at the end, with a default.
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
    is_cancelled: int = 0
    is_terminated: int = 0

    @property
    def transition_id(self) -> TransitionId:
        return self.status, self.generation

    @property
    def unlisted_attempts(self) -> int:
        """The number of finished attempts before the first of `attempts`: AWS Batch lists only the
        last few."""
        listed = sum(attempt.stopped_at is not None for attempt in self.attempts)
        return max(0, self.generation - listed)

    @property
    def queue(self) -> str:
        """The name of the job queue."""
        return self.job_queue.rpartition("/")[2]

    @property
    def definition_name(self) -> str:
        """The name of the job definition without its revision; empty if it has none."""
        return (self.job_definition or "").rpartition("/")[2].partition(":")[0]


class Dependency(msgspec.Struct, frozen=True, array_like=True):
    """A job that a job depends on. `job_type` is N_TO_N or SEQUENTIAL for arrays; an array whose
    children run one after the other depends on itself, without an id."""

    job_id: str | None = None
    job_type: str | None = None


class ExitRule(msgspec.Struct, frozen=True, rename="camel"):
    """A rule of a retry strategy: the action for attempts that match all patterns."""

    action: str
    on_exit_code: str | None = None
    on_reason: str | None = None
    on_status_reason: str | None = None


class Capacity(msgspec.Struct, frozen=True, rename="camel"):
    """A quantity of instances of a type, which a service job requests."""

    capacity_unit: str | None = None
    quantity: float | None = None


class ConsumableNeed(msgspec.Struct, frozen=True, array_like=True):
    """A quantity of a consumable resource, by its name, that a job occupies while it runs."""

    name: str
    quantity: int = 1


class Description(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel", kw_only=True):
    """Facts that do not change after a job is submitted, redacted.

    `environment` contains only the names of the variables, `memory` is in MiB. A job with several
    containers has the image, command and environment of the first one, and the vCPUs, memory and
    GPUs of all of them. `quota_share_name` and the two fields after it are of service jobs.
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
    log_driver: str | None = None
    main_node: int | None = None
    depends_on: tuple[Dependency, ...] = ()
    share_identifier: str | None = None
    scheduling_priority: int | None = None
    exit_rules: tuple[ExitRule, ...] = ()
    job_role: str | None = None
    execution_role: str | None = None
    secrets: tuple[str, ...] = ()
    ephemeral_storage_gib: int | None = None
    cpu_architecture: str | None = None
    quota_share_name: str | None = None
    capacity_usage: tuple[Capacity, ...] = ()
    preemption_retries: int | None = None
    consumables: tuple[ConsumableNeed, ...] = ()


class Observation(msgspec.Struct, frozen=True):
    """A report of a job, by one event or one DescribeJobs response: evidence of one transition.

    `invalid_fields` are the names of fields that were left out because their values can't be true.
    """

    job_id: str
    details: Details
    description: Description
    invalid_fields: tuple[str, ...] = ()

    @property
    def transition(self) -> Transition:
        details = self.details
        return Transition(details.status, details.generation, self._entered_at(), details.source)

    def _entered_at(self) -> int:
        """Return when the job entered the status. An event is created when that happens; a repair
        is made long after, so it uses startedAt and stoppedAt where they fit."""
        details = self.details
        if details.source is Source.EVENT:
            return details.time
        stopped = details.stopped_at if is_terminal(details.status) else None
        started = details.started_at if details.status == JobStatus.RUNNING else None
        return stopped or started or details.time


class Job(msgspec.Struct, frozen=True):
    """The join of all observations of one job.

    `history` is sorted by `transition_key`; its last entry is the current status. `lost_above` is
    the greatest key at the time when AWS Batch no longer knew the job: until a transition with a
    greater key is observed, the status is UNKNOWN (docs/adr/0008-lost-above.md).
    """

    job_id: str
    details: Details
    history: tuple[Transition, ...]
    lost_above: TransitionKey | None = None

    @classmethod
    def from_observation(cls, observation: Observation) -> Self:
        return cls(observation.job_id, observation.details, (observation.transition,))

    def observe(self, observation: Observation) -> Self:
        """Return this job joined with an observation. If that adds nothing, return the same
        object, so that nothing is written."""
        takes_precedence = self._is_preceded_by(observation.details)
        details = observation.details if takes_precedence else self.details
        history = self._joined_history([observation.transition], details)
        if details is self.details and history == self.history:
            return self
        return type(self)(self.job_id, details, history, self.lost_above)

    def history_with(self, transitions: Iterable[Transition]) -> tuple[Transition, ...]:
        """Return the history joined with those transitions that precede the current status."""
        current = self._key(self.details.transition_id)
        earlier = [each for each in transitions if self._key(each.transition_id) < current]
        return self._joined_history(earlier, self.details)

    def lost(self) -> Self:
        """Return this job marked as unknown to AWS Batch, or the same object if it is marked or
        has ended."""
        if self.is_terminal or self.is_lost:
            return self
        mark = self._key(self.details.transition_id)
        return type(self)(self.job_id, self.details, self.history, mark)

    def is_unchanged_by(self, details: Details) -> bool:
        """Return whether `details` repeat what is known, except for their time and source. A
        repeated DescribeJobs must not become another observation."""
        known = self.details
        return msgspec.structs.replace(details, time=known.time, source=known.source) == known

    @property
    def status(self) -> str:
        return JobStatus.UNKNOWN if self.is_lost else self.details.status

    @property
    def is_lost(self) -> bool:
        key = self._key(self.details.transition_id)
        return self.lost_above is not None and not self.is_terminal and key <= self.lost_above

    @property
    def since(self) -> int:
        """The time at which the job entered its status."""
        return self.history[-1].at

    @property
    def is_terminal(self) -> bool:
        return is_terminal(self.details.status)

    @property
    def is_ending(self) -> bool:
        """Whether the job was cancelled or terminated before it ran. AWS Batch ends it when it
        comes to the head of its queue, or when the jobs that it depends on have ended."""
        is_requested = bool(self.details.is_cancelled or self.details.is_terminated)
        return is_requested and self.details.status != JobStatus.RUNNING

    @property
    def is_over(self) -> bool:
        """Return whether the job has ended or is lost. Late events may still change a lost job."""
        return self.is_terminal or self.is_lost

    @property
    def last_observed_at(self) -> int:
        """The time of the last event, or of the last repair that changed something."""
        return max(self.details.time, *(transition.at for transition in self.history), 0)

    @property
    def queue(self) -> str:
        """The name of the job queue."""
        return self.details.queue

    @property
    def log_stream_name(self) -> str | None:
        """The log stream of the latest attempt that has one."""
        attempts = self.details.attempts
        is_of_last = bool(attempts) and self.details.status != JobStatus.RUNNING
        if self.details.log_stream_name and not (is_of_last and attempts[-1].never_started):
            return self.details.log_stream_name
        listed = (each.log_stream_name for each in reversed(attempts) if each.has_log)
        return next(listed, None)

    @property
    def log_group(self) -> str | None:
        """The log group of `log_stream_name`."""
        containers = (end for attempt in self.details.attempts for end in attempt.containers)
        stream = self.log_stream_name
        groups = (end.log_group for end in containers if stream and end.log_stream_name == stream)
        return next(groups, self.details.log_group)

    @property
    def service_resource(self) -> str | None:
        """The ARN of the training job that ran the last attempt of a service job."""
        service = self.details.service
        return service.resources[-1] if service and service.resources else None

    @property
    def is_service(self) -> bool:
        """Return whether another AWS service runs the job for AWS Batch: SageMaker."""
        return self.details.service is not None

    @property
    def is_root(self) -> bool:
        """Return whether the job is neither a child of an array nor a node."""
        return ":" not in self.job_id and "#" not in self.job_id

    @property
    def is_parent(self) -> bool:
        """Return whether the job is an array or a multi-node job, of which only the children or
        nodes run."""
        size = self.details.array and self.details.array.size
        return self.is_root and (size, self.details.nodes) != (None, None)

    def _joined_history(
        self, transitions: Iterable[Transition], details: Details
    ) -> tuple[Transition, ...]:
        """Return the union of the history and other transitions, sorted."""
        joined = {transition.transition_id: transition for transition in self.history}
        for transition in transitions:
            known = joined.get(transition.transition_id, transition)
            joined[transition.transition_id] = known.join(transition)
        order = partial(self._order, current=details.transition_id)
        return tuple(sorted(joined.values(), key=order))

    def _is_preceded_by(self, other: Details) -> bool:
        """Return whether `other` takes precedence over the current details: those of the later
        transition, then the later in time.

        A job should not end twice in one generation. If it does, the later end takes precedence,
        and within the same second FAILED, because nobody looks into a success. The last criterion
        is the content itself, so that any two consumers decide alike.
        """
        mine, theirs = self._precedence(self.details), self._precedence(other)
        if mine == theirs:
            return msgspec.json.encode(self.details) < msgspec.json.encode(other)
        return mine < theirs

    def _precedence(self, details: Details) -> tuple[TransitionKey, int, bool]:
        key = self._key(details.transition_id)
        return key, details.time, details.status == JobStatus.FAILED

    def _order(
        self, transition: Transition, current: TransitionId
    ) -> tuple[TransitionKey, bool, int, bool]:
        """Return a sort key that puts the current transition last even if the job has ended twice
        in one generation."""
        is_current = transition.transition_id == current
        is_failed = transition.status == JobStatus.FAILED
        return self._key(transition.transition_id), is_current, transition.at, is_failed

    def _key(self, transition_id: TransitionId) -> TransitionKey:
        return transition_key(*transition_id, of_node="#" in self.job_id)
