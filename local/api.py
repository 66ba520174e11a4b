"""The HTTP API on this machine, served by `chalice local`, and a client for it.

`chalice local` finds the local AWS through its environment variables alone.
"""

import os
from pathlib import Path
from typing import Self

import requests

from local.aws import ROOT, STAGE, LocalAws
from local.package import CHALICE
from local.ports import LOOPBACK
from local.process import LocalError, Process, wait_for
from local.workload import STATUSES

_MAX_COUNT = 100
"""The most jobs of a status that are counted: one page of the API."""
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

    def job_counts(self) -> str:
        """Return the number of jobs in each status that has any, such as `RUNNING 3  FAILED
        100+`. Raise LocalError if a request fails."""
        counts = {status: self._count(status) for status in STATUSES}
        shown = [f"{status} {count}" for status, count in counts.items() if count != "0"]
        return "  ".join(shown) or "no jobs"

    def _count(self, status: str) -> str:
        page = self._get("/jobs", status=status, limit=_MAX_COUNT).json()
        return f"{len(page['jobs'])}{'+' if page['nextToken'] else ''}"

    def _get(self, path: str, **parameters: str | int) -> requests.Response:
        try:
            response = self._session.get(
                self.url + path, params=parameters, timeout=_TIMEOUT_SECONDS
            )
            response.raise_for_status()
        except requests.RequestException as error:
            raise LocalError(
                f"request to the API failed: {error}; see its log {self._process.log}"
            ) from error
        return response
