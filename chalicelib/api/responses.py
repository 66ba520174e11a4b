"""Chalice's responses for what the routes return and for errors: headers, format and ETag."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from chalice.app import Response
from msgspec import Struct

from chalicelib.api.dashboard import File, Redirect
from chalicelib.api.errors import ApiError
from chalicelib.api.formats import media
from chalicelib.api.health import HealthBody
from chalicelib.api.representation.body import Versioned
from chalicelib.api.representation.job import JobPage

Headers = dict[str, str | list[str]]

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
_ETAG = re.compile(r'"([0-9a-f]{20})"')


class ErrorBody(Struct, frozen=True, rename="pascal"):
    code: str
    message: str


def respond(result: object, request_headers: Mapping[str, str]) -> Response:
    """Return the response for what a route returned: a file, a redirect, or a body in the format
    that the client prefers."""
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
        case _:
            return _body(result, request_headers)


def respond_error(error: ApiError) -> Response:
    response = _json(ErrorBody(error.code, str(error)), error.status)
    response.headers |= error.headers
    return response


def known_versions(request_headers: Mapping[str, str]) -> list[str]:
    """Return the versions that the client has: its If-None-Match header, compared weakly."""
    return _ETAG.findall(request_headers.get("if-none-match", ""))


def _body(body: object, request_headers: Mapping[str, str], version: str | None = None) -> Response:
    """Return the body in the preferred format. The token of the next page is a header as well,
    because CSV has no place for it."""
    media_type = media.negotiate(request_headers.get("accept", ""), body)
    headers: Headers = {**_HEADERS, "Content-Type": _CONTENT_TYPES[media_type], "Vary": "Accept"}
    if isinstance(body, JobPage) and body.next_token:
        headers["X-Next-Token"] = body.next_token
    if version:
        headers |= {"ETag": _etag(version), "Cache-Control": "private, no-cache"}
        if version in known_versions(request_headers):
            return Response("", headers, HTTPStatus.NOT_MODIFIED)
    return Response(media.encode(body, media_type), headers, HTTPStatus.OK)


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
