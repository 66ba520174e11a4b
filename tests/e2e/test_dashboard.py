"""The dashboard in a real browser: against the real API, and against a stand-in for it."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from chalicelib.jobs.failure import failure_of
from local.api import Api as Served
from local.aws import LocalAws, Resources
from local.ports import free_port
from local.stacks import kept_token
from tests.support.builders import NOON, a_body, a_job_id, an_attempt
from tests.support.dashboard.body_samples import (
    BLOCKED,
    QUEUE,
    a_job_body,
    a_log_body,
    a_queue_body,
    an_attempt_body,
    an_incident,
    rfc3339,
)
from tests.support.dashboard.browser import Activity, enter_token, needs_browser, observe, sign_in
from tests.support.dashboard.page_server import NO_JOBS, PageServer
from tests.support.recorder_harness import RecorderHarness
from tests.support.samples.injection_samples import INJECTIONS
from tests.support.samples.log_samples import write

pytestmark = needs_browser


@pytest.fixture
def token(aws: LocalAws, resources: Resources, tmp_path: Path) -> str:
    return kept_token(aws, resources.secret_id, tmp_path / "token")


@pytest.fixture
def served(aws: LocalAws, resources: Resources, token: str, tmp_path: Path) -> Iterator[Served]:
    """The API and the dashboard, as `chalice local` serves them."""
    with Served(free_port(), aws, token, tmp_path / "api.log") as served:
        yield served


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a context of its own; the test fails if the page logs an error, opens a dialog or
    requests anything from another host."""
    with browser.new_context() as context:
        page = context.new_page()
        activity = observe(page)
        yield page
        check(activity)


def check(activity: Activity) -> None:
    assert activity.errors == []
    assert activity.dialogs == []
    assert len(activity.hosts) == 1


def expect_text(page: Page, *texts: str) -> None:
    for text in texts:
        expect(page.locator("body")).to_contain_text(text, use_inner_text=True)


def expect_no_text(page: Page, text: str) -> None:
    expect(page.locator("main")).not_to_contain_text(text, use_inner_text=True)


# Against the real API


def test_a_user_signs_in_once_and_reaches_the_linked_job(
    browser: Browser, served: Served, harness: RecorderHarness, token: str
) -> None:
    job_id = a_job_id()
    harness.record([a_body(jobId=job_id, jobName="linked", status="SUCCEEDED")])
    with browser.new_context() as context:
        page = context.new_page()
        activity = observe(page)

        page.goto(f"{served.url}/#/jobs/{job_id}")
        enter_token(page, "made-up")
        expect_text(page, "Token rejected.")
        enter_token(page, token)
        expect_text(page, "linked", "SUCCEEDED")
        page.reload()
        expect_text(page, "linked", "SUCCEEDED")

        assert page.evaluate("localStorage.length") == 0
        assert not any(token in url for url in activity.requests)
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API token")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0
        check(activity)


def test_a_new_tab_is_signed_in_and_all_tabs_are_signed_out(browser: Browser) -> None:
    bodies = {"jobs/4c75": a_job_body(), "jobs/4c75/children": NO_JOBS, "jobs/4c75/logs": 404}
    with PageServer(bodies) as server, browser.new_context() as context:
        first, second = context.new_page(), context.new_page()
        sign_in(first, server.url)

        second.goto(f"{server.url}#/jobs/4c75")
        expect_text(second, "It used too much memory.")
        assert second.evaluate("localStorage.length") == 0
        second.get_by_role("button", name="Sign out").click()

        expect(first.get_by_label("API token")).to_be_visible()
        expect(second.get_by_label("API token")).to_be_visible()


def test_a_token_that_was_taken_back_leads_to_the_sign_in_page(
    browser: Browser, served: Served
) -> None:
    """The token is in the storage of the browser before the page is opened for the first time."""
    stored = {"name": "batchwatch.token", "value": "taken-back"}
    state: Any = {"origins": [{"origin": served.url, "localStorage": [stored]}]}
    with browser.new_context(storage_state=state) as context:
        page = context.new_page()
        activity = observe(page)

        page.goto(f"{served.url}/#/jobs")

        expect_text(page, "The stored token was rejected.")
        expect(page.get_by_label("API token")).to_be_visible()
        assert page.evaluate("localStorage.length") == 0
        check(activity)


def test_the_filter_of_a_list_is_part_of_its_address_and_adds_nothing_to_the_history(
    page: Page, served: Served, harness: RecorderHarness, token: str
) -> None:
    harness.record(
        [
            a_body(jobName="align-1", status="FAILED", attempts=[an_attempt()]),
            a_body(jobName="align-2", status="SUCCEEDED"),
            a_body(jobName="other", status="FAILED", attempts=[an_attempt()]),
        ]
    )
    sign_in(page, f"{served.url}/", token)
    page.goto(f"{served.url}/#/jobs")
    expect_text(page, "align-1", "align-2", "other")

    page.get_by_role("checkbox", name="FAILED").check()
    expect_no_text(page, "align-2")
    expect(page.get_by_role("checkbox", name="FAILED")).to_be_focused()
    expect_text(page, "align-1", "other")
    page.get_by_label("Name begins with").fill("align")
    page.keyboard.press("Enter")
    expect_no_text(page, "other")
    expect_text(page, "align-1")

    assert page.url.endswith("#/jobs?status=FAILED&name=align")
    page.go_back()
    expect(page).to_have_url(f"{served.url}/")


def test_a_long_list_is_loaded_page_by_page(
    page: Page, served: Served, harness: RecorderHarness, token: str
) -> None:
    harness.record([a_body(jobName=f"n-{n}", at=NOON + n) for n in range(30)])
    sign_in(page, f"{served.url}/#/jobs", token)
    expect(page.locator("tbody tr")).to_have_count(25)

    page.get_by_role("button", name="Load more").click()

    expect(page.locator("tbody tr")).to_have_count(30)
    expect(page.get_by_role("button", name="Load more")).to_have_count(0)


def test_a_failed_job_shows_its_cause_its_attempts_and_the_end_of_its_log(
    page: Page, served: Served, harness: RecorderHarness, aws: LocalAws, token: str
) -> None:
    job_id = a_job_id()
    write(aws, "def/default/2", ["loading the genome", "FunctionCrashed"])
    reason = "OutOfMemoryError: Container killed due to memory usage"
    container = {"exitCode": 137, "reason": reason, "logStreamName": "def/default/2"}
    spot = "Host EC2 (instance i-0abc) terminated."
    attempts = [an_attempt(statusReason=spot), an_attempt(container=container)]
    fields = {"jobId": job_id, "container": {"image": "align:1.4"}, "tags": {"project": "atlas"}}
    harness.record(
        [
            a_body(status="RUNNABLE", at=NOON, **fields),
            a_body(status="FAILED", at=NOON + 90_000, attempts=attempts, **fields),
        ]
    )
    explanation = failure_of(harness.job(job_id).details).explanation

    sign_in(page, f"{served.url}/#/jobs/{job_id}", token)
    expect_text(page, "Out of memory", explanation, "Spot interruption", reason)
    expect_text(page, "RUNNABLE", "1 min 30 s", "align:1.4", "atlas")
    expect_text(page, "loading the genome", "FunctionCrashed", "CloudWatch log")
    assert "undefined" not in str(page.locator("main").text_content())


def test_a_waiting_job_explains_why_and_is_updated_until_it_ends(
    page: Page, served: Served, harness: RecorderHarness, token: str
) -> None:
    job_id = a_job_id()
    reason = "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - too large"
    harness.record([a_body(jobId=job_id, statusReason=reason)])
    sign_in(page, f"{served.url}/#/jobs/{job_id}", token)
    expect_text(page, "no instance type is large enough", "too large", "updating live")

    harness.record([a_body(jobId=job_id, status="SUCCEEDED", at=NOON + 60_000)])

    expect_text(page, "Succeeded")
    expect(page.locator("#announcements")).to_have_text("The job is now SUCCEEDED")


def test_the_children_of_an_array_are_filtered_by_status(
    page: Page, served: Served, harness: RecorderHarness, token: str
) -> None:
    root = a_job_id()
    summary = {"size": 4, "statusSummary": {"FAILED": 1, "SUCCEEDED": 2}}
    harness.record(
        [
            a_body(jobId=root, status="FAILED", arrayProperties=summary),
            *(
                a_body(jobId=f"{root}:{n}", status="FAILED" if n == 1 else "SUCCEEDED")
                for n in range(3)
            ),
        ]
    )
    sign_in(page, f"{served.url}/#/jobs/{root}", token)
    expect_text(page, "align :0", "align :1", "align :2", "1 not recorded yet")
    counts = page.get_by_role("group", name="Status of the children")
    expect(counts.get_by_role("button")).to_have_text(["All4", "SUCCEEDED2", "FAILED1"])

    failed = counts.get_by_role("button", name="FAILED 1")
    failed.press("Enter")
    expect_no_text(page, "align :0")
    expect(failed).to_be_focused()
    expect(failed).to_have_attribute("aria-pressed", "true")
    page.reload()
    expect_text(page, "align :1")
    expect_no_text(page, "align :0")
    page.get_by_role("link", name="align :1").click()

    expect_text(page, "parent job")
    assert page.url.endswith(f"#/jobs/{root}%3A1")
    page.get_by_role("link", name="See the other failed children").click()
    expect(failed).to_have_attribute("aria-pressed", "true")


def test_the_children_of_an_array_are_updated_together_with_it(
    page: Page, served: Served, harness: RecorderHarness, token: str
) -> None:
    root = a_job_id()
    children = [a_body(jobId=f"{root}:{n}", status="RUNNING") for n in range(3)]
    harness.record(
        [a_body(jobId=root, status="PENDING", arrayProperties={"size": 3}), *children],
    )
    sign_in(page, f"{served.url}/#/jobs/{root}", token)
    rows = page.locator(".list tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.locator(".badge.running")).to_have_count(3)
    expect_text(page, "updating live", "0 of 3 children ended")
    page.get_by_role("link", name="align :1").focus()

    harness.record([a_body(jobId=f"{root}:1", status="SUCCEEDED", at=NOON + 60_000)])

    expect(rows.nth(1).locator(".badge")).to_have_text("SUCCEEDED")
    expect(page.get_by_role("link", name="align :1")).to_be_focused()
    expect_text(page, "1 of 3 children ended (33 %)")
    page.get_by_role("button", name="RUNNING 2").click()
    expect(rows).to_have_count(2)

    harness.record([a_body(jobId=f"{root}:0", status="FAILED", at=NOON + 60_000)])

    expect(rows).to_have_count(1)
    expect(page.get_by_role("button", name="FAILED 1")).to_be_visible()


# Against a stand-in for the API


def test_injected_text_is_displayed_and_never_executed(page: Page) -> None:
    """Puts the text into every field that someone else can write, all at once."""
    text = " ".join(
        [
            "<img src=x onerror=alert(1)>",
            "<script>alert(1)</script>",
            "javascript:alert(1)",
            *INJECTIONS,
        ]
    )
    text = text.encode("utf-8", "replace").decode()
    job = a_job_body(jobName=text, statusReason=text, parameters={text: text}, tags={text: text})
    job["failure"] = {"cause": "EXIT_CODE", "explanation": text}
    job["container"] |= {"image": text, "command": [text], "environment": [{"name": text}]}
    job["links"] = {"console": "javascript:alert(1)", "logs": text}
    job["attempts"] = [an_attempt_body(reason=text, statusReason=text)]
    bodies = {
        "jobs/injected": job,
        "jobs": {"jobs": [job], "nextToken": None},
        "jobs/injected/children": {"jobs": [job], "nextToken": None},
        "jobs/injected/logs": {
            "jobId": "injected",
            "attempt": 1,
            "logGroup": text,
            "logStreamName": text,
            "lines": [{"at": rfc3339(), "message": text}],
        },
    }
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/jobs")
        expect(page.locator("main")).to_contain_text("onerror=alert(")

        page.evaluate("location.hash = '#/jobs/injected'")
        page.get_by_role("button", name="Log of attempt 1").click()
        expect(page.locator("pre")).to_contain_text("onerror=alert(1)")

        expect(page.locator("main :is(img, script, b > b)")).to_have_count(0)
        protocols = page.evaluate("[...document.links].map(({ protocol }) => protocol)")
        assert set(protocols) <= {"http:", "https:"}


ENVIRONMENT = {
    "state": "ENABLED",
    "status": "VALID",
    "environmentsAsOf": rfc3339(60),
    "environments": [
        {
            "name": "spot-a",
            "type": "SPOT",
            "state": "ENABLED",
            "status": "VALID",
            "desiredVcpus": 256,
            "maxVcpus": 256,
        }
    ],
    "consumableResources": [{"name": "licence", "available": 0, "total": 10}],
    "head": [{"jobId": "4c75", "since": rfc3339(5_000)}],
    "headAsOf": rfc3339(30),
}


def test_a_queue_shows_what_blocks_it_and_its_last_day(page: Page) -> None:
    incident = an_incident("QUEUE_BLOCKED", cause=BLOCKED["cause"], jobId="4c75", jobName="align")
    blocked = a_queue_body("gpu", blocked=BLOCKED, incidents=[incident])
    hour = f"{rfc3339()[:13]}:00:00.000Z"
    hours = [{**blocked["lastDay"], "hour": hour, "succeeded": 5, "failed": 2}]
    nothing = {**blocked["lastDay"], "succeeded": 0, "failed": 0, "runSeconds": None}
    busy = [{"day": f"2026-11-{day}", **blocked["lastDay"]} for day in (22, 24)]
    days = [{"day": "2026-11-21", **nothing}, *busy]
    bodies = {
        "queues": {"queues": [a_queue_body("spot"), blocked]},
        "queues/gpu": {**blocked, **ENVIRONMENT, "hours": hours, "days": days},
    }
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/")
        expect_text(page, "gpu is blocked: AWS has no free capacity for align", "3 jobs wait")
        page.locator("#queue-gpu").click()
        expect_text(page, "gpu is blocked: AWS has no free capacity", "p50", "31 min")
        expect_text(page, "Cost, 24 h\n401.2 USD, 12.5 wasted", "2.6 %", "2.5 % the day before")
        expect_text(page, "Why jobs failed in 24 hours", "Failures by job definition\nalign\n37")
        expect_text(page, "256 of 256 vCPUs", "0 of 10 available", "The first job to start")
        labels = page.locator("figure.chart svg")
        expect(labels.first).to_have_attribute("aria-label", "Ended jobs: 5 succeeded, 2 failed")

        page.locator("rect.ground").first.hover()
        expect_text(page, "5 succeeded, 2 failed (20", "the program failed, 17", "out of memory)")
        expect_text(page, "wait time p50 4 min, p90 31 min; run time p50 30 min 40 s")

        page.get_by_role("button", name="30 days").click()
        expect(page.get_by_role("button", name="30 days")).to_be_focused()
        expect(labels.nth(1)).to_have_attribute("aria-label", "Wait time: p90 at most 31 min")
        page.get_by_text("As a table").click()
        expect(page.locator("figure tbody td:first-child")).to_have_text(["24 Nov", "22 Nov"])


def test_the_overview_lists_what_needs_a_look_the_gravest_first(page: Page) -> None:
    jobs = {"jobs": 61, "reportedJobs": 12, "jobId": "4c75", "jobName": "align"}
    stuck = an_incident("STUCK", status="RUNNABLE", since=rfc3339(18_420), **jobs)
    alone = [
        an_incident("STUCK", status="RUNNING", jobs=1, jobId=job_id, since=None)
        for job_id in ("5d86", "6e97")
    ]
    failing = [{"hour": rfc3339(), "succeeded": 3, "failed": 18}]
    queues = [
        a_queue_body("quiet"),
        a_queue_body("analysis", hours=failing, dayBefore={"succeeded": 95, "failed": 5}),
        a_queue_body("gpu", incidents=[stuck, *alone]),
        a_queue_body("dark", incidents=[an_incident("EVENTS_MISSING", explanation="Check.")]),
        a_queue_body(
            "new",
            **dict.fromkeys(("asOf", "counts", "oldestWaiting", "lastDay", "dayBefore")),
            hours=[],
        ),
    ]
    with PageServer({"queues": {"queues": queues}}) as server:
        sign_in(page, f"{server.url}#/")
        expect(page).to_have_title("4 things need a look · batchwatch")

        expect(page.locator(".attention b")).to_have_text(
            [
                "dark: no events arrive, but jobs change",
                "gpu: 61 jobs are stuck in RUNNABLE, up from 12 when it was reported",
                "gpu: 2 jobs are stuck in RUNNING",
                "analysis: 18 of 21 jobs failed in the last 3 hours",
            ]
        )
        expect_text(page, "5 h 7 min", "Usual for this queue: 5 %", "Stuck the longest: align.")
        names = page.get_by_role("table", name="Queues").locator("tbody td:first-child a")
        expect(names).to_have_text(["dark", "gpu", "analysis", "quiet", "new"])
        expect(page.get_by_role("row", name="new")).to_contain_text("not counted yet")
        expect(page.get_by_role("link", name="See the 61")).to_have_attribute(
            "href", "#/jobs?queue=gpu&status=RUNNABLE"
        )


def test_the_overview_without_problems_is_all_clear_and_folds_many_quiet_queues(
    page: Page,
) -> None:
    nothing = {**a_queue_body("q")["lastDay"], "succeeded": 0, "failed": 0, "causes": {}}
    quiet = [
        a_queue_body(f"quiet-{n}", counts={"RUNNING": 0}, lastDay=nothing, oldestWaiting=None)
        for n in range(13)
    ]
    with PageServer({"queues": {"queues": [*quiet, a_queue_body("busy")]}}) as server:
        sign_in(page, f"{server.url}#/")

        expect(page.get_by_role("heading", name="All clear")).to_be_visible()
        names = page.get_by_role("table", name="Queues").locator("tbody td:first-child a")
        expect(names).to_have_text(["busy"])
        page.get_by_text("13 quiet queues").click()
        expect(page.get_by_role("link", name="quiet-12")).to_be_visible()


def test_the_overview_is_updated_by_one_request_and_keeps_its_rows_when_the_api_fails(
    page: Page,
) -> None:
    page.clock.install()
    bodies: dict[str, Any] = {"queues": {"queues": [a_queue_body("gpu")]}}
    with PageServer(bodies) as server:
        requested: list[str] = []
        page.on("request", lambda request: requested.append(urlsplit(request.url).path))
        sign_in(page, f"{server.url}#/")
        expect(page.get_by_role("heading", name="All clear")).to_be_visible()
        assert requested[-1:] == ["/prod/queues"]
        assert [path for path in requested if "assets" not in path] == [
            "/prod/",
            *["/prod/queues"] * 2,  # one of them checks the token
        ]
        page.get_by_role("link", name="gpu", exact=True).focus()

        server.bodies["queues"] = {
            "queues": [a_queue_body("gpu", incidents=[an_incident("EVENTS_MISSING")])]
        }
        page.clock.run_for(11_000)
        expect(page).to_have_title("1 thing needs a look · batchwatch")
        expect(page.locator("#queue-gpu")).to_be_focused()

    page.clock.run_for(11_000)
    expect_text(page, "The API is unreachable", "Last update")
    expect(page.locator("#queue-gpu")).to_be_visible()


def test_queues_that_are_not_counted_yet_are_not_all_clear(page: Page) -> None:
    unknown = dict.fromkeys(("asOf", "counts", "oldestWaiting", "lastDay", "dayBefore"))
    with PageServer({"queues": {"queues": [a_queue_body("cpu", hours=[], **unknown)]}}) as server:
        sign_in(page, server.url)

        expect(page.locator("h1")).to_have_text("Not counted yet")
        expect_text(page, "1 queue: the next sweep counts the jobs")


def test_a_job_that_never_started_offers_no_log(page: Page) -> None:
    job = a_job_body(attempts=[], status="FAILED")
    with PageServer({"jobs/4c75": job, "jobs/4c75/children": NO_JOBS}) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        expect_text(page, "It never started.")
        expect(page.locator("#show-log")).to_have_count(0)


def test_a_job_shows_its_usage_and_cost(page: Page) -> None:
    with PageServer({"jobs/4c75": a_job_body(), "jobs/4c75/children": NO_JOBS}) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        expect_text(page, "0.067 vCPU h, 1.2 GB h", "Cost (estimate)", "0.0039 USD")


def test_all_times_are_in_one_zone_which_is_shown_and_remembered(browser: Browser) -> None:
    at = "2026-11-24T03:55:00.123Z"
    history = [{"status": "FAILED", "attempt": 1, "at": at, "source": "event"}]
    log = a_log_body("done")
    log["lines"][0]["at"] = at
    hours = [{"hour": "2026-11-24T03:00:00.000Z", "succeeded": 1, "failed": 0}]
    incident = an_incident("EVENTS_MISSING", since=at)
    bodies = {
        "jobs/4c75": a_job_body(createdAt=at, history=history),
        "jobs/4c75/children": NO_JOBS,
        "jobs/4c75/logs": log,
        "queues": {"queues": [a_queue_body("gpu", hours=hours, incidents=[incident])]},
    }
    with PageServer(bodies) as server, browser.new_context(timezone_id="Asia/Tokyo") as context:
        page = context.new_page()
        activity = observe(page)
        sign_in(page, f"{server.url}#/jobs/4c75")
        zone = page.get_by_label("Time zone")
        expect(zone).to_have_value("Asia/Tokyo")
        expect(page.locator(".history time")).to_have_text("24 Nov, 12:55:00")
        expect(page.locator("pre time")).to_have_text("12:55:00")

        zone.focus()
        zone.select_option("UTC")

        expect(page.locator(".history time")).to_have_text("24 Nov, 03:55:00")
        expect(page.locator("pre time")).to_have_text("03:55:00")
        expect(zone).to_be_focused()
        titles = page.locator("main time").evaluate_all("all => all.map(({ title }) => title)")
        assert titles
        assert all("UTC (" in title for title in titles)
        page.reload()
        expect(page.locator(".history time")).to_have_text("24 Nov, 03:55:00")
        page.goto(server.url)
        expect_text(page, "since 24 Nov, 03:55")
        expect(page.locator(".spark title")).to_have_text("03:00: 1 succeeded, 0 failed")
        zone.select_option("Asia/Tokyo")
        expect_text(page, "since 24 Nov, 12:55")
        check(activity)


def test_a_list_keeps_its_rows_and_position_in_another_time_zone(browser: Browser) -> None:
    with (
        PageServer({"jobs": summaries(*range(60))}) as server,
        browser.new_context(timezone_id="Asia/Tokyo") as context,
    ):
        page = context.new_page()
        sign_in(page, f"{server.url}#/jobs")
        expect(page.locator("tbody tr")).to_have_count(60)
        page.evaluate("scrollTo(0, 700)")
        server.bodies["jobs"] = summaries(7)

        page.locator("#zone").select_option("UTC")

        expect(page.locator("tbody time").first).to_have_attribute("title", re.compile("UTC"))
        expect(page.locator("tbody tr")).to_have_count(60)
        assert page.evaluate("scrollY") > 100


def summaries(*numbers: int, **fields: Any) -> dict[str, Any]:
    jobs = [a_job_body(jobId=f"id-{n}", jobName=f"job-{n}", **fields) for n in numbers]
    return {"jobs": jobs, "nextToken": None}


def test_a_list_stays_up_to_date_and_visible(page: Page) -> None:
    with PageServer({"jobs": summaries(*range(3), status="RUNNING")}) as server:
        page.clock.install()
        sign_in(page, f"{server.url}#/jobs")
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(3)

        server.bodies["jobs"] = summaries(9, 0, 1, 2)
        page.clock.run_for(16_000)
        expect(page.get_by_role("button", name="1 new job: show")).to_be_visible()
        expect(rows).to_have_count(3)
        expect(rows.first).to_contain_text("FAILED")
        server.bodies["jobs"] = 503
        page.clock.run_for(16_000)
        expect_text(page, "The API is unavailable. Last update")
        expect(rows).to_have_count(3)

        server.bodies["jobs"] = summaries(9, 0, 1, 2)
        page.get_by_role("button", name="1 new job: show").click()
        expect(rows).to_have_count(4)


def test_back_restores_the_rows_and_the_position_of_a_list(page: Page) -> None:
    bodies = {"jobs": summaries(*range(60)), "jobs/id-50": a_job_body(jobId="id-50")}
    with PageServer({**bodies, "jobs/id-50/children": NO_JOBS}) as server:
        sign_in(page, f"{server.url}#/jobs")
        link = page.get_by_role("link", name="job-50")
        link.scroll_into_view_if_needed()
        scrolled = page.evaluate("scrollY")
        server.bodies["jobs"] = summaries(7)
        link.click()
        expect_text(page, "It used too much memory.")

        page.go_back()

        expect(page.locator("tbody tr")).to_have_count(60)
        assert page.evaluate("scrollY") == scrolled > 100


def test_a_list_is_not_restored_for_another_token(page: Page) -> None:
    with PageServer({"jobs": summaries(1, 2), "queues": {"queues": []}}) as server:
        sign_in(page, f"{server.url}#/jobs", "first")
        expect(page.locator("tbody tr")).to_have_count(2)
        page.goto(f"{server.url}#/")
        page.get_by_role("button", name="Sign out").click()
        server.bodies["jobs"] = summaries(7)
        enter_token(page, "second")
        expect(page.locator("#token, .loading")).to_have_count(0)

        page.goto(f"{server.url}#/jobs")

        expect(page.locator("tbody tr")).to_have_count(1)


def test_a_long_name_keeps_its_end_and_an_array_shows_its_progress(page: Page) -> None:
    name = "nf-sarek-" + "x" * 60 + "-sample-17"
    array = {"size": 200, "index": None, "statusSummary": {"SUCCEEDED": 90, "FAILED": 2}}
    jobs = {"jobs": [a_job_body(jobName=name, array=array)], "nextToken": None}
    with PageServer({"jobs": jobs}) as server:
        sign_in(page, f"{server.url}#/jobs")

        expect(page.get_by_title(name)).to_contain_text("…")
        expect(page.get_by_title(name)).to_contain_text("-sample-17")
        expect_text(page, "92 of 200 ended, 2 failed")


def test_ten_thousand_children_are_drawn_and_reachable_by_keyboard(page: Page) -> None:
    digits = "7" * 4217 + "8" + "7" * 4782 + "6" * 500 + "3" * 500
    counts = {"SUCCEEDED": 8999, "FAILED": 1, "RUNNING": 500, "RUNNABLE": 500}
    array = {"size": 10_000, "index": None, "statusSummary": counts, "failed": "4217"}
    parent = a_job_body(array=array | {"childStatuses": digits}, attempts=[])
    child = a_job_body(jobId="4c75:4217", jobName="align")
    bodies = {"jobs/4c75": parent, "jobs/4c75/children": NO_JOBS, "jobs/4c75%3A4217": child}
    with PageServer({**bodies, "jobs/4c75%3A4217/logs": a_log_body()}) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")
        canvas = page.locator("canvas")
        cells = canvas.evaluate(
            """(canvas) => {
                const { data } = canvas.getContext("2d").getImageData(17 * 11, 42 * 11 + 5, 22, 1);
                return [data.slice(0, 44), data.slice(44)].map((cell) => cell.join());
            }"""
        )
        assert cells[0] != cells[1], "a failed child and one that succeeded"
        assert canvas.evaluate("({ height }) => height") == 100 * 11

        canvas.focus()
        for key in ["ArrowDown"] * 42 + ["ArrowRight"] * 17:
            page.keyboard.press(key)
        expect_text(page, "Child 4217: FAILED", "Failed: 4217")
        page.keyboard.press("Enter")

        expect(page).to_have_url(f"{server.url}#/jobs/4c75%3A4217")


@pytest.mark.parametrize("digit", ["6", "7", "8"])
def test_ten_thousand_children_are_drawn_within_100_ms(page: Page, digit: str) -> None:
    """Takes the fastest of five drawings, until their pixels can be read: a busy machine delays
    some of them."""
    page.route("**/dashboard.js", exporting_the_grid)
    with PageServer({}) as server:
        sign_in(page, f"{server.url}#/jobs")

        assert min(page.evaluate(DRAWING_TIMES, digit * 10_000)) < 100


def exporting_the_grid(route: Route) -> None:
    script = route.fetch()
    route.fulfill(response=script, body=f"{script.text()}\nglobalThis.grid = $grid.grid;")


DRAWING_TIMES = """
(digits) => {
  return Array.from({ length: 5 }, () => {
    const { element, draw } = grid("4c75");
    document.querySelector("main").replaceChildren(element);
    const began = performance.now();
    draw(digits);
    element.querySelector("canvas").getContext("2d").getImageData(0, 0, 1, 1);
    return performance.now() - began;
  });
}
"""


def test_an_attempt_whose_start_no_event_reported_has_a_span(page: Page) -> None:
    history = [{"status": "FAILED", "attempt": 1, "at": rfc3339(60), "source": "repair"}]
    envoy = {
        "name": "envoy",
        "init": False,
        "essential": False,
        "exitCode": 1,
        "cause": "EXIT_CODE",
    }
    attempt = an_attempt_body(containers=[envoy], logStreamName=None)
    job = a_job_body(history=history, array=None, attempts=[attempt])
    with PageServer({"jobs/4c75": job, "jobs/4c75/children": NO_JOBS}) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        expect_text(page, "5 min waiting", "4 min running", "envoy (not essential): exit code 1")
        expect_no_text(page, "Exit code 1")
        expect(page.get_by_role("heading", name="Log")).to_have_count(0)


def test_the_spans_of_a_job_add_up_and_each_attempt_has_a_lane(page: Page) -> None:
    history = [
        {"status": status, "attempt": attempt, "at": rfc3339(before), "source": "event"}
        for status, attempt, before in [
            ("PENDING", None, 4000),
            ("RUNNABLE", None, 3000),
            ("RUNNING", 1, 2500),
            ("RUNNABLE", 2, 1500),
            ("STARTING", 2, 1000),
            ("RUNNING", 2, 900),
            ("FAILED", 2, 100),
        ]
    ]
    times = {"createdAt": rfc3339(4100), "stoppedAt": rfc3339(100)}
    job = a_job_body(history=history, array=None, **times)
    bodies = {"jobs/4c75": job, "jobs/4c75/children": NO_JOBS, "jobs/4c75/logs": a_log_body()}
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        spans = page.locator("[data-seconds]").evaluate_all(
            "all => all.map(({ dataset }) => Number(dataset.seconds))"
        )
        total = page.locator("[data-total]").get_attribute("data-total")
        assert (
            sum(spans) == pytest.approx(float(total or 0), abs=0.01) == pytest.approx(4000, abs=1)
        )
        lanes = page.locator(".spans rect").evaluate_all(
            "all => new Set(all.map((each) => Math.floor(each.getBBox().y / 16))).size"
        )
        assert lanes == 2
        expect_text(page, "2 attempts, one below the other")


def test_the_log_of_a_failed_job_is_open_without_colours_and_searchable(page: Page) -> None:
    log = a_log_body("start\n", "\x1b[31mFatal error\x1b[0m: no such file", "\r 10 %\r100 %")
    bodies = {"jobs/4c75": a_job_body(), "jobs/4c75/children": NO_JOBS, "jobs/4c75/logs": log}
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        lines = page.locator("pre > span")
        expect(lines).to_have_count(4)
        expect(page.locator("pre .failed")).to_contain_text("Fatal error: no such file")
        expect(page.locator("pre")).not_to_contain_text("[31m")
        page.get_by_label("Search the log").fill("FATAL")
        expect(page.locator("pre > span:visible")).to_have_count(1)
        expect(page.get_by_label("Search the log")).to_be_focused()
        expect_text(page, "1 line found")


def test_the_verdict_of_a_job_has_its_figures(page: Page) -> None:
    job = a_job_body(
        attempts=[an_attempt_body(attempt=3)],
        container={**a_job_body()["container"], "memory": 32_768},
        dependsOn=[
            {
                "jobId": "9a",
                "type": None,
                "jobName": "prepare",
                "status": "FAILED",
                "cause": "TIMEOUT",
            },
            {"jobId": None, "type": "SEQUENTIAL", "jobName": None, "status": None, "cause": None},
        ],
    )
    bodies = {"jobs/4c75": job, "jobs/4c75/children": NO_JOBS, "jobs/4c75/logs": a_log_body()}
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        expect_text(page, "Had 32 GiB of memory · ran 4 min · attempt 3 of 3")
        expect(page.get_by_role("link", name="prepare", exact=True)).to_have_attribute(
            "href", "#/jobs/9a"
        )
        page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        page.get_by_role("button", name="Copy curl").click()
        copied = str(page.evaluate("window.copied"))
        assert copied == f"curl -H \"Authorization: Bearer $TOKEN\" '{server.url}jobs/4c75'"


def test_a_failed_job_links_its_next_steps_with_at_most_three_requests(page: Page) -> None:
    definition = "arn:aws:batch:eu-west-1:123456789012:job-definition/align:12"
    console = "https://eu-west-1.console.aws.amazon.com/batch/home?region=eu-west-1"
    job = a_job_body(
        array=None,
        jobDefinition=definition,
        links={"console": f"{console}#jobs/detail/4c75", "logs": None},
    )
    bodies = {
        "jobs/4c75": job,
        "jobs/4c75/logs": a_log_body(*(f"line {n}" for n in range(300))),
        f"queues/{QUEUE}": a_queue_body(QUEUE),
    }
    requests: list[str] = []
    page.on("request", lambda each: requests.append(urlsplit(each.url).path))
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")
        steps = page.get_by_role("list", name="Next steps")

        addresses = {
            "Open the job definition align:12 ↗": f"{console}#job-definition/detail/"
            "arn%3Aaws%3Abatch%3Aeu-west-1%3A123456789012%3Ajob-definition%2Falign%3A12",
            "See failed jobs of this name": f"#/jobs?queue={QUEUE}&status=FAILED&name=align",
            f"See all failures of {QUEUE} in 24 h, 37 of align": f"#/jobs?queue={QUEUE}"
            "&status=FAILED&since=-24h",
        }
        for name, address in addresses.items():
            expect(steps.get_by_role("link", name=name)).to_have_attribute("href", address)
        expect(steps.get_by_role("link")).to_have_count(3)
        steps.get_by_role("button", name="Read the end of the log").click()
        expect(page.locator("pre")).to_be_focused()
        expect(page.locator("pre")).to_be_in_viewport()
        assert len([path for path in requests if "/jobs/" in path or "/queues/" in path]) == 3 + 1


@pytest.mark.parametrize(
    ("fields", "step", "address"),
    [
        ({"array": {"size": 9, "failed": "3, 8"}}, "See child 3, the first", "#/jobs/4c75%3A3"),
        ({"jobId": "4c75:3"}, "See the other failed", "#/jobs/4c75?children=FAILED"),
        (
            {"dependsOn": [{"jobId": "9a", "jobName": "prepare", "status": "FAILED"}]},
            "See prepare, which failed before",
            "#/jobs/9a",
        ),
        ({}, "Open the job in AWS Batch", "https://example.com/"),
    ],
)
def test_a_failure_elsewhere_is_one_link_away(
    page: Page, fields: dict[str, Any], step: str, address: str
) -> None:
    job_id = fields.get("jobId", "4c75").replace(":", "%3A")
    job = a_job_body(**{"array": None, "attempts": [], **fields})
    with PageServer({f"jobs/{job_id}": job, "jobs/4c75/children": NO_JOBS}) as server:
        sign_in(page, f"{server.url}#/jobs/{job_id}")

        steps = page.get_by_role("list", name="Next steps")
        expect(steps.get_by_role("link", name=step)).to_have_attribute("href", address)
        expect(steps.get_by_role("button")).to_have_count(0)


def test_a_job_is_polled_while_all_slots_of_long_polls_are_taken(page: Page) -> None:
    running = a_job_body(status="RUNNING", waiting=None, attempts=[])
    bodies: dict[str, Any] = {"jobs/4c75": running, "jobs/4c75/children": NO_JOBS}
    with PageServer(bodies) as server:
        page.clock.install()
        sign_in(page, f"{server.url}#/jobs/4c75")
        server.bodies["jobs/4c75"] = 429
        page.clock.run_for(6_000)
        expect_text(page, "updating every few seconds")
        expect_no_text(page, "unavailable")

        server.bodies["jobs/4c75"] = a_job_body(status="SUCCEEDED", failure=None)
        page.clock.run_for(6_000)

        expect_text(page, "Succeeded")


def test_a_waiting_job_shows_that_its_queue_is_blocked(page: Page) -> None:
    job = a_job_body(status="RUNNABLE", waiting={"cause": None, "explanation": "It waits."})
    bodies = {
        "jobs/4c75": job,
        "jobs/4c75/children": NO_JOBS,
        f"queues/{QUEUE}": a_queue_body(QUEUE, blocked=BLOCKED),
    }
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/jobs/4c75")

        expect_text(page, f"{QUEUE} is blocked: AWS has no free capacity")
        expect_text(page, "the job at the head of the queue")


@pytest.mark.parametrize(
    ("hash", "bodies", "text"),
    [
        ("#/jobs", {}, "No jobs recorded yet"),
        ("#/jobs?name=x", {}, "No matching jobs."),
        ("#/jobs?name=4c7599ae-0a82", {}, "Only a whole job id finds its job."),
        ("#/jobs/gone", {"jobs/gone": 404}, "Not found"),
        ("#/jobs/a", {"jobs/a": 503}, "The API returned an error"),
        ("#/queues/gpu", {}, "This API has no such route."),
        ("#/", {"queues": {"queues": []}}, "No queues recorded yet"),
        ("#/nowhere", {}, "Page not found."),
        ("#/jobs/%E0%A4%A", {}, "This API has no such route."),
    ],
)
def test_an_empty_view_and_an_error_are_explained(
    page: Page, hash: str, bodies: dict[str, Any], text: str
) -> None:
    with PageServer(bodies) as server:
        sign_in(page, server.url + hash)

        expect_text(page, text)


def test_an_unreachable_api_is_reported(page: Page) -> None:
    with PageServer({}) as server:
        sign_in(page, f"{server.url}#/jobs")
        expect_text(page, "No jobs recorded yet")

    page.get_by_role("button", name="Refresh").click()

    expect_text(page, "The API is unreachable")


def test_a_job_can_be_opened_with_the_keyboard_alone(page: Page) -> None:
    bodies = {
        "jobs": {"jobs": [a_job_body()], "nextToken": None},
        "jobs/4c75": a_job_body(),
        "jobs/4c75/children": NO_JOBS,
    }
    with PageServer(bodies) as server:
        sign_in(page, f"{server.url}#/jobs")
        expect_text(page, "align")

        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.innerText") == "align":
                break
        page.keyboard.press("Enter")

        expect_text(page, "History")
        expect(page.locator("main")).to_be_focused()
        expect(page).to_have_title("align FAILED · batchwatch")


def test_keys_reach_the_search_and_the_rows_of_a_list(page: Page) -> None:
    with PageServer({"jobs": summaries(1, 2, 3)}) as server:
        sign_in(page, f"{server.url}#/jobs")
        expect(page.locator("tbody tr")).to_have_count(3)

        for key, job in (("j", 1), ("j", 2), ("k", 1), ("k", 1)):
            page.keyboard.press(key)
            expect(page.get_by_role("link", name=f"job-{job}")).to_be_focused()
        page.keyboard.press("/")
        expect(page.get_by_role("search").get_by_role("textbox")).to_be_focused()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("{id}", "#/jobs/{id}"),
        ("arn:aws:batch:us-east-1:111122223333:job/{id}:17", "#/jobs/{id}%3A17"),
        (
            "https://us-east-1.console.aws.amazon.com/batch/home?region=us-east-1#jobs/detail/{id}",
            "#/jobs/{id}",
        ),
        ("https://batch.example/prod/#/jobs/{id}%3A17", "#/jobs/{id}%3A17"),
        ("align-", "#/jobs?name=align-"),
    ],
)
def test_the_search_accepts(page: Page, text: str, address: str) -> None:
    job_id = "4c7599ae-0a82-49aa-ba5a-4727fcce14a8"
    with PageServer({}) as server:
        sign_in(page, f"{server.url}#/jobs")
        page.keyboard.press("/")
        page.keyboard.insert_text(text.format(id=job_id))
        page.keyboard.press("Enter")

        expect(page).to_have_url(server.url + address.format(id=job_id))
