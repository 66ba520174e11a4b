"""Invocation of a stage's Lambda functions by `make backfill`, `make redrive` and others."""

import json
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from infra.errors import CommandError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_MAX_SECONDS = 300
"""More than the longest timeout of a function in .chalice/config.json."""


class FunctionFailed(CommandError):
    """An invocation that returned an error."""


def lambda_client() -> "LambdaClient":
    """Return a client that waits until a function returns, and never invokes it twice."""
    config = Config(read_timeout=_MAX_SECONDS, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=config)


class Function:
    """A deployed function, identified by its name in app.py and the table that it uses."""

    def __init__(self, client: "LambdaClient", name: str, jobs_table: str) -> None:
        """Find the function. Raise CommandError if the account and region don't have it."""
        self._client = client
        self._name = name
        self._deployed_name = _deployed_name(client, name, jobs_table)

    def call(self, event: dict[str, object]) -> Any:
        """Invoke the function and return its result. Raise FunctionFailed."""
        response = self._client.invoke(
            FunctionName=self._deployed_name, Payload=json.dumps(event).encode()
        )
        result = json.loads(response["Payload"].read())
        if "FunctionError" in response:
            reason = result.get("errorMessage", "see its log")
            raise FunctionFailed(f"{self._name} failed: {reason}")
        return result


def _deployed_name(client: "LambdaClient", name: str, jobs_table: str) -> str:
    for page in client.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            variables = function.get("Environment", {}).get("Variables", {})
            is_ours = variables.get("JOBS_TABLE") == jobs_table
            if is_ours and function.get("Handler") == f"app.{name}":
                return function["FunctionName"]
    raise CommandError(
        f"function {name} for table {jobs_table} not found: is the stage deployed in this account"
        " and region?"
    )
