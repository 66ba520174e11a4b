"""`python -m local.webex`: the stand-in on its own, until it receives SIGINT or SIGTERM."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from local.process import LocalError
from local.webex.server import TOKEN, WebexServer


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m local.webex", description="Serve a local stand-in for Webex."
    )
    parser.add_argument("--port", type=int, default=8900, help="default: 8900")
    parser.add_argument("--state", type=Path, help="JSON file that keeps rooms and messages")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with WebexServer(options.port, state_file=options.state) as webex:
            print(
                f"Webex  {webex.page_url}  WEBEX_API_URL={webex.api_url}  token {TOKEN}", flush=True
            )
            stop.wait()
    except LocalError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
