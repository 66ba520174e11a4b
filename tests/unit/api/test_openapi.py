"""The OpenAPI description of routes."""

import re
import tomllib
from typing import Any

import pytest

from chalicelib.api.dashboard import File
from chalicelib.api.errors import AllSlotsTaken, JobNotFound
from chalicelib.api.openapi import document
from chalicelib.api.parameters import arns
from chalicelib.api.parameters.queries import JobQuery
from chalicelib.api.representation.body import Body, Versioned
from chalicelib.api.representation.job import JobPage
from chalicelib.api.routes import Route
from chalicelib.jobs.job import JobId
from chalicelib.version import VERSION
from local.aws import ROOT


class Greeting(Body, frozen=True):
    first_word: str


def described(path: str, **fields: Any) -> dict[str, Any]:
    """Return the operation that describes a route."""
    route = {
        "name": "get_greetings",
        "summary": "Greet.",
        "query": None,
        "returns": Greeting,
        "raises": (),
        "is_private": True,
    }
    [methods] = document([Route(path, **(route | fields))], "/api")["paths"].values()
    operation: dict[str, Any] = methods["get"]
    return operation


def test_a_private_route_needs_a_token_and_may_be_refused_or_unavailable() -> None:
    operation = described("/greetings")

    assert operation["security"] == [{"token": []}]
    assert sorted(operation["responses"]) == [
        *("200", "401", "403", "414", "429", "431", "500", "503")
    ]


def test_a_public_route_needs_no_token() -> None:
    operation = described("/greetings", is_private=False)

    assert operation["security"] == []
    assert sorted(operation["responses"]) == ["200", "429", "500", "503"]


def test_the_errors_of_a_view_and_of_its_query_are_described() -> None:
    operation = described("/greetings", query=JobQuery, raises=(JobNotFound, AllSlotsTaken))

    assert {"400", "404", "429"} <= operation["responses"].keys()
    assert [parameter["name"] for parameter in operation["parameters"]] == ["wait"]


def test_a_versioned_route_accepts_an_etag() -> None:
    operation = described("/greetings", returns=Versioned[Greeting])

    assert operation["responses"]["304"]["description"] == "The client has this version"
    assert operation["responses"]["304"]["headers"].keys() == {"ETag"}
    assert [parameter["name"] for parameter in operation["parameters"]] == ["If-None-Match"]


def test_the_body_is_described_by_its_type() -> None:
    route = Route("/greetings", "get", "Greet.", None, Greeting, (), False)

    schema = document([route], "/")["components"]["schemas"]["Greeting"]

    assert schema["properties"] == {"firstWord": {"type": "string"}}
    assert described("/greetings")["summary"] == "Greet"


def test_clients_can_be_generated() -> None:
    route = Route("/greetings", "list_all_greetings", "Greet.", None, Greeting, (), False)

    description = document([route], "/api")

    assert description["servers"] == [{"url": "/api"}]
    assert description["info"]["version"] == VERSION
    assert description["paths"]["/greetings"]["get"]["operationId"] == "listAllGreetings"


@pytest.mark.parametrize(
    ("status", "names"), [("401", {"WWW-Authenticate", "Retry-After"}), ("503", {"Retry-After"})]
)
def test_the_headers_of_errors_are_described(status: str, names: set[str]) -> None:
    response = described("/greetings")["responses"][status]

    assert response["headers"].keys() == names


def test_the_headers_of_a_page_are_described() -> None:
    response = described("/greetings", returns=JobPage)["responses"]["200"]

    assert response["headers"].keys() == {"Link", "X-Next-Token"}


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert project["version"] == VERSION


def test_routes_of_files_are_not_described() -> None:
    assert document([Route("/page", "get", "", None, File, (), False)], "/")["paths"] == {}


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "4c75:0",
        "4c75#12",
        "a.b_c-d",
        "a b",
        "a:",
        "a:01",
        "a:0:0",
        "é",
        "",
        "a" * 128,
        "a" * 129,
        "arn:aws:batch:us-east-1:000000000000:job/4c75:0",
        "arn:aws-us-gov:batch:us-gov-west-1:000000000000:service-job/4c75",
        "arn:aws:batch:us-east-1:000000000000:job/a b",
        "arn:aws:batch:us-east-1:000000000000:job-queue/high",
    ],
)
def test_the_described_job_id_is_the_accepted_one(text: str) -> None:
    [parameter] = described("/jobs/{job_id}")["parameters"]

    try:
        is_accepted = bool(JobId.parse(arns.job_id(text)))
    except ValueError:
        is_accepted = False

    assert (re.fullmatch(parameter["schema"]["pattern"], text) is not None) == is_accepted
