"""A client of batchwatch's API."""

import http.client
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

from local.simulator.local_stack import LocalStackError, not_running

_TIMEOUT_SECONDS = 30


class UnexpectedResponse(Exception):
    """A response without the job, after which the next request may succeed."""


class ApiClient:
    """The API at a URL, with a token."""

    def __init__(self, url: str, token: str) -> None:
        if not url.startswith(("http://", "https://")):
            raise LocalStackError(f"--api-url must be a URL, not {url!r}")
        self._url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"}
        # A local address is never reached through a proxy, whatever the environment contains.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def job(self, job_id: str) -> dict[str, Any] | None:
        """Return a job, or None for a 404. Raise UnexpectedResponse or LocalStackError."""
        url = f"{self._url}/jobs/{quote(job_id, safe='')}"
        request = urllib.request.Request(url, headers=self._headers)
        try:
            with self._open(request, timeout=_TIMEOUT_SECONDS) as response:
                job = json.load(response)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 404:
                return None
            raise self._error(error.code) from error
        except (OSError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", error), ConnectionRefusedError):
                raise not_running(self._url) from error
            raise UnexpectedResponse(f"no response: {error}") from error
        except ValueError as error:
            raise UnexpectedResponse("the response is not JSON") from error
        if not isinstance(job, dict):
            raise UnexpectedResponse("the response is not a JSON object")
        return job

    def _error(self, status: int) -> Exception:
        if status in (401, 403):
            return LocalStackError(
                f"{self._url} rejected the token ({status}): use the token that `make run` prints,"
                " with BATCHWATCH_TOKEN=bw_… or --token"
            )
        return UnexpectedResponse(f"the API responded with status {status}")
