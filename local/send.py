"""`make send EVENT=file.json`: put one event from a file on the local EventBridge bus."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from infra.errors import CommandError
from local.simulator.bus import SOURCE, Bus, Entry
from local.simulator.local_stack import add_url_options, token_file
from local.workload import DETAIL_TYPE


class UnusableFile(CommandError):
    """A file that does not contain an event."""


def read_entry(file: Path, now: datetime) -> Entry:
    """Read an EventBridge event, or only the detail of a job status change, which then has the
    time `now`.

    A job status change must contain a jobId; other events need not. Raises UnusableFile.
    """
    event = _read_object(file)
    if not {"detail-type", "detail"} <= event.keys():
        event = {"detail-type": DETAIL_TYPE, "detail": event}
    detail_type, detail = event["detail-type"], event["detail"]
    if not isinstance(detail_type, str) or not isinstance(detail, dict):
        raise UnusableFile(f"{file}: detail-type must be a string and detail an object")
    if detail_type == DETAIL_TYPE and not _is_text(detail.get("jobId")):
        raise UnusableFile(f"{file}: jobId not found in the object or its detail")
    arn = detail.get("jobArn")
    resources = event.get("resources", [arn] if _is_text(arn) else [])
    if not isinstance(resources, list) or not all(map(_is_text, resources)):
        raise UnusableFile(f"{file}: resources must be a list of ARNs")
    return {
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
        "Time": _parse_time(file, event["time"]) if "time" in event else now,
        "Resources": resources,
    }


def _read_object(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_bytes())
    except OSError as error:
        raise UnusableFile(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{file}: not JSON: {error}") from error
    if not isinstance(value, dict):
        raise UnusableFile(f"{file}: must contain one JSON object, an event or its detail")
    return value


def _parse_time(file: Path, value: object) -> datetime:
    try:
        time = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise UnusableFile(
            f"{file}: time must be a time such as 2026-11-24T03:55:00Z, not {value!r}"
        ) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.send", description="Put one event on the local EventBridge bus."
    )
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=os.environ.get("EVENT") or None,
        help="JSON: an EventBridge event, or the detail of a job status change",
    )
    add_url_options(parser)
    options = parser.parse_args(arguments)
    if options.file is None:
        parser.error("EVENT must be a file, such as make send EVENT=event.json")
    try:
        entry = read_entry(options.file, datetime.now(UTC))
        Bus(options.aws_url).put([entry])
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_confirmation(entry, options.api_url))
    return 0


def _confirmation(entry: Entry, api_url: str) -> str:
    """Return what was sent, and the command that shows the job."""
    detail = json.loads(entry["Detail"])
    job_id = detail.get("jobId")
    lines = [
        f"sent: {entry['DetailType']}, status {detail.get('status')}",
        f"source: {SOURCE}, because AWS reserves sources that begin with aws.",
        f"time: {entry['Time']:%Y-%m-%dT%H:%M:%SZ}; the local AWS replaces it by the current time",
    ]
    if job_id:
        url = f"{api_url}/jobs/{quote(str(job_id), safe='')}"
        lines.append(f'curl -H "Authorization: Bearer {_token()}" {shlex.quote(url)}')
    return "\n".join(lines)


def _token() -> str:
    """Return the shell expression of the token, so that the token itself is not printed."""
    if "BATCHWATCH_TOKEN" in os.environ:
        return "$BATCHWATCH_TOKEN"
    return f"$(cat {shlex.quote(str(token_file()))})"


if __name__ == "__main__":
    sys.exit(main())
