"""What an hour of a vCPU, of a GB of memory and of a GPU costs: PRICES, for each job queue.

Batch itself costs nothing and says nothing of prices, and what a machine costs depends on how it
was bought. So a cost is always an estimate, by prices that someone gave. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final, Self, cast

import msgspec

from chalicelib import toml_config as toml_setting
from chalicelib.errors import SettingsError
from chalicelib.jobs.usage import Usage
from chalicelib.toml_config import GLOBS, is_text


class Price(msgspec.Struct, frozen=True, rename="camel"):
    queues: tuple[str, ...]
    vcpu_hour: float
    gb_hour: float
    gpu_hour: float = 0
    currency: str = "USD"

    def cost(self, use: Usage) -> float:
        return (
            use.vcpu_hours * self.vcpu_hour
            + use.gb_hours * self.gb_hour
            + use.gpu_hours * self.gpu_hour
        )


class Prices(msgspec.Struct, frozen=True):
    prices: tuple[Price, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SettingsError, which names each table and field that makes no sense."""
        tables, problems = toml_setting.tables_of(text, "prices", "prices")
        for number, table in enumerate(tables, 1):
            problems += [f"price {number}: {problem}" for problem in _problems(table)]
        if problems:
            raise SettingsError("\n".join(problems))
        return cls(tuple(msgspec.convert(table, Price) for table in tables))

    def of(self, queue: str) -> Price | None:
        """The first that fits counts."""
        fitting = (
            price for price in self.prices if any(fnmatchcase(queue, glob) for glob in price.queues)
        )
        return next(fitting, None)


def _problems(table: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(table.keys() - _FIELDS.keys()):
        yield f"{name}: no such field; expected {', '.join(_FIELDS)}"
    for name, (is_right, expected) in _FIELDS.items():
        if name not in table and name in _REQUIRED:
            yield f"{name}: is missing; expected {expected}"
        elif name in table and not is_right(table[name]):
            yield f"{name}: expected {expected}"


def _is_amount(value: object) -> bool:
    return type(value) in (int, float) and 0 <= cast(float, value) <= _LARGEST


def _are_globs(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(is_text, value))


_LARGEST = 1_000_000
_AMOUNT = (_is_amount, f"what an hour costs, 0 to {_LARGEST}, such as 0.04048")
_FIELDS: Final[Mapping[str, tuple[Callable[[object], bool], str]]] = {
    "queues": (_are_globs, GLOBS),
    "vcpuHour": _AMOUNT,
    "gbHour": _AMOUNT,
    "gpuHour": _AMOUNT,
    "currency": (is_text, 'the name of a currency, such as "EUR"'),
}
_REQUIRED = {"queues", "vcpuHour", "gbHour"}
