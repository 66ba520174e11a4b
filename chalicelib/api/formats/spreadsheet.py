"""CSV (RFC 4180) that a spreadsheet does not take for formulas."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")
Value = str | float | None
Columns = Mapping[str, Callable[[T], Value]]
"""How the value of each column is read from a row."""


def spreadsheet(columns: Columns[T], rows: Iterable[T]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(column(row)) for column in columns.values()] for row in rows)
    return text.getvalue()


def _cell(value: Value) -> Value:
    """Return the value with a quote before any text that a spreadsheet would take for a formula."""
    if isinstance(value, str) and value.lstrip().startswith(("=", "+", "-", "@", "|", "%")):
        return f"'{value}"
    return value
