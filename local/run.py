"""`make run`: batchwatch on this machine as it is in AWS, fed with simulated jobs.

    ministack      the local AWS with both stacks    its log: STATE_DIR/aws.log
    Webex, Batch   stand-ins; Webex has a page       threads of this process
    chalice local  the HTTP API                      its log: STATE_DIR/api.log
    feed           simulated jobs, through the rule  a thread of this process

Started in this order and stopped in the other. How a part works, its own module knows.
"""

import fcntl
import itertools
import os
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
from local.batch import BatchServer, batch_url_file
from local.lifecycles import SimulatedEvent
from local.package import package
from local.ports import free_port, is_taken
from local.process import LocalError
from local.simulate import feed
from local.stacks import create_app, kept_token, put_webex_token

TURN_SECONDS = 0.5
PROGRESS_TURNS = 10
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Options:
    """What the environment can change."""

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
        """Another Webex than the stand-in (WEBEX_API_URL) needs a token and a room of its own."""
        port = _free_port(environment, "PORT", "8000")
        aws_port = _free_port(environment, "AWS_PORT", "4566", {port})
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


def _free_port(
    environment: Mapping[str, str], variable: str, default: str, ours: Collection[int] = ()
) -> int:
    value = environment.get(variable) or default
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise LocalError(f"{variable} is {value!r}, which is no port")
    if int(value) in ours or is_taken(int(value)):
        raise LocalError(f"port {value} is taken: choose another one with {variable}=")
    return int(value)


def _webex_port(environment: Mapping[str, str], port: int, aws_port: int) -> int:
    """The one after the API's, if nobody says otherwise and nobody has it."""
    if environment.get("WEBEX_PORT"):
        return _free_port(environment, "WEBEX_PORT", "", {port, aws_port})
    usable = port + 1 < 65536 and port + 1 != aws_port and not is_taken(port + 1)
    return port + 1 if usable else free_port()


class Feed(threading.Thread):
    """Feeds simulated jobs until it is stopped; what goes wrong in it is told by `check`."""

    def __init__(self, aws_url: str, on_event: Callable[[SimulatedEvent], None]):
        super().__init__(name="feed", daemon=True)
        self._aws_url = aws_url
        self._on_event = on_event
        self._asked_to_stop = threading.Event()
        self._error: Exception | None = None

    def run(self) -> None:
        try:
            feed(self._asked_to_stop, aws_url=self._aws_url, on_event=self._on_event)
        except Exception as error:
            self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise LocalError(f"the simulated jobs stopped: {self._error!r}")

    def stop(self) -> None:
        self._asked_to_stop.set()
        self.join(timeout=10)


def run(options: Options) -> None:
    """Ends with KeyboardInterrupt when asked to, and with an error when a part fails."""
    with ExitStack() as parts:
        parts.enter_context(only_user_of(options.state_dir))
        print("Starting the local AWS …", flush=True)
        aws = parts.enter_context(LocalAws(options.aws_port, options.state_dir))
        resources = aws.create_resources()
        rooms = parts.enter_context(local_webex(options)) if not options.webex_api_url else None
        batch = parts.enter_context(local_batch(options)) if not options.batch_url else None
        put_webex_token(aws, resources.secret_id, options.webex_token)
        print("Packaging the app, if it has changed …", flush=True)
        functions = {
            "WEBEX_API_URL": rooms.api_url if rooms else options.webex_api_url,
            "WEBEX_ROOM": options.webex_room,
            "AWS_ENDPOINT_URL_BATCH": batch.url if batch else options.batch_url,
        }
        create_app(aws, package(STAGE, aws.environment_for(os.environ)), functions)
        token = kept_token(aws, resources.secret_id, options.state_dir / "token")
        api = parts.enter_context(Api(options.port, aws, token, options.state_dir / "api.log"))
        checks = [aws.check, api.check]
        if options.simulate:

            def tell(event: SimulatedEvent) -> None:
                if batch and event.is_state_change:
                    batch.put([event.detail])

            jobs = Feed(aws.endpoint, tell)
            jobs.start()
            parts.callback(jobs.stop)
            checks.append(jobs.check)
        webex_url = rooms.page_url if rooms else options.webex_api_url
        print(welcome(api.url, aws.endpoint, webex_url, token, options.state_dir), flush=True)
        watch(api, checks)


def watch(api: Api, checks: Sequence[Callable[[], None]]) -> None:
    """A line of progress now and then, until one of the checks fails."""
    for turn in itertools.count():
        for check in checks:
            check()
        if turn % PROGRESS_TURNS == 0:
            print(f"{datetime.now():%H:%M:%S}  {progress(api)}", flush=True)
        time.sleep(TURN_SECONDS)


def progress(api: Api) -> str:
    """An answer that fails to come is worth a line, not an end: the machine may be busy."""
    try:
        return api.counts()
    except LocalError as error:
        return str(error)


def local_webex(options: Options) -> webex.WebexServer:
    return webex.WebexServer(options.webex_port, state_file=options.state_dir / "webex.json")


@contextmanager
def local_batch(options: Options) -> Iterator[BatchServer]:
    """On any free port; `make simulate` reads its address from the state folder."""
    with BatchServer(state_file=options.state_dir / "batch.json") as batch:
        batch_url_file(options.state_dir).write_text(batch.url)
        yield batch


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

Ctrl-C stops everything; the jobs are there again at the next start.
"""


@contextmanager
def only_user_of(state_dir: Path) -> Iterator[None]:
    """Two local AWS that save into one folder would each lose what the other holds."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"STATE_DIR {state_dir} can't be used: {error.strerror}") from error
    with (state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise LocalError(
                f"{state_dir} is in use by another run: stop that, or choose another one with"
                " STATE_DIR="
            ) from error
        yield


def main() -> int:
    for number in SIGNALS:
        signal.signal(number, interrupt)
    try:
        run(Options.from_environment(os.environ))
    except KeyboardInterrupt:
        print("\nStopped.")
    except (CommandError, ClientError, BotoCoreError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """The first signal stops everything in order; no other one may cut that short."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
