"""Applies the rules to texts, commands and mappings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final, TypeVar

from chalicelib.redaction.names import (
    ASSIGNED_ARGUMENT,
    compiled,
    is_assignment_to_secret,
    is_option_of_secret,
    is_secret,
)
from chalicelib.redaction.programs import secrets_of
from chalicelib.redaction.rules import (
    GROUPS,
    LONG_WORD,
    REDACTED,
    SHORT_WORD,
    TOKEN_RULES,
    Rule,
    contains_any,
)

_CACHE_SIZE: Final = 4_096
_MAX_CACHED_CHARACTERS: Final = 512
"""Longer texts seldom repeat, and would only displace others from the cache."""
_MAX_PASSES: Final = 6

_T = TypeVar("_T")


class Redaction:
    """Redacts what the table in the package's docstring lists, and all matches of `extra` patterns.

    The constructor raises ValueError for a pattern that is not a regular expression, or that
    matches "REDACTED" itself, as any pattern does that matches everything. It does not check how
    long a pattern takes.
    """

    def __init__(self, extra: Sequence[str] = ()) -> None:
        self._extra = tuple(_extra_pattern(pattern) for pattern in extra)
        # The events of one job and the children of one array repeat their texts.
        self._cached = lru_cache(_CACHE_SIZE)(self._redacted)
        self._cached_command = lru_cache(_CACHE_SIZE // 4)(self._redacted_command)

    def text(self, value: str) -> str:
        if len(value) <= _MAX_CACHED_CHARACTERS:
            return self._cached(value)
        return self._redacted(value)

    def command(self, arguments: Sequence[str]) -> tuple[str, ...]:
        """Return the redacted arguments of a container's command.

        An argument can be the secret that the argument before it names (`--password`, `hunter2`),
        or a part of one (the lines of a private key). Arguments need no quotes, so the secret in
        the argument `PASSWORD=a b c` extends to its end. After `-c`, an argument is a script, in
        which the secret ends where it ends for a shell.
        """
        given = tuple(arguments)
        if sum(map(len, given)) <= _MAX_CACHED_CHARACTERS:
            return self._cached_command(given)
        return self._redacted_command(given)

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        """Return redacted parameters or tags. The whole value of a secret's name is redacted,
        unless it is evidently no secret: a boolean, a small number, a path."""
        return {name: self._named(name, value) for name, value in values.items()}

    def _named(self, name: str, value: str) -> str:
        return REDACTED if is_secret(name, value) else self.text(value)

    def _redacted(self, value: str) -> str:
        return _settled(self._pass, value, REDACTED)

    def _pass(self, value: str) -> str:
        if SHORT_WORD.fullmatch(value) and not self._extra:
            return value
        lower = value.lower()
        if LONG_WORD.search(lower):
            value = _applied(TOKEN_RULES, value, lower)
        for hints, rules in GROUPS:
            if contains_any(hints, lower):
                value = _applied(rules, value, lower)
        for pattern in self._extra:
            value = pattern.sub(REDACTED, value)
        return value

    def _redacted_command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        return _settled(self._command, arguments, (REDACTED,) * len(arguments))

    def _command(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        redacted = list(map(self._argument, _names_before(arguments), arguments))
        for at, begin in secrets_of(arguments).items():
            redacted[at] = arguments[at][:begin] + REDACTED
        for at in _split_secrets(arguments):
            redacted[at] = REDACTED
        return tuple(redacted)

    def _argument(self, before: str, argument: str) -> str:
        if _names_secret(before) and not _OTHER_OPTION.match(argument):
            return REDACTED if is_secret(before.rstrip("=:> "), argument) else argument
        if before.startswith("-") and _USER_OPTION.fullmatch(before):
            return self.text(f"-u {argument}").removeprefix("-u ")
        redacted = self.text(argument)
        if redacted != argument and not _SCRIPT_OPTION.fullmatch(before):
            assigned = compiled(ASSIGNED_ARGUMENT).match(argument)
            return assigned["kept"] + REDACTED if assigned else redacted
        return redacted


def _settled(redact: Callable[[_T], _T], value: _T, withheld: _T) -> _T:
    """Return the value after as many passes as it takes until another one changes nothing.

    A pass may reveal something for the next one: in `password:-auth:x` the first secret ends at the
    name of the second one, and in `password:REDACTEDauth:REDACTED` no name is left. Therefore
    redaction of a redacted text changes nothing, whatever the rules are. A value that does not
    settle was made to deceive the rules, and is withheld.
    """
    for _ in range(_MAX_PASSES):
        redacted = redact(value)
        if redacted == value:
            return value
        value = redacted
    return withheld


def _applied(rules: Sequence[Rule], value: str, lower: str) -> str:
    for rule in rules:
        if rule.may_match(lower):
            value = rule.pattern.sub(rule.replacement, value)
    return value


def _extra_pattern(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from error
    if compiled.search(REDACTED):
        raise ValueError(f"{pattern!r} matches {REDACTED!r} itself")
    return compiled


def _split_secrets(arguments: Sequence[str]) -> list[int]:
    """Return the positions of a private key's lines, and of a secret access key that is close to
    the id of an access key."""
    together = "\n".join(arguments)
    if "-----BEGIN" not in together and not _KEY_ID.search(together):
        return []
    found = []
    is_key = False
    for at, argument in enumerate(arguments):
        begins, ends = _KEY_BEGINS.search(argument), _KEY_ENDS.search(argument)
        near = arguments[max(0, at - 2) : at + 3]
        if (is_key and not begins) or (
            _SECRET_KEY.fullmatch(argument) and any(map(_KEY_ID.search, near))
        ):
            found.append(at)
        is_key = (is_key or begins is not None) and not ends
    return found


_OTHER_OPTION: Final = re.compile(r"--[a-z][a-zA-Z-]*(?:=|\Z)|-[a-zA-Z]\Z")
_SCRIPT_OPTION: Final = re.compile(r"-[a-z]*c")
_USER_OPTION: Final = re.compile(r"-[a-zA-Z]{0,8}[uU]|--user|--proxy-user")
_KEY_BEGINS: Final = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY")
_KEY_ENDS: Final = re.compile(r"-----END [A-Z0-9 ]{0,40}PRIVATE KEY")
_SECRET_KEY: Final = re.compile(r"[A-Za-z0-9/+]{40}")
_KEY_ID: Final = re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])")


def _names_before(arguments: Sequence[str]) -> Iterator[str]:
    """Yield, for each argument, the one before it; with the name, if that one is a separator."""
    name, before = "", ""
    for argument in arguments:
        yield f"{name}{before}" if before in _SEPARATORS else before
        name, before = before, argument


_SEPARATORS: Final = frozenset({"=", ":", ":=", "=>"})


def _names_secret(before: str) -> bool:
    return is_option_of_secret(before.rstrip("=")) or (
        before.endswith(("=", ":", ">")) and is_assignment_to_secret(before)
    )
