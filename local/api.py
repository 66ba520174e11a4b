"""The HTTP API on this machine, served by `chalice local`, and the little that we ask of it.

Knows the routes that it asks; whatever answers them finds its way to the local AWS through its
environment alone.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from local.aws import ROOT, STAGE, LocalAws
from local.package import CHALICE
from local.ports import LOOPBACK
from local.process import LocalError, Process, wait_for

STATUSES = (
    *("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING"),
    *("SUCCEEDED", "FAILED"),
)
PAGE = 100


class Api:
    """Serves from its construction to `stop`, which a `with` block calls by itself."""

    def __init__(self, port: int, aws: LocalAws, token: str, log: Path):
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def check(self) -> None:
        """LocalError if it has ended."""
        self._process.check()

    def stop(self) -> None:
        self._session.close()
        self._process.stop()

    def counts(self) -> str:
        """How many jobs are in each status, as far as one page of each goes."""
        return "  ".join(f"{status} {self._count(status)}" for status in STATUSES)

    def _count(self, status: str) -> str:
        page = self._get("/jobs", status=status, limit=PAGE).json()
        return f"{len(page['jobs'])}{'+' if page['nextToken'] else ''}"

    def _get(self, path: str, **parameters: str | int) -> requests.Response:
        try:
            answer = self._session.get(self.url + path, params=parameters, timeout=30)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise LocalError(f"the API failed: {error}; its log is {self._process.log}") from error
        return answer
