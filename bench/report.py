"""The table that `make bench` prints."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """A benchmark. `ratio` is the result divided by the comparison."""

    benchmark: str
    result: str
    comparison: str
    ratio: str


_HEADINGS = Row("benchmark", "result", "comparison", "ratio")


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    separator = Row(*("-" * width for width in widths))
    return "\n".join(_line(row, widths) for row in (_HEADINGS, separator, *rows))


def formatted_ratio(ratio: float) -> str:
    return f"{ratio:.2f}"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs"


def milliseconds(seconds: float, digits: int = 0) -> str:
    return f"{seconds * 1e3:.{digits}f} ms"


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"
