"""Import times of a new function, as measured by Python's `-X importtime`, and the duration of its
first response."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import boto3

from bench.report import Row, formatted_ratio, milliseconds
from bench.timing import measure_in_rounds
from infra.token import allow_token, new_token
from local.aws import ROOT
from local.process import LocalError

_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)")
"""Microseconds of a module without its imports, cumulative microseconds, and the module's name."""

_TOKEN_NAME = "bench"
Event = dict[str, Any]


def rows(environment: Mapping[str, str], rounds: int) -> Iterator[Row]:
    """Compare with the import of boto3. `environment` is that of a function, with PATH."""
    seconds = partial(_import_seconds, environment)
    measured = measure_in_rounds(
        rounds,
        {
            "app": lambda: seconds("app", of=".*"),
            "ours": lambda: seconds("app", of="app|chalicelib"),
            "boto3": lambda: seconds("boto3", of=".*"),
        },
    )
    for benchmark, name in (
        ("import of app.py and its dependencies", "app"),
        ("… batchwatch's own modules", "ours"),
    ):
        yield Row(
            benchmark,
            milliseconds(measured.seconds(name)),
            f"{milliseconds(measured.seconds('boto3'))} boto3",
            formatted_ratio(measured.ratio(name, "boto3")),
        )
    yield from _response_rows(environment, rounds)


def _response_rows(environment: Mapping[str, str], rounds: int) -> Iterator[Row]:
    """Compare clients that are built at import with clients that are built on first use."""
    client = boto3.client("secretsmanager")
    token = new_token()
    allow_token(client, environment["SECRET_ID"], _TOKEN_NAME, token, ["*"], replace=True)
    for function, handler, event in (
        ("API", "app.app", _request()),
        ("authorizer", "app.authorize", _question(token)),
    ):
        for benchmark, since in (
            (f"first response of the {function} after the import", "import"),
            ("… with the start of the process", "start"),
        ):
            seconds = partial(_response_seconds, environment, handler, event, since)
            measured = measure_in_rounds(
                rounds, {"built": partial(seconds, handler), "lazy": partial(seconds, "")}
            )
            yield Row(
                benchmark,
                milliseconds(measured.seconds("built")),
                f"{milliseconds(measured.seconds('lazy'))} clients on first use",
                formatted_ratio(measured.ratio("built", "lazy")),
            )


def _request() -> Event:
    """Return the gateway's event for `GET /jobs`."""
    return {
        "headers": {},
        "multiValueQueryStringParameters": None,
        "pathParameters": None,
        "stageVariables": None,
        "body": None,
        "isBase64Encoded": False,
        "requestContext": {
            "httpMethod": "GET",
            "resourcePath": "/jobs",
            "path": "/jobs",
            "requestId": "bench",
            "identity": {},
            "authorizer": {"principalId": _TOKEN_NAME},
        },
    }


def _question(token: str) -> Event:
    """Return the gateway's event for the authorizer."""
    arn = "arn:aws:execute-api:us-east-1:000000000000:bench/api/GET/jobs"
    return {"type": "TOKEN", "methodArn": arn, "authorizationToken": f"Bearer {token}"}


_FIRST_RESPONSE = """
import json, sys, time
import app
event = json.loads(sys.argv[2])
imported = time.time()
result = getattr(app, sys.argv[1].partition(".")[2])(event, None)
seconds = time.time() - (imported if sys.argv[3] == "import" else float(sys.argv[4]))
assert result.get("statusCode") == 200 or result.get("principalId") == "bench", result
print(f"seconds={seconds}")
"""


def _response_seconds(
    environment: Mapping[str, str], handler: str, event: Event, since: str, built_for: str
) -> float:
    """Call `handler` once in a new process whose clients are built for `built_for`. Return the
    seconds since its import or since the start of the process."""
    arguments = [handler, json.dumps(event), since, str(time.time())]
    process = subprocess.run(
        [sys.executable, "-c", _FIRST_RESPONSE, *arguments],
        cwd=ROOT,
        env={**environment, "_HANDLER": built_for},
        capture_output=True,
        text=True,
    )
    if process.returncode:
        raise LocalError(f"{handler} failed: {process.stderr.splitlines()[-1]}")
    return float(process.stdout.splitlines()[-1].removeprefix("seconds="))


def _import_seconds(environment: Mapping[str, str], module: str, of: str) -> float:
    """Import `module` in a new process, and return the seconds of the modules whose top-level name
    matches `of`."""
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    output = process.stderr.splitlines()
    if process.returncode:
        raise LocalError(f"can't import {module}: {output[-1]}")
    lines = [line for line in map(_LINE.match, output) if line]
    return sum(int(line[1]) for line in lines if re.fullmatch(of, line[4].partition(".")[0])) / 1e6
