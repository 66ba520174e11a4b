"""Lists of jobs by time, by name and by parent; their page tokens and their number of requests."""

import time
from typing import Any
from urllib.parse import quote

import pytest

from bench.filling import fill, job_id
from chalicelib.jobs.job_index import JobIndex, StatusPartition
from chalicelib.jobs.job_table import JobTable, job_key
from local.aws import LocalAws, Resources
from tests.support.api_harness import Api
from tests.support.builders import NOON, a_body, a_job_id

QUEUE_OF = "arn:aws:batch:us-east-1:000000000000:job-queue/{}".format


def names(api: Api, query: str) -> list[str]:
    return [job["jobName"] for page in api.pages(f"/jobs?{query}") for job in page]


def job_index(aws: LocalAws, resources: Resources) -> JobIndex:
    jobs = JobTable(aws.dynamodb, resources.jobs_table)
    return JobIndex(aws.dynamodb, resources.jobs_table, jobs)


# By time


def test_since_is_inclusive_and_until_exclusive(api: Api) -> None:
    api.record(*(a_body(jobName=f"at-{n}", at=NOON + n * 1000) for n in range(5)))

    assert names(api, "since=2026-05-28T20:26:42Z") == ["at-4", "at-3", "at-2"]
    assert names(api, "until=2026-05-28T20:26:42.000Z") == ["at-1", "at-0"]
    assert names(api, "since=2026-05-28T20:26:41Z&until=2026-05-28T20:26:43Z") == ["at-2", "at-1"]
    assert names(api, "since=2026-05-28T20:26:43Z&until=2026-05-28T20:26:43Z") == []


@pytest.mark.parametrize(
    "since",
    [
        "2026-05-28T20:26:42Z",
        "2026-05-28t20:26:42.000000z",
        "2026-05-28T22:26:42%2B02:00",
        "2026-05-28T22:26:42+02:00",
        "2026-05-28T15:26:42-05:00",
    ],
)
def test_a_time_may_have_any_form_of_rfc_3339(api: Api, since: str) -> None:
    api.record(*(a_body(jobName=f"at-{n}", at=NOON + n * 1000) for n in range(4)))

    assert names(api, f"since={since}") == ["at-3", "at-2"]


def test_a_time_may_be_a_date_or_relative_to_now(api: Api) -> None:
    now = int(time.time()) * 1000
    api.record(
        a_body(jobName="recent", at=now - 60_000),
        a_body(jobName="yesterday", at=now - 20 * 3_600_000),
        a_body(jobName="old", at=NOON),
    )

    assert names(api, "since=-30m") == ["recent"]
    assert names(api, "since=-24h") == ["recent", "yesterday"]
    assert names(api, "until=-1h&since=-7d") == ["yesterday"]
    assert names(api, "until=2026-05-29") == ["old"]


# By name


def test_a_list_by_name_prefix_is_sorted_by_name_then_newest_first(api: Api) -> None:
    created = {"align-b": [1, 3, 2], "align": [5], "align-a": [0], "call": [9]}
    for name, seconds in created.items():
        for second in seconds:
            api.record(a_body(jobName=name, createdAt=NOON + second * 1000))

    listed = [job for page in api.pages("/jobs?name=align&limit=2") for job in page]

    order = [(job["jobName"], job["createdAt"][17:19]) for job in listed]
    assert order == [
        ("align", "45"),
        ("align-a", "40"),
        ("align-b", "43"),
        ("align-b", "42"),
        ("align-b", "41"),
    ]


def test_a_name_filter_is_limited_to_200_characters(api: Api) -> None:
    widest = quote("\U0010fffe")
    api.record(a_body(jobQueue=QUEUE_OF("gpu")))

    assert api.get(f"/jobs?queue=gpu&name={widest * 200}").body == {"jobs": [], "nextToken": None}
    status, refusal = api.get(f"/jobs?queue=gpu&name={widest * 201}")
    assert (status, refusal["Parameter"]) == (400, "name")
    assert refusal["Message"].endswith("is not the beginning of a job name (1 to 200 characters)")


def test_a_name_filter_combines_with_every_other_filter(api: Api) -> None:
    for queue in ("gpu", "spot"):
        for n, status in enumerate(("RUNNING", "FAILED", "HIBERNATING")):
            arn = QUEUE_OF(queue)
            name = f"{queue}-{status}"
            api.record(a_body(jobQueue=arn, status=status, jobName=name, at=NOON + n * 1000))

    assert names(api, "name=gpu&status=FAILED") == ["gpu-FAILED"]
    assert names(api, "name=spot&queue=gpu") == []
    assert names(api, "name=spot&status=OTHER,RUNNING") == ["spot-HIBERNATING", "spot-RUNNING"]
    assert names(api, "name=spot&since=2026-05-28T20:26:42Z") == ["spot-HIBERNATING"]
    assert names(api, "name=spot&until=2026-05-28T20:26:41Z&queue=spot") == ["spot-RUNNING"]


@pytest.mark.parametrize("filters", ["", "&status=FAILED"])
@pytest.mark.parametrize("limit", [1, 3, 100])
def test_all_pages_by_name_together_are_the_whole_list(api: Api, limit: int, filters: str) -> None:
    ids = [a_job_id() for _ in range(30)]
    statuses = ["FAILED", "RUNNING", "FAILED"]
    api.record(
        *(a_body(jobId=job, status=statuses[n % 3], jobName="same") for n, job in enumerate(ids))
    )

    pages = list(api.pages(f"/jobs?name=sa&limit={limit}{filters}"))

    assert all(len(page) <= limit for page in pages)
    expected = [job for n, job in enumerate(ids) if not filters or statuses[n % 3] == "FAILED"]
    assert sorted(job["jobId"] for page in pages for job in page) == expected


def test_a_list_by_name_contains_only_queues_of_the_token(api: Api) -> None:
    api.allow("spot only", ["spot-*"])
    api.record(
        a_body(jobName="seen", jobQueue=QUEUE_OF("spot-1")),
        a_body(jobName="sealed", jobQueue=QUEUE_OF("gpu")),
    )

    listed = api.get("/jobs?name=se", token="spot only").body["jobs"]

    assert [job["jobName"] for job in listed] == ["seen"]


# Children


@pytest.mark.parametrize(("separator", "part"), [(":", "array"), ("#", "nodes")])
def test_children_and_nodes_are_paged_by_index(api: Api, separator: str, part: str) -> None:
    root = a_job_id()
    facts = {
        "array": {"arrayProperties": {"size": 12}},
        "nodes": {"nodeProperties": {"numNodes": 12, "mainNode": 0}},
    }
    api.record(
        a_body(jobId=root, **facts[part]),
        *(a_body(jobId=f"{root}{separator}{n}") for n in reversed(range(12))),
    )

    pages = list(api.pages(f"/jobs/{root}/children?limit=5"))

    assert [len(page) for page in pages] == [5, 5, 2]
    listed = [job["jobId"] for page in pages for job in page]
    assert listed == [f"{root}{separator}{n}" for n in range(12)]


def test_children_are_filtered_by_status(api: Api) -> None:
    root = a_job_id()
    statuses = {3: "FAILED", 7: "FAILED", 8: "HIBERNATING", 11: "FAILED"}
    api.record(
        a_body(jobId=root, arrayProperties={"size": 12}),
        *(a_body(jobId=f"{root}:{n}", status=statuses.get(n, "SUCCEEDED")) for n in range(12)),
    )

    def indexes(query: str) -> list[list[int]]:
        pages = api.pages(f"/jobs/{root}/children?{query}")
        return [[int(job["jobId"].partition(":")[2]) for job in page] for page in pages]

    assert indexes("status=FAILED") == [[3, 7, 11]]
    assert indexes("status=FAILED&limit=2") == [[3, 7], [11]]
    assert indexes("status=FAILED,OTHER&limit=3") == [[3, 7, 8], [11]]
    assert indexes("status=RUNNING") == [[]]


def test_a_child_has_an_empty_list_of_children(api: Api) -> None:
    root = a_job_id()
    api.record(a_body(jobId=root), a_body(jobId=f"{root}:0"))

    assert api.get(f"/jobs/{root}%3A0/children").body == {"jobs": [], "nextToken": None}


def test_children_of_an_unknown_or_hidden_job_are_a_404(api: Api) -> None:
    root = a_job_id()
    api.allow("spot only", ["spot-*"])
    api.record(a_body(jobId=root, arrayProperties={"size": 1}), a_body(jobId=f"{root}:0"))

    assert api.get("/jobs/unknown/children").status == 404
    assert api.get(f"/jobs/{root}/children", token="spot only").status == 404


# Page tokens


def test_a_page_token_is_bound_to_the_whole_query(api: Api) -> None:
    root = a_job_id()
    api.record(
        a_body(jobId=root, arrayProperties={"size": 9}, jobName="align"),
        *(a_body(jobId=f"{root}:{n}", status="FAILED") for n in range(9)),
        *(a_body(jobName="align") for _ in range(9)),
    )
    queries = [
        "/jobs",
        "/jobs?queue=high-priority",
        "/jobs?status=RUNNABLE",
        "/jobs?since=2020-01-01",
        "/jobs?until=2030-01-01",
        "/jobs?since=2020-01-01&until=2030-01-01",
        "/jobs?name=align",
        "/jobs?name=ali",
        "/jobs?name=align&status=RUNNABLE",
        f"/jobs/{root}/children",
        f"/jobs/{root}/children?status=FAILED",
    ]
    paths = [f"{query}{'&' if '?' in query else '?'}limit=1" for query in queries]
    tokens = [api.get(path).body["nextToken"] for path in paths]

    for path, own in zip(paths, tokens, strict=True):
        statuses = {token: api.get(f"{path}&nextToken={quote(token)}").status for token in tokens}

        assert statuses == {token: 200 if token == own else 400 for token in tokens}


# Requests


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/jobs/{root}", {"GetItem": 2, "BatchGetItem": 1 + 1}),
        ("/jobs/{root}/children", {"GetItem": 1, "Query": 1}),
        ("/jobs/{root}/children?status=FAILED", {"GetItem": 1, "Query": 1}),
        ("/jobs?queue=high-priority&status=FAILED&limit=5", {"GetItem": 1, "Query": 1}),
        ("/jobs?queue=high-priority", {"GetItem": 1, "Query": 2, "BatchGetItem": 1 + 1}),
        ("/jobs?since=-7d", {"Query": 1 + 2, "BatchGetItem": 1 + 1}),
        ("/jobs?status=RUNNABLE,RUNNING", {"Query": 1 + 1, "BatchGetItem": 1 + 1}),
        ("/jobs?name=align", {"Query": 1 + 1, "BatchGetItem": 1 + 1}),
        (
            "/jobs?name=align&queue=high-priority&status=FAILED",
            {"GetItem": 1, "Query": 1, "BatchGetItem": 1},
        ),
    ],
)
@pytest.mark.parametrize("jobs", [1, 150])
def test_the_number_of_requests_does_not_depend_on_the_number_of_jobs(
    api: Api, path: str, expected: dict[str, int], jobs: int
) -> None:
    root, now = a_job_id(), int(time.time()) * 1000
    api.record(
        a_body(jobId=root, at=now + 1_000, createdAt=NOON + 1, arrayProperties={"size": jobs}),
        *(a_body(jobId=f"{root}:{n}", status="FAILED") for n in range(jobs)),
        *(a_body(status="FAILED", at=now) for _ in range(jobs)),
    )

    requests = api.requests(path.format(root=root))

    assert requests == expected


def test_no_route_makes_more_requests_in_a_larger_table(
    api: Api, aws: LocalAws, resources: Resources
) -> None:
    paths = [
        "/openapi.json",
        f"/jobs/{job_id(7)}",
        f"/jobs/{job_id(7)}/children",
        "/jobs",
        "/jobs?limit=100",
        "/jobs?queue=high-priority&status=FAILED",
        "/jobs?since=2026-05-28&until=2026-05-29&status=RUNNING,FAILED",
        "/jobs?name=align-1",
        "/jobs?name=align&status=FAILED",
    ]
    fill(aws.dynamodb, resources.jobs_table, range(200))
    few = {path: api.requests(path) for path in paths}

    fill(aws.dynamodb, resources.jobs_table, range(200, 4_000))

    assert {path: api.requests(path) for path in paths} == few
    assert {"Scan"}.isdisjoint(operation for counted in few.values() for operation in counted)


@pytest.mark.parametrize(
    ("path", "queries"), [("/jobs", 2), ("/jobs?status=FAILED", 1), ("/jobs?name=align", 1)]
)
def test_a_list_of_fifty_queues_takes_at_most_two_queries_for_each(
    api: Api, path: str, queries: int
) -> None:
    queues = [QUEUE_OF(f"queue-{number}") for number in range(50)]
    statuses = ("RUNNABLE", "RUNNING", "FAILED", "SUCCEEDED")
    api.record(*(a_body(jobQueue=queue, status=status) for queue in queues for status in statuses))

    requests = api.requests(f"{path}{'&' if '?' in path else '?'}limit=100")

    assert requests["Query"] == 1 + 50 * queries
    assert requests.total() <= 120


def test_a_page_of_one_status_contains_no_job_that_has_left_it(api: Api) -> None:
    """Index and table are read one after the other."""
    job_id = a_job_id()
    api.record(a_body(jobId=job_id, status="RUNNING"))

    events = api.container.clients.dynamodb.meta.events

    def end(**_: object) -> None:
        events.unregister("after-call.dynamodb.Query", end)
        api.record(a_body(jobId=job_id, status="SUCCEEDED", at=NOON + 5_000))

    events.register("after-call.dynamodb.Query", end)
    running = api.get("/jobs?queue=high-priority&status=RUNNING").body["jobs"]

    assert running == []
    assert [job["status"] for job in api.get("/jobs").body["jobs"]] == ["SUCCEEDED"]


def test_a_job_behind_thousands_in_another_status_is_listed(api: Api) -> None:
    running = a_body(status="RUNNING", jobName="oldest")
    api.record(running, *(a_body(at=NOON + 1_000) for _ in range(2_500)))

    assert names(api, "status=RUNNING") == ["oldest"]


def test_a_page_reads_no_more_rows_than_it_has(aws: LocalAws, resources: Resources) -> None:
    fill(aws.dynamodb, resources.jobs_table, range(2_000))
    rows_read: list[int] = []

    def count(parsed: Any, **_: object) -> None:
        rows_read.append(parsed["Count"])

    events = aws.dynamodb.meta.events
    events.register("after-call.dynamodb.Query", count)
    failed = [StatusPartition("high-priority", "FAILED")]
    page = job_index(aws, resources).newest(failed, limit=100)
    events.unregister("after-call.dynamodb.Query", count)

    assert [job.job_id for job in page.jobs] == [job_id(n) for n in range(1_999, 1_599, -4)]
    assert sum(rows_read) == 100


def test_a_record_of_an_unknown_format_does_not_hide_other_jobs(
    api: Api, aws: LocalAws, resources: Resources
) -> None:
    """A later version that was rolled back may have written it."""
    root = a_job_id()
    broken, child = a_job_id(), f"{root}:0"
    api.record(
        a_body(jobId=broken, status="FAILED"),
        a_body(jobId=root, status="FAILED", jobName="kept"),
        a_body(jobId=child, status="FAILED"),
        a_body(jobId=f"{root}:1", status="FAILED"),
    )
    for unreadable in (broken, child):
        aws.dynamodb.update_item(
            TableName=resources.jobs_table,
            Key=job_key(unreadable),
            UpdateExpression="SET #record = :record",
            ExpressionAttributeNames={"#record": "record"},
            ExpressionAttributeValues={":record": {"S": '["of another version"]'}},
        )

    failed = StatusPartition("high-priority", "FAILED")
    oldest, _ = job_index(aws, resources).oldest_in_status(
        failed, before=NOON + 1000, after="", limit=10
    )

    assert names(api, "status=FAILED") == ["kept"]
    assert [job["jobId"] for job in api.get(f"/jobs/{root}/children").body["jobs"]] == [f"{root}:1"]
    assert [row.job.job_id for row in oldest] == [root]
    assert api.get(f"/jobs/{broken}").status == 503
