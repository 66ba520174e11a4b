"""`make run`: batchwatch on this machine as in AWS, with simulated jobs.

    ministack      the local AWS with both stacks        log: STATE_DIR/aws.log
    Webex, Batch   stand-ins; Webex has a page           threads of this process
    chalice local  the HTTP API                          log: STATE_DIR/api.log
    feed           simulated jobs, through the rule      a thread of this process

The parts are started in this order and stopped in the reverse order.
"""

import fcntl
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn, Self

from botocore.exceptions import BotoCoreError, ClientError

from infra.errors import CommandError
from local import webex
from local.api import Api
from local.aws import ROOT, STAGE, LocalAws
from local.batch import BatchServer, an_environment, batch_url_file
from local.package import package
from local.ports import LOOPBACK, free_port, is_taken
from local.process import LocalError
from local.simulator.feed import feed
from local.simulator.log_writer import LogWriter
from local.stacks import create_app, kept_token, put_webex_token
from local.workload import SimulatedEvent

_CHECK_SECONDS = 0.5
_STATUS_SECONDS = 5.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """The variables of `make run`. An empty `webex_api_url` or `batch_url` means the stand-in."""

    port: int
    aws_port: int
    webex_port: int
    webex_api_url: str
    webex_token: str
    webex_room: str
    batch_url: str
    state_dir: Path
    simulate: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the options. Raise LocalError for an invalid port or one in use.

        With WEBEX_API_URL, WEBEX_TOKEN and WEBEX_ROOM are required to send notices: the defaults
        exist only in the stand-in.
        """
        port = _port(environment, "PORT", "8000")
        aws_port = _port(environment, "AWS_PORT", "4566", {port})
        return cls(
            port=port,
            aws_port=aws_port,
            webex_port=_webex_port(environment, port, aws_port),
            webex_api_url=environment.get("WEBEX_API_URL", ""),
            webex_token=environment.get("WEBEX_TOKEN") or webex.TOKEN,
            webex_room=environment.get("WEBEX_ROOM") or webex.ROOM,
            batch_url=environment.get("AWS_ENDPOINT_URL_BATCH", ""),
            state_dir=Path(environment.get("STATE_DIR") or ROOT / ".state"),
            simulate=environment.get("SIMULATE") != "0",
        )


def _port(
    environment: Mapping[str, str], variable: str, default: str, used: Collection[int] = ()
) -> int:
    value = environment.get(variable) or default
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise LocalError(f"{variable} must be a port number such as {default}, not {value!r}")
    if int(value) in used or is_taken(int(value)):
        raise LocalError(
            f"port {value} is in use: set {variable} to another port, such as"
            f" {variable}={free_port()}"
        )
    return int(value)


def _webex_port(environment: Mapping[str, str], port: int, aws_port: int) -> int:
    """Return the port after the API's by default, or any free port if that is in use."""
    if environment.get("WEBEX_PORT"):
        return _port(environment, "WEBEX_PORT", str(port + 1), {port, aws_port})
    is_usable = port + 1 < 65536 and port + 1 != aws_port and not is_taken(port + 1)
    return port + 1 if is_usable else free_port()


class Feed(threading.Thread):
    """The stream of simulated jobs. `check` raises an error that has stopped it."""

    def __init__(self, aws_url: str, on_event: Callable[[SimulatedEvent], None]) -> None:
        super().__init__(name="feed", daemon=True)
        self._aws_url = aws_url
        self._on_event = on_event
        self._stop_requested = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            feed(self._stop_requested, self._aws_url, self._on_event)
        except Exception as error:
            self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise LocalError(f"the simulated jobs stopped: {self._error!r}")

    def stop(self) -> None:
        self._stop_requested.set()
        self.join(timeout=10)


def run(options: Options) -> None:
    """Start all parts and wait. End with KeyboardInterrupt after a signal, and with an error when
    a part fails; in both cases all parts are stopped."""
    with ExitStack() as parts:
        parts.enter_context(state_lock(options.state_dir))
        print("Starting the local AWS …", flush=True)
        aws = parts.enter_context(LocalAws(options.aws_port, options.state_dir))
        resources = aws.create_resources()
        rooms = parts.enter_context(_webex(options)) if not options.webex_api_url else None
        batch = parts.enter_context(_batch(options)) if not options.batch_url else None
        put_webex_token(aws, resources.webex_secret_id, options.webex_token)
        print("Packaging the app (only if it has changed) …", flush=True)
        variables = {
            "WEBEX_API_URL": rooms.api_url if rooms else options.webex_api_url,
            "WEBEX_ROOM": options.webex_room,
            "AWS_ENDPOINT_URL_BATCH": batch.url if batch else options.batch_url,
            "PUBLIC_URL": f"http://{LOOPBACK}:{options.port}",
        }
        create_app(aws, package(STAGE, aws.environment_for(os.environ)), variables)
        token = kept_token(aws, resources.secret_id, options.state_dir / "token")
        api = parts.enter_context(Api(options.port, aws, token, options.state_dir / "api.log"))
        checks = [aws.check, api.check]
        if options.simulate:
            jobs = Feed(aws.endpoint, on_event=_mirror(batch, LogWriter(aws.client("logs"))))
            jobs.start()
            parts.callback(jobs.stop)
            checks.append(jobs.check)
        webex_url = rooms.page_url if rooms else options.webex_api_url
        print(welcome(api.url, aws.endpoint, webex_url, token, options.state_dir), flush=True)
        watch(api, checks)


def _webex(options: Options) -> webex.WebexServer:
    return webex.WebexServer(options.webex_port, state_file=options.state_dir / "webex.json")


@contextmanager
def _batch(options: Options) -> Iterator[BatchServer]:
    """Serve the stand-in Batch on a free port, and store its URL for `make simulate`."""
    with BatchServer(state_file=options.state_dir / "batch.json") as batch:
        batch_url_file(options.state_dir).write_text(batch.url)
        _put_queues(batch)
        yield batch


def _put_queues(batch: BatchServer) -> None:
    """Add the queues of the simulated jobs, with environments of which one is at its limit, one is
    DISABLED and one is INVALID."""
    on_demand = an_environment("on-demand", desired=96)
    gpu = an_environment("gpu", desired=64, most=64)
    disabled = an_environment("spot-b", kind="SPOT", desired=0, state="DISABLED")
    reason = "CLIENT_ERROR - Access denied: the role ecsInstanceRole does not exist"
    invalid = an_environment(
        "spot-c", kind="SPOT", desired=0, status="INVALID", statusReason=reason
    )
    batch.put_queue("high-priority", on_demand, priority=10)
    batch.put_queue("low-priority", on_demand)
    batch.put_queue("spot", an_environment("spot-a", kind="SPOT", desired=128), disabled, invalid)
    limit = {"reason": "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY", "state": "RUNNABLE"}
    limits = [{**limit, "maxTimeSeconds": 14_400, "action": "CANCEL"}]
    batch.put_queue("gpu", gpu, jobStateTimeLimitActions=limits)
    environment = batch.put_service_environment("training")
    batch.put_queue(
        "training",
        serviceEnvironmentOrder=[{"order": 1, "serviceEnvironment": environment}],
        jobQueueType="SAGEMAKER_TRAINING",
    )


def _mirror(batch: BatchServer | None, logs: LogWriter) -> Callable[[SimulatedEvent], None]:
    """Return a function that stores the state of a simulated job in the stand-in Batch, and what it
    has written in its log."""

    def put(event: SimulatedEvent) -> None:
        logs.write(event)
        if batch and event.is_status_change:
            batch.put([event.detail])

    return put


def welcome(api: str, aws: str, webex_url: str, token: str, state_dir: Path) -> str:
    curl = f"curl -s -H 'Authorization: Bearer {token}'"
    return f"""
API        {api}
dashboard  {api}/
Webex      {webex_url}
local AWS  {aws}
token      {token}
logs       {state_dir}

  {curl} '{api}/jobs?limit=5'
  {curl} '{api}/jobs?status=FAILED&limit=5'
  {curl} '{api}/queues'

Ctrl-C stops everything. Recorded jobs are kept for the next start; `make clean` deletes them.
"""


def watch(api: Api, checks: Sequence[Callable[[], None]]) -> NoReturn:
    """Show the state of the queues every few seconds, until one of the checks raises. On a
    terminal, one line is overwritten; otherwise, a line is printed when it changes."""
    next_status, shown = time.monotonic(), ""
    try:
        while True:
            for check in checks:
                check()
            if time.monotonic() >= next_status:
                summary = _summary(api)
                if sys.stdout.isatty() or summary != shown:
                    _show(f"{datetime.now():%H:%M:%S}  {summary}")
                shown = summary
                next_status = time.monotonic() + _STATUS_SECONDS
            time.sleep(_CHECK_SECONDS)
    finally:
        if sys.stdout.isatty():
            print()


def _summary(api: Api) -> str:
    """Return the state of the queues, or the error of a failed request, which must not end the run:
    the machine may be busy."""
    try:
        return api.summary()
    except LocalError as error:
        return str(error)


def _show(line: str) -> None:
    """Print a line; on a terminal, overwrite the previous one."""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{line[:width]}", end="", flush=True)
    else:
        print(line, flush=True)


@contextmanager
def state_lock(state_dir: Path) -> Iterator[None]:
    """Lock the state folder: two local AWS that save into it would overwrite each other's data."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(
            f"STATE_DIR must be a writable folder such as .state: {state_dir}: {error.strerror}"
        ) from error
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError(
                f"STATE_DIR {state_dir} is in use by another `make run`: stop it, or set another"
                " folder, such as STATE_DIR=.state2"
            ) from error
        yield


def main() -> int:
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    try:
        run(Options.from_environment(os.environ))
    except KeyboardInterrupt:
        print("\nStopped.")
    except (CommandError, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Start an orderly stop, which no further signal interrupts."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
