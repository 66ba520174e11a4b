"""The logs of simulated attempts: what a program writes when it begins, and how it ends.

With colours, a progress bar and a secret, as programs write them. Pure: must not know CloudWatch.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from local.workload.events import Detail, SimulatedEvent

GROUP: Final = "/aws/batch/job"
_BEGINNING: Final = (
    "\x1b[32mINFO\x1b[0m starting {command}",
    "\x1b[32mINFO\x1b[0m reading s3://lab-data/reference/index, password=hunter2",
    "\r 10 %\r 50 %\r100 % of the input read",
)
_ENDINGS: Final = {
    0: ["\x1b[32mINFO\x1b[0m wrote the results"],
    1: [
        "Traceback (most recent call last):",
        '  File "run.py", line 88, in <module>',
        "ValueError: could not convert string to float: 'n/a'",
    ],
    2: ["usage: run [-h] --reference REFERENCE", "run: error: argument --reference is required"],
    64: ["ERROR unknown option --thread"],
    127: ["sh: 1: {command}: command not found"],
    137: ["Killed"],
    139: ["Segmentation fault (core dumped)"],
    143: ["Terminated"],
}


class LogPart(NamedTuple):
    """Lines that a container writes to its log stream."""

    group: str
    stream: str
    messages: tuple[str, ...]


def log_parts(event: SimulatedEvent) -> Iterator[LogPart]:
    """Yield what the containers of a job have written before an event."""
    detail = event.detail
    if not event.is_status_change:
        return
    for attempt in detail.get("attempts", ()):
        if "stoppedAt" in attempt:
            yield from _parts(detail, attempt.get("container", {}), has_ended=True)
    if detail["status"] == "RUNNING":
        yield from _parts(detail, detail.get("container", {}), has_ended=False)


def _parts(detail: Detail, container: Detail, *, has_ended: bool) -> Iterator[LogPart]:
    stream = container.get("logStreamName")
    if not stream:
        return
    described = detail.get("container", {})
    options = described.get("logConfiguration", {}).get("options", {})
    command = " ".join(described.get("command", ())) or detail["jobName"]
    lines = list(_BEGINNING)
    if has_ended:
        lines += _ENDINGS.get(container.get("exitCode", 143), ["ERROR failed"])
    messages = tuple(line.format(command=command) for line in lines)
    yield LogPart(options.get("awslogs-group", GROUP), stream, messages)
