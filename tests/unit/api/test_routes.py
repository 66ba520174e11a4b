"""Registered routes: access, parsing, and responses for what a view returns or raises."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from chalice.app import AuthRequest, AuthResponse, Chalice
from chalice.test import Client, HTTPResponse

from chalicelib.api.access import Access
from chalicelib.api.dashboard import File, Redirect
from chalicelib.api.errors import (
    AllSlotsTaken,
    ApiError,
    BadParameter,
    HeaderTooLarge,
    InvalidJobId,
    JobNotFound,
    LogNotFound,
    LogUnavailable,
    QueueNotFound,
    ServiceUnavailable,
    UriTooLong,
)
from chalicelib.api.health import HealthBody
from chalicelib.api.parameters.queries import LogQuery, NoParameters
from chalicelib.api.representation.body import Body, Versioned
from chalicelib.api.routes import Request, Routes, authorize
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
        access = Access(lambda: json.dumps(SECRET))

        @app.authorizer()
        def authorizer(request: AuthRequest) -> AuthResponse:
            return authorize(request, access, self.reports.append)

        self.routes = Routes(app, authorizer, lambda: access)
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

        @routes.public("/file")
        def file() -> File:
            return File("text/css", "body {}", VERSION)

        @routes.public("/redirect")
        def redirect() -> Redirect:
            return Redirect("./elsewhere/")

        @routes.public("/failing")
        def failing() -> HealthBody:
            return HealthBody("failing")

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
        (BadParameter("limit", "problem"), 400, "BadRequestError", "limit: problem"),
        (JobNotFound("4c75"), 404, "NotFoundError", "job 4c75 not found"),
        (InvalidJobId("a b", "is not an id"), 404, "NotFoundError", "'a b' is not an id"),
        (QueueNotFound("gpu"), 404, "NotFoundError", "queue gpu not found"),
        (LogNotFound("no log"), 404, "NotFoundError", "no log"),
        (LogUnavailable("not started"), 409, "ConflictError", "not started"),
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
    assert response.json_body == {"Code": code, "Message": message}
    assert response.headers["Cache-Control"] == "no-store"


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
    assert response.json_body == {
        "Code": "ServiceUnavailableError",
        "Message": str(ServiceUnavailable()),
    }


def test_a_known_version_is_a_304_with_the_headers_of_the_body(server: Server) -> None:
    etag = f'W/"{VERSION}"'

    for path in ("/versioned", "/file"):
        first, second = server.get(path), server.get(path, **{"If-None-Match": etag})

        assert (first.status_code, first.headers["ETag"]) == (200, etag)
        assert (second.status_code, second.body) == (304, b"")
        assert second.headers == first.headers


def test_a_redirect_is_a_302(server: Server) -> None:
    response = server.get("/redirect")

    assert (response.status_code, response.headers["Location"]) == (302, "./elsewhere/")


def test_failing_health_is_a_503(server: Server) -> None:
    response = server.get("/failing")

    assert (response.status_code, response.json_body) == (503, {"status": "failing"})


def test_a_registered_route_has_all_that_its_description_needs(server: Server) -> None:
    route = next(route for route in server.routes.registered if route.path == "/private/{name}")

    assert (route.summary, route.query, route.returns) == ("Greet someone.", LogQuery, Greeting)
    assert (route.raises, route.is_private) == ((JobNotFound,), True)
