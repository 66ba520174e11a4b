"""The stand-in Batch API, asked by a real boto3 client and held against botocore's model."""

import math
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from local.batch import KEPT_MS, BatchServer, put_jobs
from local.lifecycles import QUEUES, Workload, workload
from tests.support.builders import NOON, QUEUE_ARN, a_detail, a_service_detail
from tests.support.recorder_harness import aws_session


@pytest.fixture
def client(batch: BatchServer) -> Any:
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"})
    return aws_session().client("batch", endpoint_url=batch.url, config=config)


def simulated(batch: BatchServer, jobs: int = 300) -> Workload:
    work = workload(seed=5, jobs=jobs, start=NOON - 86_400_000, queues=QUEUES[:4])
    batch.put(event.detail for event in work.events)
    return work


def listed(client: Any, **request: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator("list_jobs").paginate(**request)
    return [job for page in pages for job in page["jobSummaryList"]]


def before(moment: int) -> list[dict[str, Any]]:
    return [{"name": "BEFORE_CREATED_AT", "values": [str(moment)]}]


def unknown_to(shape: Any, value: Any, path: str) -> list[str]:
    """What botocore's model of the answer does not know, or knows as something else."""
    if shape.type_name == "structure":
        strange = [f"{path}.{name}" for name in value if name not in shape.members]
        known = {k: v for k, v in value.items() if k in shape.members}
        return strange + [
            found
            for name, inner in known.items()
            for found in unknown_to(shape.members[name], inner, f"{path}.{name}")
        ]
    if shape.type_name == "list":
        return [found for one in value for found in unknown_to(shape.member, one, path)]
    if shape.type_name == "map":
        return [found for one in value.values() for found in unknown_to(shape.value, one, path)]
    types = {"string": str, "integer": int, "long": int, "boolean": bool, "double": float}
    return [] if isinstance(value, types[shape.type_name]) else [path]


@pytest.mark.parametrize("operation", ["DescribeJobs", "ListJobs"])
def test_answers_are_what_botocores_model_says(
    batch: BatchServer, client: Any, operation: str
) -> None:
    ids = list(simulated(batch).truth)
    model = client.meta.service_model.operation_model(operation).output_shape

    if operation == "DescribeJobs":
        answers = [batch.describe_jobs({"jobs": ids[n : n + 100]}) for n in range(0, 300, 100)]
    else:
        answers = [batch.list_jobs({"jobQueue": "spot", "filters": before(NOON)})]

    assert [found for one in answers for found in unknown_to(model, one, "$")] == []


def test_describes_the_newest_state_of_up_to_a_hundred_jobs(
    batch: BatchServer, client: Any
) -> None:
    work = simulated(batch)
    ids = list(work.truth)[:99]

    jobs = client.describe_jobs(jobs=[*ids, "never-heard-of"])["jobs"]

    assert {job["jobId"]: job["status"] for job in jobs} == {
        job_id: work.truth[job_id].status for job_id in ids
    }
    assert not any("resourceArn" in job["tags"] for job in jobs)
    assert batch.calls == {"DescribeJobs": 1}


@pytest.mark.parametrize("count", [0, 101])
def test_refuses_no_ids_and_too_many(client: Any, count: int) -> None:
    with pytest.raises(ClientError, match="ClientException"):
        client.describe_jobs(jobs=["x"] * count)


def test_lists_roots_of_a_queue_newest_first_in_pages_of_a_hundred(
    batch: BatchServer, client: Any
) -> None:
    batch.put(a_detail(createdAt=NOON - number) for number in range(250))
    batch.put([a_detail(jobQueue="other"), a_detail(jobId="parent:3")])

    jobs = listed(client, jobQueue=QUEUE_ARN, filters=before(NOON + 1))

    assert [job["createdAt"] for job in jobs] == [NOON - number for number in range(250)]
    assert batch.calls["ListJobs"] == 3


def test_lists_running_jobs_unless_told_otherwise(batch: BatchServer, client: Any) -> None:
    batch.put([a_detail(jobId="waits"), a_detail(jobId="runs", status="RUNNING")])

    assert [job["jobId"] for job in listed(client, jobQueue="high-priority")] == ["runs"]
    [waiting] = listed(client, jobQueue="high-priority", jobStatus="RUNNABLE")
    assert waiting["jobId"] == "waits"


def test_lists_children_and_nodes_by_their_parent(batch: BatchServer, client: Any) -> None:
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
        {"jobQueue": "q", "nextToken": "mine"},
    ],
)
def test_refuses_what_batch_refuses(
    batch: BatchServer, client: Any, request_: dict[str, Any]
) -> None:
    with pytest.raises((ClientError, ParamValidationError), match=r"Exception|Invalid"):
        client.list_jobs(**request_)


def test_forgets_jobs_a_week_after_their_end(batch: BatchServer, client: Any) -> None:
    old, older = NOON - KEPT_MS + 1, NOON - KEPT_MS - 1
    batch.put(
        [
            a_detail(jobId="kept", status="FAILED", stoppedAt=old),
            a_detail(jobId="forgotten", status="FAILED", stoppedAt=older),
            a_detail(jobId="runs", status="RUNNING", createdAt=older),
        ]
    )

    jobs = client.describe_jobs(jobs=["kept", "forgotten", "runs"])["jobs"]

    assert [job["jobId"] for job in jobs] == ["kept", "runs"]


def test_throttles_on_request(batch: BatchServer, client: Any) -> None:
    batch.throttle(math.inf)
    with pytest.raises(ClientError, match="TooManyRequestsException"):
        client.describe_jobs(jobs=["x"])
    batch.throttle(0)

    assert client.describe_jobs(jobs=["x"])["jobs"] == []
    assert (batch.throttled, batch.calls["DescribeJobs"]) == (1, 1)


def test_knows_nothing_on_request(batch: BatchServer, client: Any) -> None:
    batch.put([a_detail(jobId="known")])
    batch.knows_nothing = True

    assert client.describe_jobs(jobs=["known"])["jobs"] == []


def test_jobs_come_over_http_and_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "batch.json"
    with BatchServer(state_file=file) as first:
        put_jobs(first.url, [a_detail(jobId=f"job-{number}") for number in range(450)])

    with BatchServer(state_file=file) as second:
        answer = second.describe_jobs({"jobs": ["job-0", "job-449"]})

    assert len(answer["jobs"]) == 2


# Service jobs


def trainings(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [
        a_service_detail(createdAt=NOON - number, latestAttempt={}, **fields)
        for number in range(count)
    ]


def test_answers_about_service_jobs_are_what_botocores_model_says(
    batch: BatchServer, client: Any
) -> None:
    [detail] = trainings(1, startedAt=NOON)
    batch.put([detail])
    model = client.meta.service_model.operation_model

    described = batch.describe_service_job({"jobId": detail["jobId"]})
    listed = batch.list_service_jobs({"jobQueue": "training", "filters": before(NOON + 1)})

    assert unknown_to(model("DescribeServiceJob").output_shape, described, "$") == []
    assert unknown_to(model("ListServiceJobs").output_shape, listed, "$") == []


def test_each_call_knows_its_own_kind_of_job_only(batch: BatchServer, client: Any) -> None:
    batch.put([a_service_detail(jobId="trains", status="RUNNING"), a_detail(jobId="runs")])

    assert client.describe_service_job(jobId="trains")["status"] == "RUNNING"
    assert client.describe_jobs(jobs=["trains"])["jobs"] == []
    assert client.list_jobs(jobQueue="training")["jobSummaryList"] == []
    with pytest.raises(ClientError, match="ClientException"):
        client.describe_service_job(jobId="runs")
    [listed] = client.list_service_jobs(jobQueue="training")["jobSummaryList"]
    assert listed["jobId"] == "trains"


def test_lists_service_jobs_newest_first_in_pages_of_a_hundred(
    batch: BatchServer, client: Any
) -> None:
    batch.put(trainings(250))

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
def test_refuses_to_list_service_jobs_as_batch_does(
    batch: BatchServer, client: Any, request_: dict[str, Any]
) -> None:
    batch.put(trainings(1))

    with pytest.raises(ClientError, match="ClientException"):
        client.list_service_jobs(**request_)
