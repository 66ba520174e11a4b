"""Reads the events of simulated jobs, independently of the code that creates them."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from local.workload import TERMINAL, SimulatedEvent

START = 1_780_000_000_000
"""When the first job is submitted, in epoch milliseconds."""


def by_job(events: Iterable[SimulatedEvent]) -> dict[str, list[SimulatedEvent]]:
    jobs = defaultdict(list)
    for event in events:
        jobs[event.job_id].append(event)
    return dict(jobs)


def is_service(event: SimulatedEvent) -> bool:
    return event.detail_type == "Batch Service Job State Change"


def attempts_in(event: SimulatedEvent) -> list[dict[str, Any]]:
    """Return all attempts of the event, in order."""
    preempted = event.detail.get("preemptionSummary", {}).get("recentPreemptedAttempts", [])
    listed = [*event.detail["attempts"], *event.detail.get("eksAttempts", [])]
    if not preempted:
        return listed
    return sorted([*listed, *preempted], key=lambda attempt: attempt.get("stoppedAt", math.inf))


def finished_attempts_in(event: SimulatedEvent) -> list[dict[str, Any]]:
    return [attempt for attempt in attempts_in(event) if "stoppedAt" in attempt]


def exit_code_of(attempt: dict[str, Any]) -> int | None:
    """Return the exit code of the main container."""
    tasks = attempt.get("taskProperties", [attempt])
    containers = [c for task in tasks for c in task.get("containers", [])] or [
        attempt.get("container", {})
    ]
    return containers[0].get("exitCode")


def transition_in(event: SimulatedEvent) -> tuple[int, str]:
    """Return the number of finished attempts, and the status."""
    return len(finished_attempts_in(event)), event.detail["status"]


def history_entry_of(event: SimulatedEvent) -> tuple[str, int | None]:
    """Return the status and the attempt that it belongs to."""
    finished, status = transition_in(event)
    if status in TERMINAL:
        return status, finished or None
    has_begun = finished or status in ("SCHEDULED", "STARTING", "RUNNING")
    return status, finished + 1 if has_begun else None


def reason_of(event: SimulatedEvent) -> str:
    return str(event.detail.get("statusReason", ""))
