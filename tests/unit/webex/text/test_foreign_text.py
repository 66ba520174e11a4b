"""Text from events can't change the structure of a message, its links or its length limit."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from chalicelib.jobs.job import Transition
from chalicelib.notices.notice import CHILD_FAILED
from chalicelib.queues.missing_events import MissingEvents
from chalicelib.webex.limits import MAX_MESSAGE_BYTES
from chalicelib.webex.text import ArrayOutcome
from tests.support.rendering import Rendered, autolinks, rendered
from tests.support.samples.injection_samples import INJECTIONS, texts
from tests.support.samples.notice_samples import (
    DESCRIPTION,
    ENDED,
    HOUR,
    TEXT,
    a_bulk_incident,
    a_job,
    a_waiting_job,
    an_array,
    an_ended_job,
    blocked_by,
    job_context,
    job_message,
    queue_context,
    queue_message,
)


def messages_with(foreign: str) -> list[str]:
    """Return a message of each kind, with the text wherever text from an event can appear."""
    names: dict[str, Any] = {"name": foreign, "queue": foreign}
    failed = an_ended_job(reason=foreign, **names)
    waiting = a_waiting_job(status_reason=f"CAPACITY {foreign}", **names)
    cancelled = a_job(status_reason=f"Canceled by user: {foreign}", **names)
    history = (Transition("RUNNABLE", 0, ENDED - HOUR), Transition("RUNNING", 0, ENDED))
    outcome = ArrayOutcome(9, 0, 2, (1,), {foreign: 1, f"{foreign} again": 1})
    blocked = blocked_by(foreign, f"CAPACITY {foreign}")
    return [
        job_message(failed),
        job_message(a_job("RUNNING", **names)),
        job_message(cancelled),
        job_message(failed, CHILD_FAILED, array_size=9),
        job_message(an_array(), array_outcome=outcome),
        job_message(waiting, "STUCK"),
        job_message(a_job("RUNNING", history=history, **names), "RECOVERED"),
        queue_message(
            "QUEUE_BLOCKED", foreign, blocked=blocked, job=waiting, description=DESCRIPTION
        ),
        queue_message(
            "BULK_STUCK", foreign, bulk_incidents=(a_bulk_incident(foreign, f"CAPACITY {foreign}"),)
        ),
        queue_message(
            "EVENTS_MISSING",
            foreign,
            missing_events=MissingEvents(since=ENDED, last_event_at=0, changes=2),
        ),
        queue_message("QUEUE_BLOCKED_RESOLVED", foreign),
        TEXT.digest(
            [
                job_context(failed),
                job_context(waiting, "STUCK"),
                job_context(an_array(), array_outcome=outcome),
                queue_context(
                    "QUEUE_BLOCKED", waiting.queue, blocked=blocked_by(foreign, "CAPACITY")
                ),
            ]
        ),
    ]


HARMLESS: list[Rendered] = [rendered(message) for message in messages_with("harmless")]


def _without_names(links: Sequence[str]) -> list[str]:
    """Return links with the page of a queue replaced by the overview, which foreign names get."""
    return [re.sub(r"/#/queues/[\w-]+$", "/#/", address) for address in links]


def assert_harmless(foreign: str) -> None:
    for message, harmless in zip(messages_with(foreign), HARMLESS, strict=True):
        shown = rendered(message)
        assert shown.structure == harmless.structure
        assert _without_names(shown.links) == _without_names(harmless.links)
        assert autolinks(message) == []
        assert len(message.splitlines()) == message.count("\n") + 1
        assert len(message.encode()) <= MAX_MESSAGE_BYTES


@pytest.mark.parametrize("foreign", INJECTIONS)
def test_an_injection_sample_changes_only_words(foreign: str) -> None:
    assert_harmless(foreign)


@given(foreign=texts())
def test_any_text_changes_only_words(foreign: str) -> None:
    assert_harmless(foreign)


@pytest.mark.parametrize("region", ["evil.example?", "ada@evil.example", "x)[y](https:", "<@all>"])
def test_an_invalid_region_produces_no_console_link(region: str) -> None:
    arn = f"arn:aws:batch:{region}:111122223333:job-queue/q"
    job = a_job()
    elsewhere = replace(job, details=replace(job.details, job_queue=arn))

    shown = rendered(job_message(elsewhere))

    assert shown.links == ("https://batch.example/prod/#/jobs/4c75",)


@given(
    name=texts(),
    reason=texts(),
    jobs=st.integers(1, 300),
    causes=st.dictionaries(texts(), st.integers(1, 10**6), max_size=300),
    indexes=st.sets(st.integers(0, 9_999)).map(sorted),
    stream=st.text(max_size=1_024),
)
def test_no_message_exceeds_the_limit_of_webex(
    name: str,
    reason: str,
    jobs: int,
    causes: dict[str, int],
    indexes: list[int],
    stream: str,
) -> None:
    failed = an_ended_job(name=name, reason=reason, queue="q" * 128)
    logged = a_job(name=name, log_stream_name=stream, reason=reason, log_group=stream)
    outcome = ArrayOutcome(10_000, 0, len(indexes), tuple(indexes), causes)
    many = [
        job_context(an_ended_job(name=f"{n}{name}", exit_code=n, queue=f"{n % 50}{name}"))
        for n in range(jobs)
    ]

    messages = [
        job_message(failed),
        job_message(logged),
        job_message(failed, array_outcome=outcome),
        job_message(a_waiting_job(name=name, status_reason=reason), "STUCK"),
        TEXT.digest(many),
        TEXT.digest(many[:5]),
    ]

    assert max(len(message.encode()) for message in messages) <= MAX_MESSAGE_BYTES
    assert all(rendered(message).text.strip() for message in messages)
