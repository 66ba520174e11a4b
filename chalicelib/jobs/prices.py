"""The setting PRICES: what an hour of a vCPU, of a GB of memory and of a GPU costs, by job queue.

AWS Batch itself is free and reports no prices, and the price of an instance depends on how it was
bought. A cost is therefore always an estimate by prices from this setting. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Final, Self, TypeGuard, cast

import msgspec

from chalicelib import toml_config
from chalicelib.errors import SettingsError
from chalicelib.jobs.usage import Usage
from chalicelib.toml_config import GLOBS, is_text, unmatchable


class Price(msgspec.Struct, frozen=True, rename="camel"):
    """Prices of one hour for the queues that match one of the globs in `queues`."""

    queues: tuple[str, ...]
    vcpu_hour: float
    gb_hour: float
    gpu_hour: float = 0
    currency: str = "USD"

    def cost(self, usage: Usage) -> float:
        return (
            usage.vcpu_hours * self.vcpu_hour
            + usage.gb_hours * self.gb_hour
            + usage.gpu_hours * self.gpu_hour
        )


class Prices(msgspec.Struct, frozen=True):
    """The `[[prices]]` tables of the setting, in order."""

    prices: tuple[Price, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raise SettingsError, which names every invalid field and its table."""
        tables, problems = toml_config.tables_of(text, "prices", "prices")
        for number, table in enumerate(tables, 1):
            problems += [f"price {number}: {problem}" for problem in _problems(table)]
        if problems:
            raise SettingsError("\n".join(problems))
        return cls(tuple(msgspec.convert(table, Price) for table in tables))

    def of(self, queue: str) -> Price | None:
        """Return the first price that matches the queue."""
        matching = (
            price for price in self.prices if any(fnmatchcase(queue, glob) for glob in price.queues)
        )
        return next(matching, None)


def _problems(table: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with a table, each problem with the name of its field."""
    for name in sorted(table.keys() - _FIELDS.keys()):
        yield f"{name}: unknown field; expected one of {', '.join(_FIELDS)}"
    for name, (is_valid, expected) in _FIELDS.items():
        if name not in table and name in _REQUIRED:
            yield f"{name}: is missing; expected {expected}"
        elif name in table and not is_valid(table[name]):
            yield f"{name}: got {table[name]!r:.80}; expected {expected}"
    if _are_globs(queues := table.get("queues")):
        yield from (f"queues: {problem}" for problem in unmatchable(queues))


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and 0 <= cast(float, value) <= _MAX_PRICE


def _are_globs(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


_MAX_PRICE = 1_000_000
_AMOUNT = (_is_amount, f"the price of an hour, from 0 to {_MAX_PRICE}, such as 0.04048")
_FIELDS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "queues": (_are_globs, GLOBS),
    "vcpuHour": _AMOUNT,
    "gbHour": _AMOUNT,
    "gpuHour": _AMOUNT,
    "currency": (is_text, 'the name of a currency, such as "EUR"'),
}
_REQUIRED = {"queues", "vcpuHour", "gbHour"}
