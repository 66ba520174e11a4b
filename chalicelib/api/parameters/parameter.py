"""The kinds of query parameters, and the parser that fills a query's struct.

A field of a `Query` is annotated with a Parameter, which is everything that there is to declare:

    limit: Annotated[int, number("Maximum number of jobs on the page", most=100)] = 25

`parse` reads the values of a request into the struct, and `describe` returns the same parameters
as OpenAPI. An error message names the parameter, the value that was given and what is expected.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeVar, get_type_hints

import msgspec
from msgspec import Struct

from chalicelib.api.errors import InvalidParameter, UnknownParameter

_MAX_CHARACTERS = 2_000
"""The limit for a single value."""

Json = dict[str, object]


class Query(Struct, frozen=True, rename="camel"):
    """The base class of queries. The name of a field in camelCase is the name of its parameter."""


Q = TypeVar("Q", bound=Query)


class Incomplete(ValueError):
    """A part of a value is missing. The message continues a sentence that begins with the value."""


@dataclass(frozen=True)
class Parameter:
    """A query parameter. `parse_text` raises ValueError if the text is not `expected`, which
    completes the sentence "'…' is not …", or Incomplete to state what is missing. If the parameter
    is a list, its items are separated by commas, it may be repeated, and each item is parsed."""

    description: str
    expected: str
    schema: Json
    parse_text: Callable[[str], Any]
    is_list: bool = False

    def parse(self, name: str, values: Sequence[str]) -> object:
        """Return the parsed value. Raises InvalidParameter unless every value is `expected`."""
        for value in values:
            if len(value) > _MAX_CHARACTERS:
                problem = f"{len(value)} characters given, expected at most {_MAX_CHARACTERS}"
                raise InvalidParameter(name, problem)
        if self.is_list:
            items = [item for value in values for item in value.split(",")]
            return tuple(sorted({self._parse(name, item) for item in items}))
        if len(values) > 1:
            given = ", ".join(repr(value[:50]) for value in values[:3])
            raise InvalidParameter(name, f"{len(values)} values given ({given}), expected one")
        return self._parse(name, values[0])

    def _parse(self, name: str, text: str) -> Any:
        try:
            return self.parse_text(text.strip())
        except Incomplete as error:
            raise InvalidParameter(name, f"{text[:50]!r} {error}") from error
        except ValueError as error:
            raise InvalidParameter(name, f"{text[:50]!r} is not {self.expected}") from error


def number(description: str, *, most: int) -> Parameter:
    """Declare a whole number from 1 to `most`."""

    def parse_text(text: str) -> int:
        parsed = _positive(text)
        if parsed > most:
            raise ValueError
        return parsed

    schema = {"type": "integer", "minimum": 1, "maximum": most}
    return Parameter(description, f"a number from 1 to {most}", schema, parse_text)


def capped_number(description: str, *, most: int) -> Parameter:
    """Declare a whole number of which a value above `most` counts as `most`."""

    def parse_text(text: str) -> int:
        return min(_positive(text), most)

    schema = {"type": "integer", "minimum": 1}
    return Parameter(description, f"a number from 1 to {most}", schema, parse_text)


def _positive(text: str) -> int:
    """Return a whole number in decimal digits. Raises ValueError if it is not at least 1."""
    if not (re.fullmatch("[0-9]+", text) and int(text) >= 1):
        raise ValueError
    return int(text)


def text(
    description: str,
    *,
    expected: str,
    pattern: str,
    most: int,
    convert: Callable[[str], str] = str,
) -> Parameter:
    """Declare a text of 1 to `most` characters that contains a match of `pattern`."""

    def parse_text(text: str) -> str:
        if not (1 <= len(text) <= most and re.search(pattern, text)):
            raise ValueError
        return convert(text)

    schema = {"type": "string", "minLength": 1, "maxLength": most, "pattern": pattern}
    return Parameter(description, expected, schema, parse_text)


def choices(description: str, *, of: Sequence[str]) -> Parameter:
    """Declare a list of these values. A request may contain them in upper or lower case."""

    def parse_text(text: str) -> str:
        if text.upper() not in of:
            raise ValueError
        return text.upper()

    schema = {"type": "array", "items": {"enum": list(of)}, "minItems": 1}
    return Parameter(description, f"one of {', '.join(of)}", schema, parse_text, is_list=True)


class _Field(NamedTuple):
    attribute: str
    parameter: Parameter
    default: object


def parse(query_type: type[Q], given: Mapping[str, Sequence[str]]) -> Q:
    """Return the query that a request contains. `given` has each parameter's values, in order.

    Raises UnknownParameter and InvalidParameter.
    """
    fields = _fields(query_type)
    for name in given:
        if name not in fields:
            expected = f"expected {', '.join(fields)}" if fields else "this route has no parameters"
            raise UnknownParameter(name, f"unknown parameter; {expected}")
    return query_type(
        **{
            fields[name].attribute: fields[name].parameter.parse(name, given[name])
            for name in given
        }
    )


def describe(query_type: type[Query]) -> list[Json]:
    """Return the parameters as OpenAPI, in the order of the struct."""
    return [
        {
            "name": name,
            "in": "query",
            "description": parameter.description,
            "schema": parameter.schema | ({"default": default} if default is not None else {}),
        }
        for name, (_, parameter, default) in _fields(query_type).items()
    ]


@cache
def _fields(query_type: type[Query]) -> Mapping[str, _Field]:
    hints = get_type_hints(query_type, include_extras=True)
    return {
        field.encode_name: _Field(field.name, parameter, field.default)
        for field in msgspec.structs.fields(query_type)
        for parameter in hints[field.name].__metadata__
    }
