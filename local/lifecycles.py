"""The lives of simulated AWS Batch jobs: what Batch says of them, and what is true of them.

`make run`, `make simulate` and the tests draw their jobs from here, so that they all speak of the
same Batch: its states, retries, dependencies, arrays and multi-node jobs. This module must not
know how events travel, who records them or what time it is: a seed gives the same lives for ever.
It shares no code with chalicelib either, on purpose: a mistake of the product must not be in the
truth as well.

    workload(seed, jobs, start) -> Workload
        events       one for each change of state, as Batch would send them, in order of time
        preemptions  the steps of service jobs' preemptions, which Batch tells besides
        truth        what a perfect record of each job says in the end
        secrets      every secret that was planted in the events, to be found nowhere afterwards

Times are epoch milliseconds throughout. Events share the parts that don't change (tags, commands,
environments): copy a detail deeply before changing it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from local.job_details import (
    HOUR,
    MINUTE,
    SECOND,
    Attempt,
    Detail,
    Dice,
    Kind,
    base_arn,
    child,
    describe,
    describe_service,
    known,
    node,
    preemption_summary,
    show,
    start_attempt,
)

REGION = "us-east-1"
ACCOUNT = "000000000000"
DETAIL_TYPE = "Batch Job State Change"
SERVICE_DETAIL_TYPE = "Batch Service Job State Change"
PREEMPTION_DETAIL_TYPE = "Batch Service Job Preemption"
QUEUES = tuple(
    f"arn:aws:batch:{REGION}:{ACCOUNT}:job-queue/{name}"
    for name in ("high-priority", "low-priority", "spot", "gpu", "training")
)

STATUSES = (
    *("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING"),
    *("SUCCEEDED", "FAILED"),
)
TERMINAL = frozenset({"SUCCEEDED", "FAILED"})


@dataclass(frozen=True, slots=True)
class SimulatedEvent:
    """A change of state, or a step of a preemption: the detail of the event, and when Batch sends
    it."""

    at: int
    job_id: str
    detail: Detail
    detail_type: str = DETAIL_TYPE

    @property
    def is_state_change(self) -> bool:
        return self.detail_type in (DETAIL_TYPE, SERVICE_DETAIL_TYPE)


@dataclass(frozen=True, slots=True)
class Truth:
    """What a perfect record of one job says once all its events have been heard.

    `queue` is the queue's name. `history` holds (status, attempt) in the order of the API's
    `history`. `exit_codes` has one entry a finished attempt, None where no exit code was told.
    `cause` is the API's `failure.cause`. `parent_id` and `index` belong to children and nodes.
    """

    job_id: str
    job_name: str
    queue: str
    status: str
    history: tuple[tuple[str, int | None], ...]
    exit_codes: tuple[int | None, ...]
    cause: str | None
    parent_id: str | None
    index: int | None

    @property
    def attempts(self) -> int:
        """The number of finished attempts."""
        return len(self.exit_codes)


@dataclass(frozen=True, slots=True)
class Workload:
    """Some lives from beginning to end; see the module's docstring."""

    events: list[SimulatedEvent]
    preemptions: list[SimulatedEvent]
    truth: dict[str, Truth]
    secrets: set[str]

    @property
    def told(self) -> list[SimulatedEvent]:
        """All that Batch sends, in order of time."""
        return sorted([*self.events, *self.preemptions], key=lambda event: event.at)


def workload(seed: int, jobs: int, start: int, queues: Sequence[str] = QUEUES) -> Workload:
    """The lives of exactly `jobs` job records, array children and nodes included.

    The first is submitted at `start`. A queue (an ARN) with "spot" in its name loses hosts now
    and then; in one with "gpu", jobs ask for GPUs; one with "training" holds service jobs only.
    """
    batch = _Batch(Dice(seed), queues)
    created = start
    while (room := jobs - len(batch.lives)) > 0:
        batch.submit(created, room)
        created += int(batch.jitter.expovariate(1 / (10 * SECOND)))
    events = [event for life in batch.lives for event in life.events]
    preemptions = [event for life in batch.lives for event in life.preemptions]
    return Workload(
        events=sorted(events, key=lambda event: event.at),
        preemptions=sorted(preemptions, key=lambda event: event.at),
        truth={life.job_id: life.truth() for life in batch.lives},
        secrets=batch.jitter.secrets,
    )


def envelope(
    event: SimulatedEvent,
    *,
    source: str = "aws.batch",
    account: str = ACCOUNT,
    region: str = REGION,
    id: str | None = None,
) -> dict[str, Any]:
    """The whole EventBridge event; its time is cut to the second, as AWS does.

    Without an `id` it gets one that is always the same; a duplicate may come under another.
    """
    return {
        "version": "0",
        "id": id or str(uuid5(NAMESPACE_URL, f"{event.detail_type} {event.job_id} {event.at}")),
        "detail-type": event.detail_type,
        "source": source,
        "account": account,
        "time": datetime.fromtimestamp(event.at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [job_arn(event.detail)],
        "detail": event.detail,
    }


def job_arn(detail: Detail) -> str:
    """The job's ARN; events of 2017 did not carry it, so there it is put together."""
    told = detail.get("jobArn") or detail.get("preemptedJobArn")
    return str(told or f"{base_arn(detail['jobQueue'])}:job/{detail['jobId']}")


def retimed(event: SimulatedEvent, clock: Callable[[int], int]) -> SimulatedEvent:
    """The same event by another clock, as are all the times that it tells of."""

    def moved(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {name: moved(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [moved(inner) for inner in value]
        return clock(value) if name in _TIMES else value

    return replace(event, at=clock(event.at), detail=moved(event.detail))


_TIMES = frozenset({"createdAt", "startedAt", "stoppedAt"})


# ------------------------------------------------------------------ how a job, or a try, can end


@dataclass(frozen=True, slots=True)
class _Ending:
    """How an attempt ends, or the wait for one.

    `cause` is None for success. `strikes` is the state that it strikes in: only from STARTING on
    is there an attempt to end. Batch never retries after a `final` one.
    """

    cause: str | None
    status_reason: str | None
    exit_code: int | None = None
    reason: str | None = None
    strikes: str = "RUNNING"
    final: bool = False

    @property
    def status(self) -> str:
        return "FAILED" if self.cause else "SUCCEEDED"


_EXITED = "Essential container in task exited"
_SUCCESS = _Ending(None, _EXITED, exit_code=0)
_CHILDREN_SUCCEEDED = _Ending(None, None)
_CHILD_FAILED = _Ending("CHILD_FAILED", "Array Child Job failed")
_DEPENDENCY_FAILED = _Ending("DEPENDENCY_FAILED", "Dependent Job failed")
_OUT_OF_MEMORY = _Ending(
    "OUT_OF_MEMORY", _EXITED, 137, "OutOfMemoryError: Container killed due to memory usage"
)
_CANCELLED = _Ending(
    "CANCELLED", "Canceled by user: superseded by a later run", strikes="RUNNABLE", final=True
)
_TIME_LIMIT = _Ending(
    "TIME_LIMIT",
    "Canceled by JobStateTimeLimit action due to reason: CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
    strikes="RUNNABLE",
    final=True,
)
_TRAINED = _Ending(None, "Received status from SageMaker: Training job completed")
_ALGORITHM_ERROR = _Ending(
    "EXIT_CODE",
    "Received status from SageMaker: AlgorithmError: ExecuteUserScriptError:\nExitCode 1\n"
    'ErrorMessage "ValueError: could not convert string to float"',
)
_INTERNAL_ERROR = _Ending("UNKNOWN", "Received status from SageMaker: InternalServerError")
_PREEMPTED = _Ending(
    "PREEMPTED", "Cross-share preemption triggered to reclaim borrowed capacity", final=True
)
_FLAGS = {"CANCELLED": {"isCancelled": True}, "TERMINATED": {"isTerminated": True}}
_POD_REASONS = {None: "Completed", "OUT_OF_MEMORY": "OOMKilled"}


def _program_error(jitter: Dice) -> _Ending:
    """Its own exit code; now and then a container also says why, and says too much."""
    reason = f"upload refused: TOKEN={jitter.secret()}" if jitter.chance(0.1) else None
    return _Ending("EXIT_CODE", _EXITED, jitter.choice((1, 1, 1, 2, 64, 127, 139)), reason)


def _timeout(jitter: Dice) -> _Ending:
    reason = "Job attempt duration exceeded timeout"
    return _Ending("TIMEOUT", reason, jitter.choice((137, None)), final=True)


def _terminated(jitter: Dice) -> _Ending:
    reason = f"Terminated by user: wrong reference in run {jitter.randint(100, 999)}"
    return _Ending("TERMINATED", reason, jitter.choice((137, 143, None)), final=True)


def _host_lost(jitter: Dice) -> _Ending:
    return _Ending("SPOT_INTERRUPTION", f"Host EC2 (instance i-{jitter.hex(17)}) terminated.")


def _image_missing(jitter: Dice) -> _Ending:
    reason = (
        "CannotPullContainerError: Error response from daemon: manifest for "
        f"registry.example.org/lab:{jitter.hex(7)} not found: manifest unknown"
    )
    return _Ending("IMAGE_PULL", "Task failed to start", reason=reason, strikes="STARTING")


def _ending(jitter: Dice, kind: Kind, description: Detail) -> _Ending:
    """One of the endings that such a job can have, in the words of the kind."""
    on_ecs = kind is not Kind.EKS
    weights: dict[_Ending | Callable[[Dice], _Ending], int] = {
        _SUCCESS: 70,
        _program_error: 9,
        _OUT_OF_MEMORY: 4,
        _timeout: 3 if "timeout" in description else 0,
        _terminated: 3,
        _host_lost: 25 if on_ecs and "spot" in description["jobQueue"] else 0,
        _image_missing: 3 if on_ecs else 0,
        _CANCELLED: 3,
        _TIME_LIMIT: 1,
    }
    drawn = jitter.choices(list(weights), list(weights.values()))[0]
    ending = drawn if isinstance(drawn, _Ending) else drawn(jitter)
    if kind is Kind.FARGATE and ending.cause == "SPOT_INTERRUPTION":
        return replace(ending, status_reason="Your Spot Task was interrupted.")
    if kind is Kind.EKS and ending.status_reason == _EXITED:
        reason = _POD_REASONS.get(ending.cause) or ending.reason or "Error"
        return replace(ending, status_reason=None, reason=reason)
    return ending


def _endings(jitter: Dice, kind: Kind, description: Detail) -> list[_Ending]:
    """One for each attempt; what broke the last often breaks the next as well."""
    endings = [_ending(jitter, kind, description)]
    while _is_retried(endings[-1], description["retryStrategy"], finished=len(endings)):
        alike = jitter.chance(0.6)
        endings.append(endings[-1] if alike else _ending(jitter, kind, description))
    return endings


def _is_retried(ending: _Ending, strategy: Detail, finished: int) -> bool:
    """Of the strategy's rules the first that matches decides; without one, Batch retries."""
    if ending.cause is None or ending.final or finished >= strategy["attempts"]:
        return False
    for rule in strategy.get("evaluateOnExit", ()):
        if _matches(rule, ending):
            return bool(rule["action"] == "RETRY")
    return True


def _matches(rule: Detail, ending: _Ending) -> bool:
    told = {
        "onStatusReason": ending.status_reason or "",
        "onReason": ending.reason or "",
        "onExitCode": "" if ending.exit_code is None else str(ending.exit_code),
    }
    return all(fnmatchcase(told[on], rule[on]) for on in told.keys() & rule.keys())


# ------------------------------------------------------------------ one job record


class _Life:
    """One job record on its way; every change of state adds its event and its line of history."""

    def __init__(self, jitter: Dice, kind: Kind, description: Detail) -> None:
        self.jitter = jitter
        self.kind = kind
        self.description = description
        self.events: list[SimulatedEvent] = []
        self.preemptions: list[SimulatedEvent] = []
        self._attempts: list[Attempt] = []
        self._transitions: list[tuple[int, str]] = []
        self._ending: _Ending | None = None
        self._lists_open_attempts = jitter.chance(0.5)

    @property
    def job_id(self) -> str:
        return str(self.description["jobId"])

    @property
    def status(self) -> str:
        return self._transitions[-1][1]

    @property
    def is_over(self) -> bool:
        return bool(self._transitions) and self.status in TERMINAL

    @property
    def ended(self) -> int:
        """When its last state was entered."""
        return self.events[-1].at

    def enter(self, status: str, now: int) -> None:
        """One change of state that is not the end; STARTING begins an attempt, SCHEDULED one of a
        service job."""
        if status == ("SCHEDULED" if self.kind is Kind.SERVICE else "STARTING"):
            self._attempts.append(start_attempt(self.jitter, self.kind, self.description))
        if status == "RUNNING":
            self._attempts[-1].started = now
        returns = status == "RUNNABLE" and self._attempts
        self._tell(status, now, self._attempts[-1].status_reason if returns else None)

    def stop(self, now: int, ending: _Ending) -> None:
        """The attempt is over; what comes next tells of it."""
        attempt = self._attempts[-1]
        attempt.stopped = now
        attempt.status_reason = ending.status_reason
        attempt.exit_code = ending.exit_code
        attempt.reason = ending.reason

    def preempt(self, now: int, *, is_last: bool) -> None:
        """The attempt is over, and Batch tells it in three ways, this one in two steps."""
        started = now - self.jitter.randint(5 * SECOND, 30 * SECOND)
        in_progress = f"PREEMPTION_IN_PROGRESS: {_PREEMPTED.status_reason}"
        self._tell_preemption("Started", started, "RUNNING", {"statusReason": in_progress})
        self.stop(now, _PREEMPTED)
        self._attempts[-1].preempted = True
        status = "FAILED" if is_last else "RUNNABLE"
        self._tell_preemption("Completed", now, status, preemption_summary(self._attempts))

    def end(self, now: int, ending: _Ending) -> None:
        self._ending = ending
        extra = {} if self.kind is Kind.SERVICE else _FLAGS.get(ending.cause or "", {})
        self._tell(ending.status, now, ending.status_reason, {"stoppedAt": now, **extra})

    def truth(self) -> Truth:
        root, mark, index = self.job_id.replace("#", ":").partition(":")
        finished = [attempt for attempt in self._attempts if attempt.stopped]
        return Truth(
            job_id=self.job_id,
            job_name=self.description["jobName"],
            queue=self.description["jobQueue"].rpartition("/")[2],
            status=self.status,
            history=tuple(
                (status, _attempt(generation, status))
                for generation, status in sorted(self._transitions, key=self._place_in_history)
            ),
            exit_codes=tuple(attempt.exit_code for attempt in finished),
            cause=self._ending.cause if self._ending else None,
            parent_id=root if mark else None,
            index=int(index) if mark else None,
        )

    def _tell(self, status: str, now: int, reason: str | None, extra: Detail | None = None) -> None:
        finished = [a for a in self._attempts if a.stopped is not None]
        shows_open = status == "RUNNING" and self._lists_open_attempts
        started = [a.started for a in self._attempts if a.started is not None]
        latest = self._attempts[-1] if self._attempts else None
        detail = {
            **self.description,
            "status": status,
            **known(statusReason=reason, startedAt=started[-1] if started else None),
            **(extra or {}),
            **show(self.kind, self.description, latest, self._attempts if shows_open else finished),
        }
        sent = now + self.jitter.randint(-300, 1_100)
        is_service = self.kind is Kind.SERVICE
        kind = SERVICE_DETAIL_TYPE if is_service else DETAIL_TYPE
        self.events.append(SimulatedEvent(sent, self.job_id, detail, kind))
        self._transitions.append((len(finished), status))

    def _tell_preemption(self, step: str, at: int, status: str, told: Detail) -> None:
        detail = {"preemptedJobArn": self.description["jobArn"], "status": status, **told}
        kind = f"{PREEMPTION_DETAIL_TYPE} {step}"
        self.preemptions.append(SimulatedEvent(at, self.job_id, detail, kind))

    def _place_in_history(self, transition: tuple[int, str]) -> tuple[int, int, int]:
        """A node's terminal state may be left, when the main node's retry restarts it."""
        generation, status = transition
        terminal, rank = status in TERMINAL, STATUSES.index(status)
        if "#" in self.job_id:
            return generation, terminal, rank
        return terminal, generation, rank


def _attempt(generation: int, status: str) -> int | None:
    """Which attempt a state belongs to, given the finished ones; None before anything ran."""
    if status in TERMINAL:
        return generation or None
    if generation or status in ("SCHEDULED", "STARTING", "RUNNING"):
        return generation + 1
    return None


# ------------------------------------------------------------------ all of them


class _Batch:
    """Batch itself: takes submissions, and moves every job to its end before it takes another."""

    def __init__(self, jitter: Dice, queues: Sequence[str]) -> None:
        self.jitter = jitter
        self.queues = [queue for queue in queues if "training" not in queue]
        self.service_queues = [queue for queue in queues if "training" in queue]
        self.lives: list[_Life] = []
        self._roots: list[_Life] = []

    def submit(self, created: int, room: int) -> None:
        """One job, at most `room` records large."""
        kinds = {
            self._single: 88 if self.queues else 0,
            self._array: 8 if self.queues and room >= 3 else 0,
            self._multi_node: 4 if self.queues and room >= 3 else 0,
            self._service: 12 if self.service_queues else 0,
        }
        submit = self.jitter.choices(list(kinds), list(kinds.values()))[0]
        life = submit(created, room)
        if life.kind is not Kind.SERVICE:
            self._roots.append(life)

    def _single(self, created: int, room: int) -> _Life:
        kinds = (Kind.EC2, Kind.FARGATE, Kind.LEGACY, Kind.ECS, Kind.EKS)
        kind = self.jitter.choices(kinds, (60, 15, 8, 8, 9))[0]
        recent = self._roots[-20:] if self.jitter.chance(0.15) else []
        needed = self.jitter.sample(recent, min(len(recent), self.jitter.randint(1, 3)))
        life = self._born(kind, created, depends_on=[each.job_id for each in needed])
        if needed:
            self._await(life, needed, created)
        else:
            self._run([life], created)
        return life

    def _array(self, created: int, room: int) -> _Life:
        """The parent is PENDING while its children run, and ends after the last of them."""
        kind = self.jitter.choice((Kind.EC2, Kind.EC2, Kind.FARGATE))
        parent = self._born(kind, created)
        size = min(room - 1, self.jitter.between(2, 200))
        spawned = created + self._pause()
        _summarize(parent, size, ["RUNNABLE"] * size)
        parent.enter("PENDING", spawned)
        children = [
            self._record(kind, child(parent.description, index, spawned)) for index in range(size)
        ]
        for each in children:
            self._run([each], spawned)
        _summarize(parent, size, [each.status for each in children])
        failed = any(each.status == "FAILED" for each in children)
        last = max(each.ended for each in children)
        parent.end(last + self._pause(), _CHILD_FAILED if failed else _CHILDREN_SUCCEEDED)
        return parent

    def _multi_node(self, created: int, room: int) -> _Life:
        size = min(room - 1, self.jitter.randint(2, 8))
        parent = self._born(Kind.MULTI_NODE, created, nodes=size)
        main, *others = [
            self._record(Kind.EC2, node(parent.description, index)) for index in range(size)
        ]
        self._run([parent, main], created, others)
        return parent

    def _service(self, created: int, room: int) -> _Life:
        """Trained to its end, preempted now and then on the way."""
        queue = self.jitter.choice(self.service_queues)
        life = self._record(Kind.SERVICE, describe_service(self.jitter, queue, created))
        allowed = life.description["preemptionConfiguration"]["preemptionRetriesBeforeTermination"]
        attempts, now, tried, preempted = life.description["retryStrategy"], created, 0, 0
        ending: _Ending | None = None
        while ending is None:
            now, struck = self._train(life, now)
            if struck is _PREEMPTED:
                preempted += 1
                is_last = preempted > allowed
                life.preempt(now, is_last=is_last)
            elif struck is not _CANCELLED:
                life.stop(now, struck)
                tried += 1
                is_last = not _is_retried(struck, attempts, tried)
            else:
                is_last = True
            ending = struck if is_last else None
        life.end(now, ending)
        return life

    def _train(self, life: _Life, now: int) -> tuple[int, _Ending]:
        """From RUNNABLE to the moment that the ending strikes."""
        endings = (_TRAINED, _ALGORITHM_ERROR, _INTERNAL_ERROR, _PREEMPTED, _CANCELLED)
        [ending] = self.jitter.choices(endings, (60, 12, 3, 22, 3))
        now += self._pause()
        life.enter("RUNNABLE", now)
        now += self.jitter.between(MINUTE, 30 * MINUTE)
        if ending is not _CANCELLED:
            for status in ("SCHEDULED", "STARTING", "RUNNING"):
                life.enter(status, now)
                now += self.jitter.between(20 * SECOND, 4 * MINUTE)
            now += self.jitter.between(2 * MINUTE, HOUR)
        return now, ending

    def _born(
        self, kind: Kind, created: int, nodes: int = 0, depends_on: Sequence[str] = ()
    ) -> _Life:
        queue = self.jitter.choice(self.queues)
        life = self._record(kind, describe(self.jitter, kind, queue, created, nodes, depends_on))
        if self.jitter.chance(
            0.03
        ):  # AWS says that there is no such event; tolerate it all the same
            life.enter("SUBMITTED", created)
        return life

    def _record(self, kind: Kind, description: Detail) -> _Life:
        life = _Life(self.jitter, kind, description)
        self.lives.append(life)
        return life

    def _await(self, life: _Life, needed: Sequence[_Life], created: int) -> None:
        """PENDING until all that it depends on has succeeded, or until the first has failed."""
        pending = created + self._pause()
        life.enter("PENDING", pending)
        failures = [each.ended for each in needed if each.status == "FAILED"]
        resolved = min(failures) if failures else max(each.ended for each in needed)
        now = max(pending, resolved) + self._pause()
        if self.jitter.chance(0.05):
            life.end(self.jitter.randint(pending + 2 * SECOND, now), _CANCELLED)
        elif failures:
            life.end(now, _DEPENDENCY_FAILED)
        else:
            self._run([life], now)

    def _run(self, leaders: Sequence[_Life], now: int, followers: Sequence[_Life] = ()) -> None:
        """Attempt by attempt to the end.

        The leaders move as one. Followers are a multi-node job's other nodes: they end with each
        attempt, and are started again when the main node's next attempt starts.
        """
        everyone = [*leaders, *followers]
        asked = leaders[-1]
        *retried, last = _endings(self.jitter, asked.kind, asked.description)
        for ending in retried:
            now = self._try(everyone, ending, now)
            for life in followers:
                life.end(now, ending)
        now = self._try(everyone, last, now)
        for life in everyone:
            if not life.is_over:
                life.end(now, last)

    def _try(self, lives: Sequence[_Life], ending: _Ending, now: int) -> int:
        """From RUNNABLE to the moment that the ending strikes; returns that moment."""
        now += self._pause()
        _enter("RUNNABLE", now, [life for life in lives if not life.is_over])
        now += self.jitter.between(MINUTE, 30 * MINUTE)
        if ending.strikes == "RUNNABLE":
            return now
        _enter("STARTING", now, lives)
        now += self.jitter.between(20 * SECOND, 4 * MINUTE)
        if ending.strikes == "RUNNING":
            _enter("RUNNING", now, lives)
            now += self._running_time(lives[0].description, ending)
        for life in lives:
            life.stop(now, ending)
        return now

    def _running_time(self, description: Detail, ending: _Ending) -> int:
        timeout = description.get("timeout", {"attemptDurationSeconds": 2 * HOUR // SECOND})
        longest = timeout["attemptDurationSeconds"] * SECOND
        return longest if ending.cause == "TIMEOUT" else self.jitter.between(2 * MINUTE, longest)

    def _pause(self) -> int:
        """The time that Batch takes between two steps of its own; longer than events jitter."""
        return self.jitter.randint(2 * SECOND, 8 * SECOND)


def _enter(status: str, now: int, lives: Sequence[_Life]) -> None:
    for life in lives:
        life.enter(status, now)


def _summarize(parent: _Life, size: int, statuses: Sequence[str]) -> None:
    """How an array's children fare, as their parent tells it."""
    summary = {s: 0 for s in STATUSES if s != "SCHEDULED"} | Counter(statuses)
    parent.description["arrayProperties"] = {"size": size, "statusSummary": summary}
