"""The API described for machines, as OpenAPI 3.1: the answers from the very types that encode
them, the routes and their parameters from the tables here, which the tests hold against the app."""

from functools import cache
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from chalicelib.api import formats
from chalicelib.api.health import HealthBody
from chalicelib.api.http import ErrorBody
from chalicelib.api.parameters import (
    LONGEST_NAME,
    MOST_ATTEMPTS,
    MOST_JOBS,
    MOST_LINES,
    MOST_WAIT,
    USUAL_JOBS,
    USUAL_LINES,
)
from chalicelib.api.representation import JobBody, JobPage, LogsBody, QueueBody, QueueList
from chalicelib.jobs.job import LISTED_STATUSES

Json = dict[str, Any]


class Route(NamedTuple):
    """`parameters` are names in PARAMETERS; `errors` those of our own form."""

    summary: str
    parameters: tuple[str, ...]
    answer: type | None
    errors: tuple[int, ...] = (400, 404, 503)
    token: bool = True


ROUTES = {
    "/jobs": Route(
        "Jobs, newest first by when they entered their status; with `name`, by name",
        ("queue", "status", "name", "since", "until", "limit", "nextToken"),
        JobPage,
        (400, 503),
    ),
    "/jobs/{jobId}": Route(
        "One job", ("jobId", "wait", "If-None-Match"), JobBody, (400, 404, 429, 503)
    ),
    "/jobs/{jobId}/children": Route(
        "The children of an array, or the nodes of a multi-node job, by index",
        ("jobId", "status", "limit", "nextToken"),
        JobPage,
    ),
    "/jobs/{jobId}/logs": Route(
        "The end of the CloudWatch log of an attempt, redacted",
        ("jobId", "attempt", "lines"),
        LogsBody,
        (400, 404, 409, 503),
    ),
    "/queues": Route("What is in each queue, and its last 24 hours", (), QueueList, (400, 503)),
    "/queues/{queue}": Route("One queue, its hours and its days", ("queue",), QueueBody),
    "/openapi.json": Route("This description", (), None, (503,)),
    "/health": Route(
        "Whether table and queues answer; needs no token", (), HealthBody, (), token=False
    ),
}

_TEXT = {"type": "string", "minLength": 1, "maxLength": 2_000, "pattern": r"\S"}
_TIME = {"type": "string", "examples": ["2026-11-24T03:55:00Z", "2026-11-24", "-24h"]}


def _number(most: int, usual: int | None = None) -> Json:
    default = {"default": usual} if usual else {}
    return {"type": "integer", "minimum": 1, "maximum": most, **default}


PARAMETERS: dict[str, Json] = {
    "jobId": {
        "description": "In the path, `:` is `%3A` and `#` is `%23`",
        "schema": {
            "type": "string",
            "pattern": r"^[A-Za-z0-9._-]{1,128}([:#](0|[1-9][0-9]{0,5}))?$",
        },
    },
    "queue": {
        "description": "The name of one job queue",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"},
    },
    "status": {
        "description": "One or more, repeated or as a comma list, in any case",
        "schema": {"type": "array", "items": {"enum": list(LISTED_STATUSES)}, "minItems": 1},
    },
    "name": {
        "description": "How the job's name begins",
        "schema": _TEXT | {"maxLength": LONGEST_NAME},
    },
    "since": {"description": "The status was entered then or later", "schema": _TIME},
    "until": {"description": "The status was entered before", "schema": _TIME},
    "limit": {"description": "Most jobs on a page", "schema": _number(MOST_JOBS, USUAL_JOBS)},
    "attempt": {"description": "From 1; the last if not given", "schema": _number(MOST_ATTEMPTS)},
    "lines": {"description": "Most lines", "schema": _number(MOST_LINES, USUAL_LINES)},
    "wait": {
        "description": "Seconds to wait for a change of status, or of the version that is known",
        "schema": _number(MOST_WAIT),
    },
    "If-None-Match": {
        "description": "The ETag of an answer that the client has",
        "schema": {"type": "string"},
    },
    "nextToken": {"description": "The one of the page before", "schema": _TEXT},
}


@cache
def document() -> Json:
    types = [ErrorBody, *(route.answer for route in ROUTES.values() if route.answer)]
    _, schemas = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "batchwatch",
            "version": "1",
            "description": "AWS Batch jobs and their whole history. What is not known is null.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": {path: {"get": _operation(path, route)} for path, route in ROUTES.items()},
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


_REFERENCE = "#/components/schemas/{name}"


def _operation(path: str, route: Route) -> Json:
    answers = {"200": _answer(HTTPStatus.OK, route.answer)}
    answers |= {str(error): _answer(HTTPStatus(error), ErrorBody) for error in route.errors}
    if route.token:
        answers |= {str(code): {"description": text} for code, text in _REFUSED.items()}
        answers |= {str(size): _answer(HTTPStatus(size), ErrorBody) for size in (414, 431)}
    else:
        answers["503"] = _answer(HTTPStatus.SERVICE_UNAVAILABLE, route.answer)
    if "If-None-Match" in route.parameters:
        answers["304"] = {"description": "The client has this version"}
    return {
        "summary": route.summary,
        "parameters": [_parameter(name, path) for name in route.parameters],
        "responses": answers,
        "security": [{"token": []}] if route.token else [],
    }


_REFUSED = {401: "No token, or a wrong one", 403: "A wrong token"}
"""In the gateway's own form."""


def _parameter(name: str, path: str) -> Json:
    in_path = f"{{{name}}}" in path
    in_header = {"in": "header" if name == "If-None-Match" else "query"}
    where = {"in": "path", "required": True} if in_path else in_header
    return {"name": name, **where, **PARAMETERS[name]}


def _answer(status: HTTPStatus, body: type | None) -> Json:
    schema = {"$ref": _REFERENCE.format(name=body.__name__)} if body else {"type": "object"}
    kinds = formats.offered(body)
    content = {kind: {"schema": {"type": "string"}} for kind in kinds}
    return {
        "description": status.phrase,
        "content": {**content, formats.JSON: {"schema": schema}},
    }
