"""Each row of docs/waiting.md: what the job, its queue and the room report of a state."""

import re
from collections.abc import Callable
from itertools import takewhile
from typing import Any, NamedTuple

import pytest

from local.aws import ROOT, LocalAws, Resources
from local.batch import an_environment
from tests.support.api_harness import Api
from tests.support.builders import TRAINING_QUEUE_ARN
from tests.support.simulation.situations import (
    INVALID,
    NO_CAPACITY,
    TOO_LARGE,
    Stage,
    a_stage,
)

QUEUE = "high-priority"
KINDS = {"⛔": "QUEUE_BLOCKED", "⏳": "STUCK"}


class Row(NamedTuple):
    """A row of the table. `fields` are those of the queue."""

    cause: str | None
    fields: list[str]
    notice: str


def _rows() -> dict[str, Row]:
    lines = iter((ROOT / "docs" / "waiting.md").read_text().splitlines())
    next(line for line in lines if line.startswith("|---"))
    rows = {}
    for line in takewhile(bool, lines):
        state, cause, queue, notice = (cell.strip() for cell in line[1:-1].split("|"))
        stated = None if cause.startswith("`null`") else cause
        rows[state] = Row(stated, re.findall(r"`(\w+)", queue), notice)
    return rows


ROWS = _rows()
State = Callable[[Stage], str]
"""Brings about a state, and returns the id of the job that waits."""


def _job(stage: Stage, status: str = "RUNNABLE", **fields: Any) -> str:
    return stage.job(status, minutes=45, **fields)


def _cancelled(stage: Stage) -> str:
    return _job(stage, isCancelled=True)


def _pending(stage: Stage) -> str:
    needed = stage.job("RUNNING")
    return _job(stage, "PENDING", dependsOn=[{"jobId": needed}])


def _queue(*environments: dict[str, Any], **fields: Any) -> State:
    def set_up(stage: Stage) -> str:
        stage.queue(QUEUE, *environments, **fields)
        return _job(stage)

    return set_up


def _stated(reason: str) -> State:
    def set_up(stage: Stage) -> str:
        head = _job(stage, statusReason=reason)
        _job(stage)
        stage.block(head)
        return head

    return set_up


def _too_large(stage: Stage) -> str:
    requested = [{"type": "VCPU", "value": "512"}, {"type": "MEMORY", "value": "1024"}]
    return _job(stage, container={"resourceRequirements": requested})


def _beside_a_running_job(set_up: State) -> State:
    def set_up_both(stage: Stage) -> str:
        job_id = set_up(stage)
        stage.change(stage.copy(job_id), "RUNNING", minutes=44)
        return job_id

    return set_up_both


def _consumable(*, quantity: int, in_use: int) -> State:
    def set_up(stage: Stage) -> str:
        stage.batch.put_consumable_resource("licence", total=10, in_use=in_use)
        arn = "arn:aws:batch:us-east-1:000000000000:consumable-resource/licence"
        needs = {"consumableResourceList": [{"consumableResource": arn, "quantity": quantity}]}
        return _job(stage, consumableResourceProperties=needs)

    return set_up


def _share(**fields: Any) -> State:
    def set_up(stage: Stage) -> str:
        stage.queue("training", jobQueueType="SAGEMAKER_TRAINING")
        stage.batch.put_quota_share("training", "team-a", limit=4, in_use=4, **fields)
        return _job(
            stage,
            jobQueue=TRAINING_QUEUE_ARN,
            serviceJobType="SAGEMAKER_TRAINING",
            quotaShareName="team-a",
        )

    return set_up


def _jobs_ahead(stage: Stage) -> str:
    for _ in range(3):
        _job(stage)
    stage.finish(_job(stage))
    return _job(stage)


STATES: list[tuple[str, State, set[str]]] = [
    ("The job was cancelled or terminated, and still waits.", _cancelled, set()),
    ("PENDING, and jobs that it depends on have not ended.", _pending, set()),
    (
        "The queue is DISABLED.",
        _queue(an_environment("spot-a"), state="DISABLED"),
        {"QUEUE_BLOCKED"},
    ),
    (
        "The queue is INVALID.",
        _queue(an_environment("spot-a"), status="INVALID", statusReason="x"),
        {"QUEUE_BLOCKED"},
    ),
    (
        "All environments are INVALID, or DISABLED and INVALID.",
        _queue(an_environment("spot-a", **INVALID), an_environment("spot-b", state="DISABLED")),
        {"QUEUE_BLOCKED"},
    ),
    (
        "All environments are DISABLED.",
        _queue(an_environment("spot-b", state="DISABLED")),
        {"QUEUE_BLOCKED"},
    ),
    (
        "AWS Batch states a reason about the job, except that there is no capacity.",
        _stated(TOO_LARGE),
        {"QUEUE_BLOCKED", "STUCK"},
    ),
    (
        "The job requests more vCPUs than any environment may have.",
        _too_large,
        {"STUCK"},
    ),
    (
        "The job needs more of a consumable resource than there is.",
        _consumable(quantity=11, in_use=0),
        {"STUCK"},
    ),
    (
        "All environments that can be used are at their limit.",
        _beside_a_running_job(_queue(an_environment("spot-a", desired=256))),
        set(),
    ),
    (
        "All environments that can be used are at their limit.",
        _queue(an_environment("spot-a", desired=256)),
        {"STUCK"},
    ),
    (
        "A consumable resource that it needs is in use.",
        _beside_a_running_job(_consumable(quantity=4, in_use=10)),
        set(),
    ),
    (
        "A consumable resource that it needs is in use.",
        _consumable(quantity=1, in_use=10),
        {"STUCK"},
    ),
    ("Its quota share is DISABLED.", _share(state="DISABLED"), {"STUCK"}),
    (
        "Its quota share uses all that it may use, borrowed capacity included.",
        _beside_a_running_job(_share()),
        set(),
    ),
    (
        "Its quota share uses all that it may use, borrowed capacity included.",
        _share(),
        {"STUCK"},
    ),
    (
        "AWS Batch states that there is no capacity.",
        _stated(NO_CAPACITY),
        {"QUEUE_BLOCKED", "STUCK"},
    ),
    ("Other jobs are ahead of it.", _jobs_ahead, set()),
    ("None of these.", _queue(an_environment("spot-a")), {"STUCK"}),
]


@pytest.mark.parametrize(("state", "set_up", "kinds"), STATES)
def test_job_queue_and_notice_report_a_state_as_documented(
    aws: LocalAws, resources: Resources, api: Api, state: str, set_up: State, kinds: set[str]
) -> None:
    row = ROWS[state]
    with a_stage(aws, resources) as stage:
        job_id = set_up(stage)
        stage.pass_time(40, every=20)
        messages = stage.messages()
    job = api.get(f"/jobs/{job_id}").body
    queue = api.get(f"/queues/{job['jobQueue']}").body

    sent = {KINDS[message.removeprefix("↳ ")[0]] for message in messages}
    assert job["waiting"]["cause"] == row.cause
    assert [name for name in row.fields if not queue[name]] == []
    assert sent == kinds
    assert sent <= set(re.findall(r"`(\w+)`", row.notice))
    assert sent or row.notice.startswith("none")


def test_every_row_is_tested() -> None:
    assert {state for state, _, _ in STATES} == set(ROWS)
