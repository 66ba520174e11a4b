"""Chalice's responses for what the routes return and for errors: headers, format and ETag."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from chalice.app import Response
from msgspec import UNSET, Struct, UnsetType

from chalicelib.api.dashboard import File, Redirect
from chalicelib.api.errors import ApiError
from chalicelib.api.formats import media
from chalicelib.api.health import HealthBody
from chalicelib.api.representation.body import Versioned
from chalicelib.api.representation.job import JobPage
from chalicelib.api.representation.queue import QueueList

Headers = dict[str, str | list[str]]
Parameters = Mapping[str, Sequence[str]]
"""The values of each query parameter of a request."""

_HEADERS: Final[Mapping[str, str]] = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_CONTENT_TYPES: Final[Mapping[str, str]] = {
    media.JSON: "application/json",
    media.TEXT: "text/plain; charset=utf-8",
    media.CSV: "text/csv; charset=utf-8",
}
_NO_PARAMETERS: Final[Parameters] = {}
_MAX_LINK: Final = 4_000
"""API Gateway limits all headers of a response to 10,240 bytes together."""
_ETAG = re.compile(r'"([0-9a-f]{20})"')


class ErrorBody(Struct, frozen=True, rename="pascal"):
    """`parameter` is the query parameter that is wrong; otherwise it is absent."""

    code: str
    message: str
    request_id: str
    parameter: str | UnsetType = UNSET


def respond(
    result: object, request_headers: Mapping[str, str], parameters: Parameters = _NO_PARAMETERS
) -> Response:
    """Return the response for what a route returned: a file, a redirect, or a body in the format
    that the client prefers. `parameters` are those of the request."""
    match result:
        case Redirect(location):
            return Response("", {**_HEADERS, "Location": location}, HTTPStatus.FOUND)
        case File():
            return _file(result, request_headers)
        case HealthBody():
            is_ok = result.status == "ok"
            return _json(result, HTTPStatus.OK if is_ok else HTTPStatus.SERVICE_UNAVAILABLE)
        case Versioned(body, version):
            return _body(body, request_headers, version)
        case JobPage(next_token=str(next_token)) | QueueList(next_token=str(next_token)):
            response = _body(result, request_headers)
            response.headers |= _next_page(next_token, parameters)
            return response
        case _:
            return _body(result, request_headers)


def respond_error(error: ApiError, request_id: str) -> Response:
    body = ErrorBody(error.code, str(error), request_id, error.parameter or UNSET)
    response = _json(body, error.status)
    response.headers |= error.headers
    return response


def known_versions(request_headers: Mapping[str, str]) -> list[str]:
    """Return the versions that the client has: its If-None-Match header, compared weakly."""
    return _ETAG.findall(request_headers.get("if-none-match", ""))


def _body(body: object, request_headers: Mapping[str, str], version: str | None = None) -> Response:
    """Return the body in the preferred format."""
    media_type = media.negotiate(request_headers.get("accept", ""), body)
    headers: Headers = {**_HEADERS, "Content-Type": _CONTENT_TYPES[media_type], "Vary": "Accept"}
    if version:
        headers |= {"ETag": _etag(version), "Cache-Control": "private, no-cache"}
        if version in known_versions(request_headers):
            return Response("", headers, HTTPStatus.NOT_MODIFIED)
    return Response(media.encode(body, media_type), headers, HTTPStatus.OK)


def _next_page(next_token: str, parameters: Parameters) -> Headers:
    """Return the headers with the token and the address of the next page: CSV has no place for
    them. The address is relative to that of the request, so that it is valid under any stage."""
    query = urlencode({**parameters, "nextToken": [next_token]}, doseq=True)
    headers: Headers = {"X-Next-Token": next_token}
    if len(query) <= _MAX_LINK:
        headers["Link"] = f'<?{query}>; rel="next"'
    return headers


def _file(file: File, request_headers: Mapping[str, str]) -> Response:
    headers: Headers = {
        **_HEADERS,
        "Content-Type": file.content_type,
        "Cache-Control": "public, max-age=31536000, immutable",
        "Content-Security-Policy": _PAGE_POLICY,
    }
    if file.etag:
        headers |= {"ETag": _etag(file.etag), "Cache-Control": "no-cache"}
        if file.etag in known_versions(request_headers):
            return Response("", headers, HTTPStatus.NOT_MODIFIED)
    return Response(file.text, headers, HTTPStatus.OK)


def _json(body: object, status: HTTPStatus) -> Response:
    return Response(media.encode(body, media.JSON), dict(_HEADERS), status)


def _etag(version: str) -> str:
    return f'W/"{version}"'
