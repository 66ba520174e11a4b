"""The API's description as OpenAPI 3.1: the routes as they are registered, their parameters from
their queries, and their responses from the types that encode them."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, get_args, get_origin

import msgspec

from chalicelib.api.errors import (
    AllSlotsTaken,
    ApiError,
    BadParameter,
    HeaderTooLarge,
    InternalError,
    ServiceUnavailable,
    TokenNotValid,
    UriTooLong,
)
from chalicelib.api.formats import media
from chalicelib.api.health import HealthBody
from chalicelib.api.parameters import arns
from chalicelib.api.parameters.parameter import describe
from chalicelib.api.representation.body import Versioned
from chalicelib.api.representation.job import JobPage
from chalicelib.api.representation.queue import QueueList
from chalicelib.api.responses import ErrorBody
from chalicelib.api.routes import Route
from chalicelib.version import VERSION

Json = dict[str, Any]

_PATH_PARAMETERS: Final[Mapping[str, Json]] = {
    "job_id": {
        "name": "jobId",
        "in": "path",
        "required": True,
        "description": "Job id or ARN. In the path, `:` is `%3A`, `#` is `%23` and `/` is `%2F`",
        "schema": {
            "type": "string",
            "pattern": arns.JOB_PATTERN,
        },
    },
    "queue": {
        "name": "queue",
        "in": "path",
        "required": True,
        "description": "Name or ARN of a job queue",
        "schema": {"type": "string", "pattern": arns.QUEUE_PATTERN},
    },
}
_IF_NONE_MATCH: Final[Json] = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of a previous response",
    "schema": {"type": "string"},
}
_VERSION_HEADERS: Final = ("ETag",)
_PAGE_HEADERS: Final = ("Link", "X-Next-Token")
_HEADERS: Final[Mapping[str, Json]] = {
    name: {"description": description, "schema": {"type": kind}}
    for name, kind, description in (
        ("ETag", "string", "The version of the response"),
        ("Link", "string", "The address of the next page; absent on the last page"),
        ("X-Next-Token", "string", "The `nextToken` of the next page; absent on the last page"),
        ("Retry-After", "integer", "In how many seconds to try again"),
        ("WWW-Authenticate", "string", "The scheme of the token, `Bearer`"),
    )
}
_GATEWAY_ERROR: Final[Json] = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}},
}
"""The gateway's own form of an error, without the responses that `make deploy` puts."""
_REFERENCE: Final = "#/components/schemas/{name}"


def document(routes: Iterable[Route], server: str) -> Json:
    """Return the description of the routes that return JSON. `server` is the path under which they
    are served, which contains the stage."""
    described = [route for route in routes if _is_json(route)]
    bodies = [body for route in described if (body := _struct(route))]
    _, schemas = msgspec.json.schema_components([ErrorBody, *bodies], ref_template=_REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "batchwatch",
            "version": VERSION,
            "description": "AWS Batch jobs with their full history. Unknown values are null.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "paths": {_path(route): {"get": _operation(route)} for route in described},
        "components": {
            "schemas": schemas,
            "headers": _HEADERS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _is_json(route: Route) -> bool:
    return get_origin(route.returns) is dict or _struct(route) is not None


def _struct(route: Route) -> type[msgspec.Struct] | None:
    body = get_args(route.returns)[0] if _is_versioned(route) else route.returns
    return body if isinstance(body, type) and issubclass(body, msgspec.Struct) else None


def _is_versioned(route: Route) -> bool:
    return get_origin(route.returns) is Versioned


def _path(route: Route) -> str:
    path = route.path
    for name, parameter in _PATH_PARAMETERS.items():
        path = path.replace(f"{{{name}}}", f"{{{parameter['name']}}}")
    return path


def _operation(route: Route) -> Json:
    parameters = [p for name, p in _PATH_PARAMETERS.items() if f"{{{name}}}" in route.path]
    parameters += describe(route.query) if route.query else []
    parameters += [_IF_NONE_MATCH] if _is_versioned(route) else []
    return {
        "operationId": _camel_case(route.name),
        "summary": route.summary.removesuffix("."),
        "parameters": parameters,
        "responses": _responses(route),
        "security": [{"token": []}] if route.is_private else [],
    }


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _responses(route: Route) -> Json:
    body = _struct(route)
    is_page = body in (JobPage, QueueList)
    headers = _VERSION_HEADERS if _is_versioned(route) else _PAGE_HEADERS if is_page else ()
    responses = {"200": _response(HTTPStatus.OK, body, headers)}
    responses |= {
        str(error.status): _response(error.status, ErrorBody, error.headers)
        for error in _errors(route)
    }
    if _is_versioned(route):
        responses["304"] = {
            "description": "The client has this version",
            "headers": _references(headers),
        }
    if body is HealthBody:
        responses["503"] = _response(HTTPStatus.SERVICE_UNAVAILABLE, body)
    if route.is_private:
        forms = [responses["401"]["content"][media.JSON]["schema"], _GATEWAY_ERROR]
        responses["401"]["content"][media.JSON] = {"schema": {"anyOf": forms}}
        responses["403"] = {"description": "The token is invalid, and `make deploy` was not run"}
    return responses


def _errors(route: Route) -> Iterable[type[ApiError]]:
    """Return the errors of the view, and those of the gateway that have the same form."""
    yield from (InternalError, ServiceUnavailable, AllSlotsTaken)
    yield from route.raises
    if route.query:
        yield BadParameter
    if route.is_private:
        yield from (TokenNotValid, UriTooLong, HeaderTooLarge)


def _response(status: HTTPStatus, body: type | None, headers: Iterable[str] = ()) -> Json:
    schema = {"$ref": _REFERENCE.format(name=body.__name__)} if body else {"type": "object"}
    content = {media_type: {"schema": {"type": "string"}} for media_type in media.offered(body)}
    response = {
        "description": status.phrase,
        "content": {**content, media.JSON: {"schema": schema}},
    }
    return {**response, "headers": described} if (described := _references(headers)) else response


def _references(headers: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in headers}
