"""The API sends the same responses through `chalice local` and through the deployed REST API, whose
functions have only the permissions in their policies."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest
import requests

from infra.gateway import HEADERS
from local.api import Api as Served
from local.aws import LocalAws
from local.ports import free_port
from tests.support.builders import NOON, a_body, an_attempt
from tests.support.deployed_stack import DeployedStack
from tests.support.recorder_harness import RecorderHarness
from tests.support.samples.log_samples import write

QUEUE = "arn:aws:batch:us-east-1:000000000000:job-queue/{}".format
LOG_STREAM = "def/default/1"


class Gateways(NamedTuple):
    """The addresses of one API behind two gateways."""

    urls: Mapping[str, str]
    token: str

    def get(self, gateway: str, path: str, **headers: str) -> requests.Response:
        given = {"Authorization": f"Bearer {self.token}"} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return requests.get(self.urls[gateway] + path, headers=given, timeout=240)


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    folder = tmp_path_factory.mktemp("gateways")
    with LocalAws(free_port(), folder, keep=False, auth=True) as aws:
        deployed = DeployedStack(aws, folder)
        fill(deployed)
        with Served(free_port(), aws, deployed.token, folder / "api.log") as served:
            yield Gateways({"local": served.url, "deployed": deployed.url}, deployed.token)


@pytest.fixture(params=["local", "deployed"])
def gateway(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def fill(deployed: DeployedStack) -> None:
    """Record jobs that have ended, so that equal requests get equal responses."""
    write(deployed.aws, LOG_STREAM, ["a line"])
    ended: dict[str, Any] = {
        "status": "FAILED",
        "stoppedAt": NOON + 9_000,
        "container": {"image": "busybox"},
        "attempts": [an_attempt(container={"exitCode": 1, "logStreamName": LOG_STREAM})],
    }
    RecorderHarness(deployed.aws, deployed.resources).record(
        [
            a_body(jobId="plain", **ended, tags={"team": "genomics"}),
            a_body(jobId="other", **ended, jobQueue=QUEUE("spot"), at=NOON + 2_000),
            a_body(jobId="array", **ended, arrayProperties={"size": 3}, at=NOON + 1_000),
            *(a_body(jobId=f"array:{n}", **ended, at=NOON + n * 1000) for n in range(3)),
            a_body(jobId="nodes", **ended, nodeProperties={"numNodes": 1, "mainNode": 0}),
            a_body(jobId="nodes#0", **ended),
        ]
    )


STATUSES = {
    "/health": 200,
    "/jobs": 200,
    "/jobs?limit=2": 200,
    "/jobs?limit=1000": 200,
    "/jobs?queue=arn%3Aaws%3Abatch%3Aus-east-1%3A000000000000%3Ajob-queue%2Fspot": 200,
    "/jobs?queue=none": 404,
    "/jobs?queue=spot&status=FAILED": 200,
    "/jobs?status=FAILED&status=RUNNING": 200,
    "/jobs?status=failed,RUNNING&since=2026-05-28T20:26:41%2B00:00": 200,
    "/jobs?name=al": 200,
    "/jobs?name=%C3%A9%20": 200,
    "/jobs/plain": 200,
    "/jobs/array": 200,
    "/jobs/array:2": 200,
    "/jobs/array%3A2": 200,
    "/jobs/nodes%230": 200,
    "/jobs/array/children": 200,
    "/jobs/array/children?status=FAILED&limit=2": 200,
    "/jobs/nodes/children": 200,
    "/jobs/plain/logs": 200,
    "/jobs/array%3A1/logs?attempt=1&lines=1": 200,
    "/jobs/plain?wait=1": 200,
    "/jobs/unknown": 404,
    "/jobs/a%20b": 404,
    "/jobs/unknown/children": 404,
    "/jobs/plain/logs?attempt=9": 404,
    "/jobs?limit=0": 400,
    "/jobs?limit=1&limit=2": 400,
    "/jobs?queue=": 400,
    "/jobs?bogus=%3Cb%3E": 400,
    "/jobs?nextToken=made-up": 400,
    "/jobs/plain/logs?lines=all": 400,
}


@pytest.mark.parametrize(("path", "status"), STATUSES.items())
def test_both_gateways_send_the_same_response(gateways: Gateways, path: str, status: int) -> None:
    local, deployed = (gateways.get(name, path) for name in gateways.urls)

    assert (local.status_code, local.headers["Content-Type"]) == (status, "application/json")
    assert_equal(local, deployed)


@pytest.mark.parametrize("path", ["/jobs?limit=2", "/jobs/array", "/jobs/plain/logs"])
@pytest.mark.parametrize("accept", ["text/plain", "text/csv", "text/html,*/*;q=0.8"])
def test_both_gateways_select_the_same_format(gateways: Gateways, path: str, accept: str) -> None:
    assert_equal(*(gateways.get(name, path, accept=accept) for name in gateways.urls))


def test_the_description_names_the_address_of_the_api(gateways: Gateways) -> None:
    local, deployed = (gateways.get(name, "/openapi.json").json() for name in gateways.urls)

    assert local.pop("servers") == [{"url": "/"}]
    [server] = deployed.pop("servers")
    assert gateways.urls["deployed"].endswith(server["url"])
    assert deployed == local


def assert_equal(local: requests.Response, deployed: requests.Response) -> None:
    assert deployed.status_code == local.status_code
    assert without_request_id(deployed) == without_request_id(local)
    for name in ("Content-Type", "ETag", "Vary", "X-Next-Token", "Link", "X-Content-Type-Options"):
        assert deployed.headers.get(name) == local.headers.get(name), name


def without_request_id(response: requests.Response) -> str:
    """Return the body of a response, in which the id of the request is the only difference."""
    return re.sub(r'"RequestId":"[0-9a-f-]{36}"', "", response.text)


@pytest.mark.parametrize("path", ["/", "/health", "/openapi.json"])
def test_head_has_the_status_of_get(gateways: Gateways, gateway: str, path: str) -> None:
    response = requests.head(gateways.urls[gateway] + path, timeout=240)

    assert (response.status_code, response.text) == (200, "")


def test_a_page_token_of_one_gateway_is_valid_at_the_other(gateways: Gateways) -> None:
    first = gateways.get("local", "/jobs?limit=1").json()
    rest = gateways.get("deployed", f"/jobs?limit=100&nextToken={first['nextToken']}").json()

    listed = [job["jobId"] for page in (first, rest) for job in page["jobs"]]
    assert sorted(listed) == ["array", "nodes", "other", "plain"]


def test_a_known_version_is_a_304(gateways: Gateways, gateway: str) -> None:
    etag = gateways.get(gateway, "/jobs/array").headers["ETag"]

    response = gateways.get(gateway, "/jobs/array", if_none_match=etag)

    assert (response.status_code, response.text) == (304, "")


def test_an_oversized_header_is_a_431(gateways: Gateways, gateway: str) -> None:
    assert gateways.get(gateway, "/jobs", x_large="x" * 5_000).status_code == 431


ROUTES = ("/jobs", "/jobs/plain", "/jobs/array/children", "/jobs/plain/logs", "/queues")


@pytest.mark.parametrize("path", ROUTES)
def test_a_missing_token_is_a_401_that_names_the_header(gateways: Gateways, path: str) -> None:
    response = requests.get(gateways.urls["deployed"] + path, timeout=240)

    assert_error(response, 401, "MissingTokenError")
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert "Authorization: Bearer <token>" in response.json()["Message"]


def test_an_invalid_token_is_a_401(gateways: Gateways) -> None:
    response = gateways.get("deployed", "/jobs", Authorization="Bearer wrong")

    assert_error(response, 401, "InvalidTokenError")
    assert response.headers["WWW-Authenticate"] == "Bearer"


def test_an_unknown_route_is_a_404_with_and_without_a_token(gateways: Gateways) -> None:
    with_token = gateways.get("deployed", "/secrets")
    without = requests.get(gateways.urls["deployed"] + "/secrets", timeout=240)

    assert_error(with_token, 404, "RouteNotFoundError")
    assert_error(without, 404, "RouteNotFoundError")
    assert gateways.token not in with_token.text


def assert_error(response: requests.Response, status: int, code: str) -> None:
    """Assert that the gateway responds as the API does."""
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/json"
    assert {name: response.headers[name] for name in HEADERS} == HEADERS
    body = response.json()
    assert list(body) == ["Code", "Message", "RequestId"]
    assert body["Code"] == code
    assert body["RequestId"]


def test_chalice_local_responds_to_them_in_the_form_of_the_gateway(gateways: Gateways) -> None:
    """It has no gateway responses."""
    url = gateways.urls["local"]
    missing = requests.get(f"{url}/jobs", timeout=240)
    invalid = gateways.get("local", "/jobs", Authorization="Bearer wrong")
    unknown = gateways.get("local", "/secrets")

    assert [each.status_code for each in (missing, invalid, unknown)] == [401, 403, 403]
    for response in (missing, invalid, unknown):
        assert "message" in {name.lower() for name in response.json()}
