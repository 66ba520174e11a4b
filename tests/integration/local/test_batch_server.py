"""The stand-in for AWS Batch's API, called by a real boto3 client and compared with botocore's
model."""

import math
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from local.batch import RETENTION_MS, BatchServer, an_environment, put_jobs
from local.workload import QUEUES, Workload, workload
from tests.support.builders import NOON, QUEUE_ARN, a_detail, a_service_detail
from tests.support.recorder_harness import aws_session


@pytest.fixture
def client(batch: BatchServer) -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return aws_session().client("batch", endpoint_url=batch.url, config=config)


def put_workload(batch: BatchServer, jobs: int = 300) -> Workload:
    work = workload(seed=5, jobs=jobs, start=NOON - 86_400_000, queues=QUEUES[:4])
    batch.put(event.detail for event in work.events)
    return work


def listed(client: Any, **request: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator("list_jobs").paginate(**request)
    return [job for page in pages for job in page["jobSummaryList"]]


def before(moment: int) -> list[dict[str, Any]]:
    return [{"name": "BEFORE_CREATED_AT", "values": [str(moment)]}]


def violations(shape: Any, value: Any, path: str) -> list[str]:
    """Return the paths in a response that botocore's model lacks or gives another type."""
    if shape.type_name == "structure":
        unknown = [f"{path}.{name}" for name in value if name not in shape.members]
        members = {name: inner for name, inner in value.items() if name in shape.members}
        return unknown + [
            found
            for name, inner in members.items()
            for found in violations(shape.members[name], inner, f"{path}.{name}")
        ]
    if shape.type_name == "list":
        return [found for item in value for found in violations(shape.member, item, path)]
    if shape.type_name == "map":
        return [found for item in value.values() for found in violations(shape.value, item, path)]
    types = {"string": str, "integer": int, "long": int, "boolean": bool, "double": float}
    return [] if isinstance(value, types[shape.type_name]) else [path]


@pytest.mark.parametrize("operation", ["DescribeJobs", "ListJobs"])
def test_responses_conform_to_botocores_model(
    batch: BatchServer, client: Any, operation: str
) -> None:
    job_ids = list(put_workload(batch).expected)
    model = client.meta.service_model.operation_model(operation).output_shape

    if operation == "DescribeJobs":
        pages = [job_ids[start : start + 100] for start in range(0, 300, 100)]
        responses = [batch.describe_jobs({"jobs": page}) for page in pages]
    else:
        responses = [batch.list_jobs({"jobQueue": "spot", "filters": before(NOON)})]

    assert [path for response in responses for path in violations(model, response, "$")] == []


def put_two_queues(batch: BatchServer) -> None:
    batch.put_queue("high-priority", an_environment("spot-a"), an_environment("spot-b"))
    environment = batch.put_service_environment("training")
    order = [{"order": 1, "serviceEnvironment": environment}]
    limit = {"reason": "CAPACITY", "state": "RUNNABLE", "maxTimeSeconds": 600, "action": "CANCEL"}
    batch.put_queue(
        "training",
        serviceEnvironmentOrder=order,
        jobQueueType="SAGEMAKER_TRAINING",
        jobStateTimeLimitActions=[limit],
    )
    batch.put(a_detail(createdAt=NOON - number) for number in range(150))
    batch.put_consumable_resource("licence", total=10, in_use=10)
    batch.put_quota_share("training", "team-a", limit=4, in_use=4)


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        ("DescribeJobQueues", {"jobQueues": ["high-priority", "training", "nonexistent"]}),
        ("DescribeComputeEnvironments", {"computeEnvironments": ["spot-a", "spot-b"]}),
        ("DescribeServiceEnvironments", {"serviceEnvironments": ["training"]}),
        ("GetJobQueueSnapshot", {"jobQueue": "high-priority"}),
        ("GetJobQueueSnapshot", {"jobQueue": "training"}),
        ("DescribeConsumableResource", {"consumableResource": "licence"}),
        ("ListQuotaShares", {"jobQueue": "training"}),
    ],
)
def test_descriptions_of_queues_conform_to_botocores_model(
    batch: BatchServer, client: Any, operation: str, request_: dict[str, Any]
) -> None:
    put_two_queues(batch)
    model = client.meta.service_model.operation_model(operation).output_shape

    [response] = [batch.respond(f"/v1/{operation.lower()}", request_)[1]]

    assert any(response.values())
    assert violations(model, response, "$") == []


def test_a_snapshot_returns_the_first_100_runnable_jobs_in_their_order(
    batch: BatchServer, client: Any
) -> None:
    put_two_queues(batch)

    jobs = client.get_job_queue_snapshot(jobQueue="high-priority")["frontOfQueue"]["jobs"]

    times = [job["earliestTimeAtPosition"] for job in jobs]
    assert times == [NOON - 149 + number for number in range(100)]


def test_describe_jobs_returns_the_current_state_of_up_to_100_jobs(
    batch: BatchServer, client: Any
) -> None:
    work = put_workload(batch)
    job_ids = list(work.expected)[:99]

    jobs = client.describe_jobs(jobs=[*job_ids, "nonexistent"])["jobs"]

    assert {job["jobId"]: job["status"] for job in jobs} == {
        job_id: work.expected[job_id].status for job_id in job_ids
    }
    assert not any("resourceArn" in job["tags"] for job in jobs)
    assert batch.calls == {"DescribeJobs": 1}


@pytest.mark.parametrize("count", [0, 101])
def test_describe_jobs_rejects_no_ids_and_more_than_100(client: Any, count: int) -> None:
    with pytest.raises(ClientError, match="ClientException"):
        client.describe_jobs(jobs=["x"] * count)


def test_list_jobs_returns_root_jobs_of_a_queue_newest_first_in_pages_of_100(
    batch: BatchServer, client: Any
) -> None:
    batch.put(a_detail(createdAt=NOON - number) for number in range(250))
    batch.put([a_detail(jobQueue="other"), a_detail(jobId="parent:3")])

    jobs = listed(client, jobQueue=QUEUE_ARN, filters=before(NOON + 1))

    assert [job["createdAt"] for job in jobs] == [NOON - number for number in range(250)]
    assert batch.calls["ListJobs"] == 3


def test_list_jobs_returns_running_jobs_by_default(batch: BatchServer, client: Any) -> None:
    batch.put([a_detail(jobId="runnable"), a_detail(jobId="running", status="RUNNING")])

    assert [job["jobId"] for job in listed(client, jobQueue="high-priority")] == ["running"]
    [runnable] = listed(client, jobQueue="high-priority", jobStatus="RUNNABLE")
    assert runnable["jobId"] == "runnable"


def test_list_jobs_returns_children_and_nodes_by_their_parent(
    batch: BatchServer, client: Any
) -> None:
    ids = ["a:0", "a:1", "b#0", "b#1", "a"]
    batch.put(a_detail(jobId=job_id, status="RUNNING") for job_id in ids)

    assert {job["jobId"] for job in listed(client, arrayJobId="a")} == {"a:0", "a:1"}
    assert {job["jobId"] for job in listed(client, multiNodeJobId="b")} == {"b#0", "b#1"}


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"jobQueue": "q", "arrayJobId": "a"},
        {"jobQueue": "q", "maxResults": 1_001},
        {"jobQueue": "q", "maxResults": 101, "filters": before(NOON)},
        {"jobQueue": "q", "nextToken": "invalid"},
    ],
)
def test_list_jobs_rejects_what_batch_rejects(
    batch: BatchServer, client: Any, request_: dict[str, Any]
) -> None:
    with pytest.raises((ClientError, ParamValidationError), match=r"Exception|Invalid"):
        client.list_jobs(**request_)


def test_jobs_are_deleted_a_week_after_their_end(batch: BatchServer, client: Any) -> None:
    recent, old = NOON - RETENTION_MS + 1, NOON - RETENTION_MS - 1
    batch.put(
        [
            a_detail(jobId="kept", status="FAILED", stoppedAt=recent),
            a_detail(jobId="deleted", status="FAILED", stoppedAt=old),
            a_detail(jobId="running", status="RUNNING", createdAt=old),
        ]
    )

    jobs = client.describe_jobs(jobs=["kept", "deleted", "running"])["jobs"]

    assert [job["jobId"] for job in jobs] == ["kept", "running"]


def test_calls_are_throttled_when_a_test_requests_it(batch: BatchServer, client: Any) -> None:
    batch.throttle(math.inf)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        client.describe_jobs(jobs=["x"])
    batch.throttle(0)

    assert client.describe_jobs(jobs=["x"])["jobs"] == []
    assert (batch.throttled, batch.calls["DescribeJobs"]) == (1, 1)


def test_no_job_is_found_in_the_wrong_region(batch: BatchServer, client: Any) -> None:
    batch.put([a_detail(jobId="known")])
    batch.is_wrong_region = True

    assert client.describe_jobs(jobs=["known"])["jobs"] == []


def test_jobs_are_put_over_http_and_kept_in_the_state_file(tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    with BatchServer(state_file=file) as first:
        put_jobs(first.url, [a_detail(jobId=f"job-{number}") for number in range(450)])

    with BatchServer(state_file=file) as second:
        response = second.describe_jobs({"jobs": ["job-0", "job-449"]})

    assert len(response["jobs"]) == 2


# Service jobs


def training_details(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        a_service_detail(createdAt=NOON - number, latestAttempt={}, **fields)
        for number in range(count)
    ]


def test_responses_about_service_jobs_conform_to_botocores_model(
    batch: BatchServer, client: Any
) -> None:
    [detail] = training_details(1, startedAt=NOON)
    batch.put([detail])
    model = client.meta.service_model.operation_model

    described = batch.describe_service_job({"jobId": detail["jobId"]})
    listed = batch.list_service_jobs({"jobQueue": "training", "filters": before(NOON + 1)})

    assert violations(model("DescribeServiceJob").output_shape, described, "$") == []
    assert violations(model("ListServiceJobs").output_shape, listed, "$") == []


def test_operations_return_either_jobs_or_service_jobs(batch: BatchServer, client: Any) -> None:
    batch.put([a_service_detail(jobId="training", status="RUNNING"), a_detail(jobId="running")])

    assert client.describe_service_job(jobId="training")["status"] == "RUNNING"
    assert client.describe_jobs(jobs=["training"])["jobs"] == []
    assert client.list_jobs(jobQueue="training")["jobSummaryList"] == []
    with pytest.raises(ClientError, match="ClientException"):
        client.describe_service_job(jobId="running")
    [listed] = client.list_service_jobs(jobQueue="training")["jobSummaryList"]
    assert listed["jobId"] == "training"


def test_list_service_jobs_returns_the_newest_first_in_pages_of_100(
    batch: BatchServer, client: Any
) -> None:
    batch.put(training_details(250))

    pages = client.get_paginator("list_service_jobs").paginate(
        jobQueue="training", filters=before(NOON + 1)
    )

    jobs = [job["createdAt"] for page in pages for job in page["jobSummaryList"]]
    assert jobs == [NOON - number for number in range(250)]
    assert batch.calls["ListServiceJobs"] == 3


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"jobQueue": "training", "maxResults": 101},
        {"jobQueue": "training", "filters": [{"name": "JOB_DEFINITION", "values": ["x"]}]},
    ],
)
def test_list_service_jobs_rejects_what_batch_rejects(
    batch: BatchServer, client: Any, request_: dict[str, Any]
) -> None:
    batch.put(training_details(1))

    with pytest.raises(ClientError, match="ClientException"):
        client.list_service_jobs(**request_)
