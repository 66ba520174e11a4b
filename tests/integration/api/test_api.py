"""The routes of the API on the local AWS: jobs, lists of jobs, pages and access."""

import re
from urllib.parse import quote

import pytest

from chalicelib.version import VERSION
from local.aws import LocalAws, Resources
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id, an_attempt

QUEUE_OF = "arn:aws:batch:us-east-1:000000000000:job-queue/{}".format


def test_a_recorded_job_is_returned_in_the_documented_form(api: Api) -> None:
    job_id = a_job_id()
    container = {
        "image": "busybox",
        "command": ["sh", "-c", "run"],
        "environment": [{"name": "K", "value": "V"}],
        "resourceRequirements": [
            {"type": "VCPU", "value": "2"},
            {"type": "MEMORY", "value": "2000"},
        ],
    }
    ended = an_attempt(
        container={"exitCode": 1, "logStreamName": "def/default/1"},
        startedAt=NOON + 60_000,
        stoppedAt=NOON + 90_000,
        statusReason="Essential container in task exited",
    )
    api.record(
        a_body(jobId=job_id, status="RUNNABLE", at=NOON + 1_000, container=container),
        a_body(jobId=job_id, status="STARTING", at=NOON + 50_000, container=container),
        a_body(
            jobId=job_id,
            status="FAILED",
            at=NOON + 90_000,
            container=container,
            attempts=[ended],
            startedAt=NOON + 60_000,
            stoppedAt=NOON + 90_000,
            statusReason="Essential container in task exited",
            jobDefinition="arn:aws:batch:us-east-1:000000000000:job-definition/def:3",
            tags={"team": "genomics"},
        ),
    )

    status, job = api.get(f"/jobs/{job_id}")

    assert status == 200
    explanation = job["failure"].pop("explanation")
    assert "exit code 1" in explanation
    links = job.pop("links")
    assert job == {
        "jobId": job_id,
        "jobArn": f"arn:aws:batch:us-east-1:000000000000:job/{job_id}",
        "jobName": "align",
        "jobQueue": "high-priority",
        "jobQueueArn": QUEUE_OF("high-priority"),
        "jobDefinition": "arn:aws:batch:us-east-1:000000000000:job-definition/def:3",
        "serviceJobType": None,
        "status": "FAILED",
        "statusReason": "Essential container in task exited",
        "isCancelled": False,
        "isTerminated": False,
        "since": "2026-05-28T20:28:10.000Z",
        "createdAt": "2026-05-28T20:26:40.000Z",
        "startedAt": "2026-05-28T20:27:40.000Z",
        "stoppedAt": "2026-05-28T20:28:10.000Z",
        "durations": {
            "pendingSeconds": None,
            "queuedSeconds": 59.0,
            "startingSeconds": 10.0,
            "runningSeconds": 30.0,
            "totalSeconds": 90.0,
        },
        "failure": {"cause": "EXIT_CODE", "container": None, "exitCode": 1},
        "array": None,
        "nodes": None,
        "usage": {
            "vcpuHours": 0.016667,
            "gbHours": 0.016276,
            "gpuHours": 0.0,
            "wasted": {"vcpuHours": 0.016667, "gbHours": 0.016276, "gpuHours": 0.0},
        },
        "cost": None,
        "history": [
            {
                "status": "RUNNABLE",
                "attempt": None,
                "at": "2026-05-28T20:26:41.000Z",
                "source": "event",
            },
            {
                "status": "STARTING",
                "attempt": 1,
                "at": "2026-05-28T20:27:30.000Z",
                "source": "event",
            },
            {
                "status": "FAILED",
                "attempt": 1,
                "at": "2026-05-28T20:28:10.000Z",
                "source": "event",
            },
        ],
        "attempts": [
            {
                "attempt": 1,
                "startedAt": "2026-05-28T20:27:40.000Z",
                "stoppedAt": "2026-05-28T20:28:10.000Z",
                "exitCode": 1,
                "reason": None,
                "statusReason": "Essential container in task exited",
                "logStreamName": "def/default/1",
                "computeEnvironment": None,
                "serviceResourceId": None,
                "cause": "EXIT_CODE",
                "containers": [],
                "pod": None,
            }
        ],
        "preemptions": [],
        "container": {
            "image": "busybox",
            "command": ["sh", "-c", "run"],
            "vcpus": 2,
            "memory": 2000,
            "gpus": None,
            "environment": [{"name": "K", "value": "REDACTED"}],
            "secrets": [],
            "jobRoleArn": None,
            "executionRoleArn": None,
            "ephemeralStorageGib": None,
            "cpuArchitecture": None,
        },
        "dependsOn": [],
        "shareIdentifier": None,
        "schedulingPriority": None,
        "quotaShareName": None,
        "capacityUsage": [],
        "preemptionRetriesBeforeTermination": None,
        "retryStrategy": {"attempts": None, "evaluateOnExit": []},
        "timeoutSeconds": None,
        "platform": None,
        "mainNode": None,
        "parameters": {},
        "tags": {"team": "genomics"},
        "waiting": None,
    }
    assert job_id in links["console"]
    assert links["logs"].endswith(
        "#logsV2:log-groups/log-group/$252Faws$252Fbatch$252Fjob/log-events/def$252Fdefault$252F1"
    )


@pytest.mark.parametrize(
    ("suffix", "in_path"), [(":12", ":12"), (":12", "%3A12"), (":12", "%3a12"), ("#1", "%231")]
)
def test_a_child_is_found_by_its_id_encoded_or_decoded(api: Api, suffix: str, in_path: str) -> None:
    root = a_job_id()
    api.record(a_body(jobId=root + suffix))

    assert api.get(f"/jobs/{root}{in_path}").body["jobId"] == root + suffix


def test_an_unknown_job_is_a_404(api: Api) -> None:
    answer = api.get("/jobs/no-such-job")

    assert answer.status == 404
    assert (
        answer.body.items()
        >= {
            "Code": "JobNotFoundError",
            "Message": "job no-such-job not found",
        }.items()
    )


def test_an_invalid_job_id_is_a_404_with_the_reason(api: Api) -> None:
    answer = api.get("/jobs/a%20b")

    assert answer.status == 404
    assert "is not a Batch job id" in answer.body["Message"]


def test_a_job_outside_of_the_tokens_queues_gets_the_same_404_as_an_unknown_job(api: Api) -> None:
    job_id = a_job_id()
    api.allow("spot only", ["spot-*"])
    api.record(a_body(jobId=job_id, jobQueue=QUEUE_OF("gpu")))

    hidden = api.get(f"/jobs/{job_id}", token="spot only")
    unknown = api.get("/jobs/unknown", token="spot only")

    assert hidden.status == unknown.status == 404
    assert hidden.body["Message"].replace(job_id, "unknown") == unknown.body["Message"]


def test_a_list_contains_only_jobs_of_the_tokens_queues(api: Api) -> None:
    api.allow("spot only", ["spot-*"])
    api.record(
        a_body(jobName="covered", jobQueue=QUEUE_OF("spot-1")),
        a_body(jobName="not covered", jobQueue=QUEUE_OF("gpu")),
    )

    listed = api.get("/jobs", token="spot only").body["jobs"]
    requested = api.get("/jobs?queue=gpu", token="spot only")

    assert [job["jobName"] for job in listed] == ["covered"]
    assert (requested.status, requested.body["Message"]) == (404, "queue gpu not found")


@pytest.mark.parametrize("query", ["queue=none", "queue=none&status=FAILED", "queue=none&name=a"])
def test_a_list_of_an_unknown_queue_is_a_404(api: Api, query: str) -> None:
    answer = api.get(f"/jobs?{query}")

    assert (answer.status, answer.body["Code"]) == (404, "QueueNotFoundError")


def test_the_arns_of_a_response_are_accepted_in_requests(api: Api) -> None:
    root = a_job_id()
    api.record(
        a_body(jobId=f"{root}:3", jobQueue=QUEUE_OF("gpu")),
        a_body(jobId=root, jobQueue=QUEUE_OF("gpu"), arrayProperties={"size": 4}),
    )

    for job_id in (root, f"{root}:3"):
        job = api.get(f"/jobs/{quote(job_id, safe='')}").body
        assert job["jobArn"] == f"arn:aws:batch:us-east-1:000000000000:job/{job_id}"
        assert api.get(f"/jobs/{quote(job['jobArn'], safe='')}").body["jobId"] == job_id
        assert api.get(f"/queues/{quote(job['jobQueueArn'], safe='')}").body["jobQueue"] == "gpu"
        [listed] = api.get(f"/jobs?queue={quote(job['jobQueueArn'])}").body["jobs"]
        assert listed["jobId"] == root


def test_the_description_needs_no_token(api: Api) -> None:
    assert api.get("/openapi.json", token=None).status == 200


def test_a_missing_token_is_a_401_and_an_invalid_token_a_403(api: Api) -> None:
    assert api.get("/jobs", token=None).status == 401
    assert api.get("/jobs", token="wrong").status == 403


def test_a_removed_token_stops_working(api: Api) -> None:
    api.allow("leaver", ["*"])
    api.revoke("leaver")

    assert api.get("/jobs", token="leaver").status == 403


def test_every_route_except_health_the_description_and_the_page_needs_a_token(api: Api) -> None:
    routes = {
        path: entry.authorizer
        for path, methods in api.app.routes.items()
        for entry in methods.values()
    }

    public = {path for path, authorizer in routes.items() if authorizer is None}
    assert public == {"/health", "/openapi.json", "/", "/assets/{version}/{name}"}


def test_every_route_is_registered_by_the_decorator(api: Api) -> None:
    from app import routes

    assert [route.path for route in routes.registered] == list(api.app.routes)


def test_a_known_version_is_a_304_until_an_event_of_the_job_is_recorded(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_body(jobId=job_id, status="RUNNING"))
    etag = api.response(f"/jobs/{job_id}").headers["ETag"]

    known = api.response(f"/jobs/{job_id}", if_none_match=f'"other", {etag}')
    api.record(a_body(jobId=job_id, status="SUCCEEDED", at=NOON + 5_000))
    changed = api.response(f"/jobs/{job_id}", if_none_match=etag)

    assert (known.status_code, known.body, known.headers["ETag"]) == (304, b"", etag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_health_is_ok_when_the_table_and_the_queues_are_available(api: Api) -> None:
    assert api.get("/health", token=None) == (200, {"status": "ok", "version": VERSION})


def test_a_list_contains_root_jobs_only_with_the_newest_first(api: Api) -> None:
    ids = [a_job_id() for _ in range(5)]
    api.record(
        *(a_body(jobId=job_id, at=NOON + n * 1000) for n, job_id in enumerate(ids)),
        a_body(jobId=f"{ids[0]}:0", at=NOON + 9_000),
    )

    listed = [job["jobId"] for job in api.get("/jobs").body["jobs"]]

    assert listed == ids[::-1]


def test_a_job_that_is_not_running_yet_explains_why(api: Api) -> None:
    blocked, running = a_job_id(), a_job_id()
    reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfil the request"
    api.record(a_body(jobId=blocked, statusReason=reason), a_body(jobId=running, status="RUNNING"))

    waiting = api.get(f"/jobs/{blocked}").body["waiting"]

    assert waiting["cause"] == "AWS has no free capacity"
    assert waiting["explanation"].startswith("AWS has no free instance")
    assert api.get(f"/jobs/{running}").body["waiting"] is None


def test_a_summary_is_a_job_without_its_details(api: Api) -> None:
    job_id = a_job_id()
    api.record(a_body(jobId=job_id, status="SUCCEEDED", stoppedAt=NOON + 5_000))

    job = api.get(f"/jobs/{job_id}").body
    (summary,) = api.get("/jobs").body["jobs"]

    details = {
        *("history", "attempts", "preemptions", "container", "parameters", "tags", "waiting"),
        *("dependsOn", "shareIdentifier", "schedulingPriority", "retryStrategy", "timeoutSeconds"),
        *("platform", "mainNode", "quotaShareName", "capacityUsage"),
        "preemptionRetriesBeforeTermination",
    }
    for detail in details:
        del job[detail]
    assert summary == job


def test_a_list_is_filtered_by_queue_and_status(api: Api) -> None:
    for queue in ("gpu", "spot"):
        for status in ("RUNNING", "FAILED", "HIBERNATING"):
            name = f"{queue}-{status}"
            api.record(a_body(jobQueue=QUEUE_OF(queue), status=status, jobName=name))

    def names(query: str) -> set[str]:
        return {job["jobName"] for job in api.get(f"/jobs?{query}").body["jobs"]}

    assert names("queue=gpu") == {"gpu-RUNNING", "gpu-FAILED", "gpu-HIBERNATING"}
    assert names("status=FAILED") == {"gpu-FAILED", "spot-FAILED"}
    assert names("status=FAILED,RUNNING&queue=spot") == {"spot-FAILED", "spot-RUNNING"}
    assert names("status=failed&status=RUNNING&queue=gpu") == {"gpu-FAILED", "gpu-RUNNING"}
    assert names("status=OTHER") == {"gpu-HIBERNATING", "spot-HIBERNATING"}
    assert names("status=UNKNOWN") == set()


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_the_pages_together_contain_each_job_once(api: Api, limit: int) -> None:
    ids = [a_job_id() for _ in range(20)]
    statuses = ["RUNNING", "FAILED"]
    api.record(
        *(
            a_body(jobId=job_id, status=statuses[n % 2], at=NOON + n // 3 * 1000)
            for n, job_id in enumerate(ids)
        )
    )

    pages = list(api.pages(f"/jobs?limit={limit}"))

    assert all(len(page) <= limit for page in pages)
    listed = [job["jobId"] for page in pages for job in page]
    assert len(listed) == 20
    assert set(listed) == set(ids)


def test_a_page_token_is_valid_only_for_its_query_and_only_unchanged(api: Api) -> None:
    api.record(*(a_body(status="RUNNING") for _ in range(3)))
    token = api.get("/jobs?limit=1").body["nextToken"]

    changed = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    assert re.fullmatch(r"[A-Za-z0-9_-]+", token)
    assert api.get(f"/jobs?nextToken={token}").status == 200
    for query in (f"status=RUNNING&nextToken={token}", f"nextToken={changed}", "nextToken=x"):
        answer = api.get(f"/jobs?{query}")
        assert answer.status == 400
        assert answer.body["Message"].endswith("' is not a nextToken of this query")


def test_a_bad_parameter_is_a_400_that_names_it(api: Api) -> None:
    answer = api.get("/jobs?limit=1&since=2026-13-01")

    assert answer.status == 400
    assert len(answer.body.pop("RequestId")) == 36
    assert answer.body == {
        "Code": "InvalidParameterError",
        "Parameter": "since",
        "Message": "since: '2026-13-01' is not a time such as 2026-11-24T03:55:00Z, 2026-11-24"
        " or -24h",
    }


def test_a_route_is_unavailable_without_its_table(
    api: Api, aws: LocalAws, resources: Resources
) -> None:
    aws.dynamodb.delete_table(TableName=resources.jobs_table)

    answer = api.get("/jobs/4c75")

    assert answer.status == 503
    assert answer.body["Code"] == "ServiceUnavailableError"
    assert api.get("/health", token=None) == (
        503,
        {"status": "failing", "version": VERSION},
    )


@pytest.mark.parametrize(("token", "effect"), [("all", "Allow"), ("wrong", None)])
def test_the_authorizer_returns_a_policy_for_api_gateway(
    api: Api, token: str, effect: str | None
) -> None:
    event = {
        "type": "TOKEN",
        "authorizationToken": f"Bearer {token}",
        "methodArn": "arn:aws:execute-api:us-east-1:000000000000:api/api/GET/jobs",
    }

    policy = api.invoke("authorize", event)

    (statement,) = policy["policyDocument"]["Statement"]
    allowed = statement["Effect"] == "Allow" and statement["Resource"]
    assert bool(allowed) == (effect == "Allow")
    assert policy["principalId"] == (token if effect else "nobody")


def test_a_failure_explains_why_there_was_no_further_attempt(api: Api) -> None:
    rules = [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onExitCode": "2", "action": "EXIT"},
    ]
    job_id = a_job_id()
    api.record(
        a_body(
            jobId=job_id,
            status="FAILED",
            attempts=[an_attempt(container={"exitCode": 2})],
            retryStrategy={"attempts": 3, "evaluateOnExit": rules},
        )
    )

    failure = api.get(f"/jobs/{job_id}").body["failure"]

    assert failure["explanation"].endswith(" Attempt 1 of 3: exit code 2 is not retried.")
