"""Checks the notice rules, and explains what they do with an event, on this machine only.

    python -m local.rules check          `make check-rules`: print the rules, or what is wrong
    python -m local.rules explain FILE   `make explain-rules EVENT=file.json`: print which rules
                                         fire for an event, why the others don't, and the message

NOTICE_RULES, WEBEX_ROOM, TIME_ZONE and PUBLIC_URL have the same meaning as for the functions. No
message is sent, and no network is used.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chalicelib import toml_config
from chalicelib.errors import BatchwatchError
from chalicelib.jobs.array_summary import reported_summary, size_of
from chalicelib.jobs.job import Job, JobId, Observation
from chalicelib.notices.notice import Notice, failure_cause, incident_notices, notices_for
from chalicelib.notices.rules import QUEUE_BLOCKED, Rule, Rules
from chalicelib.queues.blocked import Blocked
from chalicelib.queues.state import QueueState
from chalicelib.recording.event import (
    JOB_STATE_CHANGE,
    QUEUE_BLOCKED_EVENTS,
    SERVICE_JOB_STATE_CHANGE,
    EventReader,
)
from chalicelib.redaction import Redaction
from chalicelib.settings import Settings, web_address
from chalicelib.webex.text import ArrayOutcome, NoticeContext, NoticeText
from local.send import UnusableFile, read_entry

NO_TAGS = "events of service jobs contain no tags, so a rule with tags does not fire for them"
NO_ROOM = "(none: WEBEX_ROOM is not set)"
_STATE_CHANGES = (JOB_STATE_CHANGE, SERVICE_JOB_STATE_CHANGE)
_DETAIL_OF = {
    **{kind: kind for kind in _STATE_CHANGES},
    **dict(zip(QUEUE_BLOCKED_EVENTS, _STATE_CHANGES, strict=True)),
}
"""Maps each detail-type that rules apply to, to the job event with the same format of detail."""


class BadSetting(Exception):
    """An environment variable is invalid; the text is one line for the terminal."""


class Sample(NamedTuple):
    """An event, as rules name it, and the observation that was read from the file."""

    event: str
    observation: Observation

    @property
    def job(self) -> Job:
        return Job.from_observation(self.observation)


def read_rules(environment: Mapping[str, str]) -> Rules:
    """Return the rules that the functions would use. If they would be empty because no room is
    configured, return them with NO_ROOM as their room. Raise SettingsError."""
    default = str(Settings.default("notice_rules"))
    chosen = environment.get("NOTICE_RULES") or default
    text = toml_config.text_of(chosen, _read, "notice rules")
    rules = Rules.parse(text, environment.get("WEBEX_ROOM"), are_default=chosen == default)
    return Rules.parse(text, NO_ROOM) if rules.is_empty else rules


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def read_event(file: Path, now: datetime) -> Sample:
    """Read an event from a JSON file. Raise UnusableFile or MalformedEvent."""
    entry = read_entry(file, now)
    kind = entry["DetailType"]
    if kind not in _DETAIL_OF:
        raise UnusableFile(f"{file}: notice rules don't apply to the detail-type {kind}")
    envelope = {
        "detail-type": _DETAIL_OF[kind],
        "source": entry["Source"],
        "account": "",
        "time": entry["Time"].isoformat(),
        "detail": json.loads(entry["Detail"]),
    }
    observation = EventReader((entry["Source"],), "", Redaction()).read(json.dumps(envelope))
    assert isinstance(observation, Observation)
    is_blocked = kind in QUEUE_BLOCKED_EVENTS
    return Sample(QUEUE_BLOCKED if is_blocked else observation.details.status, observation)


def described(rules: Rules) -> Iterator[str]:
    """Yield one line for each rule, and one for all."""
    for number, rule in enumerate(rules.rules, 1):
        limits = {
            "queues": rule.queues - {"*"},
            "jobs": rule.jobs - {"*"},
            "tags": rule.tags,
            "causes": rule.causes,
            "not_causes": rule.not_causes,
        }
        selected = [f"{field} {_values(rule, field)}" for field, limit in limits.items() if limit]
        subject = ", ".join(selected) or "all jobs"
        yield f"rule {number}: {_values(rule, 'on')} for {subject}, in room {rule.room}"
        if rule.tags:
            yield f"rule {number}: {NO_TAGS}"
    yield "the rules are valid" if rules.rules else "there are no rules: no notices are sent"


def explained(sample: Sample, rules: Rules, text: NoticeText) -> Iterator[str]:
    """Yield what each rule does with the event, and the message if at least one fires."""
    job = sample.job
    cause = None if sample.event == QUEUE_BLOCKED else failure_cause(job.details)
    why = f", cause {cause}" if cause else ""
    yield f"{sample.event}: {job.details.job_name} ({job.job_id}) in {job.queue}{why}"
    name = None if sample.event == QUEUE_BLOCKED else job.details.job_name
    subject = sample.event, job.queue, name, sample.observation.description.tags, cause
    for number, rule in enumerate(rules.rules, 1):
        mismatches = [f"{field} = {_values(rule, field)}" for field in rule.mismatches(*subject)]
        if mismatches:
            yield f"rule {number} does not fire, no match: {'; '.join(mismatches)}"
            if rule.tags and job.is_service:
                yield f"rule {number}: {NO_TAGS}"
        else:
            yield f"rule {number} fires, in room {rule.room}"
    if not rules.rooms(*subject):
        yield "no notice is sent"
    elif message := _message(sample, notices_for(sample.observation, rules), text):
        yield from ("", message)
    else:
        yield f"no notice is sent: {_why_not_announced(job)}"


def _message(sample: Sample, notices: Sequence[Notice], text: NoticeText) -> str:
    """Return the message, or nothing for a part of a job that is not announced."""
    job, state = sample.job, None
    if sample.event == QUEUE_BLOCKED:
        notices, state = [_blocked_notice(job)], _blocked_state(job)
    if not notices:
        return ""
    context = NoticeContext(
        notice=notices[0],
        job=job,
        description=sample.observation.description,
        array_outcome=_array_outcome(job),
        queue_state=state,
    )
    return text.message(context)


def _blocked_notice(job: Job) -> Notice:
    (notice,) = incident_notices(
        QUEUE_BLOCKED, job.queue, [NO_ROOM], opened_at=job.since, at=job.since
    )
    return notice


def _blocked_state(job: Job) -> QueueState:
    blocked = Blocked(
        since=job.since,
        last_seen=job.since,
        job_id=job.job_id,
        job_name=job.details.job_name,
        reason=job.details.status_reason or "",
    )
    return QueueState(watched_since=job.since, blocked=blocked)


def _array_outcome(job: Job) -> ArrayOutcome | None:
    return (
        ArrayOutcome.of(size_of(job), reported_summary(job))
        if size_of(job) and job.is_terminal
        else None
    )


def _why_not_announced(job: Job) -> str:
    if JobId.parse(job.job_id).separator == "#":
        return "a node is part of its multi-node job, which is announced"
    return (
        "of an array's children only a failed one is announced, unless a person cancelled or "
        "terminated it, and then the array's end"
    )


def _values(rule: Rule, field: str) -> str:
    if field == "tags":
        return ", ".join(f"{name} = {glob}" for name, glob in sorted(rule.tags.items()))
    return ", ".join(sorted(getattr(rule, field)))


def _notice_text(environment: Mapping[str, str]) -> NoticeText:
    name = environment.get("TIME_ZONE") or "UTC"
    try:
        public_url = web_address(environment.get("PUBLIC_URL", "").strip())
    except ValueError as error:
        raise BadSetting(
            "PUBLIC_URL: expected a URL that begins with http:// or https://, not "
            f"{environment['PUBLIC_URL']}"
        ) from error
    try:
        return NoticeText(ZoneInfo(name), public_url)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSetting(
            f"TIME_ZONE: expected an IANA time zone such as Europe/Paris, not {name}"
        ) from error


def main(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.rules", description="Checks the notice rules."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="print the rules, or what is wrong with them")
    explain = commands.add_parser("explain", help="print what the rules do with an event")
    explain.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=environment.get("EVENT") or None,
        help="JSON file with an EventBridge event, or only its detail",
    )
    options = parser.parse_args(arguments)
    if options.command == "explain" and options.file is None:
        parser.error("EVENT is missing: make explain-rules EVENT=file.json")
    try:
        rules = read_rules(environment)
        if options.command == "check":
            lines = list(described(rules))
        else:
            sample = read_event(options.file, datetime.now(UTC))
            lines = list(explained(sample, rules, _notice_text(environment)))
    except (BatchwatchError, UnusableFile, BadSetting) as error:
        print(*(f"error: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        return 1
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
