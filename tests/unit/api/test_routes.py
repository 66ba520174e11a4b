"""Registered routes: access, parsing, and responses for what a view returns or raises."""

import json
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from chalice.app import AuthRequest, AuthResponse, Chalice
from chalice.test import Client, HTTPResponse

from chalicelib import telemetry
from chalicelib.api.access import Access
from chalicelib.api.dashboard import File, Redirect
from chalicelib.api.errors import (
    AllSlotsTaken,
    ApiError,
    AttemptNotFound,
    HeaderTooLarge,
    InvalidJobId,
    InvalidNextToken,
    InvalidParameter,
    JobNotFound,
    JobNotStarted,
    LogElsewhere,
    LogGroupAccessDenied,
    LogGroupNotListed,
    LogNotFound,
    QueueNotFound,
    ServiceUnavailable,
    TokenNotValid,
    UnknownParameter,
    UriTooLong,
)
from chalicelib.api.health import HealthBody
from chalicelib.api.parameters.queries import JobsQuery, LogQuery, NoParameters
from chalicelib.api.representation.body import Body, Versioned
from chalicelib.api.representation.job import JobPage
from chalicelib.api.routes import FailedRequest, Request, Routes, authorize
from chalicelib.errors import SecretUnavailable, TableUnavailable
from chalicelib.telemetry import Tally
from local.aws import ROOT

VERSION = "0" * 20
SECRET = {
    "pageKey": "key",
    "apiTokens": {"gpu": {"sha256": sha256(b"token").hexdigest(), "queues": ["gpu-*"]}},
}


class Greeting(Body, frozen=True):
    text: str


class Server:
    """A Chalice app with a few routes, in this process. `/raises` raises `error`."""

    def __init__(self) -> None:
        self.reports: list[Tally] = []
        self.requests: list[Request[Any]] = []
        self.error: Exception | None = None
        app = Chalice("test", configure_logs=False)
        access = Access(lambda: json.dumps(SECRET), now=time.time, reject=pytest.fail)

        @app.authorizer()
        def authorizer(request: AuthRequest) -> AuthResponse:
            return authorize(request, access, self.reports.append)

        self.routes = Routes(app, authorizer, lambda: access, lambda: 0, self.reports.append)
        self._register(self.routes)
        self.client = Client(app, project_dir=str(ROOT))

    def _register(self, routes: Routes) -> None:
        @routes.public("/public")
        def public(request: Request[None]) -> Greeting:
            self.requests.append(request)
            return Greeting("hello")

        @routes.private("/private/{name}", JobNotFound)
        def private(request: Request[LogQuery], name: str) -> Greeting:
            """Greet someone."""
            self.requests.append(request)
            return Greeting(f"hello {name}")

        @routes.private("/raises")
        def raises(request: Request[NoParameters]) -> Greeting:
            assert self.error is not None
            raise self.error

        @routes.private("/versioned")
        def versioned() -> Versioned[Greeting]:
            return Versioned(Greeting("hello"), VERSION)

        @routes.private("/page")
        def page(request: Request[JobsQuery]) -> JobPage:
            return JobPage([], "next token")

        @routes.public("/file")
        def file() -> File:
            return File("text/css", "body {}", VERSION)

        @routes.public("/redirect")
        def redirect() -> Redirect:
            return Redirect("./elsewhere/")

        @routes.public("/failing")
        def failing() -> HealthBody:
            return HealthBody("failing")

    def head(self, path: str) -> HTTPResponse:
        return self.client.http.request("HEAD", path)

    def get(self, path: str, token: str | None = "token", **headers: str) -> HTTPResponse:
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.http.get(path, headers=authorization | headers)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    with server.client:
        yield server


def test_a_private_route_needs_a_token(server: Server) -> None:
    assert server.get("/private/ada", token=None).status_code == 401
    assert server.get("/private/ada", token="wrong").status_code == 403
    assert server.get("/private/ada").json_body == {"text": "hello ada"}
    assert len(server.reports) == 1


def test_a_private_view_receives_the_parsed_query_and_the_scope_of_the_token(
    server: Server,
) -> None:
    server.get("/private/ada?lines=7", **{"If-None-Match": f'W/"{VERSION}", "other"'})

    [request] = server.requests
    assert request.query == LogQuery(lines=7)
    assert request.scope.covers("gpu-1")
    assert not request.scope.covers("spot")
    assert request.versions == [VERSION]


def test_a_token_that_was_removed_after_the_gateway_accepted_it_is_a_401(server: Server) -> None:
    server.error = TokenNotValid()

    response = server.get("/raises")

    assert (response.status_code, response.json_body["Code"]) == (401, "UnauthorizedError")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Retry-After"] == "30"


def test_a_public_view_receives_a_scope_that_covers_no_queue(server: Server) -> None:
    assert server.get("/public?any=thing", token=None).json_body == {"text": "hello"}

    [request] = server.requests
    assert (request.query, request.scope.queues, request.path) == (None, (), "/public")


def test_a_bad_parameter_is_refused_before_the_view_is_called(server: Server) -> None:
    response = server.get("/private/ada?lines=0")

    assert response.status_code == 400
    assert response.json_body["Message"] == "lines: '0' is not a number from 1 to 1000"
    assert server.requests == []


@pytest.mark.parametrize(
    ("error", "status", "code", "message"),
    [
        (JobNotFound("4c75"), 404, "JobNotFoundError", "job 4c75 not found"),
        (InvalidJobId("a b", "is not an id"), 404, "InvalidJobIdError", "'a b' is not an id"),
        (QueueNotFound("gpu"), 404, "QueueNotFoundError", "queue gpu not found"),
        (LogNotFound("no log"), 404, "LogNotFoundError", "no log"),
        (AttemptNotFound("no attempt"), 404, "AttemptNotFoundError", "no attempt"),
        (JobNotStarted("not started"), 409, "JobNotStartedError", "not started"),
        (LogElsewhere("elsewhere"), 409, "LogElsewhereError", "elsewhere"),
        (LogGroupNotListed("not listed"), 409, "LogGroupNotListedError", "not listed"),
        (LogGroupAccessDenied("denied"), 409, "LogGroupAccessDeniedError", "denied"),
        (UriTooLong("too long"), 414, "URITooLongError", "too long"),
        (
            AllSlotsTaken(),
            429,
            "TooManyRequestsError",
            "too many requests are waiting for a job; retry in a few seconds, or without wait",
        ),
        (HeaderTooLarge("too large"), 431, "HeaderTooLargeError", "too large"),
    ],
)
def test_an_api_error_has_its_status_code_and_message(
    server: Server, error: ApiError, status: int, code: str, message: str
) -> None:
    server.error = error

    response = server.get("/raises")

    assert response.status_code == status
    body = response.json_body
    request_id = body.pop("RequestId")
    assert body == {"Code": code, "Message": message}
    assert len(request_id) == 36
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnknownParameter("limit", "problem"), "UnknownParameterError"),
        (InvalidParameter("limit", "problem"), "InvalidParameterError"),
        (InvalidNextToken("limit", "problem"), "InvalidNextTokenError"),
    ],
)
def test_an_error_of_a_parameter_names_it(server: Server, error: ApiError, code: str) -> None:
    server.error = error

    response = server.get("/raises")

    assert response.status_code == 400
    assert (
        response.json_body.items()
        >= {
            "Code": code,
            "Message": "limit: problem",
            "Parameter": "limit",
        }.items()
    )


def leaves(error: type[ApiError]) -> Iterator[type[ApiError]]:
    for child in error.__subclasses__():
        yield from leaves(child)
    if not error.__subclasses__():
        yield error


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in leaves(ApiError)]

    assert len(codes) == len(set(codes)) >= 15


def test_an_unexpected_exception_is_logged_with_the_request_id_of_the_response(
    server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry.logger().registered_handler, "stream", sys.stdout)
    server.error = ZeroDivisionError("a detail")

    response = server.get("/raises")

    assert (response.status_code, response.json_body["Code"]) == (500, "InternalServerError")
    assert "a detail" not in response.json_body["Message"]
    logged = json.loads(capsys.readouterr().out.splitlines()[0])
    assert logged["requestId"] == response.json_body["RequestId"]
    assert "ZeroDivisionError: a detail" in logged["exception"]


def test_a_request_without_a_free_slot_gets_a_retry_after_header(server: Server) -> None:
    server.error = AllSlotsTaken()

    assert server.get("/raises").headers["Retry-After"] == "5"


@pytest.mark.parametrize(
    "error",
    [
        ClientError({"Error": {"Code": "ThrottlingException"}}, "Query"),
        EndpointConnectionError(endpoint_url="http://dynamodb"),
        TableUnavailable("throttled"),
        SecretUnavailable("denied"),
    ],
)
def test_an_outage_is_a_503_that_does_not_reveal_the_cause(
    server: Server, error: Exception
) -> None:
    server.error = error

    response = server.get("/raises")

    assert response.status_code == 503
    assert server.reports == [FailedRequest()]
    assert response.headers["Retry-After"] == "5"
    assert (
        response.json_body.items()
        >= {
            "Code": "ServiceUnavailableError",
            "Message": str(ServiceUnavailable()),
        }.items()
    )


def test_a_known_version_is_a_304_with_the_headers_of_the_body(server: Server) -> None:
    etag = f'W/"{VERSION}"'

    for path in ("/versioned", "/file"):
        first, second = server.get(path), server.get(path, **{"If-None-Match": etag})

        assert (first.status_code, first.headers["ETag"]) == (200, etag)
        assert (second.status_code, second.body) == (304, b"")
        assert second.headers == first.headers


@pytest.mark.parametrize("path", ["/public", "/file", "/redirect", "/failing"])
def test_head_on_a_public_route_has_the_headers_of_get_without_a_body(
    server: Server, path: str
) -> None:
    get, head = server.get(path, token=None), server.head(path)

    assert (head.status_code, head.headers, head.body) == (get.status_code, get.headers, b"")


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ("", "nextToken=next+token"),
        ("?status=FAILED&status=RUNNING", "status=FAILED&status=RUNNING&nextToken=next+token"),
        ("?nextToken=old&name=%C3%A9%3E", "nextToken=next+token&name=%C3%A9%3E"),
    ],
)
def test_the_link_of_the_next_page_repeats_the_query(
    server: Server, parameters: str, query: str
) -> None:
    headers = server.get(f"/page{parameters}", Accept="text/csv").headers

    assert headers["Link"] == f'<?{query}>; rel="next"'
    assert headers["X-Next-Token"] == "next token"


def test_a_link_that_would_exceed_the_gateways_limit_is_left_out(server: Server) -> None:
    headers = server.get("/page?status=" + ",".join(["FAILED"] * 280) + "&name=" + "%C3%A9" * 200)
    longer = server.get("/page?" + "&".join(["status=FAILED"] * 400))

    assert "Link" in headers.headers
    assert "Link" not in longer.headers
    assert longer.headers["X-Next-Token"] == "next token"


def test_a_redirect_is_a_302(server: Server) -> None:
    response = server.get("/redirect")

    assert (response.status_code, response.headers["Location"]) == (302, "./elsewhere/")


def test_failing_health_is_a_503(server: Server) -> None:
    response = server.get("/failing")

    assert (response.status_code, response.json_body["status"]) == (503, "failing")


def test_a_registered_route_has_all_that_its_description_needs(server: Server) -> None:
    route = next(route for route in server.routes.registered if route.path == "/private/{name}")

    assert (route.summary, route.query, route.returns) == ("Greet someone.", LogQuery, Greeting)
    assert (route.raises, route.is_private) == ((JobNotFound,), True)
