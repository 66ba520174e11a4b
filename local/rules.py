"""The notice rules on this machine: are they right, and what would they make of an event?

    python -m local.rules check          `make check-rules`: the rules, or what is wrong with them
    python -m local.rules explain FILE   `make explain-rules EVENT=file.json`: which rules fire for
                                         an event, why the others don't, and the message

NOTICE_RULES, WEBEX_ROOM, TIME_ZONE and PUBLIC_URL mean what they mean to the functions. Nothing is
sent, and nothing outside of this machine is asked.
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

from chalicelib import toml_config as toml_setting
from chalicelib.errors import BatchwatchError
from chalicelib.jobs.job import Job, JobId, JobStatus, Observation
from chalicelib.notices.notice import Notice, incident_notices, notices_for
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
from chalicelib.settings import Settings
from chalicelib.webex.text import ArrayOutcome, NoticeContext, NoticeText
from local.send import UnusableFile, read_entry

NO_ROOM = "nobody, as WEBEX_ROOM is not set"
_STATE_CHANGES = (JOB_STATE_CHANGE, SERVICE_JOB_STATE_CHANGE)
_DETAIL_OF = {
    **{kind: kind for kind in _STATE_CHANGES},
    **dict(zip(QUEUE_BLOCKED_EVENTS, _STATE_CHANGES, strict=True)),
}
"""The events that rules are about, and the one whose detail has the same shape."""


class BadSetting(Exception):
    """What makes no sense in the environment: one line for the terminal."""


class Heard(NamedTuple):
    """An event as the rules see it: a job, and what is told of it."""

    event: str
    seen: Observation

    @property
    def job(self) -> Job:
        return Job.first_seen(self.seen)


def read_rules(environment: Mapping[str, str]) -> Rules:
    """Those that the functions would read, or, if they are silent for want of a room, what they
    would tell with one. Raises SettingsError."""
    default = str(Settings.default("notice_rules"))
    chosen = environment.get("NOTICE_RULES") or default
    text = toml_setting.text_of(chosen, _read, "notice rules")
    rules = Rules.parse(text, environment.get("WEBEX_ROOM"), are_default=chosen == default)
    return Rules.parse(text, NO_ROOM) if rules.is_empty else rules


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def read_event(file: Path, now: datetime) -> Heard:
    """Raises UnusableFile or MalformedEvent."""
    entry = read_entry(file, now)
    kind = entry["DetailType"]
    if kind not in _DETAIL_OF:
        raise UnusableFile(f"{file}: no rule is about a {kind}")
    envelope = {
        "detail-type": _DETAIL_OF[kind],
        "source": entry["Source"],
        "account": "",
        "time": entry["Time"].isoformat(),
        "detail": json.loads(entry["Detail"]),
    }
    seen = EventReader((entry["Source"],), "", Redaction()).read(json.dumps(envelope))
    assert isinstance(seen, Observation)
    blocked = kind in QUEUE_BLOCKED_EVENTS
    return Heard(QUEUE_BLOCKED if blocked else seen.details.status, seen)


def described(rules: Rules) -> Iterator[str]:
    for number, rule in enumerate(rules.rules, 1):
        limits = {"queues": rule.queues - {"*"}, "jobs": rule.jobs - {"*"}, "tags": rule.tags}
        named = [f"{field} {_values(rule, field)}" for field, limit in limits.items() if limit]
        of = ", ".join(named) or "all jobs"
        yield f"rule {number}: {_values(rule, 'on')} of {of}, to {rule.room}"
    yield "the rules are good" if rules.rules else "there are no rules, so nobody is told anything"


def explained(heard: Heard, rules: Rules, text: NoticeText) -> Iterator[str]:
    """Line by line what the rules make of the event, and then the message, if there is one."""
    job = heard.job
    yield f"{heard.event}: {job.details.job_name} ({job.job_id}) in {job.queue}"
    name = None if heard.event == QUEUE_BLOCKED else job.details.job_name
    asked = heard.event, job.queue, name, heard.seen.description.tags
    for number, rule in enumerate(rules.rules, 1):
        fields = rule.mismatches(*asked)
        why = "; ".join(f"{field} is {_values(rule, field)}" for field in fields)
        yield f"rule {number} " + (f"does not fire: {why}" if fields else f"fires, to {rule.room}")
    if not rules.rooms(*asked):
        yield "nobody is told"
    elif message := _message(heard, notices_for(heard.seen, rules), text):
        yield from ("", message)
    else:
        yield f"nobody is told: {_unheard(job)}"


def _message(heard: Heard, notices: Sequence[Notice], text: NoticeText) -> str:
    job, description = heard.job, heard.seen.description
    if heard.event == QUEUE_BLOCKED:
        notices, state = [_blocked_notice(job)], _blocked_state(job)
    else:
        state = None
    if not notices:
        return ""
    context = NoticeContext(
        notice=notices[0],
        job=job,
        description=description,
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
    array = job.details.array
    if not (array and array.size and job.is_terminal):
        return None
    ended = array.status_summary
    return ArrayOutcome(
        array.size, ended.get(JobStatus.SUCCEEDED, 0), ended.get(JobStatus.FAILED, 0)
    )


def _unheard(job: Job) -> str:
    if JobId.parse(job.job_id).separator == "#":
        return "a node is told with its multi-node job"
    return "of an array's children only the first failure is told, and the array's end"


def _values(rule: Rule, field: str) -> str:
    if field == "tags":
        return ", ".join(f"{name} = {glob}" for name, glob in sorted(rule.tags.items()))
    return ", ".join(sorted(getattr(rule, field)))


def _notice_text(environment: Mapping[str, str]) -> NoticeText:
    name = environment.get("TIME_ZONE") or "UTC"
    try:
        return NoticeText(ZoneInfo(name), environment.get("PUBLIC_URL", "").rstrip("/"))
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise BadSetting(f"TIME_ZONE: {name} is no IANA time zone, such as Europe/Paris") from error


def main(
    arguments: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ
) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.rules", description="Notice rules.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("check", help="check the rules")
    explain = commands.add_parser("explain", help="say what they make of an event")
    explain.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=environment.get("EVENT") or None,
        help="JSON: an EventBridge event, or the bare detail of one",
    )
    options = parser.parse_args(arguments)
    if options.command == "explain" and options.file is None:
        parser.error("which event? (make explain-rules EVENT=file.json)")
    try:
        rules = read_rules(environment)
        if options.command == "check":
            lines = list(described(rules))
        else:
            heard = read_event(options.file, datetime.now(UTC))
            lines = list(explained(heard, rules, _notice_text(environment)))
    except (BatchwatchError, UnusableFile, BadSetting) as error:
        print(*(f"error: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
        return 1
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
