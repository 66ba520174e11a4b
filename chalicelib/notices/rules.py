"""Who is told about what: the rules that decide which events reach which Webex room.

A rule names queues, jobs and tags by globs, and events by name; whatever fits all of them is told
in the rule's room. Rules only ever add: nothing is taken away by a later one. `chalicelib/
notices.toml` explains them to people, with examples.

Pure: knows nothing of events' shapes, of Webex, of files or the environment. Whoever reads
NOTICE_RULES hands in the text, and the room of rules that name none.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final, Self

import msgspec

from chalicelib import toml_config as toml_setting
from chalicelib.errors import SettingsError
from chalicelib.jobs.job import JobStatus
from chalicelib.toml_config import GLOBS, is_text

STUCK: Final = "STUCK"
"""A job has been in one status for longer than it should, or many jobs of a queue have."""
RECOVERED: Final = "RECOVERED"
"""What was stuck has moved on, a blocked queue moves, or a silent one is heard of."""
QUEUE_BLOCKED: Final = "QUEUE_BLOCKED"
"""A job at the head of its queue can't start, and none behind it can."""
EVENTS_MISSING: Final = "EVENTS_MISSING"
"""AWS Batch says that a queue's jobs get on, and no event tells it."""

EVENTS: Final = (
    *(status.value for status in JobStatus if status is not JobStatus.UNKNOWN),
    STUCK,
    RECOVERED,
    QUEUE_BLOCKED,
    EVENTS_MISSING,
)
"""What `on` may name."""


class RulesError(SettingsError):
    """Names each rule and field that makes no sense, and what is expected: one a line."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    on: frozenset[str]
    queues: frozenset[str] = frozenset("*")
    jobs: frozenset[str] = frozenset("*")
    tags: dict[str, str] = {}
    room: str

    def mismatches(
        self, event: str, queue: str, job_name: str | None, tags: Mapping[str, str]
    ) -> tuple[str, ...]:
        """The fields that keep the rule from firing; none: it fires. Without a `job_name` it is
        about the queue itself, and `jobs` and `tags` don't count."""
        fits = {
            "on": event in self.on,
            "queues": any(fnmatchcase(queue, glob) for glob in self.queues),
            "jobs": job_name is None or any(fnmatchcase(job_name, glob) for glob in self.jobs),
            "tags": job_name is None
            or all(
                name in tags and fnmatchcase(tags[name], glob) for name, glob in self.tags.items()
            ),
        }
        return tuple(field for field, fit in fits.items() if not fit)


class Rules(msgspec.Struct, frozen=True):
    """Those of a file, in its order."""

    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, text: str, default_room: str | None, *, are_default: bool = False) -> Self:
        """`default_room` is that of rules that name none. Raises RulesError.

        The rules that come with batchwatch (`are_default`) name no room: without a default one
        nobody asked for notices yet, so there are none.
        """
        tables, problems = toml_setting.tables_of(text, "rule", "notice rules")
        unasked = are_default and not default_room and not any("room" in table for table in tables)
        readers = [
            _RuleReader(number, table, "unasked" if unasked else default_room)
            for number, table in enumerate(tables, 1)
        ]
        rules = [reader.rule() for reader in readers]
        problems += [problem for reader in readers for problem in reader.problems]
        if not problems:
            problems = _repetitions(rules)
        if problems:
            raise RulesError("\n".join(problems))
        return cls(() if unasked else tuple(rules))

    @property
    def silent(self) -> bool:
        """Whether nothing is ever told, as without any room."""
        return not self.rules

    def rooms(
        self, event: str, queue: str, job_name: str | None, tags: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Those where `event` (one of EVENTS) is told; each once, in the order of the rules."""
        firing = (rule for rule in self.rules if not rule.mismatches(event, queue, job_name, tags))
        return tuple(dict.fromkeys(rule.room for rule in firing))


def _repetitions(rules: Sequence[Rule]) -> list[str]:
    firsts = [rules.index(rule) + 1 for rule in rules]
    return [
        f"notice rule {number}: says the same as rule {first}; expected each once"
        for number, first in enumerate(firsts, 1)
        if first != number
    ]


_TAGS = 'a table of tag names and globs, such as {project = "atlas*"}'
_ON = 'a list of events, such as ["FAILED"]'
_ROOM = "the id of a Webex room"


_LONGEST_ROOM = 500
"""Bytes. A room's id has some 80; it becomes part of a key, which may have 1,024."""


class _RuleReader:
    """Reads one [[rule]] and notes every problem on the way; `rule` is good only without any."""

    def __init__(self, number: int, table: dict[str, Any], default_room: str | None) -> None:
        self.problems: list[str] = []
        self._number = number
        self._table = table
        self._default_room = default_room

    def rule(self) -> Rule:
        known = Rule.__struct_fields__
        for field in sorted(self._table.keys() - known):
            self._note(field, f"no such field{_meant(field, known)}; expected {', '.join(known)}")
        return Rule(
            on=self._on(),
            queues=self._globs("queues"),
            jobs=self._globs("jobs"),
            tags=self._tags(),
            room=self._room(),
        )

    def _globs(self, field: str) -> frozenset[str]:
        return self._texts(field, self._table.get(field, ["*"]), GLOBS)

    def _on(self) -> frozenset[str]:
        if "on" not in self._table:
            self._note("on", f"is missing; expected {_ON}")
            return frozenset()
        events = self._texts("on", self._table["on"], _ON)
        for event in sorted(events.difference(EVENTS)):
            said = f"{event!r} is no event{_meant(event.upper(), EVENTS)}"
            self._note("on", f"{said}; expected of {', '.join(EVENTS)}")
        return events

    def _tags(self) -> dict[str, str]:
        tags = self._table.get("tags", {})
        if isinstance(tags, dict) and all(is_text(glob) for glob in tags.values()):
            return tags
        self._note("tags", f"expected {_TAGS}")
        return {}

    def _room(self) -> str:
        room = self._table.get("room", self._default_room)
        if is_text(room) and len(str(room).encode()) <= _LONGEST_ROOM:
            return str(room).strip()
        if room is None:
            self._note("room", f"is missing, and so is WEBEX_ROOM; expected {_ROOM} in either")
        else:
            self._note("room", f"expected {_ROOM}")
        return ""

    def _texts(self, field: str, value: object, expected: str) -> frozenset[str]:
        if isinstance(value, list) and value and all(is_text(item) for item in value):
            return frozenset(value)
        self._note(field, f"{'is empty; ' if value == [] else ''}expected {expected}")
        return frozenset()

    def _note(self, field: str, problem: str) -> None:
        self.problems.append(f"notice rule {self._number}: {field}: {problem}")


def _meant(word: str, known: Sequence[str]) -> str:
    close = get_close_matches(word, known, n=1)
    return f", did you mean {close[0]}?" if close else ""
