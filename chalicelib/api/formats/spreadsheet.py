"""CSV (RFC 4180) that a spreadsheet does not take for formulas."""

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")
Value = str | float | None
Columns = Mapping[str, Callable[[T], Value]]
"""How the value of each column is read from a row."""


_FORMULA = re.compile(r"(^|;)\s*[=+\-@|%]")


def spreadsheet(columns: Columns[T], rows: Iterable[T]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows([_cell(column(row)) for column in columns.values()] for row in rows)
    return text.getvalue()


def _cell(value: Value) -> Value:
    """Return a value that a spreadsheet of any locale displays as it is.

    Control characters become blanks. A quote is put before a text of which a spreadsheet could take
    a part for a formula: it may split a cell at semicolons or tabs, and reads full-width signs like
    others (https://owasp.org/www-community/attacks/CSV_Injection).
    """
    if not isinstance(value, str):
        return value
    text = "".join(" " if unicodedata.category(each) == "Cc" else each for each in value)
    return f"'{text}" if _FORMULA.search(unicodedata.normalize("NFKC", text)) else text
