"""Every view of the dashboard, checked by axe-core: light and dark, on a desktop and on a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.dashboard.body_samples import (
    BLOCKED,
    a_job_body,
    a_log_body,
    a_queue_body,
    an_incident,
)
from tests.support.dashboard.browser import enter_token, needs_browser, observe, sign_in
from tests.support.dashboard.page_server import NO_JOBS, PageServer

pytestmark = needs_browser

VIEWS = {
    "": "4 things need a look",
    "jobs": "Jobs",
    "jobs?status=FAILED&name=x": "Jobs",
    "jobs/4c75": "align FAILED",
    "jobs/5d86": "align RUNNABLE",
    "jobs/6e97": "array RUNNING",
    "queues/gpu": "gpu",
    "queues/new": "new",
    "jobs/none": "Error",
    "nowhere": "Error",
}
"""The title of each view, by its address."""
STATUSES = (
    *("SUBMITTED", "PENDING", "RUNNABLE", "SCHEDULED", "STARTING", "RUNNING", "SUCCEEDED"),
    *("FAILED", "UNKNOWN", "HIBERNATING"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    incidents = [
        an_incident("QUEUE_BLOCKED", cause="AWS has no free capacity"),
        an_incident("STUCK", status="RUNNABLE", jobs=61, jobId="4c75", jobName="align"),
        an_incident("EVENTS_MISSING", explanation="Check the rule."),
    ]
    failing = [{"hour": a_queue_body("q")["hours"][-1]["hour"], "succeeded": 3, "failed": 18}]
    uncounted = dict.fromkeys(("asOf", "counts", "oldestWaiting", "lastDay", "dayBefore"))
    new = a_queue_body("new", hours=[], **uncounted)
    gpu = a_queue_body("gpu", blocked=BLOCKED, incidents=incidents)
    nothing = {**gpu["lastDay"], "succeeded": 0, "failed": 0, "causes": {}}
    quiet = [
        a_queue_body(f"quiet-{n}", counts={"RUNNING": 0}, lastDay=nothing, oldestWaiting=None)
        for n in range(13)
    ]
    days = [{"day": f"2026-11-{day}", **gpu["lastDay"]} for day in (22, 24)]
    jobs = [a_job_body(jobId=str(n), status=status) for n, status in enumerate(STATUSES)]
    listed = {"jobs": jobs, "nextToken": "more"}
    waiting = {"cause": None, "explanation": "It waits."}
    array = {
        "size": 10,
        "index": None,
        "statusSummary": {"FAILED": 2, "SUCCEEDED": 6, "RUNNING": 2},
        "childStatuses": "7787667787",
        "failed": "2, 8",
    }
    dependency = {"jobId": "9a", "type": None, "jobName": "prepare", "status": "FAILED"}
    bodies = {
        "jobs": listed,
        "jobs/4c75": a_job_body(dependsOn=[dependency | {"cause": "TIMEOUT"}]),
        "jobs/4c75/children": listed,
        "jobs/4c75/logs": a_log_body("started", "Fatal error: no such file"),
        "jobs/5d86": a_job_body(jobId="5d86", status="RUNNABLE", waiting=waiting),
        "jobs/5d86/children": NO_JOBS,
        "jobs/6e97": a_job_body(jobId="6e97", jobName="array", status="RUNNING", array=array),
        "jobs/6e97/children": listed,
        "queues": {"queues": [gpu, a_queue_body("failing", hours=failing), new, *quiet]},
        "queues/gpu": {**gpu, "days": days},
        "queues/new": {**new, "days": []},
    }
    with PageServer(bodies) as server:
        yield server


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_has_no_findings_and_no_view_is_wider_than_the_screen(
    browser: Browser, server: PageServer, scheme: Any, width: int
) -> None:
    screen: Any = {"viewport": {"width": width, "height": 900}, "is_mobile": width < 600}
    with browser.new_context(color_scheme=scheme, **screen) as context:
        page = context.new_page()
        activity = observe(page)
        page.goto(server.url)
        expect(page.get_by_label("API token")).to_be_visible()
        found = {"sign-in": findings(page)}
        enter_token(page, "invalid token")
        expect(page.get_by_role("alert")).to_contain_text("Invalid token")
        found["sign-in, rejected"] = findings(page)
        sign_in(page, f"{server.url}#/")
        for view, title in VIEWS.items():
            page.evaluate("view => { location.hash = `#/${view}`; }", view)
            expect(page).to_have_title(f"{title} · batchwatch")
            expect(page.locator(".loading")).to_have_count(0)

            found[view] = findings(page)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        assert {view: each for view, each in found.items() if each} == {}
        assert activity.errors == []


def findings(page: Page) -> list[str]:
    """Return what axe-core reports: violations of any rule, and contrast that it can't measure.

    Playwright evaluates axe-core through the debugger, so the page keeps its
    Content-Security-Policy.
    """
    report = Axe().run(page).response
    unmeasured = [each for each in report["incomplete"] if each["id"] == "color-contrast"]
    return [
        f"{rule['id']}: {node['html'][:120]}: {node['failureSummary']}"
        for rule in (*report["violations"], *unmeasured)
        for node in rule["nodes"]
    ]
