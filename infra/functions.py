"""A stage's functions, called by hand: what `make backfill` and `make redrive` have in common."""

import json
from typing import Any

import boto3
from botocore.config import Config

from infra.errors import Refused

_LONGEST_SECONDS = 300


class FunctionFailed(Refused):
    """It was called, and raised; its log says more."""


def lambda_client() -> Any:
    """Waits for as long as a function may take: asked again, Lambda would call it twice."""
    patient = Config(read_timeout=_LONGEST_SECONDS, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=patient)


class Function:
    """`client` is Lambda's, `name` as in app.py. Refused if the stage has no such function here."""

    def __init__(self, client: Any, name: str, jobs_table: str) -> None:
        self._client = client
        self._name = name
        self._deployed_as = _deployed_name(client, name, jobs_table)

    def call(self, event: dict[str, Any]) -> Any:
        """What it returns. Raises FunctionFailed."""
        answer = self._client.invoke(
            FunctionName=self._deployed_as, Payload=json.dumps(event).encode()
        )
        told = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            said = told.get("errorMessage", "its log says why")
            raise FunctionFailed(f"{self._name} failed: {said}")
        return told


def _deployed_name(client: Any, name: str, jobs_table: str) -> str:
    for page in client.get_paginator("list_functions").paginate():
        for one in page["Functions"]:
            variables = one.get("Environment", {}).get("Variables", {})
            if one.get("Handler") == f"app.{name}" and variables.get("JOBS_TABLE") == jobs_table:
                return str(one["FunctionName"])
    raise Refused(f"no {name} for {jobs_table} here: is the stage deployed, and in this region?")
