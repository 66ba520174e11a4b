"""The OpenAPI description of routes."""

import re
from typing import Any

import pytest

from chalicelib.api.dashboard import File
from chalicelib.api.errors import AllSlotsTaken, JobNotFound
from chalicelib.api.openapi import document
from chalicelib.api.parameters import arns
from chalicelib.api.parameters.queries import JobQuery
from chalicelib.api.representation.body import Body, Versioned
from chalicelib.api.routes import Route
from chalicelib.jobs.job import JobId


class Greeting(Body, frozen=True):
    first_word: str


def described(path: str, **fields: Any) -> dict[str, Any]:
    """Return the operation that describes a route."""
    route = {
        "summary": "Greet.",
        "query": None,
        "returns": Greeting,
        "raises": (),
        "is_private": True,
    }
    [methods] = document([Route(path, **(route | fields))])["paths"].values()
    operation: dict[str, Any] = methods["get"]
    return operation


def test_a_private_route_needs_a_token_and_may_be_refused_or_unavailable() -> None:
    operation = described("/greetings")

    assert operation["security"] == [{"token": []}]
    assert sorted(operation["responses"]) == ["200", "401", "403", "414", "431", "500", "503"]


def test_a_public_route_needs_no_token() -> None:
    operation = described("/greetings", is_private=False)

    assert (operation["security"], sorted(operation["responses"])) == ([], ["200", "500"])


def test_the_errors_of_a_view_and_of_its_query_are_described() -> None:
    operation = described("/greetings", query=JobQuery, raises=(JobNotFound, AllSlotsTaken))

    assert {"400", "404", "429"} <= operation["responses"].keys()
    assert [parameter["name"] for parameter in operation["parameters"]] == ["wait"]


def test_a_versioned_route_accepts_an_etag() -> None:
    operation = described("/greetings", returns=Versioned[Greeting])

    assert operation["responses"]["304"] == {"description": "The client has this version"}
    assert [parameter["name"] for parameter in operation["parameters"]] == ["If-None-Match"]


def test_the_body_is_described_by_its_type() -> None:
    route = Route("/greetings", "Greet.", None, Greeting, (), False)

    schema = document([route])["components"]["schemas"]["Greeting"]

    assert schema["properties"] == {"firstWord": {"type": "string"}}
    assert described("/greetings")["summary"] == "Greet"


def test_routes_of_files_are_not_described() -> None:
    assert document([Route("/page", "", None, File, (), False)])["paths"] == {}


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
