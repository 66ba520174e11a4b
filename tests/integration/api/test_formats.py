"""Responses in the format that the Accept header prefers."""

import csv
import io

from tests.support.api_harness import Api
from tests.support.builders import a_body, a_job_id


def test_a_list_is_available_as_text(api: Api) -> None:
    api.record(a_body(), a_body())

    response = api.response("/jobs?limit=1", accept="text/plain")

    token = response.headers["X-Next-Token"]
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["Vary"] == "Accept"
    assert response.body.decode().startswith("STATUS ")
    assert response.body.decode().endswith(f"\n\nNext page: nextToken={token}\n")
    assert api.response("/jobs?status=UNKNOWN", accept="text/plain").body == b"No jobs.\n"


def test_a_list_is_available_as_csv(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_body(jobId=job_id))

    response = api.response("/jobs", accept="text/csv")

    [row] = csv.DictReader(io.StringIO(response.body.decode()))
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Vary"] == "Accept"
    assert row["jobId"] == job_id


def test_an_array_has_the_counts_of_its_recorded_children(api: Api) -> None:
    root = a_job_id()
    array = {"size": 3, "statusSummary": {"FAILED": 0, "RUNNABLE": 3}}
    api.record(
        a_body(jobId=root, status="PENDING", arrayProperties=array),
        *(a_body(jobId=f"{root}:{n}", status="SUCCEEDED") for n in range(2)),
        a_body(jobId=f"{root}:2", status="RUNNING"),
    )

    table = api.response("/jobs", accept="text/plain").body.decode()
    page = api.response(f"/jobs/{root}", accept="text/plain").body.decode()
    [row] = csv.DictReader(io.StringIO(api.response("/jobs", accept="text/csv").body.decode()))

    assert "\nPENDING 2/3  " in table
    assert "\nchildren  3: 1 RUNNING, 2 SUCCEEDED as of " in page
    assert (row["arraySize"], row["statusSummary"]) == ("3", "1 RUNNING, 2 SUCCEEDED")


def test_json_is_the_default_and_ends_with_a_newline(api: Api) -> None:
    api.record(a_body(jobId=a_job_id()))

    for path in ("/jobs", "/health", "/jobs/unknown"):
        response = api.response(path)
        assert response.headers["Content-Type"] == "application/json"
        assert response.body.endswith(b"}\n")
