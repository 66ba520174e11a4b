"""The files of the dashboard, as the API serves them."""

import re

import pytest
from chalice.local import LambdaEventConverter, RouteMatcher

from tests.support.api_harness import Api


def test_the_page_and_the_files_it_refers_to_need_no_token(api: Api) -> None:
    page = api.response("/", token=None)
    paths = re.findall(r'(?:src|href)="(assets/[^"]+)"', page.body.decode())

    responses = {path: api.response(f"/{path}", token=None) for path in paths}

    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert {path.rpartition("/")[2] for path in paths} == {"dashboard.js", "style.css", "icon.svg"}
    assert {response.status_code for response in responses.values()} == {200}
    for response in responses.values():
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_browser_revalidates_the_page_and_receives_it_only_if_it_changed(api: Api) -> None:
    first = api.response("/", token=None)
    second = api.response("/", token=None, if_none_match=first.headers["ETag"])

    assert first.headers["Cache-Control"] == "no-cache"
    assert (second.status_code, second.body) == (304, b"")


@pytest.mark.parametrize("name", ["app.py", "..%2Fapi%2Fdashboard.py", "%2e%2e", "é"])
def test_only_the_files_of_the_dashboard_are_served(api: Api, name: str) -> None:
    version = api.response("/", token=None).headers["ETag"][3:-1]

    assert api.response(f"/assets/{version}/{name}", token=None).status_code == 404
    assert api.response(f"/assets/{'0' * 20}/dashboard.js", token=None).status_code == 404


def test_the_policy_of_the_page_allows_only_its_own_files(api: Api) -> None:
    policy = api.response("/", token=None).headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("path", "status", "location"), [("/prod", 302, "./prod/"), ("/prod/", 200, None)]
)
def test_an_address_without_a_slash_at_its_end_redirects_to_the_one_with_it(
    api: Api, path: str, status: int, location: str | None
) -> None:
    """API Gateway passes the stage only in the path of the context."""
    event = LambdaEventConverter(RouteMatcher(list(api.app.routes))).create_lambda_event(
        method="GET", path="/", headers={}, body=b""
    )
    event["requestContext"]["path"] = path

    answer = api.app(event, None)

    assert answer["statusCode"] == status
    assert answer["headers"].get("Location") == location
