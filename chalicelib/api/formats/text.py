"""Layout of text for a terminal: tables, pairs of a name and a value, sections."""

import re
from collections.abc import Iterable, Mapping
from textwrap import wrap
from typing import Final

from chalicelib.api.representation.usage import Amounts, CostBody, UsageBody

WIDTH: Final = 98
MAX_NAME: Final = 24
MAX_STATUS: Final = 16


def document(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return lines whose columns are aligned."""
    lines = [heads, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def facts(values: Mapping[str, object], width: int = WIDTH) -> list[str]:
    """Return a line for each known value, wrapped; a width of 0 leaves lines unwrapped."""
    known = {clean(name): clean(str(value)) for name, value in values.items() if value}
    margin = min(max(map(len, known), default=0), MAX_NAME) + 2
    lines: list[str] = []
    for name, value in known.items():
        first, *others = wrap(value, width - margin) if width and value.strip() else [value]
        lines.append(f"{name:<{margin}}{first}")
        lines += [f"{'':<{margin}}{other}" for other in others]
    return lines


def section(title: str, lines: Iterable[str]) -> list[str]:
    """Return the indented lines under their title, or nothing if there are no lines."""
    indented = [f"  {line}" for line in lines]
    return ["", title, *indented] if indented else []


def clean(text: str) -> str:
    """Return the text without what could move the cursor of a terminal, change its colours or its
    title: without control sequences, and with `\ufffd` for other control characters."""
    text = _CONTROL_SEQUENCE.sub("", text)
    return "".join(c if c.isprintable() or c == "\t" else "\ufffd" for c in text)


_CONTROL_SEQUENCE: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC: title, links
    r"|\x1b[ -/]*[0-Z\\^-~]"
)
"""The control sequences of ECMA-48, and those of terminals that set a title or a link."""


def cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def moment(rfc3339: str) -> str:
    """Return the time to the second, as in "2026-11-24 03:55:00"."""
    return rfc3339[:19].replace("T", " ")


def amounts(of: Amounts) -> str:
    units = {
        "vCPU-hours": of.vcpu_hours,
        "GB-hours": of.gb_hours,
        "GPU-hours": of.gpu_hours,
    }
    return ", ".join(f"{amount:.4g} {unit}" for unit, amount in units.items() if amount)


def usage(of: UsageBody) -> str | None:
    """Return the total and the wasted amounts, or None if nothing was used."""
    total, wasted = amounts(of), amounts(of.wasted)
    return f"{total}; wasted {wasted}" if wasted else total or None


def cost(of: CostBody) -> str:
    return f"about {of.estimate:.4g} {of.currency} (estimate), {of.wasted:.4g} of it wasted"
