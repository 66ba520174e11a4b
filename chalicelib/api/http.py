"""Chalice's requests and responses on one side, our answers and refusals on the other."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import AuthRequest, AuthResponse, Chalice, Request, Response
from msgspec import Struct

from chalicelib import telemetry
from chalicelib.api import formats
from chalicelib.api.access import Access, Scope
from chalicelib.api.dashboard import Asset, Dashboard, NoSuchAsset
from chalicelib.api.health import Health
from chalicelib.api.job_log import LogOutOfReach, NoLog
from chalicelib.api.jobs import NoSuchJob, Versioned
from chalicelib.api.long_poll import AllSlotsTaken
from chalicelib.api.parameters import BadParameter
from chalicelib.api.queues import NoSuchQueue
from chalicelib.api.representation import JobPage
from chalicelib.errors import SecretUnavailable, TableUnavailable
from chalicelib.telemetry import LogEvent, Tally, count

_HEADERS: dict[str, str | list[str]] = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
_PAGE_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'; require-trusted-types-for 'script'"
)

_ETAG = re.compile(r'"([0-9a-f]{20})"')
_LONGEST_URI, _LONGEST_HEADER = 6_000, 4_000
_CONTENT_TYPES = {
    formats.JSON: "application/json",
    formats.TEXT: "text/plain; charset=utf-8",
    formats.CSV: "text/csv; charset=utf-8",
}


@dataclass(kw_only=True)
class FailedAuthentication(Tally):
    EVENT = LogEvent.AUTHENTICATION_FAILED

    failed: int = count("AuthenticationsFailed", default=1)


def authorization(
    request: AuthRequest, access: Access, report: Callable[[Tally], None]
) -> AuthResponse:
    """Lets a known token through to every route; what it may see is each route's to say."""
    holder = access.holder(request.token)
    if holder is None:
        report(FailedAuthentication())
        return AuthResponse(routes=[], principal_id="nobody")
    return AuthResponse(routes=["*"], principal_id=holder)


def answer(
    app: Chalice, access: Callable[[], Access], respond: Callable[[Scope], object]
) -> Response:
    """What `respond` says within the scope of the current request's token, or why it can't."""
    try:
        _refuse_oversized(_request(app))
        scope = access().scope(_request(app).context["authorizer"]["principalId"])
        return _told(respond(scope), _request(app).headers)
    except AllSlotsTaken:
        text = "too many wait for a job already; ask again in a few seconds, or without wait"
        refusal = _refusal(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequestsError", text)
        refusal.headers["Retry-After"] = "5"
        return refusal
    except _Oversized as error:
        return _refusal(error.status, error.code, str(error))
    except BadParameter as error:
        return _refusal(HTTPStatus.BAD_REQUEST, "BadRequestError", str(error))
    except LogOutOfReach as error:
        return _refusal(HTTPStatus.CONFLICT, "ConflictError", str(error))
    except (NoSuchJob, NoSuchQueue, NoLog) as error:
        return _refusal(HTTPStatus.NOT_FOUND, "NotFoundError", str(error))
    except (SecretUnavailable, TableUnavailable, ClientError, BotoCoreError) as error:
        telemetry.error(LogEvent.REQUEST_FAILED, error=str(error))
        text = "the table, the secret or the log does not answer; try again in a moment"
        return _refusal(HTTPStatus.SERVICE_UNAVAILABLE, "ServiceUnavailableError", text)


class _Oversized(Exception):
    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def _refuse_oversized(request: Request) -> None:
    """Some gateways refuse such requests themselves, each in its own form and at its own size."""
    asked = [*(request.uri_params or {}).values()]
    for name, values in _parameters(request).items():
        asked += [name * len(values), *values]
    if sum(map(len, asked)) > _LONGEST_URI:
        text = f"the path and the parameters have more than {_LONGEST_URI} characters together"
        raise _Oversized(HTTPStatus.REQUEST_URI_TOO_LONG, "URITooLongError", text)
    for name, value in request.headers.items():
        if len(value) > _LONGEST_HEADER:
            raise _Oversized(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                "HeaderTooLargeError",
                f"{name[:100]}: longer than {_LONGEST_HEADER} characters",
            )


def query(app: Chalice) -> Mapping[str, Sequence[str]]:
    """Every value of every parameter of the current request."""
    return _parameters(_request(app))


def _parameters(request: Request) -> Mapping[str, Sequence[str]]:
    asked = request.query_params
    return {name: asked.getlist(name) for name in asked} if asked else {}


def versions(app: Chalice) -> Sequence[str]:
    """Those that the client has."""
    return _versions(_request(app).headers)


def _versions(headers: Mapping[str, str]) -> Sequence[str]:
    """Of an If-None-Match header, compared weakly."""
    return _ETAG.findall(headers.get("if-none-match", ""))


def health(checked: Health) -> Response:
    body = checked.now()
    ok = body.status == "ok"
    return _json(body, HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE)


def page(app: Chalice, dashboard: Dashboard) -> Response:
    """The page, at an address that ends with a slash: its references are relative to that, so that
    they hold under a stage (`/prod/`), a mapped domain and `chalice local` alike.

    The context's path is the one that the browser asked for; the request's own lacks the stage.
    """
    request = _request(app)
    address = str(request.context.get("path") or "/")
    if not address.endswith("/"):
        with_slash = f"./{address.rpartition('/')[2]}/"
        return Response("", {**_HEADERS, "Location": with_slash}, HTTPStatus.FOUND)
    response = file(dashboard.page(), "no-cache")
    response.headers["ETag"] = f'W/"{dashboard.version}"'
    if dashboard.version in _versions(request.headers):
        return Response("", response.headers, HTTPStatus.NOT_MODIFIED)
    return response


def asset(dashboard: Dashboard, version: str, name: str) -> Response:
    try:
        found = dashboard.asset(version, name)
    except NoSuchAsset as error:
        return _refusal(HTTPStatus.NOT_FOUND, "NotFoundError", str(error))
    return file(found, "public, max-age=31536000, immutable")


def file(asset: Asset, cache_control: str) -> Response:
    headers = {
        **_HEADERS,
        "Content-Type": asset.kind,
        "Cache-Control": cache_control,
        "Content-Security-Policy": _PAGE_POLICY,
    }
    return Response(asset.text, headers, HTTPStatus.OK)


def _request(app: Chalice) -> Request:
    if app.current_request is None:
        raise RuntimeError("outside of a request")
    return app.current_request


class ErrorBody(Struct, frozen=True, rename="pascal"):
    code: str
    message: str


def _refusal(status: HTTPStatus, code: str, message: str) -> Response:
    return _json(ErrorBody(code, message), status)


def _told(told: object, asked: Mapping[str, str]) -> Response:
    """In the format that the client likes best; the next page's token is a header too, for those
    that have no place for it. 304 for a version that the client has."""
    body = told.body if isinstance(told, Versioned) else told
    kind = formats.chosen(asked.get("accept", ""), body)
    headers = {**_HEADERS, "Content-Type": _CONTENT_TYPES[kind], "Vary": "Accept"}
    if isinstance(body, JobPage) and body.next_token:
        headers["X-Next-Token"] = body.next_token
    if isinstance(told, Versioned):
        headers |= {"ETag": f'W/"{told.version}"', "Cache-Control": "private, no-cache"}
        if told.version in _versions(asked):
            return Response("", headers, HTTPStatus.NOT_MODIFIED)
    return Response(formats.written(body, kind), headers, HTTPStatus.OK)


def _json(body: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(formats.written(body, formats.JSON), dict(_HEADERS), status)
