"""Every view of the dashboard, checked by axe-core: light and dark, on a desktop and on a phone.
And the statuses without their colours."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, FloatRect, Page, expect

from tests.support.dashboard.body_samples import (
    BLOCKED,
    a_job_body,
    a_log_body,
    a_queue_body,
    an_incident,
    rfc3339,
)
from tests.support.dashboard.browser import (
    enter_token,
    findings,
    needs_browser,
    observe,
    sign_in,
)
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
    failing = [
        {"hour": rfc3339(3600 * (1 - n)), "succeeded": succeeded, "failed": failed}
        for n, (succeeded, failed) in enumerate([(20, 0), (0, 20)])
    ]
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
    history = [
        {"status": status, "attempt": 1, "at": rfc3339(before), "source": "event"}
        for status, before in (("STARTING", 400), ("RUNNING", 300), ("FAILED", 60))
    ]
    failed = a_job_body(array=None, history=history, dependsOn=[dependency | {"cause": "TIMEOUT"}])
    bodies = {
        "jobs": listed,
        "jobs/4c75": failed,
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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("vision", ["achromatopsia", "deuteranopia"])
def test_failed_and_succeeded_differ_in_shape(
    browser: Browser, server: PageServer, scheme: Any, vision: str
) -> None:
    """Compares which pixels are drawn, whatever their colour. Chromium emulates the vision."""
    screen: Any = {"viewport": {"width": 1280, "height": 2000}, "device_scale_factor": 2}
    with browser.new_context(color_scheme=scheme, **screen) as context:
        page, decoder = context.new_page(), context.new_page()
        cdp = context.new_cdp_session(page)
        cdp.send("Emulation.setEmulatedVisionDeficiency", {"type": vision})

        def shape(box: FloatRect | None) -> list[bool]:
            assert box
            png = b64encode(page.screenshot(clip=box)).decode()
            drawn: list[bool] = decoder.evaluate(SHAPE, png)
            return drawn

        sign_in(page, f"{server.url}#/jobs")
        failed, succeeded = (
            page.locator(f"tbody .badge.{status}") for status in ("failed", "succeeded")
        )
        assert failed.inner_text() != succeeded.inner_text()
        icons = [each.locator("svg").bounding_box() for each in (failed, succeeded)]
        assert difference(*map(shape, icons)) > 0.1, "icons of badges"

        page.goto(f"{server.url}#/")
        expect(page).to_have_title(f"{VIEWS['']} · batchwatch")
        spark = page.get_by_role("row", name="failing").locator(".spark").bounding_box()
        assert difference(*(shape(column(spark, 24, n)) for n in range(2))) > 0.3, "hours"

        page.goto(f"{server.url}#/jobs/6e97")
        expect(page.locator(".loading")).to_have_count(0)
        canvas = page.locator("canvas").bounding_box()
        first, second, third = (shape(column(canvas, 100, n)) for n in range(3))
        assert difference(first, second) < 0.1, "two children that succeeded"
        assert difference(second, third) > 0.2, "a child that failed"

        page.goto(f"{server.url}#/jobs/4c75")
        kinds = ("waiting", "starting", "running")
        for part in ("rect.{}", "figcaption .{} i"):
            boxes = [page.locator(f".spans {part.format(kind)}").bounding_box() for kind in kinds]
            heights = [box["height"] for box in boxes if box]
            assert heights == pytest.approx([3, 6, 12], abs=0.5), (
                "spans of a timeline, and their key"
            )
        expect(page.locator("pre .failed")).to_have_css("font-weight", "600")


def test_views_use_the_width_of_the_screen(browser: Browser, server: PageServer) -> None:
    def boxes(page: Page, *selectors: str) -> list[FloatRect]:
        found = [each.bounding_box() for name in selectors for each in page.locator(name).all()]
        return [box for box in found if box]

    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        sign_in(page, f"{server.url}#/jobs")
        expect(page.locator(".list tbody tr")).to_have_count(len(STATUSES))
        live, refresh = boxes(page, "#live", "#refresh")
        assert live["x"] + live["width"] == pytest.approx(refresh["x"], abs=30)

    with browser.new_context(viewport={"width": 390, "height": 900}, is_mobile=True) as context:
        page = context.new_page()
        sign_in(page, f"{server.url}#/jobs")
        expect(page.locator(".list tbody tr")).to_have_count(len(STATUSES))
        queue, name = boxes(page, "#queue", "#name")
        assert queue["y"] == name["y"], "two filters in one line"
        names = boxes(page, ".list tbody a[href*=jobs]")
        assert len(names) == len(STATUSES)
        assert len({box["x"] for box in names}) == 1, "rows alike"
        for status, since in zip(
            boxes(page, ".list .badge"), boxes(page, ".list time"), strict=True
        ):
            assert status["y"] == pytest.approx(since["y"], abs=8)
        page.goto(f"{server.url}#/jobs/6e97")
        expect(page.locator("canvas")).to_have_js_property("width", 50 * 11)


def column(box: FloatRect | None, columns: int, n: int) -> FloatRect:
    assert box
    width = box["width"] / columns
    return {"x": box["x"] + n * width, "y": box["y"], "width": width, "height": box["height"]}


def difference(one: list[bool], other: list[bool]) -> float:
    """Return the share of pixels that only one of two shapes contains."""
    return sum(a != b for a, b in zip(one, other, strict=False)) / len(one)


SHAPE = """
async (png) => {
  const image = new Image();
  image.src = `data:image/png;base64,${png}`;
  await image.decode();
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const grey = Array.from({ length: data.length / 4 }, (_, n) =>
    0.3 * data[4 * n] + 0.6 * data[4 * n + 1] + 0.1 * data[4 * n + 2]);
  const ground = grey[grey.length - 1];
  return grey.map((each) => Math.abs(each - ground) > 20);
}
"""
"""The pixels of an image that differ in brightness from its last one."""
