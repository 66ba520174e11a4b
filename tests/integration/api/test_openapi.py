"""The OpenAPI description matches the routes, their parameters and their responses."""

import os
import subprocess
import sys
from pathlib import Path

from jsonschema import Draft202012Validator

from local.api import Api as Served
from local.aws import ROOT, LocalAws, Resources
from local.ports import free_port
from local.stacks import kept_token
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id, an_attempt
from tests.support.samples.log_samples import write

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


def record_some_jobs(api: Api) -> str:
    """Record a failed array with children, and return the id of the array."""
    root = a_job_id()
    ended = an_attempt(container={"exitCode": 137, "logStreamName": "s"}, statusReason="Essential")
    api.record(
        a_body(jobId=root, arrayProperties={"size": 2, "statusSummary": {"FAILED": 1}}),
        a_body(jobId=root, status="FAILED", attempts=[ended], at=NOON + 9_000, tags={"t": "x"}),
        a_body(jobId=f"{root}:0", container={"image": "i", "environment": [{"name": "K"}]}),
        a_body(jobId=f"{root}:1", status="HIBERNATING"),
        a_body(jobId=f"{root}:2", status="RUNNING", container={"logStreamName": "s"}),
        a_body(jobName="bare"),
    )
    return root


def is_part_of_the_page(path: str) -> bool:
    return path == "/" or path.startswith("/assets/")


def test_every_route_is_described_and_no_other(api: Api) -> None:
    paths = api.get("/openapi.json").body["paths"]

    described = {path: bool(methods["get"]["security"]) for path, methods in paths.items()}

    registered = {
        path.replace("{job_id}", "{jobId}"): entry.authorizer is not None
        for path, methods in api.app.routes.items()
        for entry in methods.values()
        if not is_part_of_the_page(path)
    }
    assert described == registered


def test_a_route_accepts_the_described_parameters_and_no_others(api: Api) -> None:
    root = record_some_jobs(api)
    paths = api.get("/openapi.json").body["paths"]
    queries = {
        path: [p["name"] for p in methods["get"]["parameters"] if p["in"] == "query"]
        for path, methods in paths.items()
    }

    refused = {
        path: api.get(path.format(jobId=root) + "?bogus=1")
        for path, names in queries.items()
        if names
    }

    assert len(refused) == 5
    for path, answer in refused.items():
        expected = ", ".join(queries[path])
        assert answer.status == 400
        assert answer.body["Message"] == f"bogus: unknown parameter; expected {expected}"


def test_real_responses_have_the_described_form(api: Api, aws: LocalAws) -> None:
    write(aws, "s", ["a line"])
    document = api.get("/openapi.json").body
    root = record_some_jobs(api)
    paths = {
        "/jobs": ["/jobs", "/jobs?limit=1", "/jobs?limit=0", "/jobs?name=a"],
        "/jobs/{jobId}": [f"/jobs/{root}", f"/jobs/{root}%3A0", "/jobs/unknown"],
        "/jobs/{jobId}/children": [f"/jobs/{root}/children", f"/jobs/{root}/children?limit=x"],
        "/jobs/{jobId}/logs": [
            *(f"/jobs/{root}/logs", f"/jobs/{root}%3A0/logs", f"/jobs/{root}%3A2/logs"),
            *("/jobs/a/logs", f"/jobs/{root}%3A2/logs?attempt=0"),
        ],
        "/queues": ["/queues", "/queues?limit=1"],
        "/queues/{queue}": ["/queues/high-priority", "/queues/none", "/queues/none?a=b"],
        "/health": ["/health"],
    }
    api.count()

    for route, examples in paths.items():
        answers = [api.get(path) for path in examples]
        assert 200 in {status for status, _ in answers}, route
        for status, body in answers:
            answer = document["paths"][route]["get"]["responses"][str(int(status))]
            schema = answer["content"]["application/json"]["schema"]
            validator = Draft202012Validator({**schema, "components": document["components"]})
            validator.validate(body)


# Generated requests, against the app as `chalice local` serves it


def test_no_generated_request_gets_an_undescribed_response(
    api: Api, aws: LocalAws, resources: Resources, tmp_path: Path
) -> None:
    """Run all checks but one: no schema can describe which page tokens are valid. All jobs have
    ended, because a generated `wait` would wait for a running job.

    MOST_EXAMPLES=1200 makes about 5,000 requests.
    """
    root = a_job_id()
    ended = an_attempt(container={"logStreamName": "s"})
    api.record(
        a_body(jobId=root, status="FAILED", arrayProperties={"size": 2}, attempts=[ended]),
        a_body(jobId=f"{root}:0", status="FAILED", attempts=[ended], container={}),
        a_body(jobId=f"{root}:1", status="SUCCEEDED"),
    )
    token = kept_token(aws, resources.secret_id, tmp_path / "token")
    command = [
        *(SCHEMATHESIS, f"--config-file={ROOT / 'tests' / 'support' / 'schemathesis.toml'}", "run"),
        *("--header", f"Authorization: Bearer {token}", "--no-color", "--seed", "1"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance"),
        *("--max-examples", os.environ.get("MOST_EXAMPLES", "15"), "--request-timeout", "30"),
    ]

    with Served(free_port(), aws, token, tmp_path / "api.log") as served:
        run = subprocess.run(
            [*command, f"{served.url}/openapi.json"], cwd=tmp_path, capture_output=True, text=True
        )

    assert run.returncode == 0, run.stdout + run.stderr
