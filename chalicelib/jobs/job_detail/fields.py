"""Validates, redacts and truncates the fields of a detail.

Truncation keeps a job's items far below DynamoDB's limit of 400 KB, and its name below the 1,024
bytes of a sort key, whatever an event contains.
"""

import re
from collections.abc import Mapping, Sequence

from chalicelib.errors import MalformedEvent
from chalicelib.jobs.job import JobId
from chalicelib.redaction import Redaction

MAX_TEXT, MAX_NAME, MAX_COMMAND = 1_024, 200, 8_192
"""Characters of a text, of a name, and of all arguments of a command together."""
MAX_ENTRIES, MAX_ATTEMPTS, MAX_MAPPING_BYTES = 100, 20, 65_536
"""Entries of a mapping or list, attempts (AWS Batch allows ten), and bytes of a mapping."""

_JOB_QUEUE = re.compile(r"(arn:[^/#\s]{1,256}/)?[A-Za-z0-9_.-]{1,128}")


def checked_job_id(text: str) -> str:
    """Raise MalformedEvent if the text is not a job id."""
    try:
        JobId.parse(text)
    except ValueError as error:
        raise MalformedEvent(f"jobId {error}") from error
    return text


def checked_job_queue(text: str) -> str:
    """Raise MalformedEvent if the text is not the ARN or the name of a job queue: the name becomes
    a part of keys."""
    if not _JOB_QUEUE.fullmatch(text):
        raise MalformedEvent("jobQueue is neither the ARN nor the name of a job queue")
    return text


def required(field: str, value: str) -> str:
    """Return a truncated name. Raise MalformedEvent if it is blank."""
    if not value.strip():
        raise MalformedEvent(f"{field} is empty")
    return value[:MAX_NAME]


def truncated(value: str | None, characters: int) -> str | None:
    """Return the beginning of a text; None if it is empty."""
    return value[:characters] if value else None


def marked(text: str, characters: int) -> str:
    """Return a text, or its beginning and how much more there was."""
    omitted = len(text) - characters
    return f"{text[:characters]}{_more(omitted, 'character')}" if omitted > 0 else text


def marked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, or the first ones and how many more there were."""
    kept = tuple(name[:MAX_NAME] for name in names[:MAX_ENTRIES])
    omitted = len(names) - len(kept)
    return (*kept, _more(omitted, "name")) if omitted else kept


def _more(omitted: int, what: str) -> str:
    return f"… {omitted:,} more {what}{'s' if omitted > 1 else ''}"


def redacted_text(value: str | None, redaction: Redaction) -> str | None:
    return marked(redaction.text(value), MAX_TEXT) if value else None


def redacted_mapping(
    values: Mapping[str, str | None] | None, redaction: Redaction
) -> dict[str, str]:
    """Return tags or parameters, sorted so that equal descriptions have equal digests.

    Leave out `resourceArn`, which is not a tag of the job: AWS adds it to events only.
    """
    given = {name: value for name, value in (values or {}).items() if value is not None}
    given.pop("resourceArn", None)
    redacted = sorted(redaction.mapping(given).items())
    kept: dict[str, str] = {}
    bytes_left = MAX_MAPPING_BYTES
    for name, value in redacted[:MAX_ENTRIES]:
        name, value = name[:MAX_NAME], marked(value, MAX_TEXT)
        bytes_left -= len(name.encode()) + len(value.encode())
        if bytes_left < 0:
            break
        kept[name] = value
    omitted = len(redacted) - len(kept)
    return {**kept, "…": _more(omitted, "name").removeprefix("… ")} if omitted else kept


def redacted_command(arguments: Sequence[str], redaction: Redaction) -> tuple[str, ...]:
    """Return the arguments of a command. If they are too long together, the last one states how
    much more there was."""
    kept: list[str] = []
    characters_left = MAX_COMMAND
    redacted = redaction.command(arguments)
    for argument in redacted:
        if characters_left <= 0:
            return (*kept, _more(len(redacted) - len(kept), "argument"))
        kept.append(marked(argument, characters_left))
        characters_left -= len(argument) + 1
    return tuple(kept)
