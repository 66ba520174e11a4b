"""The recorder in a process of its own, which a test can kill.

    python -m tests.support.recorder_process

Reads one delivery as JSON from standard input. The exit code is 0 if the function would succeed,
and 1 if it would raise because messages have to be retried.
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
    delivery = json.load(sys.stdin)
    harness = RecorderHarness(
        LocalAws(delivery["port"], Path()),
        Resources(**delivery["resources"]),
        endpoint=delivery["endpoint"],
        runtime=Runtime(now=lambda: float(delivery["now"]), sleep=lambda seconds: None),
    )
    try:
        harness.record(messages_in(delivery["event"]))
    except MessagesLeft:
        sys.exit(1)


if __name__ == "__main__":
    main()
