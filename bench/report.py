"""The table that `make bench` prints."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """`ratio` is the figure over the comparison."""

    what: str
    figure: str
    comparison: str
    ratio: str


_HEADINGS = Row("what", "figure", "comparison", "ratio")


def table(rows: Sequence[Row]) -> str:
    """Markdown, aligned."""
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    rule = Row(*("-" * width for width in widths))
    return "\n".join(_line(row, widths) for row in (_HEADINGS, rule, *rows))


def times(ratio: float) -> str:
    return f"{ratio:.2f}"


def microseconds(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs"


def _line(row: Row, widths: Sequence[int]) -> str:
    cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"
