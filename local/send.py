"""Puts events on the local EventBridge bus; `python -m local.send FILE` puts one from a file.

`make send EVENT=file.json` shows what the product makes of one particular event, and
local/simulate.py puts whole workloads on the same Bus. This module knows PutEvents and files, and
nothing of what becomes of an event behind the rule.

AWS lets nobody publish under a source that begins with `aws.`, and neither does the local AWS:
these events come from `batchwatch.simulated`, which the local stack accepts besides `aws.batch`.
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection
from botocore.parsers import ResponseParserError

from local.job_details import SECOND
from local.lifecycles import DETAIL_TYPE, REGION, SimulatedEvent, job_arn

SOURCE = "batchwatch.simulated"
PUT_AT_ONCE = 10
"""The most events that a PutEvents call takes."""
PAUSES = (0.0, 0.2, 1.0)
"""Seconds before each try to put what EventBridge has not accepted yet."""

Entry = dict[str, Any]
"""An event as PutEvents wants it."""


class LocalStackError(Exception):
    """Why the local stack can't do its part: one line for the terminal."""


class UnusableFile(Exception):
    """Why a file can't be sent: one line for the terminal."""


class Bus:
    """The EventBridge bus behind a URL."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._events = local_client("events", url)

    def put(self, entries: Sequence[Entry]) -> None:
        """Returns when EventBridge has accepted all of them; raises LocalStackError otherwise."""
        for first in range(0, len(entries), PUT_AT_ONCE):
            self._put(entries[first : first + PUT_AT_ONCE])

    def _put(self, entries: Sequence[Entry]) -> None:
        left, why = entries, ""
        for pause in PAUSES:
            time.sleep(pause)
            left, why = self._refused(left)
            if not left:
                return
        raise LocalStackError(f"{self._url} refuses {len(left)} of {len(entries)} events: {why}")

    def _refused(self, entries: Sequence[Entry]) -> tuple[list[Entry], str]:
        """PutEvents fails each event by itself, and the call succeeds all the same."""
        with plain_errors(self._url):
            answers = self._events.put_events(Entries=entries)["Entries"]
        refused = [
            (entry, f"{answer['ErrorCode']}: {answer.get('ErrorMessage', '')}")
            for entry, answer in zip(entries, answers, strict=True)
            if "ErrorCode" in answer
        ]
        return [entry for entry, _ in refused], refused[0][1] if refused else ""


def entry_of(event: SimulatedEvent) -> Entry:
    return {
        "Source": SOURCE,
        "DetailType": event.detail_type,
        "Detail": json.dumps(event.detail),
        "Time": datetime.fromtimestamp(event.at / SECOND, UTC),
        "Resources": [job_arn(event.detail)],
    }


def read_entry(file: Path, now: datetime) -> Entry:
    """The event in a file: a whole EventBridge event, or the bare detail of one, then dated now.

    Only a Batch Job State Change must name its job. Raises UnusableFile.
    """
    event = _read_object(file)
    if not {"detail-type", "detail"} <= event.keys():
        event = {"detail-type": DETAIL_TYPE, "detail": event}
    kind, detail = event["detail-type"], event["detail"]
    if not isinstance(kind, str) or not isinstance(detail, dict):
        raise UnusableFile(f"{file}: its detail-type must be text and its detail an object")
    if kind == DETAIL_TYPE and not _is_text(detail.get("jobId")):
        raise UnusableFile(f"{file}: no jobId, neither in the object nor in a detail inside it")
    arn = detail.get("jobArn")
    resources = event.get("resources", [arn] if _is_text(arn) else [])
    if not isinstance(resources, list) or not all(map(_is_text, resources)):
        raise UnusableFile(f"{file}: its resources must be a list of ARNs")
    return {
        "Source": SOURCE,
        "DetailType": kind,
        "Detail": json.dumps(detail),
        "Time": _read_time(file, event["time"]) if "time" in event else now,
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
        raise UnusableFile(f"{file}: must hold one JSON object, an event or the detail of one")
    return value


def _read_time(file: Path, value: object) -> datetime:
    try:
        when = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise UnusableFile(f"{file}: its time is not like 2026-11-24T03:55:00Z") from error
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


# ------------------------------------------------------------------ reaching the local stack


def local_client(service: str, url: str) -> Any:
    """A boto3 client that asks no proxy, with keys that open no account wherever the URL leads."""
    session: Any = boto3.Session(
        aws_access_key_id="local", aws_secret_access_key="local", region_name=REGION
    )
    config = Config(proxies={}, retries={"total_max_attempts": 2, "mode": "standard"})
    try:
        return session.client(service, endpoint_url=url, config=config)
    except ValueError as error:
        raise LocalStackError(f"not a URL: {url}") from error


@contextmanager
def plain_errors(url: str) -> Iterator[None]:
    """Says in one line what boto3 says in many."""
    try:
        yield
    except (NoConnection, HTTPClientError) as error:
        raise silent(url) from error
    except (ClientError, ResponseParserError) as error:
        raise LocalStackError(f"{url} does not do its part: {error}") from error


def silent(url: str) -> LocalStackError:
    return LocalStackError(f"nothing answers at {url} : start it with `make run`")


def add_urls(parser: argparse.ArgumentParser) -> None:
    """The options that say where the local stack is."""
    given = os.environ.get
    aws = given("AWS_ENDPOINT_URL") or f"http://127.0.0.1:{given('AWS_PORT') or 4566}"
    api = f"http://127.0.0.1:{given('PORT') or 8000}"
    add = parser.add_argument
    add("--aws-url", default=aws, help=f"the local AWS ({aws})")
    add("--api-url", default=api, help=f"batchwatch's API ({api})")


def token_file() -> Path:
    """Where `make run` leaves a token of the local API."""
    return Path(os.environ.get("STATE_DIR") or ".state") / "token"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.send", description="Put one event through the local rule."
    )
    parser.add_argument(
        "file",
        type=Path,
        nargs="?",
        default=os.environ.get("EVENT") or None,
        help="JSON: an EventBridge event, or a bare detail, then dated now",
    )
    add_urls(parser)
    options = parser.parse_args(arguments)
    if options.file is None:
        parser.error("which file? (make send EVENT=file.json)")
    try:
        entry = read_entry(options.file, datetime.now(UTC))
        Bus(options.aws_url).put([entry])
    except (UnusableFile, LocalStackError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(_receipt(entry, options.api_url))
    return 0


def _receipt(entry: Entry, api_url: str) -> str:
    detail = json.loads(entry["Detail"])
    job_id = detail.get("jobId")
    sent = (
        f"sent: {entry['DetailType']}, status {detail.get('status')}\n"
        f"source: {SOURCE}, as AWS lets nobody publish under aws.*\n"
        f"time: {entry['Time']:%Y-%m-%dT%H:%M:%SZ}; AWS keeps it, the local AWS dates events anew"
    )
    if not job_id:
        return sent
    secret = "$BATCHWATCH_TOKEN"
    if "BATCHWATCH_TOKEN" not in os.environ:
        secret = f"$(cat {shlex.quote(str(token_file()))})"
    url = f"{api_url}/jobs/{quote(str(job_id), safe='')}"
    return f'{sent}\ncurl -H "Authorization: Bearer {secret}" {shlex.quote(url)}'


if __name__ == "__main__":
    sys.exit(main())
