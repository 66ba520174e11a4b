"""One simulated job record: its status changes, the events they send, and the expected record."""

from dataclasses import dataclass

from local.workload.attempts import (
    Attempt,
    attempt_details,
    preemption_summary,
    start_attempt,
    without_none,
)
from local.workload.endings import PREEMPTED, Ending
from local.workload.events import (
    DETAIL_TYPE,
    PREEMPTION_DETAIL_TYPE,
    SECOND,
    SERVICE_DETAIL_TYPE,
    STATUSES,
    TERMINAL,
    Detail,
    SimulatedEvent,
)
from local.workload.seeded_random import SeededRandom
from local.workload.submission import Kind

_FLAGS = {"CANCELLED": {"isCancelled": True}, "TERMINATED": {"isTerminated": True}}


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """The complete and correct record of a job after all its events.

    `queue` is the queue's name. `history` has (status, attempt) in the order of the API's
    `history`. `exit_codes` has one entry per finished attempt, None if events contain no exit
    code. `cause` is the API's `failure.cause`. Array children and nodes have a `parent_id` and an
    `index`.
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


class SimulatedJob:
    """A job record that sends an event for each status change, and remembers the change."""

    def __init__(self, random: SeededRandom, kind: Kind, description: Detail) -> None:
        self.kind = kind
        self.description = description
        self.events: list[SimulatedEvent] = []
        self.preemptions: list[SimulatedEvent] = []
        self._random = random
        self._attempts: list[Attempt] = []
        self._transitions: list[tuple[int, str]] = []
        self._ending: Ending | None = None
        self._lists_running_attempt = random.chance(0.5)

    @property
    def job_id(self) -> str:
        return str(self.description["jobId"])

    @property
    def status(self) -> str:
        return self._transitions[-1][1]

    @property
    def has_ended(self) -> bool:
        return bool(self._transitions) and self.status in TERMINAL

    @property
    def last_event_at(self) -> int:
        return self.events[-1].at

    def enter(self, status: str, now: int) -> None:
        """Change to a status that is not terminal. An attempt begins with STARTING, an attempt of
        a service job with SCHEDULED."""
        if status == ("SCHEDULED" if self.kind is Kind.SERVICE else "STARTING"):
            self._attempts.append(start_attempt(self._random, self.kind, self.description))
        if status == "RUNNING":
            self._attempts[-1].started_at = now
        is_retry = status == "RUNNABLE" and self._attempts
        self._send(status, now, self._attempts[-1].status_reason if is_retry else None)

    def stop_attempt(self, now: int, ending: Ending) -> None:
        """End the latest attempt. The next status change sends the attempt's details."""
        attempt = self._attempts[-1]
        attempt.stopped_at = now
        attempt.status_reason = ending.status_reason
        attempt.exit_code = ending.exit_code
        attempt.reason = ending.reason

    def preempt(self, now: int, *, is_last: bool) -> None:
        """End the latest attempt by a preemption, and send both of its events."""
        started = now - self._random.randint(5 * SECOND, 30 * SECOND)
        in_progress = f"PREEMPTION_IN_PROGRESS: {PREEMPTED.status_reason}"
        self._send_preemption("Started", started, "RUNNING", {"statusReason": in_progress})
        self.stop_attempt(now, PREEMPTED)
        self._attempts[-1].is_preempted = True
        status = "FAILED" if is_last else "RUNNABLE"
        self._send_preemption("Completed", now, status, preemption_summary(self._attempts))

    def end(self, now: int, ending: Ending) -> None:
        self._ending = ending
        flags = {} if self.kind is Kind.SERVICE else _FLAGS.get(ending.cause or "", {})
        self._send(ending.status, now, ending.status_reason, {"stoppedAt": now, **flags})

    def expected_record(self) -> ExpectedRecord:
        root, separator, index = self.job_id.replace("#", ":").partition(":")
        finished = [attempt for attempt in self._attempts if attempt.stopped_at]
        return ExpectedRecord(
            job_id=self.job_id,
            job_name=self.description["jobName"],
            queue=self.description["jobQueue"].rpartition("/")[2],
            status=self.status,
            history=tuple(
                (status, _attempt_number(generation, status))
                for generation, status in sorted(self._transitions, key=self._history_order)
            ),
            exit_codes=tuple(attempt.exit_code for attempt in finished),
            cause=self._ending.cause if self._ending else None,
            parent_id=root if separator else None,
            index=int(index) if separator else None,
        )

    def _send(
        self, status: str, now: int, status_reason: str | None, fields: Detail | None = None
    ) -> None:
        finished = [attempt for attempt in self._attempts if attempt.stopped_at is not None]
        starts = [a.started_at for a in self._attempts if a.started_at is not None]
        latest = self._attempts[-1] if self._attempts else None
        lists_all = status == "RUNNING" and self._lists_running_attempt
        listed = self._attempts if lists_all else finished
        detail = {
            **self.description,
            "status": status,
            **without_none(statusReason=status_reason, startedAt=starts[-1] if starts else None),
            **(fields or {}),
            **attempt_details(self.kind, self.description, latest, listed),
        }
        sent_at = now + self._random.randint(-300, 1_100)
        is_service = self.kind is Kind.SERVICE
        detail_type = SERVICE_DETAIL_TYPE if is_service else DETAIL_TYPE
        self.events.append(SimulatedEvent(sent_at, self.job_id, detail, detail_type))
        self._transitions.append((len(finished), status))

    def _send_preemption(self, step: str, at: int, status: str, fields: Detail) -> None:
        detail = {"preemptedJobArn": self.description["jobArn"], "status": status, **fields}
        detail_type = f"{PREEMPTION_DETAIL_TYPE} {step}"
        self.preemptions.append(SimulatedEvent(at, self.job_id, detail, detail_type))

    def _history_order(self, transition: tuple[int, str]) -> tuple[int, int, int]:
        """Return the sort key of a transition. Only nodes can leave a terminal status, when a
        retry of the main node restarts them."""
        generation, status = transition
        is_terminal, rank = status in TERMINAL, STATUSES.index(status)
        if "#" in self.job_id:
            return generation, is_terminal, rank
        return is_terminal, generation, rank


def _attempt_number(finished_attempts: int, status: str) -> int | None:
    """Return the attempt that a status belongs to; None before the first attempt."""
    if status in TERMINAL:
        return finished_attempts or None
    if finished_attempts or status in ("SCHEDULED", "STARTING", "RUNNING"):
        return finished_attempts + 1
    return None
