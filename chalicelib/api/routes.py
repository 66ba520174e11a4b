"""Registration of routes, by a decorator that checks access, parses the query, calls the view and
turns what it returns or raises into a response.

    @private("/jobs/{job_id}", JobNotFound)
    def get_job(request: Request[JobQuery], job_id: str) -> JobBody:
        \"""Return a job.\"""

The annotations of the view declare the query and the body, and its docstring is the summary in the
API's description. No route can lack the error mapping, and only a route that is registered as
public lacks the authorizer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from http import HTTPStatus
from inspect import getdoc
from time import perf_counter
from types import NoneType
from typing import Any, Final, Generic, TypeVar, get_args, get_type_hints

from botocore.exceptions import BotoCoreError, ClientError
from chalice.app import AuthRequest, AuthResponse, Chalice, Response
from chalice.app import Request as ChaliceRequest

from chalicelib import telemetry
from chalicelib.api.access import NOTHING, Access, Scope
from chalicelib.api.errors import (
    ApiError,
    HeaderTooLarge,
    InternalError,
    ServiceUnavailable,
    UriTooLong,
)
from chalicelib.api.parameters.parameter import Query, parse
from chalicelib.api.responses import Parameters, known_versions, respond, respond_error
from chalicelib.errors import SecretUnavailable, TableUnavailable
from chalicelib.telemetry import LogEvent, Tally, count

_MAX_URI: Final = 6_000
_MAX_HEADER: Final = 4_000
"""In characters, lower than the limits of the gateways, whose errors differ in form."""

Q = TypeVar("Q", bound=Query | None)
View = Callable[..., object]


@dataclass(frozen=True)
class Request(Generic[Q]):
    """The request that a view receives. `scope` is what the token covers, `versions` are the
    versions of the response that the client has, and `path` is the requested path with the stage.
    """

    query: Q
    scope: Scope
    versions: Sequence[str]
    path: str


@dataclass(frozen=True)
class Route:
    """A registered route. `name` is that of its view. `query` is None if its parameters are
    ignored. `raises` are the errors that the view adds to those of every route."""

    path: str
    name: str
    summary: str
    query: type[Query] | None
    returns: Any
    raises: Sequence[type[ApiError]]
    is_private: bool


class Routes:
    """The routes of an app. `access` is called for each request, so that it may be replaced;
    `table_requests` returns how many requests the function has sent to DynamoDB; `report` receives
    the tally of each response with a 5xx status. Each request is a log line without values."""

    def __init__(
        self,
        app: Chalice,
        authorizer: Any,
        access: Callable[[], Access],
        table_requests: Callable[[], int],
        report: Callable[[Tally], None],
    ) -> None:
        self._app = app
        self._authorizer = authorizer
        self._access = access
        self._table_requests = table_requests
        self._report = report
        self.registered: list[Route] = []

    def private(self, path: str, *raises: type[ApiError]) -> Callable[[View], View]:
        """Register a view that needs a token and may raise these errors."""
        return partial(self._register, path, raises, is_private=True)

    def public(self, path: str, *raises: type[ApiError]) -> Callable[[View], View]:
        """Register a view that needs no token and answers HEAD too. The scope of its requests
        covers no queue."""
        return partial(self._register, path, raises, is_private=False)

    def _register(
        self, path: str, raises: Sequence[type[ApiError]], view: View, *, is_private: bool
    ) -> View:
        hints = get_type_hints(view)
        route = Route(
            path,
            name=view.__name__,
            summary=getdoc(view) or "",
            query=_query_of(hints),
            returns=hints["return"],
            raises=raises,
            is_private=is_private,
        )
        takes_request = "request" in hints

        @wraps(view)
        def handle(**names: str) -> Response:
            def call(request: Request[Any]) -> object:
                return view(request, **names) if takes_request else view(**names)

            return self._handle(route, call)

        self._app.route(
            path,
            methods=["GET"] if is_private else ["GET", "HEAD"],
            authorizer=self._authorizer if is_private else None,
        )(handle)
        self.registered.append(route)
        return handle

    def _handle(self, route: Route, call: Callable[[Request[Any]], object]) -> Response:
        request = self._app.current_request
        if request is None:
            raise RuntimeError("a route was called outside of a request")
        began, requests = perf_counter(), self._table_requests()
        try:
            with _translated_failures():
                result = call(self._request(route, request))
                response = respond(result, request.headers, _parameters(request))
        except ApiError as error:
            response = self._respond_error(error, request)
        if request.method == "HEAD":
            response.body = ""
        telemetry.info(
            LogEvent.REQUEST_SERVED,
            method=request.method,
            route=route.path,
            status=response.status_code,
            milliseconds=round(1_000 * (perf_counter() - began)),
            bytes=_length(response),
            tableRequests=self._table_requests() - requests,
            **({"token": _principal(request)} if route.is_private else {}),
        )
        return response

    def _respond_error(self, error: ApiError, request: ChaliceRequest) -> Response:
        # `chalice local` has no id of the gateway's.
        request_id = request.context.get("requestId") or self._app.lambda_context.aws_request_id
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._report(FailedRequest())
            _log_failure(error, request_id)
        return respond_error(error, request_id)

    def _request(self, route: Route, request: ChaliceRequest) -> Request[Any]:
        query, scope = None, NOTHING
        if route.is_private:
            _refuse_oversized(request)
            scope = self._access().scope(_principal(request))
        if route.query:
            query = parse(route.query, _parameters(request))
        # The context has the path with the stage, the request itself has it without.
        path = str(request.context.get("path") or "/")
        return Request(query, scope, known_versions(request.headers), path)


def _length(response: Response) -> int:
    """Return the length of the body in bytes, before the gateway compresses it."""
    body = response.body
    return len(body.encode() if isinstance(body, str) else body)


def _principal(request: ChaliceRequest) -> str:
    """Return the name of the token."""
    return str(request.context["authorizer"]["principalId"])


@dataclass(kw_only=True)
class FailedRequest(Tally):
    """A response with a 5xx status. The line `request_failed` has its error and its id."""

    EVENT = LogEvent.FAILURE_COUNTED

    failed: int = count("RequestsFailed", default=1)


@dataclass(kw_only=True)
class FailedAuthentication(Tally):
    EVENT = LogEvent.AUTHENTICATION_FAILED

    failed: int = count("AuthenticationsFailed", default=1)


def authorize(
    request: AuthRequest, access: Access, report: Callable[[Tally], None]
) -> AuthResponse:
    """Allow a valid token on every route; each route applies the token's scope."""
    holder = access.holder(request.token)
    if holder is None:
        report(FailedAuthentication())
        return AuthResponse(routes=[], principal_id="nobody")
    return AuthResponse(routes=["*"], principal_id=holder)


def _log_failure(error: ApiError, request_id: str) -> None:
    """Log the cause of an error, with its stack trace if it is a defect of batchwatch."""
    cause = error.__cause__
    if isinstance(error, InternalError) and cause:
        telemetry.exception(LogEvent.REQUEST_FAILED, cause, requestId=request_id)
    else:
        telemetry.error(LogEvent.REQUEST_FAILED, error=str(cause), requestId=request_id)


@contextmanager
def _translated_failures() -> Iterator[None]:
    """Raise ServiceUnavailable in place of the errors of AWS and of what is read from it, and
    InternalError in place of any other exception."""
    try:
        yield
    except ApiError:
        raise
    except (SecretUnavailable, TableUnavailable, ClientError, BotoCoreError) as error:
        raise ServiceUnavailable from error
    except Exception as error:
        raise InternalError from error


def _query_of(hints: Mapping[str, Any]) -> type[Query] | None:
    """Return Q of a view's `request: Request[Q]`."""
    (query,) = get_args(hints.get("request")) or (None,)
    return query if query is not NoneType else None


def _parameters(request: ChaliceRequest) -> Parameters:
    values = request.query_params
    return {name: values.getlist(name) for name in values} if values else {}


def _refuse_oversized(request: ChaliceRequest) -> None:
    """Raise UriTooLong or HeaderTooLarge."""
    texts = [*(request.uri_params or {}).values()]
    for name, values in _parameters(request).items():
        texts += [name * len(values), *values]
    if sum(map(len, texts)) > _MAX_URI:
        raise UriTooLong(
            f"the path and the parameters have more than {_MAX_URI} characters together"
        )
    for name, value in request.headers.items():
        if len(value) > _MAX_HEADER:
            raise HeaderTooLarge(
                f"{name[:100]}: {len(value)} characters given, expected at most {_MAX_HEADER}"
            )
