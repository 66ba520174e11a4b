"""The HTTP API on this machine, served by `chalice local`, and a client for it.

`chalice local` finds the local AWS through its environment variables alone.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

import requests

from local.aws import ROOT, STAGE, LocalAws
from local.package import CHALICE
from local.ports import LOOPBACK
from local.process import LocalError, Process, wait_for

_PROBLEMS = {
    "QUEUE_BLOCKED": "is blocked",
    "EVENTS_MISSING": "receives no events",
    "STUCK": "has stuck jobs",
}
_TIMEOUT_SECONDS = 30


class Api:
    """The API from construction until `stop` or the end of a `with` block."""

    def __init__(self, port: int, aws: LocalAws, token: str, log: Path) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._process = Process(
            "the API",
            [CHALICE, "local", "--stage", STAGE, "--port", str(port), "--no-autoreload"],
            environment=aws.environment_for(os.environ),
            folder=ROOT,
            log=log,
        )

    def __enter__(self) -> Self:
        try:
            wait_for(self._process, self.url)
            self._get("/health")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise LocalError if the process has ended."""
        self._process.check()

    def stop(self) -> None:
        self._session.close()
        self._process.stop()

    def summary(self) -> str:
        """Return the state of all queues in a line, such as `7 queues: 12 waiting, 3 running, 5
        failed in 24 h; gpu is blocked`. Raise LocalError if the request fails."""
        return queues_in_a_line(self._get("/queues").json()["queues"])

    def _get(self, path: str) -> requests.Response:
        try:
            response = self._session.get(self.url + path, timeout=_TIMEOUT_SECONDS)
            response.raise_for_status()
        except requests.RequestException as error:
            raise LocalError(
                f"request to the API failed: {error}; see its log {self._process.log}"
            ) from error
        return response


def queues_in_a_line(queues: Iterable[Mapping[str, Any]]) -> str:
    """Summarize the queues of a response of `/queues`. The sweep counts them."""
    queues = list(queues)
    counted = [queue for queue in queues if queue["counts"] is not None]
    running = sum(queue["counts"]["RUNNING"] for queue in counted)
    waiting = sum(sum(queue["counts"].values()) for queue in counted) - running
    failed = sum(queue["lastDay"]["failed"] for queue in counted)
    problems = [
        f"{queue['jobQueue']} {_PROBLEMS[kind]}"
        for queue in queues
        for kind in dict.fromkeys(incident["kind"] for incident in queue["incidents"])
    ]
    number = f"{len(queues)} queue{'' if len(queues) == 1 else 's'}"
    if not counted:
        return f"{number}, counted by the next sweep"
    return "; ".join(
        [f"{number}: {waiting} waiting, {running} running, {failed} failed in 24 h", *problems]
    )
