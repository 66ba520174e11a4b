"""The recorder in a process of its own, which can be killed: `python -m tests.recorder_process`.

Reads one delivery as JSON from standard input, and ends as the function would: with 0 if all its
messages are done, else with 1.
"""

import json
import sys
from pathlib import Path

from chalicelib.aws.lambda_event import messages_in
from chalicelib.errors import MessagesLeft
from chalicelib.runtime import Runtime
from local.aws import LocalAws, Resources
from tests.support.recorder_harness import RecorderHarness


def main() -> None:
    given = json.load(sys.stdin)
    stand = RecorderHarness(
        LocalAws(given["port"], Path()),
        Resources(**given["resources"]),
        endpoint=given["endpoint"],
        runtime=Runtime(now=lambda: float(given["now"]), sleep=lambda seconds: None),
    )
    try:
        stand.record(messages_in(given["event"]))
    except MessagesLeft:
        sys.exit(1)


if __name__ == "__main__":
    main()
