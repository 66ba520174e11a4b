"""Notice rules: which events are announced, and in which Webex rooms.

A rule selects events by name, and queues, jobs and tags by globs. It fires if all of its fields
match, and then requests a notice in its room. Rules only add rooms: no rule suppresses another.
`chalicelib/notices.toml` documents the format for users, with examples.

Pure: no event shapes, Webex, files or environment. The caller reads NOTICE_RULES and passes its
text, and the room of rules that name none.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Final, Self

import msgspec

from chalicelib import toml_config
from chalicelib.errors import SettingsError
from chalicelib.jobs.failure import Cause
from chalicelib.jobs.job import JobStatus
from chalicelib.toml_config import GLOBS, is_text, unmatchable

STUCK: Final = "STUCK"
"""A job is in one status for too long, or many jobs of a queue are."""
RECOVERED: Final = "RECOVERED"
"""The end of one of the other three: a stuck job left its status, or an incident is resolved."""
QUEUE_BLOCKED: Final = "QUEUE_BLOCKED"
"""The job at the head of a queue can't start, so that no job behind it can."""
EVENTS_MISSING: Final = "EVENTS_MISSING"
"""According to the AWS Batch API the jobs of a queue are progressing, but no events arrive."""

EVENTS: Final = (
    *(status.value for status in JobStatus if status is not JobStatus.UNKNOWN),
    STUCK,
    RECOVERED,
    QUEUE_BLOCKED,
    EVENTS_MISSING,
)
"""The events that `on` accepts."""

_CAUSES: Final = tuple(cause.value for cause in Cause)
"""The causes that `causes` and `not_causes` accept."""


class RulesError(SettingsError):
    """One line for each problem: the rule, the field, what was given and what is expected."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A `[[rule]]` of the file. `queues` and `jobs` are globs of names, `tags` maps names of tags
    to globs of their values. `causes` and `not_causes` are causes of failures; an empty set of
    `causes` means all."""

    on: frozenset[str]
    queues: frozenset[str] = frozenset("*")
    jobs: frozenset[str] = frozenset("*")
    tags: dict[str, str] = {}
    causes: frozenset[str] = frozenset()
    not_causes: frozenset[str] = frozenset()
    room: str

    def mismatches(
        self,
        event: str,
        queue: str,
        job_name: str | None,
        tags: Mapping[str, str],
        cause: Cause | None = None,
    ) -> tuple[str, ...]:
        """Return the names of the fields that don't match; the rule fires if all match.

        `job_name` is None for an event about a queue itself: then `jobs` and `tags` always match.
        `cause` is why a FAILED job failed; `causes` and `not_causes` match every other event.
        """
        matches = {
            "on": event in self.on,
            "queues": any(fnmatchcase(queue, glob) for glob in self.queues),
            "jobs": job_name is None or any(fnmatchcase(job_name, glob) for glob in self.jobs),
            "tags": job_name is None
            or all(
                name in tags and fnmatchcase(tags[name], glob) for name, glob in self.tags.items()
            ),
            "causes": cause is None or not self.causes or cause in self.causes,
            "not_causes": cause is None or cause not in self.not_causes,
        }
        return tuple(field for field, matched in matches.items() if not matched)


class Rules(msgspec.Struct, frozen=True):
    """The rules of a file, in its order."""

    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, text: str, default_room: str | None, *, are_default: bool = False) -> Self:
        """Parse the TOML text of rules. Raise RulesError for any problem.

        `default_room` is the room of rules that name none. Set `are_default` for the rules that
        come with batchwatch: they name no room, and without a default room notices are not set up
        yet, so that the result is empty rather than an error.
        """
        tables, problems = toml_config.tables_of(text, "rule", "notice rules")
        are_off = are_default and not default_room and not any("room" in table for table in tables)
        room = "(notices are off)" if are_off else default_room
        for number, table in enumerate(tables, 1):
            problems += [f"notice rule {number}: {problem}" for problem in _problems(table, room)]
        rules = [] if problems else [_rule(table, room) for table in tables]
        problems += _duplicates(rules)
        if problems:
            raise RulesError("\n".join(problems))
        return cls(() if are_off else tuple(rules))

    @property
    def digest(self) -> str:
        """Return a text that changes with the rules and their rooms."""
        encoder = msgspec.json.Encoder(order="deterministic")
        return sha256(encoder.encode(self.rules)).hexdigest()[:8]

    @property
    def is_empty(self) -> bool:
        return not self.rules

    def rooms(
        self,
        event: str,
        queue: str,
        job_name: str | None,
        tags: Mapping[str, str],
        cause: Cause | None = None,
    ) -> tuple[str, ...]:
        """Return the distinct rooms of the rules that fire, in the order of the rules. The
        arguments are those of `Rule.mismatches`."""
        subject = event, queue, job_name, tags, cause
        firing = (rule for rule in self.rules if not rule.mismatches(*subject))
        return tuple(dict.fromkeys(rule.room for rule in firing))


_EVENT_LIST: Final = 'a list of events, such as ["FAILED"]'
_CAUSE_LIST: Final = 'a list of causes, such as ["OUT_OF_MEMORY"]'
_TAG_TABLE: Final = 'a table of tag names and globs, such as {project = "atlas*"}'
_MAX_ROOM_BYTES: Final = 500
"""A room's id has about 80 bytes. It becomes part of a sort key, which DynamoDB limits to 1,024."""
_ROOM_ID: Final = f"the id of a Webex room, {_MAX_ROOM_BYTES} bytes at most"
_MAX_QUOTED: Final = 80


def _rule(table: Mapping[str, Any], default_room: str | None) -> Rule:
    """Build a rule from a table without problems."""
    return Rule(
        on=frozenset(table["on"]),
        queues=frozenset(table.get("queues", ["*"])),
        jobs=frozenset(table.get("jobs", ["*"])),
        tags=table.get("tags", {}),
        causes=frozenset(table.get("causes", [])),
        not_causes=frozenset(table.get("not_causes", [])),
        room=str(table.get("room", default_room)).strip(),
    )


def _problems(table: Mapping[str, Any], default_room: str | None) -> Iterator[str]:
    """Yield what is wrong with a `[[rule]]` table, each problem with the name of its field."""
    fields = Rule.__struct_fields__
    for field in sorted(table.keys() - fields):
        yield f"{field}: unknown field{_suggestion(field, fields)}; expected {_one_of(fields)}"
    yield from _problems_of_on(table)
    for field in ("queues", "jobs"):
        if not _is_text_list(table.get(field, ["*"])):
            yield f"{field}: {_unexpected(table[field], GLOBS)}"
        else:
            yield from (f"{field}: {problem}" for problem in unmatchable(table.get(field, [])))
    if not _is_text_table(table.get("tags", {})):
        yield f"tags: {_unexpected(table['tags'], _TAG_TABLE)}"
    for field in ("causes", "not_causes"):
        yield from _problems_of_causes(table, field)
    yield from _problems_of_room(table, default_room)


def _problems_of_on(table: Mapping[str, Any]) -> Iterator[str]:
    if "on" not in table:
        yield f"on: is missing; expected {_EVENT_LIST}"
    elif not _is_text_list(table["on"]):
        yield f"on: {_unexpected(table['on'], _EVENT_LIST)}"
    else:
        for event in sorted(set(table["on"]).difference(EVENTS)):
            suggestion = _suggestion(event.upper(), EVENTS)
            yield f"on: {event!r} is not an event{suggestion}; expected {_one_of(EVENTS)}"


def _problems_of_causes(table: Mapping[str, Any], field: str) -> Iterator[str]:
    if field not in table:
        return
    if not _is_text_list(table[field]):
        yield f"{field}: {_unexpected(table[field], _CAUSE_LIST)}"
        return
    for cause in sorted(set(table[field]).difference(_CAUSES)):
        suggestion = _suggestion(cause.upper(), _CAUSES)
        yield f"{field}: {cause!r} is not a cause{suggestion}; expected {_one_of(_CAUSES)}"
    if _is_text_list(table.get("on")) and JobStatus.FAILED not in table["on"]:
        yield f"{field}: only failures have a cause; expected FAILED in on"


def _problems_of_room(table: Mapping[str, Any], default_room: str | None) -> Iterator[str]:
    room = table.get("room", default_room)
    if room is None:
        yield f"room: is missing, and WEBEX_ROOM is not set; expected {_ROOM_ID}, in either"
    elif not is_text(room) or len(str(room).encode()) > _MAX_ROOM_BYTES:
        yield f"room: {_unexpected(room, _ROOM_ID)}"


def _duplicates(rules: Sequence[Rule]) -> list[str]:
    firsts = [rules.index(rule) + 1 for rule in rules]
    return [
        f"notice rule {number}: is the same as rule {first}; expected different rules"
        for number, first in enumerate(firsts, 1)
        if first != number
    ]


def _is_text_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(is_text(item) for item in value)


def _is_text_table(value: object) -> bool:
    return isinstance(value, dict) and all(is_text(item) for item in value.values())


def _unexpected(value: object, expected: str) -> str:
    quoted = repr(value)
    if len(quoted) > _MAX_QUOTED:
        quoted = f"{quoted[:_MAX_QUOTED]}…"
    return f"got {quoted}; expected {expected}"


def _suggestion(word: str, known: Collection[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f", did you mean {close[0]}?" if close else ""


def _one_of(known: Collection[str]) -> str:
    return f"one of {', '.join(known)}"
